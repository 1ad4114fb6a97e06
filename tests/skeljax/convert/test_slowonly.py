"""Inference of SlowOnly from tensors and from configs."""

from ml_collections import config_dict
import numpy as np
import pytest

from skeljax import errors
from skeljax import models
from skeljax.convert import checkpoint
from skeljax.convert import family
from skeljax.convert import published_config
from skeljax.convert import slowonly
from skeljax.convert import tensors
from skeljax.convert import torch_file

SEED = 20260103
DRAWS = 8
IN_TENSORS = (
  'base_channels', 'stage_blocks', 'inflate', 'inflate_style', 'conv1_kernel',
)  # fmt: skip
UNDEFINED = (
  'spatial_strides', 'temporal_strides', 'dilations', 'conv1_stride',
  'pool1_stride', 'with_pool1', 'with_pool2',
)  # fmt: skip


def draw(index):
  """Return options, channels and classes of one network."""
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


def infer(state, options=None):
  """Return options and notes."""
  file = torch_file.TorchFile('f.pth', state)
  return slowonly.infer(file, options or {}), file.notes


@pytest.mark.parametrize('index', range(DRAWS))
def test_a_random_network_is_inferred(index, make_slowonly):
  options = draw(index)
  print('drawn:', options)
  network = make_slowonly(seed=index, **options)
  state = network.state_dict('mmaction1x')
  found_family, code_base = checkpoint.find_family(state, 'f.pth')
  assert (found_family.model, code_base) == ('slowonly', '')
  found, notes = infer(state, {name: options[name] for name in UNDEFINED})
  for name in (*IN_TENSORS, *UNDEFINED):
    assert found[name] == options[name], name
  assert not notes
  # No other option changes the function.
  model = models.build_model(
    'slowonly', num_classes=options['num_classes'], **found
  )
  assert model == network.model


def test_options_that_no_tensor_defines_are_assumed_as_published(make_slowonly):
  found, (note,) = infer(make_slowonly().state_dict('pyskl'))
  published = models.build_model('slowonly', num_classes=4)
  for name in UNDEFINED:
    assert found[name] == getattr(published, name), name
  assert '2, 2, 2 in space and 1, 1, 2 over frames' in note
  assert '--config=FILE overrides' in note


def test_a_config_for_other_stages_is_an_error(make_slowonly):
  state = make_slowonly().state_dict('pyskl')
  with pytest.raises(errors.UserError, match=r'3 stages.*strides=\(1, 2\)'):
    infer(state, {'spatial_strides': (1, 2)})


def without(state, *parts):
  return {n: a for n, a in state.items() if not any(p in n for p in parts)}


def test_a_gap_between_the_blocks_is_an_error(make_slowonly):
  state = make_slowonly().state_dict('pyskl')
  for lost in ('layer2.0.', 'layer2.'):
    with pytest.raises(
      errors.UserError, match='gap in the numbers of the blocks'
    ):
      infer(without(state, lost))


def test_a_network_of_basic_blocks_is_an_error_with_the_missing_tensors(
  make_slowonly,
):
  # ResNet-18 and -34 have two convolutions per block.
  state = without(make_slowonly().state_dict('pyskl'), 'conv3')
  with pytest.raises(errors.UserError) as error:
    infer(state)
  assert 'no tensor backbone.layer1.0.conv3.conv.weight' in str(error.value)


def test_an_incomplete_file_is_an_error_with_the_missing_tensors(make_slowonly):
  state = make_slowonly().state_dict('pyskl')
  for lost in ('backbone.conv1.conv.weight', 'cls_head.fc_cls.weight'):
    file = torch_file.TorchFile('f.pth', without(state, lost))
    with pytest.raises(errors.UserError, match=f'no tensor {lost}'):
      slowonly.SlowOnly().recognize(file, '', family.NO_OVERRIDES)


def zeros(*shape):
  return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
  'name, shape, words',
  [
    ('layer1.0.conv1', (2, 2, 5, 1, 1), r'layer1 has kernels of \[5, 1, 1\]'),
    (
      'layer1.0.conv2',
      (2, 2, 3, 3, 3),
      'different inflate_style, 3x1x1 and 3x3x3',
    ),
    ('conv1', (2, 17, 1, 4, 4), 'kernels of odd size'),
    ('layer1.0.conv2', (2, 2, 3, 3), 'expected 5 dimensions'),
  ],
)
def test_an_unsupported_shape_is_an_error(name, shape, words, make_slowonly):
  state = make_slowonly().state_dict('pyskl')
  state[f'backbone.{name}.conv.weight'] = zeros(*shape)
  with pytest.raises(errors.UserError, match=words) as error:
    infer(state)
  assert str(error.value).startswith('f.pth')


