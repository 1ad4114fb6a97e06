"""Who is who from frame to frame, where a pose tool does not say.

Greedy matching: the persons of a frame are compared with those seen last of
every track that is still awake, and the most similar pair is joined first, as
long as it is similar enough. What is left begins a track of its own.

Similarity is either of

  OKS   sum over joints i that both have of exp(-d_i^2 / (2 s^2 k_i^2)), divided
        by their number; d_i is the distance between the two places of joint i,
        k_i = 2 sigma_i, and s^2 the mean area of the two boxes around the
        joints that were found, no side of which counts as less than a quarter
        of the other
  IoU   area of the intersection of the two boxes, divided by that of the union

Trackers lose people, and a person of ten short tracks would be ten persons of
a clip; so that tracks which follow each other share a row of its array.

Sources: the object keypoint similarity and the sigmas of the COCO keypoint
evaluation; greedy matching against the last poses and the threshold 0.3 are
those of the tracking demo of MMPose 0.x. Deviations: COCO's s^2 is the area of
a segmentation, which pose tools do not give; the most similar pair goes first,
not the first person of the file, so that the order of the file decides nothing;
tracks sleep for a third of a second before they end. Sharing rows is what pyskl
does to the bodies of NTU RGB+D.
"""

from collections.abc import Sequence
from typing import Any

from absl import logging
import numpy as np

from skeljax.readers import arrays

MODES = ('oks', 'iou', 'none')

THRESHOLD = 0.3
# Frames that a track survives unseen: a third of a second of usual video.
MAX_SLEEP = 10

COCO_SIGMAS = np.array(
  [0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072]
  + [0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089]
)
# For joints of other layouts.
_SIGMA = float(COCO_SIGMAS.mean())
# A box is at least so wide for its height, and so high for its width: somebody
# seen from the side, or of whom only a line of joints was found, is not thin.
_LEAST_SIDE = 0.25


