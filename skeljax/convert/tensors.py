"""Convert Flax variables to PyTorch tensors and back, bit for bit.

PyTorch stores channels first, output before input; Flax stores them last, input
before output:

    1x1 convolution   [D, C, 1, 1]     kernel [C, D]
    temporal          [D, C, taps, 1]  kernel [taps, 1, C, D]
    1-D convolution   [D, C, taps]     kernel [taps, C, D]
    3-D convolution   [D, C, t, h, w]  kernel [t, h, w, C, D]
    linear            [D, C]           kernel [C, D]
    K convolutions    K x [D, C, 1, 1] kernel [K, C, D]  (conv_a, conv_b, conv_d)

All other arrays have the same shape in both frameworks.
"""

from collections.abc import Iterable, Mapping, Sequence
import dataclasses
import re
from typing import Any

from flax import traverse_util
import numpy as np

from skeljax import errors

COUNTER = 'num_batches_tracked'
# Names of leaves that are the same in all code bases.
_LEAVES = {
  'kernel': 'weight',
  'scale': 'weight',
  'bias': 'bias',
  'mean': 'running_mean',
  'var': 'running_var',
}
# From our kernel to a PyTorch weight, by number of dimensions.
_AXES = {2: (1, 0), 3: (2, 1, 0), 4: (3, 2, 0, 1), 5: (4, 3, 0, 1, 2)}


@dataclasses.dataclass(frozen=True)
class Naming:
  """Tensor names of a model family in one code base.

  `{}` stands for the number of a block, `*` for the index of an adjacency
  subset.

  Attributes:
    code_base: mmaction1x, pyskl, mmaction0x or original (the authors' code).
    block: prefix of a block, for example 'backbone.gcn.{}.'.
    modules: name of each module inside a block; modules that the code base does
      not have are missing.
    outside: name of each module outside the blocks.
    parameters: name of each parameter inside a block that is not a kernel or a
      bias; the whole name if it contains '{}'.
    first: number of the first block.
    head_is_conv: whether the classifier is a convolution [classes, C, 1, 1].
    adjacency: the fixed graph; with '{}' one copy per block, '' if files do not
      contain it.
    unused_adjacency: a copy of the graph that the network does not read.
  """

  code_base: str
  block: str
  modules: Mapping[str, str]
  outside: Mapping[str, str]
  parameters: Mapping[str, str] = dataclasses.field(default_factory=dict)
  first: int = 0
  head_is_conv: bool = False
  adjacency: str = ''
  unused_adjacency: str = ''

  @property
  def head(self) -> str:
    """Name of the classifier."""
    return self.outside['head.fc']

  def tensor(self, path: Sequence[str]) -> str | None:
    """Return the tensor name of an array such as ('block_0', 'bn', 'scale').

    None if the code base does not have it.
    """
    *modules, leaf = path
    if leaf not in _LEAVES:
      return self._in_block(path[0], self.parameters.get('.'.join(path[1:])))
    module = self.outside.get('.'.join(modules)) or self._in_block(
      modules[0], self.modules.get('.'.join(modules[1:]))
    )
    return None if module is None else f'{module}.{_LEAVES[leaf]}'

  def adjacency_names(self, num_blocks: int) -> list[str]:
    """Return the names of the fixed graph: none, one, or one per block."""
    if '{}' not in self.adjacency:
      return [self.adjacency] if self.adjacency else []
    numbers = range(self.first, self.first + num_blocks)
    return [self.adjacency.format(i) for i in numbers]

  def _in_block(self, block: str, name: str | None) -> str | None:
    if name is None:
      return None
    template = name if '{}' in name else self.block + name
    numbers = [int(n) + self.first for n in re.findall(r'\d+', block)]
    return template.format(*numbers)


