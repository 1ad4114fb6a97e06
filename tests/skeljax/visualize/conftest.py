"""Small clips to draw."""

import dataclasses

import numpy as np
import pytest

from skeljax import skeletons


@pytest.fixture(scope='session')
def walk():
  """Two coco skeletons, 5 frames; the first moves right, 30 pixels per frame."""
  from skeljax.visualize import clips

  rng = np.random.default_rng(0)
  # Nearly upright lines of joints, without symmetry.
  body = np.stack([np.linspace(0, 40, 17), np.linspace(0, 200, 17)], -1)
  body += rng.uniform(-4, 4, body.shape)
  first = [body + (100 + 30 * t, 100) for t in range(5)]
  second = [body + (400, 90)] * 5
  return clips.Clip(
    id='walks/1',
    class_name='walk',
    layout=skeletons.get_layout('coco'),
    keypoint=np.array([first, second], np.float32),
    score=np.full((2, 5, 17), 0.8, np.float32),
    img_shape=(480, 640),
  )


@pytest.fixture(scope='session')
def body_3d():
  """One upright skeleton of 25 joints in metres, y up, shoulders along x."""
  from skeljax.visualize import clips

  layout = skeletons.get_layout('nturgb+d')
  rng = np.random.default_rng(1)
  joints = rng.uniform(-0.2, 0.2, (25, 3)) + (0.0, 0.0, 3.0)
  joints[list(layout.spine), 1] = -0.2, 0.4
  joints[list(layout.shoulders), 0] = -0.4, 0.4
  return clips.Clip(
    id='body',
    class_name='',
    layout=layout,
    keypoint=np.tile(joints, (1, 4, 1, 1)).astype(np.float32),
    score=None,
    img_shape=(0, 0),
  )


@pytest.fixture(scope='session')
def volumes(walk):
  """Both heatmap volumes of `walk`, 32 pixels wide."""
  from skeljax.visualize import heatmaps

  return [
    heatmaps.compute(walk, stream, size=32) for stream in ('keypoint', 'limb')
  ]


@pytest.fixture
def change():
  """Return a copy of a clip with some fields replaced."""
  return dataclasses.replace
