"""What sheet and animation share: a page in inches, its title, its legend."""

from collections.abc import Sequence

import numpy as np

from skeljax.visualize import clips
from skeljax.visualize import colors
from skeljax.visualize import figures

FONT = 7.5
LINE = 0.165  # Inches of text, from one line to the next.
_STROKE = 0.2  # Length of a line in the legend.

# Colours of a legend's entry, and its words.
Entry = tuple[list[np.ndarray], str]


class Page:
  """Places axes and text in inches from the upper left corner."""

  def __init__(self, canvas, width: float, height: float):
    self.canvas = canvas
    self.width = width
    self.height = height

  def axes(self, x: float, y: float, width: float, height: float):
    """Empty axes with a quiet frame and no ticks."""
    axes = self.canvas.add_axes(
      (
        x / self.width,
        1 - (y + height) / self.height,
        width / self.width,
        height / self.height,
      )
    )
    axes.set_facecolor(colors.PANEL)
    for spine in axes.spines.values():
      spine.set(color=colors.FRAME, linewidth=0.6)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.tick_params(
      labelsize=FONT - 1,
      labelcolor=colors.QUIET,
      color=colors.FRAME,
      length=2,
      width=0.6,
      pad=1.5,
    )
    return axes

  def text(self, x: float, y: float, text: str, **style) -> None:
    """Text whose upper left corner is there, unless the style says else."""
    style = dict(fontsize=FONT, color=colors.TEXT, va='top') | style
    self.canvas.text(x / self.width, 1 - y / self.height, text, **style)


def title(page: Page, clip: clips.Clip, x: float, y: float) -> None:
  """The class, and below it which clip this is."""
  name, description = clip.class_name or clip.id, describe(clip)
  room = page.width - x
  page.text(x, y, _shorten(name, room / 0.1), fontsize=11, fontweight='bold')
  page.text(x, y + 0.22, _shorten(description, room / 0.06), color=colors.QUIET)


def _shorten(text: str, most: float) -> str:
  return text if len(text) <= most else text[: int(most) - 1] + '…'


def describe(clip: clips.Clip) -> str:
  """The clip in a line: id and sizes."""

  def count(number, noun):
    return f'{number:,} {noun}{"s" if number != 1 else ""}'

  parts = [] if not clip.class_name else [clip.id]
  parts += [
    count(clip.num_frames, 'frame'),
    count(figures.persons_seen(clip), 'person'),
    f'{clip.layout.num_joints} joints ({clip.layout.name}), {clip.dims}D',
  ]
  return '  ·  '.join(parts)


def show(axes, picture: np.ndarray):
  """The picture pixel by pixel, its first row on top."""
  return axes.imshow(picture, interpolation='nearest', aspect='auto')


def legend_rows(entries: Sequence[Entry], room: float) -> list[list[Entry]]:
  """The entries of the legend in as many rows as they need."""
  rows, used = [], room
  for entry in entries:
    width = _entry_width(entry)
    if used + width > room:
      rows.append([])
      used = 0.0
    rows[-1].append(entry)
    used += width
  return rows


def _entry_width(entry: Entry) -> float:
  shades, words = entry
  return _STROKE * len(shades) + 0.058 * len(words) + 0.28


def foot(
  page: Page,
  left: float,
  legend: Sequence[Sequence[Entry]],
  notes: Sequence[str],
) -> None:
  """The legend of the bodies at the foot, and below it what is to be said.

  Args:
    page: where.
    left: inches from the left.
    legend: rows of entries.
    notes: lines.
  """
  from matplotlib import lines

  y = page.height - 0.12 - LINE * (len(legend) + len(notes)) - 0.05
  for row in legend:
    x = left
    for shades, words in row:
      for place, shade in enumerate(shades):
        ends = [x + _STROKE * (place + end) for end in (0.08, 0.92)]
        page.canvas.add_artist(
          lines.Line2D(
            [end / page.width for end in ends],
            [1 - (y + LINE / 2) / page.height] * 2,
            color=shade,
            linewidth=2.4,
            solid_capstyle='butt',
          )
        )
      page.text(
        x + _STROKE * len(shades) + 0.07, y + LINE / 2, words, va='center'
      )
      x += _entry_width((shades, words))
    y += LINE
  y += 0.05
  for line in notes:
    page.text(
      left,
      y + LINE / 2,
      line,
      va='center',
      color=colors.QUIET,
      fontsize=FONT - 0.5,
    )
    y += LINE
