"""The pictures of volumes show what is in the volumes, where it is."""

import numpy as np
import pytest

from skeljax.visualize import colors
from skeljax.visualize import volumes


def _places(clip, volume):
  """[M, T, V, 2] the joints of a clip in the pixels of a volume."""
  left, right, top, bottom = volume.window
  size = volume.heat.shape[1]
  scale = np.array([size / (right - left), size / (bottom - top)])
  return (clip.keypoint - (left, top)) * scale


@pytest.mark.parametrize('stream', [0, 1])
def test_there_is_ink_where_the_joints_are(walk, drawn, stream):
  volume = drawn[stream]
  x, y = np.moveaxis(np.round(_places(walk, volume)).astype(int), -1, 0)
  frame = np.arange(walk.num_frames)[None, :, None]
  # Half a pixel off in both directions is exp(-0.5 / (2 x 0.36)) of 0.8.
  assert volume.heat[frame, y, x].min() > 0.35


def test_a_limb_has_ink_between_its_joints(walk, drawn):
  places = _places(walk, drawn[1])
  a, b = np.moveaxis(places[:, :, list(walk.layout.limbs)], -2, 0)
  x, y = np.moveaxis(np.round((a + b) / 2).astype(int), -1, 0)
  frame = np.arange(walk.num_frames)[None, :, None]
  assert drawn[1].heat[frame, y, x].min() > 0.35


def test_far_from_the_joints_there_is_no_ink(walk, drawn):
  places = _places(walk, drawn[0])
  grid = np.stack(np.meshgrid(np.arange(32), np.arange(32)), -1)
  for frame in range(walk.num_frames):
    far = grid[:, :, None] - places[:, frame].reshape(-1, 2)
    far = (np.abs(far).max(-1) > 3).all(-1)
    assert far.any()
    assert not drawn[0].heat[frame][far].any()


def test_a_chunk_more_changes_nothing(walk, drawn, change, monkeypatch):
  monkeypatch.setattr(volumes, '_CHUNK', 3)
  again = volumes.compute(walk, 'keypoint', size=32)
  np.testing.assert_array_equal(again.heat, drawn[0].heat)
  np.testing.assert_array_equal(again.channel, drawn[0].channel)
  assert again.heat.shape == (5, 32, 32)


def test_the_window_of_a_single_joint_is_known(walk, change):
  keypoint = np.where(np.arange(17)[:, None] == 5, walk.keypoint, 0)
  one = change(walk, keypoint=keypoint[:1, :1].astype(np.float32), score=None)
  volume = volumes.compute(one, 'keypoint', size=32)
  x, y = np.round(_places(one, volume)[0, 0, 5]).astype(int)
  assert volume.heat[0, y, x] > 0.4
  # The whole picture, 640 x 480, from which the central square was cut.
  np.testing.assert_allclose(volume.window, (80, 560, 0, 480), atol=8)


def test_no_heat_is_the_ground_and_full_heat_the_colour(walk, drawn, change):
  heat = np.zeros((5, 32, 32), np.float32)
  heat[0, 3, 4] = 1
  channel = np.full((5, 32, 32), 6, np.uint8)
  volume = change(drawn[0], heat=heat, channel=channel)
  picture = volumes.paint(volume, 0, walk, 'channel')
  np.testing.assert_allclose(picture[0, 0], colors.rgb(colors.PANEL))
  palette = colors.channel_colors(walk.layout, 'keypoint')
  np.testing.assert_allclose(picture[3, 4], palette[6])
  picture = volumes.paint(volume, 0, walk, 'heat')
  np.testing.assert_allclose(picture[0, 0], colors.rgb(colors.PANEL), atol=0.01)
  assert picture[3, 4].max() < 0.1


def test_a_projection_keeps_time_and_one_side(walk, drawn):
  against_x = volumes.project(drawn[0], 1, walk, 'heat')
  assert against_x.shape == (32, 5, 3)
  darkness = 1 - against_x.mean(-1)
  left, right, *_ = drawn[0].window
  x = (walk.keypoint[0, :, :, 0].min(-1) - left) * 32 / (right - left)
  first = (darkness > 0.1).argmax(0)  # The first body is the left one.
  assert np.abs(first - x).max() < 2.5
  assert first[4] > first[0]
