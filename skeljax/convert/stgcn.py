"""Conversion of ST-GCN and ST-GCN++.

Code bases: mmaction2 1.x; pyskl (another name of the classifier); mmaction2
0.x; st-gcn of the authors (0.x without `backbone.`). In the last two the
BatchNorm of the graph unit is the first of the temporal unit, and edge
importances are stored outside the blocks.

Not in the tensors, and assumed: dilations of ST-GCN++ (as published), whether
a graph that is equal in all blocks was to be learned (in ST-GCN++), and with
one adjacency matrix whether it is applied before or after the convolution.
"""

from typing import Any

from flax import linen as nn
import numpy as np

from skeljax.convert import blocks as blocks_lib
from skeljax.convert import graph_network
from skeljax.convert import tensors

_SHARED_MODULES = {
  name: name
  for name in (
    'gcn.conv', 'gcn.bn', 'tcn.conv', 'tcn.bn', 'residual.conv', 'residual.bn',
  )
}  # fmt: skip
# ST-GCN++: four dilated branches, a pooling and a plain one.
_MULTI_SCALE = {
  **{f'tcn.branch_{b}': f'tcn.branches.{b}.0' for b in range(5)},
  **{f'tcn.branch_{b}_bn': f'tcn.branches.{b}.1' for b in range(5)},
  **{f'tcn.branch_{b}_conv': f'tcn.branches.{b}.3.conv' for b in range(4)},
  'tcn.branch_5': 'tcn.branches.5',
  'tcn.transform_bn': 'tcn.transform.0',
  'tcn.transform': 'tcn.transform.2',
}


def _new(code_base: str, head: str) -> tensors.Naming:
  return tensors.Naming(
    code_base=code_base,
    block='backbone.gcn.{}.',
    modules={
      **_SHARED_MODULES,
      **_MULTI_SCALE,
      'gcn.down': 'gcn.down.0',
      'gcn.down_bn': 'gcn.down.1',
    },
    outside={'data_bn': 'backbone.data_bn', 'head.fc': head},
    parameters={
      'gcn.importance': 'gcn.PA',
      'gcn.offset': 'gcn.PA',
      'gcn.adjacency': 'gcn.A',
    },
    adjacency='backbone.gcn.{}.gcn.A',
  )


def _old(code_base: str, backbone: str, head: str) -> tensors.Naming:
  return tensors.Naming(
    code_base=code_base,
    block=backbone + 'st_gcn_networks.{}.',
    modules={
      'gcn.conv': 'gcn.conv',
      'gcn.bn': 'tcn.0',
      'tcn.conv': 'tcn.2',
      'tcn.bn': 'tcn.3',
      'residual.conv': 'residual.0',
      'residual.bn': 'residual.1',
    },
    outside={'data_bn': backbone + 'data_bn', 'head.fc': head},
    parameters={'gcn.importance': backbone + 'edge_importance.{}'},
    head_is_conv=True,
    adjacency=backbone + 'A',
  )


class STGCN(graph_network.GraphFamily):
  """ST-GCN and ST-GCN++."""

  model = 'stgcn'
  namings = {
    'mmaction1x': _new('mmaction1x', 'cls_head.fc'),
    'pyskl': _new('pyskl', 'cls_head.fc_cls'),
    'mmaction0x': _old('mmaction0x', 'backbone.', 'cls_head.fc'),
    'original': _old('original', '', 'fcn'),
  }
  old_prefixes = {
    'backbone.st_gcn_networks.': 'mmaction0x', 'st_gcn_networks.': 'original',
  }  # fmt: skip
  has_conv_d = False
  backbone = 'STGCN'

  def default_data_bn(self, code_base: str) -> str:
    del code_base
    return 'VC'

  def infer(self, blocks: blocks_lib.Blocks) -> graph_network.Inferred:
    adjacencies = blocks.adjacencies()
    adjacency = np.mean(adjacencies, axis=0)
    num_subsets = len(adjacency)
    is_multi_scale = blocks.has(0, 'tcn', 'transform', 'kernel')
    if is_multi_scale:
      blocks.file.notes.append(
        'assumed dilations 1, 2, 3 and 4 in the multi-scale units, as published'
      )
    if num_subsets == 1:
      blocks.file.notes.append(
        'one adjacency matrix: assumed that it is applied after the'
        ' convolution, as published'
      )
    out_channels, in_channels = blocks.get(
      0, 'gcn', 'conv', 'kernel', dims=4
    ).shape[:2]
    width = len(blocks.get(0, 'gcn', 'bn', 'bias', dims=1))
    is_pre = out_channels == width * num_subsets
    adaptive = _adaptive(blocks, adjacencies, adjacency, is_multi_scale)
    return graph_network.Inferred(
      options={
        'adaptive': adaptive,
        'conv_pos': 'pre' if is_pre else 'post',
        'gcn_with_res': blocks.has(0, 'gcn', 'down', 'kernel'),
        'tcn_type': 'mstcn' if is_multi_scale else 'unit_tcn',
      },
      num_channels=in_channels if is_pre else in_channels // num_subsets,
      adjacency=adjacency,
      is_fixed=adaptive != 'init',
    )

  def variant(self, model: nn.Module) -> str:
    return f'{model.adaptive}, {model.tcn_type}'

  def backbone_options(self, model: nn.Module) -> dict[str, tuple[Any, Any]]:
    adaptive = None if model.adaptive == 'none' else model.adaptive
    return {
      'gcn_adaptive': (adaptive, 'importance'),
      'gcn_conv_pos': (model.conv_pos, 'pre'),
      'gcn_with_res': (model.gcn_with_res, False),
      'tcn_type': (model.tcn_type, 'unit_tcn'),
    }


def _adaptive(
  blocks: blocks_lib.Blocks,
  adjacencies: list[np.ndarray],
  adjacency: np.ndarray,
  is_multi_scale: bool,
) -> str:
  """Return how ST-GCN adapts its graph.

  Importance and offset have the same name in 1.x. Where the graph is 0, an
  importance has no gradient, so weight decay leaves equal values there; an
  offset is learned there too.
  """
  if not blocks.has(0, 'gcn', 'importance'):
    # 1.x stores a learned graph under the name of a fixed one. After training
    # it differs between blocks, which a fixed graph cannot.
    differs = any(not np.array_equal(a, adjacencies[0]) for a in adjacencies)
    return 'init' if is_multi_scale or differs else 'none'
  weights = blocks.get(0, 'gcn', 'importance', dims=3)
  if weights.shape != adjacency.shape:
    return 'importance'  # Reported as misshapen later.
  absent = weights[adjacency == 0]
  is_importance = weights.mean() > 0.5 or (
    # All zeros are not an importance: the network would output a constant.
    absent.size > 1 and np.ptp(absent) == 0 and bool(weights.any())
  )
  return 'importance' if is_importance else 'offset'
