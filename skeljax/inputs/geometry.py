"""From image pixels to heatmap pixels, on the device.

Every step takes the keypoints and the image size and returns both. Sizes are
integers. Keypoints outside the image are kept. A coordinate of exactly 0 means
a missing keypoint to `compact` and `flip`, which do not change it (x and y
separately); the other steps move every keypoint.

xy is [B, N, M, T, V, 2] float32 and size is [B, 2] int32 (height, width), for
all views of a clip.

Source: mmaction2 1.x PoseCompact, Resize, CenterCrop, RandomResizedCrop, Flip.
Deviation: coordinates stay float32, where the published crops return float64.
"""

from collections.abc import Sequence
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from skeljax.inputs import augment

# Candidates for the random crop; the first that fits is used.
NUM_CANDIDATES = 10
# Folded into the key of a clip, one per draw.
_FLIP, _ASPECT, _AREA, _OFFSET = range(4)


class CropDraw(NamedTuple):
  """The random crop of each clip.

  Attributes:
    aspect: [B, NUM_CANDIDATES] width / height.
    area: [B, NUM_CANDIDATES] fraction of the image area.
    offset: [B, 2] (x, y) in [0, 1), position within the remaining margin.
  """

  aspect: jax.Array
  area: jax.Array
  offset: jax.Array


def draw_flip(
  rng: jax.Array, index: jax.Array, probability: float
) -> jax.Array:
  """Return which clips are flipped, [B] bool.

  Args:
    rng: key of the step.
    index: [B] int, index of each clip in its split.
    probability: of a flip.
  """
  return _uniform(rng, index, _FLIP, 1)[:, 0] < probability


def draw_crop(
  rng: jax.Array,
  index: jax.Array,
  *,
  area: tuple[float, float],
  aspect: tuple[float, float],
) -> CropDraw:
  """Draw crop candidates: area uniform, aspect ratio log-uniform.

  Args:
    rng: key of the step.
    index: [B] int, index of each clip in its split.
    area: range of the fraction of the image area.
    aspect: range of width / height.
  """
  low, high = math.log(aspect[0]), math.log(aspect[1])
  u = _uniform(rng, index, _ASPECT, NUM_CANDIDATES)
  v = _uniform(rng, index, _AREA, NUM_CANDIDATES)
  return CropDraw(
    aspect=jnp.exp(low + u * (high - low)),
    area=area[0] + v * (area[1] - area[0]),
    offset=_uniform(rng, index, _OFFSET, 2),
  )


def _uniform(
  rng: jax.Array, index: jax.Array, stream: int, number: int
) -> jax.Array:
  """[B, number] in [0, 1)."""

  def draw(i):
    key = jax.random.fold_in(jax.random.fold_in(rng, i), stream)
    return jax.random.uniform(key, (number,), jnp.float32)

  return jax.vmap(draw)(index)


def compact(
  xy: jax.Array,
  size: jax.Array,
  *,
  padding: float,
  threshold: float,
  hw_ratio: Sequence[float] = (),
  allow_imgpad: bool = True,
) -> tuple[jax.Array, jax.Array]:
  """Crop to the box around all keypoints of a clip.

  Args:
    xy: NaN becomes 0.
    size: image size.
    padding: the box grows by this fraction.
    threshold: no crop if the box is narrower or lower than this.
    hw_ratio: minimum and maximum height / width of the box, which grows to
      satisfy them; () for none.
    allow_imgpad: whether the box may exceed the image.
  """
  xy = jnp.where(jnp.isnan(xy), 0, xy)
  is_present = xy != 0
  axes = tuple(range(1, xy.ndim - 1))
  low = jnp.min(jnp.where(is_present, xy, jnp.inf), axis=axes)  # [B, 2]
  high = jnp.max(jnp.where(is_present, xy, -jnp.inf), axis=axes)
  is_cut = jnp.all(high - low >= threshold, axis=-1, keepdims=True)
  # Without a crop the box is unused, and may be infinite.
  low, high = jnp.where(is_cut, low, 0), jnp.where(is_cut, high, 1)

  center = (high + low) / 2
  half_width, half_height = jnp.split((high - low) / 2 * (1 + padding), 2, -1)
  if len(hw_ratio):
    half_height = jnp.maximum(hw_ratio[0] * half_width, half_height)
    half_width = jnp.maximum(1 / hw_ratio[1] * half_height, half_width)
  half = jnp.concatenate([half_width, half_height], axis=-1)
  low, high = center - half, center + half
  if not allow_imgpad:
    image = size[:, ::-1].astype(jnp.float32)
    low, high = jnp.maximum(low, 0), jnp.minimum(high, image)
  # Truncates towards zero.
  low, high = low.astype(jnp.int32), high.astype(jnp.int32)

  moved = jnp.where(is_present, xy - _per_clip(low, xy), xy)
  box_size = jnp.maximum(high - low, 1)[:, ::-1]
  return (
    jnp.where(_per_clip(is_cut, xy), moved, xy),
    jnp.where(is_cut, box_size, size),
  )


