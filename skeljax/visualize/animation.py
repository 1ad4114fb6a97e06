"""A clip as an animated GIF: skeletons and heatmaps side by side."""

from collections.abc import Sequence
import os
from typing import Any

from skeljax import atomic_file
from skeljax.visualize import clips
from skeljax.visualize import heatmaps
from skeljax.visualize import skeleton_plot
from skeljax.visualize import style

_DPI = 100
# Inches. 64 heatmap pixels become 3 image pixels each.
_CELL = 1.92
_GAP = 0.1
_TOP = 0.76
_BOTTOM = 0.3


def save(
  path: str | os.PathLike,
  clip: clips.Clip,
  volumes: Sequence[heatmaps.Volume] = (),
  *,
  color: str = 'heat',
  frame_rate: float = 15.0,
) -> None:
  """Write a GIF that shows every frame of the clip and loops.

  Args:
    path: the .gif to write.
    clip: the clip.
    volumes: heatmap volumes of the clip; none for 3D.
    color: 'heat' or 'channel', see heatmaps.paint.
    frame_rate: frames per second; GIF rounds durations to 10 ms.
  """
  import matplotlib
  from matplotlib import animation
  from matplotlib import figure

  views = skeleton_plot.views(clip, volumes[0].window if volumes else None)
  names = [f'{v.name} view' if v.name else 'skeletons' for v in views]
  names += [f'{volume.stream}s' for volume in volumes]
  width = max(len(names), 2) * (_CELL + _GAP) + _GAP
  height = _TOP + _CELL + _BOTTOM
  rate: Any = frame_rate  # matplotlib annotates int, but uses any number.
  writer = animation.PillowWriter(fps=rate)
  with (
    matplotlib.rc_context(style.RC_PARAMS),
    atomic_file.replacing(path) as temporary,
  ):
    fig = figure.Figure(
      figsize=(width, height), facecolor=style.BACKGROUND, dpi=_DPI
    )
    skeleton_plot.title(fig, clip, _GAP / width)
    panels = fig.subplots(
      1,
      len(names),
      squeeze=False,
      gridspec_kw=dict(
        left=_GAP / width,
        right=len(names) * (_CELL + _GAP) / width,
        bottom=_BOTTOM / height,
        top=1 - _TOP / height,
        wspace=_GAP / _CELL,
      ),
    )[0]
    for axes, name in zip(panels, names):
      axes.set(xticks=[], yticks=[])
      axes.set_title(name, loc='left')
    images = [
      axes.imshow(heatmaps.paint(volume, 0, clip, color))
      for axes, volume in zip(panels[len(views) :], volumes, strict=True)
    ]
    counter = fig.text(_GAP / width, 0.1 / height, '')
    timeline = fig.add_axes(
      (0.72 / width, 0.11 / height, 1 - 0.82 / width, 0.05 / height)
    )
    timeline.set(xlim=(0, 1), xticks=[], yticks=[], frame_on=True)
    [bar] = timeline.barh(0, 0, color=style.MUTED)
    with writer.saving(fig, temporary, _DPI):
      for frame in range(clip.num_frames):
        for axes, view in zip(panels, views):
          for artist in tuple(axes.collections):
            artist.remove()
          skeleton_plot.draw(axes, clip, frame, view, _CELL)
        for image, volume in zip(images, volumes, strict=True):
          image.set_data(heatmaps.paint(volume, frame, clip, color))
        counter.set_text(f'frame {frame}')
        bar.set_width((frame + 1) / clip.num_frames)
        writer.grab_frame()
