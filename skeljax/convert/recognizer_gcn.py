"""Write the `model` of a published config of a graph network."""

from collections.abc import Mapping
from typing import Any

from flax import linen as nn

from skeljax import errors
from skeljax.datasets import spec as spec_lib
from skeljax.skeletons import graph as graph_lib

# Layouts that mmaction2 and pyskl have, by our name.
_MMACTION_LAYOUTS = {
  'nturgb+d': 'nturgb+d',
  'coco': 'coco',
  'openpose-18': 'openpose',
}
LAYOUTS = {
  'mmaction1x': _MMACTION_LAYOUTS,
  'pyskl': _MMACTION_LAYOUTS | {'handmp': 'handmp'},
}


def build(
  model: nn.Module,
  spec: spec_lib.DataSpec,
  code_base: str,
  *,
  backbone: str,
  options: Mapping[str, tuple[Any, Any]],
  default_data_bn: str,
) -> dict[str, Any]:
  """Return a RecognizerGCN; arguments with their default are left out.

  Args:
    model: the network.
    spec: of its data.
    code_base: a key of LAYOUTS.
    backbone: STGCN or AAGCN.
    options: (value, default) of the arguments that only this backbone has.
    default_data_bn: the default of data_bn_type.

  Raises:
    UserError: the code base does not have the graph.
  """
  data_bn = {'': default_data_bn, 'none': None}.get(
    model.data_bn, model.data_bn
  )
  arguments = {
    'in_channels': (spec.num_channels + int(spec.has_score), 3),
    'base_channels': (model.base_channels, 64),
    'ch_ratio': (model.ch_ratio, 2),
    'num_stages': (model.num_stages, 10),
    'inflate_stages': (list(model.inflate_stages), [5, 8]),
    'down_stages': (list(model.down_stages), [5, 8]),
    'num_person': (spec.num_persons, 2),
    'tcn_dropout': (model.tcn_dropout, 0.0),
    'data_bn_type': (data_bn, default_data_bn),
    **options,
  }
  widened = [s for s in model.inflate_stages if 2 <= s <= model.num_stages]
  width = int(model.base_channels * model.ch_ratio ** len(widened) + 1e-4)
  head = {
    'type': 'GCNHead', 'num_classes': spec.num_classes, 'in_channels': width,
  }  # fmt: skip
  if model.dropout:
    head['dropout'] = model.dropout
  return {
    'type': 'RecognizerGCN',
    'backbone': {
      'type': backbone,
      'graph_cfg': _graph_cfg(model.graph, code_base),
      **{k: v for k, (v, default) in arguments.items() if v != default},
    },
    'cls_head': head,
  }


def _graph_cfg(graph: graph_lib.Graph, code_base: str) -> dict[str, Any]:
  """Return a published graph with as many matrices; files have the values."""
  layout = graph.layout
  named = LAYOUTS[code_base].get(layout.name)
  if code_base == 'pyskl' and named is None:
    raise errors.UserError(
      f'--naming=pyskl: pyskl has the layouts {", ".join(LAYOUTS[code_base])}'
      f' only, not {layout.name!r}. Give --naming=mmaction1x.'
    )
  result: dict[str, Any] = {'layout': named}
  if named is None:
    result['layout'] = {
      'num_node': layout.num_joints,
      'inward': [list(edge) for edge in layout.graph_edges(graph.edges)],
      'center': layout.center,
    }
  if graph.mode == 'spatial':
    return result | {'mode': 'spatial'}
  if graph.num_subsets == 1:
    return result | {'mode': 'binary_adj'}
  if graph.num_subsets % 2 == 0:
    raise errors.UserError(
      f'mmaction2 1.x has no graph of {graph.num_subsets} matrices, as mode'
      f' {graph.mode!r} has. Give --naming=mmaction0x or --naming=original.'
    )
  max_hop = (graph.num_subsets - 1) // 2
  result['mode'] = 'stgcn_spatial'
  return result | ({'max_hop': max_hop} if max_hop != 1 else {})
