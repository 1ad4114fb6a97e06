"""Results of Ultralytics' pose models: JSON and label files."""

import json

import numpy as np
import pytest

from skeljax import errors
from skeljax.readers import clip_formats


def detection(x, num_joints=17, **fields):
  """Joint v at (x + v, 100 + v), with score 0.01 v + 0.5."""
  return {
    'name': 'person',
    'class': 0,
    'confidence': 0.9,
    'box': {'x1': x, 'y1': 100.0, 'x2': x + 16, 'y2': 116.0},
    'keypoints': {
      'x': [float(x + v) for v in range(num_joints)],
      'y': [100.0 + v for v in range(num_joints)],
      'visible': [0.5 + 0.01 * v for v in range(num_joints)],
    },
    **fields,
  }


def line(x, more='', size=3, num_joints=17):
  """A line of a label file: joint v at (x + 0.01 v, 0.5)."""
  joints = [(f'{x + 0.01 * v:g}', '0.5', '0.75') for v in range(num_joints)]
  numbers = [number for joint in joints for number in joint[:size]]
  return ' '.join(['0', f'{x + 0.08:g}', '0.5', '0.16', '0.2', *numbers, more])


def write(tmp_path, content, name='clip.json'):
  path = tmp_path / name
  path.write_text(content if isinstance(content, str) else json.dumps(content))
  return str(path)


def write_labels(folder, files):
  folder.mkdir()
  for name, lines in files.items():
    (folder / name).write_text(''.join(text + '\n' for text in lines))
  return str(folder)


def read(path, **options):
  return clip_formats.read_clip(
    path, 'ultralytics', clip_formats.ReadOptions(**options)
  )


def fails(path, **options):
  with pytest.raises(errors.UserError) as caught:
    read(path, **options)
  return str(caught.value)


FRAMES = [
  [detection(10, track_id=2), detection(900, track_id=1)],
  [],
  [detection(905, track_id=1), detection(12, track_id=2)],
]


@pytest.mark.parametrize('form', ['list', 'lines', 'texts'])
def test_the_summaries_of_all_frames(tmp_path, form):
  if form == 'lines':
    text = '\n'.join(json.dumps(frame) for frame in FRAMES) + '\n'
    path = write(tmp_path, text, 'clip.jsonl')
  elif form == 'texts':
    # `[result.to_json() for result in results]`
    path = write(tmp_path, [json.dumps(frame, indent=2) for frame in FRAMES])
  else:
    path = write(tmp_path, FRAMES)
  assert clip_formats.detect(path) == 'ultralytics'
  assert clip_formats.layout_of(path) == 'coco'
  item = read(path)
  # Person 0 is the first of the first frame: they are equally sure.
  np.testing.assert_array_equal(
    item['keypoint'][:, :, 16, 0], [[26, 0, 28], [916, 0, 921]]
  )
  np.testing.assert_array_equal(
    item['keypoint_score'][0, :, 10], np.float32([0.6, 0, 0.6])
  )
  assert 'img_shape' not in item
  assert read(path, img_shape=(480, 640))['img_shape'] == (480, 640)


def test_one_summary_is_a_clip_of_one_frame_and_a_folder_a_clip(tmp_path):
  folder = tmp_path / 'frames'
  folder.mkdir()
  one = write(folder, json.dumps([detection(10)], indent=2), 'video_2.json')
  write(folder, [detection(12)], 'video_3.json')
  assert clip_formats.detect(one) == 'ultralytics'
  assert read(one)['keypoint'].shape == (1, 1, 17, 2)
  assert clip_formats.detect(str(folder)) == 'ultralytics'
  keypoint = read(str(folder))['keypoint']
  np.testing.assert_array_equal(keypoint[0, :, 0, 0], [10, 12])


def test_a_joint_at_the_origin_was_not_found(tmp_path):
  # Older versions keep the score of joints that they put there.
  one = detection(10)
  one['keypoints']['x'][3] = one['keypoints']['y'][3] = 0.0
  item = read(write(tmp_path, [[one]]))
  assert item['keypoint_score'][0, 0, 3] == 0
  assert np.count_nonzero(item['keypoint_score']) == 16


def test_joints_without_scores_have_the_score_1(tmp_path):
  one = detection(10)
  del one['keypoints']['visible']
  item = read(write(tmp_path, [[one]]))
  assert (item['keypoint_score'] == 1).all()


def test_normalised_summaries_need_the_image_size(tmp_path):
  one = detection(0)
  one['keypoints']['x'] = [0.25] * 17
  one['keypoints']['y'] = [0.5] * 17
  path = write(tmp_path, [[one]])
  assert '--img_shape' in fails(path)
  item = read(path, img_shape=(200, 400))
  np.testing.assert_array_equal(item['keypoint'][0, 0, 0], [100, 100])


