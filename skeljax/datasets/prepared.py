"""Prepared datasets: open one by name, check its shards, read its clips.

A dataset is a TFDS directory, ROOT/NAME/VERSION, written by data_prep. TFDS
trusts the record counts in its metadata, and a truncated shard reads as an
empty file without an error, so the records of every shard are counted on
opening.
"""

import bisect
from collections.abc import Mapping, Sequence
import dataclasses
import difflib
import itertools
import json
import os
import pathlib
import re
from typing import Any, SupportsIndex

from array_record.python import array_record_module
from google.protobuf import json_format
import tensorflow_datasets as tfds

from skeljax import errors
from skeljax.datasets import records
from skeljax.datasets.spec import DataSpec

SPLITS = ('train', 'val')

# TFDS writes this file last: a directory without it is not a dataset.
_INFO_FILE = 'dataset_info.json'
_VERSION = re.compile(r'\d+\.\d+\.\d+')
# Grain reads single records, so reading ahead would decode unused clips.
_READER_OPTIONS = 'readahead_buffer_size:0'


@dataclasses.dataclass(frozen=True)
class Shard:
  """An ArrayRecord file and the number of clips that it must contain."""

  path: str
  num_clips: int


@dataclasses.dataclass(frozen=True)
class PreparedDataset:
  """A prepared dataset: its spec and access to its clips.

  Attributes:
    name: --name of data_prep.main.
    directory: the TFDS directory, ROOT/NAME/VERSION.
    spec: what a model must know about the data.
    num_clips: number of clips per split.
    fingerprint: hash of the input, the options and the code that made it.
    shards: files per split, in order.
    metadata: everything that data_prep stored, as plain JSON values.
  """

  name: str
  directory: str
  spec: DataSpec
  num_clips: Mapping[str, int]
  fingerprint: str
  shards: Mapping[str, tuple[Shard, ...]]
  metadata: Mapping[str, Any]

  def source(self, split: str) -> 'ClipSource':
    """Return random access to the clips of a split, in annotation order."""
    if split not in self.shards:
      raise errors.UserError(
        f'Dataset {self.name!r} has no split {split!r}; it has'
        f' {" and ".join(self.shards)}.'
      )
    return ClipSource(self.shards[split], self.spec)


class ClipSource:
  """Sequence of records that Grain can read and pickle for its workers."""

  def __init__(self, shards: Sequence[Shard], spec: DataSpec):
    self._shards = tuple(shards)
    self._spec = spec
    # Index of the first clip after each shard.
    self._ends = list(itertools.accumulate(s.num_clips for s in self._shards))
    self._readers: dict[int, Any] = {}

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
        f'Clip {row} of shard {self._shards[shard].path} cannot be read'
        f' ({error}): the file was modified, or the disk is failing. Prepare the'
        ' dataset again with --overwrite.'
      ) from error
    return records.decode(data, self._spec)

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
  """Return the sorted names of the prepared datasets under `root`."""
  folder = pathlib.Path(root).expanduser()
  if not folder.is_dir():
    return []
  return sorted(
    entry.name
    for entry in folder.iterdir()
    if not entry.name.startswith('.') and _find_version(entry) is not None
  )


def open_dataset(root: str, name: str) -> PreparedDataset:
  """Open a prepared dataset after counting the records of every shard.

  Args:
    root: the directory given to data_prep with --output.
    name: the dataset's name.

  Raises:
    UserError: no such dataset (the message lists the existing ones), a shard is
      missing or damaged, or another version of skeljax wrote it.
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
      f' {_prepare_again(name)}'
    ) from error
  version = metadata.get('schema_version')
  if version != records.SCHEMA_VERSION or sorted(shards) != sorted(SPLITS):
    raise errors.UserError(
      f'{directory} has schema version {version!r} and the splits'
      f' {", ".join(shards)}; this version of skeljax reads schema version'
      f' {records.SCHEMA_VERSION} with {", ".join(SPLITS)}.'
      f' {_prepare_again(name)}'
    )
  _check_shards(name, shards)
  return PreparedDataset(
    name=name,
    directory=directory,
    spec=DataSpec.from_dict(metadata['spec'], source=directory),
    num_clips={s: sum(x.num_clips for x in shards[s]) for s in shards},
    fingerprint=metadata['fingerprint'],
    shards=shards,
    metadata=metadata,
  )


def dataset_directory(root: str, name: str) -> str | None:
  """Return the TFDS directory of a dataset under `root`, or None."""
  if not name or name.startswith('.') or os.path.basename(name) != name:
    return None
  return _find_version(pathlib.Path(root).expanduser() / name)


def read_metadata(directory: str) -> dict[str, Any]:
  """Return the metadata of a dataset without checking its shards."""
  path = pathlib.Path(directory) / 'metadata.json'
  try:
    return json.loads(path.read_text())
  except (OSError, ValueError):
    return {}


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
        f'Dataset {name!r} is incomplete: shard {shard.path} is missing.'
        f' {_prepare_again(name)}'
      )
    found = _open_shard(shard.path).num_records()
    if found != shard.num_clips:
      raise errors.UserError(
        f'Dataset {name!r} is damaged: shard {shard.path} should contain'
        f' {shard.num_clips} clips, but {found} can be read'
        f' ({os.path.getsize(shard.path):,} bytes). {_prepare_again(name)}'
      )


def _open_shard(path: str):
  return array_record_module.ArrayRecordReader(path, _READER_OPTIONS)


def _prepare_again(name: str) -> str:
  return (
    'Prepare the dataset again: the same python -m data_prep.main command with'
    f' --name={name} and --overwrite.'
  )


def _unknown_dataset(root: str, name: str) -> str:
  if not os.path.isdir(os.path.expanduser(root)):
    return (
      f'Directory {root} with dataset {name!r} does not exist. It is the'
      ' directory given to python -m data_prep.main with --output.'
    )
  names = list_datasets(root)
  if not names:
    return (
      f'{root} contains no prepared dataset, so {name!r} cannot be opened.'
      ' python -m data_prep.main --help shows how to prepare one.'
    )
  near = difflib.get_close_matches(name, names, n=1)
  proposal = f' Did you mean {near[0]!r}?' if near else ''
  return f'{root} has no dataset {name!r}; it has {", ".join(names)}.{proposal}'
