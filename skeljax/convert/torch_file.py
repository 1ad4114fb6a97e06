"""Read and write the .pth files of PyTorch, which are untrusted input.

Files are loaded with weights_only: torch's restricted unpickler accepts tensors
and plain containers. Training checkpoints of mmengine and mmcv also contain
loss histories and NumPy scalars; their classes are replaced by inert stand-ins
and never run. Files that ask for anything else are refused.
"""

from collections.abc import Iterable, Mapping
import dataclasses
import os
import pickle
import re
import struct
import types
from typing import Any
import zipfile

import numpy as np

from skeljax import atomic_file
from skeljax import errors

# Prefixes of what training checkpoints contain in addition to tensors.
_SKIPPED_GLOBALS = ('mmengine.', 'mmcv.', 'numpy.', 'builtins.getattr')
# First bytes of files of torch.save: zip, and the format before it.
_ZIP_MAGIC = b'PK\x03\x04'
_LEGACY_MAGIC = b'\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.'
# How torch.load reports a name that it refuses.
_REFUSED = re.compile(r'GLOBAL (\S+) (?:was not an allowed|whose module)')
# What torch.load raises for damaged files.
DAMAGED = (
  pickle.UnpicklingError, RuntimeError, EOFError, LookupError, ValueError,
  TypeError, AttributeError, OSError, AssertionError, ArithmeticError,
  MemoryError, struct.error, zipfile.BadZipFile,
)  # fmt: skip


@dataclasses.dataclass
class TorchFile:
  """The content of a .pth file.

  Attributes:
    path: of the file.
    state_dict: name -> array in PyTorch's layout; float32, and int64 counters.
    meta: plain values that are stored with the weights.
    notes: sentences on what is changed, left out or assumed; the conversion
      adds its own.
  """

  path: str
  state_dict: Mapping[str, np.ndarray]
  meta: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  notes: list[str] = dataclasses.field(default_factory=list)

  def tensor(self, name: str, dims: int) -> np.ndarray:
    """Return a tensor; UserError if missing, empty or not of `dims` axes."""
    array = self.state_dict.get(name)
    if array is None:
      raise errors.UserError(
        f'{self.path} is incomplete: it has no tensor {name}.'
      )
    if array.ndim != dims or not array.size:
      raise errors.UserError(
        f'{self.path}: {name} has shape {list(array.shape)}; expected {dims}'
        ' dimensions, none of size 0.'
      )
    return array


def import_torch() -> types.ModuleType:
  """Return the torch module; UserError if it is not installed."""
  try:
    import torch
  except ModuleNotFoundError as error:
    raise errors.UserError(
      "PyTorch files need PyTorch: pip install 'skeljax[torch]'."
    ) from error
  return torch


def is_torch_file(path: str) -> bool:
  """Whether a path has the extension of a PyTorch file."""
  return os.fspath(path).endswith(('.pth', '.pt', '.pth.tar', '.ckpt'))


def read(path: str, weights: str = '') -> TorchFile:
  """Read the weights of a file without running anything in it.

  Args:
    path: a file of torch.save: a state_dict, or a dictionary that contains one.
    weights: 'model' or 'ema', for files with both; '' refuses to choose.

  Returns:
    The tensors as arrays; half precision is widened to float32, and `module.`
    prefixes are removed.

  Raises:
    UserError: missing, damaged or another kind of file, or one that contains
      more than weights, or tensors that are not float32 or half precision.
  """
  path = os.fspath(path)
  content = _load(path)
  if not isinstance(content, dict):
    raise errors.UserError(
      f'{path} contains a {type(content).__name__}, not a dictionary of'
      ' weights. Save it with torch.save(model.state_dict(), FILE).'
    )
  content = _plain(content)
  tensors, notes = _choose(path, content, weights)
  while tensors and all(name.startswith('module.') for name in tensors):
    tensors = {n.removeprefix('module.'): t for n, t in tensors.items()}
    notes.append("removed the prefix 'module.' of every name")
  arrays, num_half = _to_arrays(path, tensors)
  if num_half:
    notes.append(f'widened {num_half} half-precision tensors to float32')
  meta = content.get('meta')
  meta = _plain(meta) if isinstance(meta, dict) else {}
  return TorchFile(path, arrays, meta, notes)


