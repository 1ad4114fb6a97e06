"""PoseCompact, Resize, the crops and Flip of mmaction2, one by one.

The whole numbers that a step decides (boxes, sizes, offsets) must be the same;
where they are not, what was rounded must lie within Decisions.NEAR of the next
one, and of all there may be one in a hundred thousand.
"""

import math

import drawn_poses
import jax
from mmaction.datasets import transforms
import numpy as np
import pytest

from skeljax import skeletons
from skeljax.inputs import geometry

NUM_CLIPS, NUM_FRAMES = 400, 3
COMPACT = {
  'published': dict(padding=0.25, threshold=10.0, hw_ratio=(1.0, 1.0)),
  'as it is': dict(padding=0.25, threshold=10.0, hw_ratio=()),
  'range': dict(padding=0.1, threshold=30.0, hw_ratio=(0.5, 1.5)),
  'inside': dict(
    padding=0.25, threshold=10.0, hw_ratio=(1.0, 1.0), allow_imgpad=False
  ),
}


@pytest.fixture(scope='module')
def clips(oracle_seed):
  """Keypoints [B, 1, M, T, V, 2] and sizes [B, 2]; short clips end in zeros."""
  rng = np.random.RandomState(oracle_seed % 2**32)
  shape = (NUM_CLIPS, 1, 3, NUM_FRAMES, 17, 2)
  xy, size = np.zeros(shape, np.float32), np.zeros((NUM_CLIPS, 2), np.int32)
  for b in range(NUM_CLIPS):
    dtype = 'float16' if b % 2 else 'float32'
    item = drawn_poses.draw(rng, dtype, number=b, nan=b % 5 == 0)
    keypoint = item['keypoint'][:, :NUM_FRAMES]
    xy[b, 0, : keypoint.shape[0], : keypoint.shape[1]] = keypoint
    size[b] = item['img_shape']
  return xy, size


def run(step, xy, size, b):
  """Return keypoints [M, T, V, 2] and size after a step of mmaction2."""
  height, width = size[b].tolist()
  results = step.transform(
    {
      'keypoint': xy[b, 0].copy(),
      'img_shape': (height, width),
      'modality': 'Pose',
    }
  )
  # Crops are float64 there, and rounded before anything is drawn.
  return results['keypoint'].astype(np.float32), results['img_shape']


def assert_step(ours, theirs, decisions, pending):
  """Equal keypoints, bit by bit, and sizes of all clips.

  Args:
    ours: xy [B, 1, M, T, V, 2] and size [B, 2].
    theirs: (xy, size) of each clip.
    decisions: counts them.
    pending: pending(b): what clip b rounded, before it was.
  """
  ours_xy, ours_size = map(np.asarray, ours)
  for b, (xy, size) in enumerate(theirs):
    values = np.asarray(pending(b))
    decisions.total += values.size
    is_equal = np.array_equal(ours_xy[b, 0], xy)
    if is_equal and tuple(ours_size[b]) == tuple(size):
      continue
    decisions.different += 1
    near = np.abs(values - np.round(values)) < decisions.NEAR
    assert near.any(), (b, ours_size[b], size, values)


def box_edges(xy, options):
  """Return the corners of PoseCompact's box in float64."""
  edges = []
  for axis in range(2):
    values = np.nan_to_num(xy[..., axis].astype(np.float64))
    values = values[values != 0]
    if not values.size or np.ptp(values) < options['threshold']:
      return []
    edges.append([values.min(), values.max()])
  centers = [(low + high) / 2 for low, high in edges]
  half = [(high - low) / 2 * (1 + options['padding']) for low, high in edges]
  if options['hw_ratio']:
    half[1] = max(options['hw_ratio'][0] * half[0], half[1])
    half[0] = max(half[1] / options['hw_ratio'][1], half[0])
  return [c + sign * h for c, h in zip(centers, half) for sign in (-1, 1)]


@pytest.mark.parametrize('name', COMPACT)
def test_compact_boxes_are_equal(name, clips, record_difference):
  options = COMPACT[name]
  xy, size = clips
  ours = jax.jit(lambda *a: geometry.compact(*a, **options))(xy, size)
  step = transforms.PoseCompact(
    **options | {'hw_ratio': options['hw_ratio'] or None}
  )
  theirs = [run(step, xy, size, b) for b in range(NUM_CLIPS)]
  is_cut = [theirs[b][1] != tuple(size[b]) for b in range(NUM_CLIPS)]
  assert 0.5 < np.mean(is_cut) < 0.95
  decisions = drawn_poses.Decisions()

  def pending(b):
    return box_edges(xy[b], options)

  if name != 'inside':
    assert_step(ours, theirs, decisions, pending)
  else:
    # Without a person in the image the published box is inverted.
    kept = [b for b in range(NUM_CLIPS) if min(theirs[b][1]) > 0]
    assert len(kept) > 0.9 * NUM_CLIPS
    ours = [np.asarray(x)[kept] for x in ours]
    theirs = [theirs[b] for b in kept]
    assert_step(ours, theirs, decisions, lambda b: pending(kept[b]))
  decisions.check(record_difference)


@jax.jit
def fixed_steps(xy, size):
  return {
    **{
      f'short side {s}': geometry.resize_short_side(xy, size, s)
      for s in (48, 56, 64)
    },
    'both sides': geometry.resize_to(xy, size, 64, 56),
    'centre': geometry.center_crop(xy, size, 64, 57),
    'mirror': (
      geometry.flip(xy, size, size[:, 0] > 0, drawn_poses.COCO.flip_index),
      size,
    ),
  }


