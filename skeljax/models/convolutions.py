"""Convolution and max-pooling over frames, rows and columns.

A plain three-dimensional convolution would say the same. On the CPU XLA has a
fast program for two dimensions only: there a training step of a small SlowOnly
takes eight times longer with three.
"""

import functools

import jax
from jax import lax
import jax.numpy as jnp

from skeljax.models import contractions


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
  if kernel.shape[0] == 1:
    x = x[:, :: strides[0]]
    return _in_frames(x, kernel[0], strides[1:], dilation)
  plain = functools.partial(_plain, strides=strides, dilation=dilation)
  by_frames = functools.partial(_by_frames, strides=strides, dilation=dilation)
  return lax.platform_dependent(x, kernel, cpu=by_frames, default=plain)


def _in_frames(x, kernel, strides, dilation):
  """Convolution of every frame for itself with a kernel [kh, kw, C, D]."""
  kh, kw, _, features = kernel.shape
  if kh == kw == 1:
    return contractions.matmul(
      x[:, :, :: strides[0], :: strides[1]], kernel[0, 0]
    )
  b, t, h, w, c = x.shape
  y = lax.conv_general_dilated(
    x.reshape(b * t, h, w, c),
    kernel,
    window_strides=strides,
    padding=_padding((kh, kw), dilation),
    rhs_dilation=(dilation, dilation),
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )
  return y.reshape(b, t, *y.shape[1:3], features)


def _plain(x, kernel, *, strides, dilation):
  """The convolution as XLA has it."""
  kt, kh, kw, _, features = kernel.shape
  b, t, h, w, c = x.shape
  if kh == kw == strides[1] == strides[2] == 1:
    # Two dimensions, of which pixels are one: libraries know these best.
    y = lax.conv_general_dilated(
      x.reshape(b, t, h * w, c),
      kernel[:, :, 0],
      window_strides=(strides[0], 1),
      padding=_padding((kt, 1), 1),
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )
    return y.reshape(b, -1, h, w, features)
  return lax.conv_general_dilated(
    x,
    kernel,
    window_strides=strides,
    padding=_padding((kt, 1, 1), 1)[:1] + _padding((kh, kw), dilation),
    rhs_dilation=(1, dilation, dilation),
    dimension_numbers=('NDHWC', 'DHWIO', 'NDHWC'),
  )


def _by_frames(x, kernel, *, strides, dilation):
  """The same: each frame's share in every frame around it, then their sums."""
  kt, kh, kw, c, features = kernel.shape
  kernel = kernel.transpose(1, 2, 3, 0, 4).reshape(kh, kw, c, kt * features)
  x = _in_frames(x, kernel, strides[1:], dilation)
  last = strides[0] * ((x.shape[1] - 1) // strides[0])
  pad = kt // 2
  x = jnp.pad(x, ((0, 0), (pad, pad), (0, 0), (0, 0), (0, 0)))
  return sum(
    x[:, i : i + last + 1 : strides[0], ..., i * features : (i + 1) * features]
    for i in range(kt)
  )


def _padding(sizes, dilation):
  return [(dilation * (size // 2),) * 2 for size in sizes]


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
  pad = [(0, 0)] * x.ndim
  pad[axis] = (1, 1)
  last = stride * ((x.shape[axis] - 1) // stride)
  x = jnp.pad(x, pad, constant_values=-jnp.inf)
  best, *others = (
    lax.slice_in_dim(x, i, i + last + 1, stride, axis) for i in range(3)
  )
  return functools.reduce(later_if_greater, others, best)


def later_if_greater(first: jax.Array, later: jax.Array) -> jax.Array:
  """The maximum, as PyTorch pools: of equal values the first has the gradient.

  A NaN wins, lest it disappear from a diverging run.
  """
  return jnp.where((later > first) | jnp.isnan(later), later, first)
