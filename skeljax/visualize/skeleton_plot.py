"""Draw the skeletons of one frame on matplotlib axes.

No module here uses pyplot: no display is needed, no global state is changed.
"""

from collections.abc import Sequence
import dataclasses

import numpy as np

from skeljax.visualize import clips
from skeljax.visualize import style

# Opacity of a joint is its score, but at least this.
_MIN_OPACITY = 0.25
_MARGIN = 0.06  # Of the larger side, around all joints of the clip.


@dataclasses.dataclass(frozen=True)
class View:
  """A projection of the skeletons onto two coordinates.

  Attributes:
    name: '' for 2D, 'front' or 'side' for 3D.
    axes: coordinates that point to the right and up.
    window: (left, right, bottom, top) in the clip's coordinates.
  """

  name: str
  axes: tuple[int, int]
  window: tuple[float, float, float, float]

  @property
  def label(self) -> str:
    """Label of a row of these views."""
    if not self.name:
      return 'skeletons\n(image pixels)'
    x, y = ('xyz'[axis] for axis in self.axes)
    return f'{self.name} view\n({y} over {x})'


def present_joints(clip: clips.Clip) -> np.ndarray:
  """[M, T, V] bool: joints that are not missing; a missing one is all zeros.

  Normalised 3D puts one joint at the origin on purpose. It counts as present
  if the other joints surround it, which they do not in camera coordinates.
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


def present_persons(clip: clips.Clip) -> list[int]:
  """Indices of the persons with a joint in any frame."""
  return np.flatnonzero(present_joints(clip).any((1, 2))).tolist()


def views(
  clip: clips.Clip, window: tuple[float, float, float, float] | None = None
) -> tuple[View, ...]:
  """The views to draw: one of a 2D clip, two of a 3D clip.

  Args:
    clip: the clip.
    window: part of the image to show, see image_view.
  """
  return body_views(clip) if clip.dims == 3 else (image_view(clip, window),)


def image_view(
  clip: clips.Clip, window: tuple[float, float, float, float] | None = None
) -> View:
  """View of a 2D clip: x to the right, y downwards.

  Args:
    clip: a 2D clip.
    window: (left, right, top, bottom); by default around all joints.
  """
  left, right, top, bottom = window or _square(clip, (0, 1))
  return View(name='', axes=(0, 1), window=(left, right, bottom, top))


def body_views(clip: clips.Clip) -> tuple[View, ...]:
  """Front and side view of a 3D clip, with the spine upright.

  Datasets and normalisations differ in their vertical axis, so it is inferred:
  the axis along which the layout's spine is longest. The axis along which the
  shoulders are longest points to the right in the front view. A layout that
  names neither has y up and x to the right.
  """
  up, is_upwards = _main_axis(clip, clip.layout.spine, 1)
  across, _ = _main_axis(clip, clip.layout.shoulders, 0, other_than=up)
  views = []
  for name, axis in (('front', across), ('side', 3 - up - across)):
    left, right, low, high = _square(clip, (axis, up))
    if not is_upwards:
      low, high = high, low
    views.append(View(name, (axis, up), (left, right, low, high)))
  return tuple(views)


def _main_axis(
  clip: clips.Clip,
  pair: tuple[int, int] | None,
  default: int,
  other_than: int | None = None,
) -> tuple[int, bool]:
  """The axis along which a joint pair is longest, and whether it ascends."""
  fallback = (default if default != other_than else 2), True
  if pair is None:
    return fallback
  both = present_joints(clip)[..., list(pair)].all(-1)
  if not both.any():
    return fallback
  span = (clip.keypoint[..., pair[1], :] - clip.keypoint[..., pair[0], :])[both]
  length = np.abs(span).mean(0)
  if other_than is not None:
    length[other_than] = -1
  axis = int(length.argmax())
  return axis, bool(span[:, axis].mean() >= 0)


def _square(
  clip: clips.Clip, axes: tuple[int, int]
) -> tuple[float, float, float, float]:
  """(low, high, low, high) of a square around all joints of the clip.

  Its side is the largest extent along any axis, so that all views of a clip
  have the same scale.
  """
  points = clip.keypoint[present_joints(clip)]
  if not len(points):
    return (0.0, 1.0, 0.0, 1.0)
  low, high = points.min(0), points.max(0)
  half = max(float((high - low).max()), 1e-6) * (0.5 + _MARGIN)
  middle = (low + high) / 2
  x, y = (float(middle[axis]) for axis in axes)
  return x - half, x + half, y - half, y + half


def lines(clip: clips.Clip) -> Sequence[tuple[int, int]]:
  """Joint pairs to connect: the layout's limbs, else its edges."""
  return clip.layout.limbs or clip.layout.edges


