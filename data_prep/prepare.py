"""The whole way from an annotation file to a published dataset."""

from collections.abc import Mapping, Sequence
import dataclasses
import hashlib
import json
import os
import pathlib
import re
from typing import Any

from absl import logging
from apache_beam.options import pipeline_options
import numpy as np
import tensorflow_datasets as tfds

from data_prep import builder as builder_lib
from data_prep import demo
from data_prep import scratch
from data_prep import shards
from data_prep import workspace
from skeljax import errors
from skeljax import skeletons
from skeljax.data import class_names as class_names_lib
from skeljax.data import datasets
from skeljax.data.formats import annotations as annotations_lib
from skeljax.data.formats import pickles

# Part of every fingerprint. Raise it when the same input and options give other
# records than before, so that old datasets are not taken for new ones.
CODE_VERSION = 1

SOURCES = ('pickle', 'demo')
_NAME = re.compile(r'[A-Za-z]\w*')
# Shards of this size are read fast from a network disk, and a set the size of
# NTU60 gives enough of them to keep a dozen workers busy.
_SHARD_BYTES = 64 << 20
_HASH_BLOCK = 1 << 20


@dataclasses.dataclass(frozen=True)
class Options:
  """What the user asks for; see the flags of data_prep.main.

  Attributes:
    source: 'pickle' or 'demo'.
    inputs: annotation files by split, or by '' for one file that holds the
      splits; empty for the demo.
    protocol: which splits of the file: 'xview' for xview_train and xview_val.
    layout: a layout's name or layout file.
    normalize: a key of shards.NORMALIZERS.
    name: the dataset's name.
    output: directory that holds prepared datasets.
    class_names: a list's name or a file with one name a line; '' takes the
      names in the annotation file.
    third_channel: whether a third channel is a 'coordinate' or a 'score'.
    max_persons: keep so many persons, those that move most; 0 keeps all.
    drop_empty: leave out clips without a skeleton.
    num_shards: files a split; 0 chooses.
    overwrite: replace a dataset of this name.
  """

  source: str
  inputs: Mapping[str, str]
  protocol: str
  layout: str
  normalize: str
  name: str
  output: str
  class_names: str = ''
  third_channel: str = 'auto'
  max_persons: int = 2
  drop_empty: bool = False
  num_shards: int = 0
  overwrite: bool = False


def prepare(options: Options, beam_arguments: Sequence[str]) -> None:
  """Prepares a dataset, or finds that this was done before.

  Args:
    options: what to prepare.
    beam_arguments: Beam's own flags, with --runner.

  Raises:
    UserError: the user can mend it; nothing was published.
  """
  layout = check_options(options)
  described = describe(options, layout)
  fingerprint = hashlib.sha256(
    json.dumps(described, sort_keys=True).encode()
  ).hexdigest()
  with (
    workspace.full_disk_in_words(options.output),
    workspace.Workspace(options.output, options.name) as space,
  ):
    if not options.overwrite and is_prepared(options, described, fingerprint):
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


def check_options(options: Options) -> skeletons.Layout:
  """Finds mistakes that need no look at the data; returns the layout."""
  if options.source not in SOURCES:
    raise errors.UserError(
      f'--source={options.source} is not known; it is one of'
      f' {", ".join(SOURCES)}.'
    )
  if not _NAME.fullmatch(options.name):
    raise errors.UserError(
      f'--name={options.name!r} cannot name a dataset: a letter, then letters,'
      ' digits and underscores, for example ntu60_xsub_3d.'
    )
  if not options.output:
    raise errors.UserError(
      '--output is missing: the directory that holds prepared datasets, the'
      ' same that --config.data.dir (or $SKELJAX_DATA) names later.'
    )
  if options.normalize not in shards.NORMALIZERS:
    raise errors.UserError(
      f'--normalize={options.normalize} is not known; it is one of'
      f' {", ".join(shards.NORMALIZERS)}.'
    )
  for path in options.inputs.values():
    if not os.path.isfile(path):
      raise errors.UserError(f'--input: there is no file {path}.')
  layout = skeletons.get_layout(options.layout)
  missing = [
    part
    for part in ('origin', 'spine', 'shoulders')
    if getattr(layout, part) is None
  ]
  if options.normalize != 'none' and missing:
    raise errors.UserError(
      f'--normalize={options.normalize} needs to know the origin, spine and'
      f' shoulders of a skeleton, and layout {layout.name!r} names no'
      f' {" and no ".join(missing)}. Use --normalize=none, or a layout file'
      ' that names them.'
    )
  return layout


def describe(options: Options, layout: skeletons.Layout) -> dict[str, Any]:
  """All that decides about the bytes of a dataset, as plain JSON values.

  Neither names nor places of files are in it, so that a moved file is the same
  file.
  """
  if options.source == 'demo':
    inputs = {'demo': demo.DEMO_VERSION}
  else:
    logging.info('hashing %s', ', '.join(options.inputs.values()))
    inputs = {
      split or 'file': _file_hash(path)
      for split, path in options.inputs.items()
    }
  names = None
  if options.class_names:
    names = list(class_names_lib.load_class_names(options.class_names))
  return {
    'source': options.source,
    'input': inputs,
    'protocol': options.protocol,
    'layout': layout.to_dict(),
    'normalize': options.normalize,
    'class_names': names,
    'third_channel': options.third_channel,
    'max_persons': options.max_persons,
    'drop_empty': options.drop_empty,
    'num_shards': options.num_shards,
    'code': CODE_VERSION,
  }


