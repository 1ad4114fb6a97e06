"""Networks of mmaction2 and of skeljax with the same weights.

`draw` returns a random Config, `build` both of its networks. Weights are random
float32 values seeded by their names in the published state_dict; skeljax's own
conversion copies them, as it does those of a file.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any
import zlib

import jax
from mmaction import models as published
import numpy as np
import torch

from skeljax import models
from skeljax import skeletons
from skeljax.convert import checkpoint
from skeljax.convert import tensors
from skeljax.skeletons import graph as graph_lib

FAMILIES = ('stgcn', 'stgcnpp', 'agcn', 'aagcn')
# Names of the families in the report, with those of published_0x.py and
# slowonly_pairs.py.
NAMES = {
  'stgcn': 'ST-GCN',
  'stgcnpp': 'ST-GCN++',
  'agcn': '2s-AGCN (tanh)',
  'aagcn': 'AAGCN',
  'slowonly': 'PoseC3D',
  'stgcn_0x': 'ST-GCN (0.x)',
  'agcn_0x': '2s-AGCN (softmax, 0.x)',
  'agcn_original': '2s-AGCN (softmax, authors)',
}
NUM_CLASSES = 7
# Layouts that mmaction2 1.x has by name; others are passed as a dict.
_PUBLISHED_LAYOUTS = {
  'coco': 'coco',
  'nturgb+d': 'nturgb+d',
  'openpose-18': 'openpose',
}
_PUBLISHED_MODES = {'binary': 'binary_adj'}


@dataclasses.dataclass(frozen=True)
class Config:
  """A network and its input; str() is for failure messages.

  Attributes:
    family: one of FAMILIES.
    graph: layout and mode.
    options: of the skeljax model, as (name, value) pairs.
    shape: of the input, [B, M, T, V, C].
    norm_group: clips that share BatchNorm statistics; 0 for all.
    seed: of the weights and the input.
  """

  family: str
  graph: graph_lib.Graph
  options: tuple[tuple[str, object], ...]
  shape: tuple[int, int, int, int, int]
  norm_group: int = 0
  seed: int = 0

  def __str__(self) -> str:
    layout = self.graph.layout
    options = ', '.join(f'{name}={value!r}' for name, value in self.options)
    return (
      f'{self.family} seed={self.seed} layout={layout.name} '
      f'edges={layout.edges} center={layout.center} mode={self.graph.mode} '
      f'max_hop={self.graph.max_hop} {options} shape={self.shape} '
      f'norm_group={self.norm_group}'
    )

  @property
  def smaller_shapes(self) -> list[tuple[int, ...]]:
    """The shape, and shapes with fewer frames."""
    b, m, t, v, c = self.shape
    counts = sorted({max(t // n, 1) for n in (1, 2, 4)}, reverse=True)
    return [(b, m, frames, v, c) for frames in counts]

  @property
  def our_family(self) -> str:
    """'stgcn' or 'agcn', as build_model and the conversion call it."""
    return 'agcn' if 'agcn' in self.family else 'stgcn'


class Network(torch.nn.Module):
  """Backbone and head under the names of mmaction2's recognizer."""

  def __init__(self, backbone: torch.nn.Module, cls_head: torch.nn.Module):
    super().__init__()
    self.backbone = backbone
    self.cls_head = cls_head

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Map [B, M, T, V, C] to logits."""
    return self.cls_head(self.backbone(x))


@dataclasses.dataclass(frozen=True)
class Pair:
  """A network in both frameworks, with equal weights.

  Attributes:
    config: of the network.
    theirs: mmaction2's, float32, in training mode.
    model: skeljax's.
    variables: skeljax's, float32 arrays.
    naming: the tensor names of `theirs`, see convert.tensors.
  """

  config: Config
  theirs: torch.nn.Module
  model: object
  variables: Mapping[str, Any]
  naming: str = 'mmaction1x'

  def from_torch(self, changed: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Convert the tensors of `theirs`, with some replaced, to our variables."""
    state = self.theirs.state_dict() | dict(changed)
    return tensors.from_torch(
      # Copied: training changes tensors in place.
      {name: tensor.numpy().copy() for name, tensor in state.items()},
      self.variables,
      checkpoint.FAMILIES[self.config.our_family].get_naming(self.naming),
      adjacency=self.config.graph.adjacency(),
    )

  def to_torch(self, variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return our arrays under their names."""
    return tensors.to_torch(
      variables,
      checkpoint.FAMILIES[self.config.our_family].get_naming(self.naming),
      adjacency=self.config.graph.adjacency(),
    )


def draw(family: str, seed: int, index: int) -> Config:
  """Return random configuration `index` of a family.

  Options with few values take them in turn: four in a row have every value.
  """
  rng = np.random.default_rng([seed, FAMILIES.index(family), index])
  # The first value of each option; the same for the whole family.
  begin = np.random.default_rng([seed, FAMILIES.index(family)])

  def choose(*values):
    # Two values change at every second index, as norm_group changes at each.
    step = index // 2 if len(values) == 2 else index
    return values[(begin.integers(len(values)) + step) % len(values)]

  layout = _draw_layout(rng)
  mode = choose('spatial', 'stgcn_spatial', 'binary')
  hops = choose(1, 2)
  max_hop = hops if mode == 'stgcn_spatial' else 1
  # Stages are slow to compile; those of ST-GCN++ have six branches.
  num_stages = int(rng.integers(2, 4 if family == 'stgcnpp' else 5))
  stages = range(2, num_stages + 1)
  options = dict(
    # Six branches share the channels of ST-GCN++.
    base_channels=int(
      rng.integers(12, 25) if family == 'stgcnpp' else rng.integers(8, 17)
    ),
    num_stages=num_stages,
    inflate_stages=tuple(s for s in stages if rng.random() < 0.4),
    down_stages=tuple(s for s in stages if rng.random() < 0.4),
    data_bn=choose('VC', 'MVC', 'none'),
  )
  if family.startswith('stgcn'):
    options.update(
      ch_ratio=choose(2, 1.5),
      adaptive=choose('importance', 'init', 'offset', 'none'),
      conv_pos=choose('pre', 'post'),
    )
  if family == 'stgcn':
    options.update(gcn_with_res=choose(True, False))
  elif family == 'stgcnpp':
    options.update(gcn_with_res=True, tcn_type='mstcn')
  else:
    options.update(
      variant='tanh',
      attention=family == 'aagcn',
      adaptive=choose(True, True, False),
    )
  shape = (
    4,
    int(rng.integers(1, 4)),
    int(rng.integers(1, 41)),
    layout.num_joints,
    int(rng.integers(2, 5)),
  )
  return Config(
    family,
    graph_lib.Graph(layout, mode, max_hop=max_hop),
    tuple(options.items()),
    shape,
    # Every second one has the statistics of two published GPUs.
    norm_group=2 * (index % 2),
    seed=int(rng.integers(2**31)),
  )


def _draw_layout(rng: np.random.Generator) -> skeletons.Layout:
  """A published layout, or a random tree of 5 to 12 joints."""
  names = (*skeletons.LAYOUTS, 'tree', 'tree')
  name = names[rng.integers(len(names))]
  if name != 'tree':
    return skeletons.get_layout(name)
  num_joints = int(rng.integers(5, 13))
  order = rng.permutation(num_joints)
  edges = tuple(
    (int(order[i]), int(order[rng.integers(i)])) for i in range(1, num_joints)
  )
  return skeletons.Layout(
    name='tree',
    joints=tuple(f'joint{v}' for v in range(num_joints)),
    bones=edges,
    edges=edges,
    center=int(order[0]),
  )


def default(family: str, seed: int) -> Config:
  """Return the published options, with narrow layers and short clips."""
  options: dict[str, object] = dict(base_channels=8)
  layout, mode, shape = 'nturgb+d', 'spatial', (2, 2, 16, 25, 3)
  if family == 'stgcn':
    layout, mode, shape = 'coco', 'stgcn_spatial', (2, 2, 16, 17, 3)
  elif family == 'stgcnpp':
    # Branches of one channel would amplify rounding tenfold over ten stages.
    options.update(base_channels=24)
    options.update(adaptive='init', gcn_with_res=True, tcn_type='mstcn')
    layout, shape = 'coco', (4, 1, 8, 17, 3)
  else:
    options.update(variant='tanh', attention=family == 'aagcn')
  graph = graph_lib.Graph(skeletons.get_layout(layout), mode)
  return Config(family, graph, tuple(options.items()), shape, seed=seed)


def build(config: Config) -> Pair:
  """Return both networks with the same random weights."""
  return pair_with(config, make_theirs(config), 'mmaction1x')


def pair_with(config: Config, theirs: torch.nn.Module, naming: str) -> Pair:
  """Fill a PyTorch network at random and copy its weights to ours."""
  state = {
    name: fill(name, tensor.numpy(), config.seed)
    for name, tensor in theirs.state_dict().items()
  }
  theirs.load_state_dict({n: torch.from_numpy(a) for n, a in state.items()})
  return join(config, theirs, naming)


def join(config: Config, theirs: torch.nn.Module, naming: str) -> Pair:
  """Return the Pair of a PyTorch network and ours with its weights."""
  model = models.build_model(
    config.our_family,
    graph=config.graph,
    num_classes=NUM_CLASSES,
    norm_group=config.norm_group,
    **dict(config.options),
  )
  like = jax.eval_shape(
    model.init, jax.random.key(0), np.zeros(config.shape, np.float32)
  )
  pair = Pair(config, theirs, model, like, naming)
  return dataclasses.replace(pair, variables=pair.from_torch({}))


def fill(name: str, tensor: np.ndarray, seed: int) -> np.ndarray:
  """Return a random tensor with values as after training."""
  if name.endswith('num_batches_tracked'):
    return tensor
  rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
  r = rng.normal(size=tensor.shape)
  leaf = name.rsplit('.', 1)[-1]
  if leaf == 'A':
    return tensor
  if leaf == 'PA' or 'edge_importance' in name:
    r = tensor + 0.1 * r
  elif leaf == 'alpha':
    r = 0.5 + 0.1 * r
  elif leaf == 'running_var':
    r = 1 + 0.1 * abs(r)
  elif leaf in ('running_mean', 'bias'):
    r = 0.1 * r
  elif tensor.ndim >= 2:
    r = r / np.sqrt(tensor[0].size)
  else:
    r = 1 + 0.1 * r
  return np.asarray(r, np.float32)


def make_theirs(config: Config) -> Network:
  """Return the network of mmaction2 1.x, not yet initialised."""
  options = dict(config.options)
  layout = config.graph.layout
  graph_cfg = dict(
    layout=_PUBLISHED_LAYOUTS.get(layout.name)
    or dict(
      num_node=layout.num_joints,
      inward=list(layout.edges),
      center=layout.center,
    ),
    mode=_PUBLISHED_MODES.get(config.graph.mode, config.graph.mode),
    max_hop=config.graph.max_hop,
  )
  kwargs = dict(
    graph_cfg=graph_cfg,
    in_channels=config.shape[-1],
    num_person=config.shape[1],
  )
  for name in ('base_channels', 'num_stages', 'ch_ratio'):
    if name in options:
      kwargs[name] = options[name]
  for name in ('inflate_stages', 'down_stages'):
    if name in options:
      kwargs[name] = list(options[name])
  if 'data_bn' in options:
    data_bn = options['data_bn']
    kwargs['data_bn_type'] = None if data_bn == 'none' else data_bn
  renames = {
    'adaptive': 'gcn_adaptive',
    'conv_pos': 'gcn_conv_pos',
    'gcn_with_res': 'gcn_with_res',
    'tcn_type': 'tcn_type',
    'attention': 'gcn_attention',
  }
  for ours, their_name in renames.items():
    if ours in options:
      value = options[ours]
      kwargs[their_name] = None if value == 'none' else value
  kind = published.AAGCN if config.our_family == 'agcn' else published.STGCN
  backbone = kind(**kwargs)
  with torch.no_grad():
    channels = backbone.eval()(torch.zeros(1, *config.shape[1:])).shape[2]
  return Network(backbone, published.GCNHead(NUM_CLASSES, channels)).train()


def settle(network, seed):
  """Change the learned adjacency, and number the counters of the BatchNorms."""
  generator = torch.Generator().manual_seed(seed)
  parameters = dict(network.named_parameters())
  with torch.no_grad():
    for i, (name, tensor) in enumerate(network.state_dict().items()):
      if name.endswith('num_batches_tracked'):
        tensor.fill_(100 + i)
      elif name.endswith('.A') and name in parameters:
        tensor.add_(0.05 * torch.randn(tensor.shape, generator=generator))
