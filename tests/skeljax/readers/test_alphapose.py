"""AlphaPose's results: clips worked out by hand, and what is refused."""

import json

import numpy as np
import pytest

from skeljax import errors
from skeljax.readers import clip_formats


def result(x, image, num_joints=17, score=0.5, **fields):
  """Joint v at (x + v, 100 + v)."""
  points = [[x + v, 100 + v, score] for v in range(num_joints)]
  return {
    'image_id': image,
    'category_id': 1,
    'keypoints': [number for point in points for number in point],
    'score': 2.9,
    'box': [x, 100, 16, 16],
    **fields,
  }


def body(x, field):
  return {field: result(x, '', 18)['keypoints']}


def write(tmp_path, content, name='alphapose-results.json'):
  path = tmp_path / name
  path.write_text(content if isinstance(content, str) else json.dumps(content))
  return str(path)


def read(path, **options):
  return clip_formats.read_clip(
    path, 'alphapose', clip_formats.ReadOptions(**options)
  )


def fails(path, **options):
  with pytest.raises(errors.UserError) as caught:
    read(path, **options)
  return str(caught.value)


def test_the_default_form_with_tracks(tmp_path):
  # Frame 1 has no person, so it is not in the file; frame 10 does
  # not come before frame 2.
  content = [
    result(10, '0.jpg', idx=3),
    result(900, '0.jpg', idx=1, score=0.4),
    result(910, '10.jpg', idx=3),
    result(20, '10.jpg', idx=1),
    result(14, '2.jpg', idx=3),
  ]
  path = write(tmp_path, content)
  assert clip_formats.detect(path) == 'alphapose'
  assert clip_formats.layout_of(path) == 'coco'
  item = read(path)
  assert item['total_frames'] == 11
  x = item['keypoint'][:, :, 0, 0]
  np.testing.assert_array_equal(x[:, [0, 2, 10]], [[10, 14, 910], [900, 0, 20]])
  assert not x[:, [1, 3, 4, 5, 6, 7, 8, 9]].any()
  assert item['keypoint_score'][1, 0, 0] == np.float32(0.4)


@pytest.mark.parametrize('idx', [0, 0.0, [0.0], [[0.0], [0.0]]])
def test_an_idx_of_0_for_everybody_is_no_track(tmp_path, idx):
  # As AlphaPose writes it without a tracker; the persons change places.
  content = [
    result(10, '0.jpg', idx=idx, score=0.9),
    result(900, '0.jpg', idx=idx),
    result(902, '1.jpg', idx=idx),
    result(12, '1.jpg', idx=idx, score=0.9),
  ]
  keypoint = read(write(tmp_path, content))['keypoint']
  np.testing.assert_array_equal(keypoint[:, :, 0, 0], [[10, 12], [900, 902]])


def test_the_box_serves_tracking_by_iou(tmp_path):
  # The poses jump, the boxes stay.
  content = [
    result(10, '0.jpg', box=[0, 0, 50, 50], score=0.9),
    result(900, '0.jpg', box=[500, 0, 50, 50]),
    result(10, '1.jpg', box=[500, 0, 50, 50]),
    result(900, '1.jpg', box=[0, 0, 50, 50]),
  ]
  path = write(tmp_path, content)
  x = read(path, tracking='iou')['keypoint'][:, :, 0, 0]
  np.testing.assert_array_equal(x, [[10, 900], [900, 10]])
  x = read(path, tracking='oks')['keypoint'][:, :, 0, 0]
  np.testing.assert_array_equal(x, [[10, 10], [900, 900]])


@pytest.mark.parametrize(
  'persons, numbers', [('bodies', 'joints'), ('people', 'pose_keypoints_2d')]
)
def test_the_forms_with_openposes_joints(tmp_path, persons, numbers):
  content = {
    f'{t}.jpg': {'version': 'AlphaPose v0.3', persons: [body(10 + t, numbers)]}
    for t in range(3)
  }
  path = write(tmp_path, content)
  assert clip_formats.detect(path) == 'alphapose'
  assert clip_formats.layout_of(path) == 'openpose-18'
  item = read(path)
  np.testing.assert_array_equal(item['keypoint'][0, :, 0, 0], [10, 11, 12])


def test_halpes_joints_begin_with_cocos(tmp_path):
  path = write(tmp_path, [result(10, '0.jpg', num_joints=136)])
  assert clip_formats.layout_of(path) == ''
  assert read(path)['keypoint'].shape == (1, 1, 136, 2)
  assert read(path, layout='coco')['keypoint'].shape == (1, 1, 17, 2)


def test_unicode_names_of_images(tmp_path):
  content = [result(10, '動画_0007.png'), result(11, '動画_0008.png')]
  assert read(write(tmp_path, content, '結果.json'))['total_frames'] == 2


@pytest.mark.parametrize(
  'content, words',
  [
    ('[{"image_id": "0.jpg", "keyp', 'is not valid JSON'),
    ('"x"', "Expected AlphaPose's list of persons"),
    ([], 'no person'),
    ({}, 'no person'),
    ([7], 'element 0: found 7'),
    ([{'image_id': '0.jpg'}], "Expected an object with 'image_id' and 'keyp"),
    ([result(1, 'a.jpg')], "the name 'a.jpg' has no frame number"),
    ([result(1, None)], "'image_id' is missing"),
    ([result(1, -3)], "'image_id' is -3"),
    ([result(1, '0.jpg'), result(1, '00.jpg')], 'frame 0 occurs twice'),
    ([result(1, '0.jpg', keypoints=[1] * 50)], "'keypoints' has 50 numbers"),
    ([result(1, '0.jpg', keypoints=['1'] * 51)], 'Expected a list of numbers'),
    ([result(1, '0.jpg', idx='a')], "'idx' is 'a'"),
    (
      [result(1, '0.jpg', idx=2), result(9, '0.jpg', idx=2)],
      'two persons of frame 0 have the track id 2',
    ),
    ([result(1, '0.jpg'), result(1, '1.jpg', 26)], '26 joints with 2'),
    (
      [result(1, '0.jpg'), result(1, '999999999.jpg')],
      'frame 999999999 follows frame 0',
    ),
    ({'0.jpg': []}, "Expected an object with a list 'bodies' or 'people'"),
    ({'0.jpg': {'bodies': 3}}, "Expected an object with a list 'bodies'"),
    ({'0.jpg': {'bodies': [3]}}, "Expected an object with 'joints'"),
    ({'walk': {'bodies': []}}, "the name 'walk' has no frame number"),
  ],
)
def test_what_is_wrong_is_explained(tmp_path, content, words):
  path = write(tmp_path, content)
  message = fails(path)
  assert words in message and path in message
