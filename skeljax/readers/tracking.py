"""Match persons from frame to frame if a pose tool gives no track ids.

Greedy matching: the persons of a frame are compared with the last person of every
active track, and the most similar pair is matched first, down to a threshold. The
remaining persons start new tracks.

Similarity is one of

  OKS   sum over common joints i of exp(-d_i^2 / (2 s^2 k_i^2)), divided by their
        number; d_i is the distance between the two positions of joint i,
        k_i = 2 sigma_i, and s^2 the mean area of the two boxes around the joints
        that were found, with no side shorter than a quarter of the other
  IoU   area of the intersection of the two boxes divided by that of their union

Trackers lose persons, and ten short tracks of one person would be ten persons of
a clip. So tracks that do not overlap in time share a row of the clip's array.

Sources: object keypoint similarity and sigmas of the COCO keypoint evaluation;
greedy matching with the last poses and the threshold 0.3 as in the tracking demo
of MMPose 0.x. Deviations: COCO's s^2 is the area of a segmentation, which pose
tools do not give; the most similar pair is matched first, not the first person of
the file, so the result does not depend on the order in the file; a track may be
missing for a third of a second. Sharing rows follows pyskl's preparation of NTU
RGB+D.
"""

from collections.abc import Sequence
from typing import Any

from absl import logging
import numpy as np

from skeljax.readers import checks

MODES = ('oks', 'iou', 'none')

THRESHOLD = 0.3
# Frames for which a track may be missing: a third of a second at 30 per second.
MAX_MISSED = 10

COCO_SIGMAS = np.array(
  [0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072]
  + [0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089]
)
# For joints of other layouts.
_SIGMA = float(COCO_SIGMAS.mean())
# Least ratio of the sides of a box: joints on a line do not make it flat.
_LEAST_SIDE = 0.25


def tracks(
  numbers: Sequence[int],
  frames: Sequence[Sequence[Any]],
  mode: str,
  where: str,
) -> list[list[int]]:
  """Assign a track, counted from 0, to every person of every frame.

  Tracks are numbered by their first frame, within a frame by decreasing mean
  score. The order of the persons in a frame matters only in mode 'none'.

  Args:
    numbers: increasing frame numbers.
    frames: the persons (`pose_tools.frames.Person`) of each frame.
    mode: 'none': the position in the frame is the track, as in mmaction2's
      demo. 'oks' and 'iou': the tool's ids if every person has one; a single
      track if no frame has several persons; greedy matching by that similarity
      otherwise.
    where: the file, for errors.

  Raises:
    ClipError: the mode is not known, or two persons of a frame have the same
      track id.
  """
  if mode not in MODES:
    raise checks.ClipError(
      'tracking',
      where,
      f'--tracking={mode}: expected one of {", ".join(MODES)}.',
    )
  if mode == 'none':
    return [list(range(len(persons))) for persons in frames]
  orders = [_order(persons) for persons in frames]
  sorted_frames = [[f[i] for i in o] for f, o in zip(frames, orders)]
  people = [person for persons in frames for person in persons]
  if all(person.track is not None for person in people):
    found = _tracks_of_ids(numbers, sorted_frames, where)
  elif all(len(persons) <= 1 for persons in frames):
    found = [[0] * len(persons) for persons in frames]
  else:
    if any(person.track is not None for person in people):
      _log_mixed(people, mode, where)
    found = _match(numbers, sorted_frames, mode)
  # Restore the order in the frame.
  result = []
  for rows, order in zip(found, orders):
    row = [0] * len(order)
    for track, position in zip(rows, order):
      row[position] = track
    result.append(row)
  return result


def rows(found: Sequence[Sequence[int]]) -> list[list[int]]:
  """Assign a row of the clip's array to every person of every frame.

  In the order of their numbers, each track takes the first row whose previous
  track ended before it starts, or a new row. So there are as many rows as tracks
  that overlap in time, gaps of a track included.

  Args:
    found: what `tracks` returned.
  """
  begin: dict[int, int] = {}
  end: dict[int, int] = {}
  for t, frame in enumerate(found):
    for track in frame:
      begin.setdefault(track, t)
      end[track] = t
  ends: list[int] = []
  row_of = {}
  for track in sorted(begin):
    free = (m for m, last in enumerate(ends) if last < begin[track])
    row = next(free, len(ends))
    if row == len(ends):
      ends.append(-1)
    ends[row] = end[track]
    row_of[track] = row
  return [[row_of[track] for track in frame] for frame in found]


def _log_mixed(people: Sequence[Any], mode: str, where: str) -> None:
  without = sum(person.track is None for person in people)
  logging.warning(
    '%s: %d of %d persons have no track id; ignoring all ids and matching'
    ' persons from frame to frame by %s',
    where,
    without,
    len(people),
    mode,
  )


def _order(persons: Sequence[Any]) -> list[int]:
  """Indices by decreasing mean score; ties are broken by coordinates."""

  def key(i):
    return -persons[i].score.mean(), persons[i].keypoint.ravel().tolist()

  return sorted(range(len(persons)), key=key)


