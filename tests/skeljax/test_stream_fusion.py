"""Two-stream and four-stream fusion commands of the README."""

import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from configs import stgcnpp_mmaction1x
from skeljax import score_file

_REPOSITORY = pathlib.Path(__file__).parents[2]
_README = (_REPOSITORY / 'README.md').read_text()
_FUSE = re.findall(
  r'^ *python -m (skeljax\.fuse runs/\{joint.+)', _README, re.M
)


@pytest.fixture(scope='module')
def streams() -> list[str]:
  """Return the streams that the loop in the README trains."""
  loop = re.search(r'for stream in (.+); do\n.+stgcnpp_mmaction1x', _README)
  return loop[1].split()


@pytest.fixture(scope='module')
def folder(streams, tmp_path_factory) -> pathlib.Path:
  """Return a folder with random scores as runs/STREAM of every stream."""
  folder = tmp_path_factory.mktemp('fusion')
  for seed, stream in enumerate(streams):
    scores = np.random.default_rng(seed).dirichlet(np.ones(3), size=9)
    workdir = folder / 'runs' / stream
    workdir.mkdir(parents=True)
    score_file.write(
      workdir / 'scores_val.npz',
      score_file.ScoreSet(
        ids=tuple(f'clip{i}' for i in range(9)),
        scores=scores.astype(np.float32),
        labels=np.arange(9) % 3,
        class_names=('sit', 'stand', 'wave'),
        average='prob',
      ),
    )
  return folder


def test_readme_trains_all_four_streams(streams):
  assert sorted(streams) == ['bone', 'bone_motion', 'joint', 'joint_motion']
  assert len(_FUSE) == 2
  for stream in streams:
    config = stgcnpp_mmaction1x.get_config(f'stream={stream}')
    assert config.input.stream == stream


@pytest.mark.parametrize('command', _FUSE)
def test_fused_scores_are_the_weighted_sum(command, folder):
  done = subprocess.run(
    ['bash', '-c', f'{sys.executable} -m {command} --output=fused.npz'],
    cwd=folder,
    env={'PYTHONPATH': str(_REPOSITORY)},
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  names = re.search(r'\{(.+?)\}', command)[1].split(',')
  option = re.search(r'--weights=(\S+)', command)
  weights = (
    [float(w) for w in option[1].split(',')] if option else [1] * len(names)
  )
  parts = [
    score_file.read(str(folder / 'runs' / name / 'scores_val.npz'))
    for name in names
  ]
  expected = sum(w * p.scores for w, p in zip(weights, parts, strict=True))
  fused = score_file.read(str(folder / 'fused.npz'))
  np.testing.assert_allclose(fused.scores, expected, rtol=1e-6)
