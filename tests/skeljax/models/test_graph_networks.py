"""Properties of the graph networks for any weights."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skeljax import errors
from skeljax import models
from skeljax import skeletons
from skeljax.skeletons import graph as graph_lib
from tests import compiling

COCO = skeletons.get_layout('coco')
TINY = dict(
  base_channels=8, num_stages=3, inflate_stages=(2,), down_stages=(3,)
)
# For tests that compile; the second stage doubles the width.
TINIER = TINY | {'num_stages': 2}
NETWORKS = {
  'stgcn': {},
  'stgcn++': dict(adaptive='init', gcn_with_res=True, tcn_type='mstcn'),
  'softmax_0x': dict(variant='softmax_0x'),
  'tanh': dict(variant='tanh', data_bn='VC'),
  'aagcn': dict(variant='tanh', attention=True, data_bn='VC'),
}
FAMILIES = ('stgcn', 'aagcn')  # Those that represent both in slow tests.
RANDOM = np.random.RandomState(0)
X = RANDOM.randn(2, 2, 8, 17, 3).astype(np.float32)
COTANGENT = RANDOM.randn(2, 5).astype(np.float32)


def _build(name='stgcn', layout=COCO, num_classes=5, **options):
  mode = 'stgcn_spatial' if name == 'stgcn' else 'spatial'
  return models.build_model(
    'stgcn' if 'stgcn' in name else 'agcn',
    graph=graph_lib.Graph(layout, mode),
    num_classes=num_classes,
    **NETWORKS[name] | options,
  )


def _input(layout=COCO, persons=2, channels=3):
  shape = (2, persons, 8, layout.num_joints, channels)
  return jax.ShapeDtypeStruct(shape, jnp.float32)


def _init(model, x, train=False):
  """Abstract (logits, variables) of a new network."""
  init = functools.partial(model.init_with_output, train=train)
  rngs = {'params': jax.random.key(0), 'dropout': jax.random.key(1)}
  return jax.eval_shape(init, rngs, x)


def _variables(model, x=X):
  """Random variables, none of them at a special value."""
  random = np.random.RandomState(1)

  def draw(path, leaf):
    collection, name = path[0].key, path[-1].key
    r = random.randn(*leaf.shape)
    if name == 'adjacency':
      r = model.graph.adjacency() + 0.1 * r * (collection == 'params')
    elif name in ('var', 'scale', 'importance', 'alpha'):
      r = 1 + 0.1 * abs(r)
    else:
      # Biases above zero, so that no ReLU is zero for a whole channel.
      fan_in = np.prod(leaf.shape[:-1])
      r = r / np.sqrt(fan_in) if r.ndim > 1 else 0.5 + 0.1 * r
    return np.asarray(r, np.float32)

  return jax.tree_util.tree_map_with_path(draw, _init(model, x)[1])


@functools.cache
def _network(name):
  """(model, variables, jitted logits and gradients in evaluation)."""
  model = _build(name, **TINIER)

  @functools.partial(jax.jit, compiler_options=compiling.FAST_COMPILE)
  def evaluate(variables, x):
    def loss(params):
      logits = model.apply(variables | {'params': params}, x)
      return jnp.sum(logits * COTANGENT), logits

    gradients, logits = jax.grad(loss, has_aux=True)(variables['params'])
    return logits, gradients

  return model, _variables(model), evaluate


@functools.cache
def _train_step(name, remat):
  """(logits, batch_stats, gradients) for two dropout keys.

  With as many channels as stage 1 makes, there is stage 2 only.
  """
  model = _build(name, **TINIER, dropout=0.5, tcn_dropout=0.5, remat=remat)
  x = np.random.RandomState(3).randn(2, 2, 8, 17, 8).astype(np.float32)
  variables = _variables(model, x)

  @functools.partial(jax.jit, compiler_options=compiling.FAST_COMPILE)
  def step(variables, rng):
    def loss(params):
      logits, state = model.apply(
        variables | {'params': params},
        x,
        train=True,
        rngs={'dropout': rng},
        mutable=['batch_stats'],
      )
      return jnp.sum(logits * COTANGENT), (logits, state['batch_stats'])

    gradients, aux = jax.grad(loss, has_aux=True)(variables['params'])
    return *aux, gradients

  return [jax.device_get(step(variables, jax.random.key(i))) for i in range(2)]


def _assert_close(actual, expected, rtol=1e-5):
  expected = np.asarray(expected)
  # Gradients that are zero up to rounding are below 0.01.
  atol = rtol * max(np.abs(expected).max(), 0.01)
  np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol)


@pytest.mark.parametrize(
  'name, counts',
  [
    ('stgcn', {'coco': 3088704, 'nturgb+d': 3098832, 'openpose-18': 3089760}),
    ('stgcn++', {'coco': 1393016, 'nturgb+d': 1403144, 'openpose-18': 1394072}),
    ('tanh', {'coco': 3459344, 'nturgb+d': 3469520, 'openpose-18': 3460406}),
    ('aagcn', {'coco': 3760228, 'nturgb+d': 3781668, 'openpose-18': 3761290}),
    ('softmax_0x', {'nturgb+d': 3469360}),
  ],
)
def test_parameter_count_is_that_of_mmaction2(name, counts):
  # The published data_bn of 'tanh' and 'aagcn' has statistics per person.
  own = {} if 'stgcn' in name else {'data_bn': ''}
  for layout, expected in counts.items():
    layout = skeletons.get_layout(layout)
    model = _build(name, layout, 60, **own)
    params = _init(model, _input(layout))[1]['params']
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == expected
    assert params['head']['fc']['kernel'].shape == (256, 60)  # +257 per class


@pytest.mark.parametrize('layout', skeletons.LAYOUTS)
def test_logits_of_every_layout(layout):
  layout = skeletons.get_layout(layout)
  for name in NETWORKS:
    model = _build(name, layout, **TINY)
    logits, _ = _init(model, _input(layout))
    assert (logits.shape, logits.dtype) == ((2, 5), jnp.float32)


@pytest.mark.parametrize('persons', [1, 2, 3])
@pytest.mark.parametrize('data_bn', ['VC', 'MVC', 'none'])
@pytest.mark.parametrize('name', FAMILIES)
def test_logits_for_any_number_of_persons(name, persons, data_bn):
  model = _build(name, **TINY, data_bn=data_bn)
  logits, variables = _init(model, _input(persons=persons))
  assert logits.shape == (2, 5)
  features = {'VC': 17 * 3, 'MVC': persons * 17 * 3}
  if data_bn == 'none':
    assert 'data_bn' not in variables['params']
  else:
    scale = variables['params']['data_bn']['scale']
    assert scale.shape == (features[data_bn],)


def test_frames_shrink_at_the_down_stages_only():
  model = _build(**TINY)
  _, state = jax.eval_shape(
    functools.partial(
      model.apply, capture_intermediates=True, mutable=['intermediates']
    ),
    _init(model, _input())[1],
    jax.ShapeDtypeStruct((2, 2, 9, 17, 3), jnp.float32),
  )
  shapes = [
    state['intermediates'][f'block_{i}']['__call__'][0].shape for i in range(3)
  ]
  assert shapes == [(4, 9, 17, 8), (4, 9, 17, 16), (4, 5, 17, 16)]


def test_errors_of_inputs_and_options():
  def rejects(match, name='stgcn', x=None, row_weights=None, **options):
    model = _build(name, **TINY | options)
    with pytest.raises(errors.UserError, match=match):
      jax.eval_shape(
        functools.partial(model.init, train=True),
        jax.random.key(0),
        x or _input(),
        row_weights=row_weights,
      )

  for name in FAMILIES:
    four_axes = jax.ShapeDtypeStruct((2, 8, 17, 3), jnp.float32)
    rejects(r'\[B, M, T, V, C\]', name, four_axes)
    ntu = _input(skeletons.get_layout('nturgb+d'))
    rejects("'coco' with 17 joints.*V=25", name, ntu)
    rejects(r'row_weights.*\[B, M\]', name, row_weights=jnp.ones((2, 3)))
    rejects('norm_group=3', name, norm_group=3)
    rejects("data_bn is 'CV'", name, data_bn='CV')
  rejects("adaptive is 'no'.*'importance'", adaptive='no')
  rejects("conv_pos is 'mid'", conv_pos='mid')
  rejects("tcn_type is 'tcn'", tcn_type='tcn')
  rejects("weight_init is 'zeros'", weight_init='zeros')
  rejects('6 branches.*base_channels=4', base_channels=4, tcn_type='mstcn')
  rejects("variant is 'softmax'.*'softmax_original'", 'tanh', variant='softmax')
  rejects('attention=True', 'softmax_0x', attention=True)
  rejects('adaptive=False', 'softmax_0x', adaptive=False)
  rejects('base_channels=2 is too narrow', 'tanh', base_channels=2)
  with pytest.raises(errors.UserError, match='no option depth.*num_stages'):
    _build(depth=3)
  with pytest.raises(errors.UserError, match='no option conv_pos.*num_stages'):
    _build('tanh', conv_pos='pre')


def test_error_for_persons_or_channels_not_trained_with():
  for name, data_bn, match, inputs in (
    ('stgcn', 'VC', '51 features.*C=2 channels', [_input(channels=2)]),
    ('tanh', '', '102 features', [_input(persons=1), _input(channels=2)]),
  ):
    model = _build(name, **TINY, data_bn=data_bn)
    _, variables = _init(model, _input())
    for x in inputs:
      with pytest.raises(errors.UserError, match=match):
        jax.eval_shape(model.apply, variables, x)


@pytest.mark.parametrize('name', FAMILIES)
def test_jit_equals_no_jit(name):
  model = _build(name, **TINY | {'num_stages': 1})
  variables = _variables(model)
  jitted = jax.jit(model.apply, compiler_options=compiling.FAST_COMPILE)
  _assert_close(jitted(variables, X), model.apply(variables, X))


@pytest.mark.parametrize('name', NETWORKS)
def test_gradient_reaches_every_parameter(name):
  _, variables, evaluate = _network(name)
  _, gradients = evaluate(variables, X)
  for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
    assert np.isfinite(gradient).all(), path
    # A bias of conv_a adds a constant to the argument of the softmax.
    if name != 'softmax_0x' or path[-1].key != 'conv_a_bias':
      assert np.abs(gradient).max() > (1e-4 if 'stgcn' in name else 1e-5), path


@pytest.mark.parametrize('name', NETWORKS)
def test_swapping_persons_keeps_the_logits(name):
  _, variables, evaluate = _network(name)
  swapped, _ = evaluate(variables, X[:, ::-1])
  _assert_close(swapped, evaluate(variables, X)[0])


# The attention of AAGCN depends on the order of the joints.
@pytest.mark.parametrize('name', sorted(NETWORKS.keys() - {'aagcn'}))
def test_permuting_the_joints_keeps_the_logits(name):
  model, variables, evaluate = _network(name)
  order = np.random.RandomState(2).permutation(17)  # new joint -> old joint
  layout = _renumbered(COCO, order)
  adjacency = dataclasses.replace(model.graph, layout=layout).adjacency()

  def renumber(path, leaf):
    if path[0].key == 'graph':
      return adjacency
    if leaf.shape[-2:] == (17, 17):
      return leaf[:, order][:, :, order]
    if path[1].key == 'data_bn':
      return leaf.reshape(17, 3)[order].reshape(-1)
    return leaf

  renumbered = jax.tree_util.tree_map_with_path(renumber, variables)
  logits, _ = evaluate(renumbered, X[:, :, :, order])
  _assert_close(logits, evaluate(variables, X)[0])


def _renumbered(layout, order):
  """Return the layout with its joints in another order."""
  new = np.argsort(order)

  def pairs(old):
    return tuple((int(new[a]), int(new[b])) for a, b in old)

  return dataclasses.replace(
    layout,
    joints=tuple(layout.joints[v] for v in order),
    center=int(new[layout.center]),
    bones=pairs(layout.bones),
    edges=pairs(layout.edges),
    edges_0x=pairs(layout.edges_0x),
    left_right=pairs(layout.left_right),
    limbs=pairs(layout.limbs),
  )


@pytest.mark.parametrize('name', FAMILIES)
def test_dropout_depends_on_its_key(name):
  (first, *_), (second, *_) = _train_step(name, remat=False)
  assert np.abs(first - second).max() > 0.01


@pytest.mark.parametrize('name', FAMILIES)
def test_evaluation_has_no_dropout(name):
  variables = _network(name)[1]

  def program(**options):
    model = _build(name, **TINIER, **options)
    return jax.jit(model.apply).lower(variables, X).as_text()

  assert program(dropout=0.5, tcn_dropout=0.5) == program()


@pytest.mark.parametrize('name', FAMILIES)
def test_remat_changes_memory_only(name):
  """Parameter tree, logits, statistics and gradients are equal, with dropout."""
  jax.tree.map(
    functools.partial(_assert_close, rtol=1e-4),
    _train_step(name, remat=True),
    _train_step(name, remat=False),
  )


@pytest.mark.parametrize('name', FAMILIES)
def test_bfloat16_keeps_logits_statistics_and_parameters_in_float32(name):
  model, variables, evaluate = _network(name)
  model = model.clone(dtype=jnp.bfloat16)
  apply = jax.jit(model.apply, compiler_options=compiling.FAST_COMPILE)
  logits = apply(variables, X)
  assert logits.dtype == jnp.float32
  expected = evaluate(variables, X)[0]
  np.testing.assert_allclose(
    logits, expected, atol=0.05 * np.abs(expected).max()
  )
  for leaf in jax.tree.leaves(_init(model, X, train=True)):
    assert leaf.dtype == jnp.float32


@pytest.mark.parametrize(
  'variant, features',
  [('softmax_0x', 51), ('softmax_original', 102), ('tanh', 102)],
)
def test_input_is_normalized_as_the_variant_was_published(variant, features):
  _, variables = _init(
    _build('tanh', **TINY, variant=variant, data_bn=''), _input()
  )
  assert variables['params']['data_bn']['scale'].shape == (features,)


def test_fixed_adjacency_is_not_a_parameter():
  model = _build('tanh', **TINY, adaptive=False)
  _, variables = _init(model, _input())
  assert set(variables['params']['block_0']['gcn']) == {
    'bn', 'conv_d_bias', 'conv_d_kernel', 'down', 'down_bn'
  }  # fmt: skip
  assert variables['graph']['adjacency'].shape == (3, 17, 17)