def title(fig, clip: clips.Clip, left: float) -> None:
  """Write the class and a description of the clip at the top of a figure."""
  num_persons = len(present_persons(clip))
  description = [
    clip.id,
    f'{clip.num_frames:,} frame{"s" * (clip.num_frames != 1)}',
    f'{num_persons} person{"s" * (num_persons != 1)}',
    f'{clip.layout.num_joints} joints ({clip.layout.name}), {clip.dims}D',
  ]
  height = fig.get_figheight()
  fig.text(
    left,
    1 - 0.3 / height,
    clip.class_name or 'unlabelled clip',
    fontsize=11,
    fontweight='bold',
  )
  fig.text(left, 1 - 0.5 / height, '  ·  '.join(description), color=style.MUTED)


def draw(axes, clip: clips.Clip, frame: int, view: View, size: float) -> None:
  """Draw all persons of a frame.

  Args:
    axes: matplotlib axes; their limits are set here.
    clip: source of the skeletons.
    frame: index of the frame.
    view: projection.
    size: side of the axes in inches, which line widths follow.
  """
  from matplotlib import collections

  present = present_joints(clip)[:, frame]
  pairs = lines(clip)
  line_sides = style.pair_sides(clip.layout, pairs)
  joint_sides = style.joint_sides(clip.layout)
  # Dense skeletons, such as hands, need finer lines.
  width = size * (1.25 if clip.layout.num_joints <= 30 else 0.8)
  axes.set(xlim=view.window[:2], ylim=view.window[2:], aspect='equal')
  for person in range(clip.num_persons):
    points = clip.keypoint[person, frame][:, list(view.axes)]
    opacity = np.ones(clip.layout.num_joints)
    if clip.score is not None:
      opacity = clip.score[person, frame].clip(_MIN_OPACITY, 1)
    drawn = [i for i, p in enumerate(pairs) if present[person, list(p)].all()]
    axes.add_collection(
      collections.LineCollection(
        [points[list(pairs[i])] for i in drawn],
        colors=[
          (
            *style.person_color(person, line_sides[i]),
            opacity[list(pairs[i])].min(),
          )
          for i in drawn
        ],
        linewidths=width,
        capstyle='round',
        zorder=2 + person,
      )
    )
    joints = np.flatnonzero(present[person])
    axes.scatter(
      *points[joints].T,
      s=(1.5 * width) ** 2,
      c=[
        (*style.person_color(person, joint_sides[v]), opacity[v])
        for v in joints
      ],
      linewidths=0,
      zorder=2.5 + person,
    )


def legend(clip: clips.Clip) -> list[tuple[list[np.ndarray], str]]:
  """(colours, label) of each entry: persons, and sides of the body."""
  used = set(style.pair_sides(clip.layout, lines(clip)))
  sides = [side for side in style.SIDES if side in used]
  persons = present_persons(clip)
  if len(persons) == 1:
    if not clip.layout.left_right:
      return []
    return [([style.person_color(persons[0], side)], side) for side in sides]
  labels = [f'person {person + 1}' for person in persons]
  if labels and clip.layout.left_right:
    labels[0] += f': {", ".join(sides)}'
  return [
    ([style.person_color(person, side) for side in sides], label)
    for person, label in zip(persons, labels)
  ]
