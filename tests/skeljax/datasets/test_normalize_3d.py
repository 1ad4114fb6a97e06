"""3D normalizations against values of mmaction2 and a version with loops."""

import dataclasses

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

from skeljax import errors
from skeljax import skeletons
from skeljax.datasets import normalize_3d

LAYOUT = skeletons.get_layout('nturgb+d')
ALL = slice(None)


def example(seed, num_persons, num_frames, dtype, gaps):
  """Return random joints with empty frames at each (person, frame)."""
  rng = np.random.RandomState(seed)
  keypoint = rng.randn(num_persons, num_frames, 25, 3)
  for person, frame in gaps:
    keypoint[person, frame] = 0
  return keypoint.astype(dtype)


# Arguments of example(), then what PreNormalize3D of mmaction2 1.2.0 makes of
# it: frames that remain, sum, sum of absolutes, [0, 0, 3]. Made by
# tests/golden_scripts/make_normalize3d.py.
GOLDEN = (
  (
    (11, 1, 1, 'float16', ()),
    (1, -38.91805584766439, 98.13098245449547),
    (0.006439400319570715, -0.7893909009551089, -1.6402107730614706),
  ),
  (
    (12, 1, 7, 'float32', ((0, 0), (0, 3))),
    (5, -269.3569694010281, 384.2622393365871),
    (0.9187071583809331, -2.3052049879674033, -0.5737530904530282),
  ),
  (
    (13, 2, 9, 'float16', ((0, slice(0, 4)), (1, 8))),
    (8, 1231.2446653821721, 1304.152861304606),
    (0.39499050439571803, 1.9087896475422033, 1.9288982166518374),
  ),
  (
    (14, 2, 9, 'float32', ((1, ALL), (0, 2))),
    (8, -377.95256902086436, 736.8460999764262),
    (-1.2257790678220666, 0.00598754659739474, -1.7770601851934487),
  ),
  (
    (15, 2, 6, 'float16', ((0, ALL),)),
    (6, 62.530982419873695, 356.3668574332948),
    (0.1548958789006738, 0.5259832635138567, -2.2076936670259606),
  ),
  (
    (16, 2, 30, 'float32', ((0, 0), (1, 1))),
    (29, -1769.5381918647747, 3769.539281787738),
    (-1.661252551944721, -0.08286670023440172, -1.5828409099295169),
  ),
)


@pytest.mark.parametrize('arguments, totals, joint', GOLDEN)
def test_1x_equals_mmaction2(arguments, totals, joint):
  result = normalize_3d.normalize_mmaction1x(example(*arguments), LAYOUT)

  num_frames, total, absolute = totals
  assert result.dtype == np.float64
  assert result.shape == (arguments[1], num_frames, 25, 3)
  np.testing.assert_allclose(result.sum(), total, rtol=1e-9)
  np.testing.assert_allclose(np.abs(result).sum(), absolute, rtol=1e-9)
  np.testing.assert_allclose(result[0, 0, 3], joint, atol=1e-12)


def test_1x_equals_golden_values():
  keypoint = np.random.RandomState(3).randn(2, 12, 25, 3).astype(np.float16)
  keypoint[0, 2] = 0
  keypoint[1, 5:] = 0

  result = normalize_3d.normalize_mmaction1x(keypoint, LAYOUT)

  assert result.shape == (2, 11, 25, 3)
  np.testing.assert_allclose(result.sum(), -1196.5971, atol=5e-5)
  np.testing.assert_allclose(
    result[0, 0, 3], [0.18658996, -0.42488213, -2.07708255], atol=5e-9
  )
  np.testing.assert_array_equal(result[1, -1], 0)


def test_1x_computes_the_spine_angle_in_the_input_dtype():
  keypoint = example(5, 1, 4, 'float16', ())

  half = normalize_3d.normalize_mmaction1x(keypoint, LAYOUT)
  single = normalize_3d.normalize_mmaction1x(keypoint.astype('f4'), LAYOUT)

  difference = np.abs(half - single).max()
  assert 1e-6 < difference < 0.02


