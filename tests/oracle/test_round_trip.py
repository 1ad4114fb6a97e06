"""Weights from skeljax to the published network and back."""

import dataclasses

import jax
import jax.numpy as jnp
import networks
import networks_0x
import numpy as np
import pytest
import slowonly_pairs
import torch

from tests import compiling


def new_variables(pair, seed):
  """Return random values for all arrays except a fixed graph."""
  rng = np.random.default_rng(seed)

  def draw(path, array):
    name = path[-1].key
    if path[0].key == 'graph':
      return array
    if name in ('var', 'scale'):
      return rng.uniform(0.5, 1.5, array.shape).astype(np.float32)
    std = 1 / np.sqrt(max(array.size / array.shape[-1], 1))
    return rng.normal(0, std, array.shape).astype(np.float32)

  return jax.tree_util.tree_map_with_path(draw, pair.variables)


def draw(family, seed, index):
  if family in networks_0x.FAMILIES:
    return networks_0x.draw(family, seed, index)
  if family == 'slowonly':
    return slowonly_pairs.build(slowonly_pairs.draw(seed, index))
  return networks.build(networks.draw(family, seed, index))


@pytest.mark.parametrize('family', networks.NAMES)
def test_weights_are_equal_in_the_published_network_and_after_a_round_trip(
  family, oracle_seed, record_difference
):
  for index in (100, 101):
    pair = draw(family, oracle_seed, index)
    config = pair.config
    variables = new_variables(pair, config.seed)

    state = dataclasses.replace(pair, variables=variables).to_torch(variables)
    pair.theirs.load_state_dict(
      {name: torch.from_numpy(array) for name, array in state.items()},
      strict=True,
    )
    # float64, so that only wrong weights make a difference.
    x = np.random.default_rng(config.seed).normal(size=config.shape)
    with torch.no_grad():
      theirs = pair.theirs.double().eval()(torch.from_numpy(x)).numpy()
    pair.theirs.float()
    with jax.enable_x64(True):
      ours = jax.jit(pair.model.apply, compiler_options=compiling.FAST_COMPILE)(
        *jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), (variables, x))
      )
      ours = np.asarray(ours)
    difference = np.abs(ours - theirs).max() / np.abs(theirs).max()
    assert difference <= 1e-10, str(config)
    record_difference(networks.NAMES[family], 'round trip, logits', difference)

    back = pair.from_torch({})
    assert jax.tree.structure(back) == jax.tree.structure(variables)
    jax.tree.map(np.testing.assert_array_equal, back, variables)
    again = pair.to_torch(back)
    for name, tensor in pair.theirs.state_dict().items():
      np.testing.assert_array_equal(again[name], tensor.numpy(), str(config))
    record_difference(networks.NAMES[family], 'round trip, weights', 0.0)
