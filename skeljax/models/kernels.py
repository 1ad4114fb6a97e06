"""Contractions, convolutions and poolings of the models.

Each function first states its operation as an einsum or a lax convolution,
which is what GPUs and TPUs run. Where XLA compiles that to slow code on the
CPU, `by_platform` replaces it there by one of the forms at the end of this
module, which returns the same values up to rounding.

Einsum letters: n clip or person, t frame, v joint, w neighbouring joint, k
adjacency subset, c channel in, d channel out.
"""

from collections.abc import Callable
import functools

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np


def by_platform(
  *args: jax.Array, plain: Callable[..., jax.Array], **forms: Callable
) -> jax.Array:
  """Evaluate the form written for the platform that the program compiles for.

  Args:
    *args: passed to the form.
    plain: used on every platform that is not in `forms`.
    **forms: the form for each platform, such as cpu=.

  Returns:
    What the selected form returns.
  """
  return lax.platform_dependent(*args, default=plain, **forms)


def pointwise(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Contract the last axis of x with the first axis of the kernel.

  Args:
    x: [..., C].
    kernel: [C, ...].

  Returns:
    The axes of x except C, then those of the kernel except C.
  """
  # As a product of two matrices: otherwise the gradient of the kernel first
  # copies the cotangent with its axes permuted.
  y = x.reshape(-1, x.shape[-1]) @ kernel.reshape(kernel.shape[0], -1)
  return y.reshape(*x.shape[:-1], *kernel.shape[1:])


def graph_conv(
  x: jax.Array, adjacency: jax.Array, kernel: jax.Array
) -> jax.Array:
  """Graph convolution over K subsets of neighbours.

  Args:
    x: [N, T, V, C].
    adjacency: [K, V, V], or [N, K, V, V] for a graph per row of x. Entry
      [k, v, w] is the weight of joint v in the output of joint w.
    kernel: [K, C, D].

  Returns:
    [N, T, V, D].

  Source: ST-GCN (AAAI 2018), "Implementing ST-GCN", with several subsets.
  """
  subsets = 'kvw' if adjacency.ndim == 3 else 'nkvw'
  plain = functools.partial(jnp.einsum, f'ntvc,{subsets},kcd->ntwd')
  return by_platform(x, adjacency, kernel, plain=plain, cpu=_graph_conv_cpu)


def temporal_conv(
  x: jax.Array, kernel: jax.Array, stride: int = 1, dilation: int = 1
) -> jax.Array:
  """Convolve over frames with symmetric zero padding, as PyTorch does.

  Args:
    x: [N, T, V, C].
    kernel: [taps, 1, C, D] with an odd number of taps.
    stride: over frames.
    dilation: frames between two taps.

  Returns:
    [N, (T - 1) // stride + 1, V, D].
  """
  if kernel.shape[0] == 1:
    return pointwise(x[:, ::stride], kernel[0, 0])
  options = dict(strides=(stride, 1), dilation=(dilation, 1))
  plain = functools.partial(_conv, **options)
  fourier = functools.partial(_temporal_conv_cpu, **options)
  return by_platform(x, kernel, plain=plain, cpu=fourier)


def conv3d(
  x: jax.Array,
  kernel: jax.Array,
  strides: tuple[int, int, int] = (1, 1, 1),
  dilation: int = 1,
) -> jax.Array:
  """Convolve over frames, rows and columns with symmetric zero padding.

  Args:
    x: [B, T, H, W, C].
    kernel: [kt, kh, kw, C, D] with odd sizes.
    strides: over frames, rows and columns.
    dilation: pixels between two taps in space; frames are never dilated.

  Returns:
    [B, (T - 1) // st + 1, (H - 1) // sh + 1, (W - 1) // sw + 1, D].
  """
  if kernel.shape[0] == 1:
    return _conv_each_frame(x[:, :: strides[0]], kernel, strides, dilation)
  options = dict(strides=strides, dilation=(1, dilation, dilation))
  plain = functools.partial(_conv, **options)
  if kernel.shape[1] == kernel.shape[2] == strides[1] == strides[2] == 1:
    plain = functools.partial(_conv_each_pixel, stride=strides[0])
  by_frames = functools.partial(_conv3d_cpu, **options)
  return by_platform(x, kernel, plain=plain, cpu=by_frames)


def max_pool(
  x: jax.Array, window: tuple[int, ...], strides: tuple[int, ...]
) -> jax.Array:
  """Maximum over windows, with the padding and the gradient of PyTorch.

  Windows are padded by (size - 1) // 2 on both sides; the padding is never the
  maximum. The gradient goes to the first of equal values in row-major order. A
  NaN is the maximum of its window.

  One axis after the other: that takes fewer comparisons than the whole window,
  and its gradient is a selection, where that of lax.reduce_window is a scatter.

  Args:
    x: [B, ..., C].
    window: size on each axis between B and C.
    strides: on the same axes.

  Returns:
    [B, ..., C] with (size + 2 * pad - window) // stride + 1 on those axes.
  """
  for axis in reversed(range(1, x.ndim - 1)):
    size, stride = window[axis - 1], strides[axis - 1]
    pad = [(0, 0)] * x.ndim
    pad[axis] = ((size - 1) // 2,) * 2
    x = jnp.pad(x, pad, constant_values=-jnp.inf)
    last = stride * ((x.shape[axis] - size) // stride)
    taps = (
      lax.slice_in_dim(x, i, i + last + 1, stride, axis) for i in range(size)
    )
    x = functools.reduce(_later_if_greater, taps)
  return x


def _later_if_greater(first: jax.Array, later: jax.Array) -> jax.Array:
  return jnp.where((later > first) | jnp.isnan(later), later, first)


def _conv(x, kernel, *, strides, dilation):
  """lax convolution of [N, ..., C] with an odd kernel, zero-padded."""
  axes = {2: 'HW', 3: 'DHW'}[x.ndim - 2]
  return lax.conv_general_dilated(
    x,
    kernel,
    window_strides=strides,
    padding=[
      (step * (size // 2),) * 2 for size, step in zip(kernel.shape, dilation)
    ],
    rhs_dilation=dilation,
    dimension_numbers=(f'N{axes}C', f'{axes}IO', f'N{axes}C'),
  )


def _conv_each_frame(x, kernel, strides, dilation):
  """2D convolution of each frame with a kernel [1, kh, kw, C, D]."""
  b, t, h, w, c = x.shape
  if kernel.shape[1] == kernel.shape[2] == 1:
    return pointwise(x[:, :, :: strides[1], :: strides[2]], kernel[0, 0, 0])
  x = x.reshape(b * t, h, w, c)
  y = _conv(x, kernel[0], strides=strides[1:], dilation=(dilation, dilation))
  return y.reshape(b, t, *y.shape[1:])


def _conv_each_pixel(x, kernel, *, stride):
  """Convolution of each pixel over frames with a kernel [kt, 1, 1, C, D].

  In 2D, which libraries support better than 3D.
  """
  b, t, h, w, c = x.shape
  x, kernel = x.reshape(b, t, h * w, c), kernel[:, :, 0]
  y = _conv(x, kernel, strides=(stride, 1), dilation=(1, 1))
  return y.reshape(b, -1, h, w, y.shape[-1])


# Forms for the CPU, where XLA has fast matrix products and 2D convolutions. With
# the plain forms a training step of a graph network takes 2 to 3 times longer
# there, one of a small SlowOnly 8 times.


def _graph_conv_cpu(x, adjacency, kernel):
  """Matrix products over joints and then over channels."""
  n, t, v, c = x.shape
  k, _, d = kernel.shape
  g = 1 if adjacency.ndim == 3 else n  # Number of graphs.
  x = x.reshape(g, -1, v, c).swapaxes(1, 2).reshape(g, v, -1)
  a_kwv = adjacency.reshape(g, k, v, v).swapaxes(2, 3).reshape(g, k * v, v)
  x = (a_kwv @ x).reshape(g, k, v, -1, c)  # [G, K, V, N*T/G, C]
  x = x.transpose(0, 3, 2, 1, 4).reshape(n, t, v, k * c)
  return pointwise(x, kernel.reshape(k * c, d))


def _conv3d_cpu(x, kernel, *, strides, dilation):
  """2D convolutions give each frame's part in its neighbours, then sums."""
  kt, _, _, _, d = kernel.shape
  kernel = jnp.concatenate(list(kernel), axis=-1)[None]  # [1, kh, kw, C, kt*D]
  x = _conv_each_frame(x, kernel, strides, dilation[1])
  last = strides[0] * ((x.shape[1] - 1) // strides[0])
  pad = kt // 2
  x = jnp.pad(x, ((0, 0), (pad, pad), (0, 0), (0, 0), (0, 0)))
  return sum(
    x[:, i : i + last + 1 : strides[0], ..., i * d : (i + 1) * d]
    for i in range(kt)
  )


def _temporal_conv_cpu(x, kernel, *, strides, dilation):
  """Products in the Fourier domain, where they pay off.

  For 32 frames and 9 taps these are 53 matrix products per clip where the
  definition takes 288. Each of the P products y = G ((F x) * (E kernel)), with
  constant matrices E, F and G over frames and taps, is over channels.
  """
  n, t, v, c = x.shape
  taps, _, _, d = kernel.shape
  # With more frames the dense transforms cost more than they save; in half
  # precision they lose digits.
  if x.dtype.itemsize < 4 or taps < 9 or t > 128:
    return _conv(x, kernel, strides=strides, dilation=dilation)
  to_x, to_kernel, to_y = (
    jnp.asarray(matrix, x.dtype)
    for matrix in _fourier_matrices(t, taps, strides[0], dilation[0])
  )
  x = to_x @ x.transpose(1, 0, 2, 3).reshape(t, -1)
  kernel = to_kernel @ kernel.reshape(taps, -1)
  y = x.reshape(-1, n * v, c) @ kernel.reshape(-1, c, d)  # [P, N*V, D]
  y = to_y @ y.reshape(y.shape[0], -1)
  return y.reshape(-1, n, v, d).transpose(1, 0, 2, 3)  # [N, T', V, D]


@functools.cache
def _fourier_matrices(
  num_frames: int, taps: int, stride: int, dilation: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """F [P, T], E [P, taps] and G [T', P] of `_temporal_conv_cpu`, float64.

  Frames and kernel are periodic, with a period long enough that only zeros wrap
  around. Each complex product (a + ib)(u + iq) of their spectra is three real
  ones (Gauss): (a + b)u, a(q - u), b(q + u).
  """
  offsets = dilation * (np.arange(taps) - taps // 2)
  period = num_frames + offsets[-1]
  frequency = np.arange(period // 2 + 1)

  def waves(times):
    angle = 2 * np.pi * np.outer(frequency, times) / period
    return np.cos(angle), np.sin(angle)

  cos, sin = waves(np.arange(num_frames))
  to_x = [cos - sin, cos, -sin]
  cos, sin = waves(offsets)
  to_kernel = [cos, sin - cos, sin + cos]
  # Zero and the highest frequency are real; the others also count for their
  # conjugates.
  is_complex = (frequency > 0) & (2 * frequency < period)
  cos, sin = waves(np.arange(0, num_frames, stride))
  cos, sin = (w * (1 + is_complex[:, None]) / period for w in (cos, sin))
  to_y = [cos - sin, -sin, -cos]
  keep = np.concatenate([np.full(len(frequency), True), is_complex, is_complex])
  to_x, to_kernel, to_y = (
    np.concatenate(parts)[keep] for parts in (to_x, to_kernel, to_y)
  )
  return to_x, to_kernel, to_y.T
