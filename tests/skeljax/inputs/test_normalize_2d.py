"""2D normalization and min-max per clip."""

import numpy as np
import pytest

from skeljax.inputs import normalize_2d

UNKNOWN = np.zeros((1, 2), np.int32)
HD = np.array([[1080, 1920]], np.int32)


@pytest.mark.parametrize('img_shape', [HD, UNKNOWN])
def test_1x_maps_the_image_to_plus_minus_one(img_shape):
  xy = np.array([[[0, 0], [1920, 1080], [960, 270]]], np.float32)
  got = normalize_2d.normalize_2d_1x(xy, img_shape)
  expected = np.array([[[-1, -1], [1, 1], [0, -0.5]]], np.float32)
  np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize('img_shape', [(1080, 1920), (481, 853), (2161, 4097)])
def test_1x_rounds_like_numpy_float16(img_shape):
  """Half sizes that float16 cannot represent are rounded too."""
  height, width = img_shape
  random = np.random.RandomState(0)
  xy = (random.rand(1, 500, 2) * [width, height]).astype(np.float16)
  got = normalize_2d.normalize_2d_1x(
    xy.astype(np.float32),
    np.array([img_shape], np.int32),
    published_rounding=True,
  )
  x = (xy[..., 0] - width / 2) / (width / 2)
  y = (xy[..., 1] - height / 2) / (height / 2)
  assert x.dtype == np.float16
  np.testing.assert_array_equal(got, np.stack([x, y], -1).astype(np.float32))


def test_0x_equals_the_published_formula():
  random = np.random.RandomState(0)
  xy = (random.rand(1, 50, 2) * [1920, 1080]).astype(np.float32)
  score = random.rand(1, 50, 1).astype(np.float32)
  got = normalize_2d.normalize_2d_0x(xy, score, HD)
  x = np.concatenate([xy, score], -1)
  mean = np.array([960, 540, 0.5], np.float32)
  low, high = np.zeros(3, np.float32), np.array([1920, 1080, 1], np.float32)
  expected = (x - mean) / (high - low)
  # XLA multiplies by the reciprocal of the size: one unit in the last place.
  np.testing.assert_allclose(
    np.concatenate(got, -1), expected, rtol=3e-7, atol=1e-9
  )


def test_0x_without_scores_adds_no_channel():
  _, score = normalize_2d.normalize_2d_0x(
    np.zeros((1, 4, 2), np.float32), np.zeros((1, 4, 0), np.float32), UNKNOWN
  )
  assert score.shape == (1, 4, 0)


def test_each_clip_uses_its_own_image_size():
  xy = np.full((2, 1, 2), 100, np.float32)
  img_shape = np.array([[100, 200], [0, 0]], np.int32)
  got = np.asarray(normalize_2d.normalize_2d_1x(xy, img_shape))
  np.testing.assert_allclose(got[0, 0], [0, 1])
  np.testing.assert_allclose(got[1, 0], [-860 / 960, -440 / 540], rtol=1e-6)


def test_min_max_fills_the_cube_and_ignores_absent_joints():
  random = np.random.RandomState(0)
  x = random.randn(2, 1, 2, 4, 5, 3).astype(np.float32)
  is_present = np.ones((2, 1, 2, 4, 1, 1), bool)
  is_present[1, 0, 1] = False  # The second person of the second clip,
  x[1, 0, 1] = 1000  # which must not count.
  got = np.asarray(normalize_2d.min_max(x, is_present))
  assert not got[1, 0, 1].any()
  for clip, persons in ((got[0, 0], 2), (got[1, 0], 1)):
    points = clip[:persons].reshape(-1, 3)
    np.testing.assert_allclose(points.min(0), -1, atol=1e-6)
    np.testing.assert_allclose(points.max(0), 1, atol=1e-6)


def test_min_max_of_a_flat_axis_is_zero_not_nan():
  x = np.random.RandomState(0).randn(1, 1, 1, 2, 3, 3).astype(np.float32)
  x[..., 2] = 7
  got = np.asarray(normalize_2d.min_max(x, np.ones((1,) * 6, bool)))
  assert np.isfinite(got).all() and not got[..., 2].any()
  absent = np.asarray(normalize_2d.min_max(x, np.zeros((1,) * 6, bool)))
  assert not absent.any()
