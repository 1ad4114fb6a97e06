"""Half-precision rounding that survives compilation."""

import jax
from jax import lax
import jax.numpy as jnp

# Below 2**-14 half precision has a fixed spacing of 2**-24.
_SMALLEST_NORMAL = 2.0**-14


def round_to_float16(x: jax.Array) -> jax.Array:
  """Each value rounded to the nearest float16, still in the dtype of x.

  The published 1.x code computes 2D features in float16 with NumPy, which
  rounds after every operation. Under jit XLA would drop a cast to float16 and
  back; lax.reduce_precision stays. It flushes subnormals to zero, which NumPy
  does not: those are rounded here by their spacing. Where XLA divides by
  multiplying with a reciprocal the result still rounds to the same float16.

  Args:
    x: any shape, float32 or float64; the exact or float32 result of one
      operation on float16 values (rounding twice is then harmless).
  """
  normal = lax.reduce_precision(x, exponent_bits=5, mantissa_bits=10)
  subnormal = jnp.round(x * 2.0**24) * 2.0**-24
  return jnp.where(jnp.abs(x) < _SMALLEST_NORMAL, subnormal, normal)
