"""Clips of other forms become the records that the preparation makes."""

import json
import pickle

import numpy as np
import pytest

from configs import posec3d_ntu60_keypoint
from configs import stgcn_mmaction1x
from data_prep import options as options_lib
from data_prep import prepare
from skeljax.datasets import prepared
from skeljax.predict import fitting
from skeljax.predict import own_clips
from skeljax.readers import clip_formats
from tests.skeljax.predict import own


def test_files_of_a_pose_tool_become_the_records_of_the_prepared_dataset(
  tmp_path,
):
  """Two persons without ids, who have to be told apart, in both ways alike."""
  rng = np.random.default_rng(0)
  names = [f'clip{i}.json' for i in range(4)]
  for name in names:
    pose, step = rng.uniform(20, 80, (2, 17, 2)), rng.uniform(-6, 6, (2, 1, 2))
    frames = []
    for t in range(9):
      people = [
        {
          'keypoints': (pose[m] + t * step[m]).tolist(),
          'keypoint_scores': rng.uniform(0.2, 1, 17).tolist(),
        }
        for m in rng.permutation(2)
      ]
      frames.append({'frame_id': t, 'instances': people})
    (tmp_path / name).write_text(json.dumps(frames))
  labels = tmp_path / 'labels.csv'
  labels.write_text(
    'file,label,split\n'
    + ''.join(
      f'{name},{"ab"[i % 2]},{("train", "val")[i > 1]}\n'
      for i, name in enumerate(names)
    )
  )
  options = options_lib.Options(
    source='clips',
    input=str(tmp_path),
    layout='',
    name='own',
    output=str(tmp_path / 'prepared'),
    labels=str(labels),
    img_shape='240x320',
  )
  prepare.prepare(options, ['--runner=FnApiRunner'])
  dataset = prepared.open_dataset(str(tmp_path / 'prepared'), 'own')
  config = own.narrow(stgcn_mmaction1x.get_config('dims=2'))
  loaded = own.untrained(config, dataset.spec)
  read = clip_formats.ReadOptions(img_shape=(240, 320))
  found = []
  for name in names[2:]:
    [clip] = own_clips.list_clips(str(tmp_path / name), 'auto', read)
    found.append(fitting.fit(clip, own.expected_by(loaded)).record)
  assert found[0]['keypoint'].shape == (2, 9, 17, 2)
  own.assert_same_records(found, dataset)


@pytest.mark.parametrize('told, kept', [(None, 10), (2, 2), (0, 12)])
def test_compressed_clips_are_filled_as_in_the_preparation(
  tmp_path, told, kept
):
  """Of more than ten in a frame the surest are kept, not two that move."""
  rng = np.random.default_rng(0)
  annotations = []
  for name, people in (('a', 1), ('b', 12), ('c', 3)):
    frame_inds = np.repeat(np.arange(4), people)
    keypoint = rng.uniform(10, 100, (len(frame_inds), 17, 3))
    keypoint[..., 2] = rng.uniform(0, 1, keypoint.shape[:2])
    annotations.append(
      {
        'frame_dir': name,
        'label': 0,
        'total_frames': 4,
        'img_shape': (120, 160),
        'frame_inds': frame_inds,
        'keypoint': keypoint.astype(np.float16),
      }
    )
  path = tmp_path / 'clips.pkl'
  split = {'train': ['a'], 'val': ['b', 'c']}
  path.write_bytes(pickle.dumps({'split': split, 'annotations': annotations}))
  options = options_lib.Options(
    source='pickle',
    input=str(path),
    layout='coco',
    name='crowds',
    output=str(tmp_path),
    max_persons=told,
  )
  prepare.prepare(options, ['--runner=FnApiRunner'])
  dataset = prepared.open_dataset(str(tmp_path), 'crowds')
  assert dataset.spec.num_persons == kept
  config = own.narrow(posec3d_ntu60_keypoint.get_config())
  loaded = own.untrained(config, dataset.spec)
  own.assert_same_records(own.fitted(loaded, str(path), ['b', 'c']), dataset)
