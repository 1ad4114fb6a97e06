"""Inference of the joint input of a checkpoint."""

from ml_collections import config_dict
import pytest

from skeljax import errors
from skeljax import skeletons
from skeljax.convert import joint_input
from skeljax.convert import torch_file

PIPELINE = [
  dict(type='GenSkeFeat', feats=['b']),
  dict(type='UniformSampleFrames', clip_len=64, num_clips=3),
  dict(type='FormatGCNInput', num_person=1),
]


def infer(code_base='mmaction1x', layout='nturgb+d', channels=3, **kwargs):
  """Return sections and notes of a file."""
  file = torch_file.TorchFile('f.pth', {})
  usual = dict(model='stgcn', own_config=None, pipeline=[])
  sections = joint_input.infer(
    file,
    code_base,
    layout=skeletons.get_layout(layout),
    num_channels=channels,
    **usual | kwargs,
  )
  return sections, file.notes


@pytest.mark.parametrize(
  'found,data,features,average',
  [
    (
      dict(code_base='mmaction1x'),
      ('uniform', 100, 10, 3, 'mmaction1x'), 'none', 'prob',
    ),
    (
      dict(code_base='mmaction1x', layout='coco'),
      ('uniform', 100, 10, 2, 'none'), 'mmaction1x', 'prob',
    ),
    (
      dict(code_base='pyskl'),
      ('uniform_pyskl', 100, 10, 3, 'mmaction1x'), 'none', 'prob',
    ),
    (
      dict(code_base='pyskl', layout='handmp', channels=2),
      ('uniform_pyskl', 100, 10, 2, 'none'), 'pyskl_fix', 'prob',
    ),
    (
      dict(code_base='mmaction0x'),
      ('loop', 300, 1, 3, 'mmaction0x'), 'none', 'score',
    ),
    (
      dict(code_base='mmaction0x', layout='coco'),
      ('loop', 300, 1, 2, 'none'), 'mmaction0x', 'score',
    ),
    (
      dict(code_base='original'), ('zero', 300, 1, 3, 'none'), 'none', 'score',
    ),
    (
      dict(code_base='original', model='agcn'),
      ('loop', 300, 1, 3, 'mmaction0x'), 'none', 'score',
    ),
  ],
)  # fmt: skip
def test_the_published_test_pipeline_is_the_default(
  found, data, features, average
):
  sections, notes = infer(**found)
  names = ('frames', 'clip_len', 'num_clips', 'dims', 'normalize')
  assert tuple(sections['data'][name] for name in names) == data
  assert sections['input']['normalize_2d'] == features
  assert sections['input']['stream'] == 'joint'
  assert sections['eval']['average'] == average
  text = '; '.join(notes)
  assert f'the test pipeline of {found["code_base"]}' in text
  assert ('the 3 channels are' in text) == (found.get('channels', 3) == 3)


def test_a_pipeline_defines_the_input():
  sections, _ = infer(pipeline=PIPELINE)
  data = sections['data']
  assert (data['frames'], data['clip_len'], data['num_clips']) == (
    'uniform', 64, 3,
  )  # fmt: skip
  # This pipeline does not normalize.
  assert data['normalize'] == 'none'
  assert sections['input']['stream'] == 'bone'


def test_a_normalization_defines_the_three_channels():
  three = [dict(type='PreNormalize3D')]
  two = [dict(type='PreNormalize2D')]
  for layout in ('coco', 'nturgb+d'):
    for pipeline, dims in ((three, 3), (two, 2)):
      sections, notes = infer(layout=layout, pipeline=pipeline)
      assert sections['data']['dims'] == dims
      assert '3 channels' not in '; '.join(notes)


def test_data_of_0x_are_normalized_before_training():
  loop = [dict(type='PaddingWithLoop', clip_len=300)]
  sections, _ = infer('mmaction0x', pipeline=loop)
  assert sections['data']['normalize'] == 'mmaction0x'
  # Clips of BABEL are not normalized and have the same length.
  babel = [dict(type='PoseDecode'), dict(type='FormatGCNInput', num_person=1)]
  sections, notes = infer('mmaction0x', pipeline=babel)
  assert sections['data']['normalize'] == 'none'
  assert sections['data']['clip_len'] == 150
  assert 'does not sample frames' in '; '.join(notes)


def test_a_given_config_takes_precedence():
  given = {
    'data': {'frames': 'zero'},
    'input': {'stream': 'bone'},
    'eval': {'average': 'prob'},
  }
  sections, notes = infer(
    own_config=config_dict.ConfigDict(given), pipeline=PIPELINE
  )
  assert sections == given
  assert not notes


@pytest.mark.parametrize(
  'trained, given, pipeline, persons',
  [
    (None, 0, [], 2), (None, 0, PIPELINE, 1), (3, 0, PIPELINE, 3),
    (None, 4, PIPELINE, 4), (2, 2, [], 2),
  ],
)  # fmt: skip
def test_persons_are_given_or_of_the_weights_or_of_the_pipeline(
  trained, given, pipeline, persons
):
  file = torch_file.TorchFile('f.pth', {})
  found = joint_input.infer_persons(file, trained, given, pipeline)
  assert found == persons
  is_assumed = not (trained or given or pipeline)
  assert ('--num_persons overrides' in '; '.join(file.notes)) == is_assumed


def test_persons_that_contradict_the_weights_are_an_error():
  with pytest.raises(errors.UserError, match='f.pth is for 2 persons'):
    joint_input.infer_persons(torch_file.TorchFile('f.pth', {}), 2, 3, [])


@pytest.mark.parametrize('channels', [1, 4, 6])
def test_unsupported_channels_are_an_error(channels):
  with pytest.raises(errors.UserError, match=f'takes {channels} channels'):
    infer(channels=channels)


def test_a_third_channel_is_a_score_for_layouts_without_a_spine():
  assert infer(layout='coco')[0]['data']['dims'] == 2
  assert infer(layout='nturgb+d')[0]['data']['dims'] == 3
  assert infer(channels=2)[0]['data']['dims'] == 2
