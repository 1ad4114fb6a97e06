"""The input of graph networks: streams of normalised joints.

The order of operations is the published one: normalise, then streams between
neighbouring frames of the original clip. Frames were chosen on the host, which
ships the neighbours along; where a feature needs the whole clip (its first
frame, its extent), the whole clip comes instead and frames are chosen here.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from skeljax.inputs import augment
from skeljax.inputs import normalize_2d
from skeljax.inputs import streams
from skeljax.inputs.options import FeatureOptions

Batch = Mapping[str, jax.Array]


def prepare(
  batch: Batch,
  options: FeatureOptions,
  *,
  rng: jax.Array | None = None,
  train: bool,
) -> jax.Array:
  """The views of every clip as the model sees them.

  Args:
    batch: keypoint [B, N, M, T, V, C] (float16 or float32), frame_index
      [B, N, T] (-1 for padding), total_frames [B] and num_valid_persons [B];
      score [B, N, M, T, V] where there are scores; keypoint_next and score_next
      where options.needs_next; img_shape [B, 2] for 2D; box [B, 4] where
      options.needs_box; index [B], by which training draws. Where
      options.needs_whole_clip, keypoint and score are whole clips, [B, 1, M,
      frames, V, C], zero behind total_frames.
    options: what to compute.
    rng: key of this step; None unless training.
    train: whether to draw random views.

  Returns:
    [B, N, M, T, V, options.num_input_channels] float32. Padded persons and
    frames are zero; with 'mmaction0x' they are normalised like missing points,
    as published.

  Raises:
    ValueError: the batch is not what the options need.
  """
  _check_batch(batch, options)
  view = augment.View()
  if train and options.is_random:
    if rng is None:
      raise ValueError('training draws random views here and needs rng')
    view = _draw_view(batch, options, rng)

  x = _joints(batch, '', options, view)
  frame_index = batch['frame_index']
  if options.needs_whole_clip:
    x = _take_frames(x, frame_index)
  if options.stream == 'bone':
    x = _bones(x, options, batch)
  elif options.stream.endswith('motion'):
    if options.needs_whole_clip:
      x_next, is_last = _next_chosen_frame(x, frame_index)
    else:
      x_next = _joints(batch, '_next', options, view)
      last_frame = batch['total_frames'][:, None, None] - 1
      is_last = _per_frame(frame_index == last_frame)
    if options.stream == 'bone_motion':
      x, x_next = _bones(x, options, batch), _bones(x_next, options, batch)
    x = streams.motion(
      x,
      x_next,
      is_last,
      has_score=options.has_score,
      # Published bones are float32, so their motion is not rounded.
      published_rounding=(
        options.stream == 'joint_motion'
        and _streams_compute_in_half(options, batch)
      ),
    )
  if options.normalize_2d != 'mmaction0x':
    x = jnp.where(_per_frame(frame_index >= 0) & _is_person(batch), x, 0)
  return x


def _check_batch(batch: Batch, options: FeatureOptions) -> None:
  names = ['keypoint', 'frame_index', 'total_frames', 'num_valid_persons']
  if options.has_score:
    names.append('score')
  if options.needs_next:
    names += [f'{name}_next' for name in ('keypoint', 'score') if name in names]
  if options.needs_box:
    names.append('box')
  missing = [name for name in names if name not in batch]
  if missing:
    raise ValueError(
      f'the {options.stream} stream needs {", ".join(missing)} in the batch, '
      f'which holds {", ".join(sorted(batch))}'
    )
  shape = batch['keypoint'].shape
  end = (options.layout.num_joints, options.num_channels)
  if len(shape) != 6 or shape[-2:] != end:
    raise ValueError(
      f'keypoint must be [B, N, M, T, V, C] with V, C = {end} for layout '
      f'{options.layout.name!r}, but is {shape}'
    )
  chosen = batch['frame_index'].shape
  if options.needs_whole_clip:
    if shape[1] != 1:
      raise ValueError(
        'centre_first_frame and min_max need whole clips, [B, 1, M, frames, '
        f'V, C], but keypoint is {shape}'
      )
  elif (*shape[:2], shape[3]) != chosen:
    raise ValueError(
      f'keypoint {shape} and frame_index {chosen} differ in [B, N, T]: whole '
      'clips are for centre_first_frame and min_max'
    )


def _draw_view(
  batch: Batch, options: FeatureOptions, rng: jax.Array
) -> augment.View:
  return augment.draw_view(
    rng,
    batch['index'],
    num_channels=options.num_channels,
    flip=options.flip,
    scale=options.scale,
    rotate=options.rotate,
    rotate_order=options.rotate_order,
    shift=options.shift,
  )


def _joints(
  batch: Batch, suffix: str, options: FeatureOptions, view: augment.View
) -> jax.Array:
  """[B, N, M, T, V, C] float32: the joint stream, before padding is cleared."""
  x = batch[f'keypoint{suffix}'].astype(jnp.float32)
  if options.has_score:
    score = batch[f'score{suffix}'].astype(jnp.float32)
    x = jnp.concatenate([x, score[..., None]], axis=-1)
  if view.flip is not None:
    x = _flip(x, batch, options, view)

  xyz, score = jnp.split(x, [options.num_channels], axis=-1)
  is_present = jnp.any(xyz != 0, axis=-1, keepdims=True)
  if options.needs_whole_clip:
    # The recipe has no missing joints, only absent persons and frames.
    is_present = jnp.any(is_present, axis=-2, keepdims=True)
  if options.drops_low_scores:
    is_present &= score > options.normalize_2d_threshold
  if options.normalize_2d == 'mmaction1x':
    xyz = normalize_2d.normalize_2d_1x(
      xyz,
      batch['img_shape'],
      published_rounding=options.computes_in_half,
    )
  elif options.normalize_2d == 'mmaction0x':
    xyz, score = normalize_2d.normalize_2d_0x(xyz, score, batch['img_shape'])
  elif options.normalize_2d == 'pyskl_fix':
    xyz = normalize_2d.normalize_2d_1x(xyz, batch['img_shape'])
  elif options.normalize_2d == 'pyskl_auto':
    xyz = normalize_2d.normalize_2d_box(xyz, batch['box'])
  if options.drops_low_scores:
    xyz = jnp.where(score > options.normalize_2d_threshold, xyz, 0)
  if options.centre_first_frame:
    # NOTE: frame 0 of the clip, so this is for whole clips only.
    origin = options.layout.origin
    center = xyz[:, :, :1, :1, origin : origin + 1]
    xyz = jnp.where(is_present, xyz - center, 0)
  xyz = augment.apply_view(xyz, view, is_present)
  if options.min_max:
    xyz = normalize_2d.min_max(xyz, is_present)
  return jnp.concatenate([xyz, score], axis=-1) if options.has_score else xyz


def _flip(
  x: jax.Array, batch: Batch, options: FeatureOptions, view: augment.View
) -> jax.Array:
  """Mirrors the clips that drew it, in the coordinates of the batch."""
  width = None
  if options.num_channels == 2:
    # Without normalisation an unknown width means coordinates about zero.
    width = batch['img_shape'][:, 1:].astype(jnp.float32)
    if options.needs_box:
      # About the centre of the clip's box, which is then its box still: the
      # picture has no part in this normalisation and may be of unknown size.
      width = batch['box'][:, :1] + batch['box'][:, 2:3]
    elif options.normalize_2d != 'none':
      width = normalize_2d.frame_size(batch['img_shape'], 2)[:, :1]
    width = width.reshape(-1, *(1,) * (x.ndim - 1))
  mirrored = augment.mirror(x, options.layout.flip_index, width)
  return jnp.where(view.flip.reshape(-1, *(1,) * (x.ndim - 1)), mirrored, x)


def _streams_compute_in_half(options: FeatureOptions, batch: Batch) -> bool:
  # The published code joins coordinates and scores in one array first, which
  # is float16 only if both are.
  return options.computes_in_half and (
    not options.has_score or batch['score'].dtype == jnp.float16
  )


def _bones(x: jax.Array, options: FeatureOptions, batch: Batch) -> jax.Array:
  return streams.bone(
    x,
    options.layout.parents,
    has_score=options.has_score,
    published_rounding=_streams_compute_in_half(options, batch),
  )


def _per_frame(x: jax.Array) -> jax.Array:
  """[B, N, T] as [B, N, 1, T, 1, 1]."""
  return x[:, :, None, :, None, None]


def _is_person(batch: Batch) -> jax.Array:
  """[B, 1, M, 1, 1, 1] bool: persons of the record, not padding."""
  person = jnp.arange(batch['keypoint'].shape[2])
  valid = batch['num_valid_persons']
  return (person[None, :] < valid[:, None])[:, None, :, None, None, None]


def _take_frames(x: jax.Array, frame_index: jax.Array) -> jax.Array:
  """Frames [B, N, M, T, V, C] of whole clips [B, 1, M, frames, V, C].

  Index -1 takes some frame, which is cleared as padding at the end.
  """
  take = jax.vmap(lambda clip, index: jnp.take(clip, index, 1, mode='clip'))
  return jnp.moveaxis(take(x[:, 0], frame_index), 1, 2)


def _next_chosen_frame(
  x: jax.Array, frame_index: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """The following frame of each view, and which frames have none."""
  is_frame = frame_index >= 0
  has_next = jnp.roll(is_frame, -1, axis=-1).at[..., -1].set(False)
  return jnp.roll(x, -1, axis=3), _per_frame(~has_next)
