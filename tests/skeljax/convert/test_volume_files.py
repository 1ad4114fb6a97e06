"""Claims about what a PyTorch file of PoseC3D is taken for."""

import dataclasses

import numpy as np
import pytest

from skeljax import errors
from skeljax import skeletons
from skeljax.convert import volume_files
from tests import specs

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
def tell(make_slowonly):
  """tell(channels=..., meta=..., **given) -> what a small file is taken for."""

  def function(
    channels=17, num_classes=4, stage_blocks=(1, 2, 1), meta=None, **given
  ):
    network = make_slowonly(
      channels=channels, num_classes=num_classes, stage_blocks=stage_blocks
    )
    state = network.state_dict('pyskl')
    return volume_files.tell(state, meta or {}, source='f.pth', **given)

  return function


def said(told):
  return '; '.join(told.notes)


@pytest.mark.parametrize(
  'channels, layout, stream',
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
def test_channels_tell_the_layout_as_far_as_they_can(
  channels, layout, stream, tell
):
  told = tell(channels)
  assert (told.layout.name, told.sections['input']['heatmap']) == (
    layout, stream,
  )  # fmt: skip
  assert f'the {channels} channels were taken for {stream} heatmaps' in said(
    told
  )
  assert '--stream, --layout or --config=FILE overrides' in said(told)


def test_limbs_are_taken_where_they_are_asked_for(tell):
  told = tell(stream='limb')
  assert told.layout == COCO
  assert told.sections['input']['heatmap'] == 'limb'
  assert 'does not say its layout (--layout' in said(told)
  told = tell(stream='limb', layout=skeletons.get_layout('openpose-18'))
  assert told.layout.name == 'openpose-18'
  assert 'channels were taken' not in said(told)
  # A layout alone settles it where only one of its streams has as many.
  told = tell(layout=skeletons.get_layout('openpose-18'))
  assert told.sections['input']['heatmap'] == 'limb'
  assert 'channels were taken' not in said(told)
  told = tell(layout=COCO)
  assert told.sections['input']['heatmap'] == 'keypoint'
  assert 'does not say its stream (--stream or' in said(told)


@pytest.mark.parametrize(
  'channels, given, words',
  [
    (5, {}, 'heatmaps of 5 channels.*coco .17 joints, 17 limbs.*--layout=FILE'),
    (17, dict(layout=skeletons.get_layout('ucla')), 'ucla .20 joints, 19'),
    (18, dict(stream='limb'), 'limb heatmaps of 18 channels'),
    (25, dict(layout=COCO, stream='keypoint'), 'keypoint heatmaps of 25'),
  ],
)
def test_counts_that_no_layout_has_are_an_error(channels, given, words, tell):
  with pytest.raises(errors.UserError, match=words):
    tell(channels, **given)


def test_a_layout_without_limbs_draws_joints_only(tell):
  bare = dataclasses.replace(COCO, limbs=())
  assert tell(layout=bare).sections['input']['heatmap'] == 'keypoint'
  with pytest.raises(errors.UserError, match='17 joints, 0 limbs'):
    tell(layout=bare, stream='limb')


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
def test_the_code_base_tells_how_a_silent_file_was_tested(
  meta, naming, resize, min_score, mirror, tell
):
  told = tell(meta=meta)
  assert told.naming == naming
  features = told.sections['input']
  assert features['resize'] == resize
  assert features['min_score'] == min_score
  assert features['mirror'] == mirror
  assert ('all code bases name PoseC3D alike' in said(told)) == (not meta)
  data = told.sections['data']
  assert data['frames'] == ('uniform_pyskl' if naming == 'pyskl' else 'uniform')
  assert (data['clip_len'], data['num_clips'], data['dims']) == (48, 10, 2)
  assert told.sections['eval']['average'] == 'prob'
  assert told.sections['eval']['mirrored']
  assert told.sections['eval']['views_at_once'] == 1
  # The fields are those of the options, no more and no less.
  options = specs.heatmaps(layout=told.layout, has_score=True, **features)
  assert options.num_channels == 17


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
def test_blocks_and_classes_tell_the_published_sizes(
  blocks, classes, sizes, resize, tell
):
  told = tell(stage_blocks=blocks, num_classes=classes)
  features = told.sections['input']
  assert (features['size'], features['test_size']) == sizes
  assert features['resize'] == resize
  assert f'{sizes[1]}x{sizes[1]} pixels (--config' in said(told)


def test_the_configuration_in_the_file_says_it_all(tell):
  told = tell(meta={'config': TEXT, 'mmcv_version': '1.7'})
  assert told.naming == 'mmaction0x'
  assert told.options['temporal_strides'] == (1, 1, 1)
  data, features = told.sections['data'], told.sections['input']
  assert (data['clip_len'], data['num_clips']) == (24, 5)
  assert (features['test_size'], features['mirror']) == (40, '0x')
  assert not told.sections['eval']['mirrored']
  # Not told: which layout the joints are of.
  assert [n for n in told.notes if 'overrides' in n] == [
    n for n in told.notes if 'its layout' in n
  ]


def test_a_given_pipeline_wins_over_that_of_the_file(tell):
  told = tell(meta={'cfg': TEXT}, pipeline=PIPELINE, options={}, layout=COCO)
  assert told.naming == 'mmaction1x'
  assert told.sections['data']['clip_len'] == 32
  assert told.sections['input']['sigma'] == 0.7
  assert told.options['temporal_strides'] == (1, 1, 2)


@pytest.mark.parametrize(
  'scale, scaling, size', [(56, 1.0, 48), (64, 1.0, 56), (256, 0.25, 256)]
)
def test_the_training_size_fits_what_a_test_pipeline_says(
  scale, scaling, size, tell
):
  pipeline = [dict(t) for t in PIPELINE]
  pipeline[2]['scale'] = [scale, scale]
  pipeline[3]['scaling'] = scaling
  features = tell(pipeline=pipeline).sections['input']
  assert (features['test_size'], features['size']) == (scale, size)


def test_given_sections_win_over_the_file(tell):
  sections = {
    'data': {'frames': 'uniform'},
    'input': {'heatmap': 'limb'},
    'eval': {'average': 'score'},
  }
  told = tell(
    meta={'cfg': TEXT}, sections=sections, options={'with_pool2': True}
  )
  assert told.sections == sections
  assert told.options['with_pool2']
  assert told.layout == COCO


def test_a_stream_that_the_configuration_contradicts_is_refused(tell):
  for given in (
    dict(pipeline=PIPELINE),
    dict(meta={'cfg': TEXT}),
    dict(sections={'data': {}, 'input': {'heatmap': 'keypoint'}, 'eval': {}}),
  ):
    with pytest.raises(errors.UserError, match='draws keypoint heatmaps'):
      tell(stream='limb', **given)


def test_a_configuration_with_other_limbs_than_channels_is_refused(tell):
  pipeline = [dict(t) for t in PIPELINE]
  pipeline[3] = dict(
    type='GeneratePoseTarget', with_kp=False, with_limb=True,
    skeletons=[[0, 1], [0, 2]],
  )  # fmt: skip
  with pytest.raises(errors.UserError, match='17 channels, but its.* 2 limbs'):
    tell(pipeline=pipeline)


def test_the_limbs_of_the_configuration_are_those_of_the_layout(tell):
  other = [list(limb) for limb in reversed(COCO.limbs)]
  pipeline = [dict(t) for t in PIPELINE]
  pipeline[3] = dict(
    type='GeneratePoseTarget', with_kp=False, with_limb=True, skeletons=other
  )
  told = tell(pipeline=pipeline)
  assert told.layout.joints == COCO.joints
  np.testing.assert_array_equal(told.layout.limbs, other)
  assert 'draws other limbs, or in another order' in said(told)
