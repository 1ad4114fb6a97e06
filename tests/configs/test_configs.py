"""Config arguments, the demo of every config, and :help."""

import ast
import pathlib

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
_FILES = sorted(p.name for p in _FOLDER.glob('*.py') if p.stem != 'common')
_POSEC3D = [file for file in _FILES if file.startswith('posec3d')]
_GRAPH_NETWORKS = [file for file in _FILES if file not in _POSEC3D]
# One recipe for 2D and 3D.
_ANY_DIMS = [file for file in _GRAPH_NETWORKS if file.endswith('mmaction1x.py')]
_CTRGCN = [file for file in _FILES if file.endswith('ctrgcn.py')]
_UCLA_CLIPS = 1020
# Assigned in every config file, so that no number of a paper is elsewhere.
_HYPERPARAMETERS = {
  'dataset', 'demo', 'dims', 'normalize', 'frames', 'clip_len', 'num_clips',
  'repeat', 'base_channels', 'dropout', 'norm_group', 'base_lr',
  'momentum', 'nesterov', 'weight_decay', 'schedule', 'reference_batch',
  'batch_size', 'epochs', 'every_epochs', 'average', 'name',
}  # fmt: skip
_GRAPH_HYPERPARAMETERS = {
  'stream', 'adaptive', 'data_bn', 'ch_ratio', 'num_stages', 'inflate_stages',
  'down_stages', 'tcn_dropout', 'mode', 'max_hop', 'edges',
}  # fmt: skip
_POSEC3D_HYPERPARAMETERS = {
  'heatmap', 'sigma', 'use_score', 'min_score', 'scaling', 'short_side', 'size',
  'test_size', 'resize', 'compact_padding', 'compact_threshold',
  'compact_hw_ratio', 'allow_imgpad', 'crop_area', 'crop_aspect', 'flip',
  'mirror', 'stage_blocks', 'inflate', 'inflate_style', 'spatial_strides',
  'temporal_strides', 'dilations', 'conv1_kernel', 'conv1_stride',
  'pool1_stride', 'with_pool1', 'with_pool2', 'zero_init_residual',
  'clip_norm', 'mirrored',
}  # fmt: skip


def _load(file, arguments=''):
  return cli.load_config(f'{_FOLDER / file}:{arguments}')


def _spec(config, classes=60):
  layout = 'nturgb+d' if config.data.dims == 3 else 'coco'
  if config.data.dataset == 'nw_ucla':
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


def test_every_file_has_a_published_row_or_is_for_nw_ucla():
  rows = {row.command.partition(':')[0] for row in published_rows.ROWS}
  assert rows | set(_CTRGCN) == set(_FILES)
  assert not rows & set(_CTRGCN)


@pytest.mark.parametrize('file', _FILES)
def test_config_assigns_every_hyperparameter(file):
  tree = ast.parse((_FOLDER / file).read_text(encoding='utf-8'))
  assigned = {k.arg for k in ast.walk(tree) if isinstance(k, ast.keyword)}
  assigned |= {
    node.attr
    for node in ast.walk(tree)
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
  }
  family = (
    _POSEC3D_HYPERPARAMETERS if file in _POSEC3D else _GRAPH_HYPERPARAMETERS
  )
  assert not (_HYPERPARAMETERS | family) - assigned


@pytest.mark.parametrize('file', _FILES)
def test_config_holds_its_name_and_sections_only(file):
  config = _load(file)
  assert config.name == file.removesuffix('.py')
  sections = {
    'name', 'seed', 'deterministic', 'data', 'input', 'model', 'optim', 'loss',
    'train', 'eval', 'checkpoint', 'demo',
  }  # fmt: skip
  assert set(config) - {'graph'} == sections
  assert config.is_locked


@pytest.mark.parametrize('file', _CTRGCN)
def test_recipe_for_nw_ucla_is_that_of_ctr_gcn(file):
  config = _load(file)
  run = run_lib.Run(config, _spec(config))
  assert run.input_shape(1) == (1, 1, 52, 20, 3)
  training = run.plan(_UCLA_CLIPS)
  # 5 x 1,020 / 16 = 318.75 steps per epoch, 65 epochs; the drop at epoch 50.
  assert training.total_steps == 20719
  rates = [float(training.schedule(s)) for s in (15937, 15938)]
  assert rates == pytest.approx([0.1, 0.01])


def _input_arguments():
  for files, key, values in (
    (_GRAPH_NETWORKS, 'stream', 'joint bone joint_motion bone_motion'),
    (_POSEC3D, 'heatmap', 'keypoint limb keypoint_limb'),
  ):
    for file in files:
      for value in values.split():
        yield file, key, value


@pytest.mark.parametrize('file, key, value', list(_input_arguments()))
def test_stream_argument_sets_the_stream_and_nothing_else(file, key, value):
  config, plain = _load(file, f'{key}={value}'), _load(file)
  assert config.input[key] == value
  _ = run_lib.Run(config, _spec(config)).input
  config.input[key] = plain.input[key]
  assert config.to_dict() == plain.to_dict()


