"""Clips of other formats are preprocessed as data_prep does."""

import json
import pickle

import numpy as np
import pytest

from configs import posec3d_ntu60_keypoint
from configs import stgcn_mmaction1x
from data_prep import options as options_lib
from data_prep import prepare
from skeljax.datasets import prepared
from skeljax.predict import clips
from skeljax.predict import preprocess
from tests.skeljax.predict import own


def test_records_of_pose_tool_files_equal_those_of_the_prepared_dataset(
  tmp_path,
):
  """Two persons without track ids, which both sides have to track."""
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
  target = own.target(loaded, img_shape='240x320')
  found = []
  for name in names[2:]:
    [clip] = clips.list_clips(
      str(tmp_path / name), 'auto', target.options.read_options
    )
    found.append(preprocess.preprocess(clip, target).record)
  assert found[0]['keypoint'].shape == (2, 9, 17, 2)
  own.assert_same_records(found, dataset)


@pytest.mark.parametrize('max_persons, kept', [(None, 10), (2, 2), (0, 12)])
def test_compressed_clips_keep_the_persons_that_data_prep_keeps(
  tmp_path, max_persons, kept
):
  """The highest scores of a frame are kept, not the most motion."""
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
    max_persons=max_persons,
  )
  prepare.prepare(options, ['--runner=FnApiRunner'])
  dataset = prepared.open_dataset(str(tmp_path), 'crowds')
  assert dataset.spec.num_persons == kept
  config = own.narrow(posec3d_ntu60_keypoint.get_config())
  loaded = own.untrained(config, dataset.spec)
  own.assert_same_records(
    own.preprocessed(loaded, str(path), ['b', 'c']), dataset
  )
