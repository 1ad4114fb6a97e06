"""The four streams: joints, bones, and the motion of both.

Arrays are [..., T, V, C], or with scores [..., T, V, C + 1]. With scores,
the last channel of bones and motions is the mean of the two scores.

Source: mmaction2 1.x JointToBone and ToMotion; the streams are those of Shi et
al., "Skeleton-Based Action Recognition with Multi-Stream Adaptive Graph
Convolutional Networks" (TIP 2020). Deviation: the third channel is a score if
the data have scores, not if the layout is named coco or openpose.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from skeljax.inputs import rounding

STREAMS = ('joint', 'bone', 'joint_motion', 'bone_motion')


def take_joints(x: jax.Array, index: Sequence[int]) -> jax.Array:
  """Return x[..., index, :] for a static index.

  Written as slices, which compile to copies inside a fusion, instead of a
  gather.
  """
  runs: list[list[int]] = []
  for v in index:
    if runs and v == runs[-1][1]:
      runs[-1][1] = v + 1
    else:
      runs.append([v, v + 1])
  return jnp.concatenate([x[..., a:b, :] for a, b in runs], axis=-2)


def bone(
  x: jax.Array,
  parents: Sequence[int],
  *,
  has_score: bool,
  published_rounding: bool = False,
) -> jax.Array:
  """Return the vector from each joint's parent to the joint; zero for a root.

  Args:
    x: [..., V, C], coordinates and, if has_score, the score.
    parents: the parent of each joint, itself for a root.
    has_score: whether the last channel is a score, which becomes the mean of
      both ends.
    published_rounding: round to float16 after each operation.

  Returns:
    Same shape, unit and dtype; index v is the bone that ends at joint v.
  """
  parent = take_joints(x, parents)
  return _difference(x, parent, has_score, published_rounding)


def motion(
  x: jax.Array,
  x_next: jax.Array,
  is_last: jax.Array,
  *,
  has_score: bool,
  published_rounding: bool = False,
) -> jax.Array:
  """Return the displacement from each frame to the next frame of the clip.

  Args:
    x: [..., C], joints or bones.
    x_next: the same, one frame later.
    is_last: bool, broadcasts against x; frames without a successor, whose
      motion is zero in all channels.
    has_score: whether the last channel is a score, which becomes the mean of
      both frames.
    published_rounding: round to float16 after each operation. Published bones
      are float32, so only the motion of joints is rounded.

  Returns:
    Same shape, unit and dtype.
  """
  moved = _difference(x_next, x, has_score, published_rounding)
  return jnp.where(is_last, 0, moved)


def _difference(
  end: jax.Array, start: jax.Array, has_score: bool, published_rounding: bool
) -> jax.Array:
  """end - start, with the mean of the scores in the last channel."""
  round_ = rounding.round_to_float16 if published_rounding else lambda x: x
  if not has_score:
    return round_(end - start)
  vector = round_(end[..., :-1] - start[..., :-1])
  score = round_(round_(end[..., -1:] + start[..., -1:]) / 2)
  return jnp.concatenate([vector, score], axis=-1)
