"""Conversion of arrays to PyTorch tensors and back."""

from flax import traverse_util
import jax
import numpy as np
import pytest

from skeljax import errors
from skeljax import skeletons
from skeljax.convert import checkpoint
from skeljax.convert import tensors
from skeljax.skeletons import graph as graph_lib

NTU = graph_lib.Graph(skeletons.get_layout('nturgb+d'), 'spatial')
NTU_STGCN = graph_lib.Graph(skeletons.get_layout('nturgb+d'), 'stgcn_spatial')
PLUS_PLUS = dict(adaptive='init', gcn_with_res=True, tcn_type='mstcn')
# Number of tensors in the published files: ten stages, 25 joints.
PUBLISHED = {
  'stgcn-mmaction1x': ('stgcn', NTU_STGCN, {}, 'mmaction1x', 181),
  'stgcnpp-mmaction1x': ('stgcn', NTU, PLUS_PLUS, 'mmaction1x', 692),
  '2s-agcn-mmaction1x': ('agcn', NTU, dict(variant='tanh'), 'mmaction1x', 363),
  'aagcn-mmaction1x': (
    'agcn', NTU, dict(variant='tanh', attention=True), 'mmaction1x', 443,
  ),
  'stgcn-mmaction0x': ('stgcn', NTU_STGCN, {}, 'mmaction0x', 172),
  '2s-agcn-mmaction0x': (
    'agcn', NTU, dict(variant='softmax_0x'), 'mmaction0x', 353,
  ),
}  # fmt: skip
# Every network in every code base that has it, narrow.
SMALL = dict(
  base_channels=8, num_stages=3, inflate_stages=(2,), down_stages=(2, 3)
)
CASES = {
  'stgcn': ('stgcn', NTU_STGCN, {}, checkpoint.CODE_BASES),
  'stgcnpp': ('stgcn', NTU, PLUS_PLUS, ('mmaction1x', 'pyskl')),
  'offset, post': (
    'stgcn',
    NTU,
    dict(adaptive='offset', conv_pos='post', gcn_with_res=True),
    ('mmaction1x', 'pyskl'),
  ),
  'fixed': ('stgcn', NTU_STGCN, dict(adaptive='none'), checkpoint.CODE_BASES),
  'no data_bn': ('stgcn', NTU, dict(data_bn='none'), ('mmaction1x',)),
  'tanh': (
    'agcn', NTU, dict(variant='tanh'), ('mmaction1x', 'pyskl', 'original'),
  ),
  'tanh, fixed': (
    'agcn', NTU, dict(variant='tanh', adaptive=False), ('mmaction1x', 'pyskl'),
  ),
  'aagcn': (
    'agcn',
    NTU,
    dict(variant='tanh', attention=True),
    ('mmaction1x', 'pyskl', 'original'),
  ),
  'softmax_0x': ('agcn', NTU, dict(variant='softmax_0x'), ('mmaction0x',)),
  'softmax_original': (
    'agcn', NTU, dict(variant='softmax_original'), ('original',),
  ),
}  # fmt: skip
ROUND_TRIPS = [(name, n) for name, case in CASES.items() for n in case[3]]


def get_naming(family, code_base):
  return checkpoint.FAMILIES[family].get_naming(code_base)


def assert_same_tree(ours, expected):
  ours, expected = map(traverse_util.flatten_dict, (ours, expected))
  assert sorted(ours) == sorted(expected)
  for path, array in expected.items():
    assert ours[path].dtype == np.float32, path
    np.testing.assert_array_equal(ours[path], array, err_msg=str(path))


@pytest.mark.parametrize('name', PUBLISHED)
def test_number_of_tensors_is_the_published_one(name, make_network):
  family, graph, options, naming, count = PUBLISHED[name]
  network = make_network(family, graph=graph, num_classes=60, **options)
  assert len(network.state_dict(naming)) == count


@pytest.mark.parametrize('name,naming', ROUND_TRIPS)
def test_round_trip_is_bit_equal(name, naming, make_network):
  family, graph, options, _ = CASES[name]
  network = make_network(family, graph=graph, **SMALL, **options)
  state = network.state_dict(naming)
  back = tensors.from_torch(
    state,
    network.variables,
    get_naming(family, naming),
    adjacency=network.adjacency,
  )
  assert_same_tree(back, network.variables)
  again = tensors.to_torch(
    back, get_naming(family, naming), adjacency=network.adjacency, counters=7
  )
  assert list(again) == list(state)
  for key, array in state.items():
    assert array.flags.c_contiguous, key
    np.testing.assert_array_equal(again[key], array, err_msg=key)


@pytest.mark.parametrize('blocks', [(4, 6, 3), (3, 4, 6)], ids=str)
def test_numbers_of_tensors_and_parameters_of_posec3d_are_the_published_ones(
  blocks, make_slowonly
):
  classes = 60 if blocks == (4, 6, 3) else 400
  network = make_slowonly(
    num_classes=classes, base_channels=32, stage_blocks=blocks
  )
  state = network.state_dict('mmaction1x')
  assert len(state) == 260
  learned = sum(
    array.size
    for name, array in state.items()
    if 'running' not in name and not name.endswith(tensors.COUNTER)
  )
  assert learned == {60: 2_024_860, 400: 3_208_560}[classes]


