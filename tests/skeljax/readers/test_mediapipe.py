"""MediaPipe's landmarks: both kinds, in every dress, and what is refused."""

import json

import numpy as np
import pytest

from skeljax import errors
from skeljax import skeletons
from skeljax.readers import clip_formats
from tests import items

LAYOUT = skeletons.get_layout('mediapipe')
SHAPE = (200, 400)


def landmark(x, y, z, visibility=0.75):
  return {'x': x, 'y': y, 'z': z, 'visibility': visibility, 'presence': 0.9}


def image_pose(x):
  """Joint v at (x + v / 128, 0.5): every number is exact."""
  return [landmark(x + v / 128, 0.5, -0.25) for v in range(33)]


def world_pose(x):
  """Joint v at (x + v / 64, 1, -0.5) metres, the hips around the origin."""
  pose = [landmark(x + v / 64, 1.0, -0.5) for v in range(33)]
  pose[23], pose[24] = landmark(0.125, 0.0, 0.0), landmark(-0.125, 0.0, 0.0)
  return pose


def frame(*xs):
  return {
    'pose_landmarks': [image_pose(x) for x in xs],
    'pose_world_landmarks': [world_pose(x) for x in xs],
  }


def write(tmp_path, content, name='clip.json'):
  path = tmp_path / name
  path.write_text(content if isinstance(content, str) else json.dumps(content))
  return str(path)


def read(path, **options):
  return clip_formats.read_clip(
    path, 'mediapipe', clip_formats.ReadOptions(**options)
  )


def fails(path, **options):
  with pytest.raises(errors.UserError) as caught:
    read(path, **options)
  return str(caught.value)


def test_image_landmarks_become_pixels(tmp_path):
  path = write(tmp_path, [frame(0.25), None, frame(0.5)])
  assert clip_formats.detect(path) == 'mediapipe'
  assert clip_formats.layout_of(path) == 'mediapipe'
  item = read(path, img_shape=SHAPE)
  assert item['keypoint'].shape == (1, 3, 33, 2)
  np.testing.assert_array_equal(
    item['keypoint'][0, :, 32], [[200, 100], [0, 0], [300, 100]]
  )
  np.testing.assert_array_equal(
    item['keypoint_score'][0, :, 0], [0.75, 0, 0.75]
  )
  assert item['img_shape'] == SHAPE
  record = items.check(item, layout=LAYOUT, num_classes=None, path=path)
  assert record['keypoint'].shape == (1, 3, 33, 2)


def test_world_landmarks_stay_metres(tmp_path):
  path = write(tmp_path, [frame(0.25), frame(0.5)])
  item = read(path, coordinates='world')
  np.testing.assert_array_equal(
    item['keypoint'][0, :, 32], [[0.75, 1, -0.5], [1, 1, -0.5]]
  )
  assert 'keypoint_score' not in item
  record = items.check(item, layout=LAYOUT, num_classes=None, path=path)
  assert record['keypoint'].shape == (1, 2, 33, 3)


def test_world_landmarks_are_tracked_by_their_place_in_the_image(tmp_path):
  # Two persons of the same pose, who differ in their place alone, and whom the
  # second frame lists the other way round.
  near, far = frame(0.0)['pose_world_landmarks'][0], world_pose(0.0)
  far[0] = landmark(0.001, 1.0, -0.5)
  content = [
    {
      'pose_landmarks': [image_pose(x) for x in order],
      'pose_world_landmarks': [near if x == 0.0625 else far for x in order],
    }
    for order in ([0.0625, 0.625], [0.625, 0.0625])
  ]
  keypoint = read(write(tmp_path, content), coordinates='world')['keypoint']
  nose = keypoint[:, :, 0, 0]
  np.testing.assert_array_equal(nose[:, 0], nose[:, 1])
  assert nose[0, 0] != nose[1, 0]