def test_1x_person_visible_in_more_frames_becomes_person_0():
  keypoint = example(6, 2, 5, 'float32', ((0, slice(0, 3)), (1, 4)))

  result = normalize_3d.normalize_mmaction1x(keypoint, LAYOUT)

  assert result.shape[1] == 4  # The frames of the second person.
  np.testing.assert_allclose(result[0, 0, LAYOUT.origin], 0, atol=1e-12)
  np.testing.assert_array_equal(result[1, :3], 0)
  assert np.abs(result[1, 3]).max() > 0


def test_1x_missing_joints_stay_zero():
  keypoint = example(7, 1, 3, 'float32', ())
  keypoint[0, 1, 12] = 0

  result = normalize_3d.normalize_mmaction1x(keypoint, LAYOUT)

  np.testing.assert_array_equal(result[0, 1, 12], 0)


@pytest.mark.parametrize(
  'normalize',
  [normalize_3d.normalize_mmaction0x, normalize_3d.normalize_mmaction1x],
)
def test_empty_clip_is_unchanged(normalize):
  keypoint = np.zeros((2, 4, 25, 3), np.float16)

  result = normalize(keypoint, LAYOUT)

  np.testing.assert_array_equal(result, keypoint)


def test_1x_of_three_persons_raises():
  with pytest.raises(errors.UserError, match='one or two persons, not 3'):
    normalize_3d.normalize_mmaction1x(np.ones((3, 2, 25, 3)), LAYOUT)


@pytest.mark.parametrize(
  'normalize',
  [normalize_3d.normalize_mmaction0x, normalize_3d.normalize_mmaction1x],
)
def test_invalid_layouts_and_shapes_raise(normalize):
  flat = skeletons.get_layout('coco')
  with pytest.raises(
    errors.UserError, match='does not define origin, spine, shoulders'
  ):
    normalize(np.ones((1, 2, 17, 3)), flat)
  no_spine = dataclasses.replace(LAYOUT, spine=None)
  with pytest.raises(errors.UserError, match='does not define spine, which'):
    normalize(np.ones((1, 2, 25, 3)), no_spine)
  with pytest.raises(errors.UserError, match='normalized during training'):
    normalize(np.ones((1, 2, 25, 2)), LAYOUT)
  with pytest.raises(errors.UserError, match=r'\[persons, frames, 25, 3\]'):
    normalize(np.ones((1, 2, 20, 3)), LAYOUT)


def upright_body(seed: int) -> np.ndarray:
  """Return a clip with shoulders orthogonal to the spine in frame 0."""
  rng = np.random.default_rng(seed)
  keypoint = rng.normal(size=(2, 5, 25, 3))
  (low, high), (right, left) = LAYOUT.spine, LAYOUT.shoulders
  keypoint[0, 0, high] = keypoint[0, 0, low] + [0, 0.4, 0]
  keypoint[0, 0, right] = keypoint[0, 0, left] + [0.3, 0, 0]
  return keypoint


@hypothesis.settings(max_examples=20, deadline=None, derandomize=True)
@hypothesis.given(seed=st.integers(0, 10_000))
@pytest.mark.parametrize('version', ['0x', '1x'])
def test_result_does_not_depend_on_the_camera_pose(version, seed):
  normalize = getattr(normalize_3d, f'normalize_mmaction{version}')
  keypoint = upright_body(seed)
  rng = np.random.default_rng(seed)
  rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
  rotation *= np.linalg.det(rotation)  # Not a reflection.
  moved = keypoint @ rotation.T + rng.uniform(-3, 3, size=3)

  expected = normalize(keypoint, LAYOUT)
  result = normalize(moved, LAYOUT)

  tolerance = 1e-3 if version == '0x' else 1e-7
  np.testing.assert_allclose(result, expected, atol=tolerance)
  spine = result[0, 0, LAYOUT.spine[1]] - result[0, 0, LAYOUT.spine[0]]
  right, left = (result[0, 0, v] for v in LAYOUT.shoulders)
  np.testing.assert_allclose(spine, [0, 0, 0.4], atol=tolerance)
  np.testing.assert_allclose(right - left, [0.3, 0, 0], atol=tolerance)


