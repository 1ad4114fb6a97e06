"""The whole way from an annotation file to a published dataset."""

from collections.abc import Mapping, Sequence
import dataclasses
import os
import pathlib
from typing import Any

from absl import logging
from apache_beam.options import pipeline_options
import numpy as np
import tensorflow_datasets as tfds

from data_prep import builder as builder_lib
from data_prep import clip_tables
from data_prep import jobs
from data_prep import options as options_lib
from data_prep import scratch
from data_prep import shards
from data_prep import sources
from data_prep import summary
from data_prep import table_scratch
from data_prep import tables
from data_prep import workspace
from data_prep.demo import annotations as demo
from skeljax import errors
from skeljax import readers
from skeljax import skeletons
from skeljax.datasets import prepared
from skeljax.readers import compressed

# Shards of this size are read fast from a network disk, and a set the size of
# NTU60 gives enough of them to keep a dozen workers busy.
_SHARD_BYTES = 64 << 20
# Of clips that the workers read, which may be slow, a shard holds no more than
# this, so that the work is shared evenly.
_SHARD_CLIPS = 1000


def prepare(
  options: options_lib.Options, beam_arguments: Sequence[str]
) -> None:
  """Prepares a dataset, or finds that this was done before.

  Args:
    options: what to prepare.
    beam_arguments: Beam's own flags, with --runner.

  Raises:
    UserError: the user can mend it; nothing was published.
  """
  layout = options_lib.check_options(options)
  described = options_lib.describe(options, layout)
  fingerprint = options_lib.fingerprint(described)
  if not workspace.Workspace.is_left_over(options.output, options.name):
    if is_prepared(options, described, fingerprint):
      return
  with (
    workspace.full_disk_in_words(options.output),
    workspace.Workspace(options.output, options.name) as space,
  ):
    # Now that nobody else prepares it, look again.
    if is_prepared(options, described, fingerprint):
      return
    if options.source == 'demo':
      path = str(space.directory / 'demo.pkl')
      logging.info('making the demo motions, layout %s', layout.name)
      demo.write_annotations(path, layout.name)
      inputs = {'': path}
    else:
      inputs = options.inputs
    notes = {
      'fingerprint': fingerprint,
      'options': described,
      'protocol': options.protocol,
    }
    directory = build(
      options, layout, inputs, notes, space.directory, beam_arguments
    )
    space.publish(directory)
  _report(options)


def is_prepared(
  options: options_lib.Options, described: Mapping[str, Any], fingerprint: str
) -> bool:
  """Whether exactly this was prepared before and is whole.

  Raises:
    UserError: something has this name that must not be replaced.
  """
  target = pathlib.Path(options.output).expanduser() / options.name
  if not os.path.lexists(target):
    return False
  directory = prepared.dataset_directory(options.output, options.name)
  if directory is None:
    raise errors.UserError(
      f'{target} exists and is no prepared dataset, so it is left alone.'
      ' Choose another --name or --output, or remove it.'
    )
  metadata = prepared.read_metadata(directory)
  if metadata.get('fingerprint') != fingerprint:
    if options.overwrite:
      return False
    raise errors.UserError(
      f'{target} exists and was prepared differently:'
      f' {options_lib.differences(metadata.get("options", {}), described)}. Add'
      ' --overwrite to replace it, or choose another --name.'
    )
  try:
    prepared.open_dataset(options.output, options.name)
  except errors.UserError:
    if options.overwrite:
      return False
    raise
  logging.info(
    'already prepared: %s was made from the same input with the same options;'
    ' nothing to do',
    directory,
  )
  return True


def build(
  options: options_lib.Options,
  layout: skeletons.Layout,
  inputs: Mapping[str, str],
  notes: Mapping[str, Any],
  directory: pathlib.Path,
  beam_arguments: Sequence[str],
) -> pathlib.Path:
  """Builds the dataset under `directory`; returns what is to be published."""
  source = ', '.join(inputs.values())
  logging.info('loading %s', source)
  given_names = notes['options']['class_names'] or ()
  annotations = sources.open_source(
    options.source, inputs, options.choices, given_names, layout.name
  )
  train, val = readers.protocol_splits(annotations, options.protocol)
  _warn_of_overlap(annotations, train, val)
  names = given_names or annotations.class_names
  _check_class_names(names, source)
  beam_options = pipeline_options.PipelineOptions(list(beam_arguments))
  clips = _write_scratch(
    options,
    annotations,
    {'train': train, 'val': val},
    directory,
    scratch.Checks(
      layout=layout,
      num_classes=len(names),
      third_channel=options.third_channel,
      max_persons=options.num_kept,
      selection=options.selection,
      drop_empty=options.drop_empty,
    ),
    beam_options,
  )
  del annotations
  if not names:
    names = _numbered_classes(clips.max_label, source)
  spec = _stored_spec(options, clips.spec, source)
  config = builder_lib.ClipsConfig(
    name=options.name,
    description=f'protocol {options.protocol!r}, layout {layout.name}',
    clips=clips,
    layout=layout,
    class_names=tuple(names),
    normalize=options.normalize,
    project=options.project,
    spec=spec,
    num_shards=_num_shards(options, clips, spec),
    notes=dict(notes),
  )
  root = directory / 'build'
  builder = builder_lib.SkeletonClips(data_dir=str(root), config=config)
  builder.download_and_prepare(
    download_dir=str(directory / 'downloads'),
    download_config=tfds.download.DownloadConfig(beam_options=beam_options),
  )
  prepared.open_dataset(str(root), options.name)
  if options.source == 'clips':
    print(summary.describe(builder.seen, names, layout.name))
  return root / options.name


