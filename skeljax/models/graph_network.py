"""The trunk that ST-GCN and AGCN share, as mmaction2 builds it.

BatchNorm of the input, ten blocks of a graph and a temporal unit, and a linear
classifier. A model adds its graph unit (and ST-GCN++ its temporal unit).
"""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

from flax import linen as nn
import jax
import jax.numpy as jnp

from skeljax import errors
from skeljax.models import layers
from skeljax.skeletons import graph as graph_lib

DATA_BN = ('VC', 'MVC', 'none')
_AXES = '[B, M, T, V, C] (clip, person, frame, joint, channel)'


class TemporalUnit(nn.Module):
  """Convolution over frames, BatchNorm, dropout; no activation.

  Attributes:
    features: output channels.
    norm: creates the BatchNorm.
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
    """Map [N, T, V, C] to [N, T', V, features]; weights [N] is for norm."""
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


class Block(nn.Module):
  """ReLU(temporal unit(graph unit(x)) + residual(x)).

  Attributes:
    features: output channels.
    stride: of the temporal unit.
    is_first: the first block has no residual.
    graph_unit: creates the graph unit.
    temporal_unit: creates the temporal unit.
    residual_unit: creates the TemporalUnit of a residual that changes shape.
  """

  features: int
  stride: int
  is_first: bool
  graph_unit: Callable[..., nn.Module]
  temporal_unit: Callable[..., nn.Module]
  residual_unit: Callable[..., nn.Module]

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    adjacency: jax.Array,
    train: bool,
    weights: jax.Array | None = None,
  ) -> jax.Array:
    """Map [N, T, V, C] to [N, T', V, features]; adjacency is [K, V, V]."""
    if self.is_first:
      residual = jnp.zeros((), x.dtype)
    elif x.shape[-1] == self.features and self.stride == 1:
      residual = x
    else:
      residual = self.residual_unit(
        self.features, kernel_size=1, stride=self.stride, name='residual'
      )(x, train, weights)
    gcn = self.graph_unit(self.features, name='gcn')
    x = gcn(x, adjacency, train, weights)
    dropout = {'dropout': 0.0} if self.is_first else {}
    tcn = self.temporal_unit(
      self.features, stride=self.stride, name='tcn', **dropout
    )
    return nn.relu(tcn(x, train, weights) + residual)


class Stage(NamedTuple):
  """Width and stride of one block; see Block."""

  features: int
  stride: int
  is_first: bool


def plan_stages(
  in_channels: int,
  *,
  base_channels: int,
  ch_ratio: int | float,
  num_stages: int,
  inflate_stages: tuple[int, ...],
  down_stages: tuple[int, ...],
) -> list[Stage]:
  """Return one Stage per block, by the rule of mmaction2.

  Args:
    in_channels: channels of the input; where they equal base_channels the
      first block is omitted, as published.
    base_channels, ch_ratio, num_stages, inflate_stages, down_stages: see
      GraphNetwork.
  """
  stages = []
  if in_channels != base_channels:
    stages.append(Stage(base_channels, 1, True))
  inflated = 0
  for stage in range(2, num_stages + 1):
    inflated += stage in inflate_stages
    # 1e-4 as published: a ratio of 1.41 must not lose a channel to rounding.
    features = int(base_channels * ch_ratio**inflated + 1e-4)
    stages.append(Stage(features, 1 + (stage in down_stages), False))
  return stages


