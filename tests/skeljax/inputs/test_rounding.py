"""Half-precision rounding against NumPy's float16."""

import jax
import numpy as np

from skeljax.inputs import rounding


def half_values(seed, size=20000):
  """Random finite float16 bit patterns, including subnormals."""
  bits = np.random.RandomState(seed).randint(0, 2**16, size).astype(np.uint16)
  values = bits.view(np.float16)
  return values[np.isfinite(values)][: size // 2]


@jax.jit
def arithmetic(a, b):
  round_ = rounding.round_to_float16
  return round_(a - b), round_(round_(a + b) / 2), round_(round_(a - b) / b)


def test_compiled_arithmetic_is_bit_equal_to_numpy():
  a, b = half_values(0), half_values(1)
  got = arithmetic(a.astype(np.float32), b.astype(np.float32))
  with np.errstate(all='ignore'):
    expected = a - b, (a + b) / np.float16(2), (a - b) / b
  for ours, numpys in zip(got, expected):
    np.testing.assert_array_equal(ours, numpys.astype(np.float32))


def test_float16_values_are_unchanged_and_midpoints_round_to_even():
  bits = np.arange(2**15 - 1024, dtype=np.uint16)
  values = bits.view(np.float16).astype(np.float32)
  np.testing.assert_array_equal(rounding.round_to_float16(values), values)
  middle = (values[1:] + values[:-1]) / 2
  np.testing.assert_array_equal(
    rounding.round_to_float16(middle),
    middle.astype(np.float16).astype(np.float32),
  )


def test_quotients_round_equally_if_xla_multiplies_by_the_reciprocal():
  """For every pair of mantissas the reciprocal rounds equally."""
  a = np.arange(1024, 2048, dtype=np.float32)[:, None]
  b = np.arange(1024, 2048, dtype=np.float32)[None, :]
  np.testing.assert_array_equal(
    (a * (1 / b)).astype(np.float16), (a / b).astype(np.float16)
  )