def _tracks_of_ids(
  numbers: Sequence[int], frames: Sequence[Sequence[Any]], where: str
) -> list[list[int]]:
  """Number the tool's track ids by first appearance."""
  known: dict[Any, int] = {}
  result = []
  for number, persons in zip(numbers, frames):
    ids = [person.track for person in persons]
    for i, track in enumerate(ids):
      if track in ids[:i]:
        raise checks.ClipError(
          'ids',
          where,
          f'two persons of frame {number} have the track id {track!r}. Expected'
          ' unique ids: fix the file, or ignore its ids with --tracking=none.',
        )
    result.append([known.setdefault(track, len(known)) for track in ids])
  return result


def _match(
  numbers: Sequence[int], frames: Sequence[Sequence[Any]], mode: str
) -> list[list[int]]:
  """Match greedily; see the module docstring."""
  similarity = {'oks': oks, 'iou': iou}[mode]
  last: dict[int, tuple[int, Any]] = {}  # track -> frame number, person
  num_tracks = 0
  result = []
  for number, persons in zip(numbers, frames):
    last = {k: v for k, v in last.items() if number - v[0] <= MAX_MISSED + 1}
    active = list(last)
    rows = [-1] * len(persons)
    if active and persons:
      values = similarity([last[track][1] for track in active], persons)
      for a, b in _greedy_pairs(values):
        rows[b] = active[a]
    for b, person in enumerate(persons):
      if rows[b] < 0:
        rows[b] = num_tracks
        num_tracks += 1
      last[rows[b]] = number, person
    result.append(rows)
  return result


def _greedy_pairs(values: np.ndarray) -> list[tuple[int, int]]:
  """Pick (row, column) pairs by decreasing value, each row and column once.

  Of equal values the first in row-major order is picked.
  """
  num_columns = values.shape[1]
  rows, columns, pairs = set(), set(), []
  for index in np.argsort(-values, axis=None, kind='stable').tolist():
    a, b = divmod(index, num_columns)
    if values[a, b] < THRESHOLD:
      break
    if a not in rows and b not in columns:
      rows.add(a)
      columns.add(b)
      pairs.append((a, b))
  return pairs


def oks(first: Sequence[Any], second: Sequence[Any]) -> np.ndarray:
  """Compute the object keypoint similarity of all pairs, in [0, 1].

  Pairs without a common joint have similarity 0.

  Args:
    first: A persons (`pose_tools.frames.Person`).
    second: B persons with the same number of joints.

  Returns:
    [A, B] float64.

  Source: see the module docstring.
  """
  position_a, position_b = _positions(first), _positions(second)
  both = _found(first)[:, None] & _found(second)[None]
  num_joints = position_a.shape[1]
  sigma = COCO_SIGMAS if num_joints == len(COCO_SIGMAS) else _SIGMA
  area = (_areas(first)[:, None] + _areas(second)[None]) / 2
  square = ((position_a[:, None] - position_b[None]) ** 2).sum(axis=-1)
  # Single joints have no area: they match only if they coincide.
  tiny = np.finfo(np.float64).tiny
  spread = 2 * np.maximum(area, tiny)[..., None] * (2 * sigma) ** 2
  with np.errstate(over='ignore'):
    each = np.where(both, np.exp(-square / spread), 0)
  return each.sum(axis=-1) / np.maximum(both.sum(axis=-1), 1)


def iou(first: Sequence[Any], second: Sequence[Any]) -> np.ndarray:
  """Compute the intersection over union of the boxes of all pairs, in [0, 1].

  Uses the tool's boxes if all persons have one, otherwise boxes around the
  joints that were found.

  Args:
    first: A persons (`pose_tools.frames.Person`).
    second: B persons.

  Returns:
    [A, B] float64.
  """
  use_boxes = all(person.box is not None for person in (*first, *second))
  a, b = _boxes(first, use_boxes)[:, None], _boxes(second, use_boxes)[None]
  low = np.maximum(a[..., :2], b[..., :2])
  high = np.minimum(a[..., 2:], b[..., 2:])
  inside = np.clip(high - low, 0, None).prod(axis=-1)
  area_a, area_b = (
    np.clip(box[..., 2:] - box[..., :2], 0, None).prod(axis=-1)
    for box in (a, b)
  )
  union = area_a + area_b - inside
  return np.divide(inside, union, out=np.zeros_like(inside), where=union > 0)


def _positions(persons: Sequence[Any]) -> np.ndarray:
  """Positions of the joints, [A, V, 2] or [A, V, 3]."""
  return np.stack(
    [p.keypoint if p.position is None else p.position for p in persons]
  )


def _found(persons: Sequence[Any]) -> np.ndarray:
  """[A, V], whether a joint was found."""
  return np.stack([person.keypoint for person in persons]).any(axis=-1)


def _boxes(persons: Sequence[Any], use_boxes: bool) -> np.ndarray:
  """Boxes [A, 4] (x0, y0, x1, y1): the tool's, or around the joints found."""
  if use_boxes:
    return np.stack([person.box for person in persons])
  position, found = _positions(persons)[..., :2], _found(persons)[..., None]
  low = np.where(found, position, np.inf).min(axis=1)
  high = np.where(found, position, -np.inf).max(axis=1)
  return np.concatenate([low, high], axis=-1)


def _areas(persons: Sequence[Any]) -> np.ndarray:
  """Areas [A] of the boxes around the joints, with a least ratio of sides."""
  boxes = _boxes(persons, use_boxes=False)
  sides = np.sort(boxes[:, 2:] - boxes[:, :2], axis=-1)
  return np.maximum(sides[:, 0], _LEAST_SIDE * sides[:, 1]) * sides[:, 1]
