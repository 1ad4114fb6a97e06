"""Inference of the heatmap input of a PoseC3D checkpoint."""

import dataclasses

from ml_collections import config_dict
import numpy as np
import pytest

from skeljax import errors
from skeljax import inputs
from skeljax import skeletons
from skeljax.convert import checkpoint
from skeljax.convert import family as family_lib
from skeljax.convert import torch_file

COCO = skeletons.get_layout('coco')
PIPELINE = [
  dict(type='UniformSampleFrames', clip_len=32, num_clips=3),
  dict(type='PoseCompact', hw_ratio=1.0),
  dict(type='Resize', scale=[48, 48], keep_ratio=False),
  dict(type='GeneratePoseTarget', sigma=0.7),
  dict(type='PackActionInputs'),
]
TEXT = """
model = dict(backbone=dict(type='ResNet3dSlowOnly', conv1_stride_s=1,
    pool1_stride_s=1, num_stages=3, spatial_strides=(2, 2, 2),
    temporal_strides=(1, 1, 1), dilations=(1, 1, 1)))
test_pipeline = [
    dict(type='UniformSampleFrames', clip_len=24, num_clips=5, test_mode=True),
    dict(type='PoseCompact', hw_ratio=1.),
    dict(type='Resize', scale=(-1, 40)),
    dict(type='CenterCrop', crop_size=40),
    dict(type='GeneratePoseTarget'),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='Collect', keys=['imgs'], meta_keys=[]),
]
"""


@pytest.fixture
def recognize(make_slowonly):
  """recognize(channels=..., meta=..., **overrides) -> (Recognized, notes)."""

  def function(
    channels=17, num_classes=4, stage_blocks=(1, 2, 1), meta=None, **overrides
  ):
    network = make_slowonly(
      channels=channels, num_classes=num_classes, stage_blocks=stage_blocks
    )
    file = torch_file.TorchFile(
      'f.pth', network.state_dict('pyskl'), meta or {}
    )
    if 'pipeline' in overrides:
      overrides['config'] = {'test_pipeline': overrides.pop('pipeline')}
    family, code_base = checkpoint.find_family(file.state_dict, 'f.pth')
    overrides = family_lib.Overrides(**overrides)
    return family.recognize(file, code_base, overrides), file.notes

  return function


def own_config(**sections):
  """Return a skeljax config of PoseC3D."""
  model = {'name': 'slowonly', 'with_pool2': True}
  return config_dict.ConfigDict(
    {'model': model, 'data': {}, 'eval': {}, **sections}
  )


@pytest.mark.parametrize(
  'channels, layout, heatmap',
  [
    (17, 'coco', 'keypoint'),
    (34, 'coco', 'keypoint_limb'),
    (25, 'nturgb+d', 'keypoint'),
    (24, 'nturgb+d', 'limb'),
    (18, 'openpose-18', 'keypoint'),
    (20, 'ucla', 'keypoint'),
    (21, 'handmp', 'keypoint'),
    (39, 'ucla', 'keypoint_limb'),
  ],
)
def test_layout_and_heatmap_are_inferred_from_the_channels(
  channels, layout, heatmap, recognize
):
  found, notes = recognize(channels)
  assert (found.spec.layout.name, found.config.input.heatmap) == (
    layout, heatmap,
  )  # fmt: skip
  assert f'the {channels} channels are {heatmap} heatmaps' in '; '.join(notes)
  assert '--heatmap, --layout or --config=FILE overrides' in '; '.join(notes)


def test_heatmap_and_layout_can_be_given(recognize):
  found, notes = recognize(heatmap='limb')
  assert found.spec.layout == COCO
  assert found.config.input.heatmap == 'limb'
  assert 'does not specify its layout (--layout' in '; '.join(notes)
  found, notes = recognize(
    heatmap='limb', layout=skeletons.get_layout('openpose-18')
  )
  assert found.spec.layout.name == 'openpose-18'
  assert 'channels are' not in '; '.join(notes)
  # The layout is enough if only one heatmap has as many channels.
  found, notes = recognize(layout=skeletons.get_layout('openpose-18'))
  assert found.config.input.heatmap == 'limb'
  assert 'channels are' not in '; '.join(notes)
  found, notes = recognize(layout=COCO)
  assert found.config.input.heatmap == 'keypoint'
  assert 'does not specify its heatmap (--heatmap or' in '; '.join(notes)


@pytest.mark.parametrize(
  'channels, given, words',
  [
    (5, {}, 'heatmaps of 5 channels.*coco .17 joints, 17 limbs.*--layout=FILE'),
    (17, dict(layout=skeletons.get_layout('ucla')), 'ucla .20 joints, 19'),
    (18, dict(heatmap='limb'), 'limb heatmaps of 18 channels'),
    (25, dict(layout=COCO, heatmap='keypoint'), 'keypoint heatmaps of 25'),
  ],
)
def test_channels_of_no_layout_are_an_error(channels, given, words, recognize):
  with pytest.raises(errors.UserError, match=words):
    recognize(channels, **given)


def test_a_layout_without_limbs_has_joint_heatmaps_only(recognize):
  bare = dataclasses.replace(COCO, limbs=())
  assert recognize(layout=bare)[0].config.input.heatmap == 'keypoint'
  with pytest.raises(errors.UserError, match='17 joints, 0 limbs'):
    recognize(layout=bare, heatmap='limb')


