"""Inference of a graph network from tensor names and shapes."""

import numpy as np
import pytest

from skeljax import errors
from skeljax import models
from skeljax import skeletons
from skeljax.convert import checkpoint
from skeljax.convert import family as family_lib
from skeljax.convert import torch_file
from skeljax.skeletons import graph as graph_lib

SEED = 20260102
DRAWS = 5
# Family, code base and fixed options of each kind of network.
KINDS = {
  'stgcn-mmaction1x': ('stgcn', 'mmaction1x', {}),
  'stgcn-pyskl': ('stgcn', 'pyskl', {}),
  'stgcn-mmaction0x': ('stgcn', 'mmaction0x', {}),
  'stgcn-original': ('stgcn', 'original', {}),
  'stgcnpp-pyskl': (
    'stgcn',
    'pyskl',
    dict(adaptive='init', gcn_with_res=True, tcn_type='mstcn'),
  ),
  'aagcn-mmaction1x': ('agcn', 'mmaction1x', dict(variant='tanh')),
  'aagcn-original': ('agcn', 'original', dict(variant='tanh')),
  'agcn-mmaction0x': ('agcn', 'mmaction0x', dict(variant='softmax_0x')),
  'agcn-original': ('agcn', 'original', dict(variant='softmax_original')),
}
SMALL = dict(
  base_channels=8, num_stages=3, inflate_stages=(2,), down_stages=(2,)
)
KINDS_1X = ('stgcn-mmaction1x', 'stgcn-pyskl', 'stgcnpp-pyskl')


def infer(state, source='f.pth', num_persons=0, **overrides):
  """Return model name, code base, architecture and notes."""
  file = torch_file.TorchFile(source, state)
  family, code_base = checkpoint.find_family(state, source)
  found = family.architecture(
    file, code_base, family_lib.Overrides(**overrides), num_persons
  )
  return family.model, code_base, found, file.notes


def architecture(state, **kwargs):
  return infer(state, **kwargs)[2]


def draw(kind, index):
  """Return graph and options of one random network."""
  family, naming, options = KINDS[kind]
  rng = np.random.default_rng([SEED, list(KINDS).index(kind), index])

  def choose(*values):
    return values[rng.integers(len(values))]

  num_stages = int(rng.integers(1, 4))
  stages = range(2, num_stages + 1)
  inflate = tuple(s for s in stages if rng.random() < 0.4)
  options = dict(
    options,
    num_classes=int(rng.integers(2, 9)),
    channels=choose(2, 3),
    persons=choose(1, 2, 3),
    base_channels=int(rng.integers(8, 25)),
    num_stages=num_stages,
    ch_ratio=choose(2, 1.5, 1.41),
    inflate_stages=inflate,
    # A stage that widens may have stride 1, but a file does not show it.
    down_stages=tuple(s for s in stages if s in inflate or rng.random() < 0.3),
  )
  mode = 'spatial'
  if family == 'stgcn':
    modes = graph_lib.MODES
    mode = modes[index] if index < len(modes) else choose(*modes)
  if kind in KINDS_1X:
    options.update(conv_pos=choose('pre', 'post'))
    options.update(data_bn=choose('VC', 'MVC', 'none'))
  if kind in KINDS_1X[:2]:
    options.update(
      adaptive=choose('importance', 'offset', 'none', 'init'),
      gcn_with_res=choose(True, False),
    )
  elif family == 'stgcn':
    options.setdefault('adaptive', choose('importance', 'none'))
  elif options['variant'] == 'tanh':
    options.update(attention=choose(True, False))
    if naming != 'original':
      options.update(adaptive=choose(True, True, False))
  max_hop = choose(1, 2) if mode in graph_lib.HOP_MODES else 1
  layouts = tuple(skeletons.LAYOUTS.values())
  edges = '0x' if naming in ('mmaction0x', 'original') else '1x'
  graph = graph_lib.Graph(
    layouts[(index + int(rng.integers(2)) * 3) % len(layouts)],
    mode,
    max_hop,
    edges,
  )
  return family, naming, graph, options


