"""Layers that the models share.

Deviations from flax.linen, which published PyTorch numbers need:
- BatchNorm stores the unbiased variance, can compute its statistics per group
  of clips (the published clips per GPU), and can exclude rows from them.
- Convolutions use the initial distributions of PyTorch and mmaction2.
"""

from collections.abc import Callable, Iterable
import functools
import math

from flax import linen as nn
import jax
from jax import lax
import jax.numpy as jnp

from skeljax import errors
from skeljax.models import kernels

Initializer = Callable[..., jax.Array]

# torch.nn.BatchNorm's defaults; its momentum is the share of the new batch.
BATCH_NORM_EPSILON = 1e-5
BATCH_NORM_MOMENTUM = 0.1


def symmetric_uniform(bound: float) -> Initializer:
  """Return an initializer that samples from U(-bound, bound)."""

  def init(rng, shape, dtype=jnp.float32):
    return jax.random.uniform(rng, shape, dtype, -bound, bound)

  return init


def conv_init(
  weight_init: str, fan_in: int, fan_out: int
) -> tuple[Initializer, Initializer]:
  """Return the kernel and bias initializers of a convolution.

  Args:
    weight_init: 'torch' for PyTorch's default, U(-1/sqrt(fan_in),
      1/sqrt(fan_in)) for kernel and bias; 'kaiming' for N(0, sqrt(2 / fan_out))
      and a bias of 0.
    fan_in: input channels times kernel positions.
    fan_out: output channels times kernel positions.
  """
  if weight_init == 'torch':
    bound = 1 / math.sqrt(fan_in)
    return symmetric_uniform(bound), symmetric_uniform(bound)
  if weight_init == 'kaiming':
    return nn.initializers.normal(math.sqrt(2 / fan_out)), nn.initializers.zeros
  raise ValueError(f"conv_init is 'torch' or 'kaiming', not {weight_init!r}.")


def check_choice(name: str, value, choices: Iterable) -> None:
  """Raise UserError if a model option is not one of its choices."""
  if value not in choices:
    raise errors.UserError(
      f'{name} is {value!r}; it must be one of {", ".join(map(repr, choices))}.'
    )


def at_least_float32(x: jax.Array) -> jnp.dtype:
  """Return float32 for half precision; float64 stays, for exact comparisons."""
  return jnp.promote_types(x.dtype, jnp.float32)


def num_groups(batch: int, norm_group: int, train: bool) -> int:
  """Return the number of groups of clips with their own BatchNorm statistics.

  Args:
    batch: clips in the batch.
    norm_group: clips per group; 0 takes the whole batch as one group.
    train: False uses running statistics, where groups have no effect.

  Raises:
    UserError: if norm_group does not divide the batch.
  """
  if not train or not norm_group:
    return 1
  if norm_group < 0 or batch % norm_group:
    raise errors.UserError(
      f'norm_group={norm_group} (clips that share BatchNorm statistics) must '
      f'divide the batch of {batch} clips. norm_group=0 uses the whole batch.'
    )
  return batch // norm_group


