"""A clip as a sheet of small images, one column per frame."""

from collections.abc import Sequence
import os
import textwrap
from typing import Any

import numpy as np

from skeljax import atomic_file
from skeljax.visualize import clips
from skeljax.visualize import heatmaps
from skeljax.visualize import skeleton_plot
from skeljax.visualize import style

# Inches.
_CELL = 1.25
_STRIP = 0.9
_LEFT = 0.8
_RIGHT = 0.65
_TOP = 0.85
_LINE = 0.17


def save(
  path: str | os.PathLike,
  clip: clips.Clip,
  volumes: Sequence[heatmaps.Volume] = (),
  *,
  num_frames: int = 8,
  color: str = 'heat',
  note: str = '',
  dpi: int = 200,
) -> None:
  """Write the sheet as a PNG.

  The upper rows show the same frames as skeletons (3D: from the front and from
  the side) and as heatmaps. Below, each volume is summed along one image axis
  and plotted over time.

  Args:
    path: the .png to write.
    clip: the clip.
    volumes: heatmap volumes of the clip; none for 3D.
    num_frames: columns; the frames are spread evenly from first to last.
    color: 'heat' or 'channel', see heatmaps.paint.
    note: text at the bottom.
    dpi: pixels per inch.
  """
  import matplotlib
  from matplotlib import figure

  frames = chosen_frames(clip.num_frames, num_frames)
  views = skeleton_plot.views(clip, volumes[0].window if volumes else None)
  width = _LEFT + max(len(frames), 4) * _CELL + _RIGHT
  note = textwrap.fill(note, int(15 * width))
  entries = skeleton_plot.legend(clip)
  num_columns = int(width / 2.2)
  # Inches from the top: the rows of frames, then the sums over time.
  num_rows = len(views) + len(volumes)
  rows = _TOP, _TOP + num_rows * _CELL
  sums = rows[1] + 0.5, rows[1] + 0.5 + 2 * _STRIP
  num_lines = 1 + note.count('\n') + 1.5 * -(-len(entries) // num_columns)
  height = (sums if volumes else rows)[1] + 0.55 + _LINE * num_lines

  def grid(num_rows, num_columns, span, right, **spacing):
    return fig.add_gridspec(
      num_rows,
      num_columns,
      left=_LEFT / width,
      right=right / width,
      top=1 - span[0] / height,
      bottom=1 - span[1] / height,
      **spacing,
    ).subplots(squeeze=False)

  with matplotlib.rc_context(style.RC_PARAMS):
    fig = figure.Figure(figsize=(width, height), facecolor='white')
    skeleton_plot.title(fig, clip, _LEFT / width)
    axes = grid(
      num_rows,
      len(frames),
      rows,
      _LEFT + len(frames) * _CELL,
      wspace=0.06,
      hspace=0.06 if clip.dims == 2 else 0.2,
    )
    _draw_frames(axes, clip, views, volumes, frames, color)
    if volumes:
      axes = grid(2, len(volumes), sums, width - _RIGHT, hspace=0.1)
      _draw_sums(axes, clip, volumes, frames, color)
    _legend(fig, entries, _LEFT / width, note, num_columns)
    with atomic_file.replacing(path) as temporary:
      fig.savefig(temporary, format='png', dpi=dpi)


def chosen_frames(total: int, count: int) -> list[int]:
  """Up to `count` frames spread evenly over `total`, with first and last."""
  spread = np.linspace(0, total - 1, min(count, total))
  return [int(frame) for frame in np.round(spread)]


def _draw_frames(
  axes: Any,
  clip: clips.Clip,
  views: Sequence[skeleton_plot.View],
  volumes: Sequence[heatmaps.Volume],
  frames: Sequence[int],
  color: str,
) -> None:
  """Fill [rows, frames] axes with skeletons, then heatmaps."""
  from matplotlib import cm
  from matplotlib import ticker

  for a in axes.flat:
    a.set(xticks=[], yticks=[])
  for a in axes[:, 0]:
    a.yaxis.set_major_locator(ticker.MaxNLocator(3))
  for a, frame in zip(axes[0], frames):
    a.set_title(f'frame {frame}')
  for row, view in zip(axes, views):
    for a, frame in zip(row, frames):
      skeleton_plot.draw(a, clip, frame, view, _CELL)
    row[0].set_ylabel(view.label)
    if clip.dims == 3:
      row[0].xaxis.set_major_locator(ticker.MaxNLocator(3))
  for row, volume in zip(axes[len(views) :], volumes):
    for a, frame in zip(row, frames):
      a.imshow(heatmaps.paint(volume, frame, clip, color))
    height, width = volume.heat.shape[1:]
    row[0].set_ylabel(
      f'{volume.stream}s\n({volume.num_channels} × {height} × {width})'
    )
  if volumes and color == 'heat':
    a = axes[-1, -1]
    a.figure.colorbar(
      cm.ScalarMappable(cmap=style.heat_map()),
      cax=a.inset_axes((1.06, 0, 0.05, 1)),
      ticks=(0, 0.5, 1),
      label='heat',
    )


def _draw_sums(
  axes: Any,
  clip: clips.Clip,
  volumes: Sequence[heatmaps.Volume],
  frames: Sequence[int],
  color: str,
) -> None:
  """Fill [2, volumes] axes with sums along x and along y over time."""
  for column, volume in zip(axes.T, volumes):
    # The sum along x, axis 2 of [T, H, W], leaves y over time.
    for a, name, along in zip(column, 'yx', (2, 1)):
      a.imshow(heatmaps.project(volume, along, clip, color))
      a.set_ylabel(name, rotation=0, va='center')
    column[0].set_xticks([])
    column[0].set_title(f'sum of {volume.stream}s over the other axis', pad=6)
    # Triangles above the frames of the columns.
    column[0].plot(
      frames,
      [1.04] * len(frames),
      'v',
      transform=column[0].get_xaxis_transform(),
      color=style.MUTED,
      markersize=2.6,
      markeredgewidth=0,
      clip_on=False,
    )
    column[1].set_xlabel('frame')


def _legend(fig, entries, left: float, note: str, num_columns: int) -> None:
  """Put the legend and the note at the bottom of the figure."""
  from matplotlib import legend_handler
  from matplotlib import lines

  fig.text(left, 0.08 / fig.get_figheight(), note, color=style.MUTED)
  if entries:
    fig.legend(
      [
        tuple(lines.Line2D([], [], color=c, linewidth=2.4) for c in shades)
        for shades, _ in entries
      ],
      [label for _, label in entries],
      handler_map={tuple: legend_handler.HandlerTuple(ndivide=None)},
      handlelength=1.5 * max(len(shades) for shades, _ in entries),
      loc='lower left',
      bbox_to_anchor=(
        left,
        _LINE * (note.count('\n') + 1) / fig.get_figheight(),
      ),
      borderaxespad=0.5,
      ncols=num_columns,
    )
