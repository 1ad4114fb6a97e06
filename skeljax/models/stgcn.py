"""ST-GCN and ST-GCN++.

Papers: Yan et al., Spatial Temporal Graph Convolutional Networks for
Skeleton-Based Action Recognition, AAAI 2018; Duan et al., PYSKL, ACM MM 2022
(ST-GCN++). Reference code consulted: mmaction2 1.2.0 and its 0.x branch.

ST-GCN++ is STGCN(graph mode 'spatial', adaptive='init', gcn_with_res=True,
tcn_type='mstcn').

Differences from the reference code:
- The BatchNorm and ReLU that 0.x places at the front of the temporal unit are
  at the end of the graph unit, as in 1.x; the function is the same.
"""

from collections.abc import Callable
import functools
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp

from skeljax import errors
from skeljax.models import graph_network
from skeljax.models import kernels
from skeljax.models import layers

ADAPTIVE = ('importance', 'init', 'offset', 'none')
# Branches of ST-GCN++'s multi-scale unit: (kernel size, dilation) of a
# convolution, ('max', kernel size) of a pooling, or a plain 1x1 convolution.
MULTI_SCALE_BRANCHES = ((3, 1), (3, 2), (3, 3), (3, 4), ('max', 3), '1x1')


class GraphUnit(nn.Module):
  """Graph convolution z_w = sum_k sum_v A'_k[v, w] x_v W_k + bias, then ReLU.

  Attributes:
    features: output channels.
    norm: creates the BatchNorm.
    adaptive: how A' follows from the graph A: 'none' A; 'init' a parameter
      initialised to A; 'offset' A + parameter; 'importance' A * parameter.
    conv_pos: where the published code convolves: 'pre' before the sum over
      neighbours v, with a bias b_k per subset, so that the bias of joint w is
      sum_k sum_v A'_k[v, w] b_k; 'post' after it, with one bias.
    with_res: adds x (through 1x1 convolution and BatchNorm where the width
      changes) before the ReLU.
    pointwise_init: of the 1x1 convolutions, see layers.conv_init.
    dtype: of the computation.

  Source: `unit_gcn` of mmaction2.
  """

  features: int
  norm: Callable[..., nn.Module]
  adaptive: str = 'importance'
  conv_pos: str = 'pre'
  with_res: bool = False
  pointwise_init: str = 'torch'
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    adjacency: jax.Array,
    train: bool,
    weights: jax.Array | None = None,
  ) -> jax.Array:
    """Map [N, T, V, C] to [N, T, V, features]; adjacency is [K, V, V]."""
    residual = self._residual(x, train, weights)
    a_kvw = self._adapt(adjacency).astype(self.dtype or x.dtype)
    z = self._convolve(x, a_kvw)
    return nn.relu(self.norm(name='bn')(z, train, weights) + residual)

  def _convolve(self, x, a_kvw):
    """Return z of the class docstring, [N, T, V, features]."""
    k, c, d = len(a_kvw), x.shape[-1], self.features
    shape = (c, k * d) if self.conv_pos == 'pre' else (k * c, d)
    kernel, bias = layers.ConvParams(shape, self.pointwise_init, name='conv')()
    x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
    if self.conv_pos == 'pre':
      kernel = kernel.reshape(c, k, d).swapaxes(0, 1)  # [K, C, D]
      bias = jnp.einsum('kvw,kd->wd', a_kvw, bias.reshape(k, d))
    else:
      kernel, bias = kernel.reshape(k, c, d), bias[None]
    return kernels.graph_conv(x, a_kvw, kernel) + bias[None, None]

  def _residual(self, x, train, weights):
    if not self.with_res:
      return 0
    if x.shape[-1] == self.features:
      return x
    x = layers.Pointwise(
      self.features, self.pointwise_init, self.dtype, name='down'
    )(x)
    return self.norm(name='down_bn')(x, train, weights)

  def _adapt(self, adjacency):
    """Return A' of the class docstring, [K, V, V]."""
    if self.adaptive == 'none':
      return adjacency
    if self.adaptive == 'init':
      return self.param('adjacency', lambda _: adjacency)
    shape = adjacency.shape
    if self.adaptive == 'offset':
      init = layers.symmetric_uniform(1e-6)
      return adjacency + self.param('offset', init, shape)
    return adjacency * self.param('importance', nn.initializers.ones, shape)


