"""Arrays of ours to tensors of a PyTorch file and back, bit for bit.

PyTorch keeps channels first, out before in; we keep them last, in before out:

    1x1 convolution   [D, C, 1, 1]     kernel [C, D]
    temporal          [D, C, taps, 1]  kernel [taps, 1, C, D]
    1-D convolution   [D, C, taps]     kernel [taps, C, D]
    3-D convolution   [D, C, t, h, w]  kernel [t, h, w, C, D]
    linear            [D, C]           kernel [C, D]
    K convolutions    K x [D, C, 1, 1] kernel [K, C, D]   (conv_a, conv_b, conv_d)

All else has the same shape on both sides.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

from flax import traverse_util
import numpy as np

from skeljax import errors
from skeljax.convert import agcn_names
from skeljax.convert import slowonly_names
from skeljax.convert import stgcn_names
from skeljax.convert.naming import Naming

AnyNaming = Naming | slowonly_names.SlowOnlyNaming

FAMILIES: Mapping[str, Mapping[str, AnyNaming]] = {
  'stgcn': stgcn_names.NAMINGS,
  'agcn': agcn_names.NAMINGS,
  'slowonly': slowonly_names.NAMINGS,
}
NAMINGS = ('mmaction1x', 'pyskl', 'mmaction0x', 'original')
COUNTER = 'num_batches_tracked'


@dataclasses.dataclass(frozen=True)
class _Entry:
  """One array of ours and the tensors that hold it.

  Attributes:
    path: ('params', 'block_0', 'gcn', 'conv', 'kernel').
    names: of the tensors; of K subsets, of copies of a graph, or just one.
    kind: which line of the module's table.
    shape: of our array.
  """

  path: tuple[str, ...]
  names: tuple[str, ...]
  kind: str
  shape: tuple[int, ...]

  def to_torch(self, array: np.ndarray) -> list[np.ndarray]:
    """The tensors, one for each name."""
    if self.kind == 'subsets':
      return [_to_torch(part, 'pointwise') for part in array]
    if self.kind == 'subset_biases':
      return list(array)
    return [_to_torch(array, self.kind)] * len(self.names)

  def from_torch(self, tensors: list[np.ndarray]) -> np.ndarray:
    """Our array."""
    if self.kind == 'subsets':
      return np.stack([_from_torch(t, 'pointwise') for t in tensors])
    if self.kind == 'subset_biases':
      return np.stack(tensors)
    return _from_torch(tensors[0], self.kind)

  def torch_shapes(self) -> list[tuple[int, ...]]:
    """Shapes of the tensors."""
    return [
      t.shape for t in self.to_torch(np.broadcast_to(np.float32(0), self.shape))
    ]


def _to_torch(array: np.ndarray, kind: str) -> np.ndarray:
  if kind == 'linear':
    return array.T
  if kind == 'pointwise':
    return array.T[..., None, None]
  if kind == 'conv1d':
    return array.transpose(2, 1, 0)
  if kind == 'temporal':
    return array.transpose(3, 2, 0, 1)
  if kind == 'conv3d':
    return array.transpose(4, 3, 0, 1, 2)
  return array


def _from_torch(tensor: np.ndarray, kind: str) -> np.ndarray:
  if kind == 'linear':
    return tensor.T
  if kind == 'pointwise':
    return tensor[..., 0, 0].T
  if kind == 'conv1d':
    return tensor.transpose(2, 1, 0)
  if kind == 'temporal':
    return tensor.transpose(2, 3, 1, 0)
  if kind == 'conv3d':
    return tensor.transpose(2, 3, 4, 1, 0)
  return tensor


def _kind(
  path: tuple[str, ...], shape: tuple[int, ...], naming: AnyNaming
) -> str:
  leaf = path[-1]
  if leaf.endswith('_kernel'):
    return 'subsets'
  if leaf.endswith('_bias'):
    return 'subset_biases'
  if leaf != 'kernel':
    return 'same'
  if len(shape) > 2:
    return {3: 'conv1d', 4: 'temporal', 5: 'conv3d'}[len(shape)]
  if path[-2] == 'fc':
    return 'pointwise' if naming.head_is_conv else 'linear'
  return 'linear' if path[-2] in ('fc1c', 'fc2c') else 'pointwise'


def _entries(
  arrays: Mapping[tuple[str, ...], Any], naming: AnyNaming, naming_name: str
) -> list[_Entry]:
  """How each of our arrays is kept; arrays have a shape, no more is asked."""
  num_blocks = len({p[1] for p in arrays if p[1].startswith('block_')})
  entries, nameless = [], []
  for path, array in arrays.items():
    if path[0] == 'graph':
      names = naming.adjacency_names(num_blocks)
    else:
      name = naming.tensor(path[1:])
      if name is None:
        nameless.append('.'.join(path[1:]))
        continue
      # K subsets are K modules there.
      names = (name,)
      if '{subset}' in name:
        names = tuple(
          name.replace('{subset}', str(k)) for k in range(array.shape[0])
        )
    kind = _kind(path, array.shape, naming)
    entries.append(_Entry(path, names, kind, tuple(array.shape)))
  if nameless:
    raise errors.UserError(
      f'A file in the {naming_name} naming cannot hold this network: that code'
      f' base has no {", ".join(nameless)}. Choose another --naming of'
      f' {", ".join(NAMINGS)}.'
    )
  return entries


def get_naming(family: str, naming: str) -> AnyNaming:
  """The table of a family (FAMILIES) and a code base (NAMINGS)."""
  if naming not in FAMILIES[family]:
    raise errors.UserError(
      f'--naming={naming} is not known for {family}: it must be one of'
      f' {", ".join(FAMILIES[family])}.'
    )
  return FAMILIES[family][naming]


def to_torch(
  variables: Mapping[str, Any],
  family: str,
  naming: str,
  *,
  adjacency: np.ndarray | None = None,
  counters: int | Mapping[str, int] = 0,
) -> dict[str, np.ndarray]:
  """The tensors of a PyTorch state_dict that hold our variables.

  Args:
    variables: the collections params, batch_stats and graph; or only some of
      them, as {'params': gradient}.
    family: one of FAMILIES.
    naming: one of NAMINGS.
    adjacency: [K, V, V] of the layout's graph. Needed with batch_stats where
      the code base keeps a copy that its network never reads.
    counters: num_batches_tracked of every BatchNorm; or of each by its name,
      then those without one have none (files older than PyTorch 0.4.1).

  Returns:
    Name -> float32 array in PyTorch's layout. With batch_stats it is whole, as
    load_state_dict(strict=True) wants it.

  Raises:
    UserError: the code base has no name for some array.
  """
  names = get_naming(family, naming)
  arrays = traverse_util.flatten_dict(_plain(variables))
  result = {}
  for entry in _entries(arrays, names, naming):
    tensors = entry.to_torch(np.asarray(arrays[entry.path]))
    for name, tensor in zip(entry.names, tensors, strict=True):
      result[name] = np.ascontiguousarray(tensor)
  if 'batch_stats' not in variables:
    return result
  if names.unused_adjacency:
    if adjacency is None:
      raise ValueError(f'{naming} files keep {names.unused_adjacency}')
    result[names.unused_adjacency] = np.asarray(adjacency)
  for name in _counter_names(result):
    if isinstance(counters, int):
      result[name] = np.asarray(counters, np.int64)
    elif name in counters:
      result[name] = np.asarray(counters[name], np.int64)
  return result


def from_torch(
  state_dict: Mapping[str, np.ndarray],
  like: Mapping[str, Any],
  family: str,
  naming: str,
  *,
  adjacency: np.ndarray | None = None,
  source: str = 'the checkpoint',
) -> dict[str, Any]:
  """Our variables out of the tensors of a PyTorch state_dict.

  Args:
    state_dict: name -> array.
    like: variables of the network, or their eval_shape.
    family: one of FAMILIES.
    naming: one of NAMINGS.
    adjacency: [K, V, V] of the layout's graph, for files that do not keep it.
    source: names the file in errors.

  Returns:
    The collections of `like`, float32.

  Raises:
    UserError: a tensor is missing, unknown, no float or has another shape;
      all are listed.
  """
  names = get_naming(family, naming)
  arrays = traverse_util.flatten_dict(_plain(like))
  entries = _entries(arrays, names, naming)
  problems, used = [], set()
  result = {}
  for entry in entries:
    if not entry.names:
      if adjacency is None:
        raise ValueError(f'{naming} files do not keep {entry.path}')
      result[entry.path] = np.asarray(adjacency, np.float32)
      continue
    used.update(entry.names)
    found = _checked(state_dict, entry, problems)
    if found is not None:
      result[entry.path] = np.ascontiguousarray(entry.from_torch(found))
  counters = _counter_names(used)
  used |= {names.unused_adjacency, *counters}
  if names.unused_adjacency and names.unused_adjacency not in state_dict:
    shape = np.shape(adjacency) if adjacency is not None else ()
    problems.append(f'missing: {names.unused_adjacency} {list(shape)}')
  problems += [
    f'misshapen: {name} is {list(state_dict[name].shape)}, not []'
    for name in counters
    if name in state_dict and state_dict[name].shape
  ]
  problems += [
    f'unknown: {name} {list(array.shape)}'
    for name, array in state_dict.items()
    if name not in used
  ]
  if problems:
    listed = '\n'.join(f'  {p}' for p in problems)
    raise errors.UserError(
      f'{source} does not hold the weights of this {family} network in the'
      f' {naming} naming; {len(problems)} tensors do not fit:\n{listed}\n'
      'Nothing was written. Weights of another network, width or number of'
      ' classes cannot be converted.'
    )
  return traverse_util.unflatten_dict(result)


def _checked(
  state_dict: Mapping[str, np.ndarray], entry: _Entry, problems: list[str]
) -> list[np.ndarray] | None:
  """The tensors of an entry; None, and lines in problems, if they do not fit."""
  num_problems = len(problems)
  shapes = entry.torch_shapes()
  for name, shape in zip(entry.names, shapes, strict=True):
    if name not in state_dict:
      problems.append(f'missing: {name} {list(shape)}')
    elif state_dict[name].shape != shape:
      problems.append(
        f'misshapen: {name} is {list(state_dict[name].shape)}, not'
        f' {list(shape)}'
      )
    elif not np.issubdtype(state_dict[name].dtype, np.floating):
      problems.append(
        f'mistyped: {name} is {state_dict[name].dtype}, not float32'
      )
  if len(problems) > num_problems:
    return None
  tensors = [state_dict[name] for name in entry.names]
  if entry.kind == 'same':
    for name, tensor in zip(entry.names[1:], tensors[1:]):
      if not np.array_equal(tensor, tensors[0]):
        problems.append(
          f'differing: {name} and {entry.names[0]}, which must be one graph'
        )
        return None
  return tensors


def unused_adjacency(
  state_dict: Mapping[str, np.ndarray], family: str, naming: str
) -> np.ndarray | None:
  """The copy of the graph that no network reads, None where there is none."""
  return state_dict.get(get_naming(family, naming).unused_adjacency)


def _counter_names(names) -> list[str]:
  """num_batches_tracked beside every running_mean."""
  suffix = 'running_mean'
  return [n[: -len(suffix)] + COUNTER for n in names if n.endswith(suffix)]


def _plain(tree: Mapping[str, Any]) -> dict[str, Any]:
  return {key: dict(value) for key, value in tree.items() if value}