def write(
  path: str, state_dict: Mapping[str, np.ndarray], meta: Mapping[str, Any]
) -> None:
  """Write a checkpoint that mmengine and pyskl load; replaces atomically.

  Args:
    path: of the file.
    state_dict: name -> array in PyTorch's layout.
    meta: plain values only, so that weights_only reads them.
  """
  torch = import_torch()
  tensors = {n: torch.from_numpy(np.array(a)) for n, a in state_dict.items()}
  with (
    atomic_file.replacing(path) as temporary,
    open(temporary, 'wb') as file,
  ):
    torch.save({'meta': dict(meta), 'state_dict': tensors}, file)


def _load(path: str) -> Any:
  """Return the content of a file, by the restricted unpickler only."""
  _check_magic(path)
  torch = import_torch()
  skipped: set[str] = set()
  refused: set[str] = set()
  try:
    if zipfile.is_zipfile(path):
      skipped.update(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    while not refused:
      refused = {n for n in skipped if not n.startswith(_SKIPPED_GLOBALS)}
      if not refused:
        try:
          return _load_with_stand_ins(path, skipped)
        except pickle.UnpicklingError as error:
          # Files of the legacy format report names one at a time.
          names = set(_REFUSED.findall(str(error))) - skipped
          if not names:
            raise
          skipped |= names
  except DAMAGED as error:
    refused = set(_REFUSED.findall(str(error)))
    if not refused:
      # torch suggests to load without a guard before this part.
      detail = str(error).rpartition('WeightsUnpickler error: ')[2].strip()
      first_line = (detail or type(error).__name__).split('\n')[0]
      raise errors.UserError(
        f'{path} is not a PyTorch file, or damaged or incomplete. (torch:'
        f' {first_line[:200]})'
      ) from error
  raise errors.UserError(
    f'{path} contains more than weights: {", ".join(sorted(refused))}. Nothing'
    ' in it was run. If you trust the file, load it where it was made and save'
    " the weights alone: torch.save({'state_dict': model.state_dict()}, FILE)."
  )


def _load_with_stand_ins(path: str, names: Iterable[str]) -> Any:
  torch = import_torch()
  with torch.serialization.safe_globals([(_Skipped, name) for name in names]):
    return torch.load(path, map_location='cpu', weights_only=True)


def _check_magic(path: str) -> None:
  if os.path.isdir(path):
    raise errors.UserError(f'{path} is a folder, not a PyTorch file.')
  if not os.path.isfile(path):
    raise errors.UserError(f'{path}: no such file.')
  with open(path, 'rb') as file:
    start = file.read(len(_LEGACY_MAGIC))
  # NOTE: zipfile.is_zipfile is False for an incomplete zip file.
  if not start.startswith(_ZIP_MAGIC) and start != _LEGACY_MAGIC:
    what = 'not a file of torch.save' if start else 'empty'
    raise errors.UserError(
      f'{path} is {what}. Expected a PyTorch checkpoint (.pth, .pt).'
    )


class _Skipped:
  """Stand-in for an object in a checkpoint; ignores all arguments."""

  def __new__(cls, *unused_args, **unused_kwargs):
    return object.__new__(cls)

  def __init__(self, *unused_args, **unused_kwargs):
    pass

  def __setstate__(self, state):
    pass


def _choose(
  path: str, content: Mapping[str, Any], weights: str
) -> tuple[dict[str, Any], list[str]]:
  """Return the tensors by name, and notes on what else the file contains."""
  notes = []
  tensors = content.get('state_dict', content)
  if not isinstance(tensors, dict) or not tensors:
    raise errors.UserError(f"{path}: its 'state_dict' contains no weights.")
  if tensors is content and not all(map(_is_tensor, content.values())):
    raise errors.UserError(_no_weights(path, content))
  tensors = _plain(tensors)
  unnamed = [name for name in tensors if not isinstance(name, str)]
  if unnamed:
    raise errors.UserError(
      f'{path}: a weight has the name {unnamed[0]!r}; expected text. Save with'
      ' torch.save(model.state_dict(), FILE).'
    )
  own = _weights_without_average(content, tensors)
  if own and not weights:
    raise errors.UserError(
      f'{path} contains two sets of weights: the moving average (EMA), which'
      " its code base tests with and calls 'state_dict', and the model's own."
      ' Choose one: --weights=ema or --weights=model of skeljax.convert.'
    )
  if weights == 'ema' and not own:
    raise errors.UserError(f'--weights=ema: {path} contains no moving average.')
  if own:
    notes.append(f'took the {weights} weights of two sets')
  left_out = sorted(str(key) for key in set(content) - {'state_dict', 'meta'})
  if 'state_dict' in content and left_out:
    notes.append(
      f'left out {", ".join(left_out)}: only weights and BatchNorm statistics'
      ' are converted'
    )
  if own and weights == 'model':
    return own, notes
  return {n: t for n, t in tensors.items() if not n.startswith('ema_')}, notes


def _weights_without_average(
  content: Mapping[str, Any], tensors: Mapping[str, Any]
) -> dict[str, Any]:
  """Return the model's own weights if the file contains an average, else {}.

  NOTE: mmengine and mmcv swap the two when they save, so that `state_dict` can
  be tested with; what is called EMA in the file is the model.
  """
  if any(name.startswith('ema_') for name in tensors):
    # mmcv averages parameters only, and stores the other a.b as ema_a_b.
    return {
      n: tensors.get('ema_' + n.replace('.', '_'), t)
      for n, t in tensors.items()
      if not n.startswith('ema_')
    }
  other = content.get('ema_state_dict')
  if not isinstance(other, dict):
    return {}
  return {n: t for n, t in _plain(other).items() if n != 'steps'}


def _plain(mapping: dict[Any, Any]) -> dict[Any, Any]:
  """Drop attributes: a file can set any of an OrderedDict, even `items`."""
  return dict(dict.items(mapping))


def _no_weights(path: str, content: Mapping[str, Any]) -> str:
  if 'optimizer' in content or {'state', 'param_groups'} <= set(content):
    return (
      f'{path} contains optimizer state but no weights. Give the file that'
      ' contains the state_dict.'
    )
  keys = ', '.join(map(str, list(content)[:8]))
  return (
    f"{path} contains neither weights nor a 'state_dict'; its entries are"
    f' {keys or "none"}.'
  )


def _is_tensor(value: Any) -> bool:
  return isinstance(value, import_torch().Tensor)


def _to_arrays(
  path: str, tensors: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], int]:
  """Return arrays by name, and how many had half precision."""
  torch = import_torch()
  arrays, problems, num_half = {}, [], 0
  for name, tensor in tensors.items():
    if not _is_tensor(tensor):
      problems.append(f'{name}: {type(tensor).__name__}, not a tensor')
    elif tensor.is_quantized or tensor.layout != torch.strided:
      problems.append(f'{name}: {tensor.dtype}, {tensor.layout}')
    elif tensor.device.type != 'cpu':
      problems.append(f'{name}: without values ({tensor.device})')
    elif tensor.numel() * tensor.itemsize > tensor.untyped_storage().nbytes():
      problems.append(
        f'{name}: {list(tensor.shape)} is larger than its storage'
      )
    elif tensor.dtype in (torch.float16, torch.bfloat16):
      arrays[name] = tensor.detach().float().numpy()
      num_half += 1
    elif tensor.dtype in (torch.float32, torch.int64):
      arrays[name] = tensor.detach().resolve_neg().numpy()
    else:
      problems.append(f'{name}: {tensor.dtype}')
  if problems:
    listed = ''.join(f'\n  {p}' for p in problems)
    raise errors.UserError(
      f'{path}: {len(problems)} tensors are not plain float32 or half'
      f' precision:{listed}\nSave the model in float32, before quantization:'
      ' torch.save(model.float().state_dict(), FILE).'
    )
  return arrays, num_half