def test_places_that_some_frames_lack_are_left_out_of_tracking(tmp_path):
  content = [frame(0.0625, 0.625), frame(0.625, 0.0625)]
  content[1]['pose_landmarks'].pop()
  path = write(tmp_path, content)
  assert len(read(path, coordinates='world')['keypoint']) == 2


BARE = image_pose(0.25)
DRESSES = {
  'tasks': [frame(0.25), frame(0.25)],
  'one person': [{'pose_landmarks': BARE}, {'pose_landmarks': BARE}],
  'camel case': [{'poseLandmarks': [BARE], 'segmentationMasks': None}] * 2,
  'javascript': [{'landmarks': [BARE], 'worldLandmarks': []}] * 2,
  'protobuf': [{'pose_landmarks': {'landmark': BARE}}] * 2,
  'protobuf alone': [{'landmark': BARE}, {'landmark': BARE}],
  'persons alone': [[BARE], [BARE]],
  'landmarks alone': [BARE, BARE],
  'numbers alone': [[[p['x'], p['y'], p['z'], 0.75] for p in BARE]] * 2,
  'frames': {'fps': 30, 'frames': [{'pose_landmarks': [BARE]}] * 2},
}


@pytest.mark.parametrize('dress', DRESSES)
@pytest.mark.parametrize('is_lines', [False, True])
def test_every_dress_holds_the_same(tmp_path, dress, is_lines):
  content = DRESSES[dress]
  if is_lines and isinstance(content, list):
    text = '\n'.join(json.dumps(entry) for entry in content)
    path = write(tmp_path, text, 'clip.jsonl')
  else:
    path = write(tmp_path, content)
  if 'numbers' not in dress:
    assert clip_formats.detect(path) == 'mediapipe'
  item = read(path, img_shape=SHAPE)
  np.testing.assert_array_equal(
    item['keypoint'][0, :, [0, 32]], [[[100, 100]] * 2, [[200, 100]] * 2]
  )
  np.testing.assert_array_equal(item['keypoint_score'], 0.75)


@pytest.mark.parametrize('empty', [None, [], {}, {'pose_landmarks': None}])
def test_frames_without_a_person(tmp_path, empty):
  path = write(tmp_path, [empty, frame(0.25), empty])
  item = read(path, img_shape=SHAPE)
  np.testing.assert_array_equal(item['keypoint'][0, :, 0, 0], [0, 100, 0])
  message = fails(write(tmp_path, [empty, empty]), img_shape=SHAPE)
  assert 'no person in any of its 2 frames' in message


def test_one_frame_is_a_clip(tmp_path):
  path = write(tmp_path, frame(0.25))
  assert clip_formats.detect(path) == 'mediapipe'
  keypoint = read(path, img_shape=SHAPE)['keypoint']
  np.testing.assert_array_equal(keypoint[0, :, 0, 0], [100])


def test_frame_numbers_where_there_are_some(tmp_path):
  content = [{'frame': 9, **frame(0.5)}, {'frame': 7, **frame(0.25)}]
  item = read(write(tmp_path, content), img_shape=SHAPE)
  np.testing.assert_array_equal(item['keypoint'][0, :, 0, 0], [100, 0, 200])


@pytest.mark.parametrize(
  'content',
  [
    {'image_width': 400, 'image_height': 200, 'frames': [frame(0.25)]},
    {'width': 400, 'height': 200, 'frames': [frame(0.25)]},
    [{'imageWidth': 400, 'imageHeight': 200, **frame(0.25)}],
  ],
)
def test_the_size_of_the_image_may_be_in_the_file(tmp_path, content):
  path = write(tmp_path, content)
  item = read(path)
  np.testing.assert_array_equal(item['keypoint'][0, 0, 0], [100, 100])
  assert item['img_shape'] == (200, 400)
  assert '--img_shape=9x9' in fails(path, img_shape=(9, 9))


def test_image_landmarks_need_the_image_size(tmp_path):
  message = fails(write(tmp_path, [frame(0.25)]))
  assert (
    'fractions of an image' in message and '--img_shape=1080x1920' in message
  )


