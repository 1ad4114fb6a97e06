"""SlowOnly, the 3D ResNet of PoseC3D.

Papers: Duan et al., Revisiting Skeleton-based Action Recognition, CVPR 2022
(PoseC3D); Feichtenhofer et al., SlowFast Networks for Video Recognition, ICCV
2019. Reference code consulted: mmaction2 1.2.0 (ResNet3dSlowOnly with I3DHead)
and pyskl.

Differences from the reference code: none in the function. Options that PoseC3D
does not use are not here: depths without a bottleneck, the 'caffe' style,
non-local blocks, lateral connections, frozen stages.
"""

from collections.abc import Callable
import functools
import math
from typing import ClassVar

from flax import linen as nn
import jax
import jax.numpy as jnp

from skeljax import errors
from skeljax.models import kernels
from skeljax.models import layers

INFLATE_STYLES = ('3x1x1', '3x3x3')
# Output channels of a bottleneck over the channels inside it.
EXPANSION = 4


class Conv(nn.Module):
  """Convolution without bias over frames, rows and columns.

  Attributes:
    features: output channels.
    kernel_size: frames, rows, columns; odd, zero-padded on both sides.
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
    """Map [B, T, H, W, C] to [B, T', H', W', features]."""
    shape = (*self.kernel_size, x.shape[-1], self.features)
    positions = math.prod(self.kernel_size)
    kernel_init, _ = layers.conv_init(
      'kaiming', positions * x.shape[-1], positions * self.features
    )
    kernel = self.param('kernel', kernel_init, shape, jnp.float32)
    x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=self.dtype)
    return kernels.conv3d(x, kernel, self.strides, self.dilation)


class Stem(nn.Module):
  """Convolution, BatchNorm and ReLU on the heatmaps.

  Attributes:
    features: output channels.
    kernel_size: frames, rows, columns.
    strides: over frames, rows, columns.
    norm: creates the BatchNorm.
    dtype: of the computation.
  """

  features: int
  kernel_size: tuple[int, int, int]
  strides: tuple[int, int, int]
  norm: Callable[..., nn.Module]
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """Map [B, T, H, W, C] to [B, T', H', W', features]."""
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
    features: inner channels; the output has 4 times as many.
    strides: over frames, rows and columns, of the second convolution.
    dilation: of the second convolution, in space.
    inflate: whether a kernel spans 3 frames: the first convolution's for
      inflate_style '3x1x1', the second's for '3x3x3'.
    inflate_style: see inflate.
    is_first: in its stage; the shortcut is then a convolution.
    zero_init_residual: whether it is initialised to its shortcut.
    norm: creates the BatchNorms.
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
    """Map [B, T, H, W, C] to [B, T', H', W', 4 * features]."""
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
    scale = 0.0 if self.zero_init_residual else 1.0
    norm = self.norm(scale_init=nn.initializers.constant(scale), name='bn3')
    return nn.relu(norm(x, train) + shortcut)


