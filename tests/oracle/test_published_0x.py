"""ST-GCN 0.x and the softmax 2s-AGCN against published_0x.py.

Those modules are held to numbers of the original code first.
"""

import importlib.util
import pathlib

import comparison
import networks
import numpy as np
import published_0x
import pytest
import torch

from skeljax import graph as graph_lib
from skeljax import skeletons
from skeljax.models import network

FAMILIES = ('stgcn_0x', 'agcn_0x', 'agcn_original')
_GOLDEN = pathlib.Path(__file__).parents[1] / 'skeljax/models/test_golden.py'


def _load_golden():
  spec = importlib.util.spec_from_file_location('oracle_golden', _GOLDEN)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


golden = _load_golden()


def make(family, graph, stages, num_classes, in_channels, num_persons):
  adjacency = torch.from_numpy(graph.adjacency())
  if family == 'stgcn_0x':
    return published_0x.STGCN(adjacency, stages, num_classes, in_channels)
  return published_0x.AGCN(
    adjacency,
    stages,
    num_classes,
    in_channels,
    num_persons if family == 'agcn_original' else 0,
  )


@pytest.mark.parametrize(
  'name', ['stgcn_0x_ntu', 'stgcn_0x_coco', 'agcn_softmax_0x_ntu']
)
def test_modules_give_the_numbers_of_the_original_code(name):
  model, _, mode, edges, layout, *expected = golden.GOLDEN[name]
  graph = graph_lib.Graph(skeletons.get_layout(layout), mode, edges=edges)
  widths = [64] * 4 + [128] * 3 + [256] * 3
  strides = [1, 1, 1, 1, 2, 1, 1, 2, 1, 1]
  theirs = make(
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


def draw(family, seed, index):
  """A configuration and its PyTorch network."""
  rng = np.random.default_rng([seed, FAMILIES.index(family), index, 1])
  layouts = ('nturgb+d', 'coco', 'openpose-18', 'ucla')
  layout = skeletons.get_layout(layouts[rng.integers(len(layouts))])
  mode = 'stgcn_spatial' if family == 'stgcn_0x' else 'spatial'
  if family == 'stgcn_0x':
    # As 0.x calls them: spatial, uniform, distance.
    mode = (mode, 'uniform', 'distance')[rng.integers(3)]
  num_stages = int(rng.integers(2, 5))
  options = dict(
    base_channels=int(rng.integers(8, 17)),
    num_stages=num_stages,
    inflate_stages=(int(rng.integers(2, num_stages + 1)),),
    down_stages=(int(rng.integers(2, num_stages + 1)),),
  )
  if family == 'stgcn_0x':
    options.update(weight_init='mmaction0x')
  else:
    is_original = family == 'agcn_original'
    options.update(variant='softmax_original' if is_original else 'softmax_0x')
  shape = (
    4,
    int(rng.integers(1, 4)),
    int(rng.integers(1, 33)),
    layout.num_joints,
    int(rng.integers(2, 5)),
  )
  graph = graph_lib.Graph(layout, mode, edges='0x')
  config = networks.Config(
    family,
    graph,
    tuple(options.items()),
    shape,
    norm_group=2 * (index % 2),
    seed=int(rng.integers(2**31)),
  )
  plan = network.plan_stages(
    shape[-1],
    ch_ratio=2,
    **{k: options[k] for k in ('base_channels', 'num_stages')},
    **{k: options[k] for k in ('inflate_stages', 'down_stages')},
  )
  stages = [(stage.features, stage.stride) for stage in plan]
  return config, make(
    family, graph, stages, networks.NUM_CLASSES, shape[-1], shape[1]
  )


@pytest.mark.parametrize('index', range(3))
@pytest.mark.parametrize('family', FAMILIES)
def test_drawn_network(family, index, oracle_seed, record_difference):
  config, theirs = draw(family, oracle_seed, index)
  naming = 'original' if family == 'agcn_original' else 'mmaction0x'
  pair = networks.pair_with(config, theirs, naming)
  comparison.check(pair, networks.NAMES[family], record_difference)
