"""From an annotation file to a scratch file of checked clips.

An annotation file is one pickle, so one process reads it whole. It is checked
there, clip by clip, and each clip leaves memory for the scratch file at once;
what is left to do for a clip, Beam's workers do.
"""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

from absl import logging
from array_record.python import array_record_module
import numpy as np

from data_prep import progress
from data_prep import shards
from skeljax import errors
from skeljax import readers
from skeljax import skeletons
from skeljax.datasets import records
from skeljax.readers import checks
from skeljax.readers import compressed
from skeljax.readers import persons

# How many ids an error names.
_IDS_SHOWN = 10


@dataclasses.dataclass(frozen=True)
class CheckedClips:
  """The scratch file and what was seen while it was written.

  Attributes:
    path: the scratch file.
    rows: rows of the scratch file by split.
    spec: how its records are coded.
    num_persons: largest number of persons in a clip; None, as the next two,
      where only the workers will see.
    max_label: the largest label.
    has_img_shape: whether the picture's size is known for every clip, or None.
    num_cut: clips that show more persons than were kept, or None; of compressed
      clips only where fewer were kept than in the published preparation.
    num_bytes: encoded clips by split.
    table: how workers make records of the rows (tables.Table,
      clip_tables.ClipTable); None where the rows are records.
    bundles: tasks (tables.BundleTask) to be done before the rows can be read.
  """

  path: str
  rows: Mapping[str, range]
  spec: shards.RecordSpec
  num_persons: int | None
  max_label: int
  has_img_shape: bool | None
  num_cut: int | None
  num_bytes: Mapping[str, int]
  table: Any = None
  bundles: tuple[Any, ...] = ()


@dataclasses.dataclass(frozen=True)
class Checks:
  """What every clip is held against; see data_prep.prepare.Options.

  Attributes:
    layout: whose joints the clips must have.
    num_classes: labels must be smaller; 0 when it is not known.
    third_channel: what a third channel is.
    max_persons: of more persons those that move most are kept; 0 keeps all.
    selection: which skeletons of the compressed training clips count. NOTE:
      of validation clips all do, as published; accuracies on other clips could
      not be compared.
    drop_empty: leave out clips in which nobody is seen; otherwise they are an
      error.
  """

  layout: skeletons.Layout
  num_classes: int
  third_channel: str
  max_persons: int
  selection: compressed.Selection
  drop_empty: bool

  def selection_of(self, split: str) -> compressed.Selection:
    """Which skeletons of the compressed clips of a split count."""
    if split == 'train':
      return self.selection
    return dataclasses.replace(self.selection, valid_ratio=0.0)


def write_scratch(
  annotations: readers.RawDataset,
  positions: Mapping[str, Sequence[int]],
  path: str,
  checks: Checks,
) -> CheckedClips:
  """Checks the clips of all splits and writes them, split after split.

  Args:
    annotations: emptied on the way, so that memory is freed.
    positions: indices of the annotations by split.
    path: the file to write.
    checks: what to check.

  Raises:
    UserError: a clip cannot be used, or the clips do not fit together.
  """
  reading = _Reading(annotations, positions, checks)
  writer = array_record_module.ArrayRecordWriter(path, shards.SCRATCH_OPTIONS)
  rows, num_bytes, written = {}, {}, 0
  try:
    with progress.Progress('reading', reading.num_clips) as shown:
      for split, indices in positions.items():
        first, num_bytes[split] = written, 0
        for position in indices:
          shown.advance_to(shown.done + 1)
          record = reading.take(position, checks.selection_of(split))
          if record is not None:
            data = records.encode(record, reading.spec)
            num_bytes[split] += len(data)
            writer.write(data)
            written += 1
        rows[split] = range(first, written)
  finally:
    writer.close()
  reading.report()
  shards.count_records(path, written)
  check_splits(annotations, rows)
  return CheckedClips(
    path=path,
    rows=rows,
    spec=reading.spec,
    num_persons=reading.num_persons,
    max_label=reading.max_label,
    has_img_shape=reading.has_img_shape,
    num_cut=reading.num_cut,
    num_bytes=num_bytes,
  )


def check_splits(
  annotations: readers.RawDataset, rows: Mapping[str, Sequence[int]]
) -> None:
  """Raises UserError if nothing is left of a split."""
  for split, clips in rows.items():
    if not clips:
      raise errors.UserError(
        f'{annotations.source}: no clip is left in the {split} split.'
      )


def report_empty(source: str, ids: Sequence[str], drop_empty: bool) -> None:
  """Logs the clips that show nobody; raises UserError if they must not be."""
  if not ids:
    return
  shown = readers.first_few(ids, _IDS_SHOWN)
  if not drop_empty:
    raise errors.UserError(
      f'{source}: nobody is seen in {len(ids):,} clips (no frames, no persons,'
      f' or all keypoints zero): {shown}. A model would learn their labels from'
      ' nothing. Take them out of the splits, or add --drop_empty to leave them'
      ' out.'
    )
  logging.warning(
    'left out %d clips in which nobody is seen: %s', len(ids), shown
  )


def report_cut(num_clips: int, num_dropped: int, max_persons: int) -> None:
  """Logs how many clips lost persons, and how many persons."""
  if num_dropped:
    logging.info(
      '%d clips show more than %d persons: kept those that move most,'
      ' dropped %d persons (--max_persons)',
      num_clips,
      max_persons,
      num_dropped,
    )


def report_crowded(num_clips: int, max_persons: int | None) -> None:
  """Logs how many compressed clips lost persons."""
  if num_clips:
    logging.info(
      '%d clips show more than %d persons at once: kept those of the highest'
      ' scores in each frame (--max_persons)',
      num_clips,
      max_persons,
    )


