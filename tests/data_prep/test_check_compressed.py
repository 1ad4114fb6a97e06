"""data_prep.check on compressed annotations."""

import pickle

import numpy as np
import pytest

from data_prep import check
from data_prep import options as options_lib


def make_file():
  """Six clips of four frames and two persons; the first of eleven persons."""
  rng = np.random.default_rng(0)
  annotations = []
  for number in range(6):
    frames = np.repeat(np.arange(4), 2 if number else 11)
    item = dict(
      frame_dir=f'clip{number}',
      label=number % 2,
      total_frames=4,
      img_shape=(320, 570),
      frame_inds=frames,
      box_score=rng.uniform(0.5, 1, len(frames)),
      keypoint=rng.uniform(0, 1, (len(frames), 17, 3)),
    )
    annotations.append(item)
  ids = [item['frame_dir'] for item in annotations]
  return dict(
    split=dict(train=ids[:4], val=ids[4:]),
    annotations=annotations,
    label_names=['sit', 'stand'],
  )


def run(tmp_path, value):
  """The report on one line, and the number of errors."""
  path = tmp_path / 'a.pkl'
  path.write_bytes(pickle.dumps(value))
  text, num_errors = check.check(
    options_lib.Options(input=str(path), layout='coco')
  )
  return ' '.join(text.split()), num_errors


@pytest.mark.parametrize('with_keypoint', [True, False])
def test_compressed_clips_are_read(tmp_path, with_keypoint):
  value = make_file()
  if not with_keypoint:
    for item in value['annotations']:
      del item['keypoint']
  text, num_errors = run(tmp_path, value)
  assert num_errors == 0, text
  assert 'persons 2 (5 clips), 11 (1 clips) frames 4 / 4 / 4' in text
  assert '1 clip with more than 10 persons in a frame' in text
  assert 'most motion' not in text
  assert ('6 clips with keypoints in other' in text) != with_keypoint
  assert ('joints 17 (layout coco: 17) channels 2' in text) == with_keypoint


def test_errors_in_clips_without_keypoints_are_found(tmp_path):
  value = make_file()
  items = value['annotations']
  for item in items:
    del item['keypoint']
  items[0]['frame_inds'] = items[0]['frame_inds'][::-1]
  items[1]['frame_inds'] = items[1]['frame_inds'][:0]
  items[2]['label'] = 9
  items[5].update(items[3] | dict(frame_dir='clip5'))
  text, num_errors = run(tmp_path, value)
  assert num_errors == 3
  assert 'never decrease' in text and "'label' is 9" in text
  assert 'cannot be used (empty)' in text and '--drop_empty' in text
  assert 'clip5 (as clip3)' in text


def test_box_scores_of_another_shape_are_found(tmp_path):
  value = make_file()
  for item in value['annotations']:
    del item['keypoint']
  value['annotations'][2]['box_score'] = np.ones(3)
  text, num_errors = run(tmp_path, value)
  assert num_errors == 1
  assert "'box_score' has shape (3,). Expected (8,)" in text
