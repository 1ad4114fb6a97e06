"""Words after the colon, the demo of every configuration, and :help."""

import pathlib
import re

import pytest

from data_prep.demo import annotations as demo
from skeljax import cli
from skeljax import errors
from skeljax import main
from skeljax import run as run_lib
from skeljax import skeletons
from skeljax.datasets.spec import DataSpec
from tests import published_rows

_FOLDER = pathlib.Path(__file__).resolve().parents[2] / 'configs'
_SHARED = ('babel', 'common', 'gcn', 'posec3d', 'stgcn')
_FILES = sorted(p.name for p in _FOLDER.glob('*.py') if p.stem not in _SHARED)
_GCN_STREAMS = ('joint', 'bone', 'joint_motion', 'bone_motion')
_POSEC3D_STREAMS = ('keypoint', 'limb', 'keypoint_limb')
# Of files that stand for 2D and 3D alike, also with the word for either.
_DEMOS = [(file, '') for file in _FILES] + [
  (file, f'u100,{dims}')
  for file in ('agcn_bone.py', 'stgcn_joint_2d.py', 'stgcnpp.py')
  for dims in ('2d', '3d')
]
_DEMOS.append(('stgcnpp.py', 'ucla,3d'))
# What only NW-UCLA is trained on: 1,020 clips, five passes an epoch.
_UCLA_CLIPS = 1020


def _load(file, words):
  return cli.load_config(f'{_FOLDER / file}:{words}')


def _spec(config, classes=60):
  layout = 'nturgb+d' if config.data.dims == 3 else 'coco'
  if config.recipe == 'ucla' and not config.use_demo:
    layout = 'ucla'
  return DataSpec(
    layout=skeletons.get_layout(layout),
    class_names=tuple(map(str, range(classes))),
    num_channels=config.data.dims,
    score_dtype='float16' if config.data.dims == 2 else '',
    num_persons=1 if layout == 'ucla' else 2,
    normalize=config.data.normalize,
    keypoint_dtype='float16' if config.data.dims == 2 else 'float32',
    max_frames=300,
  )


def test_every_file_has_a_published_row():
  rows = {row.command.partition(':')[0] for row in published_rows.ROWS}
  assert rows == set(_FILES)


@pytest.mark.parametrize(
  'file', ['agcn_bone.py', 'agcn_joint.py', 'stgcn_joint_3d.py', 'stgcnpp.py']
)
def test_ucla_recipe_is_that_of_ctr_gcn(file):
  config = _load(file, 'ucla')
  run = run_lib.Run(config, _spec(config))
  shape = run.input_shape(1)
  assert shape == (1, 1, 52, 20, 3)
  training = run.plan(_UCLA_CLIPS)
  # 5 x 1,020 / 16 = 318.75 steps an epoch, 65 of them; the drop at epoch 50.
  assert training.total_steps == 20719
  rates = [float(training.schedule(s)) for s in (15937, 15938)]
  assert rates == pytest.approx([0.1, 0.01])


@pytest.mark.parametrize(
  'file, stream',
  [
    (file, stream)
    for file in _FILES
    for stream in (
      _POSEC3D_STREAMS if file.startswith('posec3d') else _GCN_STREAMS
    )
  ],
)
def test_stream_word_sets_the_stream_and_nothing_else(file, stream):
  config, plain = _load(file, stream), _load(file, '')
  field = 'heatmap' if file.startswith('posec3d') else 'stream'
  assert config.input[field] == stream
  _ = run_lib.Run(config, _spec(config)).input
  config.input[field], config.words = plain.input[field], plain.words
  assert config.to_dict() == plain.to_dict()


@pytest.mark.parametrize('file', _FILES)
def test_demo_preset_names_only_fields_that_exist(file):
  config = _load(file, '')
  for section, fields in config.demo.items():
    for field, value in fields.items():
      assert isinstance(value, type(config[section][field])), (section, field)


@pytest.mark.parametrize('file, words', _DEMOS)
def test_demo_can_be_trained(file, words, monkeypatch):
  config = _load(file, words)
  built = []
  monkeypatch.setattr(
    main.demo, 'build', lambda *asked: built.append(asked) or 'root'
  )
  main.use_demo(config, {})
  dims = config.data.dims
  assert built == [(config.data.dataset, dims, config.data.normalize)]
  assert config.data.dataset.startswith(f'demo_{dims}d_')
  if words:
    assert words.endswith(f'{dims}d')
  run_lib.Run(config, _spec(config, classes=len(demo.ACTIONS))).validate()


