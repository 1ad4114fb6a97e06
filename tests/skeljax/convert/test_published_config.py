"""Reading published configs and translating pipelines of graph networks."""

import pytest

from skeljax import errors
from skeljax.convert import joint_input
from skeljax.convert import published_config

ONE_X = """
_base_ = '../../_base_/default_runtime.py'
model = dict(type='RecognizerGCN', backbone=dict(type='STGCN'))
test_pipeline = [
    dict(type='PreNormalize3D'),
    dict(type='GenSkeFeat', dataset='nturgb+d', feats=['bm']),
    dict(type='UniformSampleFrames', clip_len=90, num_clips=7, test_mode=True),
    dict(type='PoseDecode'),
    dict(type='FormatGCNInput', num_person=2),
    dict(type='PackActionInputs')
]
test_dataloader = dict(batch_size=1, dataset=dict(pipeline=test_pipeline))
"""
# As mmengine writes it into a checkpoint: resolved.
ONE_X_RESOLVED = """
test_dataloader = dict(
    dataset=dict(
        ann_file='x.pkl',
        pipeline=[
            dict(type='PreNormalize2D'),
            dict(dataset='coco', feats=[
                'jm',
            ], type='GenSkeFeat'),
            dict(clip_len=100, num_clips=10, type='UniformSampleFrames'),
            dict(num_person=1, type='FormatGCNInput'),
        ],
        type='PoseDataset'),
    num_workers=2)
"""
ZERO_X_BONE_2D = """
dataset_type = 'PoseDataset'
test_pipeline = [
    dict(type='PaddingWithLoop', clip_len=300),
    dict(type='PoseDecode'),
    dict(type='JointToBone'),
    dict(type='FormatGCNInput', input_format='NCTVM'),
    dict(type='PoseNormalize'),
    dict(type='Collect', keys=['keypoint', 'label'], meta_keys=[]),
]
data = dict(test=dict(type=dataset_type, pipeline=test_pipeline))
"""
PYSKL = """
modality = 'b'
clip_len = 100
graph, mode = 'coco', 'spatial'
pre = dict(type='PreNormalize2D', threshold=0, mode='auto')
test_pipeline = [
    pre,
    dict(type='GenSkeFeat', feats=[modality]),
    dict(type='UniformSample', clip_len=clip_len, num_clips=10),
    dict(type='PoseDecode'),
    dict(type='FormatGCNInput', num_person=2),
]
"""
VANILLA = """
data = dict(test=dict(pipeline=[
    dict(type='PreNormalize2D'),
    dict(type='GenSkeFeat', dataset='coco', feats=['j']),
    dict(type='PadTo', length=300, mode='zero'),
    dict(type='FormatGCNInput'),
]))
"""


def read(text, code_base='mmaction1x'):
  """Return fields of data and input, and the number of persons."""
  pipeline = published_config.test_pipeline(published_config.parse(text))
  return (
    *joint_input.translate(pipeline, code_base),
    joint_input.num_persons(pipeline),
  )


def test_mmaction1x():
  assert read(ONE_X) == (
    {
      'normalize': 'mmaction1x',
      'frames': 'uniform',
      'clip_len': 90,
      'num_clips': 7,
    },
    {'stream': 'bone_motion'},
    2,
  )


def test_mmaction1x_as_in_a_checkpoint():
  assert read(ONE_X_RESOLVED) == (
    {'frames': 'uniform', 'clip_len': 100, 'num_clips': 10},
    {'normalize_2d': 'mmaction1x', 'stream': 'joint_motion'},
    1,
  )


def test_mmaction0x():
  assert read(ZERO_X_BONE_2D) == (
    {'frames': 'loop', 'clip_len': 300, 'num_clips': 1},
    {'normalize_2d': 'mmaction0x', 'stream': 'bone'},
    2,
  )


def test_pyskl_and_names_of_earlier_values():
  assert read(PYSKL, 'pyskl') == (
    {'frames': 'uniform_pyskl', 'clip_len': 100, 'num_clips': 10},
    {
      'normalize_2d': 'pyskl_auto',
      'normalize_2d_threshold': 0.0,
      'stream': 'bone',
    },
    2,
  )


def test_pyskl_without_its_sampling():
  assert read(VANILLA, 'pyskl') == (
    {'frames': 'zero', 'clip_len': 300, 'num_clips': 1},
    {
      'normalize_2d': 'pyskl_fix',
      'normalize_2d_threshold': 0.01,
      'stream': 'joint',
    },
    2,
  )


def test_code_in_a_config_is_not_run(tmp_path):
  marker = tmp_path / 'marker'
  text = f"""
import os
os.system('touch {marker}')
open({str(marker)!r}, 'w').write('x')
x = __import__('os').system('touch {marker}')
y = dict(a=__import__('os').system('touch {marker}'), b=1)
z = [exec("open({str(marker)!r}, 'w')") for _ in range(3)]
f = f"{{open({str(marker)!r}, 'w')}}"
class A(open({str(marker)!r}, 'w')): pass
def dict(**kwargs): os.system('touch {marker}')
{ONE_X}
"""
  values = published_config.parse(text)
  assert not marker.exists()
  unreadable = published_config.UNREADABLE
  assert values['x'] is unreadable
  assert values['y'] == {'a': unreadable, 'b': 1}
  assert published_config.test_pipeline(values)
  path = tmp_path / 'hostile.py'
  path.write_text(text)
  published_config.read(str(path))
  assert not marker.exists()


