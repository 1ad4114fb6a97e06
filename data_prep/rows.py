"""Rows: one per clip to prepare, and the decoder that makes records of them.

The decoder runs in Beam's workers and in data_prep.check, so `check` reports
what preparing the dataset would reject.
"""

from collections.abc import Iterable, Mapping, Sequence
import dataclasses
from typing import Any

from absl import logging
import numpy as np

from data_prep import options as options_lib
from skeljax import errors
from skeljax import readers
from skeljax import skeletons
from skeljax.datasets import finish
from skeljax.readers import checks
from skeljax.readers import compressed
from skeljax.readers import persons


@dataclasses.dataclass(frozen=True)
class Row:
  """A clip to prepare, on its way to a worker.

  Attributes:
    position: index of the clip in the dataset.
    clip: reads the keypoints, [M, T, V, C].
    is_compressed: whether the persons per frame are already limited.
    num_dropped: persons that this limit drops from the most crowded frame.
  """

  position: int
  clip: readers.Clip
  is_compressed: bool = False
  num_dropped: int = 0


def make_row(
  dataset: readers.RawDataset,
  position: int,
  selection: compressed.Selection,
  keypoints: readers.Clip | None = None,
) -> Row:
  """Return the row of a clip.

  Args:
    dataset: opened dataset.
    position: of the clip.
    selection: skeletons to keep of compressed clips.
    keypoints: reads the keypoints of a compressed clip that has none itself.

  Raises:
    UserError: the fields of a compressed clip are invalid.
  """
  clip = dataset.clips[position]
  if not dataset.in_memory:
    return Row(position, clip)
  item = clip.read()
  if keypoints is None and not is_compressed(item):
    return Row(position, clip)
  frames, _ = compressed.chosen_skeletons(item, selection, clip.where)
  num_persons, *_ = compressed.decompressed_shape(frames, None)
  num_kept, *_ = compressed.decompressed_shape(frames, selection.max_persons)
  return Row(
    position,
    compressed.decompressed(clip, selection, keypoints),
    is_compressed=True,
    num_dropped=num_persons - num_kept,
  )


def valid_positions(
  dataset: readers.RawDataset,
  positions: Sequence[int],
  selection: compressed.Selection,
) -> Sequence[int]:
  """Remove the compressed training clips below the valid ratio.

  Raises:
    UserError: a clip is not compressed, or none remains.
  """
  if not selection.valid_ratio:
    return positions
  kept = []
  for position in positions:
    clip = dataset.clips[position]
    item = clip.read()
    if not compressed.is_compressed(item):
      raise errors.UserError(
        f"{clip.where} is not compressed: it has no 'frame_inds'. Remove"
        ' --valid_ratio and --box_threshold, which are for compressed'
        ' annotations as those of Kinetics-400.'
      )
    if compressed.is_valid(item, selection, clip.where):
      kept.append(position)
  if not kept:
    raise errors.UserError(
      f'{dataset.source}: no training clip reaches'
      f' --valid_ratio={selection.valid_ratio:g}.'
    )
  logging.info(
    '%d of %d training clips reach --valid_ratio=%g',
    len(kept),
    len(positions),
    selection.valid_ratio,
  )
  return kept


def check_label(clip: readers.Clip, num_classes: int) -> int:
  """Return the label of a clip.

  Raises:
    UserError: the label, or the id, cannot be stored.
  """
  try:
    clip.id.encode()
  except UnicodeEncodeError as error:
    raise errors.UserError(
      f'{clip.where}: the file name is not UTF-8 text. Rename the file.'
    ) from error
  return checks.check_label(clip.label, num_classes, clip.where)


def is_compressed(item: readers.Item) -> bool:
  """Whether a clip is compressed and has its keypoints."""
  return compressed.is_compressed(item) and item.get('keypoint') is not None


def storage_dtypes(
  dataset: readers.RawDataset, positions: Iterable[int]
) -> tuple[str, str] | None:
  """Dtypes that store the keypoints and the scores of all clips without loss.

  Returns:
    'float16' or 'float32' for each; None if the clips are not in memory, so
    that the dtypes of the first clip have to do.
  """
  if not dataset.in_memory:
    return None
  arrays: dict[str, list[np.ndarray]] = {'keypoint': [], 'keypoint_score': []}
  half = np.zeros(0, np.float16)  # Compressed clips become float16.
  for position in positions:
    item = dataset.clips[position].read()
    for field, found in arrays.items():
      is_whole = not compressed.is_compressed(item)
      array = item.get(field) if is_whole else half
      if isinstance(array, np.ndarray):
        found.append(array)
  keypoint, score = (checks.stored_dtype(found) for found in arrays.values())
  # Without 'keypoint_score' a score can only be a channel of the keypoints.
  return keypoint, score if arrays['keypoint_score'] else keypoint


