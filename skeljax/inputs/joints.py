"""The joint input of graph networks: streams of normalized joints.

The order of operations is the published one: normalize, then take streams
between neighbouring frames of the original clip. The host samples the frames
and adds their successors to the batch. A feature that depends on the whole clip
(its first frame, its extent) gets the whole clip instead, and frames are taken
here.
"""

import dataclasses
from typing import ClassVar

from flax import linen as nn
import jax
import jax.numpy as jnp

from skeljax import errors
from skeljax import option
from skeljax.datasets.spec import DataSpec
from skeljax.inputs import augment
from skeljax.inputs import batch as batch_lib
from skeljax.inputs import normalize_2d
from skeljax.inputs import streams
from skeljax.inputs.batch import Batch

# Score threshold of the 2D boxes that prepared datasets store.
BOX_THRESHOLD = 0.01


@dataclasses.dataclass(frozen=True)
class Joints:
  """Turns a batch into streams of joints; hashable, static under jit.

  The fields are those of `config.input`. 2D normalizations:

  - 'mmaction1x': PreNormalize2D; missing points become -1, padding 0.
  - 'mmaction0x': PoseNormalize; missing points and padding become -0.5.
  - 'pyskl_fix', 'pyskl_auto': PreNormalize2D of pyskl by the image size or by
    the box of the clip; points with a low score become 0, padding 0.

  Attributes:
    spec: the data.
  """

  kind: ClassVar[str] = 'joints'
  needs_img_shape: ClassVar[bool] = False
  can_mirror: ClassVar[bool] = False

  spec: DataSpec
  stream: str = option.field(
    'joint', 'Stream of the model.', choices=streams.STREAMS
  )
  normalize_2d: str = option.field(
    'none',
    'Normalization of 2D coordinates.',
    choices=('none', 'mmaction0x', 'mmaction1x', 'pyskl_fix', 'pyskl_auto'),
  )
  normalize_2d_threshold: float = option.field(
    BOX_THRESHOLD, 'pyskl: points up to this score are missing.', minimum=0
  )
  published_rounding: bool = option.field(
    False, 'mmaction1x on float16 data: round to float16 after each operation.'
  )
  centre_first_frame: bool = option.field(
    False, 'Subtract the origin joint of the first person in frame 0.'
  )
  min_max: bool = option.field(False, 'Scale each clip to [-1, 1] per axis.')
  rotate: tuple[float, ...] = option.field(
    (),
    'Training: largest angles in degrees about x, y, z (2D: one angle).',
    minimum=0,
    maximum=180,
  )
  rotate_order: str = option.field(
    'zyx',
    'First axis first; zyx: CTR-GCN, xyz: RandomRot of pyskl.',
    choices=augment.ROTATE_ORDERS,
  )
  scale: float = option.field(
    0.0, 'Training: factor 1 + U(-scale, scale) per axis.', minimum=0,
    maximum=0.99,
  )  # fmt: skip
  shift: float = option.field(
    0.0, 'Training: offset U(-shift, shift) per axis.', minimum=0
  )
  flip: float = option.field(
    0.0, 'Training: probability of a left-right flip.', minimum=0, maximum=1
  )

  def __post_init__(self):
    option.check(self, '--config.input.')
    _check_combinations(self)

  @property
  def num_channels(self) -> int:
    """C of the model input: coordinates and score."""
    return self.spec.num_channels + int(self.spec.has_score)

  @property
  def channels(self) -> tuple[str, ...]:
    """Names of channels that weights are tied to: none, streams may change."""
    return ()

  @property
  def needs_whole_clip(self) -> bool:
    """Whether batches contain whole clips, from which frames are taken here."""
    return self.centre_first_frame or self.min_max

  @property
  def needs_next(self) -> bool:
    """Whether batches contain the successor of every frame."""
    return self.stream.endswith('motion') and not self.needs_whole_clip

  @property
  def needs_box(self) -> bool:
    """Whether batches contain the box of every clip."""
    return self.normalize_2d == 'pyskl_auto'

  @property
  def drops_low_scores(self) -> bool:
    """Whether points with a low score count as missing and become zero."""
    return self.spec.has_score and self.normalize_2d.startswith('pyskl')

  @property
  def computes_in_half(self) -> bool:
    """Whether 2D coordinates are rounded to float16, as published."""
    return (
      self.published_rounding
      and self.normalize_2d == 'mmaction1x'
      and self.spec.keypoint_dtype == 'float16'
    )

  def __str__(self) -> str:
    return f'{self.stream} stream'

  def shape(
    self, num_clips: int, clip_len: int, train: bool = True
  ) -> tuple[int, ...]:
    """Return the shape [B, M, T, V, C] of the model input."""
    del train  # Evaluation and training see the same shape.
    spec = self.spec
    return (
      num_clips, spec.num_persons, clip_len, spec.num_joints, self.num_channels
    )  # fmt: skip

  def validate(self, model: nn.Module) -> None:
    """Raise UserError if the model cannot be trained on this input."""
    del model  # Graph networks take every joint input.

  def notes(self, num_cut: int) -> list[str]:
    """Return sentences on what the data lack for this input: nothing."""
    del num_cut  # Graph networks take a fixed number of persons.
    return []

  def __call__(
    self,
    batch: Batch,
    *,
    rng: jax.Array | None = None,
    train: bool,
    dtype: jnp.dtype = jnp.float32,
  ) -> jax.Array:
    """Return the model input of all views: `render(prepare(batch))`."""
    views = self.prepare(batch, rng=rng, train=train)
    return self.render(views, train=train, dtype=dtype)

  def render(
    self,
    views: jax.Array,
    *,
    train: bool,
    mirrored: bool = False,
    dtype: jnp.dtype = jnp.float32,
  ) -> jax.Array:
    """Return the model input [B * N, M, T, V, C] of views [B, N, M, T, V, C].

    The other arguments only affect heatmaps; the model casts joints to its own
    dtype.
    """
    del train, dtype
    if mirrored:
      raise ValueError('only heatmaps have flipped test views')
    return views.reshape(-1, *views.shape[2:])

  def prepare(
    self, batch: Batch, *, rng: jax.Array | None = None, train: bool
  ) -> jax.Array:
    """Return the stream of every view of every clip.

    Args:
      batch: keypoint [B, N, M, T, V, C] (float16 or float32), frame_index
        [B, N, T] (-1 for padding), total_frames [B] and num_valid_persons [B];
        score [B, N, M, T, V] if the data have scores; keypoint_next and
        score_next if needs_next; img_shape [B, 2] for 2D; box [B, 4] if
        needs_box; index [B], which seeds the augmentation of each clip. If
        needs_whole_clip, keypoint and score are whole clips, [B, 1, M, frames,
        V, C], zero after total_frames.
      rng: key of this step; None unless training.
      train: whether to augment.

    Returns:
      [B, N, M, T, V, num_channels] float32. Padded persons and frames are zero;
      with 'mmaction0x' they are normalized like missing points, as published.

    Raises:
      ValueError: the batch lacks a field, or a shape is wrong.
    """
    _check_batch(batch, self)
    view = augment.View()
    if train and (self.flip or self.scale or self.shift or any(self.rotate)):
      if rng is None:
        raise ValueError('augmentation needs rng')
      view = self._draw_view(batch, rng)

    x = self._joints(batch, '', view)
    frame_index = batch['frame_index']
    if self.needs_whole_clip:
      x = batch_lib.take_frames(x, frame_index)
    if self.stream == 'bone':
      x = self._bones(x, batch)
    elif self.stream.endswith('motion'):
      if self.needs_whole_clip:
        x_next, is_last = batch_lib.next_frame(x, frame_index)
      else:
        x_next = self._joints(batch, '_next', view)
        last_frame = batch['total_frames'][:, None, None] - 1
        is_last = batch_lib.per_frame(frame_index == last_frame)
      if self.stream == 'bone_motion':
        x, x_next = self._bones(x, batch), self._bones(x_next, batch)
      x = streams.motion(
        x,
        x_next,
        is_last,
        has_score=self.spec.has_score,
        # Published bones are float32, so their motion is not rounded.
        published_rounding=(
          self.stream == 'joint_motion' and self._streams_in_half(batch)
        ),
      )
    if self.normalize_2d != 'mmaction0x':
      x = jnp.where(batch_lib.is_valid(batch)[..., None], x, 0)
    return x

  def _draw_view(self, batch: Batch, rng: jax.Array) -> augment.View:
    return augment.draw_view(
      rng,
      batch['index'],
      num_channels=self.spec.num_channels,
      flip=self.flip,
      scale=self.scale,
      rotate=self.rotate,
      rotate_order=self.rotate_order,
      shift=self.shift,
    )

  def _joints(self, batch: Batch, suffix: str, view: augment.View) -> jax.Array:
    """[B, N, M, T, V, C] float32: the joint stream, before padding is zeroed."""
    x = batch[f'keypoint{suffix}'].astype(jnp.float32)
    if self.spec.has_score:
      score = batch[f'score{suffix}'].astype(jnp.float32)
      x = jnp.concatenate([x, score[..., None]], axis=-1)
    if view.flip is not None:
      x = self._flip(x, batch, view.flip)

    xyz, score = jnp.split(x, [self.spec.num_channels], axis=-1)
    is_present = jnp.any(xyz != 0, axis=-1, keepdims=True)
    if self.needs_whole_clip:
      # This recipe has no missing joints, only absent persons and frames.
      is_present = jnp.any(is_present, axis=-2, keepdims=True)
    if self.drops_low_scores:
      is_present &= score > self.normalize_2d_threshold
    match self.normalize_2d:
      case 'mmaction1x' | 'pyskl_fix':
        xyz = normalize_2d.normalize_2d_1x(
          xyz, batch['img_shape'], published_rounding=self.computes_in_half
        )
      case 'mmaction0x':
        xyz, score = normalize_2d.normalize_2d_0x(
          xyz, score, batch['img_shape']
        )
      case 'pyskl_auto':
        xyz = normalize_2d.normalize_2d_box(xyz, batch['box'])
    if self.drops_low_scores:
      xyz = jnp.where(score > self.normalize_2d_threshold, xyz, 0)
    if self.centre_first_frame:
      # NOTE: frame 0 of the clip, so this needs whole clips.
      origin = self.spec.layout.origin
      assert origin is not None  # Checked on construction.
      center = xyz[:, :, :1, :1, origin : origin + 1]
      xyz = jnp.where(is_present, xyz - center, 0)
    xyz = augment.apply_view(xyz, view, is_present)
    if self.min_max:
      xyz = normalize_2d.min_max(xyz, is_present)
    if self.spec.has_score:
      return jnp.concatenate([xyz, score], axis=-1)
    return xyz

  def _flip(
    self, x: jax.Array, batch: Batch, is_flipped: jax.Array
  ) -> jax.Array:
    """Flip the clips that drew it, in the coordinates of the batch."""
    width = None
    if self.spec.num_channels == 2:
      # Without normalization an unknown width means coordinates about zero.
      width = batch['img_shape'][:, 1:].astype(jnp.float32)
      if self.needs_box:
        # Flip about the centre of the clip's box, which the flip preserves.
        # This normalization does not use the image, whose size may be unknown.
        width = batch['box'][:, :1] + batch['box'][:, 2:3]
      elif self.normalize_2d != 'none':
        width = normalize_2d.frame_size(batch['img_shape'], 2)[:, :1]
      width = width.reshape(-1, *(1,) * (x.ndim - 1))
    flipped = augment.flip(x, self.spec.layout.flip_index, width)
    return jnp.where(is_flipped.reshape(-1, *(1,) * (x.ndim - 1)), flipped, x)

  def _streams_in_half(self, batch: Batch) -> bool:
    # The published code concatenates coordinates and scores first, which is
    # float16 only if both are.
    return self.computes_in_half and (
      not self.spec.has_score or batch['score'].dtype == jnp.float16
    )

  def _bones(self, x: jax.Array, batch: Batch) -> jax.Array:
    return streams.bone(
      x,
      self.spec.layout.parents,
      has_score=self.spec.has_score,
      published_rounding=self._streams_in_half(batch),
    )


