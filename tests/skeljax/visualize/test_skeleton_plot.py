"""Skeletons are drawn upright, complete and in distinct colours."""

import numpy as np
import pytest

from skeljax import skeletons
from skeljax.visualize import sheet
from skeljax.visualize import skeleton_plot
from skeljax.visualize import style


def _draw(clip, view):
  from matplotlib import figure

  axes = figure.Figure().add_subplot()
  skeleton_plot.draw(axes, clip, 0, view, 1.0)
  lines, points = axes.collections[0], axes.collections[1]
  return lines.get_segments(), points.get_offsets()


def test_missing_joint_and_its_limbs_are_not_drawn(walk, change):
  keypoint = walk.keypoint.copy()
  keypoint[0, 0, 9] = 0  # The left wrist, the end of one limb.
  view = skeleton_plot.image_view(walk)
  lines, points = _draw(change(walk, keypoint=keypoint), view)
  assert len(points) == 16
  assert len(lines) == len(walk.layout.limbs) - 1


def test_y_of_2d_clips_points_downwards(walk):
  left, right, bottom, top = skeleton_plot.image_view(walk).window
  assert left < right and bottom > top


@pytest.mark.parametrize('axes', [(0, 1, 2), (0, 2, 1), (2, 0, 1)])
@pytest.mark.parametrize('sign', [1, -1])
def test_3d_views_are_upright_for_every_vertical_axis(
  body_3d, change, axes, sign
):
  keypoint = sign * body_3d.keypoint[..., list(axes)]
  front, side = skeleton_plot.body_views(change(body_3d, keypoint=keypoint))
  for view in (front, side):
    assert view.axes[1] == axes.index(1)
    *_, bottom, top = view.window
    assert (top > bottom) == (sign == 1)
  assert front.axes[0] == axes.index(0)
  assert side.axes[0] == axes.index(2)


def test_joint_at_the_origin_of_normalised_3d_is_present(body_3d, change):
  origin = body_3d.layout.origin
  keypoint = body_3d.keypoint - body_3d.keypoint[:, :, origin, None]
  # In camera coordinates no other joint is near the zeros of a missing one.
  lost = body_3d.keypoint.copy()
  lost[:, :, origin] = 0
  assert skeleton_plot.present_joints(change(body_3d, keypoint=keypoint)).all()
  present = skeleton_plot.present_joints(change(body_3d, keypoint=lost))
  assert not present[..., origin].any()
  empty = change(body_3d, keypoint=np.zeros_like(keypoint))
  assert not skeleton_plot.present_joints(empty).any()


def test_empty_person_slots_are_ignored(walk, change):
  keypoint = np.concatenate([walk.keypoint, np.zeros_like(walk.keypoint[:1])])
  clip = change(walk, keypoint=keypoint, score=None)
  assert len(skeleton_plot.present_persons(clip)) == 2
  labels = [label for _, label in skeleton_plot.legend(clip)]
  assert labels == ['person 1: left, middle, right', 'person 2']


def _brightness(color):
  return float(np.dot(color, (0.2126, 0.7152, 0.0722)))


def test_left_side_is_pale_and_right_side_dark():
  for person in range(6):
    left, middle, right = (
      _brightness(style.person_color(person, side)) for side in style.SIDES
    )
    assert left > middle + 0.1 and middle > right + 0.05


def test_persons_have_different_colours():
  hues = [style.person_color(person, 'middle') for person in range(5)]
  for i, one in enumerate(hues):
    for other in hues[:i]:
      assert np.abs(one - other).max() > 0.2


@pytest.mark.parametrize('name', skeletons.LAYOUTS)
@pytest.mark.parametrize('stream', ['keypoint', 'limb'])
def test_every_layout_has_one_colour_per_channel(name, stream):
  layout = skeletons.get_layout(name)
  palette = style.channel_colors(layout, stream)
  count = layout.num_joints if stream == 'keypoint' else len(layout.limbs)
  assert palette.shape == (count, 3)
  assert palette.min() >= 0 and palette.max() <= 1


def test_side_of_limbs():
  layout = skeletons.get_layout('coco')
  sides = dict(zip(layout.limbs, style.pair_sides(layout, layout.limbs)))
  assert sides[(5, 7)] == 'left' and sides[(6, 8)] == 'right'
  assert sides[(0, 5)] == 'left' and sides[(11, 12)] == 'middle'


@pytest.mark.parametrize(
  'total, count, frames',
  [(1, 8, [0]), (3, 8, [0, 1, 2]), (9, 3, [0, 4, 8]), (9, 1, [0])],
)
def test_chosen_frames_are_spread_from_first_to_last(total, count, frames):
  assert sheet.chosen_frames(total, count) == frames
