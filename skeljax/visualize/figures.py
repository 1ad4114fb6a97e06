"""Drawing of bodies: one frame of a clip as lines and points on axes.

Only matplotlib's artists are used, never pyplot: no display, no global state.
"""

from collections.abc import Sequence
import dataclasses

import numpy as np

from skeljax.visualize import clips
from skeljax.visualize import colors

# A joint with a lower score is drawn as faint as one of this.
_FAINTEST = 0.25
_MARGIN = 0.06  # Of the larger side, around all joints of the clip.


@dataclasses.dataclass(frozen=True)
class View:
  """A plane that the bodies are seen in.

  Attributes:
    name: '' for pictures, 'front' or 'side' for 3D.
    axes: the coordinates that point to the right and up.
    window: (left, right, bottom, top) in the clip's own coordinates.
  """

  name: str
  axes: tuple[int, int]
  window: tuple[float, float, float, float]

  @property
  def labels(self) -> tuple[str, str]:
    return 'xyz'[self.axes[0]], 'xyz'[self.axes[1]]


def present_joints(clip: clips.Clip) -> np.ndarray:
  """[M, T, V] bool: joints that are there; a missing one is all zeros.

  Normalised 3D has one joint at the origin by intention: it counts where the
  other joints are near, which they are not before a camera.
  """
  present = (clip.keypoint != 0).any(-1)
  origin = clip.layout.origin
  if clip.dims == 3 and origin is not None:
    low = np.where(present[..., None], clip.keypoint, np.inf).min(2)
    high = np.where(present[..., None], clip.keypoint, -np.inf).max(2)
    low, high = (np.where(np.isfinite(x), x, 0) for x in (low, high))
    is_near = np.abs(low + high).max(-1) / 2 < 0.75 * (high - low).max(-1)
    present[..., origin] |= is_near
  return present


def picture_view(
  clip: clips.Clip, window: tuple[float, float, float, float] | None = None
) -> View:
  """2D clips: x to the right, y downwards, as in the picture.

  Args:
    clip: two coordinates.
    window: (left, right, top, bottom); around all joints by default.
  """
  if window is None:
    left, right, top, bottom = _square(clip, (0, 1))
  else:
    left, right, top, bottom = window
  return View(name='', axes=(0, 1), window=(left, right, bottom, top))


def body_views(clip: clips.Clip) -> tuple[View, View]:
  """3D clips from the front and from the side, the spine upright.

  Which coordinate is up differs between data sets and normalisations, so it is
  the one along which the layout's spine is longest; the one along which the
  shoulders are longest goes to the right in the front view. A layout that
  names neither has y up and x to the right.
  """
  up, upwards = _main_axis(clip, clip.layout.spine, 1)
  across, _ = _main_axis(clip, clip.layout.shoulders, 0, other_than=up)
  depth = 3 - up - across
  views = []
  for name, axis in (('front', across), ('side', depth)):
    left, right, low, high = _square(clip, (axis, up))
    if not upwards:
      low, high = high, low
    views.append(View(name, (axis, up), (left, right, low, high)))
  return tuple(views)


def _main_axis(
  clip: clips.Clip,
  pair: tuple[int, int] | None,
  default: int,
  other_than: int | None = None,
) -> tuple[int, bool]:
  """The axis along which a pair of joints is longest, and whether it ascends."""
  if pair is None:
    return default if default != other_than else 2, True
  present = present_joints(clip)
  both = present[..., pair[0]] & present[..., pair[1]]
  if not both.any():
    return default if default != other_than else 2, True
  span = clip.keypoint[..., pair[1], :] - clip.keypoint[..., pair[0], :]
  span = span[both]
  length = np.abs(span).mean(0)
  if other_than is not None:
    length[other_than] = -1
  axis = int(length.argmax())
  return axis, bool(span[:, axis].mean() >= 0)


def _square(
  clip: clips.Clip, axes: tuple[int, int]
) -> tuple[float, float, float, float]:
  """(low, high, low, high) of a square around all joints of the clip.

  Its side is that of the largest extent along any axis, so that all views of a
  clip have one scale.
  """
  seen = clip.keypoint[present_joints(clip)]
  if not len(seen):
    return (0.0, 1.0, 0.0, 1.0)
  low, high = seen.min(0), seen.max(0)
  half = max(float((high - low).max()), 1e-6) * (0.5 + _MARGIN)
  middle = (low + high) / 2
  return tuple(
    float(middle[axis] + sign * half) for axis in axes for sign in (-1, 1)
  )


def pairs(clip: clips.Clip) -> Sequence[tuple[int, int]]:
  """The lines of a body: its limbs, or the edges of its graph without any."""
  return clip.layout.limbs or clip.layout.edges


def draw(axes, clip: clips.Clip, frame: int, view: View, size: float) -> None:
  """Draws all persons of a frame.

  Args:
    axes: of matplotlib; limits are set here.
    clip: the source.
    frame: which.
    view: the plane.
    size: side of the axes in inches, which line widths follow.
  """
  from matplotlib import collections

  present = present_joints(clip)[:, frame]
  lines = pairs(clip)
  line_sides = colors.pair_sides(clip.layout, lines)
  joint_sides = colors.joint_sides(clip.layout)
  # Dense skeletons, such as hands, need finer lines.
  width = size * (1.25 if clip.layout.num_joints <= 30 else 0.8)
  axes.set_xlim(*view.window[:2])
  axes.set_ylim(*view.window[2:])
  axes.set_aspect('equal')
  for person in range(clip.num_persons):
    points = clip.keypoint[person, frame][:, list(view.axes)]
    seen = present[person]
    ink = np.ones(clip.layout.num_joints)
    if clip.score is not None:
      ink = clip.score[person, frame].clip(_FAINTEST, 1)
    kept = [i for i, (a, b) in enumerate(lines) if seen[a] and seen[b]]
    axes.add_collection(
      collections.LineCollection(
        [points[list(lines[i])] for i in kept],
        colors=[
          (
            *colors.person_color(person, line_sides[i]),
            min(ink[joint] for joint in lines[i]),
          )
          for i in kept
        ],
        linewidths=width,
        capstyle='round',
        zorder=2 + person,
      )
    )
    shown = np.flatnonzero(seen)
    axes.scatter(
      *points[shown].T,
      s=(1.5 * width) ** 2,
      c=[(*colors.person_color(person, joint_sides[v]), ink[v]) for v in shown],
      linewidths=0,
      zorder=2.5 + person,
    )


def persons_seen(clip: clips.Clip) -> int:
  """How many persons have a joint in any frame; raw data has empty slots."""
  return int(present_joints(clip).any((1, 2)).sum())


def legend(clip: clips.Clip) -> list[tuple[list[np.ndarray], str]]:
  """(colours, words) of each entry: what the lines of a body mean."""
  found = set(colors.pair_sides(clip.layout, pairs(clip)))
  sides = [side for side in colors.SIDES if side in found]
  persons = np.flatnonzero(present_joints(clip).any((1, 2)))
  if len(persons) == 1:
    if not clip.layout.left_right:
      return []
    return [([colors.person_color(persons[0], side)], side) for side in sides]
  entries = []
  for place, person in enumerate(persons):
    words = f'person {person + 1}'
    if not place and clip.layout.left_right:
      words += f': {", ".join(sides)}'
    shades = [colors.person_color(person, side) for side in sides]
    entries.append((shades, words))
  return entries
