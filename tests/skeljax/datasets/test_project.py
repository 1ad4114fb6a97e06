"""Orthographic projection of 3D clips."""

import numpy as np
import pytest

from skeljax.datasets import project

HEIGHT, WIDTH = project.IMG_SHAPE


@pytest.fixture
def keypoint():
  """Return two persons, five frames, six joints, in metres."""
  return np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype(np.float32)


def test_pixels_do_not_depend_on_depth(keypoint):
  moved = keypoint.copy()
  moved[..., 2] += 1
  for first, second in zip(
    project.orthographic(keypoint), project.orthographic(moved)
  ):
    np.testing.assert_array_equal(first, second)


def test_x_points_right_and_y_points_up():
  still = np.zeros((1, 1, 3, 3), np.float32)
  still[0, 0, :, :2] = (0, 0), (1, 0), (0, 1)
  still[..., 2] = 2
  pixels, _, _ = project.orthographic(still)
  origin, right, up = pixels[0, 0]
  assert right[0] > origin[0] and right[1] == origin[1]
  assert up[1] < origin[1] and up[0] == origin[0]


def test_clip_is_centered_and_fills_80_percent(keypoint):
  pixels, _, img_shape = project.orthographic(keypoint * (5, 1, 1))
  low, high = pixels.min((0, 1, 2)), pixels.max((0, 1, 2))
  np.testing.assert_allclose((low + high) / 2, (WIDTH / 2, HEIGHT / 2), 1e-5)
  np.testing.assert_allclose(high[0] - low[0], 0.8 * WIDTH, 1e-5)
  assert high[1] - low[1] < 0.8 * HEIGHT
  assert img_shape.tolist() == [HEIGHT, WIDTH]


def test_axes_persons_and_frames_share_one_scale(keypoint):
  pixels, _, _ = project.orthographic(keypoint)
  flat, seen = pixels.reshape(-1, 2), keypoint.reshape(-1, 3)[:, :2]
  ratio = np.diff(flat, axis=0) / np.diff(seen, axis=0)
  scale = ratio[0, 0]
  expected = np.broadcast_to([scale, -scale], ratio.shape)
  np.testing.assert_allclose(ratio, expected, 1e-3)


@pytest.mark.parametrize('unit', [0.01, 1000])
def test_pixels_do_not_depend_on_the_unit(keypoint, unit):
  np.testing.assert_allclose(
    project.orthographic(keypoint * unit)[0],
    project.orthographic(keypoint)[0],
    rtol=1e-4,
  )


def test_missing_joints_have_pixel_and_score_zero(keypoint):
  keypoint[1, 2:] = 0
  keypoint[0, 0, 3] = 0
  pixels, score, _ = project.orthographic(keypoint)
  assert not pixels[1, 2:].any() and not pixels[0, 0, 3].any()
  assert not score[1, 2:].any() and score[0, 0, 3] == 0
  assert score.sum() == 2 * 5 * 6 - 3 * 6 - 1
  # They do not affect the scale and offset.
  seen = pixels[score > 0]
  np.testing.assert_allclose(
    (seen.min(0) + seen.max(0)) / 2, (WIDTH / 2, HEIGHT / 2), 1e-5
  )


def test_joint_with_x_and_y_zero_is_not_missing():
  clip = np.zeros((1, 1, 2, 3), np.float32)
  clip[0, 0, 0] = 0, 0, 2
  pixels, score, _ = project.orthographic(clip)
  assert score[0, 0].tolist() == [1, 0]
  assert pixels[0, 0].tolist() == [[WIDTH / 2, HEIGHT / 2], [0, 0]]


def test_dtypes_are_those_of_a_2d_record(keypoint):
  pixels, score, img_shape = project.orthographic(keypoint.astype(np.float16))
  assert pixels.dtype == np.float32 and pixels.shape == (2, 5, 6, 2)
  assert score.dtype == np.float16 and score.shape == (2, 5, 6)
  assert img_shape.dtype == np.int32
