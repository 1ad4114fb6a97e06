"""The attention modules of AAGCN.

Paper: Shi et al., Skeleton-Based Action Recognition with Multi-Stream Adaptive
Graph Convolutional Networks, TIP 2020. Reference code consulted: `unit_aagcn`
of mmaction2 1.2.0.
"""

import functools
import math

from flax import linen as nn
import jax
import jax.numpy as jnp


class Attention(nn.Module):
  """Spatial, temporal and channel attention of AAGCN, in that order.

  Each multiplies its input y by 1 + s, s a sigmoid of y's own means.

  Attributes:
    dtype: of the computation.
  """

  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, y: jax.Array) -> jax.Array:
    """Maps [N, T, V, C] to the same shape."""
    _, _, v, c = y.shape
    # An odd kernel over the joints: V, or V - 1 where V is even.
    size = v if v % 2 else v - 1
    xavier = nn.initializers.normal(math.sqrt(2 / ((c + 1) * size)))
    zeros = nn.initializers.zeros
    conv = functools.partial(nn.Conv, 1, dtype=self.dtype)
    pad = (size - 1) // 2
    s = conv((size,), padding=((pad, pad),), kernel_init=xavier, name='conv_sa')
    y = y * (1 + nn.sigmoid(s(y.mean(1))[:, None]))  # [N, 1, V, 1]
    s = conv((9,), padding=((4, 4),), kernel_init=zeros, name='conv_ta')
    y = y * (1 + nn.sigmoid(s(y.mean(2))[:, :, None]))  # [N, T, 1, 1]
    s = nn.Dense(
      c // 2,
      dtype=self.dtype,
      kernel_init=nn.initializers.normal(math.sqrt(2 / c)),
      name='fc1c',
    )(y.mean((1, 2)))
    s = nn.Dense(c, dtype=self.dtype, kernel_init=zeros, name='fc2c')(
      nn.relu(s)
    )
    return y * (1 + nn.sigmoid(s[:, None, None]))
