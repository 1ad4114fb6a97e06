"""2s-AGCN in its three published variants, and AAGCN.

Papers: Shi et al., Two-Stream Adaptive Graph Convolutional Networks for
Skeleton-Based Action Recognition, CVPR 2019; Shi et al., Skeleton-Based Action
Recognition with Multi-Stream Adaptive Graph Convolutional Networks, TIP 2020
(AAGCN). Reference code consulted: 2s-AGCN of the authors, mmaction2 0.x and
1.2.0.

Subset k convolves with A'_k = A_k + B_k + C_k: the skeleton A_k, a learned B_k,
and C_k computed from the clip by the similarity of the joints' embeddings,
S_k[v, w] = a_k[v] . b_k[w] / (channels * frames).

| variant            | A'_k                                  | data_bn | init      |
|--------------------|---------------------------------------|---------|-----------|
| 'softmax_0x'       | A_k + B_k + softmax_v(S_k)            | VC      | PyTorch's |
| 'softmax_original' | A_k + B_k + softmax_v(S_k)            | MVC     | authors'  |
| 'tanh'             | B_k, at first A_k, + alpha tanh(S_k)  | MVC     | 1.x       |

'tanh' is what mmaction2 1.x calls 2s-AGCN; with attention=True it is AAGCN.
"""

from collections.abc import Callable
import functools
import math
from typing import Any, NamedTuple

from flax import linen as nn
import jax
import jax.numpy as jnp

from skeljax import errors
from skeljax.models import graph_network
from skeljax.models import kernels
from skeljax.models import layers

# The embeddings a and b have a quarter of the unit's channels.
EMBEDDING_RATIO = 4


class Variant(NamedTuple):
  """How the published variants differ.

  Attributes:
    is_softmax: adjacency A + B + softmax(S), otherwise B + alpha tanh(S).
    data_bn: BatchNorm of the input, see GraphNetwork.
    weight_init: of all convolutions, see layers.conv_init.
    branch_init: the initial conv_d is smaller by the number of subsets and the
      scale of the BatchNorm after it 1e-6, so that a newly initialised unit is
      its residual.
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

  z_w = sum_k (sum_v A'_k[v, w] x_v W_k + b_k);  ReLU(BatchNorm(z) + down(x)).

  Attributes:
    features: output channels.
    norm: creates the BatchNorm.
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
    """Map [N, T, V, C] to [N, T, V, features]; adjacency is [K, V, V]."""
    residual = x
    if x.shape[-1] != self.features:
      residual = layers.Pointwise(
        self.features, self.variant.weight_init, self.dtype, name='down'
      )(x)
      residual = self.norm(name='down_bn')(residual, train, weights)

    kernel, bias = self._subset_conv('conv_d', adjacency, x, self.features)
    x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
    if self.adaptive:
      adjacency = self._adapt(x, adjacency)
    z = kernels.graph_conv(x, adjacency.astype(x.dtype), kernel)
    z = z + bias.sum(0).reshape(1, 1, 1, -1)

    scale = 1e-6 if self.variant.branch_init else 1.0
    norm = self.norm(name='bn', scale_init=nn.initializers.constant(scale))
    y = nn.relu(norm(z, train, weights) + residual)
    return Attention(self.dtype, name='attention')(y) if self.attention else y

  def _adapt(self, x, a_kvw):
    """Return A' of the module docstring, [N, K, V, V] float32."""
    channels = self.features // EMBEDDING_RATIO
    embeddings = []
    for name in ('conv_a', 'conv_b'):
      kernel, bias = self._subset_conv(name, a_kvw, x, channels)
      kernel = kernel.astype(x.dtype).swapaxes(0, 1)  # [C, K, E]
      bias = bias.astype(x.dtype)[None, None, None]
      embeddings.append(kernels.pointwise(x, kernel) + bias)  # [N, T, V, K, E]
    s = jnp.einsum(
      'ntvke,ntwke->nkvw',
      *embeddings,
      preferred_element_type=layers.at_least_float32(x),
    )
    s = s / (channels * x.shape[1])
    if self.variant.is_softmax:
      init = nn.initializers.constant(1e-6)
      b_kvw = self.param('offset', init, a_kvw.shape)
      # Over v: the weights in the output of joint w sum to 1.
      return (a_kvw + b_kvw)[None] + nn.softmax(s, axis=2)
    b_kvw = self.param('adjacency', lambda _: a_kvw)
    alpha = self.param('alpha', nn.initializers.zeros, (1,))
    return b_kvw[None] + alpha.reshape(1, 1, 1, 1) * jnp.tanh(s)

  def _subset_conv(self, name, a_kvw, x, features):
    """Kernel [K, C, features] and bias [K, features] of K 1x1 convolutions."""
    num_subsets, channels = len(a_kvw), x.shape[-1]
    kernel_init, bias_init = layers.conv_init(
      self.variant.weight_init, channels, features
    )
    if name == 'conv_d' and self.variant.branch_init:
      std = math.sqrt(2 / (features * channels * num_subsets))
      kernel_init = nn.initializers.normal(std)
    shape = (num_subsets, channels, features)
    return (
      self.param(f'{name}_kernel', kernel_init, shape),
      self.param(f'{name}_bias', bias_init, (num_subsets, features)),
    )


