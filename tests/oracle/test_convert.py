"""Graph networks from PyTorch to skeljax and back."""

import dataclasses
import pathlib

import jax
import mmaction
from mmaction.registry import MODELS
import mmengine
from mmengine.runner import load_checkpoint
import networks
import numpy as np
import published_0x
import pytest
import torch

from skeljax import pretrained
from skeljax import run as run_lib
from skeljax import skeletons
from skeljax.convert import __main__ as command
from skeljax.convert import checkpoint
from skeljax.convert import family as family_lib
from skeljax.convert import joint_input
from skeljax.convert import published_config
from skeljax.skeletons import graph as graph_lib
from tests import compiling

DRAWS = 3
NAMES = {
  'stgcn': 'ST-GCN',
  'stgcnpp': 'ST-GCN++',
  'agcn': '2s-AGCN',
  'aagcn': 'AAGCN',
}
PYSKL_LAYOUTS = ('nturgb+d', 'coco', 'openpose-18', 'handmp')
_SKELETON = pathlib.Path(mmaction.__file__).parent / '.mim/configs/skeleton'
CONFIGS = sorted(
  path
  for folder in ('stgcn', 'stgcnpp', '2s-agcn')
  for path in (_SKELETON / folder).glob('*.py')
)


def draw(family, seed, index):
  """Return a config whose network can be inferred, and overrides."""
  config = networks.draw(family, seed, index)
  options = dict(config.options)
  if config.graph.num_subsets == 1 and 'conv_pos' in options:
    # With one matrix conv_pos cannot be inferred.
    options['conv_pos'] = 'pre'
  *shape, channels = config.shape
  config = dataclasses.replace(
    config, options=tuple(options.items()), shape=(*shape, min(channels, 3))
  )
  layout = config.graph.layout
  given = family_lib.Overrides(
    layout=None if layout.name in skeletons.LAYOUTS else layout,
    down_stages=options['down_stages'],
    num_persons=config.shape[1],
  )
  return config, given


def relative_difference(ours, theirs):
  return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def assert_there_and_back(
  network, state, given, x, tmp_path, *, naming, note, record=None
):
  """Convert a file to a workdir with equal logits, and to the same file.

  Args:
    network: of PyTorch.
    state: its state_dict.
    given: overrides.
    x: input.
    tmp_path: where to write.
    naming: whose names `state` has.
    note: names the config in failures.
    record: takes the largest differences.
  """
  path, folder = str(tmp_path / 'theirs.pth'), str(tmp_path / 'ours')
  back = str(tmp_path / 'back.pth')
  torch.save({'meta': {'epoch': 1}, 'state_dict': state}, path)
  notes = command.to_workdir(path, folder, given)
  assert f'names of {naming}' in notes[0], note
  loaded = pretrained.load(folder)
  model = run_lib.Run(loaded.config, loaded.spec).model
  apply = jax.jit(model.apply, compiler_options=compiling.FAST_COMPILE)
  ours = np.asarray(apply(loaded.variables, x))
  with torch.no_grad():
    theirs = network.eval()(torch.from_numpy(x)).numpy()
  difference = relative_difference(ours, theirs)
  assert difference < 1e-5, f'{note}: {difference}'
  command.to_torch_file(folder, back, 'last', '')
  again = torch.load(back, weights_only=True)['state_dict']
  assert sorted(again) == sorted(state), note
  for name, tensor in state.items():
    assert again[name].dtype == tensor.dtype, f'{note}: {name}'
    assert again[name].shape == tensor.shape, f'{note}: {name}'
    assert torch.equal(again[name], tensor), f'{note}: {name}'
  if record:
    record('round trip', 0.0)
    record('logits of a converted file', difference)
  return folder, back


def random_input(config):
  rng = np.random.default_rng([config.seed, 5])
  return rng.normal(size=config.shape).astype(np.float32)


