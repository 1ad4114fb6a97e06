"""Random augmentation of joints: flip, scale, rotation, shift.

The draws depend on the key of the step and on the index of the clip in its
split, not on its position in the batch or on its device.
"""

from collections.abc import Sequence
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from skeljax.inputs import streams

ROTATE_ORDERS = ('xyz', 'zyx')
# Folded into the key of a clip, one per draw.
_FLIP, _SCALE, _ROTATE, _SHIFT = range(4)


class View(NamedTuple):
  """The augmentation of each clip; an attribute is None if it is off.

  Attributes:
    flip: [B] bool, whether the clip is flipped.
    scale: [B, C] factor per axis.
    rotation: [B, C, C] matrix R in x' = R x.
    shift: [B, C] offset per axis.
  """

  flip: jax.Array | None = None
  scale: jax.Array | None = None
  rotation: jax.Array | None = None
  shift: jax.Array | None = None


def draw_view(
  rng: jax.Array,
  index: jax.Array,
  *,
  num_channels: int,
  flip: float = 0.0,
  scale: float = 0.0,
  rotate: Sequence[float] = (),
  rotate_order: str = 'zyx',
  shift: float = 0.0,
) -> View:
  """Draw one random view per clip.

  Args:
    rng: key of the step.
    index: [B] int, index of each clip in its split.
    num_channels: C, 2 or 3 coordinates.
    flip: probability of a flip.
    scale: factors are 1 + U(-scale, scale) per axis.
    rotate: largest angles in degrees about x, y and z (3D), or one angle (2D).
    rotate_order: 'zyx' rotates about z first, 'xyz' about x first.
    shift: offsets are U(-shift, shift) per axis.

  Source: scale and 'xyz' are pyskl's RandomScale and RandomRot, 'zyx' is the
  rotation of CTR-GCN's NW-UCLA feeder (about y, then about x).
  """
  keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(rng, index)

  def uniform(stream, size):
    """[B, size] in [-1, 1)."""

    def draw(key):
      key = jax.random.fold_in(key, stream)
      return jax.random.uniform(key, (size,), jnp.float32, -1, 1)

    return jax.vmap(draw)(keys)

  view = View()
  if flip:
    view = view._replace(flip=uniform(_FLIP, 1)[:, 0] < 2 * flip - 1)
  if scale:
    view = view._replace(scale=1 + scale * uniform(_SCALE, num_channels))
  if any(rotate):
    limits = jnp.array([[math.radians(angle) for angle in rotate]], jnp.float32)
    angles = uniform(_ROTATE, len(rotate)) * limits
    view = view._replace(rotation=rotation_matrix(angles, rotate_order))
  if shift:
    view = view._replace(shift=shift * uniform(_SHIFT, num_channels))
  return view


def rotation_matrix(angles: jax.Array, order: str) -> jax.Array:
  """Return matrices that rotate column vectors by the given angles.

  Args:
    angles: [B, 3] radians about x, y, z; or [B, 1] in the plane.
    order: 'xyz' rotates about x first, 'zyx' about z first.

  Returns:
    [B, 3, 3] or [B, 2, 2].
  """
  c, s = jnp.cos(angles), jnp.sin(angles)
  zero, one = jnp.zeros_like(c[:, 0]), jnp.ones_like(c[:, 0])

  def matrix(*rows):
    return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)

  if angles.shape[-1] == 1:
    c, s = c[:, 0], s[:, 0]
    return matrix((c, -s), (s, c))
  (cx, cy, cz), (sx, sy, sz) = c.T, s.T
  turns = {
    'x': matrix((one, zero, zero), (zero, cx, sx), (zero, -sx, cx)),
    'y': matrix((cy, zero, -sy), (zero, one, zero), (sy, zero, cy)),
    'z': matrix((cz, sz, zero), (-sz, cz, zero), (zero, zero, one)),
  }
  first, second, third = (turns[axis] for axis in order)
  highest = jax.lax.Precision.HIGHEST
  return jnp.matmul(
    third, jnp.matmul(second, first, precision=highest), precision=highest
  )


def flip(
  x: jax.Array,
  flip_index: Sequence[int],
  width: jax.Array | None = None,
) -> jax.Array:
  """Flip clips: negate x and swap left and right joints.

  Args:
    x: [..., V, C]; the first channel is flipped, the others (scores too) only
      move to the other joint.
    flip_index: of the layout, swaps left and right joints.
    width: broadcasts against x[..., :1]; x becomes width - x, except exact
      zeros, which are missing. The image width in pixels, 0 for coordinates
      about zero, or the sum of the two ends of the box to flip in. None: x
      becomes -x.

  Returns:
    Same shape and dtype.

  Source: mmaction2 Flip for pixels.
  """
  x = streams.take_joints(x, flip_index)
  first = x[..., :1]
  reversed_ = -first
  if width is not None:
    reversed_ = jnp.where(first != 0, width - first, first)
  return jnp.concatenate([reversed_, x[..., 1:]], axis=-1)


def apply_view(x: jax.Array, view: View, is_present: jax.Array) -> jax.Array:
  """Scale, rotate and shift; `flip` is separate.

  Args:
    x: [B, N, M, T, V, C] coordinates.
    view: the augmentation of each clip.
    is_present: bool, broadcasts against x; other values are not changed.

  Returns:
    Same shape and dtype.
  """
  moved = x

  def per_clip(v):
    """[B, C] or [B, C, C] with singleton axes for N, M, T and V."""
    return v.reshape(v.shape[0], *(1,) * (x.ndim - 2), *v.shape[1:])

  if view.scale is not None:
    moved = moved * per_clip(view.scale)
  if view.rotation is not None:
    # Written out, because a matrix product runs in reduced precision on GPU
    # and TPU, and on the CPU this form is a hundred times faster.
    rotation = per_clip(view.rotation)
    moved = sum(
      moved[..., c : c + 1] * rotation[..., c] for c in range(x.shape[-1])
    )
  if view.shift is not None:
    moved = moved + per_clip(view.shift)
  return jnp.where(is_present, moved, x)
