"""Which graph network a PyTorch file holds, told from its names and shapes.

Family, code base, widths, joints, channels, persons, classes and graph are in
the tensors. Not in them: temporal strides (taken to fall where the width
grows or a block of equal width has a convolution as its residual, as in every
published network), dilations of ST-GCN++ (as published), whether a graph that
is the same in all blocks was to be learned (taken to be in ST-GCN++), the
number of persons where the input's BatchNorm does not depend on it, whether ST-GCN convolves before it gathers where its graph has
one matrix, and all of the preprocessing.
"""

from collections.abc import Mapping
import dataclasses
import math
from typing import Any

import numpy as np

from skeljax import errors
from skeljax import skeletons
from skeljax.convert import blocks as blocks_lib
from skeljax.convert import known_graphs
from skeljax.convert import tensors
from skeljax.convert.naming import Naming
from skeljax.skeletons import graph as graph_lib

StateDict = Mapping[str, np.ndarray]

# What only one family in one code base has; the first that is found decides.
_MARKS = (
  ('backbone.st_gcn_networks.', 'stgcn', 'mmaction0x'),
  ('backbone.agcn_networks.', 'agcn', 'mmaction0x'),
  ('st_gcn_networks.', 'stgcn', 'original'),
  ('l1.gcn1.', 'agcn', 'original'),
  # All code bases name PoseC3D alike.
  ('backbone.layer1.', 'slowonly', ''),
)