@dataclasses.dataclass(frozen=True)
class _Entry:
  """One Flax array and the tensors that hold it.

  Attributes:
    path: ('params', 'block_0', 'gcn', 'conv', 'kernel').
    names: of the tensors: one, one per subset, or copies of a graph.
    kind: 'kernel', 'pointwise' (two trailing axes of 1) or 'same'.
    is_stacked: whether the first axis is split into one tensor per name.
    shape: of the Flax array.
  """

  path: tuple[str, ...]
  names: tuple[str, ...]
  kind: str
  is_stacked: bool
  shape: tuple[int, ...]

  def to_torch(self, array: np.ndarray) -> list[np.ndarray]:
    """Return one tensor per name."""
    parts = array if self.is_stacked else [array] * len(self.names)
    if self.kind != 'same':
      parts = [part.transpose(_AXES[part.ndim]) for part in parts]
    if self.kind == 'pointwise':
      parts = [part[..., None, None] for part in parts]
    return list(parts)

  def from_torch(self, tensors: Sequence[np.ndarray]) -> np.ndarray:
    """Return the Flax array."""
    if self.kind == 'pointwise':
      tensors = [tensor[..., 0, 0] for tensor in tensors]
    if self.kind != 'same':
      tensors = [t.transpose(np.argsort(_AXES[t.ndim])) for t in tensors]
    return np.stack(tensors) if self.is_stacked else tensors[0]

  def torch_shapes(self) -> list[tuple[int, ...]]:
    """Return the shape of each tensor."""
    return [
      t.shape for t in self.to_torch(np.broadcast_to(np.float32(0), self.shape))
    ]


def _kind(path: tuple[str, ...], num_dims: int, head_is_conv: bool) -> str:
  if path[-1].endswith('_kernel'):
    return 'pointwise'
  if path[-1] != 'kernel':
    return 'same'
  if path[-2] == 'fc':
    return 'pointwise' if head_is_conv else 'kernel'
  is_linear = path[-2] in ('fc1c', 'fc2c')
  return 'kernel' if is_linear or num_dims > 2 else 'pointwise'


def _entries(
  arrays: Mapping[tuple[str, ...], Any], naming: Naming
) -> list[_Entry]:
  """Return the entry of every array, of which only the shape is used."""
  num_blocks = len({p[1] for p in arrays if p[1].startswith('block_')})
  entries, nameless = [], []
  for path, array in arrays.items():
    is_stacked = False
    if path[0] == 'graph':
      names = naming.adjacency_names(num_blocks)
    else:
      name = naming.tensor(path[1:])
      if name is None:
        nameless.append('.'.join(path[1:]))
        continue
      is_stacked = '*' in name
      subsets = range(array.shape[0] if is_stacked else 1)
      names = [name.replace('*', str(k)) for k in subsets]
    kind = _kind(path, len(array.shape), naming.head_is_conv)
    entries.append(
      _Entry(path, tuple(names), kind, is_stacked, tuple(array.shape))
    )
  if nameless:
    raise errors.UserError(
      f'--naming={naming.code_base}: that code base has no'
      f' {", ".join(nameless)}. Choose another --naming.'
    )
  return entries


def to_torch(
  variables: Mapping[str, Any],
  naming: Naming,
  *,
  adjacency: np.ndarray | None = None,
  counters: int | Mapping[str, int] = 0,
) -> dict[str, np.ndarray]:
  """Return the tensors of a PyTorch state_dict.

  Args:
    variables: the collections params, batch_stats and graph, or some of them,
      for example {'params': gradient}.
    naming: tensor names.
    adjacency: [K, V, V], the graph of the layout; needed with batch_stats if
      the code base stores an unused copy.
    counters: num_batches_tracked of every BatchNorm, or a mapping by name;
      BatchNorms missing in the mapping get none (PyTorch before 0.4.1).

  Returns:
    Name -> float32 array in PyTorch's layout; with batch_stats it is complete
    for load_state_dict(strict=True).

  Raises:
    UserError: the code base has no name for some array.
  """
  arrays = _flatten(variables)
  result = {}
  for entry in _entries(arrays, naming):
    tensors = entry.to_torch(np.asarray(arrays[entry.path]))
    for name, tensor in zip(entry.names, tensors, strict=True):
      result[name] = np.ascontiguousarray(tensor)
  if 'batch_stats' not in variables:
    return result
  if naming.unused_adjacency:
    if adjacency is None:
      raise ValueError(f'{naming.unused_adjacency} needs the adjacency')
    result[naming.unused_adjacency] = np.asarray(adjacency)
  for name in _counter_names(result):
    if isinstance(counters, int):
      result[name] = np.asarray(counters, np.int64)
    elif name in counters:
      result[name] = np.asarray(counters[name], np.int64)
  return result


