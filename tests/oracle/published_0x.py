"""ST-GCN and 2s-AGCN as published with mmaction2 0.x and by their authors.

No package contains these networks any more, so they are written here, in plain
PyTorch, from the published descriptions; tensors have the names of the
published files. test_published_0x.py compares them with numbers of the original code.

The input is [B, M, T, V, C] as everywhere in skeljax; the originals take
[B, C, T, V, M].
"""

import torch
from torch import nn


def _temporal(channels: int, stride: int) -> nn.Conv2d:
  return nn.Conv2d(channels, channels, (9, 1), (stride, 1), (4, 0))


def _normalize(data_bn: nn.BatchNorm1d, x: torch.Tensor) -> torch.Tensor:
  """Apply data_bn; persons share statistics (VC) or not (MVC) by its width.

  Args:
    data_bn: of V*C or M*V*C features.
    x: [B, M, T, V, C].

  Returns:
    [B*M, C, T, V].
  """
  b, m, t, v, c = x.shape
  x = x.permute(0, 1, 3, 4, 2)  # [B, M, V, C, T]
  x = data_bn(x.reshape(-1, data_bn.num_features, t))
  return x.reshape(b * m, v, c, t).permute(0, 2, 3, 1)


def _pool(x: torch.Tensor, num_persons: int) -> torch.Tensor:
  """Return the mean over frames and joints, then over persons, [B, C]."""
  x = x.mean((2, 3))
  return x.reshape(-1, num_persons, x.shape[1]).mean(1)


class Holder(nn.Module):
  """Submodules by name, for the prefixes in state_dicts."""

  def __init__(self, **modules: nn.Module):
    super().__init__()
    for name, module in modules.items():
      self.add_module(name, module)


class STGCNBlock(nn.Module):
  """Graph convolution, then BN, ReLU, 9 frames, BN; residual; ReLU."""

  def __init__(self, channels, features, subsets, stride, is_first):
    super().__init__()
    self.gcn = Holder(conv=nn.Conv2d(channels, features * subsets, 1))
    self.tcn = nn.Sequential(
      nn.BatchNorm2d(features),
      nn.ReLU(),
      _temporal(features, stride),
      nn.BatchNorm2d(features),
      nn.Dropout(0),
    )
    self.residual = None
    if not is_first:
      self.residual = nn.Identity()
      if channels != features or stride != 1:
        self.residual = nn.Sequential(
          nn.Conv2d(channels, features, 1, (stride, 1)),
          nn.BatchNorm2d(features),
        )
    self.relu = nn.ReLU()

  def forward(self, x, adjacency):
    """Map [N, C, T, V] to [N, features, T', V]; adjacency is [K, V, V]."""
    n, _, t, v = x.shape
    z = self.gcn.conv(x).reshape(n, len(adjacency), -1, t, v)
    z = self.tcn(torch.einsum('nkctv,kvw->nctw', z, adjacency))
    return self.relu(z if self.residual is None else z + self.residual(x))


class STGCN(nn.Module):
  """ST-GCN of mmaction2 0.x: one importance per block times a fixed graph."""

  def __init__(self, adjacency, stages, num_classes, in_channels=3):
    """
    Args:
      adjacency: [K, V, V].
      stages: (output channels, stride) of every block.
      num_classes: logits.
      in_channels: C.
    """
    super().__init__()
    subsets, num_joints, _ = adjacency.shape
    blocks, channels = nn.ModuleList(), in_channels
    for features, stride in stages:
      blocks.append(STGCNBlock(channels, features, subsets, stride, not blocks))
      channels = features
    self.backbone = Holder(
      data_bn=nn.BatchNorm1d(num_joints * in_channels),
      st_gcn_networks=blocks,
      edge_importance=nn.ParameterList(
        torch.ones_like(adjacency) for _ in stages
      ),
    )
    self.backbone.register_buffer('A', adjacency)
    self.cls_head = Holder(fc=nn.Conv2d(channels, num_classes, 1))

  def forward(self, x):
    """Map [B, M, T, V, C] to logits."""
    num_persons, backbone = x.shape[1], self.backbone
    x = _normalize(backbone.data_bn, x)
    for block, importance in zip(
      backbone.st_gcn_networks, backbone.edge_importance
    ):
      x = block(x, backbone.A * importance)
    x = _pool(x, num_persons)
    return self.cls_head.fc(x[..., None, None]).flatten(1)