def test_resized_cropped_and_mirrored_clips_are_equal(clips, record_difference):
  xy, size = np.nan_to_num(clips[0]), clips[1]
  steps = {
    **{
      f'short side {s}': transforms.Resize(scale=(-1, s)) for s in (48, 56, 64)
    },
    'both sides': transforms.Resize(scale=(56, 64), keep_ratio=False),
    'centre': transforms.CenterCrop((57, 64)),
    'mirror': drawn_poses.flip(1.0),
  }
  decisions = drawn_poses.Decisions()
  for name, ours in fixed_steps(xy, size).items():
    theirs = [run(steps[name], xy, size, b) for b in range(NUM_CLIPS)]

    def pending(b, name=name):
      side = int(name.split()[-1]) if 'short' in name else 1
      return side * size[b] / size[b].min() + 0.5

    assert_step(ours, theirs, decisions, pending)
  decisions.check(record_difference)


def test_sizes_are_rounded_as_published():
  """Every size that occurs, and the halves: 101 x 100 becomes 65 x 64."""
  short, extra = np.meshgrid(np.arange(10, 700, 3), np.arange(0, 900, 7))
  size = np.stack([short, short + extra], -1).reshape(-1, 2).astype(np.int32)
  size = np.concatenate([size, [[100, 101], [128, 129], [129, 128]]])
  xy = np.zeros((len(size), 1, 1, 1, 1, 2), np.float32)
  ours = np.asarray(geometry.resize_short_side(xy, size, 64)[1])
  factor = 64 / size.min(1, keepdims=True)
  np.testing.assert_array_equal(ours, (size * factor + 0.5).astype(int))
  np.testing.assert_array_equal(ours[-3:], [[64, 65], [64, 65], [65, 64]])


@pytest.mark.parametrize('area', [(0.56, 1.0), (0.9, 1.0)])
def test_random_crops_are_equal_for_equal_draws(
  area, clips, oracle_seed, record_difference
):
  xy, size = np.nan_to_num(clips[0]) / np.float32(16), clips[1] // 16 + 40
  size[::3] = 64  # As after PoseCompact.
  # So oblong that most or all candidates are too high.
  size[1::9] = (64, 500)
  key = jax.random.key(oracle_seed % 2**32)
  index = np.arange(NUM_CLIPS)

  @jax.jit
  def crop(xy, size):
    draw = geometry.draw_crop(key, index, area=area, aspect=(3 / 4, 4 / 3))
    return draw, geometry.random_resized_crop(xy, size, draw)

  draws, ours = crop(xy, size)
  step = transforms.RandomResizedCrop(area_range=area)
  theirs, pending = [], []
  for b in range(NUM_CLIPS):
    aspect, candidate, offset = (np.asarray(x[b]) for x in draws)
    with drawn_poses.Injected(aspect, candidate, offset):
      theirs.append(run(step, xy, size, b))
    pixels = candidate.astype(float) * size[b].prod()
    sides = [np.sqrt(pixels / aspect), np.sqrt(pixels * aspect)]
    left = size[b] - theirs[b][1] + 1
    pending.append([*np.ravel(sides) + 0.5, *offset[::-1] * left])
  decisions = drawn_poses.Decisions()
  assert_step(ours, theirs, decisions, lambda b: pending[b])
  decisions.check(record_difference)
  is_square = [
    shape[0] == shape[1] == min(size[b]) for b, (_, shape) in enumerate(theirs)
  ]
  assert 5 < sum(is_square) < NUM_CLIPS / 2, 'no crop fell back on the centre'


def test_crops_and_flips_come_from_the_published_distributions():
  """Kolmogorov-Smirnov tests of sizes and offsets, and the flip rate."""
  number, size = 2000, np.array([[64, 80]], np.int32)
  key, index = jax.random.key(0), np.arange(number)

  @jax.jit
  def draw(xy, size):
    draws = geometry.draw_crop(
      key, index, area=(0.56, 1.0), aspect=(3 / 4, 4 / 3)
    )
    moved, new = geometry.random_resized_crop(xy, size, draws)
    return -moved[:, 0, 0, 0, 0], new, geometry.draw_flip(key, index, 0.3)

  xy = np.zeros((number, 1, 1, 1, 1, 2), np.float32)
  offset, new, flips = map(np.asarray, draw(xy, size.repeat(number, 0)))
  ours = np.concatenate([offset, new[:, ::-1]], axis=1)

  np_state = np.random.get_state()
  np.random.seed(0)
  boxes = np.array(
    [
      transforms.RandomResizedCrop.get_crop_bbox(
        (64, 80), (0.56, 1.0), (3 / 4, 4 / 3)
      )
      for _ in range(number)
    ]
  )
  np.random.set_state(np_state)
  theirs = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
  # Each exceeds this once in a million times.
  limit = 2.69 * math.sqrt(2 / number)
  for column, name in enumerate(('left', 'top', 'width', 'height')):
    a, b = ours[:, column], theirs[:, column]
    grid = np.union1d(a, b)
    distance = np.abs(
      np.mean(a[:, None] <= grid, 0) - np.mean(b[:, None] <= grid, 0)
    ).max()
    assert distance < limit, (name, distance)
  assert abs(np.corrcoef(ours.T) - np.corrcoef(theirs.T)).max() < 0.1
  assert abs(flips.mean() - 0.3) < 5 * math.sqrt(0.3 * 0.7 / number)


def test_limbs_change_places_as_published():
  permutation = list(range(17))
  for left, right in zip(drawn_poses.LEFT_LIMB, drawn_poses.RIGHT_LIMB):
    permutation[left], permutation[right] = right, left
  assert skeletons.LAYOUTS['coco'].limbs == drawn_poses.SKELETONS
  assert list(skeletons.LAYOUTS['coco'].limb_flip_index) == permutation
