"""ST-GCN 0.x and the softmax 2s-AGCN compared with published_0x.py.

First, the modules of published_0x.py reproduce numbers of the original code.
"""

import importlib.util
import pathlib

import comparison
import networks
import networks_0x
import numpy as np
import pytest
import torch

from skeljax import skeletons
from skeljax.skeletons import graph as graph_lib

_GOLDEN = pathlib.Path(__file__).parents[1] / 'skeljax/models/test_golden.py'


def _load_golden():
  spec = importlib.util.spec_from_file_location('oracle_golden', _GOLDEN)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


golden = _load_golden()


@pytest.mark.parametrize(
  'name', ['stgcn_0x_ntu', 'stgcn_0x_coco', 'agcn_softmax_0x_ntu']
)
def test_modules_give_the_numbers_of_the_original_code(name):
  model, _, mode, edges, layout, *expected = golden.GOLDEN[name]
  graph = graph_lib.Graph(skeletons.get_layout(layout), mode, edges=edges)
  widths = [64] * 4 + [128] * 3 + [256] * 3
  strides = [1, 1, 1, 1, 2, 1, 1, 2, 1, 1]
  theirs = networks_0x.make(
    f'{model}_0x', graph, list(zip(widths, strides)), golden.NUM_CLASSES, 3, 2
  )
  theirs.load_state_dict(
    {
      key: tensor
      if key.endswith(('.A', 'num_batches_tracked'))
      else torch.from_numpy(
        golden.fill(key, tuple(tensor.shape), model == 'agcn')
      )
      for key, tensor in theirs.state_dict().items()
    }
  )
  x = np.random.RandomState(7).randn(1, 3, 20, graph.layout.num_joints, 2)
  x = torch.from_numpy(x.astype(np.float32).transpose(0, 4, 2, 3, 1))
  with torch.no_grad():
    logits = theirs.eval()(x)[0].numpy()
  _, first, total, argmax = expected
  np.testing.assert_allclose(logits[:5], first, rtol=1e-5, atol=2e-5)
  np.testing.assert_allclose(logits.sum(), total, rtol=1e-4)
  assert logits.argmax() == argmax


@pytest.mark.parametrize('index', range(2))
@pytest.mark.parametrize('family', networks_0x.FAMILIES)
def test_drawn_network(family, index, oracle_seed, record_difference):
  pair = networks_0x.draw(family, oracle_seed, index)
  comparison.check(pair, networks.NAMES[family], record_difference)