def _write_scratch(
  options: options_lib.Options,
  annotations: readers.RawDataset,
  positions: Mapping[str, Sequence[int]],
  directory: pathlib.Path,
  checks: scratch.Checks,
  beam_options: pipeline_options.PipelineOptions,
) -> scratch.CheckedClips:
  """The scratch file, and beside it whatever the workers read with it."""
  if options.valid_ratio:
    train = _valid(annotations, positions['train'], options.selection)
    positions = {**positions, 'train': train}
  path = str(directory / 'scratch.array_record')
  if not annotations.in_memory:
    return clip_tables.write_scratch(annotations, positions, path, checks)
  if not options.skeletons:
    return scratch.write_scratch(annotations, positions, path, checks)
  clips = table_scratch.write_scratch(
    annotations, positions, path, checks, options.skeletons
  )
  if clips.bundles:
    jobs.run(
      tables.unpack_bundle,
      clips.bundles,
      what='unpacking',
      num_clips={task.path: len(task.ids) for task in clips.bundles},
      options=beam_options,
      results_path=path + '.bundles.json',
    )
  return clips


def _valid(
  annotations: readers.RawDataset,
  indices: Sequence[int],
  selection: compressed.Selection,
) -> list[int]:
  """The training clips that show somebody in enough of their frames."""
  kept = []
  for position in indices:
    clip = annotations.clips[position]
    item, where = clip.read(), clip.where
    if not compressed.is_compressed(item):
      raise errors.UserError(
        f'{where} is not compressed: it does not list skeletons by'
        " 'frame_inds'. --valid_ratio and --box_threshold are for compressed"
        ' annotations, as those of Kinetics-400; leave them out.'
      )
    if compressed.is_valid(item, selection, where):
      kept.append(position)
  logging.info(
    '%d of %d training clips remain after --valid_ratio=%g with'
    ' --box_threshold=%g',
    len(kept),
    len(indices),
    selection.valid_ratio,
    selection.box_threshold,
  )
  return kept


def _stored_spec(
  options: options_lib.Options, spec: shards.RecordSpec, source: str
) -> shards.RecordSpec:
  """How the records are to be coded, which the scratch file codes by `spec`."""
  if options.normalize != 'none':
    if spec.num_channels != 3:
      raise errors.UserError(
        f'--normalize={options.normalize} turns 3D skeletons, and {source}'
        ' holds 2D keypoints. Use --normalize=none: 2D keypoints are normalised'
        ' while training.'
      )
    # Motion between normalised frames would lose 2 % in float16.
    spec = dataclasses.replace(spec, keypoint_dtype='float32')
  if options.project != 'none':
    if spec.num_channels != 3:
      raise errors.UserError(
        f'--project={options.project} makes 2D clips of 3D skeletons, and'
        f' {source} holds 2D keypoints already. Leave --project out.'
      )
    spec = shards.RecordSpec(spec.num_joints, 2, 'float32', 'float16')
  return spec


def _warn_of_overlap(
  annotations: readers.RawDataset,
  train: Sequence[int],
  val: Sequence[int],
) -> None:
  ids = annotations.ids
  train_ids = {ids[i] for i in train}
  both = [ids[i] for i in val if ids[i] in train_ids]
  if both:
    logging.warning(
      '%d clips are in the training and in the validation split, which will'
      ' make a model look better than it is: %s',
      len(both),
      readers.first_few(both),
    )


def _check_class_names(names: Sequence[str], source: str) -> None:
  """A name must fit on a line of its own and mean one class."""
  twice = readers.duplicates(names)
  if twice:
    raise errors.UserError(
      f'{source}: label_names holds {twice[0]!r} more than once. Every class'
      ' needs a name of its own; give --class_names=FILE, one name a line.'
    )
  for label, name in enumerate(names):
    if not name.strip() or len(name.splitlines()) != 1:
      raise errors.UserError(
        f'{source}: label_names[{label}] is {name!r}. A class name is one line'
        ' of text; give --class_names=FILE, one name a line.'
      )


def _numbered_classes(max_label: int, source: str) -> list[str]:
  logging.warning(
    '%s names no classes: they are called class_0 to class_%d. Give'
    ' --class_names=FILE (one name a line) for words.',
    source,
    max_label,
  )
  return [f'class_{i}' for i in range(max_label + 1)]


def _num_shards(options, clips, spec) -> dict[str, int]:
  """Files a split: as asked for, or by size, but no more than clips."""
  growth = (
    np.dtype(spec.keypoint_dtype).itemsize
    // np.dtype(clips.spec.keypoint_dtype).itemsize
  )
  result = {}
  for split, rows in clips.rows.items():
    enough = -(-clips.num_bytes[split] * growth // _SHARD_BYTES)
    if clips.num_persons is None:
      enough = max(enough, -(-len(rows) // _SHARD_CLIPS))
    result[split] = min(options.num_shards or enough, len(rows))
  return result


def _report(options: options_lib.Options) -> None:
  dataset = prepared.open_dataset(options.output, options.name)
  logging.info(
    'prepared %s: %s clips, %d classes, %d joints, %dD, %s, at most %d persons'
    ' and %d frames',
    dataset.directory,
    ' + '.join(f'{n} {split}' for split, n in dataset.num_clips.items()),
    dataset.spec.num_classes,
    dataset.spec.num_joints,
    dataset.spec.num_channels,
    dataset.spec.keypoint_dtype,
    dataset.spec.num_persons,
    dataset.spec.max_frames,
  )