# Of the first block, what the network is told from.
_NEEDED = {
  'stgcn': (
    ('gcn', 'conv', 'kernel'), ('gcn', 'bn', 'bias'), ('tcn', 'bn', 'bias'),
  ),
  'agcn': (('gcn', 'conv_d_kernel'), ('tcn', 'bn', 'bias')),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Architecture:
  """A graph network, as far as a file of its weights tells.

  Attributes:
    family: 'stgcn' or 'agcn'.
    naming: code base, one of tensors.NAMINGS.
    options: of models.build_model.
    graph: layout and adjacency that it starts from.
    num_classes: logits per clip.
    num_channels: C of the input, scores included.
    num_persons: M, None where the weights do not depend on it.
    notes: sentences on what was assumed.
  """

  family: str
  naming: str
  options: Mapping[str, Any]
  graph: graph_lib.Graph
  num_classes: int
  num_channels: int
  num_persons: int | None
  notes: tuple[str, ...] = ()


def recognize(
  state_dict: StateDict,
  *,
  source: str,
  layout: skeletons.Layout | None = None,
  down_stages: tuple[int, ...] | None = None,
  num_persons: int = 0,
) -> Architecture:
  """Tells the network from the tensors of a file.

  Args:
    state_dict: name -> array in PyTorch's layout.
    source: names the file in errors.
    layout: of its skeletons; None to find it among the known ones.
    down_stages: stages, counted from 1, with temporal stride 2; None to take
      those that widen.
    num_persons: M where it is known, else 0. Of one form of the input's
      BatchNorm the size is that of another form for one person.

  Raises:
    UserError: not a graph network, or one of a form that skeljax has not.
  """
  family, naming = tell_code_base(state_dict, source)
  names = tensors.get_naming(family, naming)
  blocks = blocks_lib.Blocks(state_dict, names, source)
  blocks.require(_NEEDED[family])
  options, notes = _width(blocks, down_stages, source)
  num_joints = _num_joints(state_dict, blocks, family, source)
  is_agcn = family == 'agcn'
  options |= (_agcn if is_agcn else _stgcn)(blocks, state_dict)
  if options.get('tcn_type') == 'mstcn':
    notes.append(
      'the multi-scale units were taken to have dilations 1, 2, 3 and 4, as'
      ' published; the file does not say'
    )
  if not is_agcn and blocks.num_subsets() == 1:
    notes.append(
      'with one adjacency matrix the file does not say whether neighbours are'
      ' gathered before or after the convolution: taken for after, as'
      ' published'
    )
  in_channels = blocks.in_channels(family)
  # Published for all persons at once: AGCN, but not that of 0.x.
  has_all_persons = is_agcn and naming != 'mmaction0x' and num_persons < 2
  options['data_bn'], found_persons = _data_bn(
    state_dict, names, num_joints * in_channels, has_all_persons, source
  )
  graph, graph_notes = known_graphs.find(
    blocks.adjacency(family, options),
    num_joints=num_joints,
    is_fixed=blocks.has_fixed_adjacency(family, options),
    prefer_0x=naming in ('mmaction0x', 'original'),
    layout=layout,
    source=source,
  )
  return Architecture(
    family=family,
    naming=naming,
    options=options,
    graph=graph,
    num_classes=blocks_lib.tensor(
      state_dict,
      names.head + '.weight',
      source,
      dims=4 if names.head_is_conv else 2,
    ).shape[0],
    num_channels=in_channels,
    num_persons=found_persons,
    notes=(*notes, *graph_notes),
  )


def tell_code_base(state_dict: StateDict, source: str) -> tuple[str, str]:
  """Family (tensors.FAMILIES) and naming (tensors.NAMINGS) of a file.

  The naming is '' for 'slowonly', which has the same names everywhere.

  Raises:
    UserError: neither is told by its names.
  """
  for mark, family, naming in _MARKS:
    if any(name.startswith(mark) for name in state_dict):
      return family, naming
  if any(name.startswith('backbone.gcn.') for name in state_dict):
    is_agcn = any('.gcn.conv_d.' in name for name in state_dict)
    is_pyskl = any(name.startswith('cls_head.fc_cls.') for name in state_dict)
    return (
      'agcn' if is_agcn else 'stgcn',
      'pyskl' if is_pyskl else 'mmaction1x',
    )
  if any(name.startswith('backbone.pose_path.') for name in state_dict):
    raise errors.UserError(
      f'{source} holds RGBPoseConv3D, a network of skeletons and pictures;'
      ' skeljax has only networks of skeletons.'
    )
  first = ', '.join(list(state_dict)[:4])
  raise errors.UserError(
    f'{source} holds no network that skeljax knows: expected ST-GCN, ST-GCN++,'
    ' 2s-AGCN, AAGCN or PoseC3D as mmaction2, pyskl or their authors name'
    f' them. Its {len(state_dict)} tensors begin with {first or "none"}.'
  )


def _width(
  blocks: blocks_lib.Blocks, down_stages: tuple[int, ...] | None, source: str
) -> tuple[dict[str, Any], list[str]]:
  """Number, widths and strides of the stages."""
  widths = blocks.widths()
  if not widths:
    raise errors.UserError(f'{source} holds no block of a graph network.')
  grows = [i for i in range(1, len(widths)) if widths[i] != widths[i - 1]]
  inflate = tuple(i + 1 for i in grows)
  convolved = tuple(
    i + 1
    for i in range(1, len(widths))
    if blocks.has(i, 'residual', 'bn', 'bias')
  )
  notes = []
  if down_stages is None:
    down_stages = convolved
    if convolved:
      notes.append(
        f'temporal stride 2 was taken for stage {", ".join(map(str, convolved))},'
        ' as published; the file does not say (--down_stages overrides)'
      )
  ratio = _ratio(widths, grows)
  planned = [
    int(widths[0] * ratio ** sum(g <= i for g in grows) + 1e-4)
    for i in range(len(widths))
  ]
  if planned != widths:
    raise errors.UserError(
      f'{source}: the blocks have {", ".join(map(str, widths))} channels,'
      ' which do not grow by one factor; skeljax builds networks whose widths'
      ' are a base times a power of it.'
    )
  if set(convolved) != set(down_stages) | set(inflate):
    raise errors.UserError(
      f'{source}: --down_stages={",".join(map(str, down_stages))}, but the'
      f' residuals of stages {", ".join(map(str, convolved)) or "none"} are'
      ' convolutions, which a stage has where it widens or has stride 2 and'
      ' nowhere else.'
    )
  options = {
    'base_channels': widths[0],
    'ch_ratio': ratio,
    'num_stages': len(widths),
    'inflate_stages': inflate,
    'down_stages': tuple(down_stages),
  }
  return options, notes


def _ratio(widths: list[int], grows: list[int]) -> int | float:
  """The simplest factor that gives these widths; 2 where none grows.

  Widths are rounded down, so that an interval of factors gives the same.
  """
  low, high = 0.0, math.inf
  for power, i in enumerate(grows, start=1):
    low = max(low, ((widths[i] - 1e-4) / widths[0]) ** (1 / power))
    high = min(high, ((widths[i] + 1 - 1e-4) / widths[0]) ** (1 / power))
  if not grows or low >= high:
    return 2
  digits = 0
  while math.ceil(low * 10**digits) / 10**digits >= high:
    digits += 1
  ratio = math.ceil(low * 10**digits) / 10**digits
  return int(ratio) if not digits else ratio


def _num_joints(
  state_dict: StateDict, blocks: blocks_lib.Blocks, family: str, source: str
) -> int:
  """V, from any [K, V, V] parameter."""
  for leaf in ('adjacency', 'importance', 'offset'):
    if blocks.has(0, 'gcn', leaf):
      return blocks.get(0, 'gcn', leaf, dims=3).shape[-1]
  adjacency = blocks.adjacency(family, {})
  if adjacency is None:
    raise errors.UserError(
      f'{source} has no graph, so its number of joints cannot be told.'
    )
  return adjacency.shape[-1]


def _data_bn(
  state_dict: StateDict,
  names: Naming,
  features: int,
  has_all_persons: bool,
  source: str,
) -> tuple[str, int | None]:
  """Kind of the input's BatchNorm, and the persons it was made for."""
  name = names.data_bn + '.weight'
  if name not in state_dict:
    return 'none', None
  size = blocks_lib.tensor(state_dict, name, source, dims=1).shape[0]
  if size % features:
    raise errors.UserError(
      f'{source}: {name} has {size} features, which is no multiple of the'
      f' {features} of joints and channels.'
    )
  persons = size // features
  if persons > 1:
    return 'MVC', persons
  # With one person the two kinds are one, and VC takes any number of them.
  return ('MVC', 1) if has_all_persons else ('VC', None)


def _stgcn(blocks: blocks_lib.Blocks, state_dict: StateDict) -> dict[str, Any]:
  options = {
    'adaptive': _adaptive(blocks),
    'conv_pos': blocks.conv_pos(),
    'gcn_with_res': blocks.has(0, 'gcn', 'down', 'kernel'),
    'tcn_type': 'unit_tcn',
  }
  if blocks.has(0, 'tcn', 'transform', 'kernel'):
    options['tcn_type'] = 'mstcn'
  return options


def _adaptive(blocks: blocks_lib.Blocks) -> str:
  """How ST-GCN adapts its graph.

  Importance and offset have one name in 1.x. Where the graph is 0 an
  importance has no gradient: all that happens to it is weight decay, the same
  for each. An offset learns there.
  """
  if not blocks.has(0, 'gcn', 'importance'):
    # 1.x stores a learned graph by the name of a fixed one. Weights that have
    # been trained differ from block to block, a fixed graph cannot.
    is_plus_plus = blocks.has(0, 'tcn', 'transform', 'kernel')
    return 'init' if is_plus_plus or blocks.adjacency_differs() else 'none'
  weights = blocks.get(0, 'gcn', 'importance', dims=3)
  adjacency = blocks.adjacency('stgcn', {})
  if weights.shape != adjacency.shape:
    return 'importance'  # It is told as misshapen later.
  absent = weights[adjacency == 0]
  is_importance = weights.mean() > 0.5 or (
    # All zero is no importance: nothing would get through.
    absent.size > 1 and np.ptp(absent) == 0 and bool(weights.any())
  )
  return 'importance' if is_importance else 'offset'


def _agcn(blocks: blocks_lib.Blocks, state_dict: StateDict) -> dict[str, Any]:
  is_adaptive = (
    blocks.name(0, 'gcn', 'conv_a_kernel').replace('{subset}', '0')
    in state_dict
  )
  if blocks.has(0, 'gcn', 'alpha') or not is_adaptive:
    variant = 'tanh'
  elif blocks.name(0, 'gcn', 'offset').startswith('l'):
    variant = 'softmax_original'
  else:
    variant = 'softmax_0x'
  return {
    'variant': variant,
    'attention': blocks.has(0, 'gcn', 'attention', 'fc1c', 'kernel'),
    'adaptive': is_adaptive,
  }