def resize_short_side(
  xy: jax.Array, size: jax.Array, short_side: int
) -> tuple[jax.Array, jax.Array]:
  """Resize the shorter side to short_side, keeping the aspect ratio."""
  old = jnp.maximum(size, 1)
  short = jnp.min(old, axis=-1, keepdims=True)
  # Round to nearest, halves up; exact in integers.
  new = (2 * short_side * old + short) // (2 * short)
  return _rescale(xy, old, new), new


def resize_to(
  xy: jax.Array, size: jax.Array, height: int, width: int
) -> tuple[jax.Array, jax.Array]:
  """Resize both sides independently."""
  old = jnp.maximum(size, 1)
  new = _constant_size(height, width, size)
  return _rescale(xy, old, new), new


def center_crop(
  xy: jax.Array, size: jax.Array, height: int, width: int
) -> tuple[jax.Array, jax.Array]:
  """Crop the centre; an odd pixel is removed at the right and bottom."""
  new = _constant_size(height, width, size)
  return _crop(xy, (size - new) // 2), new


def random_resized_crop(
  xy: jax.Array, size: jax.Array, draw: CropDraw
) -> tuple[jax.Array, jax.Array]:
  """Crop to the first candidate that fits, or else to the central square."""
  area = draw.area * jnp.prod(size, -1, keepdims=True).astype(jnp.float32)
  # Round half to even, as published; at least one pixel.
  height = jnp.maximum(jnp.round(jnp.sqrt(area / draw.aspect)), 1)
  width = jnp.maximum(jnp.round(jnp.sqrt(area * draw.aspect)), 1)
  candidates = jnp.stack([height, width], axis=-1).astype(jnp.int32)
  fits = jnp.all(candidates <= size[:, None, :], axis=-1)  # [B, candidates]
  is_first = fits & (jnp.cumsum(fits, axis=-1) == 1)
  drawn = jnp.sum(jnp.where(is_first[..., None], candidates, 0), axis=1)
  any_fits = jnp.any(fits, axis=-1, keepdims=True)
  square = jnp.broadcast_to(jnp.min(size, axis=-1, keepdims=True), size.shape)
  new = jnp.where(any_fits, drawn, square)

  margin = size - new
  choices = (margin + 1).astype(jnp.float32)
  offset = jnp.floor(draw.offset[:, ::-1] * choices).astype(jnp.int32)
  # The product may round up to the number of choices.
  offset = jnp.where(any_fits, jnp.minimum(offset, margin), margin // 2)
  return _crop(xy, offset), new


def flip(
  points: jax.Array,
  size: jax.Array,
  is_flipped: jax.Array,
  flip_index: Sequence[int],
) -> jax.Array:
  """Flip some clips: x becomes width - x, except exact zeros.

  Args:
    points: [B, N, M, T, V, 2 or more], x first; channels after y only move to
      the other joint.
    size: [B, 2] int32 (height, width).
    is_flipped: [B] bool.
    flip_index: of the layout, swaps left and right joints.
  """
  width = _per_clip(size[:, 1:].astype(points.dtype), points)
  flipped = augment.flip(points, flip_index, width)
  return jnp.where(_per_clip(is_flipped[:, None], points), flipped, points)


def rounded(product: jax.Array) -> jax.Array:
  """Return the product, rounded to float32 before it is added to anything.

  XLA may fuse a product and a sum into one operation without rounding the
  product, which NumPy never does. Coordinates on a coarse grid, as in float16
  files, are often exactly on the edge of a pixel and would move to the other
  side. A comparison in between prevents the fusion; an optimization barrier
  does not.
  """
  return jnp.maximum(product, jnp.finfo(product.dtype).min)


def _rescale(xy: jax.Array, old: jax.Array, new: jax.Array) -> jax.Array:
  factor = (new.astype(jnp.float32) / old.astype(jnp.float32))[:, ::-1]
  return rounded(xy * _per_clip(factor, xy))


def _crop(xy: jax.Array, top_left: jax.Array) -> jax.Array:
  """Move the point [B, 2] (y, x) to the origin."""
  return xy - _per_clip(top_left[:, ::-1].astype(xy.dtype), xy)


def _constant_size(height: int, width: int, like: jax.Array) -> jax.Array:
  new = jnp.array([[height, width]], jnp.int32)
  return jnp.broadcast_to(new, like.shape)


def _per_clip(x: jax.Array, like: jax.Array) -> jax.Array:
  """[B, C] with singleton axes, to broadcast against `like`."""
  return x.reshape(x.shape[0], *(1,) * (like.ndim - 2), x.shape[-1])
