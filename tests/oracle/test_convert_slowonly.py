"""PoseC3D from PyTorch to skeljax and back."""

import ast
import os
import pathlib

import jax
import mmaction
from mmaction.registry import MODELS
import mmengine
from mmengine.runner import load_checkpoint
import networks
import numpy as np
import pytest
import torch
import torch_files
import volume_networks

from skeljax import errors
from skeljax import pretrained
from skeljax import run as run_lib
from skeljax import skeletons
from skeljax.convert import __main__ as command
from skeljax.convert import checkpoint
from skeljax.convert import family as family_lib
from skeljax.convert import heatmap_pipeline
from skeljax.convert import published_config
from skeljax.convert import slowonly
from tests import compiling

DRAWS = 4
CONFIGS = sorted(
  (
    pathlib.Path(mmaction.__file__).parent / '.mim/configs/skeleton/posec3d'
  ).glob('*.py')
)
# Meta of the files of each code base.
METAS = {
  'mmaction1x': {'mmengine_version': '0.3.0', 'epoch': 24},
  'mmaction0x': {'mmcv_version': '1.3.18', 'mmaction_version': '0.24.1'},
  'pyskl': {'mmcv_version': '1.5.0', 'pyskl_version': '0.1.0'},
}
UNDEFINED = (
  'spatial_strides', 'temporal_strides', 'dilations', 'conv1_stride',
  'pool1_stride', 'with_pool1', 'with_pool2',
)  # fmt: skip


def our_logits(folder, x):
  loaded = pretrained.load(folder)
  model = run_lib.Run(loaded.config, loaded.spec).model
  apply = jax.jit(model.apply, compiler_options=compiling.FAST_COMPILE)
  return np.asarray(apply(loaded.variables, x))


def their_logits(network, x):
  with torch.no_grad():
    return network(torch.from_numpy(x)).numpy()


def published_backbone(config):
  """Return the values of a published config; None for default strides."""
  if not any(name in config.options for name in UNDEFINED):
    return None
  options = {name: config.options[name] for name in UNDEFINED}
  backbone = dict(type='ResNet3dSlowOnly', num_stages=3, **options)
  return {'model': {'backbone': backbone}}


def printed_model(notes):
  """Return the `model` that the command prints."""
  (line,) = [note for note in notes if note.startswith('to load it there')]
  return ast.literal_eval(line.split(' = ', 1)[1])


@pytest.mark.parametrize('index', range(DRAWS))
def test_files_are_equal_after_a_round_trip_and_mmaction2_loads_them(
  index, oracle_seed, tmp_path, record_difference
):
  config = volume_networks.draw(oracle_seed, index)
  note = str(config)
  network = volume_networks.make(config)
  state = network.state_dict()
  naming = list(METAS)[index % 3]
  path, folder = str(tmp_path / 'theirs.pth'), str(tmp_path / 'ours')
  back = str(tmp_path / 'back.pth')
  torch.save({'meta': METAS[naming], 'state_dict': state}, path)
  given = published_backbone(config)
  notes = command.to_workdir(path, folder, family_lib.Overrides(config=given))
  assert f'names of {naming}' in notes[0], note
  assert any('assumed strides' in n for n in notes) == (given is None), note

  x = volume_networks.random_input(config)
  theirs = their_logits(network, x)
  difference = np.abs(our_logits(folder, x) - theirs).max()
  difference /= np.abs(theirs).max()
  assert difference < 1e-5, f'{note}: {difference}'
  record_difference('PoseC3D', 'logits of a converted file', difference)

  command.to_torch_file(folder, back, 'last', '')
  again = torch.load(back, weights_only=True)['state_dict']
  assert sorted(again) == sorted(state), note
  for name, tensor in state.items():
    assert again[name].dtype == tensor.dtype, f'{note}: {name}'
    assert torch.equal(again[name], tensor), f'{note}: {name}'
  record_difference('PoseC3D', 'round trip', 0.0)

  # mmaction2 builds the printed model and loads the file.
  back_1x = str(tmp_path / 'back_1x.pth')
  notes = command.to_torch_file(folder, back_1x, 'last', 'mmaction1x')
  built = MODELS.build(printed_model(notes) | {'data_preprocessor': None})
  load_checkpoint(built, back_1x, map_location='cpu', strict=True)
  fresh = volume_networks.Network(built.backbone, built.cls_head).eval()
  np.testing.assert_array_equal(their_logits(fresh, x), theirs, note)


