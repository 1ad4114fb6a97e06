"""SlowOnly: sizes, symmetries, options and errors."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skeljax import errors
from skeljax.models import slowonly

SMALL = dict(
  num_classes=5,
  base_channels=4,
  stage_blocks=(1, 2),
  inflate=(0, 1),
  spatial_strides=(2, 2),
  temporal_strides=(1, 2),
  dilations=(1, 1),
  dropout=0.0,
)


def narrow(**options):
  return slowonly.SlowOnly(**(SMALL | options))


def volumes(batch=4, channels=3):
  # 9 pixels become 5, then 3: odd at every stage.
  return np.random.RandomState(0).rand(batch, 4, 9, 9, channels).astype('f')


def noisy_variables(model, x):
  """Random variables, none of them at a special value."""
  random = np.random.RandomState(0)

  def fill(path, leaf):
    noise = random.randn(*leaf.shape).astype(np.float32)
    if path[-1].key in ('var', 'scale'):
      return 1 + 0.1 * abs(noise)
    if leaf.ndim < 2:
      return 0.1 * noise
    return noise / math.sqrt(leaf.size / leaf.shape[-1])

  abstract = jax.eval_shape(model.init, jax.random.key(0), x)
  return jax.tree_util.tree_map_with_path(fill, abstract)


def assert_close(actual, expected, rtol=1e-4, atol=1e-5):
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=atol),
    actual,
    expected,
  )


@pytest.mark.parametrize(
  'stage_blocks, num_classes, count',
  [
    ((4, 6, 3), 60, 2_024_860),
    ((4, 6, 3), 99, 2_044_867),
    ((3, 4, 6), 101, 3_055_173),
    ((3, 4, 6), 51, 3_029_523),
  ],
)
def test_parameter_counts_are_the_published_ones(
  stage_blocks, num_classes, count
):
  model = slowonly.SlowOnly(num_classes, stage_blocks=stage_blocks)
  x = np.zeros((1, 2, 9, 9, 17), np.float32)
  params = jax.eval_shape(model.init, jax.random.key(0), x)['params']
  assert sum(leaf.size for leaf in jax.tree.leaves(params)) == count


def test_new_tensors_have_the_published_distribution(quick_jit):
  model = slowonly.SlowOnly(
    60,
    **{
      k: v
      for k, v in SMALL.items()
      if k not in ('num_classes', 'base_channels')
    },
  )
  rng = jax.random.key(0, impl='rbg')
  params = quick_jit(lambda rng: model.init(rng, volumes()))(rng)['params']
  for block, units in params.items():
    for unit, leaves in units.items():
      for name, value in leaves.items():
        value = np.asarray(value)
        if name == 'kernel':
          fan_out = math.prod(value.shape[:-2]) * value.shape[-1]
          std = 0.01 if block == 'head' else math.sqrt(2 / fan_out)
          assert abs(value.std() / std - 1) < 0.1, (block, unit)
          assert abs(value.mean()) < 4 * std / math.sqrt(value.size)
        else:
          # A new bottleneck is its shortcut.
          expected = float(name == 'scale' and unit != 'bn3')
          np.testing.assert_array_equal(value, expected, f'{block} {unit}')


def test_flipping_volume_and_kernels_keeps_the_logits(quick_jit):
  x = volumes()
  model = narrow(inflate_style='3x3x3', with_pool2=True, dilations=(2, 1))
  variables = noisy_variables(model, x)
  flipped = jax.tree.map(
    lambda leaf: leaf[:, ::-1, ::-1] if leaf.ndim == 5 else leaf, variables
  )
  apply = quick_jit(model.apply)
  assert_close(apply(variables, x), apply(flipped, x[:, :, ::-1, ::-1]))


def test_permuting_joints_and_stem_keeps_the_logits(quick_jit):
  x = volumes()
  model = narrow()
  variables = noisy_variables(model, x)
  order = [2, 0, 1]
  permuted = jax.tree_util.tree_map_with_path(
    lambda path, leaf: (
      leaf[..., order, :] if leaf.ndim == 5 and path[1].key == 'stem' else leaf
    ),
    variables,
  )
  apply = quick_jit(model.apply)
  logits = apply(variables, x)
  assert_close(apply(permuted, x[..., order]), logits)
  # In evaluation the clips of a batch are independent.
  assert_close(apply(variables, x[::-1]), logits[::-1])


def test_each_group_has_its_own_statistics(quick_jit):
  x = volumes()
  model = narrow(norm_group=2)
  variables = noisy_variables(model, x)
  apply = quick_jit(lambda v, x: model.apply(v, x, True, mutable='batch_stats'))
  logits, state = apply(variables, x)
  halves = [apply(variables, part) for part in (x[:2], x[2:])]
  assert_close(logits, np.concatenate([half for half, _ in halves]))
  mean = jax.tree.map(lambda a, b: (a + b) / 2, *(part for _, part in halves))
  assert_close(state, mean)
  with pytest.raises(errors.UserError, match='norm_group=2 .* batch of 3'):
    jax.eval_shape(apply, variables, x[:3])


def test_remat_changes_memory_only_and_gradients_reach_all(quick_jit):
  x = volumes()
  variables = noisy_variables(narrow(), x)

  def gradient(model):
    def loss(params):
      logits, _ = model.apply(
        variables | {'params': params}, x, True, mutable=['batch_stats']
      )
      return jnp.square(logits).sum()

    return quick_jit(jax.grad(loss))(variables['params'])

  plain = gradient(narrow())
  assert_close(gradient(narrow(remat=True)), plain, rtol=1e-3, atol=1e-4)
  for path, leaf in jax.tree_util.tree_leaves_with_path(plain):
    assert np.abs(leaf).max() > 0, path


def test_bfloat16_keeps_parameters_statistics_and_logits(quick_jit):
  x = volumes()
  variables = noisy_variables(narrow(), x)

  def run(model):
    return quick_jit(
      lambda v, x: model.apply(v, x, True, mutable='batch_stats')
    )(variables, x)

  logits, state = run(narrow(dtype=jnp.bfloat16))
  expected, _ = run(narrow())
  assert {leaf.dtype for leaf in jax.tree.leaves((logits, state))} == {
    jnp.dtype('float32')
  }
  assert_close(logits, expected, rtol=0.1, atol=0.1)
  model = narrow(dtype=jnp.bfloat16)
  fresh = jax.eval_shape(model.init, jax.random.key(0), x)
  assert {leaf.dtype for leaf in jax.tree.leaves(fresh)} == {
    jnp.dtype('float32')
  }


def test_sizes_follow_kernels_and_strides():
  model = narrow(
    inflate=(1, 1), conv1_kernel=(5, 7, 7), temporal_strides=(2, 1)
  )
  x = volumes()
  _, state = jax.eval_shape(
    lambda x: model.init_with_output(
      jax.random.key(0), x, mutable=True, capture_intermediates=True
    ),
    x,
  )
  params = state['params']
  assert params['stem']['conv']['kernel'].shape == (5, 7, 7, 3, 4)
  assert params['layer2_0']['conv1']['kernel'].shape == (3, 1, 1, 16, 8)
  assert params['layer2_0']['downsample']['kernel'].shape[-2:] == (16, 32)
  assert 'downsample' not in params['layer2_1']
  shapes = {
    name: found['__call__'][0].shape
    for name, found in state['intermediates'].items()
    if name != '__call__'
  }
  assert shapes['layer1_0'] == (4, 2, 5, 5, 16)
  assert shapes['layer2_1'] == (4, 2, 3, 3, 32)


@pytest.mark.parametrize(
  'options, words',
  [
    (
      dict(inflate=(0, 1, 1)),
      r'inflate is \(0, 1, 1\).*length 2: one per stage',
    ),
    (dict(stage_blocks=()), r'stage_blocks is \(\)'),
    (dict(inflate=(0, 2)), 'must be 0 or 1 for each stage'),
    (dict(inflate_style='1x3x3'), "'1x3x3'; it must be one of '3x1x1'"),
    (dict(spatial_strides=(2, 0)), r'\(2, 0\); it must be at least 1'),
    (dict(base_channels=0), 'base_channels'),
    (dict(conv1_kernel=(1, 6, 7)), 'sizes must be odd'),
    (dict(conv1_stride=(1, 2, 2)), 'must have length 2: frames, pixels'),
    (dict(with_pool2=True), 'only one frame is left'),
  ],
)
def test_errors_of_options(options, words):
  with pytest.raises(errors.UserError, match=words):
    jax.eval_shape(narrow(**options).init, jax.random.key(0), volumes()[:, :1])


def test_errors_of_inputs():
  model, x = narrow(), volumes()
  with pytest.raises(errors.UserError, match=r'\[B, T, H, W, C\].*\(4, 9, 9'):
    jax.eval_shape(model.init, jax.random.key(0), x[:, 0])
  variables = jax.eval_shape(model.init, jax.random.key(0), x)
  with pytest.raises(errors.UserError, match='of 3 joints or limbs.*C=2'):
    jax.eval_shape(model.apply, variables, x[..., :2])