@pytest.mark.parametrize(
  'text',
  [
    '',
    'test_pipeline = [',
    'a\0b',
    'test_pipeline = 3',
    'test_pipeline = [1, None, [dict(type=2)], dict(notype=1)]',
    'test_pipeline = ' + '[' * 5000 + ']' * 5000,
    'test_pipeline = ' + '-' * 50000 + '1',
    'test_pipeline = ' + 'dict(a=' * 90 + '1' + ')' * 90,
    'x = {[1]: 2, **y}; test_pipeline = {[1]}',
    'test_pipeline = test_pipeline + test_pipeline',
    'data = dict(test=None)',
    'data = [1]; test_dataloader = 4',
  ],
)
def test_invalid_text_has_no_pipeline(text):
  assert published_config.test_pipeline(published_config.parse(text)) == []


@pytest.mark.parametrize(
  'transform,expected',
  [
    (
      "type='UniformSample', clip_len=n",
      'UniformSample(clip_len=<an expression>)',
    ),
    ("type='UniformSample', clip_len=0", 'UniformSample(clip_len=0)'),
    ("type='UniformSample', num_clips='3'", "UniformSample(num_clips='3')"),
    ("type='PadTo', length=-1", 'PadTo(length=-1)'),
    ("type='PaddingWithLoop', clip_len=2.5", 'PaddingWithLoop(clip_len=2.5)'),
    ("type='FormatGCNInput', num_person=[]", 'FormatGCNInput(num_person=[])'),
    ("type='GenSkeFeat', feats=['j', 'b']", "GenSkeFeat(feats=['j', 'b'])"),
    ("type='GenSkeFeat', feats=['x']", "GenSkeFeat(feats=['x'])"),
    ("type='GenSkeFeat', feats=f()", 'GenSkeFeat(feats=<an expression>)'),
    ("type='PreNormalize2D', mode='x'", "PreNormalize2D(mode='x')"),
    (
      "type='PreNormalize2D', threshold=x",
      'PreNormalize2D(threshold=<an expression>)',
    ),
    (
      "type='PreNormalize3D', align_spine=False",
      'PreNormalize3D(align_spine=False)',
    ),
  ],
)
def test_an_unsupported_argument_is_an_error(transform, expected):
  with pytest.raises(errors.UserError) as error:
    read(f'test_pipeline = [dict({transform})]', 'pyskl')
  assert expected in str(error.value)
  assert '--config=FILE' in str(error.value)


def test_a_file_is_read_with_its_bases(tmp_path):
  (tmp_path / 'base').mkdir()
  (tmp_path / 'base' / 'joint.py').write_text(ONE_X)
  (tmp_path / 'bone.py').write_text(
    "_base_ = ['base/joint.py', 'absent.py']\nother = 3\n"
  )
  values = published_config.read(str(tmp_path / 'bone.py'))
  assert values['other'] == 3
  assert len(published_config.test_pipeline(values)) == 6
  # The last assignment counts.
  (tmp_path / 'own.py').write_text(
    "_base_ = 'bone.py'\ntest_pipeline = [dict(type='PadTo')]\n"
  )
  values = published_config.read(str(tmp_path / 'own.py'))
  assert len(published_config.test_pipeline(values)) == 1


def test_a_file_based_on_itself_is_an_error(tmp_path):
  (tmp_path / 'a.py').write_text("_base_ = 'b.py'\n" + ONE_X.split('\n', 2)[2])
  (tmp_path / 'b.py').write_text("_base_ = ['./a.py']\n")
  with pytest.raises(errors.UserError, match='includes the file itself'):
    published_config.read(str(tmp_path / 'a.py'))


def test_other_files_are_an_error(tmp_path):
  with pytest.raises(errors.UserError, match='no such'):
    published_config.read(str(tmp_path / 'absent.py'))
  (tmp_path / 'plain.py').write_text('x = 1\n')
  with pytest.raises(errors.UserError, match='no test_pipeline'):
    published_config.read(str(tmp_path / 'plain.py'))
  (tmp_path / 'binary.py').write_bytes(bytes(range(256)))
  with pytest.raises(errors.UserError, match='not a text file'):
    published_config.read(str(tmp_path / 'binary.py'))


def test_the_config_in_meta_is_that_of_mmengine_or_mmcv():
  assert published_config.from_meta({'cfg': 'a = 1'}) == {'a': 1}
  assert published_config.from_meta({'config': 'b = 1'}) == {'b': 1}
  assert published_config.from_meta({'cfg': {'a': 1}, 'epoch': 3}) == {}


@pytest.mark.parametrize(
  'transform, words',
  [
    (dict(type='RandomRot'), "test_pipeline .* transform 'RandomRot'"),
    (dict(type=None), 'transform None'),
    (dict(type='UniformSampleFrames', seed=7), 'supports 255'),
    (dict(type='UniformSampleFrames', clip_len=4, p_interval=2), 'supports 1'),
    (dict(type='FormatGCNInput', mode='loop'), "supports 'zero'"),
    (dict(type='PoseNormalize', mean=[320, 240, 0.5]), 'supports .960, 540'),
    (dict(type='PreNormalize2D', img_shape=[480, 640]), 'supports .1080, 1920'),
    (dict(type='PoseDecode', speed=2), 'supports no such argument'),
  ],
)
def test_unsupported_transforms_are_never_dropped(transform, words):
  with pytest.raises(errors.UserError, match=words):
    joint_input.translate([transform], 'mmaction1x')


def test_bones_and_motion_of_0x_are_separate_transforms():
  bone, motion = dict(type='JointToBone'), dict(type='ToMotion')
  for pipeline, stream in (
    ([bone], 'bone'),
    ([motion], 'joint_motion'),
    ([bone, motion], 'bone_motion'),
  ):
    _, features = joint_input.translate(pipeline, 'mmaction0x')
    assert features['stream'] == stream
