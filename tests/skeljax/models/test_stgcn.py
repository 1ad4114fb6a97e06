"""The graph unit of ST-GCN."""

import functools

import jax
import numpy as np
import pytest

from skeljax.models import layers
from skeljax.models import stgcn


@pytest.mark.parametrize('conv_pos', ['pre', 'post'])
@pytest.mark.parametrize('adaptive', stgcn.ADAPTIVE)
def test_graph_unit_is_its_formula(adaptive, conv_pos):
  random = np.random.RandomState(0)
  x = random.randn(2, 3, 4, 5).astype(np.float32)
  a_kvw = random.randn(3, 4, 4).astype(np.float32)
  unit = stgcn.GraphUnit(6, layers.BatchNorm, adaptive, conv_pos)
  init = functools.partial(unit.init, train=False)
  shapes = jax.eval_shape(init, jax.random.key(0), x, a_kvw)
  params = jax.tree.map(
    lambda leaf: random.randn(*leaf.shape).astype(np.float32), shapes['params']
  )
  stats = {'bn': {'mean': np.zeros(6), 'var': np.full(6, 1 - 1e-5)}}
  actual = jax.jit(unit.apply, static_argnums=3)(
    {'params': params, 'batch_stats': stats}, x, a_kvw, False
  )

  learned = {
    'none': lambda: a_kvw,
    'init': lambda: params['adjacency'],
    'offset': lambda: a_kvw + params['offset'],
    'importance': lambda: a_kvw * params['importance'],
  }[adaptive]()
  kernel, bias = params['conv']['kernel'], params['conv']['bias']
  if conv_pos == 'pre':
    h = (x @ kernel + bias).reshape(2, 3, 4, 3, 6)
    z = np.einsum('ntvkd,kvw->ntwd', h, learned)
  else:
    h = np.einsum('ntvc,kvw->ntwkc', x, learned)
    z = h.reshape(2, 3, 4, 15) @ kernel + bias
  z = z * params['bn']['scale'] + params['bn']['bias']
  expected = np.maximum(z, 0)
  atol = 1e-5 * np.abs(expected).max()
  np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=atol)