class BatchNorm(nn.Module):
  """BatchNorm over all axes except the last, as torch.nn.BatchNorm computes it.

  Training normalizes x by the biased variance of its group and moves the
  running variance towards the unbiased one; evaluation uses the running
  statistics. Statistics are computed in the precision of the parameters, in two
  passes (E[x^2] - E[x]^2 loses all digits where the mean is large).

  Attributes:
    num_groups: consecutive groups of rows with their own statistics; the
      running statistics move towards the mean over the groups.
    scale_init: initializer of the scale; the initial bias is 0.
    dtype: of the output; None keeps the dtype of the input.
  """

  num_groups: int = 1
  scale_init: Initializer = nn.initializers.ones
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(
    self, x: jax.Array, train: bool, weights: jax.Array | None = None
  ) -> jax.Array:
    """Normalize x.

    Args:
      x: [rows, ..., C].
      train: True for batch statistics.
      weights: [rows], or of the rank of x and broadcastable to it; 0 excludes a
        row from the statistics. The row is still normalized.

    Returns:
      Same shape as x.
    """
    features = x.shape[-1:]
    scale = self.param('scale', self.scale_init, features, jnp.float32)
    bias = self.param('bias', nn.initializers.zeros, features, jnp.float32)
    running_mean = self.variable('batch_stats', 'mean', jnp.zeros, features)
    running_var = self.variable('batch_stats', 'var', jnp.ones, features)

    shape, dtype = x.shape, self.dtype or x.dtype
    # [G, rows / G, ..., C]; the statistics are [G, 1, ..., C]
    x = x.reshape(self.num_groups, -1, *shape[1:])
    x = x.astype(jnp.promote_types(x.dtype, scale.dtype))
    as_x = (1,) * (x.ndim - 1) + features
    if train:
      mean, var, count = self._moments(x, weights)
      if not self.is_initializing():
        _move(running_mean, mean, count)
        _move(running_var, var * (count / jnp.maximum(count - 1, 1)), count)
    else:
      mean = running_mean.value.reshape(as_x)
      var = running_var.value.reshape(as_x)
    inverse = lax.rsqrt(var + BATCH_NORM_EPSILON) * scale.reshape(as_x)
    y = (x - mean) * inverse + bias.reshape(as_x)
    return y.reshape(shape).astype(dtype)

  def _moments(self, x, weights):
    """Return mean, biased variance and number of values of each group."""
    axes = tuple(range(1, x.ndim - 1))
    # The gradient of the variance through the mean is zero up to rounding;
    # stop_gradient saves computing it.
    if weights is None:
      count = jnp.full((1,) * x.ndim, math.prod(x.shape[1:-1]), x.dtype)
      mean = x.mean(axes, keepdims=True)
      var = jnp.square(x - lax.stop_gradient(mean)).mean(axes, keepdims=True)
      return mean, var, count
    if weights.ndim == 1:
      weights = weights.reshape(-1, *(1,) * (x.ndim - 2))
    weights = weights.reshape(self.num_groups, -1, *weights.shape[1:])
    weights = weights.astype(x.dtype)
    repeats = math.prod(x.shape[a] // weights.shape[a] for a in axes)
    count = weights.sum(axes, keepdims=True) * repeats
    divisor = jnp.maximum(count, 1)
    mean = (x * weights).sum(axes, keepdims=True) / divisor
    square = jnp.square(x - lax.stop_gradient(mean)) * weights
    return mean, square.sum(axes, keepdims=True) / divisor, count


def _move(running, value: jax.Array, count: jax.Array) -> None:
  """Move a running statistic towards the mean over the non-empty groups.

  Args:
    running: flax variable, [C].
    value: [G, 1, ..., C], one statistic per group.
    count: number of values in each group, broadcastable to value. Where all
      groups are empty (a person absent from the whole batch) the running
      statistic stays.
  """
  present = jnp.broadcast_to(count > 0, value.shape).reshape(len(value), -1)
  groups = present.sum(0)
  mean = jnp.where(present, value.reshape(present.shape), 0).sum(0)
  mean = mean / jnp.maximum(groups, 1)
  old = running.value
  new = (1 - BATCH_NORM_MOMENTUM) * old + BATCH_NORM_MOMENTUM * mean
  running.value = jnp.where(groups > 0, new, old)


def batch_norm(
  batch: int, norm_group: int, train: bool, dtype: jnp.dtype | None
) -> Callable[..., BatchNorm]:
  """Return what creates the BatchNorms of a model for one batch size."""
  groups = num_groups(batch, norm_group, train)
  return functools.partial(BatchNorm, num_groups=groups, dtype=dtype)


def _conv_params(module, shape, weight_init):
  """Create `kernel` [positions..., C, D] and `bias` [D] of a module."""
  kernel_init, bias_init = conv_init(
    weight_init, math.prod(shape[:-1]), math.prod(shape[:-2]) * shape[-1]
  )
  kernel = module.param('kernel', kernel_init, shape, jnp.float32)
  bias = module.param('bias', bias_init, shape[-1:], jnp.float32)
  return kernel, bias


class ConvParams(nn.Module):
  """Kernel and bias of a convolution that the caller computes.

  Attributes:
    shape: of the kernel.
    weight_init: 'torch' or 'kaiming', see conv_init.
  """

  shape: tuple[int, ...]
  weight_init: str

  @nn.compact
  def __call__(self) -> tuple[jax.Array, jax.Array]:
    """Return kernel and bias, float32."""
    return _conv_params(self, self.shape, self.weight_init)


class Pointwise(nn.Module):
  """1x1 convolution: a dense layer over channels.

  Attributes:
    features: output channels.
    weight_init: 'torch' or 'kaiming', see conv_init.
    dtype: of the computation; parameters are float32.
  """

  features: int
  weight_init: str = 'torch'
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Map [N, T, V, C] to [N, T, V, features]."""
    shape = (x.shape[-1], self.features)
    kernel, bias = _conv_params(self, shape, self.weight_init)
    x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
    return kernels.pointwise(x, kernel) + bias.reshape(1, 1, 1, -1)


class TemporalConv(nn.Module):
  """Convolution over the frames of each joint.

  Attributes:
    features: output channels.
    kernel_size: frames; odd, zero-padded so that stride 1 keeps T.
    stride: over frames; T becomes (T - 1) // stride + 1.
    dilation: frames between two taps.
    weight_init: 'torch' or 'kaiming', see conv_init.
    dtype: of the computation; parameters are float32.
  """

  features: int
  kernel_size: int
  stride: int = 1
  dilation: int = 1
  weight_init: str = 'kaiming'
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Map [N, T, V, C] to [N, T', V, features]."""
    shape = (self.kernel_size, 1, x.shape[-1], self.features)
    kernel, bias = _conv_params(self, shape, self.weight_init)
    x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
    y = kernels.temporal_conv(x, kernel, self.stride, self.dilation)
    return y + bias.reshape(1, 1, 1, -1)


class Head(nn.Module):
  """Mean over space, time and persons, dropout, linear classifier.

  Attributes:
    num_classes: logits per clip.
    num_persons: M; padded persons count in the mean, as published.
    dropout: rate.
    kernel_std: the initial kernel is from N(0, kernel_std).
    torch_bias: the initial bias is PyTorch's, U(-1/sqrt(C), 1/sqrt(C)),
      otherwise 0.
  """

  num_classes: int
  num_persons: int = 1
  dropout: float = 0.0
  kernel_std: float = 0.01
  torch_bias: bool = False

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """Map [B*M, ..., C] to float32 logits [B, num_classes]."""
    x = x.astype(at_least_float32(x))
    x = x.mean(tuple(range(1, x.ndim - 1)))  # [B*M, C]
    x = x.reshape(-1, self.num_persons, x.shape[-1]).mean(1)  # [B, C]
    x = nn.Dropout(self.dropout, deterministic=not train, name='drop')(x)
    bias_init = nn.initializers.zeros
    if self.torch_bias:
      bias_init = symmetric_uniform(1 / math.sqrt(x.shape[-1]))
    return nn.Dense(
      self.num_classes,
      kernel_init=nn.initializers.normal(self.kernel_std),
      bias_init=bias_init,
      name='fc',
    )(x)
