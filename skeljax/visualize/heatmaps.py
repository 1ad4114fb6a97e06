"""Heatmap volumes of a clip as images.

The heatmaps are rendered by skeljax.inputs, as PoseC3D gets them in a test.
Only the frames differ: every frame of the clip is rendered, and the box is
around the persons of all of them.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from skeljax import inputs
from skeljax.datasets.spec import DataSpec
from skeljax.visualize import clips
from skeljax.visualize import style

# Frames rendered at once: bounds the memory, compiled once.
_CHUNK = 32


@dataclasses.dataclass(frozen=True)
class Volume:
  """A heatmap volume after the maximum over its channels.

  Attributes:
    stream: 'keypoint' or 'limb'.
    heat: [T, H, W] float32 in 0..1, largest value over the channels.
    channel: [T, H, W] uint16, the channel with this value.
    num_channels: of the volume.
    window: (left, right, top, bottom), image pixels that the volume covers.
  """

  stream: str
  heat: np.ndarray
  channel: np.ndarray
  num_channels: int
  window: tuple[float, float, float, float]


def compute(
  clip: clips.Clip, stream: str, *, sigma: float = 0.6, size: int = 64
) -> Volume:
  """Render the heatmap volume of all frames of a 2D clip.

  Args:
    clip: 2D, with img_shape.
    stream: 'keypoint' or 'limb'.
    sigma: standard deviation of the Gaussians in heatmap pixels.
    size: height and width of the heatmaps.

  Raises:
    UserError: the options are invalid.
  """
  spec = DataSpec(
    layout=clip.layout,
    class_names=(),
    num_channels=2,
    num_persons=clip.num_persons,
    score_dtype='' if clip.score is None else clip.score.dtype.name,
  )
  heatmaps = inputs.Heatmaps(spec, stream, sigma=sigma, test_size=size)
  batch = jax.tree.map(jnp.asarray, _batch(clip))
  points = np.asarray(heatmaps.prepare(batch, train=False))
  heat, channel = [], []
  for start in range(0, clip.num_frames, _CHUNK):
    part = points[:, :, :, start : start + _CHUNK]
    missing = _CHUNK - part.shape[3]
    # Padding with score 0 draws nothing.
    part = np.pad(part, [(0, 0)] * 3 + [(0, missing)] + [(0, 0)] * 2)
    largest, which = _render(part, heatmaps)
    heat.append(np.asarray(largest)[: _CHUNK - missing])
    channel.append(np.asarray(which)[: _CHUNK - missing])
  return Volume(
    stream=stream,
    heat=np.concatenate(heat),
    channel=np.concatenate(channel),
    num_channels=heatmaps.num_channels,
    window=_window(clip, points[0, 0], size),
  )


@functools.partial(jax.jit, static_argnames='heatmaps')
def _render(
  points: jax.Array, heatmaps: inputs.Heatmaps
) -> tuple[jax.Array, jax.Array]:
  volume = heatmaps.render(points, train=False)[0]
  return volume.max(axis=-1), volume.argmax(axis=-1).astype(jnp.uint16)


def _batch(clip: clips.Clip) -> dict[str, np.ndarray]:
  """A batch of this clip, with one view of all frames."""
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
  """Recover the box that the heatmap covers from the joints' new coordinates.

  Each axis was scaled and shifted, so its two extreme joints define the map.
  An axis along which all joints coincide takes the scale of the other one.

  Args:
    clip: source of the keypoints.
    points: [M, T, V, 3], the same joints in heatmap coordinates.
    size: height and width of the heatmap.
  """
  before, after = clip.keypoint.reshape(-1, 2), points[..., :2].reshape(-1, 2)
  present = (before != 0).all(-1)
  before, after = before[present], after[present]
  if not len(before):
    before = after = np.zeros((1, 2))
  scales, origins = [], []
  for x, new_x in zip(before.T, after.T):
    low, high = x.argmin(), x.argmax()
    extent = x[high] - x[low]
    scales.append((new_x[high] - new_x[low]) / extent if extent >= 1 else 0.0)
    origins.append((x[low], new_x[low]))
  window: list[float] = []
  for scale, (x, new_x) in zip(scales, origins, strict=True):
    # With a single joint: the scale of an image that fills the heatmap.
    scale = scale or max(scales) or size / (min(clip.img_shape) or size)
    left = x - new_x / scale
    window += [float(left), float(left + size / scale)]
  left, right, top, bottom = window
  return left, right, top, bottom


def paint(
  volume: Volume, frame: int, clip: clips.Clip, color: str
) -> np.ndarray:
  """[H, W, 3] image of a frame, from the background at heat 0 to full colour.

  Args:
    volume: of the clip.
    frame: index of the frame.
    clip: its layout defines the channels.
    color: 'heat' (one colour map) or 'channel' (one colour per joint or limb,
      blended with the square root of the heat, so that weak Gaussians keep
      their hue).
  """
  palette = style.channel_colors(clip.layout, volume.stream)
  return _blend(volume.heat[frame], palette[volume.channel[frame]], color)


def project(
  volume: Volume, along: int, clip: clips.Clip, color: str
) -> np.ndarray:
  """[H or W, T, 3] image of the sum along an axis of [T, H, W].

  The largest sum has full colour; channels mix in proportion to their heat.
  """
  palette = style.channel_colors(clip.layout, volume.stream)
  heat = volume.heat.sum(along)
  # One colour component at a time: [T, H, W, 3] would be large.
  mixed = [(volume.heat * c[volume.channel]).sum(along) for c in palette.T]
  mixed = np.stack(mixed, -1) / np.maximum(heat, 1e-9)[..., None]
  return np.swapaxes(_blend(heat / (heat.max() or 1), mixed, color), 0, 1)


def _blend(heat: np.ndarray, hue: np.ndarray, color: str) -> np.ndarray:
  """[..., 3] background with as much of the hue [..., 3] as there is heat."""
  heat = np.clip(heat, 0, 1)
  if color == 'heat':
    return style.heat_map()(heat)[..., :3]
  background = style.rgb(style.BACKGROUND)
  return background + np.sqrt(heat)[..., None] * (hue - background)
