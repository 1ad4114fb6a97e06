"""Names of ST-GCN and ST-GCN++.

Code bases: mmaction2 1.x, pyskl (the same but for the classifier), mmaction2
0.x, and st-gcn of the authors (0.x without `backbone.`). In the last two the
BatchNorm that closes our graph unit is called the first of the temporal unit,
and edge importances are kept outside the blocks.
"""

from skeljax.convert.naming import Naming

_UNITS = {
  'gcn.conv': 'gcn.conv',
  'gcn.bn': 'gcn.bn',
  'gcn.down': 'gcn.down.0',
  'gcn.down_bn': 'gcn.down.1',
  'tcn.conv': 'tcn.conv',
  'tcn.bn': 'tcn.bn',
  'residual.conv': 'residual.conv',
  'residual.bn': 'residual.bn',
}
# ST-GCN++: four dilated branches, a pooling and a plain one.
_MULTI_SCALE = {
  **{f'tcn.branch_{b}': f'tcn.branches.{b}.0' for b in range(5)},
  **{f'tcn.branch_{b}_bn': f'tcn.branches.{b}.1' for b in range(5)},
  **{f'tcn.branch_{b}_conv': f'tcn.branches.{b}.3.conv' for b in range(4)},
  'tcn.branch_5': 'tcn.branches.5',
  'tcn.transform_bn': 'tcn.transform.0',
  'tcn.transform': 'tcn.transform.2',
}
_ORIGINAL_UNITS = {
  'gcn.conv': 'gcn.conv',
  'gcn.bn': 'tcn.0',
  'tcn.conv': 'tcn.2',
  'tcn.bn': 'tcn.3',
  'residual.conv': 'residual.0',
  'residual.bn': 'residual.1',
}


def _one_x(head: str) -> Naming:
  return Naming(
    block='backbone.gcn.{}.',
    first=0,
    modules=_UNITS | _MULTI_SCALE,
    parameters={
      'gcn.importance': 'gcn.PA',
      'gcn.offset': 'gcn.PA',
      'gcn.adjacency': 'gcn.A',
    },
    data_bn='backbone.data_bn',
    head=head,
    head_is_conv=False,
    adjacency='backbone.gcn.{}.gcn.A',
  )


def _original(backbone: str, head: str) -> Naming:
  return Naming(
    block=backbone + 'st_gcn_networks.{}.',
    first=0,
    modules=_ORIGINAL_UNITS,
    parameters={'gcn.importance': backbone + 'edge_importance.{}'},
    data_bn=backbone + 'data_bn',
    head=head,
    head_is_conv=True,
    adjacency=backbone + 'A',
  )


NAMINGS = {
  'mmaction1x': _one_x('cls_head.fc'),
  'pyskl': _one_x('cls_head.fc_cls'),
  'mmaction0x': _original('backbone.', 'cls_head.fc'),
  'original': _original('', 'fcn'),
}
