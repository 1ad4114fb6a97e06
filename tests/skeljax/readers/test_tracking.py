"""Who is who from frame to frame: hand-worked clips, and what always holds."""

import logging as python_logging

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import pytest

from skeljax import errors
from skeljax.readers import tracking
from skeljax.readers.pose_tools import frames


def square(x, y=0.0, side=10.0, score=0.5, track=None):
  """A person of four joints, the corners of a square."""
  corners = np.array([[0, 0], [side, 0], [0, side], [side, side]])
  # One to the right and below, as a joint at (0, 0) is one that is missing.
  keypoint = corners + (x + 1, y + 1)
  return frames.person(keypoint, np.full(4, score), 'clip', track=track)


def track(*people, numbers=None, mode='oks'):
  numbers = range(len(people)) if numbers is None else numbers
  return tracking.tracks(list(numbers), people, mode, 'clip.json')


def test_oks_of_the_same_pose_is_one_and_falls_with_distance():
  a = square(0)
  values = tracking.oks([a], [square(x) for x in (0, 1, 2, 5, 1000)])[0]
  assert values[0] == 1
  assert (np.diff(values) < 0).all()
  assert values[-1] == 0


def test_oks_worked_by_hand():
  # Both boxes have area 100, so that s^2 = 100. Joints are 3 apart, and the
  # layout is not COCO's, so that every k is 2 x the mean of its sigmas:
  # exp(-9 / (2 x 100 x k^2)).
  k = (
    2
    * (
      0.026
      + 2 * (0.025 + 0.035 + 0.079 + 0.072 + 0.062 + 0.107 + 0.087 + 0.089)
    )
    / 17
  )
  expected = np.exp(-9 / (200 * k**2))
  found = tracking.oks([square(0)], [square(3)])
  np.testing.assert_allclose(found, [[expected]], rtol=1e-12)


def test_oks_of_coco_takes_the_sigma_of_each_joint():
  # All 17 joints of one person at (100, 100) but the corners of a 100 x 100
  # box; the other has its nose moved by 10: e = 100 / (2 x 10^4 x 0.052^2).
  keypoint = np.full((17, 2), 100.0)
  keypoint[16] = 200
  moved = keypoint.copy()
  moved[1] += (10, 0)
  a, b = (frames.person(k, None, 'clip') for k in (keypoint, moved))
  expected = (16 + np.exp(-100 / (2 * 1e4 * (2 * 0.025) ** 2))) / 17
  np.testing.assert_allclose(tracking.oks([a], [b]), [[expected]], rtol=1e-12)


def test_oks_counts_joints_that_both_have():
  whole = square(0)
  half = frames.person(
    np.array([[np.nan, 1], [np.nan, 1], [1, 11], [11, 11]]), None, 'clip'
  )
  assert tracking.oks([whole], [half]) == 1
  other = frames.person(
    np.array([[1, 1], [11, 1], [np.nan, 1], [np.nan, 1]]), None, 'clip'
  )
  assert tracking.oks([half], [other]) == 0


def test_iou_worked_by_hand():
  # 10 x 10 boxes, moved by 5 in x: 50 / 150; by 5 in both: 25 / 175.
  found = tracking.iou([square(0)], [square(0), square(5), square(5, 5)])
  np.testing.assert_allclose(found, [[1, 1 / 3, 1 / 7]])
  assert tracking.iou([square(0)], [square(10)]) == 0


def test_iou_takes_the_boxes_of_the_tool_where_all_have_one():
  def boxed(x, box):
    return frames.person(
      square(x).keypoint, None, 'clip', box=box and np.array(box)
    )

  a = boxed(0, (0.0, 0.0, 30.0, 10.0))
  b = boxed(20, (10.0, 0.0, 40.0, 10.0))
  assert tracking.iou([a], [b]) == 0.5
  assert tracking.iou([a], [boxed(20, None)]) == 0


def test_two_persons_who_cross_keep_their_tracks():
  # One walks right by 2 a frame at y = 0, one left at y = 30; they pass each
  # other in frame 5, and from frame 5 on the file lists them the other way
  # round.
  people = []
  for t in range(10):
    pair = [square(2 * t, 0, score=0.9), square(20 - 2 * t, 30, score=0.8)]
    people.append(pair if t < 5 else pair[::-1])
  for mode in ('oks', 'iou'):
    rows = track(*people, mode=mode)
    assert rows == [[0, 1]] * 5 + [[1, 0]] * 5
  assert track(*people, mode='none') == [[0, 1]] * 10


def test_the_most_similar_pair_is_joined_first():
  # B in frame 1 is nearer to track 1 (distance 2) than to track 0 (3), and the
  # person that track 0 would have wanted is new.
  rows = track(
    [square(0, score=0.9), square(5, score=0.8)], [square(3), square(100)]
  )
  assert rows == [[0, 1], [1, 2]]


def test_a_track_sleeps_through_a_third_of_a_second_and_no_longer():
  two = [square(0), square(100)]
  one = [square(100)]
  for unseen, expected in (
    (tracking.MAX_MISSED, 0),
    (tracking.MAX_MISSED + 1, 2),
  ):
    rows = track(two, *[one] * unseen, two)
    assert rows[-1] == [expected, 1]
  # Frames that are missing in the file count as frames.
  assert track(two, two, numbers=(0, 11)) == [[0, 1], [0, 1]]
  assert track(two, two, numbers=(0, 12)) == [[0, 1], [2, 3]]


