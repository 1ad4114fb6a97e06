"""Convolutions and maxima over volumes, against XLA's own."""

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import pytest

from skeljax.models import convolutions


def draw(*shape):
  return np.random.RandomState(sum(shape)).randn(*shape).astype(np.float32)


def plain_conv(x, kernel, strides, dilation):
  steps = (1, dilation, dilation)
  pads = [
    (step * (size // 2),) * 2
    for step, size in zip(steps, kernel.shape[:3], strict=True)
  ]
  return lax.conv_general_dilated(
    x, kernel, strides, pads, rhs_dilation=steps,
    dimension_numbers=('NDHWC', 'DHWIO', 'NDHWC'),
  )  # fmt: skip


def plain_max_pool(x, strides):
  return lax.reduce_window(
    x, -jnp.inf, lax.max, (1, 1, 3, 3, 1),
    (1, strides[0], strides[1], strides[1], 1),
    ((0, 0), (0, 0), (1, 1), (1, 1), (0, 0)),
  )  # fmt: skip


def value_and_gradients(function, *args):
  value, pullback = jax.vjp(function, *args)
  return value, *pullback(draw(*value.shape))


def assert_same(ours, plain, *args):
  """Values and gradients agree to rounding, relative to the largest."""
  results = jax.jit(
    lambda *args: [value_and_gradients(f, *args) for f in (ours, plain)]
  )(*args)
  for a, b in zip(*results, strict=True):
    np.testing.assert_allclose(a, b, rtol=0, atol=2e-6 * np.abs(b).max())


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
@pytest.mark.parametrize('form', ['conv', '_plain'])
def test_conv(shape, kernel, strides, dilation, form):
  """`_plain` is what runs on accelerators."""
  function = getattr(convolutions, form)
  assert_same(
    lambda x, kernel: function(x, kernel, strides=strides, dilation=dilation),
    lambda x, kernel: plain_conv(x, kernel, strides, dilation),
    draw(*shape, 3),
    draw(*kernel, 3, 4),
  )


def test_conv_of_bfloat16_stays_bfloat16():
  for kernel in (draw(1, 3, 3, 3, 4), draw(3, 1, 1, 3, 4)):
    x = draw(1, 4, 5, 5, 3)
    y = convolutions.conv(
      jnp.asarray(x, jnp.bfloat16), jnp.asarray(kernel, jnp.bfloat16)
    )
    assert y.dtype == jnp.bfloat16
    expected = plain_conv(x, kernel, (1, 1, 1), 1)
    np.testing.assert_allclose(y.astype(np.float32), expected, atol=0.2)


@pytest.mark.parametrize('strides', [(1, 1), (1, 2), (2, 3)])
@pytest.mark.parametrize('size', [(1, 1), (6, 7)])
def test_max_pool(size, strides):
  # Negative everywhere: a padding of zeros would win.
  x = draw(2, 3, *size, 2) - 9
  assert_same(
    lambda x: convolutions.max_pool(x, strides),
    lambda x: plain_max_pool(x, strides),
    x,
  )


def test_of_equal_pixels_the_first_gets_the_gradient():
  gradient = jax.grad(lambda x: convolutions.max_pool(x, (1, 3)).sum())
  # With stride 3 the windows of 4x4 pixels are its corners of 2x2.
  expected = np.zeros((4, 4))
  expected[::2, ::2] = 1
  result = gradient(jnp.ones((1, 1, 4, 4, 1)))
  np.testing.assert_array_equal(result[0, 0, :, :, 0], expected)


def test_a_nan_is_not_lost_in_a_maximum():
  for position in np.ndindex(3, 3):
    x = np.zeros((1, 1, 3, 3, 1), np.float32)
    x[0, 0, *position] = np.nan
    assert np.isnan(convolutions.max_pool(jnp.asarray(x), (1, 1))[0, 0, 1, 1])
