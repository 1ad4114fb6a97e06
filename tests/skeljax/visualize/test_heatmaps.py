"""Images of heatmap volumes show their content at the right place."""

import numpy as np
import pytest

from skeljax.visualize import heatmaps
from skeljax.visualize import style


def _places(clip, volume):
  """[M, T, V, 2] joints of a clip in the pixels of a volume."""
  left, right, top, bottom = volume.window
  size = volume.heat.shape[1]
  scale = np.array([size / (right - left), size / (bottom - top)])
  return (clip.keypoint - (left, top)) * scale


@pytest.mark.parametrize('stream', [0, 1])
def test_heat_is_high_at_joints(walk, volumes, stream):
  volume = volumes[stream]
  x, y = np.moveaxis(np.round(_places(walk, volume)).astype(int), -1, 0)
  frame = np.arange(walk.num_frames)[None, :, None]
  # Half a pixel off in both directions is exp(-0.5 / (2 x 0.36)) of 0.8.
  assert volume.heat[frame, y, x].min() > 0.35


def test_heat_of_limbs_is_high_between_joints(walk, volumes):
  places = _places(walk, volumes[1])
  a, b = np.moveaxis(places[:, :, list(walk.layout.limbs)], -2, 0)
  x, y = np.moveaxis(np.round((a + b) / 2).astype(int), -1, 0)
  frame = np.arange(walk.num_frames)[None, :, None]
  assert volumes[1].heat[frame, y, x].min() > 0.35


def test_heat_is_zero_far_from_joints(walk, volumes):
  places = _places(walk, volumes[0])
  grid = np.stack(np.meshgrid(np.arange(32), np.arange(32)), -1)
  for frame in range(walk.num_frames):
    far = grid[:, :, None] - places[:, frame].reshape(-1, 2)
    far = (np.abs(far).max(-1) > 3).all(-1)
    assert far.any()
    assert not volumes[0].heat[frame][far].any()


def test_result_does_not_depend_on_the_chunk_size(
  walk, volumes, change, monkeypatch
):
  monkeypatch.setattr(heatmaps, '_CHUNK', 3)
  again = heatmaps.compute(walk, 'keypoint', size=32)
  np.testing.assert_array_equal(again.heat, volumes[0].heat)
  np.testing.assert_array_equal(again.channel, volumes[0].channel)
  assert again.heat.shape == (5, 32, 32)


def test_window_of_a_single_joint(walk, change):
  keypoint = np.where(np.arange(17)[:, None] == 5, walk.keypoint, 0)
  one = change(walk, keypoint=keypoint[:1, :1].astype(np.float32), score=None)
  volume = heatmaps.compute(one, 'keypoint', size=32)
  x, y = np.round(_places(one, volume)[0, 0, 5]).astype(int)
  assert volume.heat[0, y, x] > 0.4
  # The central square of the whole 640 x 480 image.
  np.testing.assert_allclose(volume.window, (80, 560, 0, 480), atol=8)


def test_zero_heat_is_the_background_and_full_heat_the_colour(
  walk, volumes, change
):
  heat = np.zeros((5, 32, 32), np.float32)
  heat[0, 3, 4] = 1
  channel = np.full((5, 32, 32), 6, np.uint8)
  volume = change(volumes[0], heat=heat, channel=channel)
  image = heatmaps.paint(volume, 0, walk, 'channel')
  np.testing.assert_allclose(image[0, 0], style.rgb(style.BACKGROUND))
  palette = style.channel_colors(walk.layout, 'keypoint')
  np.testing.assert_allclose(image[3, 4], palette[6])
  image = heatmaps.paint(volume, 0, walk, 'heat')
  np.testing.assert_allclose(
    image[0, 0], style.rgb(style.BACKGROUND), atol=0.01
  )
  assert image[3, 4].max() < 0.1


def test_projection_keeps_time_and_one_axis(walk, volumes):
  against_x = heatmaps.project(volumes[0], 1, walk, 'heat')
  assert against_x.shape == (32, 5, 3)
  darkness = 1 - against_x.mean(-1)
  left, right, *_ = volumes[0].window
  x = (walk.keypoint[0, :, :, 0].min(-1) - left) * 32 / (right - left)
  first = (darkness > 0.1).argmax(0)  # The first skeleton is on the left.
  assert np.abs(first - x).max() < 2.5
  assert first[4] > first[0]
