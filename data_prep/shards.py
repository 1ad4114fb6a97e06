"""One shard: clips read from the scratch file, normalised, encoded, written.

This is the work that Beam spreads over its workers. A worker is told only which
rows of the scratch file it has to turn into which shard, so that no clip ever
passes through a runner's shuffle, which would hold all of them in memory.
"""

from collections.abc import Mapping
import contextlib
import dataclasses
from typing import Any

from array_record.python import array_record_module
import numpy as np

from data_prep import jobs
from skeljax import errors
from skeljax import skeletons
from skeljax.data import normalize3d
from skeljax.data import project
from skeljax.data import records

# Records are compressed one by one, as Grain's random access wants them.
WRITER_OPTIONS = 'group_size:1'
# The scratch file is read once and removed.
SCRATCH_OPTIONS = 'group_size:1,uncompressed'

NORMALIZERS = {
  'none': None,
  'mmaction0x': normalize3d.normalize_mmaction0x,
  'mmaction1x': normalize3d.normalize_mmaction1x,
}

PROJECTIONS = {'none': None, 'orthographic': project.orthographic}

_ROWS_AT_A_TIME = 64


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
  scratch_spec: records.RecordSpec
  spec: records.RecordSpec
  project: str = 'none'
  table: Any = None


def write_shard(task: ShardTask) -> dict[str, Any]:
  """Writes a shard.

  Returns:
    As jobs.write_file, with 'num_clips', 'num_bytes' (before compression),
    'max_frames', and 'empty', the ids of the clips that were left out.
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
  num_clips = num_bytes = max_frames = 0
  empty = []
  try:
    with rows:
      for start in range(task.start, task.stop, _ROWS_AT_A_TIME):
        stop = min(start + _ROWS_AT_A_TIME, task.stop)
        for data in reader.read(start, stop):
          record = rows.decode(data)
          if 'keypoint' not in record:
            empty.append(record['id'])
            continue
          record = finish_record(record, task)
          max_frames = max(max_frames, record['total_frames'])
          data = records.encode(record, task.spec)
          num_clips += 1
          num_bytes += len(data)
          writer.write(data)
  finally:
    writer.close()
    reader.close()
  count_records(path, num_clips)
  return {
    'num_clips': num_clips,
    'num_bytes': num_bytes,
    'max_frames': max_frames,
    'empty': empty,
  }


class _Records(contextlib.AbstractContextManager):
  """Rows that are records already."""

  def __init__(self, spec: records.RecordSpec):
    self._spec = spec

  def __exit__(self, *unused_error) -> None:
    pass

  def decode(self, data: bytes) -> dict[str, Any]:
    return records.decode(data, self._spec)


def finish_record(record: Mapping[str, Any], task: ShardTask) -> dict[str, Any]:
  """The record as it is stored: 3D normalised or projected, 2D with its box.

  Raises:
    UserError: the clip cannot be normalised, or not in the type it came in.
  """
  result = dict(record)
  normalize = NORMALIZERS[task.normalize]
  if normalize is not None:
    try:
      with np.errstate(over='ignore', invalid='ignore'):
        keypoint = normalize(record['keypoint'], task.layout)
    except errors.UserError as error:
      raise errors.UserError(f'Clip {record["id"]!r}: {error}') from error
    if not np.isfinite(keypoint).all():
      raise errors.UserError(
        f'Clip {record["id"]!r}: --normalize={task.normalize} leaves the range'
        f' of {record["keypoint"].dtype}, the type of its keypoints, in which'
        ' the published normalisation is computed. Store the keypoints as'
        ' float32, or in metres instead of millimetres.'
      )
    result['keypoint'] = keypoint
    result['total_frames'] = keypoint.shape[1]
  projection = PROJECTIONS[task.project]
  if projection is not None:
    pixels, score, img_shape = projection(record['keypoint'])
    result.update(keypoint=pixels, keypoint_score=score, img_shape=img_shape)
  if task.spec.num_channels == 2:
    result['box'] = records.visible_box(
      result['keypoint'], result.get('keypoint_score')
    )
  return result


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
