"""OpenPose's folders: a clip worked out by hand, and every way to be wrong."""

import json

import numpy as np
import pytest

from skeljax import errors
from skeljax import skeletons
from skeljax.readers import clip_formats
from tests import items


def person(x, num_joints=25, score=0.5, person_id=-1):
  """Joint v at (x + v, 100 + v)."""
  points = [[x + v, 100 + v, score] for v in range(num_joints)]
  flat = [number for point in points for number in point]
  return {'person_id': [person_id], 'pose_keypoints_2d': flat}


def write(folder, frames, name='walk_{:012d}_keypoints.json'):
  """A folder with a file for each (frame number, people)."""
  folder.mkdir(exist_ok=True)
  for number, people in frames.items():
    content = {'version': 1.3, 'people': people}
    (folder / name.format(number)).write_text(json.dumps(content))
  return str(folder)


def read(path, **options):
  return clip_formats.read_clip(
    path, 'openpose', clip_formats.ReadOptions(**options)
  )


def fails(path, **options):
  with pytest.raises(errors.UserError) as caught:
    read(path, **options)
  return str(caught.value)


def test_two_persons_of_three_frames(tmp_path):
  # The second frame is empty; the third has the persons in reverse order.
  path = write(
    tmp_path / 'clip',
    {
      0: [person(10, score=0.9), person(500, score=0.4)],
      1: [],
      2: [person(503, score=0.4), person(12, score=0.9)],
    },
  )
  assert clip_formats.detect(path) == 'openpose'
  assert clip_formats.layout_of(path) == 'openpose-25'
  item = read(path)
  assert item['keypoint'].shape == (2, 3, 25, 2)
  assert item['keypoint'].dtype == item['keypoint_score'].dtype == np.float32
  assert item['total_frames'] == 3 and 'img_shape' not in item
  np.testing.assert_array_equal(
    item['keypoint'][:, :, 24, 0], [[34, 0, 36], [524, 0, 527]]
  )
  np.testing.assert_array_equal(
    item['keypoint'][:, :, 24, 1], [[124, 0, 124]] * 2
  )
  np.testing.assert_array_equal(
    item['keypoint_score'][:, :, 0], np.float32([[0.9, 0, 0.9], [0.4, 0, 0.4]])
  )
  layout = skeletons.get_layout('openpose-25')
  record = items.check(item, layout=layout, num_classes=None, path=path)
  assert record['total_frames'] == 3


def test_the_18_joints_of_the_coco_model(tmp_path):
  path = write(tmp_path / 'clip', {0: [person(5, num_joints=18)]})
  assert clip_formats.layout_of(path) == 'openpose-18'
  assert read(path)['keypoint'].shape == (1, 1, 18, 2)


def test_joints_that_were_not_found_are_zero(tmp_path):
  one = person(5)
  one['pose_keypoints_2d'][:3] = [0, 0, 0]
  one['pose_keypoints_2d'][3:6] = [float('nan'), 7, 0.5]
  one['pose_keypoints_2d'][6:9] = [None, None, None]
  one['pose_keypoints_2d'][9:12] = [4, 4, 0]
  item = read(write(tmp_path / 'clip', {0: [one]}))
  assert not item['keypoint'][0, 0, :4].any()
  assert not item['keypoint_score'][0, 0, :4].any()
  assert item['keypoint_score'][0, 0, 4:].all()


def test_the_clip_lasts_from_the_first_file_to_the_last(tmp_path):
  path = write(tmp_path / 'clip', {12: [person(5)], 9: [person(4)]})
  keypoint = read(path)['keypoint']
  np.testing.assert_array_equal(keypoint[0, :, 0, 0], [4, 0, 0, 5])


def test_ids_of_the_tool_are_kept(tmp_path):
  path = write(
    tmp_path / 'clip',
    {
      0: [person(5, person_id=4), person(900, person_id=2, score=0.1)],
      1: [person(5, person_id=2), person(900, person_id=4)],
    },
  )
  keypoint = read(path)['keypoint']
  np.testing.assert_array_equal(keypoint[:, :, 0, 0], [[5, 900], [900, 5]])


def test_fractions_of_the_image_become_pixels(tmp_path):
  # As `--keypoint_scale 3` writes them.
  one = {'pose_keypoints_2d': [0.25, 0.5, 0.9] * 24 + [1, 1, 0.9]}
  path = write(tmp_path / 'clip', {0: [one]})
  item = read(path, img_shape=(200, 400))
  np.testing.assert_array_equal(item['keypoint'][0, 0, 0], [100, 100])
  assert item['img_shape'] == (200, 400)
  message = fails(path)
  assert (
    'fractions of an image' in message and '--img_shape=1080x1920' in message
  )


