"""Convolution and max-pooling over frames, rows and columns."""

import jax
from jax import lax
import jax.numpy as jnp


def conv(
  x: jax.Array,
  kernel: jax.Array,
  strides: tuple[int, int, int] = (1, 1, 1),
  dilation: int = 1,
) -> jax.Array:
  """Convolution with symmetric zero padding, as in PyTorch.

  Args:
    x: [B, T, H, W, C].
    kernel: [kt, kh, kw, C, D], odd sizes.
    strides: over frames, rows and columns.
    dilation: pixels between two taps in space; frames are never dilated.

  Returns:
    [B, (T - 1) // st + 1, (H - 1) // sh + 1, (W - 1) // sw + 1, D].
  """
  kt, kh, kw, _, _ = kernel.shape
  pads = (kt // 2, dilation * (kh // 2), dilation * (kw // 2))
  return lax.conv_general_dilated(
    x,
    kernel,
    window_strides=strides,
    padding=[(pad, pad) for pad in pads],
    rhs_dilation=(1, dilation, dilation),
    dimension_numbers=('NDHWC', 'DHWIO', 'NDHWC'),
  )


def max_pool(x: jax.Array, strides: tuple[int, int]) -> jax.Array:
  """Maximum over 3x3 pixels with symmetric padding, as in PyTorch.

  The padding is never the maximum. Of equal pixels the first, row by row, gets
  the gradient.

  Args:
    x: [B, T, H, W, C].
    strides: over frames, and over rows and columns.

  Returns:
    [B, (T - 1) // st + 1, (H - 1) // ss + 1, (W - 1) // ss + 1, C].
  """
  stride_t, stride_s = strides
  x = x[:, ::stride_t]
  # Along the columns, then along the rows: 4 comparisons instead of 8, and a
  # gradient of selects instead of the scatter of reduce_window, which is slow.
  for axis in (3, 2):
    x = _max_of_three(x, axis, stride_s)
  return x


def _max_of_three(x, axis, stride):
  size = x.shape[axis]
  pad = [(0, 0, 0)] * x.ndim
  pad[axis] = (1, 1, 0)
  x = lax.pad(x, jnp.array(-jnp.inf, x.dtype), pad)
  last = stride * ((size - 1) // stride) + 1
  first, *others = (
    lax.slice_in_dim(x, i, i + last, stride, axis) for i in range(3)
  )
  for other in others:
    # A NaN wins: it must not disappear from a diverging run.
    first = jnp.where((other > first) | jnp.isnan(other), other, first)
  return first
