"""The published config that builds a PoseC3D network."""

import pytest

from skeljax import errors
from skeljax import run as run_lib
from skeljax import skeletons
from skeljax.convert import checkpoint
from skeljax.datasets import spec as spec_lib

SPEC = spec_lib.DataSpec(
  layout=skeletons.get_layout('coco'),
  class_names=tuple(map(str, range(60))),
  num_channels=2,
  num_persons=2,
  keypoint_dtype='float16',
  score_dtype='float16',
)
# Arguments of all code bases.
SHARED = {
  'type': 'ResNet3dSlowOnly',
  'depth': 50,
  'pretrained': None,
  'in_channels': 17,
  'base_channels': 32,
  'num_stages': 3,
  'out_indices': [2],
  'stage_blocks': [4, 6, 3],
  'conv1_kernel': [1, 7, 7],
  'inflate': [0, 1, 1],
  'inflate_style': '3x1x1',
  'spatial_strides': [2, 2, 2],
  'temporal_strides': [1, 1, 2],
}
MMACTION2 = SHARED | {
  'conv1_stride_t': 1,
  'conv1_stride_s': 1,
  'pool1_stride_t': 1,
  'pool1_stride_s': 1,
  'dilations': [1, 1, 1],
  'with_pool1': True,
  'with_pool2': False,
}
HEAD = {'type': 'I3DHead', 'num_classes': 60, 'in_channels': 512}


def make_config(stream='keypoint', **model):
  from configs import posec3d_ntu60_keypoint

  config = posec3d_ntu60_keypoint.get_config(f'heatmap={stream}')
  config.model.update(model)
  return config


def published_model(config, code_base):
  run = run_lib.Run(config, SPEC)
  family = checkpoint.FAMILIES['slowonly']
  return family.published_model(run, code_base)


def test_each_code_base_has_its_own_arguments():
  config = make_config()
  prob = {'average_clips': 'prob'}
  for naming, backbone, head, rest in (
    ('mmaction1x', MMACTION2, {'dropout_ratio': 0.5} | prob, {}),
    ('mmaction0x', MMACTION2, {'dropout_ratio': 0.5}, {'test_cfg': prob}),
    (
      'pyskl',
      SHARED | {'conv1_stride': [1, 1], 'pool1_stride': [1, 1]},
      {'dropout': 0.5},
      {'test_cfg': prob},
    ),
  ):
    assert published_model(config, naming) == {
      'type': 'Recognizer3D',
      'backbone': backbone,
      'cls_head': HEAD | head,
      **rest,
    }


def test_channels_are_those_of_the_heatmaps():
  for stream, channels in (
    ('keypoint', 17), ('limb', 17), ('keypoint_limb', 34),
  ):  # fmt: skip
    model = published_model(make_config(stream), 'mmaction1x')
    assert model['backbone']['in_channels'] == channels


@pytest.mark.parametrize(
  'naming, model, words',
  [
    ('pyskl', dict(dilations=(1, 1, 2)), r'dilations=\(1, 1, 1\) only'),
    ('pyskl', dict(with_pool1=False), 'with_pool1=True only'),
    ('pyskl', dict(with_pool2=True), 'with_pool2=False only'),
    (
      'mmaction1x',
      dict(
        base_channels=1, stage_blocks=(1,) * 5, inflate=(0,) * 5,
        spatial_strides=(1,) * 5, temporal_strides=(1,) * 5,
        dilations=(1,) * 5,
      ),
      'up to 4 stages only, and this network has 5',
    ),
  ],
)  # fmt: skip
def test_what_a_code_base_cannot_build_is_an_error(naming, model, words):
  with pytest.raises(errors.UserError, match=words):
    published_model(make_config(**model), naming)
