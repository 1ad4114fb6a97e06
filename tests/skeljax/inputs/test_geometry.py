"""Geometry from the image to the heatmap: worked examples and invariants."""

import jax
import numpy as np

from skeljax import skeletons
from skeljax.inputs import geometry

COCO = skeletons.LAYOUTS['coco']
COMPACT = {'padding': 0.25, 'threshold': 10.0}
compact = jax.jit(
  geometry.compact,
  static_argnames=('padding', 'threshold', 'hw_ratio', 'allow_imgpad'),
)
random_resized_crop = jax.jit(geometry.random_resized_crop)


def points(*xy):
  """[1, 1, 1, 1, V, 2]."""
  return np.array(xy, np.float32)[None, None, None, None]


def size(height, width):
  return np.array([[height, width]], np.int32)


def test_box_is_the_extent_plus_a_quarter():
  """Half sizes 10 and 20 grow to 12.5 and 25 about (110, 120)."""
  xy = points((100, 100), (120, 140))
  moved, new = compact(xy, size(1080, 1920), **COMPACT)
  np.testing.assert_array_equal(new, [[50, 25]])  # 145 - 95, 122 - 97.
  np.testing.assert_array_equal(moved, xy - np.float32([97, 95]))
  moved, new = compact(xy, size(1080, 1920), hw_ratio=(1.0, 1.0), **COMPACT)
  np.testing.assert_array_equal(new, [[50, 50]])
  np.testing.assert_array_equal(moved, xy - np.float32([85, 95]))


def test_box_may_exceed_the_image_unless_disabled():
  """Corners are truncated towards zero, also below it."""
  xy = points((2, 30), (31, 61))
  moved, new = compact(xy, size(64, 33), **COMPACT)
  np.testing.assert_array_equal(new, [[64 - 26, 34 + 1]])  # x from -1.625.
  np.testing.assert_array_equal(moved, xy - np.float32([-1, 26]))
  moved, new = compact(xy, size(64, 33), allow_imgpad=False, **COMPACT)
  np.testing.assert_array_equal(new, [[64 - 26, 33]])
  np.testing.assert_array_equal(moved, xy - np.float32([0, 26]))


def test_missing_coordinates_do_not_move():
  xy = points((100, 100), (0, 0), (0, 120), (130, 0), (np.nan, 140), (120, 140))
  moved, _ = compact(xy, size(500, 500), **COMPACT)
  assert not np.isnan(moved).any()
  np.testing.assert_array_equal(moved == 0, np.nan_to_num(xy) == 0)
  flipped = geometry.flip(moved, size(50, 60), np.array([True]), range(6))
  np.testing.assert_array_equal(flipped[..., 1], moved[..., 1])
  x = np.asarray(moved[..., 0])
  np.testing.assert_array_equal(flipped[..., 0], np.where(x != 0, 60 - x, 0))


def test_small_and_absent_groups_are_not_cropped():
  for xy in (
    points((100, 100), (109, 140)),
    points((100, 100), (140, 109)),
    points((0, 0), (0, 0)),
    points((100, 0), (140, 0)),
  ):
    moved, new = compact(xy, size(480, 640), **COMPACT)
    np.testing.assert_array_equal(moved, xy)
    np.testing.assert_array_equal(new, [[480, 640]])


def test_one_box_for_all_views_and_persons():
  rng = np.random.RandomState(0)
  xy = rng.uniform(50, 400, (2, 3, 2, 4, 5, 2)).astype(np.float32)
  img_shape = np.array([[480, 640]] * 2, np.int32)
  moved, new = compact(xy, img_shape, hw_ratio=(1, 1), **COMPACT)
  joined = xy.reshape(2, 1, 1, -1, 5, 2)
  moved_joined, new_joined = compact(
    joined, img_shape, hw_ratio=(1, 1), **COMPACT
  )
  np.testing.assert_array_equal(new, new_joined)
  np.testing.assert_array_equal(np.reshape(moved, joined.shape), moved_joined)


def test_center_crop_removes_the_odd_pixel_at_right_and_bottom():
  xy, new = geometry.resize_short_side(points((101, 50)), size(100, 101), 64)
  np.testing.assert_array_equal(new, [[64, 65]])
  moved, new = geometry.center_crop(xy, new, 64, 64)
  np.testing.assert_array_equal(moved, xy)
  xy = points((30, 20))
  moved, new = geometry.center_crop(xy, size(70, 67), 64, 64)
  np.testing.assert_array_equal(moved, xy - np.float32([1, 3]))
  np.testing.assert_array_equal(new, [[64, 64]])


def crop_draw(aspect, area, offset):
  number = geometry.NUM_CANDIDATES - len(aspect)
  return geometry.CropDraw(
    np.array([[*aspect, *[1.0] * number]], np.float32),
    np.array([[*area, *[0.25] * number]], np.float32),
    np.array([offset], np.float32),
  )


def test_first_candidate_that_fits_is_cropped():
  """The first is 139 wide; the second 40 x 80 of 60 x 100 pixels."""
  draw = crop_draw([4.0, 2.0], [0.8, 3200 / 6000], [0.5, 0.999])
  xy = points((30, 30))
  moved, new = random_resized_crop(xy, size(60, 100), draw)
  np.testing.assert_array_equal(new, [[40, 80]])
  np.testing.assert_array_equal(moved, [[[[[[30 - 10, 30 - 20]]]]]])


def test_central_square_if_no_candidate_fits():
  draw = geometry.CropDraw(
    np.ones((1, 10), np.float32), np.ones((1, 10), np.float32), np.zeros((1, 2))
  )
  xy = points((30, 30))
  moved, new = random_resized_crop(xy, size(60, 101), draw)
  np.testing.assert_array_equal(new, [[60, 60]])
  np.testing.assert_array_equal(moved, [[[[[[30 - 20, 30]]]]]])


def test_draws_depend_only_on_key_and_clip():
  @jax.jit
  def draw_jitted(key, index):
    crop = geometry.draw_crop(key, index, area=(0.5, 0.9), aspect=(0.7, 1.5))
    return *crop, geometry.draw_flip(key, index, 0.5)

  def draw(key, index):
    return [np.asarray(x) for x in draw_jitted(jax.random.key(key), index)]

  index = np.arange(20)
  first, shuffled = draw(1, index), draw(1, index[::-1])
  for a, b in zip(first, shuffled):
    np.testing.assert_array_equal(a, b[::-1])
  for a, b in zip(first, draw(2, index)):
    assert (a != b).any()
  aspect, area, offset, flip = first
  assert 0.7 <= aspect.min() < aspect.max() <= 1.5
  assert 0.5 <= area.min() < area.max() <= 0.9
  assert 0 <= offset.min() < offset.max() < 1
  assert 0 < flip.sum() < 20
  assert len(np.unique(aspect)) == aspect.size


def test_crops_stay_inside_the_image():
  rng = np.random.RandomState(0)
  number = 500
  img_shape = rng.randint(10, 90, (number, 2)).astype(np.int32)
  draw = geometry.CropDraw(
    rng.uniform(0.3, 3, (number, 10)).astype(np.float32),
    rng.uniform(0.001, 1, (number, 10)).astype(np.float32),
    np.float32(rng.choice([0, 0.5, 1 - 2.0**-24], (number, 2))),
  )
  xy = np.zeros((number, 1, 1, 1, 1, 2), np.float32)
  moved, new = random_resized_crop(xy, img_shape, draw)
  corner = -np.asarray(moved).reshape(number, 2)[:, ::-1]
  assert (np.asarray(new) >= 1).all() and (corner >= 0).all()
  assert (corner + new <= img_shape).all()