def test_differences_between_test_pipelines_are_reported(oracle_seed, tmp_path):
  path, folder = str(tmp_path / 'theirs.pth'), str(tmp_path / 'ours')
  back = str(tmp_path / 'back.pth')
  network = volume_networks.make(volume_networks.draw(oracle_seed, 0))
  torch.save(
    {'meta': METAS['mmaction0x'], 'state_dict': network.state_dict()}, path
  )
  command.to_workdir(path, folder, family_lib.Overrides())
  for naming, fields in (
    ('', []), ('mmaction1x', ['mirror']),
    ('pyskl', ['frames', 'min_score', 'mirror']),
  ):  # fmt: skip
    notes = command.to_torch_file(folder, back, 'last', naming)
    other = [note for note in notes if 'scores differ slightly' in note]
    assert len(other) == len(fields)
    for field, sentence in zip(fields, other):
      assert f'tested with {field}=' in sentence


def test_a_file_of_skeljax_contains_its_config(oracle_seed, tmp_path):
  config = volume_networks.draw(oracle_seed, 1)
  path = str(tmp_path / 'theirs.pth')
  torch.save(volume_networks.make(config).state_dict(), path)
  undefined = {n: config.options[n] for n in UNDEFINED}
  given = family_lib.Overrides(
    heatmap='limb',
    config=published_backbone(config),
    class_names=tuple('abcdefg'),
  )
  folder, back = str(tmp_path / 'ours'), str(tmp_path / 'back.pth')
  command.to_workdir(path, folder, given)
  for naming in ('mmaction0x', 'mmaction1x'):
    command.to_torch_file(folder, back, 'last', naming)
    found = checkpoint.load(back)
    first = pretrained.load(folder)
    assert found.meta['torch']['code_base'] == naming
    assert found.meta['config']['input']['heatmap'] == 'limb'
    assert found.meta['spec']['class_names'] == list('abcdefg')
    model = found.meta['config']['model']
    assert {n: model[n] for n in UNDEFINED} == {
      n: list(v) if isinstance(v, tuple) else v for n, v in undefined.items()
    }
    assert found.meta['torch']['is_assumed']
    assert found.meta['torch']['is_stream_known']
    for ours, theirs in zip(
      jax.tree.leaves(first.variables), jax.tree.leaves(dict(found.variables))
    ):
      np.testing.assert_array_equal(ours, theirs)
  with pytest.raises(errors.UserError, match='remove --heatmap'):
    checkpoint.load(back, family_lib.Overrides(heatmap='limb'))


# Published configs.


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_a_published_config_is_recognized(path, tmp_path):
  cfg = mmengine.Config.fromfile(str(path))
  backbone, head = dict(cfg.model.backbone), dict(cfg.model.cls_head)
  # Narrow, for speed.
  network = networks.Network(
    MODELS.build(dict(backbone, base_channels=2)),
    MODELS.build(dict(head, in_channels=32)),
  )
  file = str(tmp_path / 'file.pth')
  torch.save(
    {'state_dict': network.state_dict(), 'meta': {'cfg': cfg.pretty_text}}, file
  )
  converted = checkpoint.load(file)
  config, spec = converted.meta['config'], converted.meta['spec']
  assert converted.meta['torch']['code_base'] == 'mmaction1x'

  model = config['model']
  assert model['name'] == 'slowonly'
  for name in (
    'stage_blocks', 'inflate', 'spatial_strides', 'temporal_strides',
    'dilations',
  ):  # fmt: skip
    assert tuple(model[name]) == tuple(backbone[name]), name
  assert tuple(model['conv1_stride']) == (1, backbone['conv1_stride_s'])
  assert tuple(model['pool1_stride']) == (1, backbone['pool1_stride_s'])

  transforms = {t['type']: t for t in cfg.test_pipeline}
  target, resize = transforms['GeneratePoseTarget'], transforms['Resize']
  sampled = transforms['UniformSampleFrames']
  stream = 'limb' if target.get('with_limb', False) else 'keypoint'
  assert stream in path.stem
  features = config['input']
  assert features['heatmap'] == stream
  assert features['sigma'] == target.get('sigma', 0.6)
  assert features['test_size'] == max(resize['scale'])
  is_kept = resize.get('keep_ratio', True)
  assert features['resize'] == ('short_side' if is_kept else 'stretch')
  assert features['mirror'] == '1x'
  assert tuple(features['compact_hw_ratio']) == (1.0, 1.0)
  assert config['eval']['mirrored'] == target['double'] is True
  assert config['eval']['average'] == head['average_clips'] == 'prob'
  data = config['data']
  assert data['frames'] == 'uniform'
  assert (data['clip_len'], data['num_clips'], data['dims']) == (
    sampled['clip_len'], sampled['num_clips'], 2,
  )  # fmt: skip
  assert len(spec['class_names']) == head['num_classes']
  layout = skeletons.Layout.from_dict(spec['layout'])
  assert layout == skeletons.get_layout('coco')
  # Only the layout is assumed.
  assert [n for n in converted.notes if 'overrides' in n] == [
    n for n in converted.notes if 'its layout' in n
  ]
  # The file with its bases is equal to the resolved text.
  given = command.read_config(str(path))
  values = published_config.parse(cfg.pretty_text)
  assert slowonly.backbone_options(given) == slowonly.backbone_options(values)
  pipeline = published_config.test_pipeline(given)
  assert published_config.input_kind(pipeline) == 'heatmaps'
  for code_base in METAS:
    assert heatmap_pipeline.translate(
      pipeline, code_base
    ) == heatmap_pipeline.translate(
      published_config.test_pipeline(values), code_base
    )


