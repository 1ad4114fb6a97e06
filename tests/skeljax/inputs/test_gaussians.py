"""Heatmaps of joints and limbs: worked examples and invariants."""

import functools

import jax
import numpy as np
import pytest

from skeljax.inputs import gaussians

SIZE = 16
LIMBS = ((0, 1), (1, 2), (3, 2), (4, 0))
OPTIONS = {'sigma': 0.6, 'min_score': 1e-4}

keypoint_heatmaps = jax.jit(
  functools.partial(
    gaussians.keypoint_heatmaps, height=SIZE, width=SIZE, **OPTIONS
  )
)


@functools.partial(jax.jit, static_argnames='limbs')
def limb_heatmaps(xy, score, limbs=LIMBS):
  return gaussians.limb_heatmaps(xy, score, SIZE, SIZE, limbs=limbs, **OPTIONS)


def drawn(kind, xy, score):
  function = keypoint_heatmaps if kind == 'keypoint' else limb_heatmaps
  return np.asarray(function(xy, score))


def random_points(seed=0, persons=3, frames=4, joints=5):
  """xy [M, T, V, 2] in and around the heatmap, score [M, T, V]."""
  rng = np.random.RandomState(seed)
  shape = (persons, frames, joints)
  xy = rng.uniform(-4, SIZE + 4, (*shape, 2)).astype(np.float32)
  return xy, rng.uniform(0.1, 1, shape).astype(np.float32)


def one_frame(*points):
  """Points (x, y, score) of one person in one frame."""
  points = np.array(points, np.float32)[None, None]
  return points[..., :2], points[..., 2]


def five_points(*points):
  """Return the same points, padded with points that are not drawn."""
  return one_frame(*points, *[(0, 0, 0)] * (5 - len(points)))


def test_joint_is_the_published_example():
  volume = drawn('keypoint', *five_points((3.3, 4.7, 0.9)))
  assert volume.shape == (1, SIZE, SIZE, 5)
  heatmap = volume[0, :, :, 0]
  assert np.argmax(heatmap) == 5 * SIZE + 3
  np.testing.assert_allclose(
    [heatmap[5, 3], heatmap[4, 3], heatmap[5, 4], heatmap[4, 4]],
    [0.700921, 0.402156, 0.402156, 0.230738],
    atol=1e-6,
  )
  rows, columns = np.nonzero(heatmap)
  assert set(rows) == set(range(2, 7)) and set(columns) == set(range(1, 6))
  assert not volume[..., 1:].any()


def test_limb_is_the_published_example():
  volume = drawn('limb', *five_points((1.2, 1.0, 0.9), (5.5, 6.1, 0.5)))
  np.testing.assert_allclose(
    volume[0, [2, 3, 1], [2, 3, 1], 0],
    [0.499245, 0.494778, 0.47298],
    atol=1e-6,
  )
  assert not volume[..., 1:].any()


def test_joint_is_the_product_of_its_profiles():
  """Each profile spans truncated -3 sigma to 3 sigma."""
  volume = drawn('keypoint', *five_points((7.0, 8.0, 0.5)))
  profile = np.exp(-np.square(np.arange(-2, 2)) / (2 * 0.6**2))
  np.testing.assert_allclose(volume.sum(), 0.5 * profile.sum() ** 2, rtol=1e-6)


@pytest.mark.parametrize('kind', ['keypoint', 'limb'])
def test_heatmaps_are_invariant_to_the_order_of_persons(kind):
  xy, score = random_points()
  volume = drawn(kind, xy, score)
  np.testing.assert_array_equal(volume, drawn(kind, xy[::-1], score[::-1]))
  alone = [drawn(kind, xy[m : m + 1], score[m : m + 1]) for m in range(3)]
  np.testing.assert_array_equal(volume, np.max(alone, axis=0))
  assert volume.any(axis=(0, 1, 2)).all()


@pytest.mark.parametrize('kind', ['keypoint', 'limb'])
def test_score_zero_draws_nothing(kind):
  xy, score = random_points()
  xy[0], score[0] = 5, 0
  score[1] = 0.99e-4
  alone = drawn(kind, xy[2:], score[2:])
  np.testing.assert_array_equal(drawn(kind, xy, score), alone)
  score[2] = 0
  assert not drawn(kind, xy, score).any()


def test_channels_follow_joints():
  xy, score = random_points()
  order = [3, 1, 4, 0, 2]
  # From jaxlib 0.11 the last elements of a vectorized loop may differ in
  # the last bit of both factors, and the order decides which these are.
  np.testing.assert_array_max_ulp(
    drawn('keypoint', xy[:, :, order], score[:, :, order]),
    drawn('keypoint', xy, score)[..., order],
    maxulp=2,
  )


def test_limb_is_invariant_to_the_order_of_its_ends():
  swapped = tuple((b, a) for a, b in LIMBS)
  xy, score = random_points()
  np.testing.assert_allclose(
    limb_heatmaps(xy, score, limbs=swapped),
    limb_heatmaps(xy, score),
    atol=2e-6,
  )


def test_short_limb_is_a_joint_with_the_score_of_its_start():
  xy, score = five_points((5.0, 6.0, 0.3), (5.5, 6.5, 0.8))
  joints = drawn('keypoint', xy, score)
  limb = drawn('limb', xy, score)[..., 0]
  np.testing.assert_allclose(limb, joints[..., 0], atol=1e-6)
  limbs = ((1, 0), *LIMBS[1:])
  limb = np.asarray(limb_heatmaps(xy, score, limbs=limbs))[..., 0]
  np.testing.assert_allclose(limb, joints[..., 1], atol=1e-6)
  # The end counts for whether it is drawn at all.
  score[0, 0, 1] = 0
  assert not drawn('limb', xy, score).any()


@pytest.mark.parametrize('kind', ['keypoint', 'limb'])
def test_edges_of_windows_are_truncated_towards_zero(kind):
  """A Gaussian two and a half pixels outside still reaches the first column."""
  for x, is_seen in ((-1.9, True), (-2.7, True), (-2.9, False), (17.9, False)):
    xy, score = five_points((x, 5.0, 1.0), (x, 9.0, 1.0))
    assert drawn(kind, xy, score)[..., 0].any() == is_seen, x


@pytest.mark.parametrize('kind', ['keypoint', 'limb'])
def test_memory_does_not_grow_with_the_number_of_persons(kind):
  """No buffer is as large as one volume per person."""
  function = keypoint_heatmaps if kind == 'keypoint' else limb_heatmaps
  xy, score = random_points(persons=10, frames=64)
  memory = function.lower(xy, score).compile().memory_analysis()
  one_volume = 64 * SIZE * SIZE * xy.shape[2] * 4
  terms = 4 * 10 * 2 * 64 * SIZE * xy.shape[2] * 4
  assert memory.temp_size_in_bytes < 2 * one_volume + terms < 8 * one_volume
