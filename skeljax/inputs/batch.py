"""The batch that inputs read: checks and masks."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp

from skeljax.datasets.spec import DataSpec

Batch = Mapping[str, jax.Array]


def check(
  batch: Batch, names: Sequence[str], spec: DataSpec, input_name: str
) -> None:
  """Raise ValueError if a batch lacks a field or has keypoints of other shape.

  Args:
    batch: keypoint must be [B, N, M, T, V, C].
    names: required fields.
    spec: specifies V and C.
    input_name: names the input in the message.
  """
  missing = [name for name in names if name not in batch]
  if missing:
    raise ValueError(
      f'{input_name} need {", ".join(missing)} in the batch, which contains'
      f' {", ".join(sorted(batch))}'
    )
  shape = batch['keypoint'].shape
  end = (spec.num_joints, spec.num_channels)
  if len(shape) != 6 or shape[-2:] != end:
    raise ValueError(
      f'keypoint must be [B, N, M, T, V, C] with V, C = {end} for layout'
      f' {spec.layout.name!r}, but is {shape}'
    )


def is_valid(batch: Batch) -> jax.Array:
  """Return which persons and frames are not padding, [B, N, M, T, 1] bool."""
  person = jnp.arange(batch['keypoint'].shape[2])
  is_person = person[None, :] < batch['num_valid_persons'][:, None]
  is_frame = batch['frame_index'] >= 0
  return is_person[:, None, :, None, None] & is_frame[:, :, None, :, None]


def per_frame(x: jax.Array) -> jax.Array:
  """Return [B, N, T] as [B, N, 1, T, 1, 1]."""
  return x[:, :, None, :, None, None]


def take_frames(x: jax.Array, frame_index: jax.Array) -> jax.Array:
  """Take frames [B, N, M, T, V, C] from whole clips [B, 1, M, frames, V, C].

  Index -1 takes an arbitrary frame, to be zeroed as padding.
  """
  take = jax.vmap(lambda clip, index: jnp.take(clip, index, 1, mode='clip'))
  return jnp.moveaxis(take(x[:, 0], frame_index), 1, 2)


def next_frame(
  x: jax.Array, frame_index: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Return the following sampled frame, and which frames have none."""
  is_frame = frame_index >= 0
  has_next = jnp.roll(is_frame, -1, axis=-1).at[..., -1].set(False)
  return jnp.roll(x, -1, axis=3), per_frame(~has_next)
