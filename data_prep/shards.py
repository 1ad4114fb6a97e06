"""One shard: clips read from the scratch file, normalised, encoded, written.

This is the work that Beam spreads over its workers. A worker is told only which
rows of the scratch file it has to turn into which shard, so that no clip ever
passes through a runner's shuffle, which would hold all of them in memory.
"""

import collections
from collections.abc import Mapping
import contextlib
import dataclasses
from typing import Any

from array_record.python import array_record_module
import numpy as np

from data_prep import jobs
from skeljax import skeletons
from skeljax.datasets import finish
from skeljax.datasets import records

# Records are compressed one by one, as Grain's random access wants them.
WRITER_OPTIONS = 'group_size:1'
# The scratch file is read once and removed.
SCRATCH_OPTIONS = 'group_size:1,uncompressed'

NORMALIZERS = finish.NORMALIZERS
PROJECTIONS = finish.PROJECTIONS

_ROWS_AT_A_TIME = 64


@dataclasses.dataclass(frozen=True)
class RecordSpec:
  """How the clips of a scratch file or shard are encoded.

  Attributes:
    num_joints: V.
    num_channels: C, the coordinates: 2 or 3.
    keypoint_dtype: 'float16' or 'float32'.
    score_dtype: the same for keypoint_score; '' when there are no scores.
  """

  num_joints: int
  num_channels: int
  keypoint_dtype: str
  score_dtype: str = ''

  @property
  def has_score(self) -> bool:
    return bool(self.score_dtype)


@dataclasses.dataclass(frozen=True)
class ShardTask:
  """All that a worker has to know to write one shard.

  Attributes:
    path: the file to write.
    scratch: the file of checked clips, on a disk that all workers see.
    start: first row of the scratch file that belongs to the shard.
    stop: the row after the last.
    layout: the skeleton layout.
    normalize: a key of NORMALIZERS.
    scratch_spec: how the clips in the scratch file are coded.
    spec: how the shard's are to be.
    project: a key of PROJECTIONS.
    table: makes records of the rows (tables.Table); None where they are records.
  """

  path: str
  scratch: str
  start: int
  stop: int
  layout: skeletons.Layout
  normalize: str
  scratch_spec: RecordSpec
  spec: RecordSpec
  project: str = 'none'
  table: Any = None


class Seen:
  """What a worker saw of the clips that it wrote; small, whatever their number.

  Attributes:
    num_bytes: of the records, before compression.
    num_cut: clips that lost persons.
    num_dropped: persons that were lost.
    has_img_shape: whether every clip knows the size of its picture.
    labels: clips by label.
    frames: clips by number of frames.
    persons: clips by number of persons.
    empty: ids of the clips that show nobody.
  """

  def __init__(self):
    self.num_bytes = self.num_cut = self.num_dropped = 0
    self.has_img_shape = True
    self.labels = collections.Counter()
    self.frames = collections.Counter()
    self.persons = collections.Counter()
    self.empty = []

  def add(self, record: Mapping[str, Any], num_bytes: int) -> None:
    """Counts a clip."""
    self.num_bytes += num_bytes
    num_dropped = record.get('num_dropped', 0)
    self.num_cut += num_dropped > 0
    self.num_dropped += num_dropped
    self.has_img_shape &= bool(np.all(record['img_shape']))
    self.labels[int(record['label'])] += 1
    self.frames[int(record['total_frames'])] += 1
    self.persons[len(record['keypoint'])] += 1

  def result(self) -> dict[str, Any]:
    """The numbers as JSON takes them."""
    return {
      **vars(self),
      'num_clips': self.labels.total(),
      'labels': sorted(self.labels.items()),
      'frames': sorted(self.frames.items()),
      'persons': sorted(self.persons.items()),
    }


def write_shard(task: ShardTask) -> dict[str, Any]:
  """Writes a shard.

  Returns:
    As jobs.write_file, with 'num_clips' and what `Seen` has seen.
  """
  return jobs.write_file(task.path, lambda path: _write(task, path))


def _write(task: ShardTask, path: str) -> dict[str, Any]:
  reader = array_record_module.ArrayRecordReader(
    task.scratch, 'readahead_buffer_size:0'
  )
  writer = array_record_module.ArrayRecordWriter(path, WRITER_OPTIONS)
  rows = (
    _Records(task.scratch_spec) if task.table is None else task.table.open()
  )
  seen = Seen()
  try:
    with rows:
      for start in range(task.start, task.stop, _ROWS_AT_A_TIME):
        stop = min(start + _ROWS_AT_A_TIME, task.stop)
        for data in reader.read(start, stop):
          record = rows.decode(data)
          if 'keypoint' not in record:
            seen.empty.append(record['id'])
            continue
          record = finish_record(record, task)
          data = records.encode(record, task.spec)
          seen.add(record, len(data))
          writer.write(data)
  finally:
    writer.close()
    reader.close()
  result = seen.result()
  count_records(path, result['num_clips'])
  return result


class _Records(contextlib.AbstractContextManager):
  """Rows that are records already."""

  def __init__(self, spec: RecordSpec):
    self._spec = spec

  def __exit__(self, *unused_error) -> None:
    pass

  def decode(self, data: bytes) -> dict[str, Any]:
    return records.decode(data, self._spec)


def finish_record(record: Mapping[str, Any], task: ShardTask) -> dict[str, Any]:
  """The record as it is stored; see skeljax.datasets.finish."""
  return finish.finish_record(
    record, layout=task.layout, normalize=task.normalize, project=task.project
  )


def count_records(path: str, expected: int) -> None:
  """Raises OSError unless `path` holds `expected` records.

  NOTE: a file that ArrayRecord could not finish reads as empty, without an
  error; counting is the only way to know that the disk took it all.
  """
  reader = array_record_module.ArrayRecordReader(
    path, 'readahead_buffer_size:0'
  )
  found = reader.num_records()
  reader.close()
  if found != expected:
    raise OSError(f'{path}: {expected} records were written, {found} are there')