@pytest.mark.parametrize('index', range(DRAWS))
@pytest.mark.parametrize('family', networks.FAMILIES)
def test_files_of_mmaction2_are_equal_after_a_round_trip(
  family, index, oracle_seed, tmp_path, record_difference
):
  config, given = draw(family, oracle_seed, index)
  network = networks.build(config).theirs
  networks.settle(network, config.seed)
  state = network.state_dict()
  naming = ('mmaction1x', 'pyskl')[index % 2]
  if config.graph.layout.name not in PYSKL_LAYOUTS:
    naming = 'mmaction1x'  # pyskl has these layouts only.
  if naming == 'pyskl':
    state = {n.replace('head.fc.', 'head.fc_cls.'): t for n, t in state.items()}
  folder, back = assert_there_and_back(
    network,
    state,
    given,
    random_input(config),
    tmp_path,
    naming=naming,
    note=str(config),
    record=lambda kind, value: record_difference(NAMES[family], kind, value),
  )
  # mmaction2 loads it with strict=True.
  if naming == 'pyskl':
    command.to_torch_file(folder, back, 'last', 'mmaction1x')
  fresh = networks.build(config).theirs
  load_checkpoint(fresh, back, map_location='cpu', strict=True)
  for name, tensor in network.state_dict().items():
    if naming == 'pyskl' and name.endswith('num_batches_tracked'):
      continue  # Counters are kept within one code base only.
    assert torch.equal(fresh.state_dict()[name], tensor), f'{config}: {name}'


def as_stgcn_of_the_authors(state):
  return {
    n.removeprefix('backbone.').replace('cls_head.fc.', 'fcn.'): t
    for n, t in state.items()
  }


def as_aagcn_of_the_authors(state):
  """Return AAGCN of mmaction2 under the names of aagcn.py of the authors."""
  result = {}
  for name, tensor in state.items():
    if name == 'backbone.A':
      continue
    name = name.replace('cls_head.', '').removeprefix('backbone.')
    if name.startswith('gcn.'):
      _, block, unit, rest = name.split('.', 3)
      unit = {'gcn': 'gcn1', 'tcn': 'tcn1'}.get(unit, unit)
      rest = 'PA' if rest == 'A' else rest
      name = f'l{int(block) + 1}.{unit}.{rest}'
    result[name] = tensor
  return result


@pytest.mark.parametrize('index', range(2))
@pytest.mark.parametrize(
  'kind', ['stgcn-mmaction0x', 'stgcn-original', 'agcn-mmaction0x',
           'agcn-original'],
)  # fmt: skip
def test_files_of_0x_and_of_the_authors_are_equal_after_a_round_trip(
  kind, index, oracle_seed, tmp_path
):
  family, naming = kind.split('-')
  rng = np.random.default_rng([oracle_seed, len(kind), index])
  layout = skeletons.get_layout(('nturgb+d', 'coco')[rng.integers(2)])
  mode = 'spatial'
  if family == 'stgcn':
    mode = ('stgcn_spatial', 'uniform', 'distance')[rng.integers(3)]
  graph = graph_lib.Graph(layout, mode, edges='0x')
  widths, width = [], int(rng.integers(8, 13))
  for stage in range(4):
    width *= 1 + (stage > 0 and int(rng.integers(2)))
    widths.append(width)
  strides = [1] + [1 + (b != a) for a, b in zip(widths, widths[1:])]
  stages = list(zip(widths, strides))
  persons = int(rng.integers(1, 4))
  note = f'{kind} seed={oracle_seed} {layout.name} {mode} {stages} M={persons}'
  adjacency = torch.from_numpy(graph.adjacency())
  if family == 'stgcn':
    network = published_0x.STGCN(adjacency, stages, networks.NUM_CLASSES)
  else:
    apart = persons if naming == 'original' else 0
    network = published_0x.AGCN(
      adjacency, stages, networks.NUM_CLASSES, num_persons=apart
    )
  state = {
    n: torch.from_numpy(networks.fill(n, t.numpy(), index))
    for n, t in network.state_dict().items()
  }
  network.load_state_dict(state)
  networks.settle(network, index)
  state = network.state_dict()
  if kind == 'stgcn-original':
    state = as_stgcn_of_the_authors(state)
  x = rng.normal(size=(2, persons, 12, layout.num_joints, 3))
  given = family_lib.Overrides(num_persons=persons)
  assert_there_and_back(
    network,
    state,
    given,
    x.astype(np.float32),
    tmp_path,
    naming=naming,
    note=note,
  )


