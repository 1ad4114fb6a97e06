"""The heatmap input of PoseC3D: from a batch of keypoints to volumes.

`prepare` does the geometry, with one box for all views of a clip; `render`
draws each view by itself. The volumes are a thousand times larger than the
keypoints, so evaluation renders a few views at a time.
"""

import dataclasses
from typing import ClassVar

from flax import linen as nn
import jax
import jax.numpy as jnp

from skeljax import errors
from skeljax import option
from skeljax.datasets.spec import DataSpec
from skeljax.inputs import augment
from skeljax.inputs import batch as batch_lib
from skeljax.inputs import gaussians
from skeljax.inputs import geometry
from skeljax.inputs import streams
from skeljax.inputs.batch import Batch


@dataclasses.dataclass(frozen=True)
class Heatmaps:
  """Turns a batch into heatmap volumes; hashable, static under jit.

  The fields are those of `config.input`. Sizes are in pixels.

  Attributes:
    spec: the data.
  """

  kind: ClassVar[str] = 'heatmaps'
  needs_next: ClassVar[bool] = False
  needs_whole_clip: ClassVar[bool] = False
  needs_img_shape: ClassVar[bool] = True
  can_mirror: ClassVar[bool] = True

  spec: DataSpec
  heatmap: str = option.field(
    'keypoint',
    'Channels: a Gaussian per joint, a line per limb, or both.',
    choices=('keypoint', 'limb', 'keypoint_limb'),
  )
  sigma: float = option.field(0.6, 'Width of the Gaussians.', above=0)
  use_score: bool = option.field(
    True, 'Scale by the score of the joint; False: score 1.'
  )
  min_score: float = option.field(
    1e-4,
    'Joints and limb ends below are not drawn; mmaction2 1e-4, pyskl 1e-3.',
    minimum=0,
    maximum=1,
  )
  scaling: float = option.field(
    1.0, 'Size of the volume relative to size and test_size.', above=0
  )
  short_side: int = option.field(
    64, 'Training: short side before the random crop.', minimum=1
  )
  size: int = option.field(
    56, 'Training: height and width after the crop.', minimum=1
  )
  test_size: int = option.field(64, 'Evaluation: height and width.', minimum=1)
  resize: str = option.field(
    'short_side',
    'Evaluation: short_side: resize it to test_size, then centre crop;'
    ' stretch: resize both sides (Kinetics-400 of mmaction2, pyskl).',
    choices=('short_side', 'stretch'),
  )
  compact_padding: float = option.field(
    0.25, 'The box around all keypoints grows by this fraction.', minimum=0
  )
  compact_threshold: float = option.field(
    10.0, 'A box narrower or lower than this is not cropped.', minimum=1
  )
  compact_hw_ratio: tuple[float, ...] = option.field(
    (1.0, 1.0), 'Minimum and maximum height / width of the box; (): any.',
    above=0,
  )  # fmt: skip
  allow_imgpad: bool = option.field(True, 'The box may exceed the image.')
  crop_area: tuple[float, float] = option.field(
    (0.56, 1.0), 'Training: area range of the random crop.', above=0, maximum=1
  )
  crop_aspect: tuple[float, float] = option.field(
    (3 / 4, 4 / 3), 'Training: width / height range of the random crop.',
    above=0,
  )  # fmt: skip
  flip: float = option.field(
    0.5, 'Training: probability of a left-right flip.', minimum=0, maximum=1
  )
  mirror: str = option.field(
    '1x',
    'Flipped test views; 1x: reverse the volume (column x becomes W - 1 - x),'
    ' 0x: draw keypoints at W - x.',
    choices=('1x', '0x'),
  )

  def __post_init__(self):
    option.check(self, '--config.input.')
    _check_pairs(self)
    _check_sizes(self)
    if self.spec.num_channels != 2:
      raise errors.UserError(
        f'Heatmaps need 2D skeletons, but these are {self.spec.num_channels}D.'
        ' Project them with --project=orthographic of data_prep.main, or train'
        ' a graph network.'
      )
    if self.draws_limbs and not self.spec.layout.limbs:
      raise errors.UserError(
        f'--config.input.heatmap={self.heatmap}: layout'
        f" {self.spec.layout.name!r} has no limbs. Add joint pairs as 'limbs'"
        ' to its layout file, or use --config.input.heatmap=keypoint.'
      )

  @property
  def draws_keypoints(self) -> bool:
    return self.heatmap != 'limb'

  @property
  def draws_limbs(self) -> bool:
    return self.heatmap != 'keypoint'

  @property
  def channels(self) -> tuple[str, ...]:
    """Names of the channels of the volume: joints, limbs, or both."""
    names = self.spec.layout.joints
    limbs = [f'{names[a]}-{names[b]}' for a, b in self.spec.layout.limbs]
    return (*names * self.draws_keypoints, *limbs * self.draws_limbs)

  @property
  def num_channels(self) -> int:
    """C of the volume."""
    return len(self.channels)

  def __str__(self) -> str:
    return f'{self.heatmap} heatmaps'

  def side(self, train: bool) -> int:
    """Return height and width of the volume."""
    return round((self.size if train else self.test_size) * self.scaling)

  def shape(
    self, num_clips: int, clip_len: int, train: bool = True
  ) -> tuple[int, ...]:
    """Return the shape [B, T, H, W, C] of the model input."""
    side = self.side(train)
    return num_clips, clip_len, side, side, self.num_channels

  def validate(self, model: nn.Module) -> None:
    """Raise UserError if the model's strides do not divide the volume.

    The model accepts such volumes and rounds up, so published files can be
    evaluated with them; nothing published is trained with them.
    """
    stride = model.spatial_stride
    for name, train in (('size', True), ('test_size', False)):
      pixels = self.side(train)
      if pixels % stride:
        near = max(1, round(pixels / stride)) * stride
        raise errors.UserError(
          f'--config.input.{name}={getattr(self, name)}: volumes of {pixels}'
          f' pixels are not divisible by the total stride {stride} of the'
          f' network. Choose a multiple of {stride}, such as {near}.'
        )

  def notes(self, num_cut: int) -> list[str]:
    """Return sentences on what the data lack for this input.

    Args:
      num_cut: number of clips from which data_prep removed persons.
    """
    notes = []
    if not self.spec.has_score:
      notes.append('no scores in the data: every joint is drawn with score 1')
    if num_cut:
      notes.append(
        f'{num_cut} clips have more than the {self.spec.num_persons} persons'
        ' that were kept; heatmaps can use all (--max_persons=0 of'
        ' data_prep.main)'
      )
    return notes

  def __call__(
    self,
    batch: Batch,
    *,
    rng: jax.Array | None = None,
    train: bool,
    dtype: jnp.dtype = jnp.float32,
  ) -> jax.Array:
    """Return the volumes of all views: `render(prepare(batch))`."""
    views = self.prepare(batch, rng=rng, train=train)
    return self.render(views, train=train, dtype=dtype)

  def prepare(
    self, batch: Batch, *, rng: jax.Array | None = None, train: bool
  ) -> jax.Array:
    """Return keypoints in pixels of the volume, and the scores to draw.

    Args:
      batch: keypoint [B, N, M, T, V, 2] (float16 or float32), in pixels, 0 if
        missing; img_shape [B, 2] (height, width); frame_index [B, N, T] (-1 for
        padding); num_valid_persons [B]; score [B, N, M, T, V] if the data have
        scores; index [B], which seeds the augmentation of each clip.
      rng: key of this step; None unless training.
      train: whether to draw a random crop and flip.

    Returns:
      [B, N, M, T, V, 3] float32: x, y, score. Padded persons and frames have
      score 0.

    Raises:
      ValueError: the batch lacks a field, or a shape is wrong.
    """
    names = ['keypoint', 'img_shape', 'frame_index', 'num_valid_persons']
    names += ['score'] * self.spec.has_score + ['index'] * train
    batch_lib.check(batch, names, self.spec, str(self))
    xy = batch['keypoint'].astype(jnp.float32)
    size = batch['img_shape'].astype(jnp.int32)
    xy, size = geometry.compact(
      xy,
      size,
      padding=self.compact_padding,
      threshold=self.compact_threshold,
      hw_ratio=self.compact_hw_ratio,
      allow_imgpad=self.allow_imgpad,
    )
    side = self.test_size
    if train:
      if rng is None:
        raise ValueError('augmentation needs rng')
      crop = geometry.draw_crop(
        rng, batch['index'], area=self.crop_area, aspect=self.crop_aspect
      )
      xy, size = geometry.resize_short_side(xy, size, self.short_side)
      xy, size = geometry.random_resized_crop(xy, size, crop)
      xy, size = geometry.resize_to(xy, size, self.size, self.size)
    elif self.resize == 'stretch':
      xy, size = geometry.resize_to(xy, size, side, side)
    else:
      xy, size = geometry.resize_short_side(xy, size, side)
      xy, size = geometry.center_crop(xy, size, side, side)

    points = jnp.concatenate([xy, self._scores(batch)[..., None]], axis=-1)
    if train and rng is not None and self.flip:
      is_flipped = geometry.draw_flip(rng, batch['index'], self.flip)
      points = geometry.flip(
        points, size, is_flipped, self.spec.layout.flip_index
      )
    return points

  def render(
    self,
    views: jax.Array,
    *,
    train: bool,
    mirrored: bool = False,
    dtype: jnp.dtype = jnp.float32,
  ) -> jax.Array:
    """Return the heatmap volumes of some views.

    Args:
      views: [B, N, M, T, V, 3] float32, from `prepare`; any subset of views.
      train: the value that `prepare` got.
      mirrored: whether to add the flipped copy of each view, right after it.
      dtype: of the result; computed in float32.

    Returns:
      [B * N, T, H, W, C], or [B * 2N, T, H, W, C] if mirrored.
    """
    volume = self._draw(views, train).astype(dtype)
    if mirrored:
      if self.mirror == '1x':
        flipped = self._flip_volume(volume)
      else:
        side = self.size if train else self.test_size
        width = jnp.full((1,) * views.ndim, side, views.dtype)
        points = augment.flip(views, self.spec.layout.flip_index, width)
        flipped = self._draw(points, train).astype(dtype)
      volume = jnp.stack([volume, flipped], axis=2)  # [B, N, 2, T, H, W, C]
    return volume.reshape(-1, *volume.shape[-4:])

  def _draw(self, points: jax.Array, train: bool) -> jax.Array:
    """[B, N, T, H, W, C] float32 of points [B, N, M, T, V, 3]."""
    side = self.side(train)
    xy = geometry.rounded(points[..., :2] * self.scaling)
    rules = dict(sigma=self.sigma, min_score=self.min_score)
    channels = []
    if self.draws_keypoints:
      channels.append(
        gaussians.keypoint_heatmaps(xy, points[..., 2], side, side, **rules)
      )
    if self.draws_limbs:
      limbs = self.spec.layout.limbs
      channels.append(
        gaussians.limb_heatmaps(
          xy, points[..., 2], side, side, limbs=limbs, **rules
        )
      )
    return jnp.concatenate(channels, axis=-1)

  def _flip_volume(self, volume: jax.Array) -> jax.Array:
    """[..., W, C] reversed in W, with left and right channels swapped."""
    order: list[int] = []
    if self.draws_keypoints:
      order += self.spec.layout.flip_index
    if self.draws_limbs:
      first = len(order)
      order += [first + i for i in self.spec.layout.limb_flip_index]
    flipped = volume[..., ::-1, :]
    # The channels are the last axis here, where take_joints has coordinates.
    return streams.take_joints(flipped[..., None], order)[..., 0]

  def _scores(self, batch: Batch) -> jax.Array:
    """[B, N, M, T, V] float32: the height of each Gaussian; 0 for padding.

    Without scores every joint of every person has score 1, as published.
    """
    score = jnp.ones(batch['keypoint'].shape[:-1], jnp.float32)
    if self.spec.has_score and self.use_score:
      score = batch['score'].astype(jnp.float32)
    return jnp.where(batch_lib.is_valid(batch), score, 0)


def _check_pairs(heatmaps: Heatmaps) -> None:
  """Check the fields that are ranges (minimum, maximum)."""
  for name in ('crop_area', 'crop_aspect', 'compact_hw_ratio'):
    pair = getattr(heatmaps, name)
    if name == 'compact_hw_ratio' and not len(pair):
      continue
    if len(pair) != 2 or pair[0] > pair[1]:
      listed = f'({",".join(map(str, pair))})'
      raise errors.UserError(
        f'--config.input.{name}={listed}: expected (minimum,maximum).'
      )


def _check_sizes(heatmaps: Heatmaps) -> None:
  for name in ('size', 'test_size'):
    size = getattr(heatmaps, name)
    scaled = size * heatmaps.scaling
    if round(scaled) < 1 or abs(scaled - round(scaled)) > 1e-6:
      raise errors.UserError(
        f'--config.input.{name}={size} times --config.input.scaling='
        f'{heatmaps.scaling} is {scaled:g} pixels: expected a whole number.'
      )