def _check_combinations(joints: Joints) -> None:
  """Raise UserError for fields that contradict each other or the data."""
  dims = joints.spec.num_channels
  num_angles = 3 if dims == 3 else 1
  if len(joints.rotate) not in (0, num_angles):
    raise errors.UserError(
      f'--config.input.rotate has {len(joints.rotate)} angles; {dims}D'
      f' skeletons need {num_angles} (degrees about x, y, z in 3D, one angle'
      ' in 2D), or () for none.'
    )
  if joints.normalize_2d != 'none' and dims != 2:
    raise errors.UserError(
      f'--config.input.normalize_2d={joints.normalize_2d}: the skeletons are'
      f' {dims}D. Use none; data_prep normalizes 3D skeletons.'
    )
  threshold = joints.normalize_2d_threshold
  has_score = joints.spec.has_score
  if joints.needs_box and has_score and threshold != BOX_THRESHOLD:
    raise errors.UserError(
      f'--config.input.normalize_2d_threshold={threshold}: pyskl_auto uses the'
      ' boxes of the prepared dataset, which contain points with a score above'
      f' {BOX_THRESHOLD}. Use {BOX_THRESHOLD}, or normalize_2d=pyskl_fix.'
    )
  layout = joints.spec.layout
  if joints.centre_first_frame and layout.origin is None:
    raise errors.UserError(
      '--config.input.centre_first_frame subtracts the origin joint, but'
      f" layout {layout.name!r} has no 'origin'."
    )
  if joints.needs_whole_clip and joints.normalize_2d != 'none':
    raise errors.UserError(
      '--config.input.centre_first_frame and min_max are normalizations: use'
      f' normalize_2d=none with them, not {joints.normalize_2d!r}.'
    )


def _check_batch(batch: Batch, joints: Joints) -> None:
  names = ['keypoint', 'frame_index', 'total_frames', 'num_valid_persons']
  names += ['score'] * joints.spec.has_score
  if joints.needs_next:
    names += [f'{name}_next' for name in ('keypoint', 'score') if name in names]
  names += ['box'] * joints.needs_box
  batch_lib.check(batch, names, joints.spec, f'{joints.stream} streams')
  shape, sampled = batch['keypoint'].shape, batch['frame_index'].shape
  if joints.needs_whole_clip:
    if shape[1] != 1:
      raise ValueError(
        'centre_first_frame and min_max need whole clips, [B, 1, M, frames, V,'
        f' C], but keypoint is {shape}'
      )
  elif (*shape[:2], shape[3]) != sampled:
    raise ValueError(
      f'keypoint {shape} and frame_index {sampled} differ in [B, N, T]'
    )
