"""The claims of comparison.py for the graph networks of mmaction2."""

import dataclasses

import comparison
import kinks
import networks
import numpy as np
import pytest

# Random configurations of each family: four in a row have every value of every
# option.
NUM_DRAWN = 4
# Those that also run the plain form of the kernels: with both values of every
# option of two values.
WITH_PLAIN_FORM = (0, 3)


def check(config, record_difference, forms=comparison.FORMS):
  name = networks.NAMES[config.family]
  pair = networks.build(config)
  comparison.check(pair, name, record_difference, forms=forms)


@pytest.mark.parametrize('family', networks.FAMILIES)
def test_published_network(family, oracle_seed, record_difference):
  check(networks.default(family, oracle_seed), record_difference)


@pytest.mark.parametrize('index', range(NUM_DRAWN))
@pytest.mark.parametrize('family', networks.FAMILIES)
def test_drawn_network(family, index, oracle_seed, record_difference):
  forms = comparison.FORMS if index in WITH_PLAIN_FORM else ('cpu',)
  check(networks.draw(family, oracle_seed, index), record_difference, forms)


def absent_person(rng, shape):
  """The second person of every clip is absent."""
  x = rng.normal(size=shape)
  x[:, 1:] = 0
  return x


def constant(rng, shape):
  """Every variance of the input is 0."""
  return np.full(shape, rng.choice([1.0, 0.5, 2.0, -1.0]))


def pixels(rng, shape):
  """Pixel coordinates that were not normalised."""
  return rng.uniform(0, 1920, size=shape)


def tiny(rng, shape):
  """A variance far below the epsilon of BatchNorm."""
  return 1e-6 * rng.normal(size=shape)


def single_frame(rng, shape):
  """Clips of one frame."""
  return rng.normal(size=(*shape[:2], 1, *shape[3:]))


@pytest.mark.parametrize('family', networks.FAMILIES)
def test_extreme_inputs(family, oracle_seed):
  config = networks.default(family, oracle_seed)
  options = dict(config.options) | dict(
    base_channels=12, num_stages=2, inflate_stages=(2,), down_stages=(2,)
  )
  config = dataclasses.replace(
    config,
    options=tuple(options.items()),
    shape=(4, 2, 8, *config.shape[3:]),
  )
  pair = networks.build(config)
  for make in (absent_person, constant, pixels, tiny, single_frame):
    inputs = kinks.random_inputs(pair, make)
    lines = comparison.failures(comparison.measure(pair, inputs), inputs)
    assert not lines, '\n'.join([str(config), make.__doc__, *lines])
