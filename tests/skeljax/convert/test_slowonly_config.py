"""Claims about what configurations say of SlowOnly and no tensor tells."""

from ml_collections import config_dict
import pytest

from skeljax import errors
from skeljax import models
from skeljax.convert import published_config
from skeljax.convert import slowonly_config

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


def options(text):
  return slowonly_config.network_options(published_config.parse(text))


@pytest.mark.parametrize('text', [MMACTION2, PYSKL])
def test_the_published_configurations_say_what_our_network_defaults_to(text):
  published = models.build_model('slowonly', num_classes=4)
  found = options(text)
  assert len(found) == 7
  for name, value in found.items():
    assert value == getattr(published, name), name
  # Our own configurations say the same.
  config = config_dict.ConfigDict({'model': {'name': 'slowonly'}})
  assert slowonly_config.own_options(config) == found


def test_what_is_left_out_has_the_default_of_the_class():
  assert options(RGB) == {
    'spatial_strides': (1, 2, 2, 2),
    'temporal_strides': (1, 1, 1, 1),
    'dilations': (1, 1, 1, 1),
    'conv1_stride': (1, 2),
    'pool1_stride': (1, 2),
    'with_pool1': True,
    'with_pool2': False,
  }


def test_a_configuration_of_ours_is_read_with_its_overrides():
  config = config_dict.ConfigDict(
    {'model': {'spatial_strides': [1, 2], 'with_pool2': True}}
  )
  found = slowonly_config.own_options(config)
  assert found['spatial_strides'] == (1, 2)
  assert found['with_pool2']


@pytest.mark.parametrize(
  'text',
  ['', 'model = 3', 'model = dict(backbone=2)', "model = dict(type='x')",
   "model = dict(backbone=dict(type='STGCN', num_stages=7))"],
)  # fmt: skip
def test_a_text_without_the_network_says_nothing(text):
  assert options(text) == {}


@pytest.mark.parametrize(
  'argument',
  ['spatial_strides=2', "temporal_strides=('a',)", 'num_stages=n',
   'conv1_stride_s=(1, 1)', 'dilations=(1.5, 1)', 'pool1_stride=1'],
)  # fmt: skip
def test_a_value_that_is_none_is_refused(argument):
  text = f"model = dict(backbone=dict(type='ResNet3dSlowOnly', {argument}))"
  with pytest.raises(errors.UserError) as error:
    options(text)
  assert argument.split('=')[0] in str(error.value)


@pytest.mark.parametrize('argument', ["style='caffe'", 'advanced=True'])
def test_forms_that_skeljax_has_not_are_refused(argument):
  text = f"model = dict(backbone=dict(type='ResNet3dSlowOnly', {argument}))"
  with pytest.raises(errors.UserError, match='skeljax has SlowOnly with'):
    options(text)
