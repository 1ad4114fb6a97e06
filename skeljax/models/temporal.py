"""Temporal units: what one block does along the frames of each joint."""

from collections.abc import Callable

from flax import linen as nn
import jax
import jax.numpy as jnp

from skeljax.models import layers

# Branches of ST-GCN++'s multi-scale unit: (kernel size, dilation) of a
# convolution, ('max', kernel size) of a pooling, or a plain 1x1 convolution.
MULTI_SCALE_BRANCHES = ((3, 1), (3, 2), (3, 3), (3, 4), ('max', 3), '1x1')


class TemporalUnit(nn.Module):
  """Convolution over frames, BatchNorm, dropout; no activation.

  Attributes:
    features: channels out.
    norm: builds the BatchNorm.
    kernel_size: frames.
    stride: over frames.
    dropout: rate.
    weight_init: of the convolution, see layers.conv_init.
    dtype: of the computation.

  Source: `unit_tcn` of mmaction2.
  """

  features: int
  norm: Callable[..., nn.Module]
  kernel_size: int = 9
  stride: int = 1
  dropout: float = 0.0
  weight_init: str = 'kaiming'
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(
    self, x: jax.Array, train: bool, weights: jax.Array | None = None
  ) -> jax.Array:
    """Maps [N, T, V, C] to [N, T', V, features]; weights [N] is for norm."""
    x = layers.TemporalConv(
      self.features,
      self.kernel_size,
      self.stride,
      weight_init=self.weight_init,
      dtype=self.dtype,
      name='conv',
    )(x)
    x = self.norm(name='bn')(x, train, weights)
    return nn.Dropout(self.dropout, deterministic=not train, name='drop')(x)


class MultiScaleTemporalUnit(nn.Module):
  """Six parallel temporal branches, joined by a 1x1 convolution.

  Attributes: as TemporalUnit, and
    pointwise_init: of the 1x1 convolutions, see layers.conv_init.

  Source: `mstcn` of mmaction2 and pyskl, ST-GCN++.
  """

  features: int
  norm: Callable[..., nn.Module]
  stride: int = 1
  dropout: float = 0.0
  pointwise_init: str = 'torch'
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(
    self, x: jax.Array, train: bool, weights: jax.Array | None = None
  ) -> jax.Array:
    """Maps [N, T, V, C] to [N, T', V, features]; weights [N] is for norm."""
    branches = MULTI_SCALE_BRANCHES
    width = self.features // len(branches)
    widths = [self.features - width * (len(branches) - 1)]
    widths += [width] * (len(branches) - 1)
    x = jnp.concatenate(
      [
        self._branch(i, branch, widths[i], x, train, weights)
        for i, branch in enumerate(branches)
      ],
      axis=-1,
    )
    x = nn.relu(self.norm(name='transform_bn')(x, train, weights))
    x = self._pointwise(self.features, 'transform')(x)
    x = self.norm(name='bn')(x, train, weights)
    return nn.Dropout(self.dropout, deterministic=not train, name='drop')(x)

  def _pointwise(self, features, name):
    return layers.Pointwise(
      features, self.pointwise_init, self.dtype, name=name
    )

  def _branch(self, index, branch, width, x, train, weights):
    """One branch: 1x1 convolution, then (but for '1x1') its own temporal op."""
    if branch == '1x1':
      return self._pointwise(width, f'branch_{index}')(x[:, :: self.stride])
    x = self._pointwise(width, f'branch_{index}')(x)
    x = nn.relu(self.norm(name=f'branch_{index}_bn')(x, train, weights))
    kind, extent = branch
    if kind == 'max':
      # reduce_window pads the maximum with -inf, as PyTorch does.
      pad = (extent - 1) // 2
      return nn.max_pool(x, (extent, 1), (self.stride, 1), ((pad, pad), (0, 0)))
    return layers.TemporalConv(
      width,
      kind,
      self.stride,
      extent,
      dtype=self.dtype,
      name=f'branch_{index}_conv',
    )(x)
