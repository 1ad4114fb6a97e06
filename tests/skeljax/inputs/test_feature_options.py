"""What FeatureOptions refuses, in words, and what it derives."""

import pytest

from skeljax import errors
from skeljax import inputs
from skeljax import skeletons

LAYOUTS = skeletons.LAYOUTS


def options(**changes):
  fields = {
    'layout': LAYOUTS['nturgb+d'],
    'stream': 'joint',
    'num_channels': 3,
    'has_score': False,
    **changes,
  }
  return inputs.FeatureOptions(**fields)


@pytest.mark.parametrize(
  'changes, words',
  [
    ({'stream': 'bones'}, 'stream is .bones.; it must be one of joint, bone'),
    ({'num_channels': 4}, 'num_channels is 4; it must be one of 2, 3'),
    ({'normalize_2d': '1x'}, 'one of none, mmaction0x, mmaction1x'),
    ({'normalize_2d': 'mmaction1x'}, 'but the skeletons are 3D'),
    ({'keypoint_dtype': 'int16'}, 'one of float16, float32, float64'),
    ({'rotate_order': 'yxz'}, 'one of xyz, zyx'),
    (
      {'normalize_2d_threshold': float('nan')},
      'normalize_2d_threshold is nan; it must lie between 0',
    ),
    ({'normalize_2d': 'pyskl_auto'}, 'but the skeletons are 3D'),
    ({'rotate': (30.0,)}, '3D skeletons turn by 3'),
    ({'rotate': (1.0, 2.0, 3.0), 'num_channels': 2}, '2D skeletons turn by 1'),
    ({'rotate': (0.0, -5.0, 0.0)}, 'rotate is -5.0; it must lie between 0'),
    ({'rotate': (0.0, 200.0, 0.0)}, 'between 0 and 180'),
    ({'scale': 1.0}, 'scale is 1.0'),
    ({'shift': float('nan')}, 'shift is nan'),
    ({'flip': 1.5}, 'flip is 1.5; it must lie between 0 and 1'),
    (
      {
        'layout': LAYOUTS['coco'],
        'num_channels': 2,
        'centre_first_frame': True,
      },
      "layout 'coco' names no 'origin'",
    ),
    (
      {'num_channels': 2, 'normalize_2d': 'mmaction0x', 'min_max': True},
      'are normalisations themselves',
    ),
  ],
)
def test_wrong_options_are_explained(changes, words):
  with pytest.raises(errors.UserError, match=words):
    options(**changes)


def test_options_are_hashable_and_compare_by_value():
  assert options(rotate=(1.0, 2.0, 3.0)) == options(rotate=(1.0, 2.0, 3.0))
  assert len({options(), options(), options(flip=0.5)}) == 2


@pytest.mark.parametrize(
  'num_channels, has_score, expected',
  [(3, False, 3), (2, True, 3), (2, False, 2)],
)
def test_channels_the_model_sees(num_channels, has_score, expected):
  got = options(num_channels=num_channels, has_score=has_score)
  assert got.num_input_channels == expected


def test_what_batches_must_hold():
  assert not options(stream='bone').needs_next
  assert options(stream='bone_motion').needs_next
  assert not options(num_channels=2, normalize_2d='pyskl_fix').needs_box
  assert options(num_channels=2, normalize_2d='pyskl_auto').needs_box
  whole = options(stream='joint_motion', min_max=True)
  assert whole.needs_whole_clip and not whole.needs_next
