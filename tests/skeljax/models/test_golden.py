"""Logits compared with numbers of mmaction2 1.2.0 and its 0.x branch.

Weights are seeded by their PyTorch names, RandomState(crc32(name)), so that no
file is needed. If a number differs, the model no longer computes the published
function.
"""

import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skeljax import models
from skeljax import skeletons
from skeljax.skeletons import graph as graph_lib

NUM_CLASSES = 60

# name -> (model, options, graph mode, edges, layout,
#          feature mean, logits[:5], sum, argmax)
GOLDEN = {
  'stgcn_ntu': (
    'stgcn', {}, 'stgcn_spatial', '1x', 'nturgb+d', 0.385751,
    (-0.36658, -0.54076, -0.26487, 0.52305, 0.66890), -6.70473, 31,
  ),
  'stgcn_coco': (
    'stgcn', {}, 'stgcn_spatial', '1x', 'coco', 0.378424,
    (-0.39251, -0.59626, -0.23988, 0.52039, 0.76639), -6.08602, 31,
  ),
  'stgcnpp_ntu': (
    'stgcn',
    {'adaptive': 'init', 'gcn_with_res': True, 'tcn_type': 'mstcn'},
    'spatial', '1x', 'nturgb+d', 1.475815,
    (-0.67178, -2.20649, 1.80343, 4.51033, 2.76953), -4.37590, 3,
  ),
  'agcn_tanh_ntu': (
    'agcn', {'variant': 'tanh'}, 'spatial', '1x', 'nturgb+d', 1.485793,
    (-1.33550, -3.15044, 0.47621, 2.72798, 1.01603), -17.33904, 23,
  ),
  'aagcn_coco': (
    'agcn', {'variant': 'tanh', 'attention': True},
    'spatial', '1x', 'coco', 2340.0145,
    (-1082.764, -3887.349, -282.148, 4146.107, 1327.124), -23152.637, 23,
  ),
  'stgcn_0x_ntu': (
    'stgcn', {'weight_init': 'mmaction0x'}, 'stgcn_spatial', '0x', 'nturgb+d',
    0.307175, (0.31645, -0.24993, -0.18064, 0.45086, 0.25306), -0.43254, 55,
  ),
  'stgcn_0x_coco': (
    'stgcn', {'weight_init': 'mmaction0x'}, 'stgcn_spatial', '0x', 'coco',
    0.306806, (0.32685, -0.22613, -0.21074, 0.42387, 0.25878), -0.50928, 55,
  ),
  'agcn_softmax_0x_ntu': (
    'agcn', {'variant': 'softmax_0x'}, 'spatial', '0x', 'nturgb+d', 0.938860,
    (0.30654, -0.28914, -1.00513, 2.20638, 2.07411), -7.48522, 53,
  ),
}  # fmt: skip


def fill(key: str, shape: tuple[int, ...], is_0x_agcn: bool) -> np.ndarray:
  """The value of a PyTorch tensor, in PyTorch's layout."""
  r = np.random.RandomState(zlib.crc32(key.encode())).randn(*shape)
  fan_in = r.size / shape[0]
  if key.endswith('running_var'):
    r = 1 + 0.1 * abs(r)
  elif key.endswith(('running_mean', 'bias')):
    r = 0.1 * r
  elif key.endswith('PA') and is_0x_agcn:
    r = 0.01 * r
  elif key.endswith('PA') or 'edge_importance' in key:
    r = 1 + 0.1 * r
  elif key.endswith('alpha'):
    r = np.full(shape, 0.1)
  elif 'conv_d' in key:
    r = 0.1 * r / np.sqrt(fan_in)
  elif r.ndim >= 2:
    r = r / np.sqrt(fan_in)
  else:
    r = 1 + 0.1 * r
  return r.astype(np.float32)


