"""Fields of Joints: what is refused, and what is derived."""

import pytest

from skeljax import errors
from skeljax import skeletons
from tests import specs

LAYOUTS = skeletons.LAYOUTS


def options(**changes):
  fields = {
    'layout': LAYOUTS['nturgb+d'],
    'stream': 'joint',
    'num_channels': 3,
    'has_score': False,
    **changes,
  }
  return specs.joints(**fields)


@pytest.mark.parametrize(
  'changes, message',
  [
    ({'stream': 'bones'}, 'input.stream=bones: expected one of joint, bone'),
    ({'normalize_2d': '1x'}, 'one of none, mmaction0x, mmaction1x'),
    ({'normalize_2d': 'mmaction1x'}, 'the skeletons are 3D'),
    ({'rotate_order': 'yxz'}, 'one of xyz, zyx'),
    (
      {'normalize_2d_threshold': float('nan')},
      'normalize_2d_threshold=nan: expected a number at least 0',
    ),
    ({'normalize_2d': 'pyskl_auto'}, 'the skeletons are 3D'),
    ({'rotate': (30.0,)}, '3D skeletons need 3'),
    ({'rotate': (1.0, 2.0, 3.0), 'num_channels': 2}, '2D skeletons need 1'),
    (
      {'rotate': (0.0, -5.0, 0.0)},
      'rotate=.0.0,-5.0,0.0.: expected a number at least 0',
    ),
    ({'rotate': (0.0, 200.0, 0.0)}, 'at most 180'),
    ({'scale': 1.0}, 'scale=1.0'),
    ({'shift': float('nan')}, 'shift=nan'),
    ({'flip': 1.5}, 'flip=1.5: expected a number at least 0 and at most 1'),
    (
      {
        'layout': LAYOUTS['coco'],
        'num_channels': 2,
        'centre_first_frame': True,
      },
      "layout 'coco' has no 'origin'",
    ),
    (
      {'num_channels': 2, 'normalize_2d': 'mmaction0x', 'min_max': True},
      'are normalizations',
    ),
  ],
)
def test_invalid_fields_are_refused(changes, message):
  with pytest.raises(errors.UserError, match=message):
    options(**changes)


def test_inputs_are_hashable_and_compare_by_value():
  assert options(rotate=(1.0, 2.0, 3.0)) == options(rotate=(1.0, 2.0, 3.0))
  assert len({options(), options(), options(flip=0.5)}) == 2


@pytest.mark.parametrize(
  'num_channels, has_score, expected',
  [(3, False, 3), (2, True, 3), (2, False, 2)],
)
def test_model_input_has_coordinates_and_score_as_channels(
  num_channels, has_score, expected
):
  got = options(num_channels=num_channels, has_score=has_score)
  assert got.num_channels == expected


def test_fields_that_batches_need():
  assert not options(stream='bone').needs_next
  assert options(stream='bone_motion').needs_next
  assert not options(num_channels=2, normalize_2d='pyskl_fix').needs_box
  assert options(num_channels=2, normalize_2d='pyskl_auto').needs_box
  whole = options(stream='joint_motion', min_max=True)
  assert whole.needs_whole_clip and not whole.needs_next