@pytest.mark.parametrize('index', range(DRAWS))
@pytest.mark.parametrize('kind', KINDS)
def test_a_random_network_is_inferred(kind, index, make_network):
  family, naming, graph, options = draw(kind, index)
  print('drawn:', graph, options)
  network = make_network(family, graph=graph, seed=index, **options)
  found_family, found_naming, found, notes = infer(network.state_dict(naming))
  model = models.build_model(
    found_family,
    graph=found.graph,
    num_classes=found.num_classes,
    **found.options,
  )

  assert (found_family, found_naming) == (family, naming)
  assert found.num_classes == options['num_classes']
  assert found.num_channels == options['channels']
  for name in ('base_channels', 'num_stages', 'inflate_stages', 'down_stages'):
    assert getattr(model, name) == getattr(network.model, name), name
  for name in (
    'adaptive', 'gcn_with_res', 'tcn_type', 'variant', 'attention',
  ):  # fmt: skip
    expected = getattr(network.model, name, None)
    if (name, options['num_stages'], expected) == ('adaptive', 1, 'init'):
      # One block alone cannot differ from the others.
      expected = getattr(model, name)
    assert getattr(model, name, None) == expected, name
  if family == 'stgcn':
    # With one matrix both options have the same tensors, and a note says so.
    is_ambiguous = graph.num_subsets == 1
    assert model.conv_pos == ('pre' if is_ambiguous else network.model.conv_pos)
    assert is_ambiguous == any('one adjacency' in n for n in notes)
  assert_same_data_bn(found, network, options['persons'])
  # The same graph, perhaps by another name: 'distance' with and without
  # dilation can be equal.
  assert found.graph.layout == graph.layout
  np.testing.assert_array_equal(found.graph.adjacency(), graph.adjacency())
  # The inferred network has the same arrays.
  again = make_network(
    found_family,
    graph=found.graph,
    num_classes=found.num_classes,
    channels=found.num_channels,
    persons=found.num_persons or options['persons'],
    **found.options,
  )
  shapes = {n: a.shape for n, a in again.state_dict(found_naming).items()}
  assert shapes == {n: a.shape for n, a in network.state_dict(naming).items()}


def assert_same_data_bn(found, network, persons):
  data_bn = getattr(network.model, 'data_bn', '')
  data_bn = data_bn or {'softmax_0x': 'VC'}.get(network.model.variant, 'MVC')
  if data_bn != 'MVC' or persons > 1:
    assert found.options['data_bn'] == data_bn
    assert found.num_persons == (persons if data_bn == 'MVC' else None)
  else:
    # For one person both are the same function.
    assert found.num_persons in (1, None)


@pytest.mark.parametrize('stages', [(), (2,), (2, 3)])
def test_strides_can_be_given(stages, make_network):
  graph = graph_lib.Graph(skeletons.get_layout('coco'), 'stgcn_spatial')
  options = SMALL | dict(inflate_stages=(2, 3), down_stages=stages)
  state = make_network('stgcn', graph=graph, **options).state_dict('pyskl')
  _, _, found, notes = infer(state, down_stages=stages)
  assert found.options['down_stages'] == stages
  assert not notes
  _, _, assumed, notes = infer(state)
  assert assumed.options['down_stages'] == (2, 3)
  assert 'stage 2, 3' in ' '.join(notes)


def test_strides_that_contradict_the_tensors_are_an_error(coco_network):
  state = coco_network.state_dict('pyskl')
  with pytest.raises(errors.UserError, match='--down_stages=9'):
    architecture(state, down_stages=(9,))
  # Stage 2 keeps its width and has no convolution as residual.
  with pytest.raises(errors.UserError, match='--down_stages=2,3'):
    architecture(state, down_stages=(2, 3))


def test_a_residual_convolution_of_equal_width_implies_a_stride(make_network):
  graph = graph_lib.Graph(skeletons.get_layout('coco'), 'stgcn_spatial')
  options = SMALL | dict(down_stages=(2, 3))
  state = make_network('stgcn', graph=graph, **options).state_dict('pyskl')
  assert architecture(state).options['down_stages'] == ((2, 3))
  with pytest.raises(errors.UserError, match='residuals of stages 2, 3'):
    architecture(state, down_stages=(2,))


@pytest.mark.parametrize('layout', ['coco', 'nturgb+d'])
@pytest.mark.parametrize('mode', ['spatial', 'stgcn_spatial'])
def test_importances_after_weight_decay_are_not_offsets(
  layout, mode, make_network
):
  graph = graph_lib.Graph(skeletons.get_layout(layout), mode)
  network = make_network('stgcn', graph=graph, **SMALL)
  for left in (0.5, 1e-2, 1e-4, 1e-8):
    state = network.state_dict('mmaction1x')
    rng = np.random.default_rng(0)
    for i in range(3):
      # Edges have a gradient; elsewhere weights only decay.
      learned = 0.1 * rng.normal(size=network.adjacency.shape)
      state[f'backbone.gcn.{i}.gcn.PA'] = np.where(
        network.adjacency == 0, left, learned
      ).astype(np.float32)
    found = architecture(state)
    assert found.options['adaptive'] == 'importance', left


