"""MMPose's and COCO's JSON: clips worked out by hand, and what is refused."""

import json

import numpy as np
import pytest

from skeljax import errors
from skeljax import skeletons
from skeljax.readers import clip_formats

COCO_NAMES = [
  name.replace(' ', '_') for name in skeletons.LAYOUTS['coco'].joints
]


def instance(x, num_joints=17, **fields):
  """Joint v at (x + v, 100 + v), with score 0.01 v + 0.5."""
  return {
    'keypoints': [[x + v, 100.0 + v] for v in range(num_joints)],
    'keypoint_scores': [0.5 + 0.01 * v for v in range(num_joints)],
    'bbox': [[x, 100.0, x + 16, 116.0]],
    'bbox_score': 0.9,
    **fields,
  }


def video(*frames):
  return [{'frame_id': i, 'instances': f} for i, f in enumerate(frames)]


def annotation(x, image_id, num_joints=17, **fields):
  points = [[x + v, 100.0 + v, 2] for v in range(num_joints)]
  flat = [number for point in points for number in point]
  return {'image_id': image_id, 'category_id': 1, 'keypoints': flat, **fields}


def image(image_id, name, height=480, width=640, **fields):
  return {
    'id': image_id,
    'file_name': name,
    'height': height,
    'width': width,
    **fields,
  }


def write(tmp_path, content, name='clip.json'):
  path = tmp_path / name
  path.write_text(content if isinstance(content, str) else json.dumps(content))
  return str(path)


def read(path, **options):
  return clip_formats.read_clip(
    path, 'mmpose', clip_formats.ReadOptions(**options)
  )


def fails(path, **options):
  with pytest.raises(errors.UserError) as caught:
    read(path, **options)
  return str(caught.value)


def test_the_frames_of_the_inferencer(tmp_path):
  content = video([instance(10), instance(400)], [], [instance(402)])
  path = write(tmp_path, content)
  assert clip_formats.detect(path) == 'mmpose'
  assert clip_formats.layout_of(path) == 'coco'
  item = read(path)
  np.testing.assert_array_equal(
    item['keypoint'][:, :, 16, 0], [[26, 0, 0], [416, 0, 418]]
  )
  np.testing.assert_array_equal(
    item['keypoint_score'][1, :, 10], np.float32([0.6, 0, 0.6])
  )
  assert item['total_frames'] == 3


def test_the_predictions_of_the_demos_are_the_same(tmp_path):
  frames = video([instance(10)], [instance(11)])
  names = {str(v): name for v, name in enumerate(COCO_NAMES)}
  meta = {'dataset_name': 'coco', 'keypoint_id2name': names}
  path = write(tmp_path, {'meta_info': meta, 'instance_info': frames})
  assert clip_formats.detect(path) == 'mmpose'
  assert clip_formats.layout_of(path) == 'coco'
  plain = read(write(tmp_path, frames, 'plain.json'))
  np.testing.assert_array_equal(read(path)['keypoint'], plain['keypoint'])


def test_17_joints_of_another_name_are_not_taken_for_cocos(tmp_path):
  meta = {'keypoint_id2name': {str(v): f'paw_{v}' for v in range(17)}}
  content = {'meta_info': meta, 'instance_info': video([instance(10)])}
  assert clip_formats.layout_of(write(tmp_path, content)) == ''


def test_frames_may_come_in_any_order(tmp_path):
  frames = video([instance(10)], [instance(11)], [instance(12)])
  path = write(tmp_path, [frames[2], frames[0], frames[1]])
  np.testing.assert_array_equal(
    read(path)['keypoint'][0, :, 0, 0], [10, 11, 12]
  )


def test_an_image_is_a_clip_of_one_frame_and_a_folder_a_clip(tmp_path):
  folder = tmp_path / 'frames'
  folder.mkdir()
  write(folder, [instance(10)], 'img_00009.json')
  write(folder, [instance(12)], 'img_00010.json')
  assert clip_formats.detect(str(folder)) == 'mmpose'
  assert clip_formats.layout_of(str(folder)) == 'coco'
  keypoint = read(str(folder))['keypoint']
  np.testing.assert_array_equal(keypoint[0, :, 0, 0], [10, 12])
  one = str(folder / 'img_00010.json')
  assert clip_formats.detect(one) == 'mmpose'
  np.testing.assert_array_equal(read(one)['keypoint'][0, :, 0, 0], [12])


def test_track_ids_are_kept(tmp_path):
  content = video(
    [instance(10, track_id=5), instance(900, track_id=6)],
    [instance(10, track_id=6), instance(900, track_id=5)],
  )
  keypoint = read(write(tmp_path, content))['keypoint']
  np.testing.assert_array_equal(keypoint[:, :, 0, 0], [[10, 900], [900, 10]])


