"""From the persons of each frame to one clip, whatever the pose tool."""

import json

import numpy as np
import pytest

from skeljax import errors
from skeljax.readers import json_file
from skeljax.readers.pose_tools import fields
from skeljax.readers.pose_tools import frames


def person(x, score=0.5, num_joints=4, channels=2):
  keypoint = np.array([[x + v + 1, v, 3.0] for v in range(num_joints)])
  score = np.full(num_joints, score)
  return frames.person(keypoint[:, :channels], score, 'clip')


def test_a_person_without_joints_is_dropped():
  absent = frames.person(np.zeros((4, 2)), np.ones(4), 'clip')
  item = frames.clip({0: [absent, person(5)], 1: [absent]}, 'clip')
  assert item['keypoint'].shape == (1, 2, 4, 2)


def test_missing_joints_are_zero():
  keypoint = np.array([[3.0, 4.0], [5.0, 6.0]])
  one = frames.person(
    keypoint,
    np.array([0.5, 0.0]),
    'clip',
    box=np.array([0, 0, np.nan, 1]),
    position=keypoint + 10,
  )
  np.testing.assert_array_equal(one.keypoint, [[3, 4], [0, 0]])
  np.testing.assert_array_equal(one.position, [[13, 14], [0, 0]])
  assert one.box is None


def test_persons_of_2d_and_3d_do_not_mix():
  with pytest.raises(errors.UserError) as caught:
    frames.clip({3: [person(5)], 4: [person(5, channels=3)]}, 'clip.json')
  assert 'frame 4 has 4 joints with 3 coordinates and one of frame 3' in str(
    caught.value
  )


def test_more_tracks_than_memory_are_refused(monkeypatch):
  # 3 persons x 30 frames x 4 joints x 2 coordinates.
  seen = {0: [person(0), person(1000), person(2000)], 29: []}
  monkeypatch.setattr(frames, '_MAX_NUMBERS', 719)
  with pytest.raises(errors.UserError) as caught:
    frames.clip(seen, 'clip.json')
  assert '3 persons in 30 frames are too much' in str(caught.value)
  monkeypatch.setattr(frames, '_MAX_NUMBERS', 720)
  assert frames.clip(seen, 'clip.json')['keypoint'].shape == (3, 30, 4, 2)


def test_a_gap_is_empty_up_to_a_limit():
  seen = {0: [person(5)], frames.MAX_GAP: [person(5)]}
  assert frames.clip(seen, 'clip')['total_frames'] == frames.MAX_GAP + 1
  with pytest.raises(errors.UserError, match='not time stamps'):
    frames.clip({0: [person(5)], frames.MAX_GAP + 1: [person(5)]}, 'clip')


def test_fractions_are_told_from_pixels_by_their_size():
  def first_of(x, num_joints=4, **options):
    seen = frames.PoseFrames({0: [person(x, num_joints=num_joints)]}, **options)
    by_number, _ = frames.in_pixels(seen, 'clip', (10, 100))
    return by_number[0][0].keypoint[0].tolist()

  # Joint v is at (x + 1 + v, v).
  assert first_of(5) == [6, 0]
  assert first_of(0.5, num_joints=1) == [150, 0]
  assert first_of(0.5, num_joints=1, is_fraction=False) == [1.5, 0]
  assert first_of(5, is_fraction=True) == [600, 0]


def test_a_guess_of_fractions_is_in_the_log(monkeypatch):
  said = []
  # It is said once in a process, and other tests may have heard it.
  monkeypatch.setattr(
    frames.logging,
    'log_first_n',
    lambda level, text, n, *args: said.append(text % args),
  )
  seen = frames.PoseFrames({0: [person(0.5, num_joints=1)]})
  frames.in_pixels(seen, 'clip.json', (10, 100))
  assert said == [
    'clip.json: all coordinates are below 2; taken for fractions of an image'
    ' of 10x100'
  ]
  known = frames.PoseFrames(seen.frames, is_fraction=True)
  frames.in_pixels(known, 'clip.json', (10, 100))
  assert len(said) == 1
  with pytest.raises(errors.UserError, match='pixels below 2'):
    frames.in_pixels(seen, 'clip.json', None)


def test_coordinates_around_the_middle_of_the_image_are_refused():
  seen = frames.PoseFrames({0: [person(-1.9, num_joints=1)]})
  with pytest.raises(errors.UserError, match='the lowest is -0.9'):
    frames.in_pixels(seen, 'clip.json', (10, 100))


@pytest.mark.parametrize(
  'text, expected',
  [
    ('[1, 2.5, null]', [1, 2.5, np.nan]),
    ('[[1, NaN], [null, 3]]', [[1, np.nan], [np.nan, 3]]),
    ('[]', []),
  ],
)
def test_numbers_of_json(text, expected):
  found = fields.numbers(json.loads(text), 'x', 'clip')
  assert found.dtype == np.float64
  np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
  'text',
  ['["1", null]', '[true, null]', '[true]', '[[1], null]', '{"a": 1}', '3'],
)
def test_what_is_no_number_is_not_made_one(text):
  with pytest.raises(errors.UserError, match="'x' is .* a list of numbers"):
    fields.numbers(json.loads(text), 'x', 'clip')


@pytest.mark.parametrize(
  'value, words',
  [
    (None, 'null'),
    ({}, 'an empty object'),
    ({'a': 1, 'b': 2}, "an object with the keys 'a', 'b'"),
    ([], 'a list of 0'),
    ([[1], [2]], 'a list of 2 lists'),
    (
      [{'a': 1}, 3],
      "a list of 2, the first of them an object with the keys 'a'",
    ),
    ('x' * 99, "'" + 'x' * 36 + '...'),
  ],
)
def test_values_in_few_words(value, words):
  assert fields.shorten(value) == words


def test_a_number_of_thousands_of_digits(tmp_path):
  path = tmp_path / 'clip.json'
  path.write_text('[' + '1' * 9999 + ']')
  with pytest.raises(errors.UserError, match='clip.json: is not valid JSON'):
    json_file.load(str(path))


def test_the_beginning_of_files(tmp_path):
  empty, other = tmp_path / '0.json', tmp_path / '1.json'
  empty.write_text(' []')
  other.write_text('\ufeff {"a": "1"}')
  assert json_file.head(str(tmp_path / 'none.json')) == ''
  assert json_file.head(str(other)) == '{"a": "1"}'
  paths = [str(tmp_path / 'none.json'), str(empty), str(other)]
  assert json_file.first_head(paths) == '{"a": "1"}'
  assert json_file.first_head(paths[:2]) == ''
  assert json_file.value_after('{"a": "1"}', 'a') == '"1"}'
  assert json_file.value_after('{"a": "1"}', 'b') == ''
