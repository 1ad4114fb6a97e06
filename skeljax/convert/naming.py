"""What a PyTorch code base calls the tensors of a graph network."""

from collections.abc import Mapping
import dataclasses

# Leaves whose torch name is the same everywhere.
LEAVES = {
  'kernel': 'weight',
  'scale': 'weight',
  'bias': 'bias',
  'mean': 'running_mean',
  'var': 'running_var',
}


@dataclasses.dataclass(frozen=True)
class Naming:
  """Where a code base keeps what; '{}' stands for the number of the block.

  Attributes:
    block: prefix of a block, such as 'backbone.gcn.{}.'.
    first: number of the first block.
    modules: our module inside a block, with dots, -> theirs. A module that is
      not listed does not exist in this code base.
    parameters: the same for parameters that are no kernel or bias, as
      'gcn.importance'; theirs is the whole name if it holds a '{}', otherwise
      it follows the prefix of the block.
    data_bn: normalisation of the input.
    head: the classifier.
    head_is_conv: it is a 1x1 convolution, [classes, C, 1, 1].
    adjacency: the fixed graph; with '{}' one copy a block, '' where the file
      has none.
    unused_adjacency: a copy of the graph that the network never reads, ''
      where there is none.
  """

  block: str
  first: int
  modules: Mapping[str, str]
  parameters: Mapping[str, str]
  data_bn: str
  head: str
  head_is_conv: bool
  adjacency: str
  unused_adjacency: str = ''

  def module(self, modules: tuple[str, ...]) -> str | None:
    """Their name of one of our modules, ('block_0', 'gcn', 'bn'), or None."""
    if modules == ('data_bn',):
      return self.data_bn
    if modules == ('head', 'fc'):
      return self.head
    theirs = self.modules.get('.'.join(modules[1:]))
    return None if theirs is None else self._prefix(modules[0]) + theirs

  def tensor(self, path: tuple[str, ...]) -> str | None:
    """Their name of one of our arrays, ('block_0', 'gcn', 'bn', 'scale').

    None where this code base has no such tensor.
    """
    *modules, leaf = path
    if leaf in LEAVES:
      module = self.module(tuple(modules))
      return None if module is None else f'{module}.{LEAVES[leaf]}'
    theirs = self.parameters.get('.'.join(path[1:]))
    if theirs is None:
      return None
    if '{}' in theirs:
      return theirs.format(self.number(path[0]))
    return self._prefix(path[0]) + theirs

  def adjacency_names(self, num_blocks: int) -> tuple[str, ...]:
    """Names of the fixed graph: one, one a block, or none."""
    if '{}' not in self.adjacency:
      return (self.adjacency,) if self.adjacency else ()
    numbers = range(self.first, self.first + num_blocks)
    return tuple(self.adjacency.format(i) for i in numbers)

  def number(self, block: str) -> int:
    """The number of block_i."""
    return int(block.removeprefix('block_')) + self.first

  def _prefix(self, block: str) -> str:
    return self.block.format(self.number(block))