def loops_0x(keypoint: np.ndarray) -> np.ndarray:
  """Normalize one clip as mmaction2 0.x, joint by joint, with 300 frames."""
  num_frames = keypoint.shape[1]
  s = np.zeros((len(keypoint), 300, 25, 3), np.float32)
  s[:, :num_frames] = keypoint
  for m in range(len(s)):
    if s[m].sum() == 0:
      continue
    if s[m, 0].sum() == 0:
      full = [frame.copy() for frame in s[m] if frame.sum() != 0]
      s[m] = 0
      for t, frame in enumerate(full):
        s[m, t] = frame
    for t in range(300):
      if s[m, t].sum() == 0 and s[m, t:].sum() == 0:
        for u in range(t, 300):
          s[m, u] = s[m, (u - t) % t]
        break
  centres = s[0, :, 1].copy()
  for m in range(len(s)):
    for t in range(300):
      for v in range(25):
        if s[m, t, v].sum() != 0:
          s[m, t, v] -= centres[t]
  for (start, end), axis in (((0, 1), [0, 0, 1]), ((4, 8), [1, 0, 0])):
    vector = (s[0, 0, end] - s[0, 0, start]).astype(np.float64)
    if np.abs(vector).sum() < 1e-6:
      continue
    normal = np.cross(vector, axis)
    cosine = np.dot(vector, axis) / np.linalg.norm(vector)
    angle = np.arccos(np.clip(cosine, -1, 1))
    normal /= np.linalg.norm(normal)
    for m in range(len(s)):
      for t in range(300):
        p = s[m, t].astype(np.float64)
        s[m, t] = (
          p * np.cos(angle)
          + np.cross(normal, p) * np.sin(angle)
          + np.outer(p @ normal, normal) * (1 - np.cos(angle))
        )
  return s[:, :num_frames]


@pytest.mark.parametrize(
  'arguments',
  [
    (21, 2, 12, 'float32', ()),
    (22, 2, 12, 'float16', ((0, 4), (0, slice(9, 12)), (1, slice(0, 7)))),
    (23, 2, 5, 'float16', ((1, ALL),)),
    (24, 2, 11, 'float32', ((0, ALL), (1, slice(4, 11)))),
    (25, 1, 1, 'float16', ()),
    (26, 3, 9, 'float32', ((0, slice(0, 2)), (2, slice(1, 9)))),
    (27, 1, 300, 'float16', ((0, slice(130, 300)), (0, 10))),
  ],
)
def test_0x_equals_the_published_loops(arguments):
  keypoint = example(*arguments)
  keypoint[0, :, 17] *= keypoint[0, :, 16] > 0  # Some joints are missing.

  result = normalize_3d.normalize_mmaction0x(keypoint, LAYOUT)

  assert result.dtype == np.float32
  np.testing.assert_allclose(result, loops_0x(keypoint), atol=2e-6)


def test_0x_loops_a_person_that_leaves_early():
  keypoint = example(8, 1, 10, 'float32', ((0, slice(4, 10)),))

  result = normalize_3d.normalize_mmaction0x(keypoint, LAYOUT)

  np.testing.assert_array_equal(result[0, 4:8], result[0, :4])
  np.testing.assert_array_equal(result[0, 8:], result[0, :2])


def test_input_is_not_modified():
  keypoint = example(9, 2, 6, 'float32', ((0, 0), (1, slice(3, 6))))
  copy = keypoint.copy()
  keypoint.flags.writeable = False

  normalize_3d.normalize_mmaction0x(keypoint, LAYOUT)
  normalize_3d.normalize_mmaction1x(keypoint, LAYOUT)

  np.testing.assert_array_equal(keypoint, copy)


def test_joints_are_those_of_the_layout():
  ucla = skeletons.get_layout('ucla')
  keypoint = np.random.RandomState(1).randn(1, 3, 20, 3)

  result = normalize_3d.normalize_mmaction1x(keypoint, ucla)

  np.testing.assert_array_equal(result[0, 0, ucla.origin], 0)
  right, left = (result[0, 0, v] for v in ucla.shoulders)
  direction = (right - left) / np.linalg.norm(right - left)
  np.testing.assert_allclose(direction, [1, 0, 0], atol=1e-12)