def test_coordinates_around_the_middle_are_refused(tmp_path):
  # As `--keypoint_scale 4` writes them, from -1 to 1.
  one = {'pose_keypoints_2d': [-0.75, 0.5, 0.9] * 25}
  message = fails(write(tmp_path / 'clip', {0: [one]}), img_shape=(200, 400))
  assert (
    'the lowest is -0.75' in message and '--keypoint_scale 0 and 3' in message
  )


def test_other_files_beside_the_frames_are_left_alone(tmp_path):
  path = write(tmp_path / 'clip', {0: [person(5)]})
  (tmp_path / 'clip' / 'camera.json').write_text('{}')
  (tmp_path / 'clip' / 'notes.txt').write_text('walk')
  (tmp_path / 'clip' / '.hidden_keypoints.json').write_text('{')
  assert read(path)['keypoint'].shape == (1, 1, 25, 2)


def test_files_of_alphapose_are_read_as_well(tmp_path):
  # --format open, folder sep-json: the number is the whole name.
  path = write(
    tmp_path / 'clip', {0: [person(5, num_joints=18)]}, name='{}.json'
  )
  assert clip_formats.detect(path) == 'openpose'
  assert read(path)['keypoint'].shape == (1, 1, 18, 2)


def test_unicode_names(tmp_path):
  path = write(
    tmp_path / 'Gehen übers Feld 歩く',
    {3: [person(5)], 4: [person(6)]},
    name='歩く_{:012d}_keypoints.json',
  )
  assert read(path)['total_frames'] == 2


def test_an_empty_folder(tmp_path):
  path = write(tmp_path / 'clip', {})
  assert 'Expected a folder of ..._keypoints.json' in fails(path)
  with pytest.raises(errors.UserError, match='an empty folder'):
    clip_formats.detect(path)


def test_no_person(tmp_path):
  message = fails(write(tmp_path / 'clip', {0: [], 1: []}))
  assert 'no person in any of its 2 frames' in message


@pytest.mark.parametrize(
  'people, words',
  [
    ([{'pose_keypoints_2d': [1, 2, 3, 4]}], "'pose_keypoints_2d' has 4"),
    ([{'pose_keypoints_2d': []}], 'has 0 numbers. Expected three per joint'),
    ([{'pose_keypoints_2d': 'x'}], "'pose_keypoints_2d' is 'x'"),
    ([{'pose_keypoints_2d': ['1', 2, 3]}], 'Expected a list of numbers'),
    ([{'pose_keypoints_2d': [[1], 2, 3]}], 'Expected a list of numbers'),
    ([{'pose_keypoints_2d': [True] * 75}], 'Expected a list of numbers'),
    ([{'pose_keypoints_2d': [10**400, 1, 1]}], 'Expected a list of numbers'),
    ([{'pose_keypoints_2d': [1e999, 1, 1]}], 'is infinite'),
    (
      [{'face_keypoints_2d': []}],
      "Expected an object with 'pose_keypoints_2d'",
    ),
    ([7], 'found 7. Expected an object'),
    (None, "Expected an object with a list 'people'"),
    ([person(5), person(5, num_joints=18)], '18 joints with 2 coordinates'),
    ([person(5, person_id='a')], "'person_id' is 'a'. Expected an integer"),
    ([person(5, person_id=3), person(9, person_id=3)], 'have the track id 3'),
  ],
)
def test_a_wrong_frame_is_explained(tmp_path, people, words):
  path = write(tmp_path / 'clip', {0: people})
  message = fails(path)
  assert words in message and path in message


def test_a_truncated_file_is_named(tmp_path):
  path = write(tmp_path / 'clip', {0: [person(5)], 1: [person(5)]})
  file = tmp_path / 'clip' / 'walk_000000000001_keypoints.json'
  file.write_text(file.read_text()[:-20])
  message = fails(path)
  assert str(file) in message and 'is not valid JSON' in message


def test_names_without_a_number_and_of_two_clips(tmp_path):
  path = write(tmp_path / 'a', {0: [person(5)]}, name='walk_keypoints.json')
  assert "the name 'walk_keypoints.json' has no frame number" in fails(path)
  path = write(tmp_path / 'b', {0: [person(5)]})
  write(tmp_path / 'b', {0: [person(5)]}, name='run_{:03d}_keypoints.json')
  message = fails(path)
  assert (
    'run_000_keypoints.json and walk_000000000000_keypoints.json' in message
  )
  assert 'Give each clip a folder of its own' in message
  path = write(tmp_path / 'c', {0: [person(5)]}, name='{}.json')
  write(tmp_path / 'c', {0: [person(5)]}, name='{:03d}.json')
  assert '0.json and 000.json are both frame 0' in fails(
    path
  ) or '000.json and 0.json are both frame 0' in fails(path)


def test_a_time_stamp_is_rejected(tmp_path):
  path = write(
    tmp_path / 'clip',
    {1: [person(5)], 10**9: [person(5)]},
    name='{}_keypoints.json',
  )
  message = fails(path)
  assert 'frame 1000000000 follows frame 1' in message
