"""The configuration with which published code builds a network of ours.

A file of weights is of no use without it, and load_state_dict(strict=True)
needs it exactly.
"""

from typing import Any

from flax import linen as nn
from ml_collections import config_dict

from skeljax import errors
from skeljax import models
from skeljax import run as run_lib
from skeljax.datasets.spec import DataSpec
from skeljax.skeletons import graph as graph_lib

# Layouts that they know by a name.
_MMACTION_LAYOUTS = {
  'nturgb+d': 'nturgb+d',
  'coco': 'coco',
  'openpose-18': 'openpose',
}
_LAYOUTS = {
  'mmaction1x': _MMACTION_LAYOUTS,
  'pyskl': _MMACTION_LAYOUTS | {'handmp': 'handmp'},
}
_DEFAULTS = {
  'in_channels': 3,
  'base_channels': 64,
  'ch_ratio': 2,
  'num_stages': 10,
  'inflate_stages': [5, 8],
  'down_stages': [5, 8],
  'num_person': 2,
  'gcn_adaptive': 'importance',
  'gcn_conv_pos': 'pre',
  'gcn_with_res': False,
  'gcn_attention': True,
  'tcn_type': 'unit_tcn',
  'tcn_dropout': 0.0,
}


def is_known(config: config_dict.ConfigDict, naming: str) -> bool:
  """Whether `recognizer` knows how a code base builds a network."""
  return naming in ('mmaction1x', 'pyskl') or (
    naming == 'mmaction0x'
    and (models.input_kind(config.model.name) == 'heatmaps')
  )


def recognizer(
  config: config_dict.ConfigDict, spec: DataSpec, naming: str
) -> dict[str, Any]:
  """The `model` of a configuration of mmaction2 or pyskl.

  Args:
    config: of the checkpoint.
    spec: of the checkpoint.
    naming: for which `is_known`; they differ in the layouts they know, and in
      how they say PoseC3D.

  Returns:
    Arguments of RecognizerGCN or Recognizer3D; of graph networks what has its
    default is left out.

  Raises:
    UserError: they cannot build this network.
  """
  model = run_lib.Run(config, spec).model
  if models.input_kind(config.model.name) == 'heatmaps':
    channels = run_lib.Run(config, spec).input.num_channels
    return _recognizer_3d(model, channels, config.eval.average, naming)
  is_agcn = config.model.name == 'agcn'
  options = {
    'in_channels': spec.num_channels + int(spec.has_score),
    'base_channels': model.base_channels,
    'ch_ratio': model.ch_ratio,
    'num_stages': model.num_stages,
    'inflate_stages': list(model.inflate_stages),
    'down_stages': list(model.down_stages),
    'num_person': spec.num_persons,
    'tcn_dropout': model.tcn_dropout,
  }
  if is_agcn:
    if model.ch_ratio != 2:
      raise errors.UserError(
        f"mmaction2's AAGCN doubles its width at each stage that widens; this"
        f' network has ch_ratio={model.ch_ratio}, so that no code would load'
        ' the file.'
      )
    options |= {
      'gcn_adaptive': model.adaptive,
      'gcn_attention': model.attention,
    }
    defaults = _DEFAULTS | {'gcn_adaptive': True}
  else:
    adaptive = None if model.adaptive == 'none' else model.adaptive
    options |= {
      'gcn_adaptive': adaptive,
      'gcn_conv_pos': model.conv_pos,
      'gcn_with_res': model.gcn_with_res,
      'tcn_type': model.tcn_type,
    }
    defaults = _DEFAULTS
  data_bn = model.data_bn or ('MVC' if is_agcn else 'VC')
  if data_bn != ('MVC' if is_agcn else 'VC'):
    options['data_bn_type'] = None if data_bn == 'none' else data_bn
  return {
    'type': 'RecognizerGCN',
    'backbone': {
      'type': 'AAGCN' if is_agcn else 'STGCN',
      'graph_cfg': _graph_cfg(model.graph, naming),
      **{
        name: value
        for name, value in options.items()
        if name not in defaults or defaults[name] != value
      },
    },
    'cls_head': {
      'type': 'GCNHead',
      'num_classes': spec.num_classes,
      'in_channels': _last_width(model),
      **({'dropout': model.dropout} if model.dropout else {}),
    },
  }


