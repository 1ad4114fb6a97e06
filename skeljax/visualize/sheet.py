"""The sheet: a clip as small multiples, a column a frame, for print."""

from collections.abc import Sequence
import os
import textwrap

import numpy as np

from skeljax import atomic_file
from skeljax.visualize import clips
from skeljax.visualize import colors
from skeljax.visualize import figures
from skeljax.visualize import page as pages
from skeljax.visualize import volumes

_CELL = 1.18  # Inches: the side of a small picture.
_GAP = 0.07
_LEFT = 1.2  # Room for the names of the rows.
_RIGHT = 0.15
_TICKS = 0.24  # Room for numbers below a row.
_STRIP = 0.86  # Height of a projection over time.


def save(
  path: str | os.PathLike,
  clip: clips.Clip,
  drawn: Sequence[volumes.Volume] = (),
  *,
  num_frames: int = 8,
  color: str = 'heat',
  note: str = '',
  dpi: int = 200,
) -> None:
  """Writes the sheet as a PNG.

  Rows are the skeletons (3D: from the front and from the side) and a row a
  volume, all of the same frames; below them each volume whole, summed along
  one side of the picture, against time.

  Args:
    path: the .png to write.
    clip: the source.
    drawn: volumes of the clip; none for 3D.
    num_frames: columns; the frames are spread evenly from first to last.
    color: 'heat' or 'channel', see volumes.paint.
    note: a line at the bottom.
    dpi: pixels an inch.
  """
  from matplotlib import figure

  frames = chosen_frames(clip.num_frames, num_frames)
  views = views_of(clip, drawn)
  num_rows = len(views) + len(drawn)
  width = _LEFT + max(len(frames), 4) * (_CELL + _GAP) + _RIGHT
  row_gap = _GAP if drawn or len(views) == 1 else _TICKS
  strips = 2 * (_STRIP + _GAP) + 0.72 if drawn else 0
  notes = textwrap.wrap(note, int(width * 15))
  legend = pages.legend_rows(figures.legend(clip), width - _LEFT - _RIGHT)
  top = 0.78
  bottom = (
    0.2 + pages.LINE * len(notes) + pages.LINE * len(legend) + 0.1 * (not drawn)
  )
  height = top + num_rows * (_CELL + row_gap) + strips + bottom
  canvas = figure.Figure(figsize=(width, height), facecolor='white')
  page = pages.Page(canvas, width, height)

  pages.title(page, clip, _LEFT, 0.12)
  y = top
  for view in views:
    _skeleton_row(page, y, clip, view, frames)
    y += _CELL + row_gap
  for volume in drawn:
    _volume_row(page, y, clip, volume, frames, color)
    y += _CELL + _GAP
  if drawn and color == 'heat':
    _scale(page, y - _CELL - _GAP + 0.62)
  if drawn:
    _projections(page, y + 0.42, width, clip, drawn, frames, color)
  pages.foot(page, _LEFT, legend, notes)
  with atomic_file.replacing(path) as temporary:
    canvas.savefig(temporary, format='png', dpi=dpi)


def chosen_frames(total: int, count: int) -> list[int]:
  """Up to `count` frames spread evenly over `total`, first and last among them."""
  spread = np.linspace(0, total - 1, min(count, total))
  return [int(frame) for frame in np.round(spread)]


def views_of(
  clip: clips.Clip, drawn: Sequence[volumes.Volume]
) -> tuple[figures.View, ...]:
  """How the bodies are seen: where volumes are drawn, through their window."""
  if clip.dims == 3:
    return figures.body_views(clip)
  return (figures.picture_view(clip, drawn[0].window if drawn else None),)


def _cell_x(column: int) -> float:
  return _LEFT + column * (_CELL + _GAP)


def _row_name(page: pages.Page, y: float, name: str, detail: str) -> None:
  page.text(0.12, y + 0.02, name, fontweight='bold')
  page.text(0.12, y + 0.18, detail, color=colors.QUIET, fontsize=pages.FONT - 1)


def _skeleton_row(
  page: pages.Page,
  y: float,
  clip: clips.Clip,
  view: figures.View,
  frames: Sequence[int],
) -> None:
  unit = 'pixels of the\npicture' if clip.dims == 2 else ''
  detail = unit or f'{view.labels[1]} against {view.labels[0]}'
  name = 'skeletons' if not view.name else f'from the {view.name}'
  _row_name(page, y, name, detail)
  for column, frame in enumerate(frames):
    axes = page.axes(_cell_x(column), y, _CELL, _CELL)
    figures.draw(axes, clip, frame, view, _CELL)
    if view.name in ('', 'front'):
      axes.set_title(
        f'frame {frame}' if not column else f'{frame}',
        fontsize=pages.FONT,
        color=colors.TEXT,
        pad=3,
      )
    if not column:
      _end_ticks(axes.yaxis, axes.get_ylim())
    if not column and view.name:
      _end_ticks(axes.xaxis, axes.get_xlim())