@pytest.mark.parametrize('family', ['agcn', 'aagcn'])
def test_aagcn_of_the_authors_is_equal_after_a_round_trip(
  family, oracle_seed, tmp_path
):
  options = dict(
    variant='tanh',
    attention=family == 'aagcn',
    base_channels=8,
    num_stages=3,
    inflate_stages=(3,),
    down_stages=(3,),
  )
  graph = graph_lib.Graph(skeletons.get_layout('nturgb+d'), 'spatial')
  config = networks.Config(
    family, graph, tuple(options.items()), (2, 2, 10, 25, 3), seed=oracle_seed
  )
  network = networks.build(config).theirs
  networks.settle(network, 0)
  assert_there_and_back(
    network,
    as_aagcn_of_the_authors(network.state_dict()),
    family_lib.Overrides(),
    random_input(config),
    tmp_path,
    naming='original',
    note=str(config),
  )


# Published configs.


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_a_published_config_is_recognized(path, tmp_path):
  cfg = mmengine.Config.fromfile(str(path))
  backbone = dict(cfg.model.backbone)
  # Narrow, for speed.
  network = networks.Network(
    MODELS.build(dict(backbone, base_channels=8)),
    MODELS.build(dict(cfg.model.cls_head, in_channels=32)),
  )
  networks.settle(network, 0)
  file = str(tmp_path / 'file.pth')
  torch.save(
    {'state_dict': network.state_dict(), 'meta': {'cfg': cfg.pretty_text}}, file
  )
  converted = checkpoint.load(file)
  config, spec = converted.meta['config'], converted.meta['spec']

  transforms = {t['type']: t for t in cfg.test_pipeline}
  is_3d = 'PreNormalize3D' in transforms
  assert is_3d == ('3d' in path.stem)
  sampled = transforms['UniformSampleFrames']
  stream = {
    'j': 'joint',
    'b': 'bone',
    'jm': 'joint_motion',
    'bm': 'bone_motion',
  }[transforms['GenSkeFeat']['feats'][0]]
  assert stream.replace('_', '-') in path.stem
  assert config['input']['stream'] == stream
  data = config['data']
  assert data['frames'] == 'uniform'
  assert data['clip_len'] == sampled['clip_len'] == 100
  assert data['num_clips'] == sampled['num_clips'] == 10
  assert data['dims'] == (3 if is_3d else 2)
  assert data['normalize'] == ('mmaction1x' if is_3d else 'none')
  assert config['input']['normalize_2d'] == ('none' if is_3d else 'mmaction1x')
  assert spec['num_persons'] == transforms['FormatGCNInput']['num_person']
  assert bool(spec['score_dtype']) == (not is_3d)
  assert len(spec['class_names']) == cfg.model.cls_head.num_classes
  graph_cfg = backbone['graph_cfg']
  assert spec['layout']['name'] == graph_cfg['layout']
  assert config['graph']['mode'] == graph_cfg['mode']
  model = config['model']
  assert model['name'] == {'STGCN': 'stgcn', 'AAGCN': 'agcn'}[backbone['type']]
  assert (model['num_stages'], model['inflate_stages']) == (10, (5, 8))
  assert model['down_stages'] == (5, 8)
  if model['name'] == 'stgcn':
    assert model['adaptive'] == backbone.get('gcn_adaptive', 'importance')
    assert model['tcn_type'] == backbone.get('tcn_type', 'unit_tcn')
    assert model['gcn_with_res'] == backbone.get('gcn_with_res', False)
  else:
    assert model['attention'] == backbone.get('gcn_attention', True)
  # Only the strides are assumed.
  assert [n for n in converted.notes if 'overrides' in n] == [
    n for n in converted.notes if 'stride' in n
  ]
  # The file with its bases is equal to the resolved text.
  values = command.read_config(str(path))
  pipeline = published_config.test_pipeline(values)
  resolved = published_config.test_pipeline(
    published_config.parse(cfg.pretty_text)
  )
  for code_base in ('mmaction1x', 'pyskl'):
    assert joint_input.translate(pipeline, code_base) == joint_input.translate(
      resolved, code_base
    )
