"""The fast forms say the same as the plain ones, gradients included."""

import itertools

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import pytest

from skeljax.models import contractions


def draw(*shape):
  seed = sum(shape)
  return np.random.RandomState(seed).randn(*shape).astype(np.float32)


def plain_conv(x, kernel, stride, dilation):
  pad = dilation * (kernel.shape[0] // 2)
  return lax.conv_general_dilated(
    x, kernel, (stride, 1), ((pad, pad), (0, 0)), rhs_dilation=(dilation, 1),
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )  # fmt: skip


def check(ours, plain, *args, rtol=2e-6):
  """Values and gradients agree to rounding, relative to the largest."""
  cotangent = draw(*jax.eval_shape(plain, *args).shape)

  @jax.jit
  def value_and_gradients(*args):
    results = []
    for function in (ours, plain):
      value, pullback = jax.vjp(function, *args)
      results.append((value, *pullback(cotangent)))
    return results

  for a, b in zip(*value_and_gradients(*args)):
    np.testing.assert_allclose(a, b, rtol=0, atol=rtol * np.abs(b).max())


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
def test_temporal_conv(frames, taps, stride, dilation):
  x, kernel = draw(2, frames, 3, 4), draw(taps, 1, 4, 5)
  check(
    lambda x, kernel: contractions.temporal_conv(x, kernel, stride, dilation),
    lambda x, kernel: plain_conv(x, kernel, stride, dilation),
    x,
    kernel,
  )


def test_temporal_conv_of_bfloat16_stays_bfloat16():
  x, kernel = draw(2, 12, 3, 4), draw(9, 1, 4, 5)
  y = contractions.temporal_conv(
    jnp.asarray(x, jnp.bfloat16), jnp.asarray(kernel, jnp.bfloat16)
  )
  assert y.dtype == jnp.bfloat16
  expected = plain_conv(x, kernel, 1, 1)
  np.testing.assert_allclose(y.astype(np.float32), expected, atol=0.2)


@pytest.mark.parametrize('rows', [1, 3])
def test_gather_neighbors(rows):
  x, adjacency = draw(3, 4, 5, 2), draw(rows, 3, 5, 5)

  def plain(x, adjacency):
    adjacency = jnp.broadcast_to(adjacency, (3, 3, 5, 5))
    return jnp.einsum('ntvc,nkvw->ntwkc', x, adjacency).reshape(3, 4, 5, 6)

  check(contractions.gather_neighbors, plain, x, adjacency)


def test_matmul():
  check(
    contractions.matmul,
    lambda x, kernel: jnp.einsum('ntvc,cd->ntvd', x, kernel),
    draw(2, 3, 4, 5),
    draw(5, 6),
  )