@pytest.mark.parametrize('file', _FILES)
def test_dataset_argument_sets_the_dataset_and_nothing_else(file):
  config, plain = _load(file, 'dataset=mine'), _load(file)
  assert config.data.dataset == 'mine'
  config.data.dataset = plain.data.dataset
  assert config.to_dict() == plain.to_dict()


@pytest.mark.parametrize('file', _FILES)
def test_demo_preset_names_only_fields_that_exist(file):
  config = _load(file)
  for section, fields in config.demo.items():
    for field, value in fields.items():
      assert isinstance(value, type(config[section][field])), (section, field)


@pytest.mark.parametrize(
  'file, arguments',
  [(file, '') for file in _FILES]
  + [(file, f'dims={dims}') for file in _ANY_DIMS for dims in (2, 3)],
)  # fmt: skip
def test_demo_can_be_trained(file, arguments, monkeypatch):
  config = _load(file, arguments)
  built = []
  monkeypatch.setattr(
    main.demo, 'build', lambda *args: built.append(args) or 'root'
  )
  main.use_demo(config, ())
  dims = config.data.dims
  assert built == [(config.data.dataset, dims, config.data.normalize)]
  assert config.data.dataset.startswith(f'demo_{dims}d_')
  if arguments:
    assert arguments == f'dims={dims}'
  run_lib.Run(config, _spec(config, classes=len(demo.ACTIONS))).validate()


def test_demo_weighs_the_classes_by_the_clips_it_has():
  config = _load('stgcn_babel60_wfl.py')
  samples = config.demo.loss.samples_per_class
  assert samples == (demo.CLIPS['train'],) * len(demo.ACTIONS)


@pytest.mark.parametrize(
  'arguments, dataset, dims',
  [
    ('', 'ntu60_xsub_3d', 3),
    ('dims=2', 'ntu60_xsub_2d', 2),
    ('dims=3,dataset=ntu120_xsub_3d', 'ntu120_xsub_3d', 3),
    ('dataset=ntu120_xset_2d,dims=2,stream=bone', 'ntu120_xset_2d', 2),
    ('dataset=ntu60_xview_3d', 'ntu60_xview_3d', 3),
    (' dims=2 ,, dataset=mine', 'mine', 2),
  ],
)
@pytest.mark.parametrize('file', _ANY_DIMS)
def test_arguments_choose_the_dataset_and_its_normalisation(
  file, arguments, dataset, dims
):
  config = _load(file, arguments)
  assert (config.data.dataset, config.data.dims) == (dataset, dims)
  assert config.data.normalize == ('mmaction1x' if dims == 3 else 'none')
  on_device = config.input.normalize_2d
  assert on_device == ('mmaction1x' if dims == 2 else 'none')


@pytest.mark.parametrize('file', _CTRGCN)
def test_recipe_for_nw_ucla_normalises_on_the_device(file):
  config = _load(file, 'dataset=mine')
  assert (config.data.dataset, config.data.dims) == ('mine', 3)
  assert config.data.normalize == config.input.normalize_2d == 'none'


@pytest.mark.parametrize('file', _FILES)
@pytest.mark.parametrize(
  'argument', ['bonne', 'u100', 'steam=bone', 'dataset=', 'demo=yes', '=bone']
)
def test_argument_that_is_not_allowed_lists_those_that_are(file, argument):
  with pytest.raises(errors.UserError) as caught:
    _load(file, argument)
  text = str(caught.value)
  assert repr(argument) in text
  assert 'dataset=' in text and '(False, True)' in text
  key = 'heatmap' if file in _POSEC3D else 'stream'
  assert f'\n  {key}={_load(file).input[key]}  (' in text


@pytest.mark.parametrize(
  'file, argument, allowed',
  [
    ('agcn_joint', 'stream=limb', 'joint, bone, joint_motion, bone_motion'),
    ('stgcnpp_mmaction1x', 'dims=4', '2, 3'),
    ('stgcnpp_mmaction1x', 'dims=2d', '2, 3'),
    ('stgcn_mmaction1x', 'heatmap=limb', 'stream=joint'),
    ('agcn_joint', 'dims=2', 'stream=joint'),
    ('posec3d_gym_limb', 'heatmap=bone', 'keypoint, limb, keypoint_limb'),
    ('posec3d_gym_limb', 'stream=bone', 'heatmap=limb'),
  ],
)
def test_value_that_is_not_allowed_lists_those_that_are(
  file, argument, allowed
):
  with pytest.raises(errors.UserError) as caught:
    _load(f'{file}.py', argument)
  assert allowed in str(caught.value)


@pytest.mark.parametrize('file', _FILES)
def test_help_prints_arguments_and_fields(file, capsys):
  with pytest.raises(SystemExit) as caught:
    _load(file, 'help')
  assert not caught.value.code
  printed = capsys.readouterr().out
  config = _load(file)
  key = 'heatmap' if file in _POSEC3D else 'stream'
  assert f'  {key}={config.input[key]}  (' in printed
  assert '  demo=False  (False, True): ' in printed
  for field in ('seed', 'data.clip_len', 'optim.base_lr', 'model.norm_group'):
    assert f'  --config.{field}=' in printed
  assert f'base_lr={config.optim.base_lr}\n' in printed
  assert '--config.demo' not in printed
