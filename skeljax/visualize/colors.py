"""Colours that tell persons, sides and channels apart, for every eye.

A person has a hue; left is its light shade, right its dark one, so that the two
differ in brightness too and survive a black-and-white print. In volumes, where
persons share a channel, a pair of mirrored joints or limbs has the hue, with
the same rule for its sides.

Source: the hues are those of Okabe and Ito, "Color Universal Design" (persons),
and of Paul Tol's "muted" scheme (channels), both made for the colour-blind.
"""

from collections.abc import Sequence

import numpy as np

from skeljax import skeletons

SIDES = ('left', 'middle', 'right')

TEXT = '#222222'
QUIET = '#767676'  # Labels; dark enough to be read on white.
FRAME = '#c8c8c8'
PANEL = '#fafaf8'

_PERSONS = ('#0072b2', '#d55e00', '#009e73', '#aa4499', '#8c6d00')
_CHANNELS = (
  '#332288', '#cc6677', '#117733', '#aa4499', '#999933', '#3c9dc4', '#882255',
  '#44aa99', '#c7a84b',
)  # fmt: skip
# How far a shade is from its hue, towards white (+) or black (-).
_SHADES = {'left': 0.38, 'middle': 0.0, 'right': -0.38}
_MIDDLE_CHANNEL = '#5a5a5a'


def rgb(color: str) -> np.ndarray:
  """[3] float in 0..1 of '#rrggbb'."""
  return np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255


def person_color(person: int, side: str) -> np.ndarray:
  """[3] the colour of one side of a person; hues repeat after the fifth."""
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
  """The side of each pair of joints; what joins left and right is middle."""
  sides = joint_sides(layout)
  result = []
  for pair in pairs:
    found = {sides[joint] for joint in pair} - {'middle'}
    result.append(found.pop() if len(found) == 1 else 'middle')
  return result


def channel_colors(layout: skeletons.Layout, stream: str) -> np.ndarray:
  """[channels, 3] one colour a joint ('keypoint') or limb ('limb').

  Mirrored channels share a hue. Without mirror pairs every channel has its own.
  """
  if stream == 'keypoint':
    sides = joint_sides(layout)
    mirror = layout.flip_index
  else:
    sides = pair_sides(layout, layout.limbs)
    mirror = layout.limb_flip_index
  hues = {}
  result = []
  for channel, (side, other) in enumerate(zip(sides, mirror, strict=True)):
    if layout.left_right and channel == other:
      result.append(rgb(_MIDDLE_CHANNEL))
      continue
    pair = min(channel, other)
    hue = hues.setdefault(pair, _CHANNELS[len(hues) % len(_CHANNELS)])
    result.append(_shade(hue, side))
  return np.array(result)


def heat_map():
  """A colour map from the panel's ground to nearly black, even in brightness."""
  import matplotlib
  from matplotlib import colors as matplotlib_colors

  ink = matplotlib.colormaps['magma_r'](np.linspace(0.2, 1, 9))
  return matplotlib_colors.LinearSegmentedColormap.from_list(
    'heat', [PANEL, *ink]
  )


def _shade(hue: str, side: str) -> np.ndarray:
  amount = _SHADES[side]
  color = rgb(hue)
  return color + amount * (1 - color) if amount > 0 else color * (1 + amount)
