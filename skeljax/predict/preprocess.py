"""Preprocess a user's clip the way the checkpoint's training data was.

The steps are those of data_prep, in the same order and dtypes: check, select
persons, normalize or project, compute the box.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

import numpy as np

from skeljax import errors
from skeljax import readers
from skeljax.datasets import finish
from skeljax.datasets import records
from skeljax.predict import mismatch
from skeljax.predict.checkpoint import Target
from skeljax.predict.clips import UserClip
from skeljax.readers import persons


@dataclasses.dataclass(frozen=True)
class Preprocessed:
  """A clip that is ready to be scored.

  Attributes:
    record: as data_prep would store it.
    description: fields of the clip in the output, see docs/predict.md.
    persons: (description, record) of each person alone, if requested.
  """

  record: records.Record
  description: Mapping[str, Any]
  persons: tuple[tuple[Mapping[str, int], records.Record], ...]


def preprocess(clip: UserClip, target: Target) -> Preprocessed:
  """Read a clip and preprocess it for a checkpoint.

  Raises:
    UserError: it cannot be read, or differs from the training data.
  """
  item = clip.read()
  mismatch.check_layout(clip, item, target)
  record = _check(clip, item, target)
  mismatch.check_dims(record, clip.where, target)
  record, notes = _match_scores(record, clip, target)
  mismatch.check_img_shape(record, clip.where, target)
  if target.options.check_units:
    mismatch.check_units(record, clip.where, target)
  is_present = record['keypoint'].any(axis=(1, 2, 3))
  selected, num_dropped = _select_persons(record, clip, target)
  if num_dropped:
    notes.append(
      f'kept the {target.max_persons} persons with the most motion, dropped'
      f' {num_dropped}'
    )
  alone: tuple[Any, ...] = ()
  if target.options.per_person:
    alone = tuple(
      _person(record, int(number), target, clip.where)
      for number in np.flatnonzero(is_present)
    )
  img_shape = [int(side) for side in record['img_shape']]
  description = {
    'file': clip.file,
    'id': clip.id,
    'format': clip.format,
    'layout': target.spec.layout.name,
    'frames': record['total_frames'],
    'persons': int(is_present.sum()),
    'img_shape': img_shape if all(img_shape) else None,
    'notes': notes,
  }
  return Preprocessed(_finish(selected, target, clip.where), description, alone)


def _check(
  clip: UserClip, item: Mapping[str, Any], target: Target
) -> dict[str, Any]:
  """The checked record, in the dtypes in which data_prep would read it."""
  spec, is_assumed = target.spec, target.loaded.is_assumed
  dtype, score_dtype = clip.dtype, None
  # 3D is normalized and projected in the dtype of the source.
  if spec.normalize == 'none' and spec.project == 'none' and not is_assumed:
    dtype = spec.keypoint_dtype
  if spec.project == 'none' and not is_assumed:
    score_dtype = spec.score_dtype or dtype
  try:
    return readers.check_clip(
      readers.Clip(clip.id, None, clip.file, lambda: item),
      layout=spec.layout,
      num_classes=None,
      third_channel=target.options.third_channel,
      dtype=dtype,
      score_dtype=score_dtype,
    )
  except readers.ClipError as error:
    if error.kind != 'empty':
      raise
    raise readers.ClipError(
      error.kind,
      clip.where,
      'contains no person: it has no frames, or all keypoints are zero.',
    ) from error


def _match_scores(
  record: dict[str, Any], clip: UserClip, target: Target
) -> tuple[dict[str, Any], list[str]]:
  """The record with scores if the model takes them, else without; notes."""
  spec, has_score = target.spec, 'keypoint_score' in record
  is_projected = spec.project != 'none' and record['keypoint'].shape[-1] == 3
  if is_projected or has_score == spec.has_score:
    return record, []
  if has_score:
    record = {k: v for k, v in record.items() if k != 'keypoint_score'}
    return record, ['ignored the scores: the model was trained without']
  if target.loaded.is_assumed and target.loaded.input_kind == 'heatmaps':
    return record, ['no scores: every joint is drawn with score 1']
  raise errors.UserError(
    f'{clip.where} has no scores, and {target.source} was trained with them.'
    " Add 'keypoint_score' [persons, frames, joints] from the pose estimator, or"
    ' use a checkpoint trained without scores.'
  )


def _select_persons(
  record: dict[str, Any], clip: UserClip, target: Target
) -> tuple[dict[str, Any], int]:
  """The record with the persons that move most; the number of others."""
  if not target.max_persons or clip.is_compressed:
    return record, 0
  keypoint, score, num_dropped = persons.select_persons(
    record['keypoint'], record.get('keypoint_score'), target.max_persons
  )
  record = {**record, 'keypoint': keypoint}
  if score is not None:
    record['keypoint_score'] = score
  return record, num_dropped


def _person(
  record: Mapping[str, Any], number: int, target: Target, where: str
) -> tuple[dict[str, int], records.Record]:
  """One person from the first to the last frame in which it is present."""
  frames = np.flatnonzero(record['keypoint'][number].any(axis=(1, 2)))
  first, last = int(frames[0]), int(frames[-1])
  alone = {**record, 'total_frames': last + 1 - first}
  for field in ('keypoint', 'keypoint_score'):
    if field in record:
      alone[field] = record[field][number : number + 1, first : last + 1]
  description = {'person': number, 'first_frame': first, 'last_frame': last}
  return description, _finish(alone, target, where)


def _finish(
  record: Mapping[str, Any], target: Target, where: str
) -> dict[str, Any]:
  """The record as data_prep would store it."""
  spec = target.spec
  is_2d = record['keypoint'].shape[-1] == 2
  result = finish.finish_record(
    {**record, 'box': np.zeros(4, np.float32)},
    layout=spec.layout,
    normalize=spec.normalize,
    project='none' if is_2d else spec.project,
  )
  dtype = spec.keypoint_dtype
  if target.loaded.is_assumed:
    dtype = 'float32' if spec.normalize != 'none' else result['keypoint'].dtype
  result['keypoint'] = result['keypoint'].astype(dtype)
  if 'keypoint_score' in result and not target.loaded.is_assumed:
    result['keypoint_score'] = result['keypoint_score'].astype(spec.score_dtype)
  if target.max_frames and result['total_frames'] > target.max_frames:
    raise errors.UserError(
      f'{where} has {result["total_frames"]} frames, and {target.source} takes at'
      f' most {target.max_frames}. Cut it into shorter clips.'
    )
  return result