def test_demo_weighs_the_classes_by_the_clips_it_has():
  config = _load('stgcn_babel60_wfl.py', '')
  samples = config.demo.loss.samples_per_class
  assert samples == (demo.CLIPS['train'],) * len(demo.ACTIONS)


@pytest.mark.parametrize(
  'words, dataset, dims',
  [
    ('u100', 'ntu60_xsub_3d', 3),
    ('u100,2d', 'ntu60_xsub_2d', 2),
    ('u100,3d,ntu120', 'ntu120_xsub_3d', 3),
    ('xset,ntu120,2d,bone,u100', 'ntu120_xset_2d', 2),
    ('u100,xview', 'ntu60_xview_3d', 3),
    ('u100,2d,mine', 'mine', 2),
    ('ucla', 'nw_ucla', 3),
    ('ucla,mine', 'mine', 3),
    (' u100 , 2d,,mine', 'mine', 2),
  ],
)
def test_words_name_the_dataset(words, dataset, dims):
  for file in ('stgcnpp.py', 'stgcn_joint_3d.py', 'agcn_joint.py'):
    config = _load(file, words)
    assert (config.data.dataset, config.data.dims) == (dataset, dims)
    is_prepared = config.data.normalize == 'mmaction1x'
    assert is_prepared == (dims == 3 and config.recipe == 'u100')
    on_device = config.input.normalize_2d
    assert on_device == ('mmaction1x' if dims == 2 else 'none')


@pytest.mark.parametrize(
  'file, words, text',
  [
    ('stgcnpp', 'ntu60,xset', 'ntu60 has no benchmark xset'),
    ('stgcnpp', 'xset', 'Write ntu120,xset'),
    ('agcn_joint', 'u100,ntu120,xview', 'Write ntu60,xview'),
    ('agcn_joint', 'ntu60,ntu120', '2 words for the data: ntu60, ntu120'),
    ('agcn_bone', 'u100,2d,3d', '2 words for the coordinates'),
    ('agcn_bone', 'u100,xsub,xview', '2 words for the benchmark'),
    ('agcn_bone', 'joint,bone', '2 words for the stream'),
    ('agcn_bone', 'mine,yours', '2 words for the dataset'),
    ('agcn_joint', '2d', 'agcn_joint.py:u100,2d'),
    ('stgcnpp', 'published', 'u100, the default'),
    ('stgcnpp', 'ntu120,mine', "'mine' names a prepared dataset, and ntu120"),
    ('stgcn_joint_2d', 'ucla', 'is for 3D skeletons'),
    ('stgcn_joint_3d', 'ucla,xsub', 'on NW-UCLA, which has no xsub'),
    ('stgcn_joint_3d', 'limb', 'which the configurations posec3d'),
    ('stgcn_babel60', 'u100', 'BABEL has the recipe of mmaction2 0.x alone'),
    ('stgcn_babel60', 'xsub', 'with splits of its own'),
    ('posec3d_gym_limb', 'bone', 'PoseC3D sees heatmaps'),
    ('posec3d_gym_limb', 'u100', 'is mmaction1x'),
    ('posec3d_ntu60_limb', 'xview', 'such as ntu60_xview_2d'),
    ('posec3d_k400_keypoint', 'published', 'only mmaction2 1.x'),
    ('posec3d_ntu120_limb', 'rc0', 'only mmaction2 0.x'),
  ],
)
def test_words_that_make_no_sense_are_explained(file, words, text):
  with pytest.raises(errors.UserError) as caught:
    _load(f'{file}.py', words)
  assert text in str(caught.value)


@pytest.mark.parametrize('file', _FILES)
def test_help_lists_every_word_with_its_meaning(file, capsys):
  with pytest.raises(SystemExit) as caught:
    _load(file, 'help')
  assert not caught.value.code
  printed = capsys.readouterr().out
  for word in _load(file, '').known_words:
    assert re.search(rf'^ +(\w+ +)?{word} +\w', printed, re.MULTILINE), word
