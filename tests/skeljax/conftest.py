"""A tiny prepared dataset, shared by all workers of a test run."""

import fcntl
import os
import pathlib
import pickle
import subprocess
import sys

import numpy as np
import pytest

_REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
NUM_TRAIN, NUM_VAL, NUM_CLASSES = 22, 9, 3


def write_annotations(path: pathlib.Path) -> None:
  """Write clips of 25 random joints whose motion depends on the class."""
  rng = np.random.default_rng(0)
  pose = rng.normal(size=(25, 3))
  annotations, split = [], {'train': [], 'val': []}
  for i in range(NUM_TRAIN + NUM_VAL):
    label = i % NUM_CLASSES
    frames, persons = int(rng.integers(6, 20)), 1 + i % 2
    time = np.linspace(0, 1, frames)[None, :, None, None]
    swing = np.sin(2 * np.pi * (label + 1) * time) * pose[::-1]
    noise = rng.normal(scale=0.02, size=(persons, frames, 25, 3))
    name = f'clip{i:03d}'
    annotations.append(
      dict(
        frame_dir=name,
        label=label,
        total_frames=frames,
        keypoint=(pose + swing + noise).astype(np.float16),
      )
    )
    split['train' if i < NUM_TRAIN else 'val'].append(name)
  with open(path, 'wb') as f:
    pickle.dump(dict(split=split, annotations=annotations), f)


@pytest.fixture(scope='session')
def tiny_root(tmp_path_factory) -> str:
  """Return the root of dataset `tiny`: 25 joints in 3D, not normalized."""
  shared = tmp_path_factory.getbasetemp()
  if os.environ.get('PYTEST_XDIST_WORKER'):
    shared = shared.parent
  root = shared / 'tiny_datasets'
  with open(shared / 'tiny_datasets.lock', 'w') as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    if not (root / 'ready').exists():
      root.mkdir(exist_ok=True)
      write_annotations(shared / 'tiny.pkl')
      prepare(f'--input={shared}/tiny.pkl', '--name=tiny', f'--output={root}')
      (root / 'ready').touch()
  return str(root)


def prepare(*arguments: str) -> None:
  """Run data_prep.main in a subprocess."""
  subprocess.run(
    [
      sys.executable,
      '-m',
      'data_prep.main',
      '--source=pickle',
      '--layout=nturgb+d',
      '--normalize=none',
      *arguments,
    ],
    cwd=_REPOSITORY,
    check=True,
    capture_output=True,
    text=True,
  )


@pytest.fixture
def tiny_config(tiny_root):
  return make_tiny_config(tiny_root)


@pytest.fixture(scope='session')
def new_tiny_config(tiny_root):
  """Return a function that builds the config, for module fixtures."""
  return lambda: make_tiny_config(tiny_root)


def make_tiny_config(root: str):
  """Return agcn_bone for the tiny dataset, with three narrow stages."""
  from configs import agcn_bone

  config = agcn_bone.get_config()
  shrink(config, root)
  return config


def shrink(config, root: str) -> None:
  """Adapt a graph network to the tiny dataset: narrow stages, a few steps."""
  config.data.update(
    dir=root, dataset='tiny', normalize='none', frames='uniform', clip_len=8
  )
  config.data.update(num_clips=1, repeat=1)
  config.model.update(base_channels=8, norm_group=0)
  config.model.num_stages = 3
  config.model.inflate_stages = (2,)
  config.model.down_stages = (3,)
  config.optim.update(base_lr=0.05, schedule='cosine', reference_batch=0)
  config.train.update(batch_size=8, epochs=3.0, log_every_steps=2)
  config.eval.update(batch_size=4, every_epochs=1.0)
  config.checkpoint.every_epochs = 1.0
