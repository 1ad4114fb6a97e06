"""Prepare a dataset: check the options, write it, publish it."""

from collections.abc import Mapping, Sequence
import os
import pathlib
import re
from typing import Any

from absl import logging
from apache_beam.options import pipeline_options

from data_prep import options as options_lib
from data_prep import sources
from data_prep import statistics
from data_prep import workspace
from data_prep import writer
from skeljax import errors
from skeljax import readers
from skeljax.datasets import prepared

_NAME = re.compile(r'[A-Za-z]\w*')


def prepare(
  options: options_lib.Options, beam_arguments: Sequence[str] = ()
) -> None:
  """Prepare a dataset unless the same one exists already.

  Args:
    options: what to prepare.
    beam_arguments: flags of Beam.

  Raises:
    UserError: something has to be fixed; nothing was published.
  """
  _check_output(options)
  options.check_input()
  layout = sources.require_layout(options)
  described = options.describe(layout)
  space = workspace.Workspace(options.output, options.name)
  if not space.directory.exists() and is_prepared(options, described):
    return
  with workspace.full_disk_as_user_error(options.output), space:
    # Another process may have prepared it while this one waited.
    if is_prepared(options, described):
      return
    dataset = sources.open_dataset(options, layout.name)
    _warn_overlap(dataset, options.protocol)
    folder, counted = writer.Writer(
      options,
      dataset,
      layout,
      sources.class_names(options, dataset),
      space.directory,
      pipeline_options.PipelineOptions(list(beam_arguments)),
    ).write(
      {
        'fingerprint': options_lib.fingerprint(described),
        'options': described,
      }
    )
    prepared.open_dataset(str(folder.parent), options.name)
    space.publish(folder)
  written = prepared.open_dataset(options.output, options.name)
  spec = written.spec
  if options.source == 'clips':
    print(statistics.report(counted, spec.class_names, layout.name))
  logging.info(
    'prepared %s: %s clips, %d classes, %d joints, %dD, %s, at most %d persons'
    ' and %d frames',
    written.directory,
    ' + '.join(f'{n} {split}' for split, n in written.num_clips.items()),
    spec.num_classes,
    spec.num_joints,
    spec.num_channels,
    spec.keypoint_dtype,
    spec.num_persons,
    spec.max_frames,
  )


def is_prepared(
  options: options_lib.Options, described: Mapping[str, Any]
) -> bool:
  """Whether the same dataset exists and is complete.

  Raises:
    UserError: there is something else under its name.
  """
  target = pathlib.Path(options.output).expanduser() / options.name
  if not os.path.lexists(target):
    return False
  directory = prepared.dataset_directory(options.output, options.name)
  if directory is None:
    raise errors.UserError(
      f'{target} exists and is not a prepared dataset, so it is not replaced.'
      ' Choose another --name or --output, or remove it.'
    )
  metadata = prepared.read_metadata(directory)
  if metadata.get('fingerprint') != options_lib.fingerprint(described):
    if options.overwrite:
      return False
    differences = options_lib.differences(
      metadata.get('options', {}), described
    )
    raise errors.UserError(
      f'{target} exists and was prepared differently: {differences}. Add'
      ' --overwrite to replace it, or choose another --name.'
    )
  try:
    prepared.open_dataset(options.output, options.name)
  except errors.UserError:
    if options.overwrite:
      return False
    raise
  logging.info('already prepared from the same input: %s', directory)
  return True


def _check_output(options: options_lib.Options) -> None:
  """Raise UserError if the dataset cannot have this name and place."""
  if not options.name:
    raise errors.UserError(
      '--name is missing: the name of the dataset, for example ntu60_xsub_3d.'
    )
  if not _NAME.fullmatch(options.name):
    raise errors.UserError(
      f'--name={options.name}: expected a letter, then letters, digits and'
      ' underscores, for example ntu60_xsub_3d.'
    )
  if not options.output:
    raise errors.UserError(
      '--output is missing: the directory of prepared datasets, which is'
      ' --config.data.dir (or $SKELJAX_DATA) in training.'
    )
  if '://' in options.output:
    raise errors.UserError(
      f'--output={options.output} has to be a local or mounted directory, as'
      ' ArrayRecord writes files. Mount the bucket, or copy the dataset later.'
    )
  output = os.path.realpath(os.path.expanduser(options.output))
  inputs = [os.path.realpath(path) for path in options.inputs.values()]
  if output in inputs:
    raise errors.UserError(
      f'--output={options.output} is the --input. Choose another directory, for'
      f' example {os.path.join(options.output, "prepared")}.'
    )
  if options.source != 'clips' or options.labels or not inputs:
    return
  if os.path.commonpath([inputs[0], output]) == inputs[0]:
    raise errors.UserError(
      f'--output={options.output} is inside of --input={options.input}, in which'
      ' every sub-folder is a class. Choose a directory outside of it, or list'
      ' the clips in --labels=FILE.csv.'
    )


def _warn_overlap(dataset: readers.RawDataset, protocol: str) -> None:
  train, val = readers.protocol_splits(dataset, protocol)
  train_ids = {dataset.clips[p].id for p in train}
  shared = [i for p in val if (i := dataset.clips[p].id) in train_ids]
  if shared:
    logging.warning(
      '%d clips are in the training and in the validation split, so validation'
      ' accuracy is too high: %s',
      len(shared),
      readers.first_few(shared),
    )