class Attention(nn.Module):
  """Spatial, temporal and channel attention of AAGCN, in that order.

  Each multiplies its input y by 1 + sigmoid(s), with s from the means of y.

  Attributes:
    dtype: of the computation.

  Source: `unit_aagcn` of mmaction2.
  """

  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, y: jax.Array) -> jax.Array:
    """Map [N, T, V, C] to the same shape."""
    _, _, v, c = y.shape
    # An odd kernel over the joints: V, or V - 1 where V is even.
    size = v if v % 2 else v - 1
    xavier = nn.initializers.normal(math.sqrt(2 / ((c + 1) * size)))
    zeros = nn.initializers.zeros
    conv = functools.partial(nn.Conv, 1, dtype=self.dtype)
    pad = (size - 1) // 2
    spatial = conv(
      (size,), padding=((pad, pad),), kernel_init=xavier, name='conv_sa'
    )
    y = y * (1 + nn.sigmoid(spatial(y.mean(1))[:, None]))  # [N, 1, V, 1]
    temporal = conv((9,), padding=((4, 4),), kernel_init=zeros, name='conv_ta')
    y = y * (1 + nn.sigmoid(temporal(y.mean(2))[:, :, None]))  # [N, T, 1, 1]
    dense = functools.partial(nn.Dense, dtype=self.dtype)
    kaiming = nn.initializers.normal(math.sqrt(2 / c))
    s = dense(c // 2, kernel_init=kaiming, name='fc1c')(y.mean((1, 2)))
    s = dense(c, kernel_init=zeros, name='fc2c')(nn.relu(s))
    return y * (1 + nn.sigmoid(s[:, None, None]))  # [N, 1, 1, C]


class AGCN(graph_network.GraphNetwork):
  """Adaptive graph convolutional network; published with mode 'spatial'.

  Attributes: those of GraphNetwork, and
    data_bn: '' for the variant's own.
    variant: 'softmax_0x', 'softmax_original' or 'tanh'.
    attention: AAGCN's attention modules ('tanh' only).
    adaptive: False fixes the adjacency to the graph ('tanh' only).
  """

  data_bn: str = ''
  variant: str = 'softmax_0x'
  attention: bool = False
  adaptive: bool = True

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    train: bool = False,
    row_weights: jax.Array | None = None,
  ) -> jax.Array:
    """Map keypoints [B, M, T, V, C] to logits; see GraphNetwork.run."""
    self._check_options()
    variant = VARIANTS[self.variant]
    shared: dict[str, Any] = dict(norm=self.norm(x, train), dtype=self.dtype)
    temporal_unit = functools.partial(
      graph_network.TemporalUnit, weight_init=variant.weight_init, **shared
    )
    head: dict[str, Any] = {}
    if variant.is_author_head:
      head = dict(kernel_std=math.sqrt(2 / self.num_classes), torch_bias=True)
    return self.run(
      x,
      train,
      row_weights,
      graph_unit=functools.partial(
        AdaptiveGraphUnit,
        variant=variant,
        adaptive=self.adaptive,
        attention=self.attention,
        **shared,
      ),
      temporal_unit=functools.partial(temporal_unit, dropout=self.tcn_dropout),
      residual_unit=temporal_unit,
      data_bn=self.data_bn or variant.data_bn,
      learns_graph=self.adaptive and not variant.is_softmax,
      **head,
    )

  def _check_options(self):
    layers.check_choice('variant', self.variant, VARIANTS)
    layers.check_choice('data_bn', self.data_bn, ('', *graph_network.DATA_BN))
    if self.variant != 'tanh' and (self.attention or not self.adaptive):
      raise errors.UserError(
        f'attention={self.attention} and adaptive={self.adaptive} with '
        f'variant={self.variant!r}: attention=True and adaptive=False were '
        "published with variant='tanh' only."
      )
    if self.base_channels < EMBEDDING_RATIO:
      raise errors.UserError(
        f'base_channels={self.base_channels} is too narrow for AGCN, whose '
        f'embeddings have 1/{EMBEDDING_RATIO} of the channels.'
      )
