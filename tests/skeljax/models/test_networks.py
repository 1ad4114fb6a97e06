"""BatchNorm groups, absent persons, graphs and seeds of the graph networks."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skeljax import errors
from skeljax import models
from skeljax import skeletons
from skeljax.skeletons import graph as graph_lib

STAR = skeletons.Layout(
  name='star',
  joints=('a', 'b', 'c', 'd', 'e'),
  bones=((1, 0), (2, 0), (3, 1), (4, 2)),
  edges=((1, 0), (2, 0), (3, 1), (4, 2)),
  center=0,
)
SMALL = dict(
  num_classes=4,
  base_channels=8,
  num_stages=2,
  inflate_stages=(2,),
  down_stages=(2,),
)


def narrow(name, **options):
  """Two blocks of few channels, with every kind of layer, quick to compile."""
  graph = graph_lib.Graph(STAR)
  return models.build_model(name, graph=graph, **(SMALL | options))


def clips(frames=6, channels=3):
  random = np.random.RandomState(0)
  return random.randn(4, 2, frames, 5, channels).astype(np.float32)


def noisy_variables(model, x, seed=0):
  """Random variables, none of them at a special value."""
  random = np.random.RandomState(seed)

  def fill(path, leaf):
    if path[0].key == 'graph':
      return model.graph.adjacency()
    noise = random.randn(*leaf.shape).astype(np.float32)
    if path[-1].key in ('var', 'scale'):
      return 1 + 0.1 * abs(noise)
    if leaf.ndim < 2:
      return 0.1 * noise  # Small, so that no ReLU is always zero.
    return noise / math.sqrt(leaf.size / leaf.shape[-1])

  abstract = jax.eval_shape(model.init, jax.random.key(0), x)
  return jax.tree_util.tree_map_with_path(fill, abstract)


def assert_close(actual, expected):
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
    actual,
    expected,
  )


def test_each_group_has_its_own_statistics(quick_jit):
  x = clips()
  model = narrow('stgcn', norm_group=2)
  variables = noisy_variables(model, x)
  apply = quick_jit(lambda v, x: model.apply(v, x, True, mutable='batch_stats'))
  logits, state = apply(variables, x)
  halves = [apply(variables, part) for part in (x[:2], x[2:])]
  assert_close(logits, np.concatenate([half for half, _ in halves]))
  mean = jax.tree.map(lambda a, b: (a + b) / 2, *(part for _, part in halves))
  assert_close(state, mean)
  with pytest.raises(errors.UserError, match='norm_group=2 .* batch of 3'):
    jax.eval_shape(apply, variables, x[:3])
  jax.eval_shape(model.apply, variables, x[:3])


@pytest.mark.parametrize('data_bn', ['VC', 'MVC'])
def test_statistics_exclude_absent_persons(data_bn, quick_jit):
  x = clips()
  x[:, 1] = 100
  model = narrow('stgcn', data_bn=data_bn)
  blocks = noisy_variables(narrow('stgcn', data_bn='none'), x)

  def statistics(x, weights):
    shapes = jax.eval_shape(model.init, jax.random.key(0), x)
    # The blocks are the same for one and two persons; data_bn may not be.
    variables = {
      name: {'data_bn': jax.tree.map(jnp.ones_like, shapes[name]['data_bn'])}
      | blocks[name]
      for name in ('params', 'batch_stats')
    } | {'graph': blocks['graph']}
    _, state = quick_jit(
      lambda variables: model.apply(
        variables, x, True, weights, mutable='batch_stats'
      )
    )(variables)
    return state['batch_stats']

  with_absent = statistics(x, np.tile(np.float32([1, 0]), (4, 1)))
  without = statistics(x[:, :1], None)
  if data_bn == 'MVC':
    # The features of the absent person keep their values.
    features = without['data_bn']['mean'].size
    for name, value in with_absent['data_bn'].items():
      np.testing.assert_array_equal(value[features:], 1)
      with_absent['data_bn'][name] = value[:features]
  assert_close(with_absent, without)


def test_variables_contain_the_graph(quick_jit):
  x = clips()
  for name, options in (('stgcn', {}), ('agcn', {'variant': 'softmax_0x'})):
    model = narrow(name, **options)
    variables = noisy_variables(model, x)
    apply = quick_jit(model.apply)
    moved = variables | {
      'graph': jax.tree.map(np.ones_like, variables['graph'])
    }
    assert not np.allclose(apply(variables, x), apply(moved, x))
  for name, options in (
    ('stgcn', {'adaptive': 'init'}),
    ('agcn', {'variant': 'tanh'}),
  ):
    init = narrow(name, **options).init
    variables = jax.eval_shape(init, jax.random.key(0), x)
    assert 'graph' not in variables  # There the graph is a parameter.


def test_several_seeds_run_in_one_program(quick_jit):
  x = clips()
  model = narrow('agcn', variant='tanh')
  seeds = [noisy_variables(model, x, seed) for seed in (0, 1)]
  stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *seeds)
  together = quick_jit(jax.vmap(model.apply, in_axes=(0, None)))(stacked, x)
  apply = quick_jit(model.apply)
  for logits, variables in zip(together, seeds):
    assert_close(logits, apply(variables, x))


def test_widths_and_strides_follow_the_stages():
  model = narrow(
    'stgcn', num_stages=4, inflate_stages=(3,), down_stages=(2, 4), ch_ratio=1.5
  )
  variables = jax.eval_shape(model.init, jax.random.key(0), clips(frames=9))
  widths = [
    variables['params'][f'block_{i}']['tcn']['conv']['kernel'].shape[-1]
    for i in range(4)
  ]
  assert widths == [8, 8, 12, 12]
  assert 'residual' not in variables['params']['block_0']
  # As published, the first block is omitted where the input has its width.
  variables = jax.eval_shape(model.init, jax.random.key(0), clips(channels=8))
  assert 'block_3' not in variables['params']
  assert 'residual' in variables['params']['block_0']


def test_error_for_an_unknown_model_lists_the_models():
  with pytest.raises(
    errors.UserError, match="Unknown model 'gcn'.*stgcn, agcn"
  ):
    narrow('gcn')


def test_lists_become_tuples():
  model = models.build_model(
    'agcn', graph=graph_lib.Graph(STAR), num_classes=2, down_stages=[2]
  )
  assert model.down_stages == (2,)
  hash(model)
