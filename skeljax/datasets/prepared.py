"""Prepared datasets: open one by name, check its shards, read its clips.

A dataset is a TFDS directory, ROOT/NAME/VERSION, that data_prep has written.
TFDS believes the record counts in its metadata, and a shard that was cut short
reads as an empty file without a word; so every shard is counted on opening.
"""

import bisect
from collections.abc import Mapping, Sequence
import dataclasses
import difflib
import functools
import itertools
import json
import os
import pathlib
import re
from typing import Any, SupportsIndex

from array_record.python import array_record_module
from google.protobuf import json_format
import numpy as np
import tensorflow_datasets as tfds

from skeljax import errors
from skeljax import skeletons
from skeljax.datasets import records

SPLITS = ('train', 'val')

# File that TFDS writes last: a directory without it is no dataset.
_INFO_FILE = 'dataset_info.json'
_VERSION = re.compile(r'\d+\.\d+\.\d+')
# Grain reads single records: reading ahead would decode clips nobody wants.
_READER_OPTIONS = 'readahead_buffer_size:0'
# So many tell metres from millimetres.
_MEASURED_CLIPS = 32
# Persons of a whole clip that data_prep keeps unless told.
_USUALLY_KEPT = 2


@dataclasses.dataclass(frozen=True)
class Shard:
  """One ArrayRecord file and the number of clips that it must hold."""

  path: str
  num_clips: int