@dataclasses.dataclass(frozen=True)
class Decoder:
  """Makes records of rows: read, validate, select persons, normalize.

  Attributes:
    options: how to select persons, normalize and project.
    layout: expected skeleton layout; None for any.
    num_classes: labels have to be smaller; 0 if the number is unknown.
    first: the clip that defines the fields below, for errors; '' before `fit`.
    num_joints: V of all clips.
    num_channels: C of all clips.
    keypoint_dtype: dtype of the keypoints before normalization.
    score_dtype: dtype of the scores; '' if the clips have none.
  """

  options: options_lib.Options
  layout: skeletons.Layout | None
  num_classes: int
  first: str = ''
  num_joints: int = 0
  num_channels: int = 0
  keypoint_dtype: str = ''
  score_dtype: str = ''

  def fit(
    self, row: Row, record: Mapping[str, Any], dtypes: tuple[str, str] | None
  ) -> 'Decoder':
    """Require that all clips have the format of this one.

    Args:
      row: the first clip that is not empty.
      record: what `read` returned for it.
      dtypes: what storage_dtypes returned.
    """
    keypoint, score = record['keypoint'], record.get('keypoint_score')
    if dtypes is None:
      dtypes = keypoint.dtype.name, '' if score is None else score.dtype.name
    return dataclasses.replace(
      self,
      first=row.clip.where,
      num_joints=keypoint.shape[2],
      num_channels=keypoint.shape[3],
      keypoint_dtype=dtypes[0],
      score_dtype='' if score is None else dtypes[1],
    )

  def fit_first(
    self, rows: Iterable[Row], dtypes: tuple[str, str] | None
  ) -> 'Decoder | None':
    """Call `fit` with the first row that is not empty; None if all are.

    Raises:
      UserError: a clip before it is invalid.
    """
    for row in rows:
      try:
        return self.fit(row, self.read(row), dtypes)
      except readers.ClipError as error:
        if error.kind != 'empty':
          raise
    return None

  def read(self, row: Row) -> dict[str, Any]:
    """Read and validate a clip.

    Raises:
      ClipError: the clip is invalid; of kind 'empty' if it has no person.
      UserError: it cannot be read.
    """
    try:
      record = checks.check_clip(
        row.clip,
        layout=self.layout,
        num_classes=self.num_classes,
        third_channel=self.options.third_channel,
      )
    except OSError as error:
      raise errors.UserError(
        f'{row.clip.where}: cannot be read: {error}. It existed when the clips'
        ' were listed; every worker needs access to it under this path.'
      ) from error
    return {**record, 'position': row.position}

  def decode(self, row: Row) -> dict[str, Any]:
    """Return the record of a row, after `fit`.

    Returns:
      What records.encode needs, and 'source_dtype', 'is_compressed' and
      'num_dropped' for the statistics.

    Raises:
      UserError: see `read`; or the clip differs from the first one, or cannot
        be normalized.
    """
    record = self.read(row)
    keypoint, score = record['keypoint'], record.get('keypoint_score')
    self._check_format(row, keypoint, score)
    source_dtype, num_dropped = keypoint.dtype.name, row.num_dropped
    keypoint = keypoint.astype(self.keypoint_dtype, copy=False)
    if self.options.num_kept and not row.is_compressed:
      keypoint, score, num_dropped = persons.select_persons(
        keypoint, score, self.options.num_kept
      )
    record.update(keypoint=keypoint, box=np.zeros(4, np.float32))
    if score is not None:
      record['keypoint_score'] = score.astype(self.score_dtype, copy=False)
    if self.layout is not None:
      record = finish.finish_record(
        record,
        layout=self.layout,
        normalize=self.options.normalize,
        project=self.options.project,
      )
    return {
      **record,
      'source_dtype': source_dtype,
      'is_compressed': row.is_compressed,
      'num_dropped': num_dropped,
    }

  def _check_format(
    self, row: Row, keypoint: np.ndarray, score: np.ndarray | None
  ) -> None:
    """Raise ClipError unless a clip can be stored as the first one."""
    num_joints, num_channels = keypoint.shape[2:]
    found = _format(num_joints, num_channels, score is not None)
    expected = _format(self.num_joints, self.num_channels, self.score_dtype)
    if found != expected:
      raise readers.ClipError(
        'format',
        row.clip.where,
        f'has {found}, the first clip ({self.first}) has {expected}. Prepare'
        ' them as two datasets.',
      )
    fields = [('keypoint', keypoint.dtype, self.keypoint_dtype)]
    if score is not None:
      fields.append(('keypoint_score', score.dtype, self.score_dtype))
    for field, dtype, stored in fields:
      if dtype.itemsize > np.dtype(stored).itemsize:
        raise readers.ClipError(
          'dtype',
          row.clip.where,
          f'{field!r} is {dtype} and would lose precision: in the first clip'
          f' ({self.first}) it is {stored}. Write all clips with one dtype.',
        )


def _format(num_joints: int, num_channels: int, has_score: Any) -> str:
  return (
    f'{num_joints} joints in {num_channels}D'
    f' {"with" if has_score else "without"} scores'
  )