def torch_key(path: tuple[str, ...], is_0x: bool) -> str:
  """Return PyTorch's name of one of our parameters or statistics."""
  *modules, leaf = path
  leaf = {
    'kernel': 'weight', 'scale': 'weight',
    'mean': 'running_mean', 'var': 'running_var',
    'importance': 'PA', 'offset': 'PA', 'adjacency': 'A',
  }.get(leaf, leaf)  # fmt: skip
  names = '.'.join(modules)
  if names == 'data_bn':
    return f'backbone.data_bn.{leaf}'
  if names == 'head.fc':
    return f'cls_head.fc.{leaf}'
  block, *rest = modules
  index = block.removeprefix('block_')
  rest = '.'.join(rest).replace('attention.', '')
  for ours, theirs in (
    ('gcn.down_bn', 'gcn.down.1'),
    ('gcn.down', 'gcn.down.0'),
    ('tcn.transform_bn', 'tcn.transform.0'),
    ('tcn.transform', 'tcn.transform.2'),
  ):
    if rest == ours:
      rest = theirs
  if rest.startswith('tcn.branch_'):
    rest = rest.replace('branch_', 'branches.')
    if rest.endswith('_bn'):
      rest = rest.replace('_bn', '.1')
    elif rest.endswith('_conv'):
      rest = rest.replace('_conv', '.3.conv')
    elif not rest.endswith('5'):
      rest += '.0'
  if not is_0x:
    return f'backbone.gcn.{index}.{rest}.{leaf}'
  return f'backbone.{{networks}}.{index}.{rest}.{leaf}'


def key_0x(key: str, model: str) -> str:
  """Return the 0.x name for a key of torch_key."""
  if model == 'agcn':
    key = key.replace('{networks}', 'agcn_networks')
    renames = (('tcn.conv', 'tcn.0'), ('tcn.bn', 'tcn.1'))
  else:
    if key.endswith('gcn.PA'):
      return 'backbone.edge_importance.' + key.split('.')[2]
    key = key.replace('{networks}', 'st_gcn_networks')
    renames = (
      ('gcn.bn', 'tcn.0'),
      ('tcn.conv', 'tcn.2'),
      ('tcn.bn', 'tcn.3'),
    )
  for ours, theirs in renames:
    if ours in key:
      return key.replace(ours, theirs)
  return key.replace('residual.conv', 'residual.0').replace(
    'residual.bn', 'residual.1'
  )


def torch_value(path, shape, model, is_0x):
  """Return the value of one of our arrays, in our axis order."""
  is_agcn = model == 'agcn'

  def draw(key, torch_shape):
    if is_0x:
      key = key_0x(key, model)
    return fill(key, torch_shape, is_0x and is_agcn)

  *modules, leaf = path
  # AGCN stores K convolutions in one array.
  for part in ('conv_a', 'conv_b', 'conv_d'):
    if leaf.startswith(part):
      kind = leaf.removeprefix(part + '_')
      keys = [
        torch_key((*modules, part, str(k), kind), is_0x)
        for k in range(shape[0])
      ]
      if kind == 'bias':
        return np.stack([draw(key, shape[1:]) for key in keys])
      torch_shape = (shape[2], shape[1], 1, 1)
      return np.stack([draw(key, torch_shape)[:, :, 0, 0].T for key in keys])

  key = torch_key(path, is_0x)
  if leaf != 'kernel':
    return draw(key, shape)
  if len(shape) == 4:  # HWIO -> OIHW
    return draw(key, (shape[3], shape[2], *shape[:2])).transpose(2, 3, 1, 0)
  if len(shape) == 3:  # Conv1d
    return draw(key, shape[::-1]).transpose(2, 1, 0)
  is_linear = modules[-1] in ('fc1c', 'fc2c') or (
    modules[-1] == 'fc' and not is_0x
  )
  torch_shape = (shape[1], shape[0]) + (() if is_linear else (1, 1))
  return draw(key, torch_shape).reshape(shape[::-1]).T


def assert_output(
  quick_jit, model, variables, x, last_block, expected, rtol=1e-5
):
  """Compare with the output of mmaction2.

  Args:
    quick_jit: the fixture.
    model: the network.
    variables: its arrays.
    x: its input, one clip.
    last_block: name of the module whose output is averaged.
    expected: feature mean, logits[:5], sum of the logits, their argmax.
    rtol: for all of them.
  """

  @quick_jit
  def forward(variables, x):
    logits, state = model.apply(
      variables,
      x,
      capture_intermediates=lambda module, _: module.name == last_block,
      mutable=['intermediates'],
    )
    return logits, jnp.mean(state['intermediates'][last_block]['__call__'][0])

  logits, feature_mean = jax.device_get(forward(variables, x))
  mean, first, total, argmax = expected
  atol = rtol * np.abs(logits).max()
  np.testing.assert_allclose(feature_mean, mean, rtol=rtol)
  np.testing.assert_allclose(logits[0, :5], first, rtol=rtol, atol=atol)
  np.testing.assert_allclose(logits.sum(), total, rtol=rtol, atol=10 * atol)
  assert logits[0].argmax() == argmax


