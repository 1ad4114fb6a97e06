"""Normalization on the device: 2D as published, and min-max per clip.

data_prep normalizes 3D skeletons once.
"""

import jax
import jax.numpy as jnp

from skeljax.inputs import rounding

# The published default (height, width) of clips without an image size.
DEFAULT_IMG_SHAPE = (1080, 1920)
# Clips with a smaller box, in pixels, are not normalized by it.
_SMALLEST_BOX = 10


def frame_size(img_shape: jax.Array, ndim: int) -> jax.Array:
  """Return (width, height) of each clip, broadcastable to its coordinates.

  Args:
    img_shape: [B, 2] (height, width) in pixels; 0 if unknown, which means
      DEFAULT_IMG_SHAPE.
    ndim: rank of the coordinates.

  Returns:
    [B, 1, ..., 1, 2] float32.
  """
  default = jnp.array([DEFAULT_IMG_SHAPE], img_shape.dtype)
  known = jnp.where(img_shape > 0, img_shape, default)
  size = known[:, ::-1].astype(jnp.float32)
  return size.reshape(size.shape[0], *(1,) * (ndim - 2), 2)


def normalize_2d_1x(
  xy: jax.Array, img_shape: jax.Array, *, published_rounding: bool = False
) -> jax.Array:
  """Map pixels to about [-1, 1] around the image centre; missing points to -1.

  Args:
    xy: [B, ..., 2], pixels.
    img_shape: [B, 2] (height, width) in pixels; 0 if unknown.
    published_rounding: round to float16 after each operation, as the published
      code does for float16 files.

  Returns:
    Same shape and dtype.

  Source: PreNormalize2D of mmaction2 1.x, and of pyskl with mode='fix'.
  """
  round_ = rounding.round_to_float16 if published_rounding else lambda x: x
  half = round_(frame_size(img_shape, xy.ndim) / 2)
  return round_(round_(xy - half) / half)


def normalize_2d_0x(
  xy: jax.Array, score: jax.Array, img_shape: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Map pixels to about [-0.5, 0.5]; scores are shifted by -0.5 too.

  Missing points and padding become -0.5 in every channel.

  Args:
    xy: [B, ..., 2], pixels.
    score: [B, ..., 1], or [B, ..., 0] without scores.
    img_shape: [B, 2] (height, width) in pixels; 0 if unknown.

  Returns:
    Both, same shapes and dtype.

  Source: PoseNormalize of mmaction2 0.x with mean (w / 2, h / 2, 0.5), minimum
  0 and maximum (w, h, 1). Deviation: the published constants are those of 1920
  x 1080; here they follow the image size if it is known, as in its demo.
  """
  size = frame_size(img_shape, xy.ndim)
  return (xy - size / 2) / size, score - 0.5


def normalize_2d_box(xy: jax.Array, box: jax.Array) -> jax.Array:
  """Map pixels to [-1, 1] around the centre of the box of each clip.

  Args:
    xy: [B, ..., 2], pixels.
    box: [B, 4] x_min, y_min, x_max, y_max over the whole clip. Clips whose box
      is 10 pixels or less in one direction are not changed.

  Returns:
    Same shape and dtype.

  Source: PreNormalize2D(mode='auto') of pyskl.
  """
  box = box.astype(xy.dtype).reshape(-1, *(1,) * (xy.ndim - 2), 4)
  low, high = box[..., :2], box[..., 2:]
  extent = high - low
  is_wide = jnp.all(extent > _SMALLEST_BOX, axis=-1, keepdims=True)
  centred = xy - (high + low) / 2
  return jnp.where(is_wide, centred / jnp.where(is_wide, extent, 1) * 2, xy)


def min_max(x: jax.Array, is_present: jax.Array) -> jax.Array:
  """Scale each clip to [-1, 1] per axis by its own minimum and maximum.

  Args:
    x: [B, N, M, T, V, C] whole clips.
    is_present: bool, broadcasts against x; other values are ignored and become
      0.

  Returns:
    Same shape and dtype; an axis without extent becomes 0.

  Source: the NW-UCLA feeder of CTR-GCN, whose one person is always present.
  Deviation: absent persons and frames are ignored and stay 0.
  """
  axes = tuple(range(1, x.ndim - 1))
  low = jnp.min(x, axes, keepdims=True, where=is_present, initial=jnp.inf)
  high = jnp.max(x, axes, keepdims=True, where=is_present, initial=-jnp.inf)
  extent = high - low
  has_extent = extent > 0
  scaled = (x - low) / jnp.where(has_extent, extent, 1) * 2 - 1
  return jnp.where(is_present & has_extent, scaled, 0)
