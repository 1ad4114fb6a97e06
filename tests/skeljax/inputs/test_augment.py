"""Random augmentation: invariants, and what the draws depend on."""

import jax
import numpy as np
import pytest

from skeljax import skeletons
from skeljax.inputs import augment

ANGLES = np.random.RandomState(0).uniform(-3, 3, (4, 3)).astype(np.float32)
EVERYWHERE = np.ones((1,) * 6, bool)


def random_clips(seed=0, channels=3):
  shape = (4, 1, 2, 3, 25, channels)
  return np.random.RandomState(seed).randn(*shape).astype(np.float32)


def distances(x):
  return np.linalg.norm(x[..., :, None, :] - x[..., None, :, :], axis=-1)


draw_view = jax.jit(
  augment.draw_view,
  static_argnames=('num_channels', 'flip', 'scale', 'rotate', 'shift'),
)


def draw(index, **changes):
  options = {
    'num_channels': 3,
    'flip': 0.3,
    'scale': 0.2,
    'rotate': (60.0, 30.0, 0.0),
    'shift': 0.1,
    **changes,
  }
  return draw_view(jax.random.key(1), index, **options)


@pytest.mark.parametrize('order', augment.ROTATE_ORDERS)
def test_rotation_preserves_distances(order):
  x = random_clips()
  view = augment.View(rotation=augment.rotation_matrix(ANGLES, order))
  got = np.asarray(augment.apply_view(x, view, EVERYWHERE))
  np.testing.assert_allclose(distances(got), distances(x), atol=1e-5)
  assert np.abs(got - x).max() > 0.1
  np.testing.assert_allclose(np.linalg.det(view.rotation), 1, rtol=1e-5)


def test_rotation_in_the_plane_preserves_distances():
  x = random_clips(channels=2)
  view = augment.View(rotation=augment.rotation_matrix(ANGLES[:, :1], 'xyz'))
  got = np.asarray(augment.apply_view(x, view, EVERYWHERE))
  np.testing.assert_allclose(distances(got), distances(x), atol=1e-5)


def test_rotation_orders_are_the_published_compositions():
  """pyskl: R = Rz Ry Rx. CTR-GCN: rows times (Ry Rx), so x' = (Ry Rx)^T x."""
  a, b, c = ANGLES[0]
  rx = np.array(
    [[1, 0, 0], [0, np.cos(a), np.sin(a)], [0, -np.sin(a), np.cos(a)]]
  )
  ry = np.array(
    [[np.cos(b), 0, -np.sin(b)], [0, 1, 0], [np.sin(b), 0, np.cos(b)]]
  )
  rz = np.array(
    [[np.cos(c), np.sin(c), 0], [-np.sin(c), np.cos(c), 0], [0, 0, 1]]
  )
  got = augment.rotation_matrix(ANGLES[:1], 'xyz')
  np.testing.assert_allclose(got[0], rz @ ry @ rx, atol=1e-6)
  # The angles are drawn symmetrically, so their sign does not matter.
  flipped = -ANGLES[:1] * np.array([[1, 1, 0]], np.float32)
  got = augment.rotation_matrix(flipped, 'zyx')
  np.testing.assert_allclose(got[0], (ry @ rx).T, atol=1e-6)


@pytest.mark.parametrize('width', [None, 0.0, 1920.0])
@pytest.mark.parametrize('name', skeletons.LAYOUTS)
def test_flip_twice_is_identity(name, width):
  layout = skeletons.LAYOUTS[name]
  shape = (3, layout.num_joints, 3)
  x = np.random.RandomState(0).randint(1, 1900, shape).astype(np.float32)
  x[0, 2] = 0
  if width is not None:
    width = np.full((1, 1, 1), width, np.float32)
  once = augment.flip(x, layout.flip_index, width)
  twice = augment.flip(once, layout.flip_index, width)
  np.testing.assert_array_equal(twice, x)


def test_flip_of_pixels_by_hand():
  # Joints left, right, top with scores; the right one is missing.
  x = np.array([[10, 5, 0.9], [0, 0, 0], [30, 1, 0.2]], np.float32)
  got = augment.flip(x, (1, 0, 2), np.full((1, 1), 100, np.float32))
  expected = [[0, 0, 0], [90, 5, 0.9], [70, 1, 0.2]]
  np.testing.assert_array_equal(got, np.array(expected, np.float32))


def test_shift_does_not_move_missing_joints():
  x = random_clips()
  x[0, 0, 0, 0, 3] = 0
  is_present = np.any(x != 0, axis=-1, keepdims=True)
  view = draw(np.arange(4), flip=0.0, scale=0.0, rotate=(), shift=0.5)
  got = np.asarray(augment.apply_view(x, view, is_present))
  assert not got[0, 0, 0, 0, 3].any()
  moved = (got - x)[1].reshape(-1, 3)
  np.testing.assert_allclose(moved, moved[:1].repeat(len(moved), 0), atol=1e-6)
  assert np.abs(moved).max() <= 0.5


def test_draws_depend_on_the_clip_not_on_its_position():
  index = np.arange(6)
  together, apart = draw(index), draw(index[[4, 1]])
  for a, b in zip(together, apart):
    np.testing.assert_array_equal(np.asarray(a)[[4, 1]], b)


def test_disabling_one_augmentation_does_not_change_the_others():
  index = np.arange(3)
  np.testing.assert_array_equal(
    draw(index).shift, draw(index, flip=0.0, scale=0.0, rotate=()).shift
  )
  nothing = draw(index, flip=0.0, scale=0.0, rotate=(0.0,) * 3, shift=0.0)
  assert nothing == augment.View()


def test_draws_have_the_configured_range_and_rate():
  view = draw(np.arange(2000))
  assert abs(np.mean(view.flip) - 0.3) < 0.05
  scale = np.asarray(view.scale)
  assert 0.8 <= scale.min() < 0.81 and 1.19 < scale.max() <= 1.2
  # Without a turn about z the image of x shows the angle about y alone: its
  # z component is sin(angle) times cos of the angle about x.
  r = np.asarray(view.rotation)
  angle_y = np.degrees(np.arccos(np.clip(r[:, 0, 0], -1, 1)))
  assert 29 < angle_y.max() <= 30.01