@pytest.mark.parametrize(
  'meta, naming, resize, min_score, mirror',
  [
    ({}, 'mmaction1x', 'short_side', 1e-4, '1x'),
    ({'mmengine_version': '0.3'}, 'mmaction1x', 'short_side', 1e-4, '1x'),
    ({'mmcv_version': '1.3.18'}, 'mmaction0x', 'short_side', 1e-4, '0x'),
    (
      {'mmcv_version': '1.3.18', 'mmaction_version': '0.24'},
      'mmaction0x', 'short_side', 1e-4, '0x',
    ),
    (
      {'mmcv_version': '1.3.18', 'pyskl_version': '0.1'},
      'pyskl', 'stretch', 1e-3, '1x',
    ),
  ],
)  # fmt: skip
def test_the_published_test_pipeline_is_the_default(
  meta, naming, resize, min_score, mirror, recognize
):
  found, notes = recognize(meta=meta)
  assert found.code_base == naming
  features = found.config.input
  assert features['resize'] == resize
  assert features['min_score'] == min_score
  assert features['mirror'] == mirror
  assert ('the code base cannot be inferred' in '; '.join(notes)) == (not meta)
  data = found.config.data
  assert data['frames'] == ('uniform_pyskl' if naming == 'pyskl' else 'uniform')
  assert (data['clip_len'], data['num_clips'], data['dims']) == (48, 10, 2)
  assert found.config.eval.average == 'prob'
  assert found.config.eval.mirrored
  assert found.config.eval.views_at_once == 1
  # The fields are exactly those of the input.
  built = inputs.build('heatmaps', features, found.spec)
  assert built.num_channels == 17
  assert set(features) == {f.name for f in dataclasses.fields(built)} - {'spec'}


@pytest.mark.parametrize(
  'blocks, classes, sizes, resize',
  [
    ((3, 4, 6), 101, (48, 56), 'short_side'),
    ((3, 4, 6), 51, (48, 56), 'short_side'),
    ((3, 4, 6), 400, (56, 64), 'stretch'),
    ((3, 4, 6), 60, (56, 64), 'short_side'),
    ((4, 6, 3), 101, (56, 64), 'short_side'),
  ],
)
def test_blocks_and_classes_define_the_published_sizes(
  blocks, classes, sizes, resize, recognize
):
  found, notes = recognize(stage_blocks=blocks, num_classes=classes)
  features = found.config.input
  assert (features['size'], features['test_size']) == sizes
  assert features['resize'] == resize
  assert f'{sizes[1]}x{sizes[1]} pixels (--config' in '; '.join(notes)


def test_the_config_in_the_file_defines_the_input(recognize):
  found, notes = recognize(meta={'config': TEXT, 'mmcv_version': '1.7'})
  assert found.code_base == 'mmaction0x'
  assert found.config.model['temporal_strides'] == (1, 1, 1)
  data, features = found.config.data, found.config.input
  assert (data['clip_len'], data['num_clips']) == (24, 5)
  assert (features['test_size'], features['mirror']) == (40, '0x')
  assert not found.config.eval.mirrored
  # The layout is the only assumption.
  assert [n for n in notes if 'overrides' in n] == [
    n for n in notes if 'its layout' in n
  ]


def test_a_given_pipeline_takes_precedence_over_the_file(recognize):
  found, notes = recognize(meta={'cfg': TEXT}, pipeline=PIPELINE, layout=COCO)
  assert found.code_base == 'mmaction1x'
  assert found.config.data['clip_len'] == 32
  assert found.config.input['sigma'] == 0.7
  assert found.config.model['temporal_strides'] == (1, 1, 2)


@pytest.mark.parametrize(
  'scale, scaling, size', [(56, 1.0, 48), (64, 1.0, 56), (256, 0.25, 256)]
)
def test_the_training_size_follows_from_the_test_size(
  scale, scaling, size, recognize
):
  pipeline = [dict(t) for t in PIPELINE]
  pipeline[2]['scale'] = [scale, scale]
  pipeline[3]['scaling'] = scaling
  features = recognize(pipeline=pipeline)[0].config.input
  assert (features['test_size'], features['size']) == (scale, size)


def test_a_given_config_takes_precedence_over_the_file(recognize):
  sections = {
    'data': {'frames': 'uniform'},
    'input': {'heatmap': 'limb'},
    'eval': {'average': 'score'},
  }
  found, notes = recognize(meta={'cfg': TEXT}, config=own_config(**sections))
  for name, fields in sections.items():
    assert found.config[name].to_dict() == fields
  assert found.config.model['with_pool2']
  assert found.spec.layout == COCO


def test_a_heatmap_that_contradicts_the_config_is_an_error(recognize):
  for given in (
    dict(pipeline=PIPELINE),
    dict(meta={'cfg': TEXT}),
    dict(config=own_config(input={'heatmap': 'keypoint'})),
  ):
    with pytest.raises(errors.UserError, match='has keypoint heatmaps'):
      recognize(heatmap='limb', **given)


def test_a_config_with_another_number_of_limbs_is_an_error(recognize):
  pipeline = [dict(t) for t in PIPELINE]
  pipeline[3] = dict(
    type='GeneratePoseTarget', with_kp=False, with_limb=True,
    skeletons=[[0, 1], [0, 2]],
  )  # fmt: skip
  with pytest.raises(
    errors.UserError, match='17 limbs, but its config draws 2'
  ):
    recognize(pipeline=pipeline)


def test_the_limbs_of_the_config_replace_those_of_the_layout(recognize):
  other = [list(limb) for limb in reversed(COCO.limbs)]
  pipeline = [dict(t) for t in PIPELINE]
  pipeline[3] = dict(
    type='GeneratePoseTarget', with_kp=False, with_limb=True, skeletons=other
  )
  found, notes = recognize(pipeline=pipeline)
  assert found.spec.layout.joints == COCO.joints
  np.testing.assert_array_equal(found.spec.layout.limbs, other)
  assert 'used the limbs of its config' in '; '.join(notes)
