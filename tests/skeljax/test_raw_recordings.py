"""From raw .skeleton files to a trained model, with the public commands."""

import numpy as np

from configs import stgcn_joint_3d
from data_prep import options as options_lib
from data_prep import prepare
from skeljax import score_file
from skeljax import train
from tests import recordings
from tests.skeljax import conftest

NUM_TRAIN, NUM_VAL, NUM_ACTIONS = 22, 9, 3


def write_recordings(folder):
  """Three actions, each a pose of its own, some by two; returns the names."""
  random = np.random.RandomState(0)
  poses = random.uniform(-1, 1, (NUM_ACTIONS, 25, 3)) * [0.4, 0.9, 0.4]
  folder.mkdir()
  names = []
  for number in range(NUM_TRAIN + NUM_VAL):
    action = number % NUM_ACTIONS
    # Subject 1 trains, subject 3 validates.
    subject = 1 if number < NUM_TRAIN else 3
    name = f'S{1 + number:03}C001P{subject:03}R001A{1 + action:03}'
    noise = random.normal(size=(12, 2, 25, 3)) * 0.05
    frames = [
      list(enumerate(people))[: 1 + number % 2]
      for people in poses[action] + noise + [3, 0, 3]
    ]
    text = recordings.text(frames)
    (folder / f'{name}.skeleton').write_text(text)
    names.append(name)
  return names


def small_network(root):
  """One block of ST-GCN: that something is trained is all that matters."""
  config = stgcn_joint_3d.get_config()
  conftest.shrink(config, root)
  config.model.update(base_channels=4, num_stages=1)
  config.model.update(inflate_stages=(), down_stages=())
  config.train.epochs = 1.0
  return config


def test_raw_recordings_become_a_trained_model(tmp_path):
  folder = tmp_path / 'nturgb+d_skeletons'
  names = write_recordings(folder)
  validating = sorted(name for name in names if 'P003' in name)
  (tmp_path / 'names.txt').write_text('sit\nstand\nwave\n')
  options = options_lib.Options(
    source='ntu',
    input=str(folder),
    protocol='ntu60_xsub',
    layout='',
    name='tiny',
    output=str(tmp_path / 'data'),
    class_names=str(tmp_path / 'names.txt'),
    denoise='pyskl',
  )
  prepare.prepare(options, ['--runner=FnApiRunner'])
  workdir = tmp_path / 'run'
  config = small_network(str(tmp_path / 'data'))
  result = train.train(config, str(workdir))
  assert np.isfinite(result.summary['loss'])
  scores = score_file.read(str(workdir / 'scores_val.npz'))
  assert sorted(scores.ids) == validating
  assert scores.labels.tolist() == [int(i[-3:]) - 1 for i in scores.ids]
  assert scores.class_names == ('sit', 'stand', 'wave')
