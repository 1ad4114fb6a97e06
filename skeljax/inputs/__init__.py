"""Device features: from the batch that the host ships to the model's input.

Pure functions over the whole batch, meant to run inside the jitted step:
streams of joints for graph networks (keypoints), volumes of heatmaps for PoseC3D
(volumes). Both work in two steps. `prepare` does what looks at all views of a
clip together; `render` makes the model's input of some of the views, so that
an evaluation of many can go through the model a few at a time.
"""

import jax
import jax.numpy as jnp

from skeljax.inputs import keypoints
from skeljax.inputs import volumes
from skeljax.inputs.keypoints import Batch
from skeljax.inputs.options import FeatureOptions
from skeljax.inputs.volume_options import VolumeOptions

Options = FeatureOptions | VolumeOptions

__all__ = [
  'Batch',
  'FeatureOptions',
  'Options',
  'VolumeOptions',
  'model_input',
  'prepare',
  'render',
]


def prepare(
  batch: Batch,
  options: Options,
  *,
  rng: jax.Array | None = None,
  train: bool,
) -> jax.Array:
  """Skeletons of every view after all that moves joints.

  Args:
    batch: see keypoints.prepare and volumes.prepare.
    options: what to compute.
    rng: key of this step; None unless training.
    train: whether to draw random views.

  Returns:
    [B, N, M, T, V, C] float32.

  Raises:
    ValueError: the batch is not what the options need.
  """
  room = volumes if isinstance(options, VolumeOptions) else keypoints
  return room.prepare(batch, options, rng=rng, train=train)


def render(
  views: jax.Array,
  options: Options,
  *,
  train: bool,
  mirrored: bool = False,
  dtype: jnp.dtype = jnp.float32,
) -> jax.Array:
  """The model's input for some views of `prepare`.

  Args:
    views: [B, N, M, T, V, C].
    options: those of `prepare`.
    train: that of `prepare`.
    mirrored: each view's mirror image beside it; for volumes only.
    dtype: of volumes, which are large.

  Returns:
    [B * N, M, T, V, C], or volumes [B * N', T, H, W, C] with N' = N, or 2 N
    when mirrored.
  """
  if isinstance(options, VolumeOptions):
    return volumes.render(
      views, options, train=train, mirrored=mirrored, dtype=dtype
    )
  if mirrored:
    raise ValueError('only volumes are scored together with their mirror image')
  return views.reshape(-1, *views.shape[2:])


def model_input(
  batch: Batch,
  options: Options,
  *,
  rng: jax.Array | None = None,
  train: bool,
  dtype: jnp.dtype = jnp.float32,
) -> jax.Array:
  """`prepare` and `render` at once."""
  views = prepare(batch, options, rng=rng, train=train)
  return render(views, options, train=train, dtype=dtype)
