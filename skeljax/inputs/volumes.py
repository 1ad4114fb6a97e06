"""The input of PoseC3D: from a batch of keypoints to heatmap volumes.

In two halves, because test views are split between them: `prepare` does all
geometry, with one box for all views of a clip; `render` draws, each view for
itself, and what it makes is a thousand times larger.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from skeljax.inputs import augment
from skeljax.inputs import geometry
from skeljax.inputs import heatmaps
from skeljax.inputs import streams
from skeljax.inputs.volume_options import VolumeOptions

Batch = Mapping[str, jax.Array]


def prepare(
  batch: Batch,
  options: VolumeOptions,
  *,
  rng: jax.Array | None = None,
  train: bool,
) -> jax.Array:
  """Keypoints in pixels of the volume, with the scores they are drawn with.

  Args:
    batch: keypoint [B, N, M, T, V, 2] (float16 or float32), in pixels, 0 where
      missing; img_shape [B, 2] (height, width); frame_index [B, N, T] (-1 for
      padding); num_valid_persons [B]; score [B, N, M, T, V] where there are
      scores; index [B], by which training draws.
    options: what to compute.
    rng: key of this step; None unless training.
    train: whether to draw a random crop and mirror; else the whole or central
      picture.

  Returns:
    [B, N, M, T, V, 3] float32: x, y, score. Padded persons and frames have
    score 0.

  Raises:
    ValueError: the batch is not what the options need.
  """
  _check_batch(batch, options, rng, train)
  xy = batch['keypoint'].astype(jnp.float32)
  size = batch['img_shape'].astype(jnp.int32)
  xy, size = geometry.compact(
    xy,
    size,
    padding=options.compact_padding,
    threshold=options.compact_threshold,
    hw_ratio=options.compact_hw_ratio,
    allow_imgpad=options.allow_imgpad,
  )
  if train:
    crop = geometry.draw_crop(
      rng,
      batch['index'],
      area=options.crop_area,
      aspect=options.crop_aspect,
    )
    xy, size = geometry.resize_short_side(xy, size, options.short_side)
    xy, size = geometry.random_resized_crop(xy, size, crop)
    xy, size = geometry.resize_to(xy, size, options.size, options.size)
  elif options.resize == 'stretch':
    side = options.test_size
    xy, size = geometry.resize_to(xy, size, side, side)
  else:
    side = options.test_size
    xy, size = geometry.resize_short_side(xy, size, side)
    xy, size = geometry.center_crop(xy, size, side, side)

  score = _scores(batch, options)
  points = jnp.concatenate([xy, score[..., None]], axis=-1)
  if train and options.flip:
    is_flipped = geometry.draw_flip(rng, batch['index'], options.flip)
    points = geometry.flip(points, size, is_flipped, options.layout.flip_index)
  return points


def render(
  points: jax.Array,
  options: VolumeOptions,
  *,
  train: bool,
  mirrored: bool = False,
  dtype: jnp.dtype = jnp.float32,
) -> jax.Array:
  """The heatmap volumes of some views.

  Args:
    points: [B, N, M, T, V, 3] float32, from `prepare`; N may be some of its
      views.
    options: what to draw.
    train: which size the points were prepared for.
    mirrored: whether to add each view's mirror, right behind it.
    dtype: of the result; computed in float32.

  Returns:
    [B * N, T, H, W, C], or [B * 2N, T, H, W, C] with `mirrored`.
  """
  volume = _draw(points, options, train).astype(dtype)
  if mirrored:
    if options.mirror == '1x':
      other = _mirror_volume(volume, options)
    else:
      side = options.size if train else options.test_size
      width = jnp.full((1,) * points.ndim, side, points.dtype)
      other = augment.mirror(points, options.layout.flip_index, width)
      other = _draw(other, options, train).astype(dtype)
    volume = jnp.stack([volume, other], axis=2)  # [B, N, 2, T, H, W, C]
  return volume.reshape(-1, *volume.shape[-4:])


def _draw(points: jax.Array, options: VolumeOptions, train: bool) -> jax.Array:
  """[B, N, T, H, W, C] float32 of points [B, N, M, T, V, 3]."""
  side = options.drawn_size(train)
  xy, score = (
    geometry.rounded(points[..., :2] * options.scaling),
    points[..., 2],
  )
  channels = []
  if options.draws_keypoints:
    channels.append(
      heatmaps.keypoint_heatmaps(
        xy,
        score,
        side,
        side,
        sigma=options.sigma,
        min_score=options.min_score,
      )
    )
  if options.draws_limbs:
    channels.append(
      heatmaps.limb_heatmaps(
        xy,
        score,
        side,
        side,
        limbs=options.layout.limbs,
        sigma=options.sigma,
        min_score=options.min_score,
      )
    )
  return jnp.concatenate(channels, axis=-1)


def _mirror_volume(volume: jax.Array, options: VolumeOptions) -> jax.Array:
  """[..., W, C] reversed in W, left and right channels exchanged."""
  order = []
  if options.draws_keypoints:
    order += options.layout.flip_index
  if options.draws_limbs:
    first = len(order)
    order += [first + i for i in options.layout.limb_flip_index]
  reversed_ = volume[..., ::-1, :]
  # The channels are the last axis here, where take_joints has coordinates.
  return streams.take_joints(reversed_[..., None], order)[..., 0]


def _scores(batch: Batch, options: VolumeOptions) -> jax.Array:
  """[B, N, M, T, V] float32: what is to be drawn; 0 for padding."""
  keypoint = batch['keypoint']
  person = jnp.arange(keypoint.shape[2])
  is_person = person[None, :] < batch['num_valid_persons'][:, None]
  is_frame = batch['frame_index'] >= 0
  is_real = (
    is_person[:, None, :, None, None] & is_frame[:, :, None, :, None]
  )  # [B, N, M, T, 1]
  score = jnp.ones(keypoint.shape[:-1], jnp.float32)
  if options.has_score and options.use_score:
    score = batch['score'].astype(jnp.float32)
  return jnp.where(is_real, score, 0)


def _check_batch(
  batch: Batch, options: VolumeOptions, rng: jax.Array | None, train: bool
) -> None:
  names = ['keypoint', 'img_shape', 'frame_index', 'num_valid_persons']
  if options.has_score:
    names.append('score')
  if train:
    names.append('index')
    if rng is None:
      raise ValueError('prepare draws random views in training and needs rng')
  missing = [name for name in names if name not in batch]
  if missing:
    raise ValueError(
      f'heatmaps need {", ".join(missing)} in the batch, which holds '
      f'{", ".join(sorted(batch))}'
    )
  shape = batch['keypoint'].shape
  end = (options.layout.num_joints, 2)
  if len(shape) != 6 or shape[-2:] != end:
    raise ValueError(
      f'keypoint must be [B, N, M, T, V, 2] with V, 2 = {end} for layout '
      f'{options.layout.name!r}, but is {shape}'
    )