def _recognizer_3d(
  model: nn.Module, num_channels: int, average: str, naming: str
) -> dict[str, Any]:
  """PoseC3D; all of it is said, as the defaults are those of another network."""
  num_stages = len(model.stage_blocks)
  is_pyskl = naming == 'pyskl'
  if num_stages > 4:
    raise errors.UserError(
      f'mmaction2 and pyskl have SlowOnly of up to 4 stages and this network has'
      f' {num_stages}, so that no code would load the file.'
    )
  if is_pyskl:
    for field, value in (
      ('dilations', (1,) * num_stages),
      ('with_pool1', True),
      ('with_pool2', False),
    ):
      if getattr(model, field) != value:
        raise errors.UserError(
          f'--naming=pyskl: pyskl has SlowOnly with {field}={value} only, and'
          f' this network has {getattr(model, field)}. Give'
          ' --naming=mmaction1x.'
        )
  backbone: dict[str, Any] = {
    'type': 'ResNet3dSlowOnly',
    'depth': 50,
    'pretrained': None,
    'in_channels': num_channels,
    'base_channels': model.base_channels,
    'num_stages': num_stages,
    'out_indices': [num_stages - 1],
    'conv1_kernel': list(model.conv1_kernel),
    'inflate_style': model.inflate_style,
  }
  stage_fields = ('stage_blocks', 'inflate', 'spatial_strides')
  stage_fields += ('temporal_strides',)
  if is_pyskl:
    for field in ('conv1_stride', 'pool1_stride'):
      backbone[field] = list(getattr(model, field))
  else:
    for field in ('conv1_stride', 'pool1_stride'):
      for axis, stride in zip('ts', getattr(model, field)):
        backbone[f'{field}_{axis}'] = stride
    backbone |= {'with_pool1': model.with_pool1, 'with_pool2': model.with_pool2}
    stage_fields += ('dilations',)
  backbone |= {field: list(getattr(model, field)) for field in stage_fields}
  dropout = 'dropout' if is_pyskl else 'dropout_ratio'
  result: dict[str, Any] = {
    'type': 'Recognizer3D',
    'backbone': backbone,
    'cls_head': {
      'type': 'I3DHead',
      'num_classes': model.num_classes,
      'in_channels': 4 * model.base_channels * 2 ** (num_stages - 1),
      dropout: model.dropout,
    },
  }
  if naming == 'mmaction1x':
    result['cls_head']['average_clips'] = average
  else:
    result['test_cfg'] = {'average_clips': average}
  return result


def _last_width(model: Any) -> int:
  growths = [s for s in model.inflate_stages if 2 <= s <= model.num_stages]
  return int(model.base_channels * model.ch_ratio ** len(growths) + 1e-4)


def _graph_cfg(graph: graph_lib.Graph, naming: str) -> dict[str, Any]:
  """A graph of as many matrices; the file brings their values."""
  layout = graph.layout
  named = _LAYOUTS[naming].get(layout.name)
  if naming == 'pyskl' and named is None:
    raise errors.UserError(
      f'--naming=pyskl: pyskl knows layouts by name only ('
      f'{", ".join(_LAYOUTS[naming])}), and {layout.name!r} is not one of them,'
      ' so that no code would load the file. Give --naming=mmaction1x.'
    )
  described = {
    'num_node': layout.num_joints,
    'inward': [list(edge) for edge in layout.graph_edges(graph.edges)],
    'center': layout.center,
  }
  result: dict[str, Any] = {'layout': named or described}
  if graph.mode == 'spatial':
    return result | {'mode': 'spatial'}
  if graph.num_subsets == 1:
    return result | {'mode': 'binary_adj'}
  if graph.num_subsets % 2 == 0:
    raise errors.UserError(
      f'mmaction2 1.x has no graph of {graph.num_subsets} matrices, as mode'
      f' {graph.mode!r} of this network makes, so that no code would load the'
      ' file. Give --naming=mmaction0x or --naming=original.'
    )
  max_hop = (graph.num_subsets - 1) // 2
  result['mode'] = 'stgcn_spatial'
  return result | ({'max_hop': max_hop} if max_hop != 1 else {})
