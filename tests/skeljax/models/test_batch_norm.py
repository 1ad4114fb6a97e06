"""BatchNorm compared with numbers computed by hand and in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skeljax import errors
from skeljax.models import layers


def run(x, train=True, weights=None, variables=None, **options):
  """Output and new running statistics for float32 x."""
  norm = layers.BatchNorm(**options)
  x = jnp.asarray(x, jnp.float32)
  if weights is not None:
    weights = jnp.asarray(weights, jnp.float32)
  if variables is None:
    zeros, ones = jnp.zeros(x.shape[-1]), jnp.ones(x.shape[-1])
    variables = {
      'params': {'scale': ones, 'bias': zeros},
      'batch_stats': {'mean': zeros, 'var': ones},
    }
  apply = jax.jit(norm.apply, static_argnames=('train', 'mutable'))
  y, state = apply(
    variables, x, train=train, weights=weights, mutable='batch_stats'
  )
  return np.asarray(y), jax.tree.map(np.asarray, state['batch_stats'])


def test_four_values_by_hand():
  # 1, 3, 5, 7: mean 4, biased variance 5, unbiased variance 20 / 3.
  y, stats = run([[1.0], [3.0], [5.0], [7.0]])
  std = np.sqrt(5 + 1e-5)
  expected = [[-3 / std], [-1 / std], [1 / std], [3 / std]]
  np.testing.assert_allclose(y, expected, rtol=1e-6)
  np.testing.assert_allclose(stats['mean'], [0.1 * 4], rtol=1e-6)
  np.testing.assert_allclose(stats['var'], [0.9 + 0.1 * 20 / 3], rtol=1e-6)


def test_two_groups_by_hand():
  # (1, 3): mean 2, variances 1 and 2. (5, 9): mean 7, variances 4 and 8.
  y, stats = run([[1.0], [3.0], [5.0], [9.0]], num_groups=2)
  one, two = 1 / np.sqrt(1 + 1e-5), 2 / np.sqrt(4 + 1e-5)
  np.testing.assert_allclose(y, [[-one], [one], [-two], [two]], rtol=1e-6)
  np.testing.assert_allclose(stats['mean'], [0.1 * (2 + 7) / 2], rtol=1e-6)
  np.testing.assert_allclose(stats['var'], [0.9 + 0.1 * (2 + 8) / 2], rtol=1e-6)


def test_evaluation_uses_and_keeps_the_running_statistics():
  x = np.array([[2.0], [6.0]])
  variables = {
    'params': {'scale': jnp.array([3.0]), 'bias': jnp.array([0.5])},
    'batch_stats': {'mean': jnp.array([2.0]), 'var': jnp.array([4.0])},
  }
  y, stats = run(x, train=False, variables=variables)
  expected = [[0.5], [0.5 + 3 * 4 / np.sqrt(4 + 1e-5)]]
  np.testing.assert_allclose(y, expected, rtol=1e-6)
  np.testing.assert_array_equal(stats['mean'], [2.0])
  np.testing.assert_array_equal(stats['var'], [4.0])


def test_initialization_keeps_the_statistics():
  init = jax.jit(layers.BatchNorm().init, static_argnames='train')
  variables = init(jax.random.key(0), jnp.full((4, 2), 7.0), train=True)
  np.testing.assert_array_equal(variables['batch_stats']['mean'], [0, 0])
  np.testing.assert_array_equal(variables['batch_stats']['var'], [1, 1])


def test_groups_equal_separate_batches():
  x = np.random.RandomState(0).randn(6, 5, 3, 4) * [1, 2, 3, 4] + 5
  y, stats = run(x, num_groups=3)
  parts = [run(part) for part in np.split(x, 3)]
  np.testing.assert_allclose(
    y, np.concatenate([part for part, _ in parts]), rtol=1e-5, atol=1e-5
  )
  for name in ('mean', 'var'):
    mean = np.mean([part[name] for _, part in parts], axis=0)
    np.testing.assert_allclose(stats[name], mean, rtol=1e-6)


@pytest.mark.parametrize('num_groups', [1, 2])
def test_weight_zero_equals_dropping_the_row(num_groups):
  random = np.random.RandomState(1)
  x = random.randn(8, 5, 3, 4) + 2
  keep = np.array([1, 0, 1, 1, 0, 1, 1, 1], bool)
  y, stats = run(x, weights=keep, num_groups=num_groups)
  groups = zip(np.split(x, num_groups), np.split(keep, num_groups))
  parts = [run(rows[kept]) for rows, kept in groups]
  np.testing.assert_allclose(
    y[keep], np.concatenate([part for part, _ in parts]), rtol=1e-5, atol=1e-5
  )
  for name in ('mean', 'var'):
    mean = np.mean([part[name] for _, part in parts], axis=0)
    np.testing.assert_allclose(stats[name], mean, rtol=1e-5)
  assert np.isfinite(y).all()


def test_statistics_stay_where_all_rows_are_excluded():
  x = np.random.RandomState(2).randn(4, 3) + 9
  # The first group has no rows; the second feature has none at all.
  weights = np.ones((4, 3))
  weights[:2] = 0
  weights[:, 1] = 0
  y, stats = run(x, weights=weights, num_groups=2)
  _, second = run(x[2:])
  assert stats['mean'][1] == 0 and stats['var'][1] == 1
  for name in ('mean', 'var'):
    np.testing.assert_allclose(
      stats[name][[0, 2]], second[name][[0, 2]], rtol=1e-5
    )
  assert np.isfinite(y).all()


def test_a_large_mean_loses_no_digits():
  # E[x^2] - E[x]^2 would give a standard deviation several times too large.
  x = 1000 + 0.01 * np.random.RandomState(3).randn(4096, 1)
  x = x.astype(np.float32)
  y, _ = run(x)
  std = x.astype(np.float64).std()
  assert y.std() == pytest.approx(std / np.sqrt(std**2 + 1e-5), rel=1e-3)


def test_gradient_is_that_of_the_formula():
  random = np.random.RandomState(4)
  x, cotangent = random.randn(2, 12, 3).astype(np.float32)
  x = x + 3

  def formula(x, scale):
    mean, var = x.mean(0, keepdims=True), x.var(0, keepdims=True)
    y = (x - mean) / jnp.sqrt(var + 1e-5) * scale[None]
    return (y * cotangent).sum()

  def ours(x, scale):
    params = {'scale': scale, 'bias': jnp.zeros(3)}
    stats = {'mean': jnp.zeros(3), 'var': jnp.ones(3)}
    y, _ = layers.BatchNorm().apply(
      {'params': params, 'batch_stats': stats}, x, True, mutable=['batch_stats']
    )
    return (y * cotangent).sum()

  scale = jnp.array([1.0, 2.0, 3.0])
  for got, expected in zip(
    jax.jit(jax.grad(ours, (0, 1)))(x, scale),
    jax.jit(jax.grad(formula, (0, 1)))(x, scale),
  ):
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_bfloat16_in_and_out_but_float32_statistics():
  x = jnp.asarray(np.random.RandomState(5).randn(64, 4) + 3, jnp.bfloat16)
  norm = layers.BatchNorm(dtype=jnp.bfloat16)
  variables = jax.jit(norm.init, static_argnames='train')(
    jax.random.key(0), x, train=True
  )
  y, state = jax.jit(norm.apply, static_argnames=('train', 'mutable'))(
    variables, x, train=True, mutable='batch_stats'
  )
  assert y.dtype == jnp.bfloat16
  assert state['batch_stats']['var'].dtype == jnp.float32
  expected = 0.1 * np.asarray(x, np.float64).mean(0)
  np.testing.assert_allclose(state['batch_stats']['mean'], expected, rtol=1e-5)


def test_norm_group_must_divide_the_batch():
  groups = functools.partial(layers.num_groups, train=True)
  assert groups(24, 12) == 2
  assert groups(24, 0) == 1
  with pytest.raises(errors.UserError, match='norm_group=12 .* batch of 20'):
    groups(20, 12)
  # Evaluation has no groups: any batch size works.
  assert layers.num_groups(20, 12, train=False) == 1
