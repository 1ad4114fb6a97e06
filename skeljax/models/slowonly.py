"""SlowOnly, the 3D ResNet of PoseC3D.

Papers: Duan et al., Revisiting Skeleton-based Action Recognition, CVPR 2022
(PoseC3D); Feichtenhofer et al., SlowFast Networks for Video Recognition, ICCV
2019. Reference code consulted: mmaction2 1.2.0 (ResNet3dSlowOnly with I3DHead)
and pyskl.

Differences from the reference code: none in the function. What PoseC3D does not
use is left out: depths without a bottleneck, the 'caffe' style, non-local
blocks, lateral connections, frozen stages.
"""

from collections.abc import Callable
import functools
import math
from typing import ClassVar

from flax import linen as nn
import jax
import jax.numpy as jnp

from skeljax import errors
from skeljax.models import convolutions
from skeljax.models import layers
from skeljax.models import network

INFLATE_STYLES = ('3x1x1', '3x3x3')
# Channels out of a bottleneck over those inside of it.
EXPANSION = 4


class Conv(nn.Module):
  """Convolution without bias over frames, rows and columns.

  Attributes:
    features: channels out.
    kernel_size: frames, rows, columns; odd, padded with zeros on both sides.
    strides: over frames, rows, columns.
    dilation: pixels between two taps in space.
    dtype: of the computation; the kernel is float32.
  """

  features: int
  kernel_size: tuple[int, int, int] = (1, 1, 1)
  strides: tuple[int, int, int] = (1, 1, 1)
  dilation: int = 1
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps [B, T, H, W, C] to [B, T', H', W', features]."""
    shape = (*self.kernel_size, x.shape[-1], self.features)
    positions = math.prod(self.kernel_size)
    kernel_init, _ = layers.conv_init(
      'kaiming', positions * x.shape[-1], positions * self.features
    )
    kernel = self.param('kernel', kernel_init, shape, jnp.float32)
    x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=self.dtype)
    return convolutions.conv(x, kernel, self.strides, self.dilation)


class Stem(nn.Module):
  """Convolution, BatchNorm and ReLU on the heatmaps themselves.

  Attributes:
    features: channels out.
    kernel_size: frames, rows, columns.
    strides: over frames, rows, columns.
    norm: builds the BatchNorm.
    dtype: of the computation.
  """

  features: int
  kernel_size: tuple[int, int, int]
  strides: tuple[int, int, int]
  norm: Callable[..., nn.Module]
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """Maps [B, T, H, W, C] to [B, T', H', W', features]."""
    x = Conv(
      self.features,
      self.kernel_size,
      self.strides,
      dtype=self.dtype,
      name='conv',
    )(x)
    return nn.relu(self.norm(name='bn')(x, train))


class Bottleneck(nn.Module):
  """ReLU(three convolutions of x + shortcut of x), each with BatchNorm.

  Attributes:
    features: channels inside; 4 times as many come out.
    strides: over frames, rows and columns, of the second convolution.
    dilation: of the second convolution, in space.
    inflate: whether it looks at neighbouring frames.
    inflate_style: in which convolution: '3x1x1' the first, '3x3x3' the second.
    is_first: in its stage; the shortcut is then a convolution.
    zero_init_residual: whether it starts as its shortcut.
    norm: builds a BatchNorm.
    dtype: of the computation.

  Source: `Bottleneck3d` of mmaction2, style 'pytorch'.
  """

  features: int
  strides: tuple[int, int, int]
  dilation: int
  inflate: bool
  inflate_style: str
  is_first: bool
  zero_init_residual: bool
  norm: Callable[..., nn.Module]
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """Maps [B, T, H, W, C] to [B, T', H', W', 4 * features]."""
    conv = functools.partial(Conv, dtype=self.dtype)
    out = EXPANSION * self.features
    frames = 3 if self.inflate else 1
    is_in_first = self.inflate_style == '3x1x1'
    kernel1 = (frames if is_in_first else 1, 1, 1)
    kernel2 = (1 if is_in_first else frames, 3, 3)

    shortcut = x
    if self.is_first:
      shortcut = conv(out, strides=self.strides, name='downsample')(x)
      shortcut = self.norm(name='downsample_bn')(shortcut, train)

    x = conv(self.features, kernel1, name='conv1')(x)
    x = nn.relu(self.norm(name='bn1')(x, train))
    x = conv(self.features, kernel2, self.strides, self.dilation, name='conv2')(
      x
    )
    x = nn.relu(self.norm(name='bn2')(x, train))
    x = conv(out, name='conv3')(x)
    if self.zero_init_residual:
      last_norm = self.norm(scale_init=nn.initializers.zeros, name='bn3')
    else:
      last_norm = self.norm(name='bn3')
    return nn.relu(last_norm(x, train) + shortcut)


