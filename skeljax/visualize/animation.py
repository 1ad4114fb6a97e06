"""The animation: skeletons and volumes of a clip side by side, as a GIF."""

from collections.abc import Sequence
import os

import numpy as np

from skeljax import atomic_file
from skeljax.visualize import clips
from skeljax.visualize import colors
from skeljax.visualize import figures
from skeljax.visualize import page as pages
from skeljax.visualize import sheet
from skeljax.visualize import volumes

_DPI = 100
# Inches. 64 heatmap pixels become 3 each, so none is wider than another.
_CELL = 1.92
_GAP = 0.1
_TOP = 0.76
_BOTTOM = 0.3
_PALETTE_SIZE = 96
# Frames that the colours of the palette are taken from.
_PALETTE_FRAMES = 6


def save(
  path: str | os.PathLike,
  clip: clips.Clip,
  drawn: Sequence[volumes.Volume] = (),
  *,
  color: str = 'heat',
  frame_rate: float = 15.0,
) -> None:
  """Writes a GIF that shows every frame of the clip in order, and loops.

  Args:
    path: the .gif to write.
    clip: the source.
    drawn: volumes of the clip; none for 3D, which is seen from two sides.
    color: 'heat' or 'channel', see volumes.paint.
    frame_rate: frames a second; a GIF counts in hundredths of a second.
  """
  from PIL import Image

  pictures = [
    Image.fromarray(picture) for picture in _pictures(clip, drawn, color)
  ]
  palette = _palette(pictures)
  frames = [
    picture.quantize(palette=palette, dither=Image.Dither.NONE)
    for picture in pictures
  ]
  with atomic_file.replacing(path) as temporary:
    frames[0].save(
      temporary,
      format='GIF',
      save_all=True,
      append_images=frames[1:],
      # Viewers take less than 2 hundredths for 10.
      duration=max(2, round(100 / frame_rate)) * 10,
      loop=0,
    )


def _palette(pictures: Sequence):
  """One palette for all frames: with one each, still parts would flicker."""
  from PIL import Image

  places = sheet.chosen_frames(len(pictures), _PALETTE_FRAMES)
  sample = np.concatenate([np.asarray(pictures[i]) for i in places])
  mixed = Image.fromarray(sample).quantize(
    _PALETTE_SIZE, method=Image.Quantize.MEDIANCUT
  )
  mixed = np.array(mixed.getpalette()).reshape(-1, 3)
  # The ground covers most of every frame: it has to be exact, without others
  # beside it that are as good to the eye and not to the compression.
  ground = np.round(255 * colors.rgb(colors.PANEL))
  mixed = mixed[np.abs(mixed - ground).max(1) > 12]
  table = np.concatenate([ground[None], mixed]).astype(np.uint8)
  palette = Image.new('P', (1, 1))
  palette.putpalette(table.tobytes())
  return palette


def _pictures(
  clip: clips.Clip, drawn: Sequence[volumes.Volume], color: str
) -> list[np.ndarray]:
  """[height, width, 3] uint8 for each frame."""
  from matplotlib import figure
  from matplotlib.backends import backend_agg

  views = sheet.views_of(clip, drawn)
  num_panels = len(views) + len(drawn)
  width = max(num_panels, 2) * (_CELL + _GAP) + _GAP
  height = _TOP + _CELL + _BOTTOM
  canvas = figure.Figure(
    figsize=(width, height), facecolor=colors.PANEL, dpi=_DPI
  )
  agg = backend_agg.FigureCanvasAgg(canvas)
  page = pages.Page(canvas, width, height)
  pages.title(page, clip, _GAP, 0.1)

  names = [f'from the {v.name}' if v.name else 'skeletons' for v in views]
  names += [f'{volume.stream}s' for volume in drawn]
  panels = []
  for place, name in enumerate(names):
    x = _GAP + place * (_CELL + _GAP)
    panels.append(page.axes(x, _TOP, _CELL, _CELL))
    page.text(x, _TOP - 0.06, name, va='bottom', fontsize=8)
  images = [
    pages.show(axes, volumes.paint(volume, 0, clip, color))
    for axes, volume in zip(panels[len(views) :], drawn, strict=True)
  ]
  counter, bar = _time_line(page, width, clip.num_frames)

  result = []
  for frame in range(clip.num_frames):
    for axes, view in zip(panels, views):
      for artist in tuple(axes.collections):
        artist.remove()
      figures.draw(axes, clip, frame, view, _CELL)
    for image, volume in zip(images, drawn, strict=True):
      image.set_data(volumes.paint(volume, frame, clip, color))
    counter.set_text(f'frame {frame}')
    bar.set_width((frame + 1) / clip.num_frames)
    agg.draw()
    result.append(np.asarray(agg.buffer_rgba())[..., :3].copy())
  return result


def _time_line(page: pages.Page, width: float, num_frames: int):
  """The frame's number and a bar that fills; the artists that change."""
  from matplotlib import patches

  y = _TOP + _CELL + 0.14
  room = 0.72
  axes = page.axes(_GAP + room, y, width - 2 * _GAP - room, 0.05)
  axes.set_frame_on(False)
  axes.set_xlim(0, 1)
  axes.set_ylim(0, 1)
  axes.add_patch(patches.Rectangle((0, 0), 1, 1, color='#e6e6e6', linewidth=0))
  bar = axes.add_patch(
    patches.Rectangle((0, 0), 0, 1, color=colors.QUIET, linewidth=0)
  )
  counter = page.canvas.text(
    _GAP / page.width,
    1 - (y + 0.025) / page.height,
    f'frame {num_frames - 1}',
    fontsize=7.5,
    color=colors.TEXT,
    va='center',
  )
  return counter, bar