def tracks(
  numbers: Sequence[int],
  frames: Sequence[Sequence[Any]],
  mode: str,
  where: str,
) -> list[list[int]]:
  """The track of every person of every frame, counted from 0.

  Tracks are numbered in the order in which they appear; those that appear
  together, by falling mean score. The order of the persons in a frame changes
  nothing, unless the mode is 'none'.

  Args:
    numbers: increasing frame numbers.
    frames: the persons (`formats.frames.Person`) of each frame.
    mode: 'none': the position in the frame is the track, as mmaction2's demo
      has it. 'oks' and 'iou': the ids of the tool where every person has one;
      one track where no frame has more than one person; greedy matching by
      that similarity otherwise.
    where: the file, for errors.

  Raises:
    ClipError: the mode is not known, or two persons of a frame have the same
      id.
  """
  if mode not in MODES:
    raise arrays.clip_error(
      'tracking',
      where,
      f'tracking is {mode!r}. Expected one of {", ".join(MODES)}.',
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
  # Back to the order in which the persons came.
  result = []
  for rows, order in zip(found, orders):
    row = [0] * len(order)
    for track, position in zip(rows, order):
      row[position] = track
    result.append(row)
  return result


def rows(found: Sequence[Sequence[int]]) -> list[list[int]]:
  """The row of a clip's array in which every person of every frame stands.

  Tracks come in the order of their numbers; each takes the first row whose last
  track has ended before it begins, and a new one where there is none. There are
  then as many rows as tracks go on at once, where those who are not seen for a
  while and come back count all the time.

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
    '%s: %d of %d persons have no track id, so none is used: persons are'
    ' matched from frame to frame by %s',
    where,
    without,
    len(people),
    mode,
  )


def _order(persons: Sequence[Any]) -> list[int]:
  """Positions by falling mean score; equals by where they are."""

  def key(i):
    return -persons[i].score.mean(), persons[i].keypoint.ravel().tolist()

  return sorted(range(len(persons)), key=key)


def _tracks_of_ids(
  numbers: Sequence[int], frames: Sequence[Sequence[Any]], where: str
) -> list[list[int]]:
  """Tracks from the ids of the tool, numbered by appearance."""
  known: dict[Any, int] = {}
  result = []
  for number, persons in zip(numbers, frames):
    ids = [person.track for person in persons]
    for i, track in enumerate(ids):
      if track in ids[:i]:
        raise arrays.clip_error(
          'ids',
          where,
          f'two persons of frame {number} have the track id {track!r}.'
          ' Expected different ones: mend the file, or leave its ids out of'
          ' account with --tracking=none.',
        )
    result.append([known.setdefault(track, len(known)) for track in ids])
  return result


def _match(
  numbers: Sequence[int], frames: Sequence[Sequence[Any]], mode: str
) -> list[list[int]]:
  """Tracks by greedy matching; see the module's docstring."""
  similarity = {'oks': oks, 'iou': iou}[mode]
  last: dict[int, tuple[int, Any]] = {}  # track -> frame number, person
  num_tracks = 0
  result = []
  for number, persons in zip(numbers, frames):
    last = {k: v for k, v in last.items() if number - v[0] <= MAX_SLEEP + 1}
    awake = list(last)
    rows = [-1] * len(persons)
    if awake and persons:
      values = similarity([last[track][1] for track in awake], persons)
      for a, b in _greedy_pairs(values):
        rows[b] = awake[a]
    for b, person in enumerate(persons):
      if rows[b] < 0:
        rows[b] = num_tracks
        num_tracks += 1
      last[rows[b]] = number, person
    result.append(rows)
  return result


def _greedy_pairs(values: np.ndarray) -> list[tuple[int, int]]:
  """(row, column) pairs from the largest value down, each row and column once.

  Of equal values the first in reading order goes first.
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
  """Object keypoint similarity of all pairs, within [0, 1].

  Pairs that have no joint in common have similarity 0.

  Args:
    first: A persons (`formats.frames.Person`).
    second: B persons with as many joints.

  Returns:
    [A, B] float64.

  Source: see the module's docstring.
  """
  place_a, place_b = _places(first), _places(second)
  both = _found(first)[:, None] & _found(second)[None]
  num_joints = place_a.shape[1]
  sigma = COCO_SIGMAS if num_joints == len(COCO_SIGMAS) else _SIGMA
  area = (_areas(first)[:, None] + _areas(second)[None]) / 2
  square = ((place_a[:, None] - place_b[None]) ** 2).sum(axis=-1)
  # Two single joints have no area: alike only where they coincide.
  tiny = np.finfo(np.float64).tiny
  spread = 2 * np.maximum(area, tiny)[..., None] * (2 * sigma) ** 2
  with np.errstate(over='ignore'):
    each = np.where(both, np.exp(-square / spread), 0)
  return each.sum(axis=-1) / np.maximum(both.sum(axis=-1), 1)


def iou(first: Sequence[Any], second: Sequence[Any]) -> np.ndarray:
  """Intersection over union of the boxes of all pairs, within [0, 1].

  Boxes are the tool's where all persons have one, and those around the joints
  that were found otherwise.

  Args:
    first: A persons (`formats.frames.Person`).
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


def _places(persons: Sequence[Any]) -> np.ndarray:
  """[A, V, 2] or [A, V, 3] where the joints are."""
  return np.stack([p.keypoint if p.place is None else p.place for p in persons])


def _found(persons: Sequence[Any]) -> np.ndarray:
  """[A, V] whether a joint was found."""
  return np.stack([person.keypoint for person in persons]).any(axis=-1)


def _boxes(persons: Sequence[Any], use_boxes: bool) -> np.ndarray:
  """[A, 4] (x0, y0, x1, y1): the tool's, or around the joints found."""
  if use_boxes:
    return np.stack([person.box for person in persons])
  place, found = _places(persons)[..., :2], _found(persons)[..., None]
  low = np.where(found, place, np.inf).min(axis=1)
  high = np.where(found, place, -np.inf).max(axis=1)
  return np.concatenate([low, high], axis=-1)


def _areas(persons: Sequence[Any]) -> np.ndarray:
  """[A] areas of the boxes around the joints, none of them a mere line."""
  boxes = _boxes(persons, use_boxes=False)
  sides = np.sort(boxes[:, 2:] - boxes[:, :2], axis=-1)
  return np.maximum(sides[:, 0], _LEAST_SIDE * sides[:, 1]) * sides[:, 1]