class SlowOnly(nn.Module):
  """Stem, stages of bottlenecks, and a linear head over the mean.

  The defaults are the published PoseC3D; models pretrained on Kinetics-400 have
  stage_blocks (3, 4, 6).

  Attributes:
    num_classes: logits per clip.
    base_channels: width of the stem and inner width of the first stage; doubles
      with each stage.
    stage_blocks: bottlenecks in each stage.
    inflate: 1 for each stage whose bottlenecks span 3 frames, otherwise 0.
    inflate_style: '3x1x1' or '3x3x3', see Bottleneck.
    spatial_strides, temporal_strides: of the first block of each stage.
    dilations: of each stage, in space.
    conv1_kernel: frames, rows and columns of the stem.
    conv1_stride: of the stem, over frames and over pixels.
    pool1_stride: of the 3x3 max-pooling after the stem, likewise.
    with_pool1: whether to max-pool after the stem.
    with_pool2: whether to max-pool pairs of frames after the first stage.
    zero_init_residual: whether bottlenecks are initialised to their shortcut.
    dropout: rate before the classifier.
    norm_group: clips that share BatchNorm statistics; 0 for the whole batch.
    dtype: of the computation; parameters, statistics, logits are float32.
    remat: recompute each bottleneck in the backward pass to save memory.
  """

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

  input_kind: ClassVar[str] = 'heatmaps'

  @property
  def spatial_stride(self) -> int:
    """Total stride over rows and columns."""
    pool1 = self.pool1_stride[1] if self.with_pool1 else 1
    return math.prod((self.conv1_stride[1], pool1, *self.spatial_strides))

  @nn.compact
  def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
    """Return the logits of a batch of heatmap volumes.

    Args:
      x: [B, T, H, W, C] with one channel per joint or limb.
      train: True for batch statistics and dropout.

    Returns:
      [B, num_classes] float32.

    Raises:
      UserError: an option or the shape of x does not fit.
    """
    self._check_options()
    self._check_input(x)
    norm = layers.batch_norm(len(x), self.norm_group, train, self.dtype)
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
      stride_t, stride_s = self.pool1_stride
      x = kernels.max_pool(x, (1, 3, 3), (stride_t, stride_s, stride_s))
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
        if x.shape[1] < 2:
          raise errors.UserError(
            'with_pool2=True pools pairs of frames, but only one frame is left '
            'after the first stage. Use longer clips or with_pool2=False.'
          )
        x = kernels.max_pool(x, (2, 1, 1), (2, 1, 1))
    return layers.Head(self.num_classes, dropout=self.dropout, name='head')(
      x, train
    )

  def _check_options(self):
    layers.check_choice('inflate_style', self.inflate_style, INFLATE_STYLES)
    num_stages = len(self.stage_blocks)
    lengths = {
      'stage_blocks': (max(num_stages, 1), 'one per stage'),
      'inflate': (num_stages, 'one per stage'),
      'spatial_strides': (num_stages, 'one per stage'),
      'temporal_strides': (num_stages, 'one per stage'),
      'dilations': (num_stages, 'one per stage'),
      'conv1_kernel': (3, 'frames, rows, columns'),
      'conv1_stride': (2, 'frames, pixels'),
      'pool1_stride': (2, 'frames, pixels'),
    }
    for name, (length, meaning) in lengths.items():
      values = getattr(self, name)
      if not values or len(values) != length:
        raise errors.UserError(
          f'{name} is {values}; with stage_blocks {self.stage_blocks} it '
          f'must have length {length}: {meaning}.'
        )
      if min(values) < (name != 'inflate'):
        raise errors.UserError(f'{name} is {values}; it must be at least 1.')
    if self.base_channels < 1:
      raise errors.UserError(
        f'base_channels is {self.base_channels}; it must be at least 1.'
      )
    if set(self.inflate) - {0, 1}:
      raise errors.UserError(
        f'inflate is {self.inflate}; it must be 0 or 1 for each stage.'
      )
    if any(size % 2 == 0 for size in self.conv1_kernel):
      raise errors.UserError(
        f'conv1_kernel is {self.conv1_kernel}; its sizes must be odd.'
      )

  def _check_input(self, x):
    axes = '[B, T, H, W, C] (clip, frame, row, column, joint or limb)'
    if x.ndim != 5:
      raise errors.UserError(
        f'The model takes heatmap volumes {axes}, not shape {x.shape}.'
      )
    stem = self.variables.get('params', {}).get('stem')
    if stem is None:
      return
    channels = stem['conv']['kernel'].shape[-2]
    if x.shape[-1] != channels:
      raise errors.UserError(
        f'The parameters are for heatmaps of {channels} joints or limbs, but '
        f'the volumes {axes} have shape {x.shape}, C={x.shape[-1]}. Use the '
        'layout and the stream (keypoint, limb or both) of training.'
      )
