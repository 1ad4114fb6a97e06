"""Every initial tensor has the published distribution.

The stages of 64 and 128 channels contain each kind of tensor at least once (the
second the residual convolution); a tensor that matches no rule fails.
"""

import math
import re

import jax
import numpy as np
import pytest

from skeljax import models
from skeljax import skeletons
from skeljax.skeletons import graph as graph_lib

NUM_CLASSES = 60
SIZES = dict(base_channels=64, inflate_stages=(2,), down_stages=(2,))

# (pattern of the path, distribution); the first match applies. 'torch': uniform
# within 1 / sqrt(fan in). 'kaiming': normal, variance 2 / fan out.
NORMS = [
  (r'.*(data_bn|/\w*bn)/scale', 1.0),
  (r'.*(data_bn|/\w*bn)/bias', 0.0),
]
HEAD = [(r'head/fc/kernel', ('normal', 0.01)), (r'head/fc/bias', 0.0)]
KAIMING = [(r'.*kernel', 'kaiming'), (r'.*bias', 0.0)]
TORCH = [(r'.*kernel|.*bias', 'torch')]
TEMPORAL = [
  (r'.*/(tcn|residual)/(branch_\d_)?conv/kernel', 'kaiming'),
  (r'.*/(tcn|residual)/(branch_\d_)?conv/bias', 0.0),
]
# Authors' and mmaction2 1.x: a new unit is its residual.
BRANCH = [(r'.*/gcn/bn/scale', 1e-6), (r'.*conv_d_kernel', 'branch')]
TANH = BRANCH + NORMS + HEAD + [(r'.*alpha', 0.0), (r'.*adjacency', 'graph')]
ATTENTION = [
  (r'.*conv_sa/kernel', 'xavier'),
  (r'.*(conv_ta|fc2c)/kernel', 0.0),
  (r'.*fc1c/kernel', 'kaiming fan in'),
]
IMPORTANCE = [(r'.*importance', 1.0)]

CASES = {
  'stgcn 1.x': ('stgcn', 2, {}, IMPORTANCE + NORMS + HEAD + TEMPORAL + TORCH),
  'stgcn 1.x post': (
    'stgcn',
    1,
    dict(adaptive='offset', conv_pos='post'),
    [(r'.*offset', ('uniform', 1e-6))] + NORMS + HEAD + TEMPORAL + TORCH,
  ),
  'stgcn 0.x': (
    'stgcn',
    2,
    dict(weight_init='mmaction0x'),
    IMPORTANCE + NORMS + HEAD + KAIMING,
  ),
  'stgcn++': (
    'stgcn',
    1,
    dict(adaptive='init', gcn_with_res=True, tcn_type='mstcn'),
    [(r'.*adjacency', 'graph')] + NORMS + HEAD + TEMPORAL + TORCH,
  ),
  'aagcn': (
    'agcn',
    2,
    dict(variant='tanh', attention=True),
    ATTENTION + TANH + KAIMING,
  ),
  'agcn softmax 0.x': (
    'agcn',
    2,
    dict(variant='softmax_0x'),
    [(r'.*offset', 1e-6)] + NORMS + HEAD + TORCH,
  ),
  'agcn softmax original': (
    'agcn',
    1,
    dict(variant='softmax_original'),
    [
      (r'.*offset', 1e-6),
      (r'head/fc/kernel', ('normal', math.sqrt(2 / NUM_CLASSES))),
      (r'head/fc/bias', 'torch'),
    ]
    + BRANCH
    + NORMS
    + KAIMING,
  ),
}


def _distribution(rule, path, params):
  """Return ('uniform', bound) or ('normal', standard deviation)."""
  if not isinstance(rule, str):
    return rule
  *_, fan_in_channels, channels = params[re.sub('bias$', 'kernel', path)].shape
  shape = params[re.sub('bias$', 'kernel', path)].shape
  # conv_a, conv_b, conv_d contain one 1x1 convolution per subset.
  is_stacked = re.search('conv_[abd]_', path)
  positions = 1 if is_stacked else math.prod(shape[:-2])
  fan_in = fan_in_channels * positions
  variance = {
    'kaiming': 2 / (channels * positions),
    'kaiming fan in': 2 / fan_in,
    'branch': 2 / (channels * fan_in_channels * shape[0]),
    'xavier': 2 / (positions * (fan_in_channels + 1)),
  }
  if rule == 'torch':
    return 'uniform', 1 / math.sqrt(fan_in)
  return 'normal', math.sqrt(variance[rule])


def _check(value, kind, size):
  """Assert the spread, the symmetry and the tails of a distribution."""
  largest = np.abs(value).max() / size
  std = size / math.sqrt(3) if kind == 'uniform' else size
  # Four standard errors; 5 % is enough for the large tensors.
  tolerance = max(0.05, 4 / math.sqrt(2 * value.size))
  assert abs(value.std() / std - 1) < tolerance
  assert abs(value.mean()) < 4 * std / math.sqrt(value.size)
  if kind == 'uniform':
    assert largest <= 1
  elif value.size > 1000:
    assert largest > 2.5


@pytest.mark.parametrize('name', CASES)
def test_new_tensors_have_the_published_distribution(name, quick_jit):
  model_name, num_stages, options, rules = CASES[name]
  graph = graph_lib.Graph(skeletons.get_layout('coco'), 'spatial')
  model = models.build_model(
    model_name,
    graph=graph,
    num_classes=NUM_CLASSES,
    num_stages=num_stages,
    **SIZES,
    **options,
  )
  x = np.zeros((1, 2, 4, 17, 3), np.float32)
  # XLA compiles Threefry much more slowly for so many tensors.
  rng = jax.random.key(0, impl='rbg')
  params = quick_jit(lambda rng: model.init(rng, x)['params'])(rng)
  params = {
    '/'.join(entry.key for entry in path): np.asarray(value)
    for path, value in jax.tree_util.tree_leaves_with_path(params)
  }
  for path, value in params.items():
    rule = next((r for p, r in rules if re.fullmatch(p, path)), None)
    assert rule is not None, f'no rule for {path}'
    try:
      if rule == 'graph':
        np.testing.assert_array_equal(value, graph.adjacency())
      elif isinstance(rule, float):
        np.testing.assert_array_equal(value, np.float32(rule))
      else:
        _check(value, *_distribution(rule, path, params))
    except AssertionError as error:
      raise AssertionError(f'{path} should be {rule}: {error}') from error