# Invalid files.


@pytest.fixture(scope='module')
def posec3d():
  """posec3d() -> tensors of a small network."""
  network = volume_networks.make(volume_networks.draw(0, 0))
  return lambda: dict(network.state_dict())


@pytest.mark.parametrize(
  'lost, shape, expected',
  [
    ('backbone.conv1.conv.weight', None, 'no tensor backbone.conv1.conv.weight'),
    ('backbone.layer2.0.conv3.bn.running_var', None, 'missing: backbone.layer2'),
    ('backbone.layer1.0.downsample.conv.weight', (3, 3), 'misshapen: backbone'),
    ('cls_head.fc_cls.bias', (9,), r'cls_head.fc_cls.bias is \[9\], not \[7\]'),
    ('backbone.layer1.0.conv4.conv.weight', (1,), 'unknown: backbone.layer1.0'),
  ],
)  # fmt: skip
def test_an_incomplete_file_is_an_error(
  lost, shape, expected, posec3d, save, tmp_path
):
  state = posec3d()
  state.pop(lost, None)
  if shape:
    state[lost] = torch.zeros(shape)
  path = save(state)
  before = sorted(os.listdir(tmp_path))
  with pytest.raises(errors.UserError, match=expected) as error:
    torch_files.convert(path, tmp_path)
  assert path in str(error.value)
  assert sorted(os.listdir(tmp_path)) == before


def test_overrides_for_the_other_kind_of_network_are_an_error(
  posec3d, state, save, tmp_path
):
  graph_file = save(state, 'graph.pth')
  volume_file = save(posec3d(), 'volume.pth')
  joints = {'test_pipeline': [dict(type='FormatGCNInput')]}
  heatmaps = {'test_pipeline': [dict(type='GeneratePoseTarget')]}
  for path, given, words in (
    (graph_file, dict(heatmap='limb'), '--heatmap is for PoseC3D'),
    (graph_file, dict(config=heatmaps), '--config is for heatmaps'),
    (
      volume_file,
      dict(down_stages=(2,)),
      '--down_stages is for graph networks',
    ),
    (volume_file, dict(config=joints), '--config is for joints'),
    (
      volume_file,
      dict(class_names=('a', 'b')),
      'has 7 classes, but --class_names has 2',
    ),
  ):
    assert words in torch_files.error_of(path, tmp_path, **given)


def test_a_config_of_the_other_kind_of_network_is_an_error(
  posec3d, state, save, tmp_path
):
  root = pathlib.Path(__file__).resolve().parents[2] / 'configs'
  for network, name in (
    (state, 'posec3d_ntu60_limb.py'), (posec3d(), 'stgcn_joint_2d.py'),
  ):  # fmt: skip
    config = command.read_config(str(root / name))
    given = family_lib.Overrides(config=config)
    with pytest.raises(errors.UserError, match='--config is for'):
      checkpoint.load(save(network), given)
  # A graph network whose own config has heatmaps.
  text = CONFIGS[0].read_text()
  path = save({'state_dict': state, 'meta': {'cfg': text}})
  assert 'its config is for heatmaps' in torch_files.error_of(path, tmp_path)


@pytest.mark.parametrize(
  'entry',
  [
    {'torch': {'code_base': 'original'}}, {'torch': {'code_base': ['pyskl']}},
    {'torch': None}, {'config': {'model': {'name': 'stgcn'}}}, {'spec': {}},
  ],
)  # fmt: skip
def test_a_forged_skeljax_entry_is_an_error(entry, posec3d, save, tmp_path):
  folder, _ = torch_files.convert(save(posec3d()), tmp_path)
  path = str(tmp_path / 'ours.pth')
  command.to_torch_file(folder, path, 'last', '')
  content = torch.load(path, weights_only=True)
  content['meta'][checkpoint.META_KEY] |= entry
  torch.save(content, path)
  with pytest.raises(errors.UserError, match='was not written by skeljax'):
    checkpoint.load(path)
