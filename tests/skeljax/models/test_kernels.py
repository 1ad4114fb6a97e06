"""Every form of the kernels equals the definition, gradients included."""

import itertools

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import pytest

from skeljax.models import kernels

every_form = pytest.mark.usefixtures('kernel_form')


def draw(*shape):
  return np.random.RandomState(sum(shape)).randn(*shape).astype(np.float32)


def conv(x, kernel, strides, dilation):
  pads = [
    (step * (size // 2),) * 2
    for size, step in zip(kernel.shape, dilation, strict=False)
  ]
  axes = 'DHW'[-len(strides) :]
  return lax.conv_general_dilated(
    x, kernel, strides, pads, rhs_dilation=dilation,
    dimension_numbers=(f'N{axes}C', f'{axes}IO', f'N{axes}C'),
  )  # fmt: skip


def assert_same(ours, expected, *args):
  """Values and gradients agree to rounding, relative to the largest."""
  cotangent = draw(*jax.eval_shape(expected, *args).shape)

  def value_and_gradients(function, args):
    value, pullback = jax.vjp(function, *args)
    return value, *pullback(cotangent)

  results = jax.jit(
    lambda *args: [value_and_gradients(f, args) for f in (ours, expected)]
  )(*args)
  for a, b in zip(*results, strict=True):
    np.testing.assert_allclose(a, b, rtol=0, atol=2e-6 * np.abs(b).max())


@pytest.mark.parametrize(
  'frames, taps, stride, dilation',
  [
    *itertools.product((1, 2, 7, 24), (9,), (1, 2), (1,)),
    (11, 9, 1, 2),
    (300, 9, 2, 1),
    (9, 3, 2, 3),
    (6, 1, 2, 1),
  ],
)
@every_form
def test_temporal_conv(frames, taps, stride, dilation):
  assert_same(
    lambda x, kernel: kernels.temporal_conv(x, kernel, stride, dilation),
    lambda x, kernel: conv(x, kernel, (stride, 1), (dilation, 1)),
    draw(2, frames, 3, 4),
    draw(taps, 1, 4, 5),
  )


@every_form
def test_temporal_conv_of_bfloat16_stays_bfloat16():
  x, kernel = draw(2, 12, 3, 4), draw(9, 1, 4, 5)
  y = kernels.temporal_conv(
    jnp.asarray(x, jnp.bfloat16), jnp.asarray(kernel, jnp.bfloat16)
  )
  assert y.dtype == jnp.bfloat16
  expected = conv(x, kernel, (1, 1), (1, 1))
  np.testing.assert_allclose(y.astype(np.float32), expected, atol=0.2)


@pytest.mark.parametrize('per_row', [False, True])
@every_form
def test_graph_conv(per_row):
  adjacency = draw(3, 2, 5, 5) if per_row else draw(2, 5, 5)

  def expected(x, adjacency, kernel):
    if not per_row:
      adjacency = jnp.broadcast_to(adjacency, (3, 2, 5, 5))
    h = jnp.einsum('ntvc,kcd->ntkvd', x, kernel)
    return jnp.einsum('ntkvd,nkvw->ntwd', h, adjacency)

  assert_same(
    kernels.graph_conv, expected, draw(3, 4, 5, 6), adjacency, draw(2, 6, 7)
  )


def test_pointwise():
  assert_same(
    kernels.pointwise,
    lambda x, kernel: jnp.einsum('ntvc,ckd->ntvkd', x, kernel),
    draw(2, 3, 4, 5),
    draw(5, 3, 2),
  )


@pytest.mark.parametrize(
  'shape, kernel, strides, dilation',
  [
    ((2, 4, 6, 7), (1, 7, 7), (1, 1, 1), 1),  # stem
    ((2, 4, 6, 7), (5, 3, 7), (2, 2, 2), 1),
    ((2, 5, 7, 6), (1, 3, 3), (1, 2, 2), 1),
    ((1, 5, 8, 5), (1, 3, 3), (2, 2, 2), 2),
    ((2, 5, 3, 2), (3, 1, 1), (1, 1, 1), 1),
    ((2, 4, 3, 3), (3, 1, 1), (2, 1, 1), 1),
    ((2, 4, 3, 3), (3, 1, 1), (1, 2, 2), 1),
    ((1, 6, 5, 4), (3, 3, 3), (2, 2, 2), 1),
    ((1, 3, 5, 6), (3, 3, 3), (1, 1, 1), 2),
    ((2, 5, 4, 7), (1, 1, 1), (2, 2, 2), 1),
    ((1, 1, 1, 1), (3, 3, 3), (2, 2, 2), 1),
  ],
)
@every_form
def test_conv3d(shape, kernel, strides, dilation):
  assert_same(
    lambda x, kernel: kernels.conv3d(x, kernel, strides, dilation),
    lambda x, kernel: conv(x, kernel, strides, (1, dilation, dilation)),
    draw(*shape, 3),
    draw(*kernel, 3, 4),
  )


@every_form
def test_conv3d_of_bfloat16_stays_bfloat16():
  for kernel in (draw(1, 3, 3, 3, 4), draw(3, 1, 1, 3, 4)):
    x = draw(1, 4, 5, 5, 3)
    y = kernels.conv3d(
      jnp.asarray(x, jnp.bfloat16), jnp.asarray(kernel, jnp.bfloat16)
    )
    assert y.dtype == jnp.bfloat16
    expected = conv(x, kernel, (1, 1, 1), (1, 1, 1))
    np.testing.assert_allclose(y.astype(np.float32), expected, atol=0.2)


def test_without_a_forced_form_the_platform_decides():
  calls = []

  def form(name):
    return lambda x: calls.append(name) or x + len(name)

  y = jax.jit(
    lambda x: kernels.by_platform(x, plain=form('plain'), cpu=form('cpu'))
  )(jnp.zeros(()))
  expected = 'cpu' if jax.default_backend() == 'cpu' else 'plain'
  assert y == len(expected)
  assert set(calls) == {'plain', 'cpu'}


@pytest.mark.parametrize('strides', [(1, 1, 1), (1, 2, 2), (2, 3, 3)])
@pytest.mark.parametrize('size', [(1, 1), (6, 7)])
def test_max_pool(size, strides):
  def expected(x):
    return lax.reduce_window(
      x, -jnp.inf, lax.max, (1, 1, 3, 3, 1), (1, *strides, 1),
      ((0, 0), (0, 0), (1, 1), (1, 1), (0, 0)),
    )  # fmt: skip

  # Negative everywhere: a padding of zeros would be the maximum.
  x = draw(2, 3, *size, 2) - 9
  assert_same(lambda x: kernels.max_pool(x, (1, 3, 3), strides), expected, x)


@pytest.mark.parametrize('frames', [2, 5])
def test_max_pool_of_pairs_drops_an_odd_last_frame(frames):
  x = draw(2, frames, 3, 3, 2)
  pairs = x[:, : frames // 2 * 2].reshape(2, -1, 2, 3, 3, 2)
  y = kernels.max_pool(jnp.asarray(x), (2, 1, 1), (2, 1, 1))
  np.testing.assert_array_equal(y, pairs.max(2))


def test_the_first_of_equal_pixels_gets_the_gradient():
  gradient = jax.grad(lambda x: kernels.max_pool(x, (3, 3), (3, 3)).sum())
  # With stride 3 the windows of 4x4 pixels are its corners of 2x2.
  expected = np.zeros((4, 4))
  expected[::2, ::2] = 1
  result = gradient(jnp.ones((1, 4, 4, 1)))
  np.testing.assert_array_equal(result[0, :, :, 0], expected)


def test_max_pool_keeps_a_nan():
  for position in np.ndindex(3, 3):
    x = np.zeros((1, 3, 3, 1), np.float32)
    x[0, *position] = np.nan
    y = kernels.max_pool(jnp.asarray(x), (3, 3), (1, 1))
    assert np.isnan(y[0, 1, 1])
