"""Names of 2s-AGCN and AAGCN.

Code bases: mmaction2 1.x and pyskl ('tanh'), mmaction2 0.x ('softmax_0x') and
2s-AGCN of the authors, whose agcn.py is 'softmax_original' and whose aagcn.py
is 'tanh'. There the learned graph is called PA in both, and the fixed one of
agcn.py is in no file.
"""

from skeljax.convert.naming import Naming

_ATTENTION = ('conv_sa', 'conv_ta', 'fc1c', 'fc2c')
_GRAPH_UNIT = {
  'gcn.bn': 'gcn.bn',
  'gcn.down': 'gcn.down.0',
  'gcn.down_bn': 'gcn.down.1',
  **{f'gcn.attention.{name}': f'gcn.{name}' for name in _ATTENTION},
}
_NAMED_UNITS = {
  f'{unit}.{name}': f'{unit}.{name}'
  for unit in ('tcn', 'residual')
  for name in ('conv', 'bn')
}
_NUMBERED_UNITS = {
  f'{unit}.{name}': f'{unit}.{number}'
  for unit in ('tcn', 'residual')
  for number, name in enumerate(('conv', 'bn'))
}


def _subsets(unit: str) -> dict[str, str]:
  """conv_a, conv_b and conv_d, whose K convolutions are one array of ours."""
  return {
    f'gcn.{name}_{ours}': f'{unit}.{name}.{{subset}}.{theirs}'
    for name in ('conv_a', 'conv_b', 'conv_d')
    for ours, theirs in (('kernel', 'weight'), ('bias', 'bias'))
  }


def _one_x(head: str) -> Naming:
  return Naming(
    block='backbone.gcn.{}.',
    first=0,
    modules=_GRAPH_UNIT | _NAMED_UNITS,
    parameters={
      'gcn.adjacency': 'gcn.A',
      'gcn.alpha': 'gcn.alpha',
      **_subsets('gcn'),
    },
    data_bn='backbone.data_bn',
    head=head,
    head_is_conv=False,
    adjacency='backbone.gcn.{}.gcn.A',
    unused_adjacency='backbone.A',
  )


_ZERO_X = Naming(
  block='backbone.agcn_networks.{}.',
  first=0,
  modules={
    name: theirs
    for name, theirs in (_GRAPH_UNIT | _NUMBERED_UNITS).items()
    if 'attention' not in name
  },
  parameters={'gcn.offset': 'gcn.PA', **_subsets('gcn')},
  data_bn='backbone.data_bn',
  head='cls_head.fc',
  head_is_conv=True,
  adjacency='backbone.A',
)
_ORIGINAL = Naming(
  block='l{}.',
  first=1,
  modules={
    name: theirs.replace('gcn.', 'gcn1.').replace('tcn.', 'tcn1.')
    for name, theirs in (_GRAPH_UNIT | _NAMED_UNITS).items()
  },
  parameters={
    'gcn.offset': 'gcn1.PA',
    'gcn.adjacency': 'gcn1.PA',
    'gcn.alpha': 'gcn1.alpha',
    **_subsets('gcn1'),
  },
  data_bn='data_bn',
  head='fc',
  head_is_conv=False,
  adjacency='',
)

NAMINGS = {
  'mmaction1x': _one_x('cls_head.fc'),
  'pyskl': _one_x('cls_head.fc_cls'),
  'mmaction0x': _ZERO_X,
  'original': _ORIGINAL,
}
