"""2s-AGCN in its three published forms, and AAGCN.

Papers: Shi et al., Two-Stream Adaptive Graph Convolutional Networks for
Skeleton-Based Action Recognition, CVPR 2019; Shi et al., Skeleton-Based Action
Recognition with Multi-Stream Adaptive Graph Convolutional Networks, TIP 2020
(AAGCN). Reference code consulted: 2s-AGCN of the authors, mmaction2 0.x and
1.2.0.

| variant            | adjacency of subset k        | data_bn | init           |
|--------------------|------------------------------|---------|----------------|
| 'softmax_0x'       | A + PA + softmax(S)          | VC      | PyTorch's      |
| 'softmax_original' | A + PA + softmax(S)          | MVC     | of the authors |
| 'tanh'             | A (learned) + alpha tanh(S)  | MVC     | mmaction2 1.x  |

S = a^T b / (channels * frames), with a and b embeddings of the joints.
'tanh' is what mmaction2 1.x calls 2s-AGCN; with attention=True it is AAGCN.
"""

from collections.abc import Callable
import functools
import math
from typing import ClassVar, NamedTuple

from flax import linen as nn
import jax
import jax.numpy as jnp

from skeljax import errors
from skeljax.models import attention
from skeljax.models import contractions
from skeljax.models import layers
from skeljax.models import network
from skeljax.models import temporal
from skeljax.skeletons import graph as graph_lib

# The embeddings a and b have a quarter of the unit's channels.
EMBEDDING_RATIO = 4


class Variant(NamedTuple):
  """What distinguishes the published forms.

  Attributes:
    is_softmax: adjacency A + PA + softmax(S), otherwise A + alpha tanh(S).
    data_bn: normalisation of the input.
    weight_init: of all convolutions, see layers.conv_init.
    branch_init: conv_d starts smaller by the number of subsets, and the
      BatchNorm after it at 1e-6, so that a fresh unit is its residual.
    is_author_head: classifier from N(0, sqrt(2 / classes)) and PyTorch's bias,
      otherwise N(0, 0.01) and 0.
  """

  is_softmax: bool
  data_bn: str
  weight_init: str
  branch_init: bool
  is_author_head: bool


VARIANTS = {
  'softmax_0x': Variant(True, 'VC', 'torch', False, False),
  'softmax_original': Variant(True, 'MVC', 'kaiming', True, True),
  'tanh': Variant(False, 'MVC', 'kaiming', True, False),
}


class AdaptiveGraphUnit(nn.Module):
  """Graph convolution whose adjacency depends on the clip.

  z_w = sum_k (sum_v x_v A'_k[v, w]) W_k + b_k;  ReLU(BatchNorm(z) + down(x)).

  Attributes:
    features: channels out.
    norm: builds the BatchNorm.
    variant: see the module docstring.
    adaptive: False for A' = A ('tanh' only).
    attention: adds AAGCN's attention at the end.
    dtype: of the computation.

  Source: `unit_gcn` of 2s-AGCN, `unit_aagcn` of mmaction2.
  """

  features: int
  norm: Callable[..., nn.Module]
  variant: Variant
  adaptive: bool = True
  attention: bool = False
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
    residual = x
    if x.shape[-1] != self.features:
      residual = layers.Pointwise(
        self.features, self.variant.weight_init, self.dtype, name='down'
      )(x)
      residual = self.norm(name='down_bn')(residual, train, weights)

    num_subsets = adjacency.shape[0]
    kernel, bias = self._subset_conv('conv_d', num_subsets, x, self.features)
    x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
    a_nkvw = self._adapt(x, adjacency) if self.adaptive else adjacency[None]
    z = contractions.gather_neighbors(
      x, a_nkvw.astype(x.dtype)
    )  # [N, T, V, K*C]
    z = contractions.matmul(z, kernel.reshape(-1, self.features))
    z = z + bias.sum(0).reshape(1, 1, 1, -1)

    # A scale of 1e-6 makes the unit start as its residual.
    scale = 1e-6 if self.variant.branch_init else 1.0
    norm = self.norm(name='bn', scale_init=nn.initializers.constant(scale))
    y = nn.relu(norm(z, train, weights) + residual)
    if not self.attention:
      return y
    return attention.Attention(self.dtype, name='attention')(y)

  def _subset_conv(self, name, num_subsets, x, features):
    """Kernel [K, C, features] and bias [K, features] of K 1x1 convolutions."""
    channels = x.shape[-1]
    kernel_init, bias_init = layers.conv_init(
      self.variant.weight_init, channels, features
    )
    if name == 'conv_d' and self.variant.branch_init:
      std = math.sqrt(2 / (features * channels * num_subsets))
      kernel_init = nn.initializers.normal(std)
    return (
      self.param(
        f'{name}_kernel', kernel_init, (num_subsets, channels, features)
      ),
      self.param(f'{name}_bias', bias_init, (num_subsets, features)),
    )

  def _adapt(self, x, adjacency):
    """A' of the module docstring, [N, K, V, V] float32."""
    num_subsets, t = adjacency.shape[0], x.shape[1]
    inter = self.features // EMBEDDING_RATIO
    embedded = []
    for name in ('conv_a', 'conv_b'):
      kernel, bias = self._subset_conv(name, num_subsets, x, inter)
      kernel, bias = kernel.astype(x.dtype), bias.astype(x.dtype)
      kernel = kernel.swapaxes(0, 1).reshape(x.shape[-1], -1)
      y = contractions.matmul(x, kernel) + bias.reshape(1, 1, 1, -1)
      embedded.append(y.reshape(*x.shape[:3], num_subsets, inter))
    s = jnp.einsum(
      'ntvkd,ntwkd->nkvw',
      *embedded,
      preferred_element_type=layers.at_least_float32(x),
    )
    s = s / (inter * t)
    if self.variant.is_softmax:
      init = nn.initializers.constant(1e-6)
      offset = self.param('offset', init, adjacency.shape)
      # Over v: the weights that joint w gathers with sum to 1.
      return nn.softmax(s, axis=2) + (adjacency + offset)[None]
    learned = self.param('adjacency', lambda _: adjacency)
    alpha = self.param('alpha', nn.initializers.zeros, (1,))
    return learned[None] + alpha.reshape(1, 1, 1, 1) * jnp.tanh(s)