def from_torch(
  state_dict: Mapping[str, np.ndarray],
  like: Mapping[str, Any],
  naming: Naming,
  *,
  adjacency: np.ndarray | None = None,
  source: str = 'the checkpoint',
) -> dict[str, Any]:
  """Return Flax variables from the tensors of a PyTorch state_dict.

  Args:
    state_dict: name -> array.
    like: variables of the network, or their eval_shape.
    naming: tensor names.
    adjacency: [K, V, V], the graph of the layout, for files without it.
    source: names the file in errors.

  Returns:
    The collections of `like`, float32.

  Raises:
    UserError: lists every tensor that is missing, unknown, not a float or of
      another shape.
  """
  problems: list[str] = []
  used: set[str] = set()
  result = {}
  for entry in _entries(_flatten(like), naming):
    if not entry.names:
      if adjacency is None:
        raise ValueError(f'{entry.path} needs the adjacency')
      result[entry.path] = np.asarray(adjacency, np.float32)
      continue
    used.update(entry.names)
    problems_here = _problems(state_dict, entry)
    problems += problems_here
    if not problems_here:
      array = entry.from_torch([state_dict[name] for name in entry.names])
      result[entry.path] = np.ascontiguousarray(array)
  counters, unused = _counter_names(used), naming.unused_adjacency
  if unused and unused not in state_dict:
    shape = np.shape(adjacency) if adjacency is not None else ()
    problems.append(f'missing: {unused} {list(shape)}')
  problems += [
    f'misshapen: {name} is {list(state_dict[name].shape)}, not []'
    for name in counters
    if name in state_dict and state_dict[name].shape
  ]
  used |= {*counters, unused}
  problems += [
    f'unknown: {name} {list(array.shape)}'
    for name, array in state_dict.items()
    if name not in used
  ]
  if problems:
    raise errors.UserError(
      f'{source}: {len(problems)} tensors do not fit the network inferred from'
      f' the file (naming {naming.code_base}):'
      + ''.join(f'\n  {problem}' for problem in problems)
    )
  return traverse_util.unflatten_dict(result)


def _problems(state_dict: Mapping[str, np.ndarray], entry: _Entry) -> list[str]:
  """Return what is wrong with the tensors of an entry, one line each."""
  problems = []
  for name, shape in zip(entry.names, entry.torch_shapes(), strict=True):
    array = state_dict.get(name)
    if array is None:
      problems.append(f'missing: {name} {list(shape)}')
    elif array.shape != shape:
      problems.append(
        f'misshapen: {name} is {list(array.shape)}, not {list(shape)}'
      )
    elif not np.issubdtype(array.dtype, np.floating):
      problems.append(f'mistyped: {name} is {array.dtype}, not float32')
  if not problems and not entry.is_stacked:
    first, *copies = entry.names
    problems = [
      f'differing: {name} and {first}, which must be one graph'
      for name in copies
      if not np.array_equal(state_dict[name], state_dict[first])
    ][:1]
  return problems


def _counter_names(names: Iterable[str]) -> list[str]:
  """Return the counter of every running_mean."""
  suffix = 'running_mean'
  return [n.removesuffix(suffix) + COUNTER for n in names if n.endswith(suffix)]


def _flatten(variables: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
  return traverse_util.flatten_dict(
    {name: dict(value) for name, value in variables.items() if value}
  )