def _end_ticks(axis, limits: tuple[float, float]) -> None:
  """Two round numbers near the ends: the scale without clutter."""
  low, high = sorted(limits)
  step = 10 ** np.floor(np.log10(high - low))
  for part in (step, step / 2, step / 10):
    ticks = (np.ceil(low / part) * part, np.floor(high / part) * part)
    if ticks[1] - ticks[0] >= 0.6 * (high - low):
      break
  axis.set_ticks(ticks, [f'{tick:g}' for tick in np.round(ticks, 6) + 0.0])


def _size_ticks(axes, size: int) -> None:
  """0 and the size, written inside the height, clear of the next row's."""
  axes.set_yticks([-0.5, size - 0.5], ['0', f'{size}'])
  for label, place in zip(axes.get_yticklabels(), ('top', 'bottom')):
    label.set_verticalalignment(place)


def _volume_row(
  page: pages.Page,
  y: float,
  clip: clips.Clip,
  volume: volumes.Volume,
  frames: Sequence[int],
  color: str,
) -> None:
  height, width = volume.heat.shape[1:]
  _row_name(
    page,
    y,
    f'{volume.stream}s',
    f'{volume.num_channels} channels\nof {height} × {width}',
  )
  for column, frame in enumerate(frames):
    axes = page.axes(_cell_x(column), y, _CELL, _CELL)
    picture = volumes.paint(volume, frame, clip, color)
    pages.show(axes, picture)
    if not column:
      _size_ticks(axes, height)


def _projections(
  page: pages.Page,
  y: float,
  width: float,
  clip: clips.Clip,
  drawn: Sequence[volumes.Volume],
  frames: Sequence[int],
  color: str,
) -> None:
  """Each volume seen along one side of the picture, against time."""
  _row_name(page, y, 'over time', 'heat summed over\nthe other side')
  room = width - _LEFT - _RIGHT - _GAP
  between = 0.42
  each = (room - between * (len(drawn) - 1)) / len(drawn)
  for place, volume in enumerate(drawn):
    x = _LEFT + place * (each + between)
    # The sum along x, axis 2 of [T, H, W], leaves y against time.
    for row, (name, along) in enumerate((('y', 2), ('x', 1))):
      axes = page.axes(x, y + row * (_STRIP + _GAP), each, _STRIP)
      pages.show(axes, volumes.project(volume, along, clip, color))
      _size_ticks(axes, volume.heat.shape[3 - along])
      axes.set_ylabel(
        name, rotation=0, fontsize=pages.FONT, color=colors.TEXT, va='center'
      )
      axes.yaxis.set_label_coords(-0.11 / each, 0.5)
      if not row:
        axes.set_title(f'{volume.stream}s', fontsize=pages.FONT, pad=6)
        _mark(axes, frames)
    axes.set_xticks(_time_ticks(clip.num_frames))
    axes.set_xlabel('frame', fontsize=pages.FONT, labelpad=2)


def _mark(axes, frames: Sequence[int]) -> None:
  """Small triangles above the frames that the columns show."""
  axes.plot(
    frames,
    [1.04] * len(frames),
    'v',
    transform=axes.get_xaxis_transform(),
    color=colors.QUIET,
    markersize=2.6,
    markeredgewidth=0,
    clip_on=False,
  )


def _time_ticks(total: int) -> list[int]:
  for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000):
    if total / step <= 8:
      break
  return list(range(0, total, step))


def _scale(page: pages.Page, y: float) -> None:
  """What the colours of the volumes mean, in the margin."""
  axes = page.axes(0.12, y, 0.72, 0.09)
  ramp = colors.heat_map()(np.linspace(0, 1, 256))[None, :, :3]
  axes.imshow(ramp, aspect='auto', extent=(0, 1, 0, 1))
  for x, label in ((0, '0'), (0.36, 'heat'), (0.72, '1')):
    page.text(
      0.12 + x,
      y + 0.11,
      label,
      ha='center',
      color=colors.QUIET,
      fontsize=pages.FONT - 1,
    )
