"""Random 2D annotations for heatmaps, and mmaction2's PoseC3D transforms.

`draw` makes annotations with what breaks things: persons and joints that are
missing, points with score 0, points outside the image, groups of points too
small to be cut out, clips of one frame. `Injected` makes the published random
transforms take decisions that were drawn elsewhere. `Decisions` compares
volumes and counts where whole numbers were decided differently.
"""

import copy
import random
from unittest import mock

import drawn_clips
from mmaction.datasets import transforms
import numpy as np

from skeljax import skeletons

COCO = skeletons.LAYOUTS['coco']
LEFT_KP, RIGHT_KP = [1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]
# As in the published limb configurations.
LEFT_LIMB = (0, 2, 3, 6, 7, 8, 12, 14)
RIGHT_LIMB = (1, 4, 5, 9, 10, 11, 13, 15)
SKELETONS = (
  (0, 5),
  (0, 6),
  (5, 7),
  (7, 9),
  (6, 8),
  (8, 10),
  (5, 11),
  (11, 13),
  (13, 15),
) + ((6, 12), (12, 14), (14, 16), (0, 1), (0, 2), (1, 3), (2, 4), (11, 12))
KINDS = ('plain', 'small', 'outside', 'gaps', 'unsure', 'wide')
LENGTHS = (1, 2, 9, 16, 17, 40, 100)


def draw(rng, dtype='float16', score_dtype='float16', number=None, nan=False):
  """An annotation; `number` cycles through the kinds and lengths, None draws."""
  number = rng.randint(1000) if number is None else number
  kind = KINDS[number % len(KINDS)]
  num_persons = rng.randint(1, 4)
  shape = (num_persons, LENGTHS[number % len(LENGTHS)], COCO.num_joints)
  height, width = rng.randint(90, 1200, 2)
  picture = np.array([width, height])
  extent = picture * rng.uniform(0.15, 0.6, 2)
  corner = rng.rand(num_persons, 1, 1, 2) * (picture - extent)
  if kind == 'small':  # Below the threshold, in one direction or both.
    extent = np.where(rng.rand(2) < 0.7, 4, 60)
    corner = corner[:1]
  elif kind == 'wide':
    extent[1] = min(extent[1], 20)
  keypoint = corner + rng.rand(num_persons, 1, shape[2], 2) * extent
  keypoint = keypoint + np.cumsum(rng.randn(*shape, 2), axis=1)
  if kind == 'outside':
    keypoint += rng.uniform(-0.6, 0.6, 2) * picture
  seen = rng.rand(*shape) > (0.15 if kind == 'gaps' else 0)
  if kind == 'gaps':
    seen[-1, rng.randint(shape[1] + 1) :] = False
    # Each coordinate for itself.
    keypoint[..., 0][rng.rand(*shape) < 0.05] = 0
  keypoint = keypoint * seen[..., None]
  if nan:
    keypoint[rng.rand(*keypoint.shape) < 0.02] = np.nan
  item = {
    'frame_dir': f'{number}: {kind}, {shape} {dtype}, {height} x {width}',
    'label': 0,
    'keypoint': keypoint.astype(dtype),
    'total_frames': shape[1],
    'img_shape': (int(height), int(width)),
    'modality': 'Pose',
  }
  if score_dtype:
    score = rng.rand(*shape)
    if kind == 'unsure':  # Points that are somewhere, but not to be drawn.
      score[rng.rand(*shape) < 0.3] = 0
      score[rng.rand(*shape) < 0.3] *= 3e-4
    item['keypoint_score'] = (score * seen).astype(score_dtype)
  return item


def compact(**options):
  return transforms.PoseCompact(
    **{'hw_ratio': 1.0, 'allow_imgpad': True} | options
  )


def stretch(size):
  return transforms.Resize(scale=(size, size), keep_ratio=False)


def flip(ratio=0.5):
  return transforms.Flip(flip_ratio=ratio, left_kp=LEFT_KP, right_kp=RIGHT_KP)


def target(stream, **options):
  """GeneratePoseTarget as in the published configurations."""
  limb = stream == 'limb'
  return transforms.GeneratePoseTarget(
    with_kp=not limb,
    with_limb=limb,
    skeletons=SKELETONS,
    left_kp=LEFT_KP,
    right_kp=RIGHT_KP,
    left_limb=LEFT_LIMB,
    right_limb=RIGHT_LIMB,
    **options,
  )


def train_steps(stream, size, **options):
  return [
    compact(),
    transforms.Resize(scale=(-1, 64)),
    transforms.RandomResizedCrop(area_range=(0.56, 1.0)),
    stretch(size),
    flip(),
    target(stream, **options),
  ]


def test_steps(stream, size, is_stretched=False, **options):
  resize = [transforms.Resize(scale=(-1, size)), transforms.CenterCrop(size)]
  if is_stretched:
    resize = [stretch(size)]
  return [compact(), *resize, target(stream, **options)]


