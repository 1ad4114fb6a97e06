"""The claims of comparison.py for SlowOnly, the network of PoseC3D."""

import dataclasses

import comparison
import jax
import kinks
import networks
import numpy as np
import pytest
import slowonly_pairs
import torch

from tests import compiling

NAME = networks.NAMES['slowonly']


def test_published_network(oracle_seed, record_difference):
  pair = slowonly_pairs.build(slowonly_pairs.default(oracle_seed))
  comparison.check(pair, NAME, record_difference)


@pytest.mark.parametrize('index', range(3))
def test_drawn_network(index, oracle_seed, record_difference):
  pair = slowonly_pairs.build(slowonly_pairs.draw(oracle_seed, index))
  comparison.check(pair, NAME, record_difference)


def test_frames_pooled_in_pairs(oracle_seed, record_difference):
  config = slowonly_pairs.default(oracle_seed)
  options = config.options | dict(stage_blocks=(2, 1, 1), with_pool2=True)
  config = dataclasses.replace(config, options=options, norm_group=1)
  comparison.check(slowonly_pairs.build(config), NAME, record_difference)


def test_heatmaps_with_an_empty_background(oracle_seed):
  """Background pixels are equal, so that every maximum is a tie."""

  def sparse(rng, shape):
    return rng.random(shape) * (rng.random(shape) < 0.02)

  pair = slowonly_pairs.build(slowonly_pairs.default(oracle_seed))
  inputs = kinks.random_inputs(pair, sparse)
  lines = comparison.failures(comparison.measure(pair, inputs), inputs)
  assert not lines, '\n'.join([str(pair.config), *lines])


def test_initial_weights_have_the_published_spread(oracle_seed):
  """The standard deviation of every tensor, ours from theirs."""
  config = slowonly_pairs.default(oracle_seed)
  pair = slowonly_pairs.build(config)
  # PyTorch draws from a state that other tests move; the smallest tensor has 16
  # weights, of which a standard deviation is a rough measure.
  torch.manual_seed(oracle_seed)
  pair.theirs.backbone.init_weights()
  pair.theirs.cls_head.init_weights()
  ours = jax.jit(pair.model.init, compiler_options=compiling.FAST_COMPILE)(
    jax.random.key(0, impl='rbg'), np.zeros(config.shape, np.float32)
  )
  ours = pair.to_torch({'params': ours['params']})
  for name, theirs in pair.theirs.named_parameters():
    theirs = theirs.detach().numpy()
    error = 4 / np.sqrt(2 * theirs.size)
    np.testing.assert_allclose(
      ours[name].std(), theirs.std(), rtol=2 * error, err_msg=name
    )
    spread = theirs.std() / np.sqrt(theirs.size)
    assert abs(ours[name].mean() - theirs.mean()) <= 8 * spread, name
