"""Heatmap volumes of a clip, drawn as for the network, reduced to pictures.

The volumes come from skeljax.inputs, so that a picture shows no look-alike of
the model's input: compact box, test size, Gaussians. Only the choice of frames
differs: here all frames of the clip are drawn, and the box is around all.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from skeljax.inputs import volume_options
from skeljax.inputs import volumes as features_volumes
from skeljax.visualize import clips
from skeljax.visualize import colors

# Frames that are rendered at once: bounds the memory, and is compiled once.
_CHUNK = 32


@dataclasses.dataclass(frozen=True)
class Volume:
  """A volume after the maximum over its channels.

  Attributes:
    stream: 'keypoint' or 'limb'.
    heat: [T, H, W] float32, 0 to 1; the largest value over the channels.
    channel: [T, H, W] uint16, the channel that has it.
    num_channels: of the volume.
    window: (left, right, top, bottom), the pixels of the picture that the
      volume shows.
  """

  stream: str
  heat: np.ndarray
  channel: np.ndarray
  num_channels: int
  window: tuple[float, float, float, float]


def compute(
  clip: clips.Clip, stream: str, *, sigma: float = 0.6, size: int = 64
) -> Volume:
  """The volume of all frames of a 2D clip.

  Args:
    clip: two coordinates, with img_shape.
    stream: 'keypoint' or 'limb'.
    sigma: of the Gaussians, heatmap pixels.
    size: sides of the heatmaps, as in testing.

  Raises:
    UserError: options that make no volume.
  """
  options = volume_options.VolumeOptions(
    layout=clip.layout,
    has_score=clip.score is not None,
    stream=stream,
    sigma=sigma,
    test_size=size,
  )
  points = np.asarray(
    features_volumes.prepare(_batch(clip), options, train=False)
  )
  heat, channel = [], []
  for start in range(0, clip.num_frames, _CHUNK):
    part = points[:, :, :, start : start + _CHUNK]
    missing = _CHUNK - part.shape[3]
    # Score 0 behind the last frame: nothing is drawn there.
    part = np.pad(part, [(0, 0)] * 3 + [(0, missing)] + [(0, 0)] * 2)
    largest, which = _render(part, options)
    heat.append(np.asarray(largest)[: _CHUNK - missing])
    channel.append(np.asarray(which)[: _CHUNK - missing])
  return Volume(
    stream=stream,
    heat=np.concatenate(heat),
    channel=np.concatenate(channel),
    num_channels=options.num_channels,
    window=_window(clip, points[0, 0], size),
  )


@functools.partial(jax.jit, static_argnames='options')
def _render(
  points: jax.Array, options: volume_options.VolumeOptions
) -> tuple[jax.Array, jax.Array]:
  volume = features_volumes.render(points, options, train=False)[0]
  return volume.max(axis=-1), volume.argmax(axis=-1).astype(jnp.uint16)


def _batch(clip: clips.Clip) -> dict[str, np.ndarray]:
  """The clip as a batch of one with one view of all its frames."""
  frames = clip.num_frames
  batch = {
    'keypoint': clip.keypoint[None, None],
    'num_valid_persons': np.array([clip.num_persons], np.int32),
    'frame_index': np.arange(frames, dtype=np.int32)[None, None],
    'total_frames': np.array([frames], np.int32),
    'img_shape': np.array([clip.img_shape], np.int32),
    'index': np.zeros(1, np.int32),
  }
  if clip.score is not None:
    batch['score'] = clip.score[None, None]
  return batch


def _window(
  clip: clips.Clip, points: np.ndarray, size: int
) -> tuple[float, float, float, float]:
  """Where the heatmap lies in the picture, from where the joints went.

  Each coordinate was scaled and shifted, so two joints that differ tell how;
  where no two differ along an axis, the other axis has the same scale.

  Args:
    clip: the source.
    points: [M, T, V, 3] the same joints in the heatmap.
    size: sides of the heatmap.
  """
  before, after = clip.keypoint.reshape(-1, 2), points[..., :2].reshape(-1, 2)
  seen = (before != 0).all(-1)
  before, after = before[seen], after[seen]
  scales, corners = [], []
  for axis in range(2):
    if not len(before):
      scales.append(0.0)
      corners.append((0.0, 0.0))
      continue
    low, high = before[:, axis].argmin(), before[:, axis].argmax()
    extent = before[high, axis] - before[low, axis]
    change = after[high, axis] - after[low, axis]
    scales.append(change / extent if extent >= 1 else 0.0)
    corners.append((before[low, axis], after[low, axis]))
  window = []
  for scale, (source, target) in zip(scales, corners, strict=True):
    # One joint in one frame says nothing of the scale; this is that of a
    # picture that fills the heatmap.
    scale = scale or max(scales) or size / (min(clip.img_shape) or size)
    left = source - target / scale
    window += [float(left), float(left + size / scale)]
  return tuple(window)


def paint(
  volume: Volume, frame: int, clip: clips.Clip, color: str
) -> np.ndarray:
  """[H, W, 3] a frame of the volume: no ink at heat 0, full ink at 1.

  Args:
    volume: of the clip.
    frame: which.
    clip: whose layout names the channels.
    color: 'heat' (one colour map for all) or 'channel' (each joint or limb its
      colour, and as much ink as the square root of its heat, because blobs
      that are weak and pale at once cannot be told apart).
  """
  palette = colors.channel_colors(clip.layout, volume.stream)
  return _ink(volume.heat[frame], palette[volume.channel[frame]], color)


def project(
  volume: Volume, along: int, clip: clips.Clip, color: str
) -> np.ndarray:
  """[H or W, T, 3] the sum along an axis of [T, H, W], as ink.

  The largest sum is full ink; colours mix in the proportion of their heat.
  """
  palette = colors.channel_colors(clip.layout, volume.stream)
  heat = volume.heat.sum(along)
  # One channel of colour after the other: [T, H, W, 3] would be large.
  mixed = [(volume.heat * c[volume.channel]).sum(along) for c in palette.T]
  mixed = np.stack(mixed, -1) / np.maximum(heat, 1e-9)[..., None]
  full = heat.max() or 1
  return np.swapaxes(_ink(heat / full, mixed, color), 0, 1)


def _ink(heat: np.ndarray, hue: np.ndarray, color: str) -> np.ndarray:
  """[..., 3] the ground under so much ink; hue [..., 3] is its colour."""
  heat = np.clip(heat, 0, 1)
  if color == 'heat':
    return colors.heat_map()(heat)[..., :3]
  ground = colors.rgb(colors.PANEL)
  return ground + np.sqrt(heat)[..., None] * (hue - ground)
