"""ST-GCN and ST-GCN++.

Papers: Yan et al., Spatial Temporal Graph Convolutional Networks for
Skeleton-Based Action Recognition, AAAI 2018; Duan et al., PYSKL, ACM MM 2022
(ST-GCN++). Reference code consulted: mmaction2 1.2.0 and its 0.x branch.

ST-GCN++ is STGCN(graph mode 'spatial', adaptive='init', gcn_with_res=True,
tcn_type='mstcn').

Differences from the reference code:
- The BatchNorm and ReLU that 0.x places at the front of the temporal unit sit
  at the end of the graph unit, as in 1.x; the function is the same.
- The graph convolution may gather neighbours before the 1x1 convolution where
  the reference convolves first; the sum is the same (see GraphUnit).
"""

from collections.abc import Callable
import functools
from typing import ClassVar

from flax import linen as nn
import jax
import jax.numpy as jnp

from skeljax import errors
from skeljax.models import contractions
from skeljax.models import layers
from skeljax.models import network
from skeljax.models import temporal
from skeljax.skeletons import graph as graph_lib

ADAPTIVE = ('importance', 'init', 'offset', 'none')


class GraphUnit(nn.Module):
  """Graph convolution: z_w = sum_k sum_v A'_k[v, w] (x_v W_k + b_k).

  Attributes:
    features: channels out.
    norm: builds the BatchNorm.
    adaptive: how A' comes from the graph A: 'none' A; 'init' a parameter that
      starts as A; 'offset' A + parameter; 'importance' A * parameter.
    conv_pos: 'pre' has one W_k and b_k per subset, shared bias before the sum
      over neighbours; 'post' gathers first, with one bias after the sum.
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
    """Maps [N, T, V, C] to [N, T, V, features]; adjacency is [K, V, V]."""
    pointwise = functools.partial(
      layers.Pointwise, weight_init=self.pointwise_init, dtype=self.dtype
    )
    residual = self._residual(x, pointwise, train, weights)
    a_kvw = self._adapt(adjacency).astype(self.dtype or x.dtype)
    x = self._convolve(x, a_kvw)
    return nn.relu(self.norm(name='bn')(x, train, weights) + residual)

  def _convolve(self, x, a_kvw):
    """z of the class docstring, [N, T, V, features]."""
    num_subsets, channels = a_kvw.shape[0], x.shape[-1]
    if self.conv_pos == 'pre':
      shape = (channels, num_subsets * self.features)
    else:
      shape = (num_subsets * channels, self.features)
    kernel, bias = layers.ConvParams(shape, self.pointwise_init, name='conv')()
    x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
    x = contractions.gather_neighbors(x, a_kvw[None])  # [N, T, V, K*C]
    if self.conv_pos == 'post':
      return contractions.matmul(x, kernel) + bias.reshape(1, 1, 1, -1)
    # Convolving after the gathering is the same sum, and less work where the
    # unit widens. A bias then reaches a joint through all that it gathers from.
    kernel = kernel.reshape(channels, num_subsets, -1).swapaxes(0, 1)
    bias = jnp.einsum('kvw,kd->wd', a_kvw, bias.reshape(num_subsets, -1))
    x = contractions.matmul(x, kernel.reshape(-1, self.features))
    return x + bias[None, None]

  def _residual(self, x, pointwise, train, weights):
    if not self.with_res:
      return 0
    if x.shape[-1] == self.features:
      return x
    x = pointwise(self.features, name='down')(x)
    return self.norm(name='down_bn')(x, train, weights)

  def _adapt(self, adjacency):
    """A' of the class docstring, [K, V, V]."""
    if self.adaptive == 'none':
      return adjacency
    if self.adaptive == 'init':
      return self.param('adjacency', lambda _: adjacency)
    shape = adjacency.shape
    if self.adaptive == 'offset':
      init = layers.symmetric_uniform(1e-6)
      return adjacency + self.param('offset', init, shape)
    return adjacency * self.param('importance', nn.initializers.ones, shape)


class Block(nn.Module):
  """ReLU(temporal unit(graph unit(x)) + residual(x)).

  Attributes:
    features: channels out.
    stride: of the temporal unit.
    is_first: has no residual.
    norm: builds the BatchNorm.
    adaptive, conv_pos, gcn_with_res: of the graph unit.
    tcn_type: 'unit_tcn' (9 frames) or 'mstcn' (ST-GCN++).
    tcn_dropout: rate at the end of the temporal unit.
    pointwise_init: of the 1x1 convolutions outside residuals.
    dtype: of the computation.
  """

  features: int
  stride: int
  is_first: bool
  norm: Callable[..., nn.Module]
  adaptive: str
  conv_pos: str
  gcn_with_res: bool
  tcn_type: str
  tcn_dropout: float
  pointwise_init: str
  dtype: jnp.dtype | None

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    adjacency: jax.Array,
    train: bool,
    weights: jax.Array | None = None,
  ) -> jax.Array:
    """Maps [N, T, V, C] to [N, T', V, features]; adjacency is [K, V, V]."""
    shared = dict(norm=self.norm, dtype=self.dtype)
    if self.is_first:
      residual = 0
    elif x.shape[-1] == self.features and self.stride == 1:
      residual = x
    else:
      residual = temporal.TemporalUnit(
        self.features,
        kernel_size=1,
        stride=self.stride,
        **shared,
        name='residual',
      )(x, train, weights)
    x = GraphUnit(
      self.features,
      adaptive=self.adaptive,
      conv_pos=self.conv_pos,
      with_res=self.gcn_with_res,
      pointwise_init=self.pointwise_init,
      **shared,
      name='gcn',
    )(x, adjacency, train, weights)
    shared |= dict(stride=self.stride, dropout=self.tcn_dropout, name='tcn')
    if self.tcn_type == 'unit_tcn':
      tcn = temporal.TemporalUnit(self.features, **shared)
    else:
      tcn = temporal.MultiScaleTemporalUnit(
        self.features, pointwise_init=self.pointwise_init, **shared
      )
    return nn.relu(tcn(x, train, weights) + residual)


