"""Half-precision rounding that survives compilation."""

import jax
from jax import lax
import jax.numpy as jnp

# Below 2**-14 half precision has a fixed spacing of 2**-24.
_SMALLEST_NORMAL = 2.0**-14


def round_to_float16(x: jax.Array) -> jax.Array:
  """Round each value to the nearest float16, keeping the dtype of x.

  The published 1.x code computes 2D features in float16 with NumPy, which
  rounds after every operation. Under jit, XLA removes a cast to float16 and back,
  but keeps lax.reduce_precision. That flushes subnormals to zero, which NumPy
  does not, so subnormals are rounded to their spacing here. Where XLA divides by
  multiplying with a reciprocal, the result still rounds to the same float16.

  Args:
    x: any shape, float32 or float64; the exact or float32 result of one
      operation on float16 values, so that rounding twice is harmless.
  """
  normal = lax.reduce_precision(x, exponent_bits=5, mantissa_bits=10)
  subnormal = jnp.round(x * 2.0**24) * 2.0**-24
  return jnp.where(jnp.abs(x) < _SMALLEST_NORMAL, subnormal, normal)
