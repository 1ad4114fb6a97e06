"""The blocks of a network, seen through the names of a code base."""

from collections.abc import Mapping, Sequence
import re
from typing import Any

import numpy as np

from skeljax import errors
from skeljax.convert.naming import Naming

StateDict = Mapping[str, np.ndarray]
# Of a BatchNorm; a convolution or linear map has the first two.
_LEAVES = ('weight', 'bias', 'running_mean', 'running_var')


def tensor(
  state_dict: StateDict, name: str, source: str, dims: int
) -> np.ndarray:
  """A tensor by its name; UserError if the file lacks it or it is odd."""
  if name not in state_dict:
    raise errors.UserError(
      f'{source} has no tensor {name}, without which its network cannot be'
      ' told. Is the file whole?'
    )
  array = state_dict[name]
  if array.ndim != dims or not array.size:
    raise errors.UserError(
      f'{source}: {name} has shape {list(array.shape)}; expected {dims}'
      ' dimensions, none of them 0.'
    )
  return array


def _incomplete(state_dict: StateDict) -> list[str]:
  """What modules lack of which another tensor is there."""
  found: dict[str, set[str]] = {}
  for name in state_dict:
    module, _, leaf = name.rpartition('.')
    if leaf in _LEAVES:
      found.setdefault(module, set()).add(leaf)
  missing = []
  for module, leaves in found.items():
    is_bn = any(leaf.startswith('running') for leaf in leaves)
    whole = _LEAVES if is_bn else _LEAVES[:2]
    missing += [f'{module}.{leaf}' for leaf in whole if leaf not in leaves]
  return missing


class Blocks:
  """The tensors of each block, by what follows the block's prefix."""

  def __init__(self, state_dict: StateDict, names: Naming, source: str):
    self._state_dict, self._names, self._source = state_dict, names, source
    pattern = re.compile(re.escape(names.block).replace(r'\{\}', r'(\d+)'))
    found = {int(m[1]) for m in map(pattern.match, state_dict) if m}
    self.num_blocks = len(found)
    if found != set(range(names.first, names.first + self.num_blocks)):
      raise errors.UserError(
        f'{source}: the blocks are numbered {sorted(found)}, with a gap. Is'
        ' the file whole?'
      )

  def require(self, paths: Sequence[tuple[str, ...]]) -> None:
    """Raises UserError if the network cannot be told; lists what is missing.

    Args:
      paths: what the first block must have, as ('tcn', 'bn', 'bias').
    """
    needed = [self.name(0, *path).replace('{subset}', '0') for path in paths]
    needed += [
      self.name(block, 'tcn', 'bn', 'bias') for block in range(self.num_blocks)
    ]
    names = self._names
    needed += [names.head + '.weight', *names.adjacency_names(self.num_blocks)]
    missing = [name for name in needed if name not in self._state_dict]
    if missing:
      missing = sorted({*missing, *_incomplete(self._state_dict)})
      listed = '\n'.join(f'  missing: {name}' for name in missing)
      raise errors.UserError(
        f'{self._source}: {len(missing)} tensors are missing without which the'
        f' network cannot be told:\n{listed}\nThe file is not whole, or holds'
        ' another network than skeljax has.'
      )

  def name(self, block: int, *modules_and_leaf: str) -> str:
    path = (f'block_{block}', *modules_and_leaf)
    return self._names.tensor(path) or ''

  def has(self, block: int, *path: str) -> bool:
    return self.name(block, *path) in self._state_dict

  def get(self, block: int, *path: str, dims: int) -> np.ndarray:
    name = self.name(block, *path)
    return tensor(self._state_dict, name, self._source, dims)

  def widths(self) -> list[int]:
    """Channels out of each block."""
    return [
      self.get(i, 'tcn', 'bn', 'bias', dims=1).shape[0]
      for i in range(self.num_blocks)
    ]

  def in_channels(self, family: str) -> int:
    """C of the network's input."""
    if family == 'agcn':
      name = self.name(0, 'gcn', 'conv_d_kernel').replace('{subset}', '0')
      return tensor(self._state_dict, name, self._source, dims=4).shape[1]
    channels = self.get(0, 'gcn', 'conv', 'kernel', dims=4).shape[1]
    if self.conv_pos() == 'pre':
      return channels
    return channels // self.num_subsets()

  def num_subsets(self) -> int:
    """K of ST-GCN."""
    return self.adjacency('stgcn', {}).shape[0]

  def conv_pos(self) -> str:
    """Where the 1x1 convolution of ST-GCN stands, by its channels out."""
    width = self.get(0, 'gcn', 'bn', 'bias', dims=1).shape[0]
    out = self.get(0, 'gcn', 'conv', 'kernel', dims=4).shape[0]
    return 'pre' if out == width * self.num_subsets() else 'post'

  def has_fixed_adjacency(
    self, family: str, options: Mapping[str, Any]
  ) -> bool:
    """Whether `adjacency` is the graph itself, not weights that began as it."""
    if self._names.unused_adjacency in self._state_dict:
      return True
    if family == 'agcn':
      return bool(self._names.adjacency) and not options.get('adaptive', True)
    return options['adaptive'] != 'init'

  def adjacency(
    self, family: str, options: Mapping[str, Any]
  ) -> np.ndarray | None:
    """[K, V, V], a fixed graph or the mean over the blocks' learned ones."""
    names = self._names
    if names.unused_adjacency in self._state_dict:
      return self._adjacency(names.unused_adjacency)
    stored = names.adjacency_names(self.num_blocks)
    if not stored and options.get('variant') == 'tanh':
      stored = [
        self.name(i, 'gcn', 'adjacency') for i in range(self.num_blocks)
      ]
    if not stored:
      return None
    found = [self._adjacency(n) for n in stored]
    if any(a.shape != found[0].shape for a in found):
      raise errors.UserError(
        f'{self._source}: the adjacency matrices of the blocks have different'
        f' shapes: {", ".join(str(list(a.shape)) for a in found)}.'
      )
    return np.mean(found, axis=0) if len(found) > 1 else found[0]

  def adjacency_differs(self) -> bool:
    """Whether the blocks keep adjacency matrices that are not the same."""
    stored = self._names.adjacency_names(self.num_blocks)
    first = self._adjacency(stored[0])
    return any(not np.array_equal(self._adjacency(n), first) for n in stored)

  def _adjacency(self, name: str) -> np.ndarray:
    return tensor(self._state_dict, name, self._source, dims=3)
