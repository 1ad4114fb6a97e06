"""All four streams of the README train, and learn from different inputs."""

import itertools

import numpy as np

from configs import stgcnpp_mmaction1x
from skeljax import score_file
from skeljax import train
from tests.skeljax import conftest

_STREAMS = ('joint', 'bone', 'joint_motion', 'bone_motion')


def test_streams_train_and_score_differently(tiny_root, tmp_path):
  scores = []
  for stream in _STREAMS:
    config = stgcnpp_mmaction1x.get_config(f'stream={stream}')
    conftest.shrink(config, tiny_root)
    # One temporal branch compiles faster than six.
    config.model.tcn_type = 'unit_tcn'
    config.model.num_stages = 2
    config.model.down_stages = ()
    config.train.epochs = 1.0
    workdir = tmp_path / stream
    train.train(config, str(workdir))
    scores.append(score_file.read(str(workdir / 'scores_val.npz')).scores)
  for a, b in itertools.combinations(scores, 2):
    assert not np.allclose(a, b)