def is_prepared(
  options: Options, described: Mapping[str, Any], fingerprint: str
) -> bool:
  """Whether exactly this was prepared before.

  Raises:
    UserError: something else, or a damaged dataset, has this name.
  """
  target = pathlib.Path(options.output).expanduser() / options.name
  if not os.path.lexists(target):
    return False
  directory = datasets.dataset_directory(options.output, options.name)
  if directory is None:
    raise errors.UserError(
      f'{target} exists and is no prepared dataset. Choose another --name or'
      ' --output; --overwrite would replace it.'
    )
  metadata = datasets.read_metadata(directory)
  if metadata.get('fingerprint') == fingerprint:
    datasets.open_dataset(options.output, options.name)
    logging.info(
      'already prepared: %s holds the same input prepared with the same'
      ' options; nothing to do',
      directory,
    )
    return True
  raise errors.UserError(
    f'{target} exists and was prepared differently:'
    f' {_differences(metadata.get("options", {}), described)}. Add'
    ' --overwrite to replace it, or choose another --name.'
  )


def build(
  options: Options,
  layout: skeletons.Layout,
  inputs: Mapping[str, str],
  notes: Mapping[str, Any],
  directory: pathlib.Path,
  beam_arguments: Sequence[str],
) -> pathlib.Path:
  """Builds the dataset under `directory`; returns what is to be published."""
  source = ', '.join(inputs.values())
  logging.info('loading %s', source)
  annotations = pickles.read_annotations(inputs.get('', inputs))
  train, val = annotations_lib.protocol_splits(annotations, options.protocol)
  names = notes['options']['class_names'] or annotations.label_names
  clips = scratch.write_scratch(
    annotations,
    {'train': train, 'val': val},
    str(directory / 'scratch.array_record'),
    scratch.Checks(
      layout=layout,
      num_classes=len(names),
      third_channel=options.third_channel,
      max_persons=options.max_persons,
      drop_empty=options.drop_empty,
    ),
  )
  del annotations
  if not names:
    names = _numbered_classes(clips.max_label, source)
  spec = clips.spec
  if options.normalize != 'none':
    if spec.num_channels != 3:
      raise errors.UserError(
        f'--normalize={options.normalize} turns 3D skeletons, and {source}'
        ' holds 2D keypoints. Use --normalize=none: 2D keypoints are normalised'
        ' while training.'
      )
    # Motion between normalised frames would lose 2 % in float16.
    spec = dataclasses.replace(spec, keypoint_dtype='float32')
  config = builder_lib.ClipsConfig(
    name=options.name,
    description=f'protocol {options.protocol!r}, layout {layout.name}',
    clips=clips,
    layout=layout,
    class_names=tuple(names),
    normalize=options.normalize,
    spec=spec,
    num_shards=_num_shards(options, clips, spec),
    notes=dict(notes),
  )
  root = directory / 'build'
  builder = builder_lib.SkeletonClips(data_dir=str(root), config=config)
  builder.download_and_prepare(
    download_dir=str(directory / 'downloads'),
    download_config=tfds.download.DownloadConfig(
      beam_options=pipeline_options.PipelineOptions(list(beam_arguments))
    ),
  )
  datasets.open_dataset(str(root), options.name)
  return root / options.name


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
    by_size = -(-clips.num_bytes[split] * growth // _SHARD_BYTES)
    result[split] = min(options.num_shards or by_size, len(rows))
  return result


def _differences(
  stored: Mapping[str, Any], described: Mapping[str, Any]
) -> str:
  """Which options differ, old and new where they are short."""

  def short(value):
    text = json.dumps(value)
    return text if len(text) <= 30 else None

  parts = []
  for key in described:
    old, new = stored.get(key), described[key]
    if old == new:
      continue
    if short(old) is None or short(new) is None:
      parts.append(f'another {key}')
    else:
      parts.append(f'{key} {short(old)} then, {short(new)} now')
  return ', '.join(parts) or 'by other code'


def _file_hash(path: str) -> str:
  digest = hashlib.sha256()
  with open(path, 'rb') as file:
    while block := file.read(_HASH_BLOCK):
      digest.update(block)
  return digest.hexdigest()


def _report(options: Options) -> None:
  dataset = datasets.open_dataset(options.output, options.name)
  logging.info(
    'prepared %s: %s clips, %d classes, %d joints, %dD, %s, at most %d persons'
    ' and %d frames',
    dataset.directory,
    ' + '.join(f'{n} {split}' for split, n in dataset.num_clips.items()),
    dataset.num_classes,
    dataset.layout.num_joints,
    dataset.num_channels,
    dataset.keypoint_dtype,
    dataset.num_persons,
    dataset.max_frames,
  )