class STGCN(nn.Module):
  """ST-GCN: blocks of graph and temporal convolution, then a linear head.

  Attributes:
    graph: layout and adjacency; V is its number of joints.
    num_classes: logits per clip.
    base_channels: width of the first block.
    ch_ratio: factor on the width at each of inflate_stages.
    num_stages: blocks.
    inflate_stages: stages, counted from 1, that widen.
    down_stages: stages whose temporal unit has stride 2.
    data_bn: normalisation of the input, see network.normalize_input.
    adaptive, conv_pos, gcn_with_res: see GraphUnit.
    tcn_type: 'unit_tcn' or 'mstcn' (ST-GCN++).
    tcn_dropout: rate in the temporal units (not in the first block).
    dropout: rate before the classifier.
    weight_init: distributions of 'mmaction1x' or 'mmaction0x'.
    norm_group: clips that share BatchNorm statistics; 0 for the whole batch.
    dtype: of the computation; parameters, statistics, logits are float32.
    remat: recompute each block in the backward pass to save memory.
  """

  graph: graph_lib.Graph
  input_kind: ClassVar[str] = 'joints'

  num_classes: int
  base_channels: int = 64
  ch_ratio: int | float = 2
  num_stages: int = 10
  inflate_stages: tuple[int, ...] = (5, 8)
  down_stages: tuple[int, ...] = (5, 8)
  data_bn: str = 'VC'
  adaptive: str = 'importance'
  conv_pos: str = 'pre'
  gcn_with_res: bool = False
  tcn_type: str = 'unit_tcn'
  tcn_dropout: float = 0.0
  dropout: float = 0.0
  weight_init: str = 'mmaction1x'
  norm_group: int = 0
  dtype: jnp.dtype | None = None
  remat: bool = False

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    train: bool = False,
    row_weights: jax.Array | None = None,
  ) -> jax.Array:
    """Logits of a batch of clips.

    Args:
      x: [B, M, T, V, C] keypoints.
      train: True for batch statistics and dropout.
      row_weights: [B, M]; 0 leaves an absent person out of the BatchNorm
        statistics. It still counts in the mean over persons, as published.

    Returns:
      [B, num_classes] float32.

    Raises:
      UserError: if an option or the shape of x does not fit.
    """
    self._check_options()
    network.check_input(x, self.graph.layout, row_weights)
    b, m, t, v, c = x.shape
    norm = functools.partial(
      layers.BatchNorm,
      num_groups=layers.num_groups(b, self.norm_group, train),
      dtype=self.dtype,
    )
    adjacency = jnp.asarray(self.graph.adjacency())
    if self.adaptive != 'init':
      adjacency = self.variable('graph', 'adjacency', lambda: adjacency).value

    network.check_data_bn(self.variables, self.data_bn, x.shape)
    x = network.normalize_input(x, self.data_bn, norm, train, row_weights)
    x = x.reshape(b * m, t, v, c)  # [B*M, T, V, C]
    weights = None if row_weights is None else row_weights.reshape(b * m)
    # Argument 3 is `train`, counting self.
    block = nn.remat(Block, static_argnums=(3,)) if self.remat else Block
    stages = network.plan_stages(
      c,
      base_channels=self.base_channels,
      ch_ratio=self.ch_ratio,
      num_stages=self.num_stages,
      inflate_stages=self.inflate_stages,
      down_stages=self.down_stages,
    )
    for i, stage in enumerate(stages):
      x = block(
        **stage._asdict(),
        norm=norm,
        adaptive=self.adaptive,
        conv_pos=self.conv_pos,
        gcn_with_res=self.gcn_with_res,
        tcn_type=self.tcn_type,
        tcn_dropout=0.0 if i == 0 else self.tcn_dropout,
        pointwise_init='torch'
        if self.weight_init == 'mmaction1x'
        else 'kaiming',
        dtype=self.dtype,
        name=f'block_{i}',
      )(x, adjacency, train, weights)
    head = network.Head(self.num_classes, m, self.dropout, name='head')
    return head(x, train)

  def _check_options(self):
    network.check_choice('adaptive', self.adaptive, ADAPTIVE)
    network.check_choice('conv_pos', self.conv_pos, ('pre', 'post'))
    network.check_choice('data_bn', self.data_bn, network.DATA_BN)
    network.check_choice('tcn_type', self.tcn_type, ('unit_tcn', 'mstcn'))
    network.check_choice(
      'weight_init', self.weight_init, ('mmaction1x', 'mmaction0x')
    )
    branches = len(temporal.MULTI_SCALE_BRANCHES)
    if self.tcn_type == 'mstcn' and self.base_channels < branches:
      raise errors.UserError(
        f"tcn_type='mstcn' splits the channels into {branches} branches; "
        f'base_channels={self.base_channels} is too narrow.'
      )