def run(item, frame_index, steps):
  """Results of mmaction2's steps for the frames [N, T] of an annotation."""
  results = copy.deepcopy(item)
  frames = drawn_clips.view_steps(frame_index, 1)[:2]
  for step in (*frames, *steps):
    results = step.transform(results)
  return results


def volumes(item, frame_index, steps):
  """[N, T, H, W, C] that mmaction2 makes, or [2 N, ...] with mirrored views.

  Mirrored views come behind the view they mirror, as they do here.
  """
  results = run(item, frame_index, steps)
  results = transforms.FormatShape('NCTHW_Heatmap').transform(results)
  volume = np.moveaxis(results['imgs'], 1, -1)
  num_views = len(frame_index)
  volume = volume.reshape(-1, num_views, *volume.shape[1:]).swapaxes(0, 1)
  return volume.reshape(-1, *volume.shape[2:])


class Injected:
  """While it is entered, published transforms take the given decisions.

  Args:
    aspect: [10], the candidates' width / height.
    area: [10], the candidates' fractions of the image.
    offset: [2], position of the crop as a fraction of its range, x and y.
    is_flipped: whether the clip is mirrored.
  """

  def __init__(self, aspect, area, offset, is_flipped=False):
    self._uniforms = [np.log(np.float64(aspect)), np.float64(area)]
    self._offsets = list(np.float32(offset))
    draw = 0.0 if is_flipped else 1.0
    self._patches = (
      mock.patch.object(np.random, 'uniform', self._uniform),
      mock.patch.object(np.random, 'rand', lambda: draw),
      mock.patch.object(random, 'randint', self._randint),
    )

  def _uniform(self, low, high, size):
    del low, high
    values = self._uniforms.pop(0)
    assert values.shape == (size,)
    return values

  def _randint(self, low, high):
    choices = np.float32(high - low + 1)
    return low + min(int(np.floor(self._offsets.pop(0) * choices)), high - low)

  def __enter__(self):
    for patch in self._patches:
      patch.start()

  def __exit__(self, *_):
    for patch in self._patches:
      patch.stop()


class Decisions:
  """How many whole numbers were decided, and how many differently."""

  # How near to an integer what is rounded to it must lie to be excused.
  NEAR = 1e-4
  # Value of a Gaussian at the edge of its window.
  EDGE = np.exp(-4.5) + 1e-5

  def __init__(self):
    self.total = 0
    self.different = 0

  def check(self, record):
    """Asserts and reports; record is the fixture record_difference."""
    assert self.total, 'nothing was decided'
    assert self.different <= 1e-5 * self.total, (self.different, self.total)
    record('whole numbers', 'decided', self.total)
    record('whole numbers', 'decided differently', self.different)

  def compare_volumes(self, ours, theirs, points, stream, sigma, name):
    """Equal within 1e-5 but at the edges of windows that may be either.

    Args:
      ours: [T, H, W, C].
      theirs: [T, H, W, C].
      points: [M, T, V, 3] that were drawn: x, y, score.
      stream: 'keypoint' or 'limb'.
      sigma: of the Gaussians.
      name: the clip in error messages.

    Returns:
      The greatest difference elsewhere.
    """
    assert ours.shape == theirs.shape, name
    ends = [(v, v) for v in range(points.shape[2])]
    if stream == 'limb':
      ends = SKELETONS
    start, end = (points[:, :, [pair[i] for pair in ends]] for i in (0, 1))
    score = np.minimum(start[..., 2], end[..., 2])
    self.total += 4 * int((score >= 1e-4).sum())
    difference = np.abs(ours - theirs)
    is_wrong = difference > 1e-5
    if is_wrong.any():
      low = np.minimum(start, end)[..., :2] - 3 * sigma
      high = np.maximum(start, end)[..., :2] + 3 * sigma
      edges = np.concatenate([low, high], axis=-1)  # [M, T, C, 4]
      near = np.abs(edges - np.round(edges)) < self.NEAR
      # Whether it is a limb, or the Gaussian of a very short one.
      length = np.linalg.norm((end - start)[..., :2], axis=-1)
      is_short = np.abs(length - 1) < self.NEAR
      excused = (near.any(-1) | is_short).any(0)[:, None, None, :]
      excused = excused & ((difference <= self.EDGE) | is_short.any())
      where = np.argwhere(is_wrong & ~excused)
      assert not len(where), (
        f'{name}: {len(where)} of {is_wrong.size} differ, the first at '
        f'(t, y, x, c) = {where[0]}: {ours[tuple(where[0])]} and '
        f'{theirs[tuple(where[0])]}'
      )
      self.different += len({(t, c) for t, _, _, c in np.argwhere(is_wrong)})
    return float(difference[~is_wrong].max())