@dataclasses.dataclass(frozen=True)
class PreparedDataset:
  """What is known of a prepared dataset, and the door to its clips.

  Attributes:
    name: as given to data_prep with --name.
    directory: the TFDS directory, ROOT/NAME/VERSION.
    layout: the skeleton layout it was prepared with.
    class_names: one name a label.
    num_channels: coordinates of a joint, 2 (pixels) or 3 (metres).
    has_score: whether every record has a keypoint_score.
    num_persons: largest number of persons in a clip.
    normalize: 'none', 'mmaction0x' or 'mmaction1x'.
    keypoint_dtype: 'float16' or 'float32'.
    max_frames: frames of the longest clip.
    num_clips: clips by split.
    fingerprint: names the input, the options and the code that made it.
    shards: the files by split, in order.
    spec: how a record is coded.
    metadata: everything that data_prep has noted, as plain JSON values.
  """

  name: str
  directory: str
  layout: skeletons.Layout
  class_names: tuple[str, ...]
  num_channels: int
  has_score: bool
  num_persons: int
  normalize: str
  keypoint_dtype: str
  max_frames: int
  num_clips: Mapping[str, int]
  fingerprint: str
  shards: Mapping[str, tuple[Shard, ...]]
  spec: records.RecordSpec
  metadata: Mapping[str, Any]

  @property
  def num_classes(self) -> int:
    return len(self.class_names)

  @property
  def num_cut(self) -> int:
    """Clips of which data_prep left persons out (--max_persons)."""
    return self.metadata.get('num_cut', 0)

  @property
  def max_persons(self) -> int | None:
    """Persons that were kept of a clip (--max_persons); 0: all of them.

    None when nobody knows.
    """
    return self.metadata.get('options', {}).get('max_persons')

  @property
  def max_persons_in_frame(self) -> int | None:
    """The same for every frame of compressed clips; 0: all of them.

    None when nobody knows, or nobody said: more are kept of a frame then than
    of a whole clip (compressed.DEFAULT_MAX_PERSONS).
    """
    options = self.metadata.get('options', {})
    if options.get('max_persons') == _USUALLY_KEPT:
      is_told = 'skeletons' in options or 'max_persons_as_told' in options
      return _USUALLY_KEPT if is_told else None
    return options.get('max_persons')

  @property
  def project(self) -> str:
    """What made 2D of 3D clips: 'none' or 'orthographic'."""
    return self.metadata.get('project', 'none')

  @functools.cached_property
  def body_size(self) -> float:
    """The middle size of a skeleton in a few training clips, in their unit."""
    source = self.source('train')
    step = max(1, len(source) // _MEASURED_CLIPS)
    sizes = [
      records.body_size(source[i]['keypoint'])
      for i in range(0, len(source), step)
    ]
    return float(np.median([size for size in sizes if size] or [0.0]))

  @functools.cached_property
  def has_img_shape(self) -> bool:
    """Whether the size of the picture is known for every clip.

    Data_prep notes it; of a dataset from before it did, all clips are read.
    """
    noted = self.metadata.get('has_img_shape')
    if noted is not None:
      return bool(noted)
    return all(
      bool(record['img_shape'].all())
      for split in self.shards
      for record in self.source(split)
    )

  def source(self, split: str) -> 'ClipSource':
    """Random access to the clips of a split, in the annotation file's order."""
    if split not in self.shards:
      raise errors.UserError(
        f'Dataset {self.name!r} has no split {split!r}; it has'
        f' {" and ".join(self.shards)}.'
      )
    return ClipSource(self.shards[split], self.spec)


class ClipSource:
  """A sequence of records that Grain can read and send to its workers."""

  def __init__(self, shards: Sequence[Shard], spec: records.RecordSpec):
    self._shards = tuple(shards)
    self._spec = spec
    # Index of the first clip after each shard.
    self._ends = list(itertools.accumulate(s.num_clips for s in self._shards))
    self._readers = {}

  def __len__(self) -> int:
    return self._ends[-1] if self._ends else 0

  def __getitem__(self, index: SupportsIndex) -> dict[str, Any]:
    index = range(len(self))[index]
    shard = bisect.bisect_right(self._ends, index)
    row = index - self._ends[shard] + self._shards[shard].num_clips
    try:
      data = self._reader(shard).read([row])[0]
    except RuntimeError as error:
      raise errors.UserError(
        f'Clip {row} of the shard {self._shards[shard].path} cannot be read'
        f' ({error}). The file was changed after it was written, or its disk'
        ' fails. Prepare the dataset again with --overwrite.'
      ) from error
    return records.decode(data, self._spec)

  def __getitems__(self, indices: Sequence[int]) -> list[dict[str, Any]]:
    return [self[i] for i in indices]

  def __repr__(self) -> str:
    first = self._shards[0].path if self._shards else ''
    return f'ClipSource({len(self)} clips, {first})'

  def __getstate__(self):
    return {'shards': self._shards, 'spec': self._spec}

  def __setstate__(self, state):
    self.__init__(state['shards'], state['spec'])

  def _reader(self, shard: int):
    # Open files cannot be sent to another process, so they are opened on
    # first use. Two threads may both open one; the readers are equal.
    reader = self._readers.get(shard)
    if reader is None:
      reader = _open_shard(self._shards[shard].path)
      self._readers[shard] = reader
    return reader


def list_datasets(root: str) -> list[str]:
  """Names of the prepared datasets under `root`, sorted; [] without a root."""
  folder = pathlib.Path(root).expanduser()
  if not folder.is_dir():
    return []
  return sorted(
    entry.name
    for entry in folder.iterdir()
    if not entry.name.startswith('.') and _find_version(entry) is not None
  )


def open_dataset(root: str, name: str) -> PreparedDataset:
  """Opens a prepared dataset after counting the records of every shard.

  Args:
    root: the directory given to data_prep with --output.
    name: the dataset's name.

  Raises:
    UserError: no such dataset (the text lists those that are there), a shard is
      missing or damaged, or another version of skeljax has written it.
  """
  directory = dataset_directory(root, name)
  if directory is None:
    raise errors.UserError(_unknown_dataset(root, name))
  try:
    info = tfds.builder_from_directory(directory).info
    metadata = dict(info.metadata or {})
    shards = {
      split: tuple(map(Shard, map(str, files.filepaths), files.shard_lengths))
      for split, files in info.splits.items()
    }
  except (OSError, ValueError, KeyError, json_format.Error) as error:
    raise errors.UserError(
      f'{directory} cannot be read as a prepared dataset ({error}).'
      f' {_mend(name)}'
    ) from error
  form = metadata.get('schema_version')
  if form != records.SCHEMA_VERSION or sorted(shards) != sorted(SPLITS):
    raise errors.UserError(
      f'{directory} was written in form {form!r} with the splits'
      f' {", ".join(shards)}; this version of skeljax reads form'
      f' {records.SCHEMA_VERSION} with {", ".join(SPLITS)}. {_mend(name)}'
    )
  _check_shards(name, shards)
  return _describe(name, directory, metadata, shards)


def dataset_directory(root: str, name: str) -> str | None:
  """The TFDS directory of a dataset under `root`, None when there is none."""
  if not name or name.startswith('.') or os.path.basename(name) != name:
    return None
  return _find_version(pathlib.Path(root).expanduser() / name)


def read_metadata(directory: str) -> dict[str, Any]:
  """What data_prep noted of a dataset, without looking at its shards."""
  path = pathlib.Path(directory) / 'metadata.json'
  try:
    return json.loads(path.read_text())
  except (OSError, ValueError):
    return {}


def _describe(name, directory, metadata, shards) -> PreparedDataset:
  spec = records.RecordSpec(**metadata['record'])
  return PreparedDataset(
    name=name,
    directory=directory,
    layout=skeletons.Layout.from_dict(metadata['layout'], source=directory),
    class_names=tuple(metadata['class_names']),
    num_channels=spec.num_channels,
    has_score=spec.has_score,
    num_persons=metadata['num_persons'],
    normalize=metadata['normalize'],
    keypoint_dtype=spec.keypoint_dtype,
    max_frames=metadata['max_frames'],
    num_clips={s: sum(x.num_clips for x in shards[s]) for s in shards},
    fingerprint=metadata['fingerprint'],
    shards=shards,
    spec=spec,
    metadata=metadata,
  )


def _find_version(folder: pathlib.Path) -> str | None:
  """The newest version directory of a dataset, as a string."""
  try:
    versions = [e.name for e in folder.iterdir() if _VERSION.fullmatch(e.name)]
  except OSError:
    return None
  versions = [v for v in versions if (folder / v / _INFO_FILE).is_file()]
  if not versions:
    return None
  newest = max(versions, key=lambda v: [int(part) for part in v.split('.')])
  return str(folder / newest)


def _check_shards(name: str, shards: Mapping[str, Sequence[Shard]]) -> None:
  for shard in [s for split in shards.values() for s in split]:
    if not os.path.isfile(shard.path):
      raise errors.UserError(
        f'Dataset {name!r} is not complete: its shard {shard.path} is missing.'
        f' {_mend(name)}'
      )
    found = _open_shard(shard.path).num_records()
    if found != shard.num_clips:
      raise errors.UserError(
        f'Dataset {name!r} is damaged: its shard {shard.path} should hold'
        f' {shard.num_clips} clips, and {found} can be read'
        f' ({os.path.getsize(shard.path):,} bytes). It was cut short or'
        f' changed after it was written. {_mend(name)}'
      )


def _open_shard(path: str):
  return array_record_module.ArrayRecordReader(path, _READER_OPTIONS)


def _mend(name: str) -> str:
  return (
    'Prepare the dataset again: the same python -m data_prep.main command with'
    f' --name={name} and --overwrite.'
  )


def _unknown_dataset(root: str, name: str) -> str:
  if not os.path.isdir(os.path.expanduser(root)):
    return (
      f'There is no directory {root}, so no dataset {name!r} in it. It should'
      ' be the directory given to python -m data_prep.main with --output.'
    )
  names = list_datasets(root)
  if not names:
    return (
      f'There is no dataset {name!r} in {root}, nor any other. python -m'
      ' data_prep.main --help shows how to prepare one.'
    )
  near = difflib.get_close_matches(name, names, n=1)
  proposal = f' Did you mean {near[0]!r}?' if near else ''
  return (
    f'There is no dataset {name!r} in {root}; there is {", ".join(names)}.'
    f'{proposal}'
  )
