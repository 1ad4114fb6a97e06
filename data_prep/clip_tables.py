"""Clips in files of their own, read by Beam's workers while they write shards.

The scratch file says, a row a clip, where each one lies; reading, checking and
choosing persons happens in the workers, once, so that memory does not grow with
the number of clips and the time is shared. What only the clips can say, such as
the largest number of persons, comes back with the shards.
"""

from collections.abc import Mapping, Sequence
import contextlib
import dataclasses
import pickle
from typing import Any

from array_record.python import array_record_module
import numpy as np

from data_prep import scratch
from data_prep import shards
from skeljax import errors
from skeljax import readers
from skeljax import skeletons
from skeljax.datasets import records
from skeljax.readers import checks as checks_lib
from skeljax.readers import persons

# So many clips of a split tell how large all of them are.
_NUM_SAMPLES = 8


@dataclasses.dataclass(frozen=True)
class ClipTable:
  """How a worker makes records of the rows of the scratch file.

  Attributes:
    layout: whose joints they must have.
    third_channel: what a third channel is.
    max_persons: of more persons those that move most are kept; 0 keeps all.
    drop_empty: whether clips that show nobody are left out.
    spec: how the records are to be coded.
    first: the clip that the spec was learned from, in words.
  """

  layout: skeletons.Layout
  third_channel: str
  max_persons: int
  drop_empty: bool
  spec: shards.RecordSpec
  first: str

  def open(self) -> 'ClipReader':
    return ClipReader(self)


def write_scratch(
  annotations: readers.RawDataset,
  positions: Mapping[str, Sequence[int]],
  path: str,
  checks: scratch.Checks,
) -> scratch.CheckedClips:
  """Writes where each clip is; reads a few to learn what clips are like.

  Args:
    annotations: with clips that are not in memory.
    positions: indices of the annotations by split.
    path: the file to write.
    checks: what to check.

  Raises:
    UserError: a label or a name cannot be used, or a clip that was looked at.
  """
  files = annotations.clips
  table = _learn(files, positions, checks)
  writer = array_record_module.ArrayRecordWriter(path, shards.SCRATCH_OPTIONS)
  rows, max_label, written = {}, 0, 0
  try:
    for split, indices in positions.items():
      first = written
      for position in indices:
        file = files[position]
        max_label = max(max_label, _check_listed(file, checks.num_classes))
        writer.write(_row(position, file))
        written += 1
      rows[split] = range(first, written)
  finally:
    writer.close()
  shards.count_records(path, written)
  scratch.check_splits(annotations, rows)
  return scratch.CheckedClips(
    path=path,
    rows=rows,
    spec=table.spec,
    num_persons=None,
    max_label=max_label,
    has_img_shape=None,
    num_cut=None,
    num_bytes={
      split: _estimate_bytes(files, indices, table)
      for split, indices in positions.items()
    },
    table=table,
  )


def _row(position: int, file: readers.Clip) -> bytes:
  return pickle.dumps((position, file))


def _check_listed(file: readers.Clip, num_classes: int) -> int:
  """The label of a clip; raises UserError if it or the id cannot be stored."""
  where = f'{file.path}, sample {file.id!r}'
  try:
    file.id.encode()
  except UnicodeEncodeError as error:
    raise errors.UserError(
      f'{where}: the name of the file is not UTF-8 text, so that the clip could'
      ' not be called by it. Rename the file.'
    ) from error
  return checks_lib.check_label(file.label, num_classes, where)


def _learn(
  files: Sequence[readers.Clip],
  positions: Mapping[str, Sequence[int]],
  checks: scratch.Checks,
) -> ClipTable:
  """The table, with the spec of the first clip that shows somebody."""
  table = ClipTable(
    layout=checks.layout,
    third_channel=checks.third_channel,
    max_persons=checks.max_persons,
    drop_empty=checks.drop_empty,
    spec=None,
    first='',
  )
  num_empty = 0
  for indices in positions.values():
    for position in indices:
      file = files[position]
      record = _read(file, 0, table)
      if 'keypoint' in record:
        score = record.get('keypoint_score')
        spec = shards.RecordSpec(
          num_joints=record['keypoint'].shape[2],
          num_channels=record['keypoint'].shape[3],
          keypoint_dtype=record['keypoint'].dtype.name,
          score_dtype='' if score is None else score.dtype.name,
        )
        return dataclasses.replace(
          table, spec=spec, first=f'{file.path}, sample {file.id!r}'
        )
      num_empty += 1
  raise errors.UserError(
    f'None of the {num_empty:,} clips shows anybody: all keypoints are zero, or'
    ' there are no frames or no persons.'
  )