@pytest.mark.parametrize('name', GOLDEN)
def test_logits_equal_those_of_mmaction2(name, quick_jit):
  model_name, options, mode, edges, layout, *expected = GOLDEN[name]
  graph = graph_lib.Graph(skeletons.get_layout(layout), mode, edges=edges)
  model = models.build_model(
    model_name, graph=graph, num_classes=NUM_CLASSES, **options
  )
  num_joints = graph.layout.num_joints
  is_0x = edges == '0x'
  random = np.random.RandomState(7)
  if is_0x:
    x = random.randn(1, 3, 20, num_joints, 2).transpose(0, 4, 2, 3, 1)
  else:
    x = random.randn(1, 1, 2, 20, num_joints, 3)[:, 0]
  x = x.astype(np.float32)

  abstract = jax.eval_shape(model.init, jax.random.key(0), x)

  def value(path, leaf):
    path = tuple(entry.key for entry in path)
    if path[-1] == 'adjacency':
      return graph.adjacency()
    return torch_value(path[1:], leaf.shape, model_name, is_0x)

  variables = jax.tree_util.tree_map_with_path(value, abstract)
  last_block = f'block_{model.num_stages - 1}'
  # Attention amplifies rounding: the float32 logits of the reference code differ
  # by 8e-5 from its float64 logits.
  rtol = 3e-4 if options.get('attention') else 1e-5
  assert_output(quick_jit, model, variables, x, last_block, expected, rtol)


# stage_blocks -> (classes, feature mean, logits[:5], sum, argmax)
GOLDEN_SLOWONLY = {
  (4, 6, 3): (
    60, 0.470364,
    (0.46372, -0.80982, -0.89860, -0.03148, -0.95392), 0.70975, 17,
  ),
  (3, 4, 6): (
    101, 0.521027,
    (0.29079, -0.06038, -0.37721, -0.49412, -1.17900), 10.77794, 31,
  ),
}  # fmt: skip


def slowonly_value(path: tuple[str, ...], shape: tuple[int, ...]) -> np.ndarray:
  """Return the value of one of SlowOnly's arrays, in our axis order."""
  block, unit, leaf = path
  leaf = {
    'kernel': 'weight', 'scale': 'weight',
    'mean': 'running_mean', 'var': 'running_var',
  }.get(leaf, leaf)  # fmt: skip
  if block == 'head':
    key = f'cls_head.fc_cls.{leaf}'
  else:
    unit = unit.removesuffix('_bn')
    if block == 'stem':
      block, part = 'conv1', unit
    else:
      part = 'bn' if 'bn' in path[1] else 'conv'
      block = block.replace('_', '.') + '.' + unit.replace('bn', 'conv')
    key = f'backbone.{block}.{part}.{leaf}'
  # Theirs are [D, C, t, h, w] for our [t, h, w, C, D], [D, C] for [C, D].
  value = fill(key, shape[::-1][:2] + shape[:-2], False)
  return value if len(shape) == 1 else np.moveaxis(value, (1, 0), (-2, -1))


@pytest.mark.parametrize('stage_blocks', GOLDEN_SLOWONLY)
def test_logits_of_slowonly_equal_those_of_mmaction2(stage_blocks, quick_jit):
  num_classes, *expected = GOLDEN_SLOWONLY[stage_blocks]
  model = models.build_model(
    'slowonly', graph=None, num_classes=num_classes, stage_blocks=stage_blocks
  )
  x = np.random.RandomState(7).rand(1, 1, 17, 8, 24, 24)[:, 0]
  x = x.transpose(0, 2, 3, 4, 1).astype(np.float32)
  variables = jax.tree_util.tree_map_with_path(
    lambda path, leaf: slowonly_value(
      tuple(entry.key for entry in path[1:]), leaf.shape
    ),
    jax.eval_shape(model.init, jax.random.key(0), x),
  )
  last_block = f'layer3_{stage_blocks[-1] - 1}'
  assert_output(quick_jit, model, variables, x, last_block, expected)
