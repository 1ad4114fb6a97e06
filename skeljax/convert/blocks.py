"""The blocks of a graph network in a PyTorch file."""

from collections.abc import Sequence
import re

import numpy as np

from skeljax import errors
from skeljax.convert import tensors
from skeljax.convert import torch_file


class Blocks:
  """The tensors of a file, by the paths of our arrays inside a block.

  Attributes:
    file: with the tensors.
    naming: of the tensors.
    num_blocks: number of blocks.
  """

  def __init__(self, file: torch_file.TorchFile, naming: tensors.Naming):
    self.file, self.naming = file, naming
    pattern = re.compile(re.escape(naming.block).replace(r'\{\}', r'(\d+)'))
    found = {int(m[1]) for m in map(pattern.match, file.state_dict) if m}
    self.num_blocks = len(found)
    if found != set(range(naming.first, naming.first + self.num_blocks)):
      raise errors.UserError(
        f'{file.path}: gap in the numbers of the blocks, {sorted(found)}.'
      )

  def name(self, block: int, *path: str) -> str:
    """Return a tensor name (of the first subset); '' if it does not exist."""
    name = self.naming.tensor((f'block_{block}', *path)) or ''
    return name.replace('*', '0')

  def has(self, block: int, *path: str) -> bool:
    return self.name(block, *path) in self.file.state_dict

  def get(self, block: int, *path: str, dims: int) -> np.ndarray:
    return self.file.tensor(self.name(block, *path), dims)

  def adjacencies(self, names: Sequence[str] | None = None) -> list[np.ndarray]:
    """Return adjacency matrices [K, V, V] of one shape.

    Args:
      names: of the tensors; None for the fixed graph, which a file stores once,
        once per block, or not at all.
    """
    if names is None:
      names = self.naming.adjacency_names(self.num_blocks)
    found = [self.file.tensor(name, dims=3) for name in names]
    if len({a.shape for a in found}) > 1:
      raise errors.UserError(
        f'{self.file.path}: the adjacency matrices of the blocks have different'
        f' shapes: {", ".join(str(list(a.shape)) for a in found)}.'
      )
    return found
