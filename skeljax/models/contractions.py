"""Sums over channels, joints and frames, in forms that XLA computes fast.

Almost all arithmetic of the graph networks is here. Plain einsums and
convolutions would say the same; on the CPU a training step takes two to three
times longer with them.
"""

import functools

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

# Beyond this many frames the dense transforms cost more than they save.
MAX_TRANSFORM_FRAMES = 128


def matmul(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """x @ kernel over the last axis of x, [..., C] times [C, D].

  As a product of two matrices: from more axes XLA makes a gradient of the
  kernel that first copies the cotangent with its axes exchanged.
  """
  y = x.reshape(-1, x.shape[-1]) @ kernel
  return y.reshape(*x.shape[:-1], -1)


def gather_neighbors(x: jax.Array, adjacency: jax.Array) -> jax.Array:
  """For each joint and subset, the sum over its neighbours.

  out[n, t, w, k] = sum over v of x[n, t, v] * adjacency[n, k, v, w].

  Args:
    x: [N, T, V, C].
    adjacency: [N, K, V, V], or [1, K, V, V] for all rows the same.

  Returns:
    [N, T, V, K*C], subset-major.
  """
  n, t, v, c = x.shape
  g, k, _, _ = adjacency.shape
  # Matmuls with the joints in front: the einsum of the formula, in particular
  # its gradient, is several times slower on the CPU.
  x = x.reshape(g, -1, v, c).swapaxes(1, 2).reshape(g, v, -1)
  a_kwv = adjacency.swapaxes(2, 3).reshape(g, k * v, v)
  x = (a_kwv @ x).reshape(g, k, v, -1, c)  # [G, K, V, N*T/G, C]
  return x.transpose(0, 3, 2, 1, 4).reshape(n, t, v, k * c)


def temporal_conv(
  x: jax.Array, kernel: jax.Array, stride: int = 1, dilation: int = 1
) -> jax.Array:
  """Convolution over frames with symmetric zero padding, as in PyTorch.

  y[t] = sum over i of x[stride * t + dilation * (i - taps // 2)] kernel[i].

  Args:
    x: [N, T, V, C].
    kernel: [taps, 1, C, D], an odd number of taps.
    stride: over frames.
    dilation: frames between two taps.

  Returns:
    [N, (T - 1) // stride + 1, V, D].
  """
  taps = kernel.shape[0]
  if taps == 1:
    return matmul(x[:, ::stride], kernel[0, 0])
  plain = functools.partial(_plain, stride=stride, dilation=dilation)
  if x.dtype.itemsize < 4 or taps < 9 or x.shape[1] > MAX_TRANSFORM_FRAMES:
    return plain(x, kernel)
  # XLA's convolutions on the CPU run at a fraction of its matmuls' speed.
  transformed = functools.partial(
    _by_transform, stride=stride, dilation=dilation
  )
  return lax.platform_dependent(x, kernel, cpu=transformed, default=plain)


def _plain(x, kernel, *, stride, dilation):
  pad = dilation * (kernel.shape[0] // 2)
  return lax.conv_general_dilated(
    x,
    kernel,
    window_strides=(stride, 1),
    padding=((pad, pad), (0, 0)),
    rhs_dilation=(dilation, 1),
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )


def _by_transform(x, kernel, *, stride, dilation):
  """The same through the Fourier transform: 53 matmuls a clip of 32 frames
  and 9 taps where the definition takes 288, with an error of rounding size.

  A convolution over frames is bilinear, y = G ((F x) * (E kernel)) with
  constant matrices E, F, G over frames and taps; each of the P products is a
  matmul over channels.
  """
  n, t, v, c = x.shape
  taps, _, _, d = kernel.shape
  to_x, to_kernel, to_y = (
    jnp.asarray(matrix, x.dtype)
    for matrix in _fourier_matrices(t, taps, stride, dilation)
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
  """F [P, T], E [P, taps] and G [T', P] of `_by_transform`, float64.

  Frames and kernel are taken as periodic, long enough that what wraps around
  meets only zeros. Each complex product (a + ib)(u + iq) of their spectra is
  three real ones (Gauss): (a + b)u, a(q - u), b(q + u).
  """
  offsets = dilation * (np.arange(taps) - taps // 2)
  period = num_frames + offsets[-1]
  frequency = np.arange(period // 2 + 1)
  outputs = np.arange(0, num_frames, stride)

  def waves(times):
    angle = 2 * np.pi * np.outer(frequency, times) / period
    return np.cos(angle), np.sin(angle)

  cos, sin = waves(np.arange(num_frames))
  to_x = [cos - sin, cos, -sin]
  cos, sin = waves(offsets)
  to_kernel = [cos, sin - cos, sin + cos]
  # The zero and the highest frequency are real and stand for themselves, the
  # others also for their conjugates.
  is_complex = (frequency > 0) & (2 * frequency < period)
  cos, sin = waves(outputs) * (1 + is_complex[:, None]) / period
  to_y = [cos - sin, -sin, -cos]
  keep = np.concatenate([np.full(len(frequency), True), is_complex, is_complex])
  to_x, to_kernel, to_y = (
    np.concatenate(parts)[keep] for parts in (to_x, to_kernel, to_y)
  )
  return to_x, to_kernel, to_y.T