class GraphNetwork(nn.Module):
  """Base class of the models that convolve over the graph of a skeleton.

  A model defines `__call__`, which passes its units to `run`.

  Attributes:
    graph: layout and adjacency; V is its number of joints.
    num_classes: logits per clip.
    base_channels: width of the first block.
    ch_ratio: factor on the width at each of inflate_stages.
    num_stages: number of blocks.
    inflate_stages: stages, counted from 1, that multiply the width.
    down_stages: stages whose temporal unit has stride 2.
    data_bn: BatchNorm of the input over time: 'VC' per joint and channel, 'MVC'
      per person too (then M is fixed by the parameters), or 'none'.
    tcn_dropout: rate in the temporal units (not in the first block).
    dropout: rate before the classifier.
    norm_group: clips that share BatchNorm statistics; 0 for the whole batch.
    dtype: of the computation; parameters, statistics, logits are float32.
    remat: recompute each block in the backward pass to save memory.
  """

  graph: graph_lib.Graph
  num_classes: int
  base_channels: int = 64
  ch_ratio: int | float = 2
  num_stages: int = 10
  inflate_stages: tuple[int, ...] = (5, 8)
  down_stages: tuple[int, ...] = (5, 8)
  data_bn: str = 'VC'
  tcn_dropout: float = 0.0
  dropout: float = 0.0
  norm_group: int = 0
  dtype: jnp.dtype | None = None
  remat: bool = False

  input_kind: ClassVar[str] = 'joints'

  def norm(self, x: jax.Array, train: bool) -> Callable[..., nn.Module]:
    """Return what creates the BatchNorms for a batch x."""
    return layers.batch_norm(len(x), self.norm_group, train, self.dtype)

  def run(
    self,
    x: jax.Array,
    train: bool,
    row_weights: jax.Array | None,
    *,
    graph_unit: Callable[..., nn.Module],
    temporal_unit: Callable[..., nn.Module],
    residual_unit: Callable[..., nn.Module],
    data_bn: str,
    learns_graph: bool,
    **head: Any,
  ) -> jax.Array:
    """Return the logits of a batch; to be called from the compact `__call__`.

    Args:
      x: [B, M, T, V, C] keypoints.
      train: True for batch statistics and dropout.
      row_weights: [B, M]; 0 excludes an absent person from the BatchNorm
        statistics. The person still counts in the mean over persons, as
        published.
      graph_unit, temporal_unit, residual_unit: see Block.
      data_bn: see the attribute.
      learns_graph: True if the units learn the adjacency themselves, False to
        keep it in the collection 'graph'.
      **head: initial distributions of layers.Head.

    Returns:
      [B, num_classes] float32.

    Raises:
      UserError: the shape of x or of row_weights does not fit.
    """
    self._check_input(x, row_weights, data_bn)
    b, m, t, v, c = x.shape
    adjacency = jnp.asarray(self.graph.adjacency())
    if not learns_graph:
      adjacency = self.variable('graph', 'adjacency', lambda: adjacency).value

    x = self._normalize_input(x, data_bn, train, row_weights)
    x = x.reshape(b * m, t, v, c)  # [B*M, T, V, C]
    weights = None if row_weights is None else row_weights.reshape(b * m)
    # Argument 3 is `train`, counting self.
    block = nn.remat(Block, static_argnums=(3,)) if self.remat else Block
    stages = plan_stages(
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
        graph_unit=graph_unit,
        temporal_unit=temporal_unit,
        residual_unit=residual_unit,
        name=f'block_{i}',
      )(x, adjacency, train, weights)
    classify = layers.Head(
      self.num_classes, m, self.dropout, name='head', **head
    )
    return classify(x, train)

  def _normalize_input(self, x, data_bn, train, row_weights):
    """Apply the published `data_bn`, [B, M, T, V, C] to the same shape.

    Source: mmaction2 STGCN and AAGCN (features in the order v*C + c, and
    (m*V + v)*C + c).
    """
    if data_bn == 'none':
      return x
    b, m, t, v, c = x.shape
    norm = self.norm(x, train)(name='data_bn')
    if data_bn == 'VC':
      weights = None if row_weights is None else row_weights.reshape(-1)
      y = norm(x.reshape(b * m, t, v * c), train, weights)
      return y.reshape(x.shape)
    weights = row_weights
    if weights is not None:
      weights = jnp.repeat(weights, v * c, axis=1)[:, None]  # [B, 1, M*V*C]
    y = x.transpose(0, 2, 1, 3, 4).reshape(b, t, m * v * c)
    y = norm(y, train, weights)
    return y.reshape(b, t, m, v, c).transpose(0, 2, 1, 3, 4)  # [B, M, T, V, C]

  def _check_input(self, x, row_weights, data_bn):
    layout = self.graph.layout
    if x.ndim != 5:
      raise errors.UserError(
        f'The model takes keypoints {_AXES}, not shape {x.shape}.'
      )
    _, m, _, v, c = x.shape
    if v != layout.num_joints:
      raise errors.UserError(
        f'The model is for layout {layout.name!r} with {layout.num_joints} '
        f'joints, but the keypoints {_AXES} have shape {x.shape}, V={v}. Use '
        'the layout that the data was prepared with.'
      )
    if row_weights is not None and row_weights.shape != x.shape[:2]:
      raise errors.UserError(
        f'row_weights has shape {row_weights.shape}; keypoints {_AXES} of '
        f'shape {x.shape} need [B, M] = {x.shape[:2]}.'
      )
    params = self.variables.get('params', {}).get('data_bn')
    if params is None or data_bn == 'none':
      return
    axes, size = ('M*V*C', m * v * c) if data_bn == 'MVC' else ('V*C', v * c)
    expected = params['scale'].size
    if size != expected:
      raise errors.UserError(
        f'The parameters of data_bn={data_bn!r} are for {axes} = {expected} '
        f'features, but keypoints with M={m} persons, V={v} joints and C={c} '
        f'channels have {size}. Use the persons and channels that the model '
        "was trained with; data_bn='VC' accepts any number of persons."
      )
