"""Heatmaps of joints and limbs against mmaction2's GeneratePoseTarget."""

import functools

import drawn_poses
import jax
import numpy as np
import pytest

from skeljax.inputs import gaussians

NUM_PERSONS, NUM_FRAMES = 3, 120
# Height and width, sigma.
PICTURES = {
  'square': (56, 56, 0.6),
  'oblong': (48, 64, 0.6),
  'blurred': (40, 40, 1.7),
}


@functools.partial(
  jax.jit, static_argnames=('stream', 'height', 'width', 'sigma')
)
def draw(points, *, stream, height, width, sigma):
  options = {'sigma': sigma, 'min_score': 1e-4}
  if stream == 'keypoint':
    function = gaussians.keypoint_heatmaps
  else:
    function = functools.partial(
      gaussians.limb_heatmaps, limbs=drawn_poses.COCO.limbs
    )
  return function(points[..., :2], points[..., 2], height, width, **options)


def drawn_points(rng, height, width, sigma):
  """[M, T, V, 3]: inside, outside, on edges, and all joints in one place."""
  shape = (NUM_PERSONS, NUM_FRAMES, drawn_poses.COCO.num_joints)
  xy = rng.uniform(-0.4, 1.4, (*shape, 2)) * [width, height]
  # On pixels, halfway, and where a window ends on a pixel's edge.
  offsets = [0, 0.5, 3 * sigma, -3 * sigma, 1e-3]
  xy[:, 20:40] = np.round(xy[:, 20:40])
  xy[:, 30:40] += rng.choice(offsets, (NUM_PERSONS, 10, shape[2], 2))
  # Short limbs, down to nothing, and of one pixel exactly.
  middle = xy[:, 40:70, :1]
  xy[:, 40:60] = middle[:, :20] + rng.uniform(
    -0.8, 0.8, (NUM_PERSONS, 20, 17, 2)
  )
  xy[:, 60:65] = middle[:, 20:25]
  xy[:, 65:70] = np.round(middle[:, 25:]) + rng.randint(
    0, 2, (NUM_PERSONS, 5, 17, 2)
  )
  # Along an axis, and joints that are missing.
  xy[:, 70:80, :, 0] = xy[:, 70:80, :1, 0]
  xy[:, 80:90, :, 1] = xy[:, 80:90, :1, 1]
  xy[rng.rand(*shape) < 0.05] = 0
  score = rng.rand(*shape)
  special = [0, 1e-4, np.nextafter(np.float32(1e-4), 0, dtype=np.float32), 1]
  score = np.where(rng.rand(*shape) < 0.3, rng.choice(special, shape), score)
  return np.concatenate([xy, score[..., None]], -1).astype(np.float32)


@pytest.mark.parametrize('picture', PICTURES)
@pytest.mark.parametrize('stream', ['keypoint', 'limb'])
def test_heatmaps_are_equal(stream, picture, oracle_seed, record_difference):
  height, width, sigma = PICTURES[picture]
  rng = np.random.RandomState(oracle_seed % 2**32)
  points = drawn_points(rng, height, width, sigma)
  ours = np.asarray(
    draw(points, stream=stream, height=height, width=width, sigma=sigma)
  )
  results = drawn_poses.target(stream, sigma=sigma).transform(
    {
      'keypoint': points[..., :2],
      'keypoint_score': points[..., 2],
      'img_shape': (height, width),
    }
  )
  theirs = np.moveaxis(results['imgs'], 1, -1)
  decisions = drawn_poses.Decisions()
  worst = decisions.compare_volumes(
    ours, theirs, points, stream, sigma, f'seed {oracle_seed}'
  )
  decisions.check(record_difference)
  assert (theirs > 0).mean() > 1e-3
  record_difference('GeneratePoseTarget', f'{stream} heatmaps', worst)