@pytest.mark.parametrize('naming', checkpoint.FAMILIES['slowonly'].namings)
@pytest.mark.parametrize('style', ['3x1x1', '3x3x3'])
def test_round_trip_of_posec3d_is_bit_equal(style, naming, make_slowonly):
  network = make_slowonly(inflate_style=style, conv1_kernel=(3, 5, 7))
  state = network.state_dict(naming)
  back = tensors.from_torch(
    state, network.variables, get_naming('slowonly', naming)
  )
  assert_same_tree(back, network.variables)
  again = tensors.to_torch(back, get_naming('slowonly', naming), counters=7)
  assert list(again) == list(state)
  for key, array in state.items():
    assert array.flags.c_contiguous, key
    np.testing.assert_array_equal(again[key], array, err_msg=key)


def test_axes_of_3d_convolutions_are_those_of_pytorch(make_slowonly):
  network = make_slowonly(conv1_kernel=(3, 5, 7))
  state = network.state_dict('pyskl')
  params = network.variables['params']
  stem = state['backbone.conv1.conv.weight']
  assert stem.shape == (2, 17, 3, 5, 7)
  assert (
    stem[1, 16, 2, 3, 6] == params['stem']['conv']['kernel'][2, 3, 6, 16, 1]
  )
  block = params['layer2_0']
  shortcut = state['backbone.layer2.0.downsample.conv.weight']
  assert shortcut.shape == (16, 8, 1, 1, 1)
  assert shortcut[9, 3, 0, 0, 0] == block['downsample']['kernel'][0, 0, 0, 3, 9]
  np.testing.assert_array_equal(
    state['backbone.layer2.0.conv3.bn.running_var'],
    network.variables['batch_stats']['layer2_0']['bn3']['var'],
  )


def test_every_tensor_of_posec3d_that_does_not_fit_is_listed(make_slowonly):
  network = make_slowonly()
  state = network.state_dict('pyskl')
  del state['backbone.layer2.1.conv3.bn.running_mean']
  state['backbone.layer1.0.conv2.conv.weight'] = np.ones((2, 2, 3, 3), 'f')
  state['backbone.layer1.0.conv1.conv.bias'] = np.ones(2, np.float32)
  # pyskl's other shortcut is a sequence.
  state['backbone.layer3.0.downsample.0.conv.weight'] = state.pop(
    'backbone.layer3.0.downsample.conv.weight'
  )
  with pytest.raises(errors.UserError) as error:
    tensors.from_torch(
      state,
      network.variables,
      get_naming('slowonly', 'pyskl'),
      source='broken.pth',
    )
  text = str(error.value)
  assert '5 tensors do not fit' in text
  for line in (
    'missing: backbone.layer2.1.conv3.bn.running_mean [16]',
    'misshapen: backbone.layer1.0.conv2.conv.weight is [2, 2, 3, 3], not'
    ' [2, 2, 1, 3, 3]',
    'unknown: backbone.layer1.0.conv1.conv.bias [2]',
    'missing: backbone.layer3.0.downsample.conv.weight [32, 16, 1, 1, 1]',
    'unknown: backbone.layer3.0.downsample.0.conv.weight',
  ):
    assert line in text, line


def test_axes_are_those_of_pytorch(make_network):
  network = make_network('agcn', graph=NTU, **SMALL, variant='tanh')
  state = network.state_dict('mmaction1x')
  gcn = network.variables['params']['block_1']['gcn']
  # 1x1 convolutions are [out, in, 1, 1] there, one for each subset.
  assert state['backbone.gcn.1.gcn.conv_a.2.weight'].shape == (4, 8, 1, 1)
  assert (
    state['backbone.gcn.1.gcn.conv_d.2.weight'][15, 3, 0, 0]
    == gcn['conv_d_kernel'][2, 3, 15]
  )
  tcn = network.variables['params']['block_1']['tcn']
  assert (
    state['backbone.gcn.1.tcn.conv.weight'][5, 4, 7, 0]
    == tcn['conv']['kernel'][7, 0, 4, 5]
  )
  head = network.variables['params']['head']['fc']
  assert state['cls_head.fc.weight'].shape == (4, 16)
  assert state['cls_head.fc.weight'][1, 9] == head['kernel'][9, 1]


def test_some_collections_give_some_tensors(coco_network):
  params = {'params': coco_network.variables['params']}
  state = tensors.to_torch(params, get_naming('stgcn', 'mmaction1x'))
  assert not any('running' in n or n.endswith('.A') for n in state)
  assert 'backbone.gcn.0.gcn.PA' in state