def test_stages_that_do_not_double_their_width_do_not_fit(make_slowonly):
  state = make_slowonly().state_dict('pyskl')
  state['backbone.layer2.0.conv1.conv.weight'] = zeros(6, 8, 1, 1, 1)
  options, _ = infer(state)
  network = make_slowonly(**options)
  naming = checkpoint.FAMILIES['slowonly'].get_naming('pyskl')
  words = r'misshapen: backbone.layer2.0.conv1.conv.weight is \[6, 8, 1, 1, 1\]'
  with pytest.raises(errors.UserError, match=words):
    tensors.from_torch(state, network.variables, naming)


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
    infer(state)
  except errors.UserError as error:
    assert 'f.pth' in str(error)


def test_networks_that_also_take_images_are_an_error():
  state = {'backbone.pose_path.conv1.conv.weight': zeros(2, 17, 1, 7, 7)}
  with pytest.raises(errors.UserError, match='RGBPoseConv3D'):
    checkpoint.find_family(state, 'f.pth')


# Options in configs.

STAGES = """
    num_stages=3, spatial_strides=(2, 2, 2), temporal_strides=(1, 1, 2)"""
MMACTION2 = f"""
model = dict(backbone=dict(type='ResNet3dSlowOnly', conv1_stride_s=1,
    pool1_stride_s=1, dilations=(1, 1, 1),{STAGES}))
"""
PYSKL = f"""
model = dict(backbone=dict(type='ResNet3dSlowOnly', conv1_stride=(1, 1),
    pool1_stride=(1, 1),{STAGES}))
"""
RGB = "model = dict(backbone=dict(type='ResNet3dSlowOnly'))"


def options_of(text):
  return slowonly.backbone_options(published_config.parse(text))


@pytest.mark.parametrize('text', [MMACTION2, PYSKL])
def test_published_configs_have_the_defaults_of_our_model(text):
  published = models.build_model('slowonly', num_classes=4)
  found = options_of(text)
  assert len(found) == 7
  for name, value in found.items():
    assert value == getattr(published, name), name
  # So have our own configs.
  config = config_dict.ConfigDict({'model': {'name': 'slowonly'}})
  assert slowonly.own_options(config) == found


def test_missing_arguments_have_the_defaults_of_the_published_class():
  assert options_of(RGB) == {
    'spatial_strides': (1, 2, 2, 2),
    'temporal_strides': (1, 1, 1, 1),
    'dilations': (1, 1, 1, 1),
    'conv1_stride': (1, 2),
    'pool1_stride': (1, 2),
    'with_pool1': True,
    'with_pool2': False,
  }


def test_a_skeljax_config_is_read_with_its_overrides():
  config = config_dict.ConfigDict(
    {'model': {'spatial_strides': [1, 2], 'with_pool2': True}}
  )
  found = slowonly.own_options(config)
  assert found['spatial_strides'] == (1, 2)
  assert found['with_pool2']


@pytest.mark.parametrize(
  'text',
  ['', 'model = 3', 'model = dict(backbone=2)', "model = dict(type='x')",
   "model = dict(backbone=dict(type='STGCN', num_stages=7))"],
)  # fmt: skip
def test_a_config_without_slowonly_has_no_options_of(text):
  assert options_of(text) == {}


@pytest.mark.parametrize(
  'argument',
  ['spatial_strides=2', "temporal_strides=('a',)", 'num_stages=n',
   'conv1_stride_s=(1, 1)', 'dilations=(1.5, 1)', 'pool1_stride=1'],
)  # fmt: skip
def test_an_invalid_value_is_an_error(argument):
  text = f"model = dict(backbone=dict(type='ResNet3dSlowOnly', {argument}))"
  with pytest.raises(errors.UserError) as error:
    options_of(text)
  assert argument.split('=')[0] in str(error.value)


@pytest.mark.parametrize('argument', ["style='caffe'", 'advanced=True'])
def test_unsupported_variants_are_an_error(argument):
  text = f"model = dict(backbone=dict(type='ResNet3dSlowOnly', {argument}))"
  with pytest.raises(errors.UserError, match='skeljax has SlowOnly with'):
    options_of(text)
