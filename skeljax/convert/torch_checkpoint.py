"""Reads and writes the .pth files of PyTorch, as untrusted input.

Everything is loaded with weights_only: torch's own restricted unpickler admits
tensors and plain containers. Training checkpoints of mmengine and mmcv also
hold loss histories and NumPy scalars; their classes are replaced by inert
stand-ins, so they are skipped and never run. A file that asks for anything
else is refused.
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

# What a training checkpoint holds besides tensors, by the start of its name.
_SKIPPED_GLOBALS = ('mmengine.', 'mmcv.', 'numpy.', 'builtins.getattr')
# How files of torch.save begin that are older than its zip format.
_LEGACY_MAGIC = b'\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.'
# What torch.load says of a name that it refuses.
_REFUSED = re.compile(r'GLOBAL (\S+) (?:was not an allowed|whose module)')
# What torch.load raises for damaged files; it does not sort them further.
_DAMAGED = (
  pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError,
  TypeError, IndexError, AttributeError, OSError, AssertionError,
  OverflowError, MemoryError, struct.error, zipfile.BadZipFile,
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class TorchCheckpoint:
  """What a .pth file holds.

  Attributes:
    path: of the file.
    state_dict: name -> array in PyTorch's layout; float32, and int64 counters.
    meta: plain values that travel beside the weights.
    notes: sentences on what was changed or left out.
  """

  path: str
  state_dict: Mapping[str, np.ndarray]
  meta: Mapping[str, Any]
  notes: tuple[str, ...]


def import_torch() -> types.ModuleType:
  """The torch module.

  Raises:
    UserError: it is not installed.
  """
  try:
    import torch
  except ModuleNotFoundError as error:
    raise errors.UserError(
      'PyTorch files are read and written by PyTorch, which is not installed:'
      " pip install 'skeljax[torch]'."
    ) from error
  return torch


def is_torch_file(path: str) -> bool:
  """Whether a path is meant as a PyTorch file, by its ending."""
  return os.fspath(path).endswith(('.pth', '.pt', '.pth.tar', '.ckpt'))


def read(path: str, weights: str = '') -> TorchCheckpoint:
  """Reads the weights of a file without running anything in it.

  Args:
    path: a file of torch.save: a state_dict, or a dictionary that has one.
    weights: 'model' or 'ema', which of two to take where a file has weights
      and their moving average; '' refuses to choose.

  Returns:
    The tensors as arrays; half precision widened to float32, `module.`
    prefixes removed.

  Raises:
    UserError: no such file, another kind of file, a damaged one, one that
      holds more than weights, or tensors that are not plain float32.
  """
  path = os.fspath(path)
  content = _load(path)
  if not isinstance(content, dict):
    raise errors.UserError(
      f'{path} holds a {type(content).__name__}, not a dictionary of weights.'
      ' Save it with torch.save(model.state_dict(), FILE).'
    )
  content = _plain(content)
  tensors, notes = _choose(path, content, weights)
  while tensors and all(name.startswith('module.') for name in tensors):
    tensors = {n.removeprefix('module.'): t for n, t in tensors.items()}
    notes.append("removed the prefix 'module.' of every name")
  arrays, half = _to_arrays(path, tensors)
  if half:
    notes.append(f'widened {half} half-precision tensors to float32')
  meta = content.get('meta')
  meta = _plain(meta) if isinstance(meta, dict) else {}
  return TorchCheckpoint(path, arrays, meta, tuple(notes))


def write(
  path: str, state_dict: Mapping[str, np.ndarray], meta: Mapping[str, Any]
) -> None:
  """Writes a checkpoint that mmengine and pyskl load, whole or not at all.

  Args:
    path: of the file.
    state_dict: name -> array in PyTorch's layout.
    meta: plain values only, so that weights_only reads them.
  """
  torch = import_torch()
  content = {
    'meta': dict(meta),
    'state_dict': {
      name: torch.from_numpy(np.array(array))
      for name, array in state_dict.items()
    },
  }
  with (
    atomic_file.replacing(path) as temporary,
    open(temporary, 'wb') as file,
  ):
    torch.save(content, file)


def _load(path: str) -> Any:
  """The content of a file, by the restricted unpickler only."""
  _check_kind(path)
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
          # Files of the older format name what they hold only one by one.
          asked = set(_REFUSED.findall(str(error))) - skipped
          if not asked:
            raise
          skipped |= asked
  except _DAMAGED as error:
    refused = set(_REFUSED.findall(str(error)))
    if not refused:
      # Not what torch says before: that one might load it without a guard.
      said = str(error).rpartition('WeightsUnpickler error: ')[2].strip()
      first_line = (said or type(error).__name__).split('\n')[0]
      raise errors.UserError(
        f'{path} cannot be read as a PyTorch file: it is damaged, cut short or'
        f' of another kind. Fetch it again. (torch: {first_line[:200]})'
      ) from error
  raise errors.UserError(
    f'{path} holds more than weights: it asks for {", ".join(sorted(refused))}.'
    ' Nothing of it was run. If you trust the file, load it where it was made'
    " and save the weights alone: torch.save({'state_dict':"
    ' model.state_dict()}, FILE).'
  )


def _load_with_stand_ins(path: str, names: Iterable[str]) -> Any:
  torch = import_torch()
  with torch.serialization.safe_globals([(_Skipped, name) for name in names]):
    return torch.load(path, map_location='cpu', weights_only=True)


def _check_kind(path: str) -> None:
  if os.path.isdir(path):
    raise errors.UserError(f'{path} is a folder, not a PyTorch file.')
  if not os.path.isfile(path):
    raise errors.UserError(f'{path}: no such file.')
  with open(path, 'rb') as file:
    start = file.read(len(_LEGACY_MAGIC))
  # A zip file that was cut short still begins like one.
  if not start.startswith(b'PK\x03\x04') and start != _LEGACY_MAGIC:
    what = 'is empty' if not start else 'is no file of torch.save'
    raise errors.UserError(
      f'{path} {what}. Expected a PyTorch checkpoint (.pth, .pt).'
    )


class _Skipped:
  """Stands in for an object that a checkpoint holds beside its weights.

  It takes any arguments and does nothing with them.
  """

  def __new__(cls, *unused_args, **unused_kwargs):
    return object.__new__(cls)

  def __init__(self, *unused_args, **unused_kwargs):
    pass

  def __setstate__(self, state):
    pass


def _choose(
  path: str, content: Mapping[str, Any], weights: str
) -> tuple[dict[str, Any], list[str]]:
  """The tensors by name, and notes on what else there was."""
  notes = []
  tensors = content.get('state_dict', content)
  if not isinstance(tensors, dict) or not tensors:
    raise errors.UserError(f"{path}: its 'state_dict' holds no weights.")
  if tensors is content and not all(map(_is_tensor, content.values())):
    raise errors.UserError(_no_weights(path, content))
  tensors = _plain(tensors)
  unnamed = [name for name in tensors if not isinstance(name, str)]
  if unnamed:
    raise errors.UserError(
      f'{path}: its weights have no names but {unnamed[0]!r}. Save them with'
      ' torch.save(model.state_dict(), FILE).'
    )
  own = _weights_without_average(content, tensors)
  averaged = {n: t for n, t in tensors.items() if not n.startswith('ema_')}
  if own and not weights:
    raise errors.UserError(
      f'{path} holds two sets of weights: a moving average (EMA), which its'
      " code base tests with and calls 'state_dict', and the model's own."
      ' Choose one: python -m skeljax.convert --weights=ema or'
      ' --weights=model.'
    )
  if weights == 'ema' and not own:
    raise errors.UserError(
      f'--weights=ema: {path} holds no averaged weights, only the model.'
    )
  if own:
    notes.append(f'took the {weights} weights of two sets')
  left_out = sorted(str(key) for key in set(content) - {'state_dict', 'meta'})
  if 'state_dict' in content and left_out:
    notes.append(
      f'left out {", ".join(left_out)}: only weights and BatchNorm statistics'
      ' are converted'
    )
  return (own if own and weights == 'model' else averaged), notes


def _weights_without_average(
  content: Mapping[str, Any], tensors: Mapping[str, Any]
) -> dict[str, Any]:
  """The model's own weights of a file that averaged them; {} of any other.

  NOTE: mmengine and mmcv both exchange the two when they save, so that
  `state_dict` can be tested with; what is called EMA there is the model.
  """
  if any(name.startswith('ema_') for name in tensors):
    # mmcv calls the other a.b ema_a_b, and averages parameters only.
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
  """Without attributes: a file can give an OrderedDict any, even `items`."""
  return dict(dict.items(mapping))


def _no_weights(path: str, content: Mapping[str, Any]) -> str:
  if 'optimizer' in content or {'state', 'param_groups'} <= set(content):
    return (
      f'{path} holds the state of an optimiser and no weights. Optimiser state'
      ' is not converted; give the file that has the state_dict.'
    )
  keys = ', '.join(map(str, list(content)[:8]))
  return (
    f"{path} holds neither weights nor a 'state_dict' of them; its entries are"
    f' {keys or "none"}.'
  )


def _is_tensor(value: Any) -> bool:
  return isinstance(value, import_torch().Tensor)


def _to_arrays(
  path: str, tensors: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], int]:
  """Arrays by name, and how many were widened from half precision."""
  torch = import_torch()
  arrays, problems, half = {}, [], 0
  for name, tensor in tensors.items():
    if not _is_tensor(tensor):
      problems.append(f'{name}: {type(tensor).__name__}, not a tensor')
    elif tensor.is_quantized or tensor.layout != torch.strided:
      problems.append(f'{name}: {tensor.dtype}, {tensor.layout}')
    elif tensor.device.type != 'cpu':
      problems.append(f'{name}: without values ({tensor.device})')
    elif tensor.numel() * tensor.itemsize > tensor.untyped_storage().nbytes():
      problems.append(
        f'{name}: {list(tensor.shape)}, more numbers than the file has for it'
      )
    elif tensor.dtype in (torch.float16, torch.bfloat16):
      arrays[name] = tensor.detach().float().numpy()
      half += 1
    elif tensor.dtype in (torch.float32, torch.int64):
      arrays[name] = tensor.detach().resolve_neg().numpy()
    else:
      problems.append(f'{name}: {tensor.dtype}')
  if problems:
    listed = '\n'.join(f'  {p}' for p in problems)
    raise errors.UserError(
      f'{path}: {len(problems)} tensors are not plain float32 or half precision,'
      f' so they cannot be carried over bit for bit:\n{listed}\nSave the model'
      ' in float32: torch.save(model.float().state_dict(), FILE). Quantised'
      ' weights have to come from the model before its quantisation.'
    )
  return arrays, half
