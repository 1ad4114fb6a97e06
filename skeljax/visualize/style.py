"""Plot style, and colour-blind safe colours for persons, sides and channels.

Each person has a hue: pale on the left side of the body, dark on the right, so
that sides differ in brightness and survive a black-and-white print. Heatmap
channels, which all persons share, have one hue per left-right pair.

Source: the hues of Okabe and Ito, "Color Universal Design" (persons), and of
Paul Tol's "muted" scheme (channels).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from skeljax import skeletons

SIDES = ('left', 'middle', 'right')

MUTED = '#767676'  # Readable on white.
BACKGROUND = '#fafaf8'
RC_PARAMS: dict[Any, Any] = {
  'axes.edgecolor': '#c8c8c8',
  'axes.facecolor': BACKGROUND,
  'axes.linewidth': 0.6,
  'axes.titlepad': 3,
  'axes.titlesize': 7.5,
  'font.size': 7.5,
  'image.aspect': 'auto',
  'image.interpolation': 'nearest',
  'legend.fontsize': 7.5,
  'legend.frameon': False,
  'text.color': '#222222',
  'xtick.labelsize': 6.5,
  'ytick.labelsize': 6.5,
  'xtick.color': '#c8c8c8',
  'ytick.color': '#c8c8c8',
  'xtick.labelcolor': MUTED,
  'ytick.labelcolor': MUTED,
  'xtick.major.size': 2,
  'ytick.major.size': 2,
}

_PERSONS = ('#0072b2', '#d55e00', '#009e73', '#aa4499', '#8c6d00')
_CHANNELS = (
  '#332288', '#cc6677', '#117733', '#aa4499', '#999933', '#3c9dc4', '#882255',
  '#44aa99', '#c7a84b',
)  # fmt: skip
_MIDDLE_CHANNEL = '#5a5a5a'
# What a hue is blended with, and how much of it.
_SHADES = {
  'left': ('white', 0.38),
  'middle': ('black', 0),
  'right': ('black', 0.38),
}


def rgb(color: str) -> np.ndarray:
  """[3] float in 0..1."""
  from matplotlib import colors

  return np.array(colors.to_rgb(color))


def person_color(person: int, side: str) -> np.ndarray:
  """[3] colour of one side of a person; hues repeat after the fifth person."""
  return _shade(_PERSONS[person % len(_PERSONS)], side)


def joint_sides(layout: skeletons.Layout) -> list[str]:
  """'left', 'right' or 'middle' for each joint."""
  sides = ['middle'] * layout.num_joints
  for left, right in layout.left_right:
    sides[left], sides[right] = 'left', 'right'
  return sides


def pair_sides(
  layout: skeletons.Layout, pairs: Sequence[tuple[int, int]]
) -> list[str]:
  """The side of each joint pair; 'middle' if it connects left and right."""
  sides = joint_sides(layout)
  result = []
  for pair in pairs:
    found = {sides[joint] for joint in pair} - {'middle'}
    result.append(found.pop() if len(found) == 1 else 'middle')
  return result


def channel_colors(layout: skeletons.Layout, stream: str) -> np.ndarray:
  """[channels, 3] one colour per joint ('keypoint') or limb ('limb').

  Left-right pairs share a hue. A layout without pairs has a hue per channel.
  """
  if stream == 'keypoint':
    sides, flip = joint_sides(layout), layout.flip_index
  else:
    sides, flip = pair_sides(layout, layout.limbs), layout.limb_flip_index
  hues: dict[int, str] = {}
  result = []
  for channel, (side, other) in enumerate(zip(sides, flip, strict=True)):
    if layout.left_right and channel == other:
      result.append(rgb(_MIDDLE_CHANNEL))
      continue
    pair = min(channel, other)
    hue = hues.setdefault(pair, _CHANNELS[len(hues) % len(_CHANNELS)])
    result.append(_shade(hue, side))
  return np.array(result)


def heat_map():
  """Colour map from the background to nearly black, of falling brightness."""
  import matplotlib
  from matplotlib import colors

  ink = matplotlib.colormaps['magma_r'](np.linspace(0.2, 1, 9))
  return colors.LinearSegmentedColormap.from_list('heat', [BACKGROUND, *ink])


def _shade(hue: str, side: str) -> np.ndarray:
  other, amount = _SHADES[side]
  return (1 - amount) * rgb(hue) + amount * rgb(other)