@pytest.mark.parametrize('scale', [1e-6, 1e-3, 0.3])
def test_offsets_are_not_importances(scale, make_network):
  graph = graph_lib.Graph(skeletons.get_layout('coco'), 'spatial')
  network = make_network('stgcn', graph=graph, **SMALL, adaptive='offset')
  rng = np.random.default_rng(0)
  state = network.state_dict('mmaction1x')
  for i in range(3):
    noise = rng.uniform(-scale, scale, (3, 17, 17))
    state[f'backbone.gcn.{i}.gcn.PA'] = noise.astype(np.float32)
  found = architecture(state)
  assert found.options['adaptive'] == 'offset'
  for i in range(3):
    # Importances of 0 would make the output constant.
    state[f'backbone.gcn.{i}.gcn.PA'] *= 0
  found = architecture(state)
  assert found.options['adaptive'] == 'offset'


def test_an_input_norm_of_one_person_is_vc_if_several_are_given(
  make_network,
):
  graph = graph_lib.Graph(skeletons.get_layout('coco'), 'spatial')
  network = make_network(
    'agcn', graph=graph, **SMALL, variant='tanh', data_bn='VC'
  )
  state = network.state_dict('mmaction1x')
  found = architecture(state, num_persons=2)
  assert (found.options['data_bn'], found.num_persons) == ('VC', None)
  # By default it is the published kind for one person.
  found = architecture(state)
  assert (found.options['data_bn'], found.num_persons) == ('MVC', 1)


def test_a_gap_between_the_blocks_is_an_error(coco_network):
  state = {
    n: a
    for n, a in coco_network.state_dict('mmaction1x').items()
    if not n.startswith('backbone.gcn.1.')
  }
  with pytest.raises(
    errors.UserError, match=r'gap in the numbers of the blocks, \[0, 2\]'
  ):
    architecture(state)


def test_widths_without_a_factor_are_an_error(make_network):
  graph = graph_lib.Graph(skeletons.get_layout('coco'), 'stgcn_spatial')
  options = SMALL | dict(num_stages=4, inflate_stages=(2, 3, 4))
  state = make_network('stgcn', graph=graph, **options).state_dict('pyskl')
  state['backbone.gcn.2.tcn.bn.bias'] = np.zeros(17, np.float32)
  with pytest.raises(errors.UserError, match='8, 16, 17, 64 channels'):
    architecture(state)


@pytest.mark.parametrize(
  'first',
  [
    # C3D, CTR-GCN, a plain linear layer, nothing.
    'backbone.conv1a.conv.weight',
    'backbone.net.0.gcn1.PA',
    'fc.weight',
    '',
  ],
)
def test_another_network_is_an_error_with_its_tensor_names(first):
  state = {first: np.zeros((3, 3), np.float32)} if first else {}
  with pytest.raises(errors.UserError) as error:
    architecture(state, source='other.pth')
  text = str(error.value)
  assert text.startswith('other.pth ')
  assert 'contains no network that skeljax has' in text
  assert (first or 'none') in text


def test_a_related_network_is_an_error_with_the_missing_tensors():
  # DG-STGCN of pyskl is called backbone.gcn too.
  names = ('gcn.A', 'gcn.alpha', 'gcn.pre.0.weight', 'gcn.bn.bias')
  state = {
    f'backbone.gcn.0.{name}': np.zeros((8, 25, 25), np.float32)
    for name in names
  }
  with pytest.raises(errors.UserError, match='backbone.gcn.0.tcn.bn.bias'):
    architecture(state, source='dg.pth')


def test_an_incomplete_file_is_an_error_with_the_missing_tensors(coco_network):
  whole = coco_network.state_dict('mmaction1x')
  for lost in (
    'backbone.gcn.1.tcn.bn.bias',
    'backbone.gcn.0.gcn.conv.weight',
    'backbone.gcn.2.gcn.A',
    'cls_head.fc.weight',
  ):
    state = {n: a for n, a in whole.items() if n != lost}
    with pytest.raises(errors.UserError, match=lost):
      architecture(state, source='cut.pth')


def test_an_input_norm_of_another_size_is_an_error(coco_network):
  state = coco_network.state_dict('mmaction1x')
  state['backbone.data_bn.weight'] = np.zeros(50, np.float32)
  with pytest.raises(errors.UserError, match='50 features.*51'):
    architecture(state)


@pytest.mark.parametrize(
  'name', ['backbone.gcn.0.gcn.conv.weight', 'backbone.gcn.0.gcn.A',
           'backbone.gcn.0.gcn.PA', 'backbone.gcn.1.tcn.bn.bias',
           'cls_head.fc.weight', 'backbone.data_bn.weight'],
)  # fmt: skip
@pytest.mark.parametrize('shape', [(), (0,), (3,), (2, 2), (1, 2, 3, 4, 5)])
def test_a_tensor_of_any_shape_is_at_worst_an_error(name, shape, coco_network):
  state = coco_network.state_dict('mmaction1x')
  state[name] = np.ones(shape, np.float32)
  try:
    architecture(state, source='odd.pth')
  except errors.UserError as error:
    assert 'odd.pth' in str(error)