class MultiScaleTemporalUnit(nn.Module):
  """Six parallel temporal branches, joined by a 1x1 convolution.

  Attributes: as graph_network.TemporalUnit, and
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
    """Map [N, T, V, C] to [N, T', V, features]; weights [N] is for norm."""
    others = len(MULTI_SCALE_BRANCHES) - 1
    width = self.features // (others + 1)
    widths = [self.features - width * others] + [width] * others
    x = jnp.concatenate(
      [
        self._branch(i, branch, widths[i], x, train, weights)
        for i, branch in enumerate(MULTI_SCALE_BRANCHES)
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
    """1x1 convolution, then (except for '1x1') the branch's own operation."""
    if branch == '1x1':
      return self._pointwise(width, f'branch_{index}')(x[:, :: self.stride])
    x = self._pointwise(width, f'branch_{index}')(x)
    x = nn.relu(self.norm(name=f'branch_{index}_bn')(x, train, weights))
    kernel_size, extent = branch
    if kernel_size == 'max':
      pad = (extent - 1) // 2
      return nn.max_pool(x, (extent, 1), (self.stride, 1), ((pad, pad), (0, 0)))
    return layers.TemporalConv(
      width,
      kernel_size,
      self.stride,
      dilation=extent,
      dtype=self.dtype,
      name=f'branch_{index}_conv',
    )(x)


class STGCN(graph_network.GraphNetwork):
  """ST-GCN: blocks of graph and temporal convolution, then a linear head.

  Attributes: those of GraphNetwork, and
    adaptive, conv_pos, gcn_with_res: see GraphUnit.
    tcn_type: 'unit_tcn' (a convolution over 9 frames) or 'mstcn' (ST-GCN++).
    weight_init: distributions of 'mmaction1x' or 'mmaction0x'.
  """

  adaptive: str = 'importance'
  conv_pos: str = 'pre'
  gcn_with_res: bool = False
  tcn_type: str = 'unit_tcn'
  weight_init: str = 'mmaction1x'

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    train: bool = False,
    row_weights: jax.Array | None = None,
  ) -> jax.Array:
    """Map keypoints [B, M, T, V, C] to logits; see GraphNetwork.run."""
    self._check_options()
    shared: dict[str, Any] = dict(norm=self.norm(x, train), dtype=self.dtype)
    is_1x = self.weight_init == 'mmaction1x'
    init: dict[str, Any] = dict(pointwise_init='torch' if is_1x else 'kaiming')
    temporal_unit: Callable[..., nn.Module]
    if self.tcn_type == 'unit_tcn':
      temporal_unit = functools.partial(graph_network.TemporalUnit, **shared)
    else:
      temporal_unit = functools.partial(
        MultiScaleTemporalUnit, **init, **shared
      )
    return self.run(
      x,
      train,
      row_weights,
      graph_unit=functools.partial(
        GraphUnit,
        adaptive=self.adaptive,
        conv_pos=self.conv_pos,
        with_res=self.gcn_with_res,
        **init,
        **shared,
      ),
      temporal_unit=functools.partial(temporal_unit, dropout=self.tcn_dropout),
      residual_unit=functools.partial(graph_network.TemporalUnit, **shared),
      data_bn=self.data_bn,
      learns_graph=self.adaptive == 'init',
    )

  def _check_options(self):
    for name, choices in (
      ('adaptive', ADAPTIVE),
      ('conv_pos', ('pre', 'post')),
      ('data_bn', graph_network.DATA_BN),
      ('tcn_type', ('unit_tcn', 'mstcn')),
      ('weight_init', ('mmaction1x', 'mmaction0x')),
    ):
      layers.check_choice(name, getattr(self, name), choices)
    branches = len(MULTI_SCALE_BRANCHES)
    if self.tcn_type == 'mstcn' and self.base_channels < branches:
      raise errors.UserError(
        f"tcn_type='mstcn' splits the channels into {branches} branches; "
        f'base_channels={self.base_channels} is too narrow.'
      )