def test_tracks_that_appear_together_are_numbered_by_score():
  assert track([square(0, score=0.2), square(50, score=0.7)]) == [[1, 0]]


def test_ids_of_the_tool_decide_where_everybody_has_one():
  # They swap positions; only the ids show it.
  rows = track(
    [square(0, track=7), square(50, track=3, score=0.4)],
    [square(0, track=3), square(50, track=7)],
    [square(0, track=9)],
  )
  assert rows == [[0, 1], [1, 0], [2]]


def test_ids_that_only_some_have_are_left_out_and_the_log_says_so(caplog):
  with caplog.at_level(python_logging.WARNING, logger='absl'):
    rows = track(
      [square(0, track=7, score=0.9), square(50)],
      [square(0), square(50, track=7)],
    )
  assert rows == [[0, 1], [0, 1]]
  assert 'clip.json: 2 of 4 persons have no track id' in caplog.text


def test_two_persons_of_a_frame_with_one_id_are_refused():
  people = [square(0, track=7), square(50, track=7)]
  with pytest.raises(errors.UserError) as caught:
    track([square(0, track=1)], people, numbers=(4, 9))
  assert 'clip.json: two persons of frame 9 have the track id 7' in str(
    caught.value
  )
  assert '--tracking=none' in str(caught.value)
  assert track(people, mode='none') == [[0, 1]]


def test_an_unknown_mode_is_refused():
  with pytest.raises(errors.UserError, match='expected one of oks, iou, none'):
    track([square(0)], mode='sort')


def test_a_track_takes_the_first_row_that_is_free():
  # Track 2 begins after 0 has ended, 3 while 1 and 2 go on, 4 after all.
  found = [[0, 1], [0, 1], [1, 2], [3, 1, 2], [], [4]]
  expected = [[0, 1], [0, 1], [1, 0], [2, 1, 0], [], [0]]
  assert tracking.rows(found) == expected
  assert tracking.rows([[], []]) == [[], []]


def test_who_comes_back_finds_their_row_empty():
  # The row of track 0 stays reserved while it is missing.
  assert tracking.rows([[0, 1], [1], [1, 2], [0, 1]]) == [
    [0, 1],
    [1],
    [1, 2],
    [0, 1],
  ]


def test_places_in_the_frame_stay_rows():
  found = track(
    [square(0), square(50)], [square(0)], [square(9)] * 3, mode='none'
  )
  assert tracking.rows(found) == found == [[0, 1], [0], [0, 1, 2]]


def test_a_person_whom_tracking_loses_keeps_the_row():
  # One person jumps too far to match, the other one stays.
  stays = square(300, score=0.4)
  people = [[square(x), stays] for x in (0, 100, 200)]
  found = track(*people)
  assert found == [[0, 1], [2, 1], [3, 1]]
  assert tracking.rows(found) == [[0, 1]] * 3


places = st.tuples(st.integers(0, 60), st.integers(0, 60))
crowds = st.lists(st.lists(places, max_size=4), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(
  crowds, st.randoms(use_true_random=False), st.sampled_from(['oks', 'iou'])
)
def test_the_order_of_persons_in_a_frame_changes_nothing(crowd, random, mode):
  people = [
    [square(x, y, score=0.1 + 0.01 * i) for i, (x, y) in enumerate(frame)]
    for frame in crowd
  ]
  orders = [random.sample(range(len(frame)), len(frame)) for frame in people]
  mixed = [[f[i] for i in order] for f, order in zip(people, orders)]
  rows = track(*people, mode=mode)
  mixed_rows = track(*mixed, mode=mode)
  for row, mixed_row, order in zip(rows, mixed_rows, orders):
    assert mixed_row == [row[i] for i in order]


@settings(max_examples=60, deadline=None)
@given(crowds, st.sampled_from(['oks', 'iou']))
def test_every_person_of_a_frame_has_a_track_of_their_own(crowd, mode):
  rows = track(
    *[[square(x, y) for x, y in frame] for frame in crowd], mode=mode
  )
  seen = [t for row in rows for t in row]
  assert all(len(set(row)) == len(row) for row in rows)
  # Tracks are numbered without gaps, in the order of their appearance.
  firsts = list(dict.fromkeys(t for row in rows for t in sorted(row)))
  assert firsts == sorted(set(seen)) == list(range(len(set(seen))))


@settings(max_examples=60, deadline=None)
@given(crowds)
def test_there_are_as_many_rows_as_tracks_at_once(crowd):
  found = track(*[[square(x, y) for x, y in frame] for frame in crowd])
  rows = tracking.rows(found)
  assert all(len(set(row)) == len(row) for row in rows)
  # A track stays in its row.
  assert len(
    {(a, b) for f, r in zip(found, rows) for a, b in zip(f, r)}
  ) == len({a for f in found for a in f})
  spans = {}
  for t, frame in enumerate(found):
    for a in frame:
      spans.setdefault(a, []).append(t)
  going_on = [
    sum(span[0] <= t <= span[-1] for span in spans.values())
    for t in range(len(found))
  ]
  assert len({b for row in rows for b in row}) == max(going_on)


@settings(max_examples=40, deadline=None)
@given(
  st.lists(st.lists(places, max_size=1), min_size=1, max_size=8),
  st.sampled_from(['oks', 'iou']),
)
def test_one_person_is_one_track_however_far_they_jump(crowd, mode):
  people = [[square(100 * x, y) for x, y in frame] for frame in crowd]
  assert track(*people, mode=mode) == [[0] * len(frame) for frame in people]
