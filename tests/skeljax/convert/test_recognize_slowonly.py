"""Claims about telling PoseC3D from the names and shapes of its tensors."""

import numpy as np
import pytest

from skeljax import errors
from skeljax import models
from skeljax.convert import recognize
from skeljax.convert import recognize_slowonly

SEED = 20260103
DRAWS = 8
IN_TENSORS = (
  'base_channels', 'stage_blocks', 'inflate', 'inflate_style', 'conv1_kernel',
)  # fmt: skip
UNTOLD = (
  'spatial_strides', 'temporal_strides', 'dilations', 'conv1_stride',
  'pool1_stride', 'with_pool1', 'with_pool2',
)  # fmt: skip


def draw(index):
  """Options of one network, and how many channels and classes."""
  rng = np.random.default_rng([SEED, index])
  num_stages = int(rng.integers(1, 5))

  def stages(low, high):
    return tuple(int(n) for n in rng.integers(low, high, num_stages))

  inflate = stages(0, 2)
  style = ('3x1x1', '3x3x3')[rng.integers(2)] if any(inflate) else '3x1x1'
  return dict(
    base_channels=int(rng.integers(1, 5)),
    stage_blocks=stages(1, 3),
    inflate=inflate,
    inflate_style=style,
    conv1_kernel=tuple(int(n) for n in 2 * rng.integers(0, 4, 3) + 1),
    spatial_strides=stages(1, 3),
    temporal_strides=stages(1, 3),
    dilations=stages(1, 3),
    conv1_stride=(1, int(rng.integers(1, 3))),
    pool1_stride=(1, int(rng.integers(1, 3))),
    with_pool1=bool(rng.integers(2)),
    with_pool2=False,
    channels=int(rng.integers(1, 40)),
    num_classes=int(rng.integers(2, 9)),
  )


def told(state, options=None):
  return recognize_slowonly.recognize(state, options or {}, source='f.pth')


@pytest.mark.parametrize('index', range(DRAWS))
def test_a_drawn_network_is_told(index, make_slowonly):
  options = draw(index)
  print('drawn:', options)
  network = make_slowonly(seed=index, **options)
  state = network.state_dict('mmaction1x')
  assert recognize.tell_code_base(state, 'f.pth') == ('slowonly', '')
  found = told(state, {name: options[name] for name in UNTOLD})
  assert found.num_channels == options['channels']
  assert found.num_classes == options['num_classes']
  for name in (*IN_TENSORS, *UNTOLD):
    assert found.options[name] == options[name], name
  assert not found.notes
  # Every option that shapes a function is told.
  model = models.build_model(
    'slowonly', num_classes=found.num_classes, **found.options
  )
  assert model == network.model


def test_what_no_tensor_tells_is_taken_as_published_and_said(make_slowonly):
  found = told(make_slowonly().state_dict('pyskl'))
  published = models.build_model('slowonly', num_classes=4)
  for name in UNTOLD:
    assert found.options[name] == getattr(published, name), name
  (note,) = found.notes
  assert '2, 2, 2 in space and 1, 1, 2 over frames' in note
  assert '--config=FILE overrides' in note


def test_a_configuration_for_other_stages_is_refused(make_slowonly):
  state = make_slowonly().state_dict('pyskl')
  with pytest.raises(errors.UserError, match=r'3 stages.*strides=\(1, 2\)'):
    told(state, {'spatial_strides': (1, 2)})


def without(state, *parts):
  return {n: a for n, a in state.items() if not any(p in n for p in parts)}


def test_a_gap_between_the_blocks_is_an_error(make_slowonly):
  state = make_slowonly().state_dict('pyskl')
  for lost in ('layer2.0.', 'layer2.'):
    with pytest.raises(errors.UserError, match='with a gap. Is the file whole'):
      told(without(state, lost))


def test_a_network_of_basic_blocks_is_told_by_what_it_lacks(make_slowonly):
  # ResNet-18 and -34 have two convolutions a block.
  state = without(make_slowonly().state_dict('pyskl'), 'conv3')
  with pytest.raises(errors.UserError) as error:
    told(state)
  assert 'missing: backbone.layer2.1.conv3.conv.weight' in str(error.value)
  assert 'SlowOnly with bottlenecks' in str(error.value)


def test_a_cut_file_says_what_it_lacks(make_slowonly):
  state = make_slowonly().state_dict('pyskl')
  for lost in ('backbone.conv1.conv.weight', 'cls_head.fc_cls.weight'):
    with pytest.raises(errors.UserError, match=f'missing: {lost}'):
      told(without(state, lost))


def zeros(*shape):
  return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
  'name, shape, said',
  [
    ('layer2.0.conv1', (6, 8, 1, 1, 1), '6-4-16, 8-8-32 channels'),
    ('layer2.0.conv3', (8, 4, 1, 1, 1), 'double their width'),
    ('layer1.0.conv1', (2, 2, 5, 1, 1), r'layer1 has kernels of \[5, 1, 1\]'),
    ('layer1.0.conv2', (2, 2, 3, 3, 3), 'in both ways, 3x1x1 and 3x3x3'),
    ('conv1', (2, 17, 1, 4, 4), 'odd sizes only'),
    ('layer1.0.conv2', (2, 2, 3, 3), 'expected 5 dimensions'),
  ],
)
def test_a_form_that_skeljax_has_not_is_refused(
  name, shape, said, make_slowonly
):
  state = make_slowonly().state_dict('pyskl')
  state[f'backbone.{name}.conv.weight'] = zeros(*shape)
  with pytest.raises(errors.UserError, match=said) as error:
    told(state)
  assert str(error.value).startswith('f.pth')


@pytest.mark.parametrize(
  'name', ['backbone.conv1.conv.weight', 'backbone.layer1.0.conv2.conv.weight',
           'backbone.layer3.0.conv3.conv.weight', 'cls_head.fc_cls.weight'],
)  # fmt: skip
@pytest.mark.parametrize(
  'shape', [(), (0,), (3,), (2, 2), (1, 2, 3, 4, 5), (2, 2, 0, 1, 1)]
)
def test_a_tensor_of_any_shape_is_at_worst_an_error(name, shape, make_slowonly):
  state = make_slowonly().state_dict('mmaction1x')
  state[name] = zeros(*shape)
  try:
    told(state)
  except errors.UserError as error:
    assert 'f.pth' in str(error)


def test_skeletons_with_pictures_are_named():
  state = {'backbone.pose_path.conv1.conv.weight': zeros(2, 17, 1, 7, 7)}
  with pytest.raises(errors.UserError, match='RGBPoseConv3D'):
    recognize.tell_code_base(state, 'f.pth')