def test_counters_can_be_given(coco_network):
  state = coco_network.state_dict('mmaction1x')
  counters = {n: a for n, a in state.items() if n.endswith(tensors.COUNTER)}
  assert len(counters) == sum(n.endswith('running_mean') for n in state)
  assert {(a.dtype, a.shape, int(a)) for a in counters.values()} == {
    (np.dtype(np.int64), (), 7)
  }
  name = 'backbone.data_bn.num_batches_tracked'
  some = tensors.to_torch(
    coco_network.variables,
    get_naming('stgcn', 'mmaction1x'),
    counters={name: 3},
  )
  assert [n for n in some if n.endswith(tensors.COUNTER)] == [name]


def test_files_without_counters_are_read(coco_network):
  state = {
    n: a
    for n, a in coco_network.state_dict('mmaction0x').items()
    if not n.endswith(tensors.COUNTER)
  }
  back = tensors.from_torch(
    state, coco_network.variables, get_naming('stgcn', 'mmaction0x')
  )
  assert_same_tree(back, coco_network.variables)


def test_every_tensor_that_does_not_fit_is_listed(coco_network):
  state = coco_network.state_dict('mmaction1x')
  del state['backbone.gcn.1.tcn.conv.bias']
  del state['backbone.data_bn.running_var']
  state['backbone.gcn.0.tcn.bn.weight'] = np.ones(9, np.float32)
  state['cls_head.fc.weight'] = np.ones((5, 16), np.float32)
  state['cls_head.fc.bias'] = np.ones(5, np.float32)
  state['backbone.gcn.2.gcn.A'] = state['backbone.gcn.2.gcn.A'] + 1
  state['backbone.gcn.2.tcn.bn.num_batches_tracked'] = np.zeros(2, np.int64)
  state['backbone.gcn.2.tcn.bn.bias'] = np.zeros(16, np.int64)
  state['backbone.extra.weight'] = np.ones((2, 3), np.float32)
  state['aux_head.weight'] = np.ones(1, np.float32)
  with pytest.raises(errors.UserError) as error:
    tensors.from_torch(
      state,
      coco_network.variables,
      get_naming('stgcn', 'mmaction1x'),
      source='broken.pth',
    )
  text = str(error.value)
  assert text.startswith('broken.pth:')
  assert '10 tensors do not fit' in text
  for line in (
    'missing: backbone.gcn.1.tcn.conv.bias [8]',
    'missing: backbone.data_bn.running_var [51]',
    'misshapen: backbone.gcn.0.tcn.bn.weight is [9], not [8]',
    'misshapen: cls_head.fc.weight is [5, 16], not [4, 16]',
    'misshapen: cls_head.fc.bias is [5], not [4]',
    'differing: backbone.gcn.2.gcn.A and backbone.gcn.0.gcn.A',
    'misshapen: backbone.gcn.2.tcn.bn.num_batches_tracked is [2], not []',
    'mistyped: backbone.gcn.2.tcn.bn.bias is int64, not float32',
    'unknown: backbone.extra.weight [2, 3]',
    'unknown: aux_head.weight [1]',
  ):
    assert line in text, line


def test_the_unused_copy_of_the_graph_is_required(make_network):
  network = make_network('agcn', graph=NTU, **SMALL, variant='tanh')
  state = network.state_dict('mmaction1x')
  del state['backbone.A']
  # mmaction2 refuses such a file too.
  with pytest.raises(
    errors.UserError, match=r'missing: backbone.A \[3, 25, 25'
  ):
    tensors.from_torch(
      state,
      network.variables,
      get_naming('agcn', 'mmaction1x'),
      adjacency=network.adjacency,
    )


@pytest.mark.parametrize(
  'name,naming,missing',
  [
    ('stgcnpp', 'mmaction0x', 'adjacency'),
    ('offset, post', 'original', 'offset'),
    ('aagcn', 'mmaction0x', 'alpha'),
    ('softmax_0x', 'mmaction1x', 'offset'),
  ],
)
def test_a_code_base_without_the_network_is_an_error(
  name, naming, missing, make_network
):
  family, graph, options, _ = CASES[name]
  network = make_network(family, graph=graph, **SMALL, **options)
  with pytest.raises(errors.UserError, match=naming) as error:
    network.state_dict(naming)
  assert missing in str(error.value)


def test_an_unknown_code_base_is_an_error_that_lists_the_known_ones():
  with pytest.raises(errors.UserError, match='mmaction1x, pyskl'):
    get_naming('stgcn', 'mmaction2x')
  # PoseC3D was published in mmaction2 and pyskl only.
  with pytest.raises(
    errors.UserError, match='slowonly exists as mmaction1x, pyskl'
  ):
    get_naming('slowonly', 'original')


def test_variables_may_be_abstract(coco_network):
  like = jax.eval_shape(lambda: coco_network.variables)
  state = coco_network.state_dict('pyskl')
  back = tensors.from_torch(state, like, get_naming('stgcn', 'pyskl'))
  assert_same_tree(back, coco_network.variables)