class _Reading:
  """Takes clips out of the annotations and remembers what they were like."""

  def __init__(
    self,
    annotations: readers.RawDataset,
    positions: Mapping[str, Sequence[int]],
    checks: Checks,
  ):
    self._annotations = annotations
    self._checks = checks
    self._uses = drop_unused(annotations, positions)
    self.num_clips = int(self._uses.sum())
    dtypes = _stored_dtypes([clip.read() for clip in annotations.clips])
    self._dtypes = {'dtype': dtypes['keypoint'] or 'float32'}
    if dtypes['keypoint_score']:
      self._dtypes['score_dtype'] = dtypes['keypoint_score']
    self._first = None
    self._empty = []
    # Whole clips with more persons than are kept, and compressed ones.
    self._num_cut = self._num_crowded = self._num_dropped = 0
    self.spec = None
    self.num_persons = self.max_label = 0
    self.has_img_shape = True

  @property
  def num_cut(self) -> int:
    if self._checks.selection.keeps_fewer_persons:
      return self._num_cut + self._num_crowded
    return self._num_cut

  def take(self, position: int, selection: compressed.Selection) -> dict | None:
    """The record of a clip, without its box; None for an empty clip."""
    clip = self._annotations.clips[position]
    item, path, sample_id = clip.read(), clip.path, clip.id
    self._uses[position] -= 1
    if not self._uses[position]:
      self._annotations.release(position)
    is_compressed = _holds_compressed(item)
    if is_compressed:
      where = f'{path}, sample {sample_id!r}'
      frame_inds, _ = compressed.chosen_skeletons(item, selection, where)
      *_, is_crowded = compressed.decompressed_shape(
        frame_inds, selection.max_persons
      )
      item = compressed.decompress_item(item, selection, where)
    try:
      record = readers.check_clip(
        dataclasses.replace(clip, read=lambda: item),
        layout=self._checks.layout,
        num_classes=self._checks.num_classes,
        third_channel=self._checks.third_channel,
        **self._dtypes,
      )
    except checks.ClipError as error:
      if error.kind != 'empty':
        raise
      self._empty.append(sample_id)
      return None
    self._compare(record, path)
    if is_compressed:
      self._num_crowded += is_crowded
    else:
      self._cut_persons(record)
    self.num_persons = max(self.num_persons, len(record['keypoint']))
    self.max_label = max(self.max_label, record['label'])
    self.has_img_shape &= bool(record['img_shape'].all())
    return {**record, 'position': position, 'box': np.zeros(4, np.float32)}

  def report(self) -> None:
    """Logs what was left out; raises UserError if it must not be."""
    report_cut(self._num_cut, self._num_dropped, self._checks.max_persons)
    report_crowded(self._num_crowded, self._checks.selection.max_persons)
    report_empty(self._annotations.source, self._empty, self._checks.drop_empty)

  def _compare(self, record: Mapping[str, Any], path: str) -> None:
    """Learns the spec from the first clip; all others must agree with it."""
    num_channels = record['keypoint'].shape[-1]
    has_score = 'keypoint_score' in record
    if self.spec is None:
      self._first = record['id']
      self.spec = shards.RecordSpec(
        num_joints=record['keypoint'].shape[2],
        num_channels=num_channels,
        keypoint_dtype=self._dtypes['dtype'],
        score_dtype=record['keypoint_score'].dtype.name if has_score else '',
      )
    spec = self.spec
    if (num_channels, has_score) != (spec.num_channels, spec.has_score):
      raise errors.UserError(
        f'{path}, sample {record["id"]!r} has {kind(num_channels, has_score)},'
        f' and the first clip, {self._first!r}, has'
        f' {kind(spec.num_channels, spec.has_score)}. All clips of a dataset'
        ' must be alike: prepare them as two datasets.'
      )

  def _cut_persons(self, record: dict[str, Any]) -> None:
    if not self._checks.max_persons:
      return
    keypoint, score, num_dropped = persons.select_persons(
      record['keypoint'],
      record.get('keypoint_score'),
      self._checks.max_persons,
    )
    record['keypoint'] = keypoint
    if score is not None:
      record['keypoint_score'] = score
    self._num_cut += num_dropped > 0
    self._num_dropped += num_dropped


def kind(num_channels: int, has_score: bool) -> str:
  """What a clip's keypoints are like, in words."""
  return (
    f'{num_channels}D keypoints {"with" if has_score else "without"} scores'
  )


def drop_unused(
  annotations: readers.RawDataset,
  positions: Mapping[str, Sequence[int]],
) -> np.ndarray:
  """Frees the clips that are in neither split; how often each is in one."""
  uses = np.zeros(len(annotations.clips), np.int8)
  for indices in positions.values():
    uses[np.asarray(indices, np.int64)] += 1
  for position in np.flatnonzero(uses == 0):
    annotations.release(position)
  return uses


def _holds_compressed(item: Mapping[str, Any]) -> bool:
  """Whether an item holds the keypoints of the compressed form itself."""
  return compressed.is_compressed(item) and 'keypoint' in item


def _stored_dtypes(items: Sequence[Mapping | None]) -> dict[str, str]:
  """The type in which all keypoints, and all scores, can be stored."""
  result = {}
  as_filled = np.zeros(0, np.float16)
  for field in ('keypoint', 'keypoint_score'):
    arrays = [
      as_filled if _holds_compressed(item) else item.get(field)
      for item in items
      if item is not None
    ]
    arrays = [array for array in arrays if isinstance(array, np.ndarray)]
    result[field] = checks.stored_dtype(arrays) if arrays else ''
    names = sorted({array.dtype.name for array in arrays})
    if names not in ([], [result[field]]):
      logging.info(
        '%s of type %s are stored as %s', field, ', '.join(names), result[field]
      )
  return result