def test_poses_in_3d_have_no_scores(tmp_path):
  one = instance(10)
  one['keypoints'] = [[v + 1.0, v, -v] for v in range(17)]
  item = read(write(tmp_path, video([one])))
  assert item['keypoint'].shape == (1, 1, 17, 3)
  assert 'keypoint_score' not in item
  # Metres are no fractions of an image, nor are the joints those of COCO.
  one['keypoints'] = [[0.1 * v, -0.2, 0.3] for v in range(17)]
  path = write(tmp_path, video([one]))
  assert clip_formats.layout_of(path) == ''
  item = read(path, img_shape=(480, 640))
  np.testing.assert_array_equal(
    item['keypoint'][0, 0, 3], np.float32([0.3, -0.2, 0.3])
  )


@pytest.mark.parametrize('num_joints', [26, 133, 136])
def test_cocos_joints_of_more_are_taken_when_asked_for(tmp_path, num_joints):
  path = write(tmp_path, video([instance(10, num_joints)]))
  assert clip_formats.layout_of(path) == ''
  assert read(path)['keypoint'].shape == (1, 1, num_joints, 2)
  item = read(path, layout='coco')
  np.testing.assert_array_equal(item['keypoint'][0, 0, :, 0], np.arange(10, 27))
  assert item['keypoint_score'].shape == (1, 1, 17)
  assert read(path, layout='ucla')['keypoint'].shape[2] == num_joints


def test_other_numbers_of_joints_are_never_cut(tmp_path):
  path = write(tmp_path, video([instance(10, 20)]))
  assert read(path, layout='coco')['keypoint'].shape[2] == 20


def test_coco_annotations_are_the_frames_of_a_video(tmp_path):
  content = {
    'info': {},
    'images': [image(70, 'a_0003.jpg'), image(9, 'a_0001.jpg')],
    'annotations': [
      annotation(30, 70, bbox=[30, 100, 16, 16]),
      annotation(10, 9, bbox=[10, 100, 16, 16]),
      {'image_id': 9, 'keypoints': [0] * 51, 'num_keypoints': 0},
    ],
    'categories': [{'keypoints': COCO_NAMES}],
  }
  path = write(tmp_path, content)
  assert clip_formats.detect(path) == 'mmpose'
  assert clip_formats.layout_of(path) == 'coco'
  item = read(path)
  np.testing.assert_array_equal(
    item['keypoint'][0, :, 0], [[10, 100], [0, 0], [30, 100]]
  )
  # Labelled joints, v 2, have the score 1.
  np.testing.assert_array_equal(item['keypoint_score'][0, :, 5], [1, 0, 1])
  assert item['img_shape'] == (480, 640)
  assert read(path, img_shape=(480, 640))['img_shape'] == (480, 640)
  message = fails(path, img_shape=(1080, 1920))
  assert 'its images are 480x640' in message and '1080x1920' in message


def test_frame_ids_of_coco_images_come_before_their_names(tmp_path):
  content = {
    'images': [image(1, '7.jpg', frame_id=0), image(2, '6.jpg', frame_id=1)],
    'annotations': [annotation(10, 1), annotation(20, 2)],
  }
  keypoint = read(write(tmp_path, content))['keypoint']
  np.testing.assert_array_equal(keypoint[0, :, 0, 0], [10, 20])


def test_images_without_a_person_are_frames(tmp_path):
  content = {
    'images': [image(i, f'{i}.jpg') for i in range(4)],
    'annotations': [annotation(10, 1)],
  }
  keypoint = read(write(tmp_path, content))['keypoint']
  np.testing.assert_array_equal(keypoint[0, :, 0, 0], [0, 10, 0, 0])


def test_coco_results(tmp_path):
  content = [annotation(10, 4, score=0.5), annotation(12, 5, score=0.5)]
  content[1]['keypoints'][2::3] = [0.25] * 17
  path = write(tmp_path, content)
  assert clip_formats.detect(path) == 'mmpose'
  item = read(path)
  np.testing.assert_array_equal(item['keypoint'][0, :, 0, 0], [10, 12])
  np.testing.assert_array_equal(item['keypoint_score'][0, :, 0], [1, 0.25])