def test_landmarks_without_a_visibility_have_the_score_1(tmp_path):
  pose = [{'x': p['x'], 'y': p['y'], 'z': p['z']} for p in BARE]
  item = read(write(tmp_path, [{'pose_landmarks': pose}]), img_shape=SHAPE)
  assert (item['keypoint_score'] == 1).all()


def test_the_kind_of_bare_landmarks_is_checked(tmp_path):
  image = write(tmp_path, [BARE, BARE])
  message = fails(image, coordinates='world')
  assert (
    'look like image landmarks' in message and '--coordinates=image' in message
  )
  world = write(tmp_path, [world_pose(0.5)] * 2, 'world.json')
  message = fails(world, img_shape=SHAPE)
  assert (
    'look like world landmarks' in message and '--coordinates=world' in message
  )
  assert read(world, coordinates='world')['keypoint'].shape == (1, 2, 33, 3)


def test_the_other_kind_is_named_where_one_is_missing(tmp_path):
  path = write(tmp_path, [{'pose_world_landmarks': [world_pose(0.5)]}])
  message = fails(path, img_shape=SHAPE)
  assert 'has world landmarks and no image landmarks' in message
  assert '--coordinates=world' in message
  path = write(tmp_path, [{'pose_landmarks': [BARE]}])
  assert 'has image landmarks and no world' in fails(path, coordinates='world')
  assert 'expected image or world' in fails(path, coordinates='pixel')


def with_landmark(value):
  return [{'pose_landmarks': [[*BARE[:5], value, *BARE[6:]]]}]


@pytest.mark.parametrize(
  'content, words',
  [
    ('[{"pose_landmarks": [[{"x": 0.5', 'is not valid JSON'),
    ('{"pose_landmarks": []}\n{"pose_land\n', 'is not valid JSON'),
    ('3', 'Expected a list with one entry per frame'),
    ([3], 'found 3. Expected the landmarks of a frame, or null'),
    ([{'hands': []}], "Expected an object with 'pose_landmarks'"),
    ([{'frame': -1, **frame(0.5)}], "'frame' is -1"),
    ([{'frame': '1', **frame(0.5)}], "'frame' is '1'"),
    ([{'frame': 1, **frame(0.5)}] * 2, 'frame 1 occurs twice'),
    (
      [{'frame': 1, **frame(0.5)}, {'frame': 10**9, **frame(0.5)}],
      'frame 1000000000 follows frame 1',
    ),
    ([{'pose_landmarks': [BARE[:32]]}], '32 landmarks. Expected the 33'),
    ([{'pose_landmarks': [3]}], 'no list. Expected the 33'),
    ([{'pose_landmarks': 3}], 'found 3. Expected the landmarks of the persons'),
    ([{'pose_landmarks': {'points': []}}], 'no list. Expected the 33'),
    (with_landmark({'x': 1}), "Expected a landmark with 'x', 'y'"),
    (with_landmark([1, 2]), "Expected a landmark with 'x', 'y'"),
    (with_landmark(landmark('1', 2, 3)), 'Expected a list of numbers'),
    (with_landmark(landmark(float('inf'), 2, 3)), 'is infinite'),
    (
      {'width': '400', 'height': 200, 'frames': []},
      "the image width is '400'",
    ),
    ([[[[[[BARE]]]]]], '1 landmarks. Expected the 33'),
  ],
)
def test_what_is_wrong_is_explained(tmp_path, content, words):
  path = write(tmp_path, content)
  message = fails(path, img_shape=SHAPE)
  assert words in message and path in message


def test_null_coordinates_are_joints_that_were_not_found(tmp_path):
  path = write(tmp_path, with_landmark(landmark(None, None, None)))
  item = read(path, img_shape=SHAPE)
  assert not item['keypoint'][0, 0, 5].any()
  assert np.count_nonzero(item['keypoint_score']) == 32


def test_unicode_names(tmp_path):
  path = write(tmp_path, [frame(0.25)], 'ゆっくり歩く.json')
  assert clip_formats.detect(path) == 'mediapipe'
