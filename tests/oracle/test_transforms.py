"""PreNormalize3D, JointToBone and ToMotion of mmaction2, one by one."""

import copy
import dataclasses

import drawn_clips
import jax
from mmaction.datasets import transforms
import numpy as np
import pytest

from skeljax import errors
from skeljax import skeletons
from skeljax.datasets import normalize_3d
from skeljax.inputs import streams

NTU = skeletons.LAYOUTS['nturgb+d']
NUM_DRAWN = 60
FLAGS = ('has_score', 'published_rounding')


def normalized(item):
  """Return [M, T', V, 3] of mmaction2."""
  results = transforms.PreNormalize3D().transform(copy.deepcopy(item))
  assert results['total_frames'] == results['keypoint'].shape[1]
  return results['keypoint']


def assert_normalized(item, layout, message):
  """Compare both, and return the maximum difference."""
  theirs = normalized(item)
  ours = normalize_3d.normalize_mmaction1x(item['keypoint'], layout)
  assert ours.dtype == np.float64
  # Rounding is equal up to the angle; the rotation is computed in float64 with
  # another formula.
  scale = max(1.0, np.abs(theirs).max())
  np.testing.assert_allclose(
    ours, theirs, rtol=0, atol=1e-13 * scale, err_msg=message
  )
  return np.abs(ours - theirs).max() / scale


@pytest.mark.parametrize('dtype', ['float16', 'float32'])
@pytest.mark.parametrize('num_joints', [25, 20])
def test_normalized_clips_are_equal(
  num_joints, dtype, oracle_seed, record_difference
):
  """With 25 joints the origin is joint 1, otherwise the last, as published."""
  layout = NTU
  if num_joints == 20:
    layout = dataclasses.replace(
      skeletons.LAYOUTS['ucla'], origin=19, spine=(0, 1), shoulders=(8, 4)
    )
  rng = np.random.RandomState([oracle_seed % 2**32, num_joints])
  num_swapped, worst = 0, 0.0
  for number in range(NUM_DRAWN):
    item = drawn_clips.draw(rng, num_joints, 3, dtype)
    message = f'seed {oracle_seed}, clip {number}: {item["frame_dir"]}'
    worst = max(worst, assert_normalized(item, layout, message))
    frames = item['keypoint'].any(axis=(2, 3)).sum(axis=1)
    num_swapped += len(frames) == 2 and frames[1] > frames[0]
  assert num_swapped, 'no clip had its persons exchanged'
  record_difference('PreNormalize3D', 'transform', worst)


# Spine and shoulders of the first frame: parallel to an axis, opposite to it,
# almost so, or zero.
VECTORS = {
  'up': (0, 0, 1),
  'down': (0, 0, -1),
  'right': (1, 0, 0),
  'left': (-1, 0, 0),
  'none': (0, 0, 0),
  'almost up': (1e-7, 0, 1),
  'almost down': (0, 1e-3, -1),
  'tiny': (6e-8, 0, 0),
}


@pytest.mark.parametrize('dtype', ['float16', 'float32'])
@pytest.mark.parametrize('spine', VECTORS)
def test_skeletons_along_an_axis_are_equal(spine, dtype, oracle_seed):
  for shoulders, vector in VECTORS.items():
    rng = np.random.RandomState(oracle_seed % 2**32)
    item = drawn_clips.draw(rng, 25, 3, dtype, num_persons=1, num_frames=3)
    keypoint = rng.randn(1, 3, 25, 3).astype(dtype)
    keypoint[0, 0, [0, 4]] = 0
    keypoint[0, 0, 1] = VECTORS[spine]
    keypoint[0, 0, 8] = vector
    item |= {'keypoint': keypoint}
    assert_normalized(item, NTU, f'{oracle_seed}: {spine}, {shoulders}')


def test_normalizing_three_persons_raises():
  rng = np.random.RandomState(0)
  item = drawn_clips.draw(rng, 25, 3, num_persons=3, num_frames=4)
  item['keypoint'][:] = 1
  with pytest.raises(AssertionError):
    normalized(item)
  with pytest.raises(errors.UserError, match='max_persons=2'):
    normalize_3d.normalize_mmaction1x(item['keypoint'], NTU)


def adversarial(rng, shape, has_score, dtype):
  """Draw normal numbers, zeros, and the largest and smallest numbers."""
  limits = np.finfo(dtype)
  # XLA on the CPU flushes subnormal float32 to zero; see rounding.py for
  # float16.
  tiny = 0 if dtype == 'float32' else limits.smallest_subnormal
  special = [0, -0.0, 1, -1, limits.max, limits.min, limits.eps, tiny, 1 / 3]
  x = rng.randn(*shape)
  x = np.where(rng.rand(*shape) < 0.5, rng.choice(special, shape), x)
  if has_score:
    x[..., -1] = rng.rand(*shape[:-1]) * (rng.rand(*shape[:-1]) < 0.8)
  return x.astype(dtype)


@pytest.mark.parametrize('dtype', ['float16', 'float32'])
@pytest.mark.parametrize('name', drawn_clips.DATASETS)
@pytest.mark.parametrize('num_channels', [2, 3])
def test_bones_and_motions_are_equal(num_channels, name, dtype, oracle_seed):
  """Bit by bit, also infinities."""
  layout = skeletons.LAYOUTS[name]
  # What mmaction2 assumes is a score.
  has_score = num_channels == 3 and name != 'nturgb+d'
  rng = np.random.RandomState(oracle_seed % 2**32)
  shape = (2, 30, layout.num_joints, num_channels)
  x = adversarial(rng, shape, has_score, dtype)
  dataset, message = drawn_clips.DATASETS[name], f'seed {oracle_seed}'
  is_half = dtype == 'float16'

  with np.errstate(over='ignore'):
    bone = transforms.JointToBone(dataset).transform({'keypoint': x})
    motion = transforms.ToMotion(dataset).transform({'keypoint': x})
  # Under jit, where the compiler could use excess precision.
  ours = jax.jit(streams.bone, static_argnums=1, static_argnames=FLAGS)(
    x.astype(np.float32),
    layout.parents,
    has_score=has_score,
    published_rounding=is_half,
  )
  np.testing.assert_array_equal(ours, bone['keypoint'], err_msg=message)
  x_next = np.concatenate([x[:, 1:], x[:, -1:]], axis=1).astype(np.float32)
  is_last = (np.arange(30) == 29)[None, :, None, None]
  ours = jax.jit(streams.motion, static_argnames=FLAGS)(
    x.astype(np.float32),
    x_next,
    is_last,
    has_score=has_score,
    published_rounding=is_half,
  )
  np.testing.assert_array_equal(ours, motion['motion'], err_msg=message)