@pytest.mark.parametrize(
  'more, expected',
  [
    (('', ''), [[40, 44], [200, 204]]),  # neither: matched
    (('0.8', '0.8'), [[40, 44], [200, 204]]),  # save_conf
    (('4', '9'), [[40, 204], [200, 44]]),  # track
    (('0.8 4', '0.8 9'), [[40, 204], [200, 44]]),  # both
  ],
)
@pytest.mark.parametrize('size', [2, 3])
def test_label_files(tmp_path, more, expected, size):
  # The persons change places between the frames; ids say otherwise.
  first, second = more
  path = write_labels(
    tmp_path / 'labels',
    {
      'walk_1.txt': [line(0.1, first, size), line(0.5, second, size)],
      'walk_10.txt': [line(0.51, first, size), line(0.11, second, size)],
    },
  )
  assert clip_formats.detect(path) == 'ultralytics'
  assert clip_formats.layout_of(path) == 'coco'
  item = read(path, img_shape=(200, 400))
  assert item['keypoint'].shape == (2, 10, 17, 2)
  x = item['keypoint'][:, [0, 9], 0, 0]
  np.testing.assert_allclose(np.sort(x, axis=0), np.sort(expected, axis=0))
  if more[0]:
    np.testing.assert_allclose(x, expected)
  np.testing.assert_array_equal(item['keypoint'][:, 0, :, 1], 100)
  score = 0.75 if size == 3 else 1
  np.testing.assert_array_equal(item['keypoint_score'][0, 0], score)
  assert not item['keypoint_score'][0, 1:9].any()


def test_label_files_need_the_image_size(tmp_path):
  path = write_labels(tmp_path / 'labels', {'walk_1.txt': [line(0.1)]})
  message = fails(path)
  assert 'fractions of an image' in message and '--img_shape' in message


@pytest.mark.parametrize(
  'text, words',
  [
    (line(0.1, num_joints=16), 'line 1: has 53 values'),
    (line(0.1, '1 2 3'), 'line 1: has 59 values'),
    ('0 person', 'line 1: has 2 values. Expected numbers'),
    (line(0.1).replace('0.75', 'x', 1), 'Expected numbers'),
    (line(0.1).replace('0.75', 'inf', 1), 'is infinite'),
  ],
)
def test_a_wrong_line_is_explained(tmp_path, text, words):
  path = write_labels(tmp_path / 'labels', {'walk_1.txt': [text]})
  message = fails(path, img_shape=(200, 400))
  assert words in message and 'walk_1.txt' in message


def test_empty_folders_and_files_without_number(tmp_path):
  path = write_labels(tmp_path / 'a', {})
  assert 'Expected a folder of .txt or .json files' in fails(path)
  path = write_labels(tmp_path / 'b', {'classes.txt': [line(0.1)]})
  assert "the name 'classes.txt' has no frame number" in fails(path)
  path = write_labels(tmp_path / 'c', {'walk_1.txt': []})
  assert 'no person' in fails(path, img_shape=(200, 400))


@pytest.mark.parametrize(
  'content, words',
  [
    ('[[{"name": "person", ', 'is not valid JSON'),
    ('[[]]\n[[{]]\n', 'is not valid JSON'),
    ({}, 'Expected a list with one list per frame'),
    ([], 'no person'),
    ([[], []], 'no person in any of its 2 frames'),
    ([[], 7], 'frame 1: found 7. Expected the list of persons of a frame'),
    ([['x']], "Expected an object whose 'keypoints' have 'x' and 'y'"),
    ([[{'keypoints': [1, 2]}]], "whose 'keypoints' have 'x' and 'y'"),
    ([['[']], 'Expected an object whose'),
    ([[detection(1, keypoints={'x': [1, 2], 'y': [1]})]], 'as many numbers in'),
    ([[detection(1, keypoints={'x': ['1'], 'y': [1]})]], "'x' is a list of 1"),
    ([[detection(1, box={'x1': 1})]], 'Expected a box with x1, y1, x2, y2'),
    ([[detection(1, track_id=1.5)]], "'track_id' is 1.5"),
    (
      [[detection(1, track_id=1), detection(9, track_id=1)]],
      'two persons of frame 0 have the track id 1',
    ),
    ([[detection(1), detection(9, 13)]], '13 joints with 2 coordinates'),
  ],
)
def test_what_is_wrong_is_explained(tmp_path, content, words):
  path = write(tmp_path, content)
  message = fails(path)
  assert words in message and path in message


def test_unicode_names(tmp_path):
  path = write(tmp_path, FRAMES, 'ходьба 歩.json')
  assert clip_formats.detect(path) == 'ultralytics'
  assert read(path)['total_frames'] == 3
