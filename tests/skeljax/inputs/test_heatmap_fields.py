"""Fields of Heatmaps: what is refused, and what is derived."""

import dataclasses

import pytest

from skeljax import errors
from skeljax import skeletons
from tests import specs

COCO = skeletons.LAYOUTS['coco']


@pytest.mark.parametrize(
  'stream, channels', [('keypoint', 17), ('limb', 17), ('keypoint_limb', 34)]
)
def test_channels_are_joints_and_limbs(stream, channels):
  options = specs.heatmaps(heatmap=stream)
  assert options.num_channels == channels
  assert hash(options) == hash(dataclasses.replace(options))


def test_scaling_scales_the_heatmaps():
  options = specs.heatmaps(scaling=0.5)
  assert options.side(train=True) == 28
  assert options.side(train=False) == 32


@pytest.mark.parametrize(
  'changes, message',
  [
    (
      {'heatmap': 'bone'},
      'input.heatmap=bone: .*keypoint, limb, keypoint_limb',
    ),
    ({'resize': 'crop'}, 'short_side, stretch'),
    ({'mirror': '2x'}, '1x, 0x'),
    ({'sigma': 0.0}, '--config.input.sigma=0.0: .*more than 0'),
    ({'sigma': -0.6}, 'sigma=-0.6'),
    ({'sigma': float('nan')}, 'sigma=nan'),
    ({'scaling': 0.0}, 'scaling=0.0: '),
    (
      {'scaling': 0.3},
      r'size=56 times --config.input.scaling=0.3 is 16.8 pixels',
    ),
    ({'test_size': 57, 'scaling': 0.5}, 'test_size=57 .*28.5 pixels'),
    ({'size': 0}, 'input.size=0: '),
    ({'short_side': -1}, 'short_side=-1'),
    ({'test_size': 55.5}, 'test_size=55.5'),
    ({'min_score': -1.0}, 'min_score'),
    ({'flip': 1.5}, 'flip=1.5'),
    ({'compact_padding': -0.1}, 'compact_padding'),
    ({'compact_threshold': 0.0}, 'compact_threshold'),
    ({'compact_hw_ratio': (1.0,)}, 'compact_hw_ratio'),
    ({'compact_hw_ratio': (2.0, 1.0)}, 'expected .minimum,maximum.'),
    ({'crop_area': (0.0, 1.0)}, 'crop_area'),
    (
      {'crop_area': (0.5, 1.5)},
      r'crop_area=\(0.5,1.5\): .*at most 1',
    ),
    ({'crop_aspect': (2.0, 0.5)}, 'crop_aspect'),
  ],
)
def test_invalid_fields_are_refused(changes, message):
  with pytest.raises(errors.UserError, match=message):
    specs.heatmaps(**changes)


@pytest.mark.parametrize('stream', ['limb', 'keypoint_limb'])
def test_limbs_need_a_layout_with_limbs(stream):
  layout = dataclasses.replace(COCO, limbs=())
  specs.heatmaps(layout)
  with pytest.raises(errors.UserError, match="'coco' has no limbs"):
    specs.heatmaps(layout, heatmap=stream)
