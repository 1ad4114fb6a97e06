"""Files of PoseC3D through the command, and back to mmaction2."""

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
from skeljax.convert import commands
from skeljax.convert import own_files
from skeljax.convert import published_config
from skeljax.convert import slowonly_config
from skeljax.convert import torch_to_skeljax
from skeljax.convert import volume_config
from tests import compiling

DRAWS = 4
CONFIGS = sorted(
  (
    pathlib.Path(mmaction.__file__).parent / '.mim/configs/skeleton/posec3d'
  ).glob('*.py')
)
# What the files of each code base say of themselves.
METAS = {
  'mmaction1x': {'mmengine_version': '0.3.0', 'epoch': 24},
  'mmaction0x': {'mmcv_version': '1.3.18', 'mmaction_version': '0.24.1'},
  'pyskl': {'mmcv_version': '1.5.0', 'pyskl_version': '0.1.0'},
}
UNTOLD = (
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


def printed_model(said):
  """The `model` that the command prints, built by mmaction2."""
  (line,) = [s for s in said if s.startswith('it is loaded there by')]
  return ast.literal_eval(line.split(' = ', 1)[1])


@pytest.mark.parametrize('index', range(DRAWS))
def test_files_cross_and_come_back_and_mmaction2_loads_them(
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
  told = {n: config.options[n] for n in UNTOLD if n in config.options}
  said = commands.to_workdir(
    path, folder, torch_to_skeljax.Given(options=told or None)
  )
  assert f'names of {naming}' in said[0], note
  assert any('were taken for the stages' in s for s in said) == (not told), note

  x = volume_networks.random_input(config)
  theirs = their_logits(network, x)
  difference = np.abs(our_logits(folder, x) - theirs).max()
  difference /= np.abs(theirs).max()
  assert difference < 1e-5, f'{note}: {difference}'
  record_difference('PoseC3D', 'logits of a converted file', difference)

  commands.to_torch_file(folder, back, 'last', '')
  again = torch.load(back, weights_only=True)['state_dict']
  assert sorted(again) == sorted(state), note
  for name, tensor in state.items():
    assert again[name].dtype == tensor.dtype, f'{note}: {name}'
    assert torch.equal(again[name], tensor), f'{note}: {name}'
  record_difference('PoseC3D', 'round trip', 0.0)

  # mmaction2 builds what is printed, loads the file and scores the same.
  back_1x = str(tmp_path / 'back_1x.pth')
  said = commands.to_torch_file(folder, back_1x, 'last', 'mmaction1x')
  built = MODELS.build(printed_model(said) | {'data_preprocessor': None})
  load_checkpoint(built, back_1x, map_location='cpu', strict=True)
  fresh = volume_networks.Network(built.backbone, built.cls_head).eval()
  np.testing.assert_array_equal(their_logits(fresh, x), theirs, note)


def test_what_a_code_base_tests_in_another_way_is_said(oracle_seed, tmp_path):
  path, folder = str(tmp_path / 'theirs.pth'), str(tmp_path / 'ours')
  back = str(tmp_path / 'back.pth')
  network = volume_networks.make(volume_networks.draw(oracle_seed, 0))
  torch.save(
    {'meta': METAS['mmaction0x'], 'state_dict': network.state_dict()}, path
  )
  commands.to_workdir(path, folder, torch_to_skeljax.Given())
  for naming, fields in (
    ('', []), ('mmaction1x', ['mirror']),
    ('pyskl', ['mirror', 'min_score', 'frames']),
  ):  # fmt: skip
    said = commands.to_torch_file(folder, back, 'last', naming)
    other = [s for s in said if 'the scores there differ' in s]
    assert len(other) == len(fields)
    for field, sentence in zip(fields, other):
      assert f'tested with {field}=' in sentence


def test_a_file_of_ours_keeps_what_it_is_for(oracle_seed, tmp_path):
  """A second conversion needs no word, whatever the tensors cannot tell."""
  config = volume_networks.draw(oracle_seed, 1)
  path = str(tmp_path / 'theirs.pth')
  torch.save(volume_networks.make(config).state_dict(), path)
  told = {n: config.options[n] for n in UNTOLD}
  given = torch_to_skeljax.Given(
    stream='limb', options=told, class_names=tuple('abcdefg')
  )
  folder, back = str(tmp_path / 'ours'), str(tmp_path / 'back.pth')
  commands.to_workdir(path, folder, given)
  for naming in ('mmaction0x', 'mmaction1x'):
    commands.to_torch_file(folder, back, 'last', naming)
    found = torch_to_skeljax.load(back)
    first = pretrained.load(folder)
    assert found.naming == naming
    assert found.meta['config']['input']['heatmap'] == 'limb'
    assert found.meta['spec']['class_names'] == list('abcdefg')
    model = found.meta['config']['model']
    assert {n: model[n] for n in UNTOLD} == {
      n: list(v) if isinstance(v, tuple) else v for n, v in told.items()
    }
    assert found.meta['torch']['is_assumed']
    assert found.meta['torch']['is_stream_told']
    for ours, theirs in zip(
      jax.tree.leaves(first.variables), jax.tree.leaves(dict(found.variables))
    ):
      np.testing.assert_array_equal(ours, theirs)
  with pytest.raises(errors.UserError, match='says itself what --stream'):
    torch_to_skeljax.load(back, torch_to_skeljax.Given(stream='limb'))


# What a published configuration says.


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_a_published_configuration_is_recognised(path, tmp_path):
  cfg = mmengine.Config.fromfile(str(path))
  backbone, head = dict(cfg.model.backbone), dict(cfg.model.cls_head)
  # Narrow, for speed alone.
  network = networks.Network(
    MODELS.build(dict(backbone, base_channels=2)),
    MODELS.build(dict(head, in_channels=32)),
  )
  file = str(tmp_path / 'file.pth')
  torch.save(
    {'state_dict': network.state_dict(), 'meta': {'cfg': cfg.pretty_text}}, file
  )
  converted = torch_to_skeljax.load(file)
  config, spec = converted.meta['config'], converted.meta['spec']
  assert converted.naming == 'mmaction1x'

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
  # Nothing was guessed but whose joints they are.
  assert [n for n in converted.notes if 'overrides' in n] == [
    n for n in converted.notes if 'its layout' in n
  ]
  # The file with its bases says the same as the resolved text.
  given = commands.read_configuration(str(path))
  values = published_config.parse(cfg.pretty_text)
  assert given.takes_volumes
  assert given.options == slowonly_config.network_options(values)
  for naming in METAS:
    assert volume_config.preprocessing(
      given.pipeline, naming
    ) == volume_config.preprocessing(
      published_config.test_pipeline(values), naming
    )


# Files that are no such network, whole.


@pytest.fixture(scope='module')
def posec3d():
  """A function that makes the tensors of a small network, to be changed."""
  network = volume_networks.make(volume_networks.draw(0, 0))
  return lambda: dict(network.state_dict())


@pytest.mark.parametrize(
  'lost, shape, said',
  [
    ('backbone.conv1.conv.weight', None, 'missing: backbone.conv1.conv.weight'),
    ('backbone.layer2.0.conv3.bn.running_var', None, 'missing: backbone.layer2'),
    ('backbone.layer1.0.downsample.conv.weight', (3, 3), 'misshapen: backbone'),
    ('cls_head.fc_cls.bias', (9,), r'cls_head.fc_cls.bias is \[9\], not \[7\]'),
    ('backbone.layer1.0.conv4.conv.weight', (1,), 'unknown: backbone.layer1.0'),
  ],
)  # fmt: skip
def test_a_file_that_is_not_whole_is_refused(
  lost, shape, said, posec3d, save, tmp_path
):
  state = posec3d()
  state.pop(lost, None)
  if shape:
    state[lost] = torch.zeros(shape)
  path = save(state)
  before = sorted(os.listdir(tmp_path))
  with pytest.raises(errors.UserError, match=said) as error:
    torch_files.convert(path, tmp_path)
  assert path in str(error.value)
  assert sorted(os.listdir(tmp_path)) == before


def test_flags_of_the_other_kind_of_network_are_refused(
  posec3d, state, save, tmp_path
):
  graph_file = save(state, 'graph.pth')
  volume_file = save(posec3d(), 'volume.pth')
  for path, given, words in (
    (graph_file, dict(stream='limb'), 'whose stream a configuration says'),
    (graph_file, dict(takes_volumes=True), 'is one of PoseC3D'),
    (
      volume_file,
      dict(down_stages=(2,)),
      '--down_stages is for graph networks',
    ),
    (volume_file, dict(takes_volumes=False), 'is one of a graph network'),
    (volume_file, dict(class_names=('a', 'b')), '7 classes apart'),
  ):
    assert words in torch_files.refusal(path, tmp_path, **given)


def test_the_configuration_of_the_other_kind_of_network_is_told_apart(
  posec3d, state, save, tmp_path
):
  root = pathlib.Path(__file__).resolve().parents[2] / 'configs'
  for network, name in (
    (state, 'posec3d_ntu60_limb.py'), (posec3d(), 'stgcn_joint_2d.py'),
  ):  # fmt: skip
    given = commands.read_configuration(str(root / name))
    with pytest.raises(errors.UserError, match='--config is one of'):
      torch_to_skeljax.load(save(network), given)
  # Their own in the file: a graph network with a pipeline of heatmaps.
  text = CONFIGS[0].read_text()
  path = save({'state_dict': state, 'meta': {'cfg': text}})
  assert 'draws heatmaps' in torch_files.refusal(path, tmp_path)


@pytest.mark.parametrize(
  'entry',
  [
    {'naming': 'original'}, {'naming': ['pyskl']}, {'naming': None},
    {'config': {'model': {'name': 'stgcn'}}}, {'spec': {}},
  ],
)  # fmt: skip
def test_a_forged_entry_of_ours_is_refused(entry, posec3d, save, tmp_path):
  folder, _ = torch_files.convert(save(posec3d()), tmp_path)
  path = str(tmp_path / 'ours.pth')
  commands.to_torch_file(folder, path, 'last', '')
  content = torch.load(path, weights_only=True)
  content['meta'][own_files.META_KEY] |= entry
  torch.save(content, path)
  with pytest.raises(errors.UserError, match='is not what skeljax writes'):
    torch_to_skeljax.load(path)
