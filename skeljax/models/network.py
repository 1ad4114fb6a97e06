"""What every skeleton graph network does around its blocks.

Input check, normalisation of the input (`data_bn`), the plan of widths and
strides, and the classification head.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from flax import linen as nn
import jax
import jax.numpy as jnp

from skeljax import errors
from skeljax import skeletons
from skeljax.models import layers

DATA_BN = ('VC', 'MVC', 'none')


class Stage(NamedTuple):
  """Width and stride of one block.

  Attributes:
    features: channels out.
    stride: over frames, in the temporal unit.
    is_first: the block that takes the input has no residual.
  """

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
  """The blocks in order, by the rule of mmaction2's STGCN.

  Args:
    in_channels: channels of the input; where they equal base_channels the
      first block is left out, as published.
    base_channels: width of stage 1.
    ch_ratio: factor on the width at every stage of inflate_stages.
    num_stages: number of stages, counted from 1.
    inflate_stages: stages that widen.
    down_stages: stages whose temporal unit has stride 2.

  Returns:
    One Stage per block.
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


def check_choice(name: str, value, allowed: tuple) -> None:
  """Raises UserError if an option has a value that does not exist."""
  if value not in allowed:
    raise errors.UserError(
      f'{name} is {value!r}; it must be one of '
      + ', '.join(repr(choice) for choice in allowed)
      + '.'
    )


def check_input(
  x: jax.Array, layout: skeletons.Layout, row_weights: jax.Array | None
) -> None:
  """Checks the shape of a model's input against its layout.

  Args:
    x: should be [B, M, T, V, C].
    layout: V must be its number of joints.
    row_weights: None or should be [B, M].

  Raises:
    UserError: naming the axes.
  """
  axes = '[B, M, T, V, C] (clip, person, frame, joint, channel)'
  if x.ndim != 5:
    raise errors.UserError(
      f'The model takes keypoints of shape {axes}, not of shape {x.shape}.'
    )
  if x.shape[3] != layout.num_joints:
    raise errors.UserError(
      f'The model was built for layout {layout.name!r} with '
      f'{layout.num_joints} joints, but the keypoints of shape {x.shape}, '
      f'{axes}, have V={x.shape[3]} joints. Give the layout that the data '
      'was prepared with.'
    )
  if row_weights is not None and row_weights.shape != x.shape[:2]:
    raise errors.UserError(
      f'row_weights has shape {row_weights.shape}; keypoints of shape '
      f'{x.shape}, {axes}, need row_weights of shape [B, M] = {x.shape[:2]}.'
    )


def normalize_input(
  x: jax.Array,
  kind: str,
  norm: Callable[..., nn.Module],
  train: bool,
  row_weights: jax.Array | None,
) -> jax.Array:
  """The published `data_bn`: BatchNorm of every joint and channel over time.

  To be called from a network's compact method; its parameters are `data_bn`.

  Args:
    x: [B, M, T, V, C].
    kind: 'VC' shares statistics between persons, 'MVC' has them per person
      (then M is fixed by the parameters), 'none' returns x.
    norm: builds the BatchNorm.
    train: True for batch statistics.
    row_weights: [B, M] or None; 0 for an absent person.

  Returns:
    [B, M, T, V, C].

  Source: mmaction2 STGCN and AAGCN (features in the order v*C + c, and
  (m*V + v)*C + c).
  """
  b, m, t, v, c = x.shape
  if kind == 'none':
    return x
  if kind == 'VC':
    weights = None if row_weights is None else row_weights.reshape(-1)
    x = x.reshape(b * m, t, v * c)
    x = norm(name='data_bn')(x, train, weights)
    return x.reshape(b, m, t, v, c)
  weights = row_weights
  if weights is not None:
    weights = jnp.repeat(weights, v * c, axis=1)[:, None]  # [B, 1, M*V*C]
  x = x.transpose(0, 2, 1, 3, 4).reshape(b, t, m * v * c)
  x = norm(name='data_bn')(x, train, weights)
  return x.reshape(b, t, m, v, c).transpose(0, 2, 1, 3, 4)  # [B, M, T, V, C]


def check_data_bn(
  variables: Mapping[str, Any], kind: str, shape: tuple[int, ...]
) -> None:
  """Checks that the parameters of `data_bn` fit the input.

  Args:
    variables: the network's, empty while it is initialised.
    kind: 'VC', 'MVC' or 'none'.
    shape: of the input, [B, M, T, V, C].

  Raises:
    UserError: if the parameters were made for other persons or channels.
  """
  data_bn = variables.get('params', {}).get('data_bn')
  if data_bn is None or kind == 'none':
    return
  _, m, _, v, c = shape
  axes, expected = ('M*V*C', m * v * c) if kind == 'MVC' else ('V*C', v * c)
  found = data_bn['scale'].size
  if found != expected:
    raise errors.UserError(
      f'The parameters of data_bn={kind!r} are for {axes} = {found} features, '
      f'but keypoints with M={m} persons, V={v} joints and C={c} channels have '
      f'{expected}. Give the number of persons and the channels that the '
      "model was trained with; data_bn='VC' takes any number of persons."
    )


class Head(nn.Module):
  """Mean over frames, joints and persons, dropout, linear classifier.

  Attributes:
    num_classes: logits per clip.
    num_persons: M; padded persons count in the mean, as published.
    dropout: rate.
    kernel_std: the kernel starts from N(0, kernel_std).
    bias_init: initializer of the bias.
  """

  num_classes: int
  num_persons: int
  dropout: float = 0.0
  kernel_std: float = 0.01
  bias_init: Callable[..., jax.Array] = nn.initializers.zeros

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """Maps [B*M, T, V, C] to float32 logits [B, num_classes]."""
    x = x.astype(layers.at_least_float32(x)).mean((1, 2))  # [B*M, C]
    x = x.reshape(-1, self.num_persons, x.shape[-1]).mean(1)  # [B, C]
    x = nn.Dropout(self.dropout, deterministic=not train, name='drop')(x)
    return nn.Dense(
      self.num_classes,
      kernel_init=nn.initializers.normal(self.kernel_std),
      bias_init=self.bias_init,
      name='fc',
    )(x)