class SlowOnly(nn.Module):
  """Stem, stages of bottlenecks, and a linear head over the mean.

  The published PoseC3D is the defaults with stage_blocks (4, 6, 3); those that
  start from Kinetics-400 have (3, 4, 6).

  Attributes:
    num_classes: logits per clip.
    base_channels: width of the stem and inside the first stage, doubled from
      stage to stage.
    stage_blocks: bottlenecks of each stage.
    inflate: for each stage, 1 where it looks at neighbouring frames.
    inflate_style: '3x1x1' or '3x3x3', see Bottleneck.
    spatial_strides, temporal_strides: of the first block of each stage.
    dilations: of each stage, in space.
    conv1_kernel: frames, rows and columns of the stem.
    conv1_stride: of the stem, over frames and over pixels.
    pool1_stride: of the 3x3 max-pooling after the stem, likewise.
    with_pool1: whether there is that max-pooling.
    with_pool2: whether frames are max-pooled in pairs after the first stage.
    zero_init_residual: whether bottlenecks start as their shortcut.
    dropout: rate before the classifier.
    norm_group: clips that share BatchNorm statistics; 0 for the whole batch.
    dtype: of the computation; parameters, statistics, logits are float32.
    remat: recompute each bottleneck in the backward pass to save memory.
  """

  input_kind: ClassVar[str] = 'heatmaps'

  num_classes: int
  base_channels: int = 32
  stage_blocks: tuple[int, ...] = (4, 6, 3)
  inflate: tuple[int, ...] = (0, 1, 1)
  inflate_style: str = '3x1x1'
  spatial_strides: tuple[int, ...] = (2, 2, 2)
  temporal_strides: tuple[int, ...] = (1, 1, 2)
  dilations: tuple[int, ...] = (1, 1, 1)
  conv1_kernel: tuple[int, int, int] = (1, 7, 7)
  conv1_stride: tuple[int, int] = (1, 1)
  pool1_stride: tuple[int, int] = (1, 1)
  with_pool1: bool = True
  with_pool2: bool = False
  zero_init_residual: bool = True
  dropout: float = 0.5
  norm_group: int = 0
  dtype: jnp.dtype | None = None
  remat: bool = False

  @property
  def spatial_stride(self) -> int:
    """Total stride over rows and columns."""
    pool1 = self.pool1_stride[1] if self.with_pool1 else 1
    return math.prod((self.conv1_stride[1], pool1, *self.spatial_strides))

  @nn.compact
  def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
    """Logits of a batch of heatmap volumes.

    Args:
      x: [B, T, H, W, C], a channel for each joint or limb.
      train: True for batch statistics and dropout.

    Returns:
      [B, num_classes] float32.

    Raises:
      UserError: if an option or the shape of x does not fit.
    """
    self._check_options()
    self._check_input(x)
    norm = functools.partial(
      layers.BatchNorm,
      num_groups=layers.num_groups(x.shape[0], self.norm_group, train),
      dtype=self.dtype,
    )
    stride_t, stride_s = self.conv1_stride
    x = Stem(
      self.base_channels,
      self.conv1_kernel,
      (stride_t, stride_s, stride_s),
      norm=norm,
      dtype=self.dtype,
      name='stem',
    )(x, train)
    if self.with_pool1:
      x = convolutions.max_pool(x, self.pool1_stride)
    # Argument 2 is `train`, counting self.
    block = (
      nn.remat(Bottleneck, static_argnums=(2,)) if self.remat else Bottleneck
    )
    for s, num_blocks in enumerate(self.stage_blocks):
      stride_t, stride_s = self.temporal_strides[s], self.spatial_strides[s]
      for b in range(num_blocks):
        x = block(
          self.base_channels * 2**s,
          (stride_t, stride_s, stride_s) if b == 0 else (1, 1, 1),
          self.dilations[s],
          inflate=bool(self.inflate[s]),
          inflate_style=self.inflate_style,
          is_first=b == 0,
          zero_init_residual=self.zero_init_residual,
          norm=norm,
          dtype=self.dtype,
          name=f'layer{s + 1}_{b}',
        )(x, train)
      if s == 0 and self.with_pool2:
        x = self._pool2(x)
    b, t, h, w, c = x.shape
    x = x.reshape(b, t, h * w, c)
    return network.Head(self.num_classes, 1, self.dropout, name='head')(
      x, train
    )

  def _pool2(self, x):
    """Maximum of frames 2i and 2i + 1; an odd last frame is dropped."""
    t = x.shape[1]
    if t < 2:
      raise errors.UserError(
        'with_pool2=True takes the maximum of pairs of frames, but only one '
        'frame is left after the first stage. Give longer clips, or '
        'with_pool2=False.'
      )
    # Not max(2): its gradient looks for what equals the maximum, and finds
    # nothing (NaN) where XLA computes x a second time and rounds otherwise.
    return convolutions.later_if_greater(x[:, 0 : t - 1 : 2], x[:, 1::2])

  def _check_options(self):
    network.check_choice('inflate_style', self.inflate_style, INFLATE_STYLES)
    num_stages = len(self.stage_blocks)
    positive = {'base_channels': (self.base_channels,)}
    for name in (
      'stage_blocks',
      'inflate',
      'spatial_strides',
      'temporal_strides',
      'dilations',
    ):
      values = getattr(self, name)
      if not values or len(values) != num_stages:
        raise errors.UserError(
          f'{name} is {values} and stage_blocks is {self.stage_blocks}; each '
          'has one number for every stage of the network.'
        )
      positive[name] = values
    if set(positive.pop('inflate')) - {0, 1}:
      raise errors.UserError(
        f'inflate is {self.inflate}; it has a 1 for each stage that looks at '
        'neighbouring frames and a 0 for the others.'
      )
    for name, count in (
      ('conv1_kernel', 3),
      ('conv1_stride', 2),
      ('pool1_stride', 2),
    ):
      positive[name] = values = getattr(self, name)
      if len(values) != count:
        axes = 'frames, rows, columns' if count == 3 else 'frames, pixels'
        raise errors.UserError(
          f'{name} is {values}; it has {count} numbers: {axes}.'
        )
    for name, values in positive.items():
      if min(values) < 1:
        raise errors.UserError(f'{name} is {values}; it must be at least 1.')
    if any(size % 2 == 0 for size in self.conv1_kernel):
      raise errors.UserError(
        f'conv1_kernel is {self.conv1_kernel}; its sizes must be odd.'
      )

  def _check_input(self, x):
    axes = '[B, T, H, W, C] (clip, frame, row, column, joint or limb)'
    if x.ndim != 5:
      raise errors.UserError(
        f'The model takes heatmap volumes of shape {axes}, not of shape '
        f'{x.shape}.'
      )
    stem = self.variables.get('params', {}).get('stem')
    if stem is None:
      return
    channels = stem['conv']['kernel'].shape[-2]
    if x.shape[-1] != channels:
      raise errors.UserError(
        f'The parameters are for heatmaps of {channels} joints or limbs, but '
        f'the volumes of shape {x.shape}, {axes}, have C={x.shape[-1]}. Give '
        'the layout and the stream (keypoint, limb or both) that the model '
        'was trained with.'
      )
