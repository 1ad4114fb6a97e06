"""The networks against those of mmaction2: what comparison.py claims."""

import comparison
import networks
import pytest

NAMES = {
  'stgcn': 'ST-GCN',
  'stgcnpp': 'ST-GCN++',
  'agcn': '2s-AGCN (tanh)',
  'aagcn': 'AAGCN',
}
# Configurations drawn for each family, besides the published one.
NUM_DRAWN = {'stgcn': 7, 'stgcnpp': 5, 'agcn': 6, 'aagcn': 6}


def check(config, record_difference):
  pair = networks.build(config)
  comparison.check(pair, NAMES[config.family], record_difference)


@pytest.mark.parametrize('family', networks.FAMILIES)
def test_published_network(family, oracle_seed, record_difference):
  check(networks.default(family, oracle_seed), record_difference)


@pytest.mark.parametrize(
  ('family', 'index'),
  [(family, i) for family, count in NUM_DRAWN.items() for i in range(count)],
)
def test_drawn_network(family, index, oracle_seed, record_difference):
  check(networks.draw(family, oracle_seed, index), record_difference)