class AdaptiveUnit(nn.Module):
  """Sum over k of conv_d_k(x (A_k + PA_k + softmax(a^T b / size))); BN; ReLU.

  The softmax is over the rows, the joints of a: every column sums to 1.
  """

  def __init__(self, channels, features, subsets, num_joints):
    super().__init__()
    inter = features // 4

    def convolutions(width):
      return nn.ModuleList(
        nn.Conv2d(channels, width, 1) for _ in range(subsets)
      )

    self.PA = nn.Parameter(torch.full((subsets, num_joints, num_joints), 1e-6))
    self.conv_a, self.conv_b = convolutions(inter), convolutions(inter)
    self.conv_d = convolutions(features)
    self.down = nn.Identity()
    if channels != features:
      self.down = nn.Sequential(
        nn.Conv2d(channels, features, 1), nn.BatchNorm2d(features)
      )
    self.bn = nn.BatchNorm2d(features)
    self.relu = nn.ReLU()

  def forward(self, x, adjacency):
    """Map [N, C, T, V] to [N, features, T, V]; adjacency is [K, V, V]."""
    z = 0
    for k, graph in enumerate(adjacency):
      a, b = self.conv_a[k](x), self.conv_b[k](x)
      size = a.shape[1] * a.shape[2]
      similarity = torch.einsum('nctv,nctw->nvw', a, b) / size
      mix = similarity.softmax(-2) + graph + self.PA[k]
      z = z + self.conv_d[k](torch.einsum('nctv,nvw->nctw', x, mix))
    return self.relu(self.bn(z) + self.down(x))


class AGCN(nn.Module):
  """2s-AGCN with softmax, with either of its published tensor names."""

  def __init__(
    self, adjacency, stages, num_classes, in_channels=3, num_persons=0
  ):
    """
    Args:
      adjacency: [K, V, V].
      stages: (output channels, stride) of every block.
      num_classes: logits.
      in_channels: C.
      num_persons: 0 for mmaction2 0.x, where persons share data_bn; M for the
        code of the authors, which normalizes each person separately, does not
        save its graph and has other tensor names.
    """
    super().__init__()
    subsets, num_joints, _ = adjacency.shape
    self.is_original = bool(num_persons)
    features = (num_persons or 1) * num_joints * in_channels
    data_bn = nn.BatchNorm1d(features)
    gcn, tcn = ('gcn1', 'tcn1') if self.is_original else ('gcn', 'tcn')
    blocks, channels = [], in_channels
    for width, stride in stages:
      parts = {
        gcn: AdaptiveUnit(channels, width, subsets, num_joints),
        tcn: self._pair(_temporal(width, stride), width),
      }
      if blocks and (channels != width or stride != 1):
        conv = nn.Conv2d(channels, width, 1, (stride, 1))
        parts['residual'] = self._pair(conv, width)
      blocks.append(Holder(relu=nn.ReLU(), **parts))
      channels = width
    if self.is_original:
      self.data_bn = data_bn
      self.fc = nn.Linear(channels, num_classes)
      for i, block in enumerate(blocks):
        self.add_module(f'l{i + 1}', block)
      self.register_buffer('A', adjacency, persistent=False)
    else:
      self.backbone = Holder(
        data_bn=data_bn, agcn_networks=nn.ModuleList(blocks)
      )
      self.backbone.register_buffer('A', adjacency)
      self.cls_head = Holder(fc=nn.Conv2d(channels, num_classes, 1))
    self.num_blocks = len(blocks)

  def _pair(self, conv, width):
    """Return a convolution and its BatchNorm."""
    norm = nn.BatchNorm2d(width)
    if self.is_original:
      return Holder(conv=conv, bn=norm)
    return nn.Sequential(conv, norm)

  def _block(self, block, x, adjacency):
    gcn, tcn = (
      (block.gcn1, block.tcn1) if self.is_original else (block.gcn, block.tcn)
    )
    y = gcn(x, adjacency)
    for module in tcn.children():
      y = module(y)
    return y, list(getattr(block, 'residual', Holder()).children())

  def forward(self, x):
    """Map [B, M, T, V, C] to logits."""
    num_persons = x.shape[1]
    root = self if self.is_original else self.backbone
    x = _normalize(root.data_bn, x)
    for i in range(self.num_blocks):
      if self.is_original:
        block = getattr(self, f'l{i + 1}')
      else:
        block = root.agcn_networks[i]
      y, residual = self._block(block, x, root.A)
      # The first block has no residual; that of others may be the identity.
      if i:
        for module in residual:
          x = module(x)
        y = y + x
      x = block.relu(y)
    x = _pool(x, num_persons)
    if self.is_original:
      return self.fc(x)
    return self.cls_head.fc(x[..., None, None]).flatten(1)
