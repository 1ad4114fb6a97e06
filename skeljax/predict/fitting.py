"""A clip of somebody's own, made what a checkpoint was trained with.

The steps are those of the preparation, in its order and its number types:
check, choose persons, normalise or project, box. Where a clip is of another
kind than the training data, an error says in what it differs.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

import numpy as np

from skeljax import errors
from skeljax import readers
from skeljax import skeletons
from skeljax.datasets import finish
from skeljax.datasets import records
from skeljax.predict import mismatch
from skeljax.predict import own_clips
from skeljax.readers import persons


@dataclasses.dataclass(frozen=True)
class Person:
  """One person of a clip, as if nobody else were in it.

  Attributes:
    number: of the person in the clip, from 0.
    first_frame: in which the person is seen, of the clip's frames.
    last_frame: in which the person is seen.
    record: of this person alone, from the first to the last of these frames.
  """

  number: int
  first_frame: int
  last_frame: int
  record: records.Record


@dataclasses.dataclass(frozen=True)
class Fitted:
  """A clip that can go into a batch.

  Attributes:
    clip: where it is from.
    layout: the name of its layout.
    num_frames: of the clip as it was read.
    num_persons: persons that are seen in it.
    img_shape: (height, width) in pixels; zeros when unknown.
    record: as the preparation would store it.
    persons: each of the persons by itself, where they were asked for.
    notes: sentences on what was left out or assumed.
  """

  clip: own_clips.OwnClip
  layout: str
  num_frames: int
  num_persons: int
  img_shape: tuple[int, int]
  record: records.Record
  persons: tuple[Person, ...]
  notes: tuple[str, ...]


def fit(
  clip: own_clips.OwnClip,
  expected: mismatch.Expected,
  *,
  per_person: bool = False,
) -> Fitted:
  """Reads a clip and makes it what the checkpoint takes.

  Args:
    clip: to be read.
    expected: by the checkpoint.
    per_person: whether to make a record of each person too.

  Raises:
    UserError: it cannot be read, or differs from the training data.
  """
  item = clip.read()
  spec = expected.spec
  notes: list[str] = []
  layout = mismatch.check_layout(clip, item, spec.layout, expected.source)
  record = _check(clip, item, expected)
  record = _fit_scores(record, clip, expected, notes)
  mismatch.check_dims(record, clip.where, expected)
  mismatch.check_img_shape(record, clip.where, expected)
  if expected.check_units:
    mismatch.check_units(record, clip.where, expected)
  seen = record['keypoint'].any(axis=(1, 2, 3))
  alone: tuple[Person, ...] = ()
  if per_person:
    alone = tuple(
      _person(record, int(number), layout, expected, clip.where)
      for number in np.flatnonzero(seen)
    )
  height, width = (int(side) for side in record['img_shape'])
  return Fitted(
    clip=clip,
    layout=layout.name,
    num_frames=record['total_frames'],
    num_persons=int(seen.sum()),
    img_shape=(height, width),
    record=_finish(
      _cut_persons(record, clip, expected, notes), layout, expected, clip.where
    ),
    persons=alone,
    notes=tuple(notes),
  )


def _check(
  clip: own_clips.OwnClip, item: Mapping[str, Any], expected: mismatch.Expected
) -> dict[str, Any]:
  """The record of a clip, in the types in which it would be prepared."""
  spec = expected.spec
  # What is computed in 3D is computed in the type of the source.
  is_computed = spec.normalize != 'none' or spec.project != 'none'
  dtype = clip.dtype
  if not is_computed and not expected.is_assumed:
    dtype = spec.keypoint_dtype
  score_dtype = None
  if spec.project == 'none' and not expected.is_assumed:
    score_dtype = spec.score_dtype or dtype
  try:
    return readers.check_clip(
      readers.Clip(clip.id, None, clip.file, lambda: item),
      layout=spec.layout,
      num_classes=None,
      third_channel=expected.third_channel,
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


def _fit_scores(
  record: dict[str, Any],
  clip: own_clips.OwnClip,
  expected: mismatch.Expected,
  notes: list[str],
) -> dict[str, Any]:
  """The record with scores where the network takes some, and without else."""
  spec = expected.spec
  if spec.project != 'none' and record['keypoint'].shape[-1] == 3:
    return record
  has_score = 'keypoint_score' in record
  if has_score and not spec.has_score:
    notes.append('scores were left out: the network was trained without')
    return {k: v for k, v in record.items() if k != 'keypoint_score'}
  if has_score or not spec.has_score:
    return record
  if expected.takes_volumes and expected.is_assumed:
    notes.append('no scores: every joint is drawn with score 1')
    return record
  mismatch.refuse_missing_scores(record, clip.where, expected)
  return record


def _cut_persons(
  record: dict[str, Any],
  clip: own_clips.OwnClip,
  expected: mismatch.Expected,
  notes: list[str],
) -> dict[str, Any]:
  """The record with the persons that move most."""
  if not expected.max_persons or clip.is_compressed:
    return record
  keypoint, score, num_dropped = persons.select_persons(
    record['keypoint'], record.get('keypoint_score'), expected.max_persons
  )
  if num_dropped:
    notes.append(
      f'kept the {expected.max_persons} persons that move most, dropped'
      f' {num_dropped}'
    )
  record = {**record, 'keypoint': keypoint}
  if score is not None:
    record['keypoint_score'] = score
  return record


def _person(
  record: Mapping[str, Any],
  number: int,
  layout: skeletons.Layout,
  expected: mismatch.Expected,
  where: str,
) -> Person:
  frames = np.flatnonzero(record['keypoint'][number].any(axis=(1, 2)))
  first, last = int(frames[0]), int(frames[-1])
  alone = {**record, 'total_frames': last + 1 - first}
  for field in ('keypoint', 'keypoint_score'):
    if field in record:
      alone[field] = record[field][number : number + 1, first : last + 1]
  return Person(number, first, last, _finish(alone, layout, expected, where))


def _finish(
  record: Mapping[str, Any],
  layout: skeletons.Layout,
  expected: mismatch.Expected,
  where: str,
) -> dict[str, Any]:
  """The record as the preparation would store it."""
  spec = expected.spec
  is_2d = record['keypoint'].shape[-1] == 2
  result = finish.finish_record(
    {**record, 'box': np.zeros(4, np.float32)},
    layout=layout,
    normalize=spec.normalize,
    project='none' if is_2d else spec.project,
  )
  dtype = spec.keypoint_dtype
  if expected.is_assumed:
    dtype = 'float32' if spec.normalize != 'none' else result['keypoint'].dtype
  result['keypoint'] = result['keypoint'].astype(dtype)
  # A PyTorch file does not specify the dtype of the scores.
  if 'keypoint_score' in result and not expected.is_assumed:
    result['keypoint_score'] = result['keypoint_score'].astype(spec.score_dtype)
  longest = expected.longest_clip
  if longest is not None and result['total_frames'] > longest:
    raise errors.UserError(
      f'{where} has {result["total_frames"]} frames, and {expected.source} takes'
      f' clips of at most {longest}. Cut it into shorter ones.'
    )
  return result