def _estimate_bytes(
  files: Sequence[readers.Clip], indices: Sequence[int], table: ClipTable
) -> int:
  """About how large the records of a split are, from a few of its clips.

  Evenly spread, not drawn: the number of shards must follow from the input.
  """
  count = min(_NUM_SAMPLES, len(indices))
  chosen = [indices[len(indices) * i // count] for i in range(count)]
  size = 0
  for position in chosen:
    record = _read(files[position], position, table)
    if 'keypoint' in record:
      size += len(records.encode(record, table.spec))
  return size * len(indices) // count


class ClipReader(contextlib.AbstractContextManager):
  """Makes records of rows, in a worker."""

  def __init__(self, table: ClipTable):
    self._table = table

  def __exit__(self, *unused_error) -> None:
    pass

  def decode(self, data: bytes) -> dict[str, Any]:
    """The record of a row, without its box; only the id of an empty clip.

    Raises:
      UserError: the clip cannot be read or used, or is unlike the first.
    """
    position, file = pickle.loads(data)
    return _read(file, position, self._table)


def _read(
  file: readers.Clip, position: int, table: ClipTable
) -> dict[str, Any]:
  """The record of a clip, of the table's spec where it has one.

  Returns:
    With 'num_dropped', the persons that were cut; only the id of a clip that
    shows nobody.
  """
  spec = table.spec
  try:
    record = readers.check_clip(
      file,
      layout=table.layout,
      num_classes=0,
      third_channel=table.third_channel,
    )
  except readers.ClipError as error:
    if error.kind != 'empty':
      raise
    return {'id': file.id}
  except OSError as error:
    raise errors.UserError(
      f'{file.path}, sample {file.id!r}: cannot be read: {error}. It was there'
      ' when the clips were listed; every worker must see it under this name.'
    ) from error
  if spec is not None:
    _compare(record, file, table)
  num_dropped = 0
  if table.max_persons:
    keypoint, score, num_dropped = persons.select_persons(
      record['keypoint'], record.get('keypoint_score'), table.max_persons
    )
    record['keypoint'] = keypoint
    if score is not None:
      record['keypoint_score'] = score
  return {
    **record,
    'position': position,
    'box': np.zeros(4, np.float32),
    'num_dropped': num_dropped,
  }


def _compare(
  record: Mapping[str, Any], file: readers.Clip, table: ClipTable
) -> None:
  """Raises UserError if a clip cannot be stored as the first one is."""
  spec = table.spec
  keypoint, score = record['keypoint'], record.get('keypoint_score')
  where = f'{file.path}, sample {file.id!r}'
  found = keypoint.shape[3], score is not None
  if found != (spec.num_channels, spec.has_score):
    raise errors.UserError(
      f'{where} has {scratch.kind(*found)}, and the first clip, {table.first},'
      f' has {scratch.kind(spec.num_channels, spec.has_score)}. All clips of a'
      ' dataset must be alike: prepare them as two datasets.'
    )
  wide = {'keypoint': keypoint.dtype.name}
  narrow = {'keypoint': spec.keypoint_dtype}
  if score is not None:
    wide['keypoint_score'] = score.dtype.name
    narrow['keypoint_score'] = spec.score_dtype
  for field, dtype in wide.items():
    if dtype == 'float32' and narrow[field] == 'float16':
      raise errors.UserError(
        f'{where} has a {field!r} of float32, and that of the first clip,'
        f' {table.first}, is float16, in which it would lose digits. Write all'
        ' clips with one type.'
      )
