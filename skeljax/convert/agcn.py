"""Conversion of 2s-AGCN and AAGCN.

Code bases: mmaction2 1.x and pyskl (variant 'tanh'); mmaction2 0.x
('softmax_0x'); 2s-AGCN of the authors, whose agcn.py is 'softmax_original' and
whose aagcn.py is 'tanh'. The authors call the learned graph PA in both, and
files of agcn.py do not contain the fixed one.
"""

from typing import Any

from flax import linen as nn
import numpy as np

from skeljax import errors
from skeljax import run as run_lib
from skeljax.convert import blocks as blocks_lib
from skeljax.convert import graph_network
from skeljax.convert import tensors

# Code bases of each variant; the first is the default.
_CODE_BASES = {
  'softmax_0x': ('mmaction0x',),
  'softmax_original': ('original',),
  'tanh': ('mmaction1x', 'pyskl', 'original'),
}
_GRAPH_UNIT = {
  'gcn.bn': 'gcn.bn',
  'gcn.down': 'gcn.down.0',
  'gcn.down_bn': 'gcn.down.1',
}
_ATTENTION = {
  f'gcn.attention.{name}': f'gcn.{name}'
  for name in ('conv_sa', 'conv_ta', 'fc1c', 'fc2c')
}
_NAMED_UNITS = {
  name: name for name in ('tcn.conv', 'tcn.bn', 'residual.conv', 'residual.bn')
}
_NUMBERED_UNITS = {
  'tcn.conv': 'tcn.0',
  'tcn.bn': 'tcn.1',
  'residual.conv': 'residual.0',
  'residual.bn': 'residual.1',
}


def _subsets(unit: str) -> dict[str, str]:
  """Return names of conv_a, conv_b and conv_d, one convolution per subset."""
  return {
    f'gcn.{name}_{ours}': f'{unit}.{name}.*.{theirs}'
    for name in ('conv_a', 'conv_b', 'conv_d')
    for ours, theirs in (('kernel', 'weight'), ('bias', 'bias'))
  }


def _new(code_base: str, head: str) -> tensors.Naming:
  return tensors.Naming(
    code_base=code_base,
    block='backbone.gcn.{}.',
    modules=_GRAPH_UNIT | _ATTENTION | _NAMED_UNITS,
    outside={'data_bn': 'backbone.data_bn', 'head.fc': head},
    parameters={
      'gcn.adjacency': 'gcn.A',
      'gcn.alpha': 'gcn.alpha',
      **_subsets('gcn'),
    },
    adjacency='backbone.gcn.{}.gcn.A',
    unused_adjacency='backbone.A',
  )


_ZERO_X = tensors.Naming(
  code_base='mmaction0x',
  block='backbone.agcn_networks.{}.',
  modules=_GRAPH_UNIT | _NUMBERED_UNITS,
  outside={'data_bn': 'backbone.data_bn', 'head.fc': 'cls_head.fc'},
  parameters={'gcn.offset': 'gcn.PA', **_subsets('gcn')},
  head_is_conv=True,
  adjacency='backbone.A',
)
_ORIGINAL = tensors.Naming(
  code_base='original',
  block='l{}.',
  modules={
    name: theirs.replace('gcn.', 'gcn1.').replace('tcn.', 'tcn1.')
    for name, theirs in (_GRAPH_UNIT | _ATTENTION | _NAMED_UNITS).items()
  },
  outside={'data_bn': 'data_bn', 'head.fc': 'fc'},
  parameters={
    'gcn.offset': 'gcn1.PA',
    'gcn.adjacency': 'gcn1.PA',
    'gcn.alpha': 'gcn1.alpha',
    **_subsets('gcn1'),
  },
  first=1,
)


class AGCN(graph_network.GraphFamily):
  """2s-AGCN and AAGCN."""

  model = 'agcn'
  namings = {
    'mmaction1x': _new('mmaction1x', 'cls_head.fc'),
    'pyskl': _new('pyskl', 'cls_head.fc_cls'),
    'mmaction0x': _ZERO_X,
    'original': _ORIGINAL,
  }
  old_prefixes = {
    'backbone.agcn_networks.': 'mmaction0x', 'l1.gcn1.': 'original',
  }  # fmt: skip
  has_conv_d = True
  backbone = 'AAGCN'

  def default_data_bn(self, code_base: str) -> str:
    return 'VC' if code_base == 'mmaction0x' else 'MVC'

  def default_code_base(self, model: nn.Module) -> str:
    return _CODE_BASES[model.variant][0]

  def infer(self, blocks: blocks_lib.Blocks) -> graph_network.Inferred:
    is_adaptive = blocks.has(0, 'gcn', 'conv_a_kernel')
    if blocks.has(0, 'gcn', 'alpha') or not is_adaptive:
      variant = 'tanh'
    elif blocks.naming.code_base == 'original':
      variant = 'softmax_original'
    else:
      variant = 'softmax_0x'
    adjacencies = blocks.adjacencies()
    is_fixed = bool(adjacencies) and not is_adaptive
    unused = blocks.naming.unused_adjacency
    if unused in blocks.file.state_dict:
      adjacencies, is_fixed = blocks.adjacencies([unused]), True
    elif not adjacencies and variant == 'tanh':
      names = [
        blocks.name(i, 'gcn', 'adjacency') for i in range(blocks.num_blocks)
      ]
      adjacencies = blocks.adjacencies(names)
    kernel = blocks.get(0, 'gcn', 'conv_d_kernel', dims=4)
    return graph_network.Inferred(
      options={
        'variant': variant,
        'attention': blocks.has(0, 'gcn', 'attention', 'fc1c', 'kernel'),
        'adaptive': is_adaptive,
      },
      num_channels=kernel.shape[1],
      adjacency=np.mean(adjacencies, axis=0) if adjacencies else None,
      is_fixed=is_fixed,
    )

  def variant(self, model: nn.Module) -> str:
    return model.variant + (', attention' if model.attention else '')

  def backbone_options(self, model: nn.Module) -> dict[str, tuple[Any, Any]]:
    if model.ch_ratio != 2:
      raise errors.UserError(
        'AAGCN of mmaction2 and pyskl has ch_ratio=2 only, and this network has'
        f' {model.ch_ratio}.'
      )
    return {
      'gcn_adaptive': (model.adaptive, True),
      'gcn_attention': (model.attention, True),
    }

  def published_model(
    self, run: run_lib.Run, code_base: str
  ) -> dict[str, Any] | None:
    variant = run.model.variant
    allowed = _CODE_BASES[variant]
    if code_base not in allowed:
      raise errors.UserError(
        f'--naming={code_base}: that code base has no AGCN of variant'
        f' {variant!r}. Give --naming={" or ".join(allowed)}.'
      )
    return super().published_model(run, code_base)
