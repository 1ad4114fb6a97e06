"""Random networks from before mmaction2 1.x; see published_0x.py."""

import networks
import numpy as np
import published_0x
import torch

from skeljax import skeletons
from skeljax.models import graph_network
from skeljax.skeletons import graph as graph_lib

FAMILIES = ('stgcn_0x', 'agcn_0x', 'agcn_original')


def make(family, graph, stages, num_classes, in_channels, num_persons):
  """Return the PyTorch module; stages are (channels, stride)."""
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


def draw(family, seed, index):
  """Return a random network as a Pair."""
  rng = np.random.default_rng([seed, FAMILIES.index(family), index, 1])
  layouts = ('nturgb+d', 'coco', 'openpose-18', 'ucla')
  layout = skeletons.get_layout(layouts[rng.integers(len(layouts))])
  mode = 'stgcn_spatial' if family == 'stgcn_0x' else 'spatial'
  if family == 'stgcn_0x':
    # In 0.x: spatial, uniform, distance.
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
  plan = graph_network.plan_stages(
    shape[-1],
    ch_ratio=2,
    **{k: options[k] for k in ('base_channels', 'num_stages')},
    **{k: options[k] for k in ('inflate_stages', 'down_stages')},
  )
  stages = [(stage.features, stage.stride) for stage in plan]
  theirs = make(
    family, graph, stages, networks.NUM_CLASSES, shape[-1], shape[1]
  )
  naming = 'original' if family == 'agcn_original' else 'mmaction0x'
  return networks.pair_with(config, theirs, naming)
