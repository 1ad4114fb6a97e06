"""A checkpoint of ours as a PyTorch file that the published code loads."""

from collections.abc import Mapping
import json
from typing import Any

from ml_collections import config_dict
import numpy as np

from skeljax import errors
from skeljax import models
from skeljax import run as run_lib
from skeljax.convert import own_files
from skeljax.convert import published_model
from skeljax.convert import tensors
from skeljax.convert import torch_checkpoint
from skeljax.datasets.spec import DataSpec
from skeljax.skeletons import graph as graph_lib

# The code bases that have each form of AGCN.
_AGCN_NAMINGS = {
  'softmax_0x': ('mmaction0x',),
  'softmax_original': ('original',),
  'tanh': ('mmaction1x', 'pyskl', 'original'),
}
# Of the code before mmaction2 1.x, what later became an option.
_FIRST_FORMS = {
  'mmaction0x': {
    'stgcn': {'conv_pos': 'pre', 'data_bn': 'VC'},
    'agcn': {'data_bn': 'VC'},
  },
  'original': {
    'stgcn': {'conv_pos': 'pre', 'data_bn': 'VC'},
    'agcn': {'data_bn': 'MVC'},
  },
}


def save(
  path: str,
  variables: Mapping[str, Any],
  meta: Mapping[str, Any],
  naming: str = '',
) -> str:
  """Writes weights and BatchNorm statistics, not the optimiser's state.

  Args:
    path: of the file, replaced when it exists.
    variables: the collections params, batch_stats and graph.
    meta: of the checkpoint; it travels in the file, so that skeljax reads it
      back with configuration and class names.
    naming: one of tensors.NAMINGS; '' for the one that the weights came with,
      else the first that has this network.

  Returns:
    The naming.

  Raises:
    UserError: the code base of the naming has no such network.
  """
  config = config_dict.ConfigDict(meta['config'])
  spec = DataSpec.from_dict(meta['spec'], source='the checkpoint')
  leftovers = dict(meta.get('torch', {}))
  # A checkpoint of ours assumes nothing.
  assumptions = {
    'is_assumed': leftovers.get('is_assumed', False),
    'is_stream_told': leftovers.get('is_stream_told', not leftovers),
  }
  naming = naming or leftovers.get('naming') or _default_naming(config)
  if naming != leftovers.get('naming'):
    leftovers = {}
  _check(config, naming)
  if published_model.is_known(config, naming):
    # Says so if there is no such network.
    published_model.recognizer(config, spec, naming)
  adjacency = None
  if models.input_kind(config.model.name) == 'joints':
    graph = run_lib.Run(config, spec).graph
    _check_graph(variables, config.model.name, naming, graph)
    adjacency = leftovers.get('unused_adjacency', graph.adjacency())
    adjacency = np.asarray(adjacency, np.float32)
  state_dict = tensors.to_torch(
    variables,
    config.model.name,
    naming,
    adjacency=adjacency,
    counters=leftovers.get('counters', 0),
  )
  kept = {k: meta[k] for k in ('spec', 'code_version')}
  # The naming is in the names, but for networks that have the same everywhere.
  kept |= {'naming': naming, **assumptions}
  kept['config'] = _given_away(config)
  torch_checkpoint.write(
    path,
    state_dict,
    # Through JSON: plain values only, whatever the configuration holds.
    json.loads(json.dumps({own_files.META_KEY: kept})),
  )
  return naming


def _given_away(config: config_dict.ConfigDict) -> dict[str, Any]:
  """What travels in a file that is given away: no folders of its maker."""
  names = own_files.SECTIONS
  if models.input_kind(config.model.name) == 'joints':
    names = (*names, own_files.GRAPH_SECTION)
  kept = {name: config[name] for name in names}
  kept = config_dict.ConfigDict(kept).to_dict()
  kept['recipe'] = config.get('recipe', '')
  kept['data']['dir'] = ''
  return kept


def _default_naming(config: config_dict.ConfigDict) -> str:
  if config.model.name == 'agcn':
    return _AGCN_NAMINGS[_variant(config)][0]
  return 'mmaction1x'


def _variant(config: config_dict.ConfigDict) -> str:
  return config.model.get('variant', 'softmax_0x')


def _check(config: config_dict.ConfigDict, naming: str) -> None:
  """Raises UserError where a code base has not this form of a network."""
  tensors.get_naming(config.model.name, naming)
  if models.input_kind(config.model.name) != 'joints':
    return
  if naming in _FIRST_FORMS:
    # These change no name and no shape, only what is computed.
    for field, value in _FIRST_FORMS[naming][config.model.name].items():
      if config.model.get(field) not in (None, '', value):
        raise errors.UserError(
          f'--naming={naming}: that code base has {field}={value} only, and'
          f' this network has {config.model[field]!r}. Give --naming=mmaction1x.'
        )
  if config.model.name != 'agcn':
    return
  allowed = _AGCN_NAMINGS[_variant(config)]
  if naming not in allowed:
    raise errors.UserError(
      f'--naming={naming}: that code base has no AGCN of the form'
      f' {_variant(config)!r}. Give --naming={" or ".join(allowed)}.'
    )


def _check_graph(
  variables: Mapping[str, Any],
  family: str,
  naming: str,
  graph: graph_lib.Graph,
) -> None:
  """Raises UserError where a fixed graph would be lost.

  2s-AGCN of the authors makes its graph anew from its own edges.
  """
  fixed = variables.get('graph', {}).get('adjacency')
  if fixed is None or tensors.get_naming(family, naming).adjacency:
    return
  own = graph_lib.Graph(graph.layout, graph.mode, edges='0x').adjacency()
  if not np.array_equal(np.asarray(fixed), own):
    raise errors.UserError(
      f'--naming={naming}: files of that code base hold no graph, and this'
      f' checkpoint has another one than its layout {graph.layout.name!r} with'
      ' the edges of 2s-AGCN: it would be lost.'
    )