class Block(nn.Module):
  """ReLU(temporal unit(graph unit(x)) + residual(x)).

  Attributes:
    features: channels out.
    stride: of the temporal unit.
    is_first: has no residual.
    norm: builds the BatchNorm.
    variant, adaptive, attention: of the graph unit.
    tcn_dropout: rate at the end of the temporal unit.
    dtype: of the computation.
  """

  features: int
  stride: int
  is_first: bool
  norm: Callable[..., nn.Module]
  variant: Variant
  adaptive: bool
  attention: bool
  tcn_dropout: float
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
    tcn = functools.partial(
      temporal.TemporalUnit,
      self.features,
      self.norm,
      stride=self.stride,
      weight_init=self.variant.weight_init,
      dtype=self.dtype,
    )
    if self.is_first:
      residual = 0
    elif x.shape[-1] == self.features and self.stride == 1:
      residual = x
    else:
      residual = tcn(kernel_size=1, name='residual')(x, train, weights)
    x = AdaptiveGraphUnit(
      self.features,
      self.norm,
      self.variant,
      self.adaptive,
      self.attention,
      self.dtype,
      name='gcn',
    )(x, adjacency, train, weights)
    x = tcn(dropout=self.tcn_dropout, name='tcn')(x, train, weights)
    return nn.relu(x + residual)


class AGCN(nn.Module):
  """Adaptive graph convolutional network with a linear head.

  Attributes:
    graph: layout and adjacency; published with mode 'spatial'.
    num_classes: logits per clip.
    base_channels: width of the first block.
    ch_ratio: factor on the width at each of inflate_stages.
    num_stages: blocks.
    inflate_stages: stages, counted from 1, that widen.
    down_stages: stages whose temporal unit has stride 2.
    variant: 'softmax_0x', 'softmax_original' or 'tanh'.
    attention: AAGCN's attention modules ('tanh' only).
    adaptive: False fixes the adjacency to the graph ('tanh' only).
    data_bn: normalisation of the input; '' for the variant's own.
    tcn_dropout: rate in the temporal units (not in the first block).
    dropout: rate before the classifier.
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
  variant: str = 'softmax_0x'
  attention: bool = False
  adaptive: bool = True
  data_bn: str = ''
  tcn_dropout: float = 0.0
  dropout: float = 0.0
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
    variant = VARIANTS[self.variant]
    b, m, t, v, c = x.shape
    norm = functools.partial(
      layers.BatchNorm,
      num_groups=layers.num_groups(b, self.norm_group, train),
      dtype=self.dtype,
    )
    adjacency = jnp.asarray(self.graph.adjacency())
    if variant.is_softmax or not self.adaptive:
      adjacency = self.variable('graph', 'adjacency', lambda: adjacency).value

    data_bn = self.data_bn or variant.data_bn
    network.check_data_bn(self.variables, data_bn, x.shape)
    x = network.normalize_input(x, data_bn, norm, train, row_weights)
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
        variant=variant,
        adaptive=self.adaptive,
        attention=self.attention,
        tcn_dropout=0.0 if i == 0 else self.tcn_dropout,
        dtype=self.dtype,
        name=f'block_{i}',
      )(x, adjacency, train, weights)
    head = network.Head(
      self.num_classes, m, self.dropout, **self._head_init(x), name='head'
    )
    return head(x, train)

  def _head_init(self, x):
    if not VARIANTS[self.variant].is_author_head:
      return {}
    return {
      'kernel_std': math.sqrt(2 / self.num_classes),
      'bias_init': layers.symmetric_uniform(1 / math.sqrt(x.shape[-1])),
    }

  def _check_options(self):
    network.check_choice('variant', self.variant, tuple(VARIANTS))
    network.check_choice('data_bn', self.data_bn, ('', *network.DATA_BN))
    if self.variant != 'tanh' and (self.attention or not self.adaptive):
      raise errors.UserError(
        f'attention={self.attention} and adaptive={self.adaptive} with '
        f"variant={self.variant!r}: only variant='tanh' was published with "
        'attention=True or adaptive=False.'
      )
    if self.base_channels < EMBEDDING_RATIO:
      raise errors.UserError(
        f'base_channels={self.base_channels} is too narrow for AGCN, whose '
        f'embeddings have 1/{EMBEDDING_RATIO} of the channels.'
      )