@pytest.mark.parametrize(
  'content, words',
  [
    ('[{"frame_id": 0, "instances": [', 'is not valid JSON'),
    ('', 'is not valid JSON'),
    ('[' * 100_000, 'nested too deeply'),
    ('7', "Expected a list of frames, or an object with 'instance_info'"),
    ({}, "Expected a list of frames, or an object with 'instance_info'"),
    ([], 'no person'),
    (video([], []), 'no person in any of its 2 frames'),
    ([7], "element 0: found 7. Expected a frame, an object with 'frame_id'"),
    ([{'instances': []}], "'frame_id' is missing"),
    ([{'frame_id': -1, 'instances': []}], "'frame_id' is -1"),
    ([{'frame_id': '3', 'instances': []}], "'frame_id' is '3'"),
    ([{'frame_id': 2.5, 'instances': []}], "'frame_id' is 2.5"),
    ([{'frame_id': True, 'instances': []}], "'frame_id' is True"),
    (video([instance(1)]) * 2, 'frame 0 occurs twice'),
    (video({}), 'Expected a list of instances'),
    (video([[]]), "Expected an object with 'keypoints'"),
    (video([instance(1, keypoints=[1, 2, 3])]), 'Expected one [x, y]'),
    (video([instance(1, keypoints=[[1, 2], [3]])]), 'a list of numbers'),
    (video([instance(1, keypoints=[['a', 'b']] * 17)]), 'a list of numbers'),
    (
      video([instance(1, keypoint_scores=[0.5] * 16)]),
      '17 joints and scores of shape (16,)',
    ),
    (
      video([instance(1, keypoint_scores=[[0.5]] * 17)]),
      '17 joints and scores of shape (17, 1)',
    ),
    (
      video([instance(1, keypoint_scores=[0] * 17)]),
      'no person in any of its 1 frames',
    ),
    (video([instance(1, bbox=[[1, 2]])]), "'bbox' is a list of 1 lists"),
    (video([instance(1, track_id='a')]), "'track_id' is 'a'"),
    (
      video([instance(1, track_id=2), instance(90, track_id=2)]),
      'two persons of frame 0 have the track id 2',
    ),
    (video([instance(1)], [instance(1, 16)]), '16 joints with 2 coordinates'),
    (
      [*video([instance(1)]), {'frame_id': 10**9, 'instances': []}],
      'frame 1000000000 follows frame 0',
    ),
    (
      {'images': [], 'annotations': [annotation(1, -5)]},
      "'image_id' is -5. Expected the frame number",
    ),
    (
      {'images': [image(1, '1.jpg')], 'annotations': [annotation(1, 2)]},
      "found 2. Expected an 'image_id' that is in 'images'",
    ),
    (
      {'images': [image(1, '1.jpg'), image(2, '1.png')], 'annotations': []},
      'frame 1 occurs twice',
    ),
    (
      {'images': [image(1, 'a.jpg')], 'annotations': []},
      "the name 'a.jpg' has no frame number",
    ),
    (
      {
        'images': [image(1, '1.jpg'), image(2, '2.jpg', height=9)],
        'annotations': [],
      },
      'its images have different sizes, (480, 640) and (9, 640)',
    ),
    (
      {'images': [image(1, '1.jpg', height=0)], 'annotations': []},
      'the image height is 0',
    ),
    ({'images': 3, 'annotations': []}, "Expected lists 'images' and"),
    ({'images': [3], 'annotations': []}, "Expected an object with an 'id'"),
    ([annotation(1, 'x')], "'image_id' is 'x'"),
    ([annotation(1, 1, keypoints=[1] * 50)], "'keypoints' has 50 numbers"),
    (
      [annotation(1, 1), {'image_id': 2}],
      'element 1: found an object with the',
    ),
  ],
)
def test_what_is_wrong_is_explained(tmp_path, content, words):
  path = write(tmp_path, content)
  message = fails(path)
  assert words in message and path in message


def test_null_and_nan_are_joints_that_were_not_found(tmp_path):
  one = instance(10)
  one['keypoints'][0] = [None, None]
  one['keypoints'][1] = [float('nan'), 3]
  one['keypoint_scores'][2] = None
  one['keypoint_scores'][3] = -0.01
  item = read(write(tmp_path, video([one])))
  assert not item['keypoint'][0, 0, :4].any()
  assert not item['keypoint_score'][0, 0, :4].any()
  assert item['keypoint_score'][0, 0, 4:].all()


def test_negative_track_ids_count_as_none(tmp_path):
  content = video(
    [instance(10, track_id=-1), instance(400, track_id=-1)],
    [instance(401, track_id=-1), instance(11, track_id=-1)],
  )
  keypoint = read(write(tmp_path, content))['keypoint']
  np.testing.assert_array_equal(keypoint[:, :, 0, 0], [[10, 11], [400, 401]])


def test_deep_lists_within_a_value(tmp_path):
  text = json.dumps(video([instance(10, keypoints='DEEP')]))
  text = text.replace('"DEEP"', '[' * 500 + ']' * 500)
  assert 'Expected a list of numbers' in fails(write(tmp_path, text))


def test_a_unicode_name_and_a_byte_order_mark(tmp_path):
  text = '\ufeff' + json.dumps(video([instance(10)]))
  path = write(tmp_path, text, 'Kniebeuge – 深蹲.json')
  assert clip_formats.detect(path) == 'mmpose'
  assert read(path)['keypoint'].shape == (1, 1, 17, 2)


def test_text_that_is_not_utf8(tmp_path):
  path = tmp_path / 'clip.json'
  path.write_bytes(b'[{"frame_id": 0, "name": "\xff\xfe"}]')
  assert 'is not a UTF-8 text file' in fails(str(path))
