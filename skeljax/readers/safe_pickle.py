"""Read a pickle from an untrusted source without executing anything in it.

A pickle is a program: it names functions, and unpickling calls them. Here only
the names needed for numpy arrays, numpy scalars and plain containers are allowed,
and each stands for a small function of this module, never for the numpy or Python
function itself. This closes two gaps of a plain list of allowed names:

- `dtype.__setstate__` and `ndarray.__setstate__` of numpy trust their input; a
  record dtype that claims to contain no objects turns raw bytes into pointers. So
  arrays and dtypes are rebuilt from validated parts.
- A pickle can set attributes of anything it can name. The objects that it can
  name here refuse that.
"""

from collections.abc import Callable, Mapping
import math
import os
import pickle
import re
from typing import Any

import numpy as np

from skeljax import errors

# dtypes of booleans, numbers, strings and Python objects in a pickle. No records,
# dates or raw void.
_DTYPE = re.compile(r'b1|[iufc]\d{1,2}|[SU]\d{1,6}|O8?')

# First bytes of other file formats, and what to do about them.
_OTHER_FILES = (
  (b'\x1f\x8b', 'is compressed with gzip: unpack it with gunzip first'),
  (b'PK\x03\x04', 'is a zip archive (.npz and PyTorch files are such)'),
  (b'\x93NUMPY', 'is a single numpy array (.npy)'),
  (b'\x89HDF', 'is an HDF5 file'),
  (b'{', 'looks like JSON text'),
  (b'[', 'looks like JSON text'),
  (b'<', 'looks like a web page: the download went wrong'),
  (b'version https://git-lfs', 'is a Git LFS pointer: run git lfs pull'),
)


def load(
  path: str | os.PathLike,
  *,
  expected: str = 'a pickle of skeleton annotations',
  also_admit: Mapping[tuple[str, str], Callable] | None = None,
) -> Any:
  """Load a pickle of containers, strings, numbers and numpy arrays.

  The arrays are read-only views of the bytes in the file.

  Args:
    path: a pickle of any protocol, written by Python 2 or 3, numpy 1 or 2.
    expected: what the file should be, for error messages.
    also_admit: (module, name) -> function that replaces this name; it must
      validate its arguments, which come from the file, and raise
      UnpicklingError.

  Raises:
    UserError: the file is missing, not a pickle, cut short or damaged, or
      names anything except numpy arrays and plain containers. Nothing in it was
      executed.
  """
  path = os.fspath(path)
  try:
    with open(path, 'rb') as file:
      _refuse_other_files(path, file.read(32), expected)
      file.seek(0)
      root = _Unpickler(path, file, also_admit or {}).load()
    return _finish(root, {})
  except errors.UserError:
    raise
  except OSError as error:
    raise errors.UserError(
      f'{path} cannot be read: {error.strerror or error}.'
    ) from error
  except EOFError as error:
    raise errors.UserError(_cut_short(path)) from error
  except pickle.UnpicklingError as error:
    text = str(error)
    if 'truncated' in text or 'exhausted' in text:
      raise errors.UserError(_cut_short(path)) from error
    raise errors.UserError(_damaged(path, text, expected)) from error
  except MemoryError as error:
    raise errors.UserError(
      f'{path} needs more memory than available: the file is damaged, or too'
      ' large for this machine.'
    ) from error
  except (
    ArithmeticError,
    AttributeError,
    ImportError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
  ) as error:
    # Raised by the unpickler for damaged bytes.
    raise errors.UserError(_damaged(path, str(error), expected)) from error


def _refuse_other_files(path: str, start: bytes, expected: str) -> None:
  if not start:
    raise errors.UserError(f'{path} is empty. Get the file again.')
  for magic, what in _OTHER_FILES:
    if start.startswith(magic):
      raise errors.UserError(f'{path} {what}. Expected {expected}.')


def _cut_short(path: str) -> str:
  return (
    f'{path} was cut short: it has {os.path.getsize(path):,} bytes. Download or'
    ' copy it again.'
  )


def _damaged(path: str, detail: str, expected: str) -> str:
  return f'{path} is damaged or not a pickle ({detail}). Expected {expected}.'


class _Unpickler(pickle.Unpickler):
  """The C unpickler with a restricted lookup of names."""

  def __init__(self, path: str, file, also_admit: Mapping):
    # Python 2 wrote array bytes as str: latin1 keeps them byte for byte.
    super().__init__(file, encoding='latin1')
    self._path = path
    self._admitted = _ADMITTED | {
      name: _Callable(function) for name, function in also_admit.items()
    }

  def find_class(self, module_name: str, global_name: str) -> Any:
    # Called for every opcode that names something.
    try:
      return self._admitted[module_name, global_name]
    except KeyError:
      raise errors.UserError(
        f'{self._path} refers to {module_name}.{global_name}. Expected only numpy'
        ' arrays, numbers, strings, lists, tuples, sets and dicts; nothing was'
        ' executed. If you trust the file, load it with pickle yourself and save'
        ' it again with plain numpy arrays.'
      ) from None


class _Callable:
  """A function that a pickle may call, but not modify."""

  __slots__ = ('_function',)

  def __init__(self, function: Callable):
    object.__setattr__(self, '_function', function)

  def __call__(self, *args):
    return self._function(*args)

  def __setattr__(self, name, value):
    raise pickle.UnpicklingError(f'sets attribute {name!r} of a function')

  def __setstate__(self, state):
    raise pickle.UnpicklingError('sets the state of a function')


class _Dtype:
  """A numpy dtype while it is being read."""

  __slots__ = ('dtype',)

  def __init__(self, spec, align=False, copy=False):
    del align, copy
    if not isinstance(spec, str) or not _DTYPE.fullmatch(spec):
      raise pickle.UnpicklingError(f'array type {spec!r} is not admitted')
    self.dtype = np.dtype(spec)

  def __setstate__(self, state):
    # (version, byte order, subarray, names, fields, itemsize, alignment, ...)
    if type(state) is not tuple or len(state) < 7:
      raise pickle.UnpicklingError('an array type without its parts')
    if any(part is not None for part in state[2:5]):
      raise pickle.UnpicklingError('record arrays are not admitted')
    if state[1] in ('<', '>'):
      self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
  """A numpy array while it is being read; __setstate__ fills it."""

  __slots__ = ('array',)

  def __init__(self, *unused_args):
    self.array = np.zeros((0,), np.int8)

  def __setstate__(self, state):
    shape, dtype, is_fortran, data = state[-4:]
    self.array = _rebuild(data, _numpy_dtype(dtype), shape, bool(is_fortran))


def _numpy_dtype(value: Any) -> np.dtype:
  if type(value) is not _Dtype:
    raise pickle.UnpicklingError('an array without a type')
  return value.dtype


def _rebuild(data: Any, dtype: np.dtype, shape: Any, is_fortran: bool):
  """View `data` as an array of `shape`, after checking its length."""
  if type(shape) is not tuple or any(
    type(n) is not int or n < 0 for n in shape
  ):
    raise pickle.UnpicklingError(f'array shape {shape!r}')
  count = math.prod(shape)
  order = 'F' if is_fortran else 'C'
  if dtype.kind == 'O':
    if type(data) is not list or len(data) != count:
      raise pickle.UnpicklingError('an object array without its objects')
    array = np.empty(count, dtype)
    for i, element in enumerate(data):
      array[i] = element
    return array.reshape(shape, order=order)
  if type(data) is str:
    data = data.encode('latin1')
  if not isinstance(data, bytes | bytearray):
    raise pickle.UnpicklingError('an array without its bytes')
  if len(data) != count * dtype.itemsize:
    raise pickle.UnpicklingError(
      f'an array of shape {shape} with {len(data)} bytes'
    )
  if not len(data):
    return np.zeros(shape, dtype)
  array = np.frombuffer(data, dtype).reshape(shape, order=order)
  if not dtype.isnative:
    array = array.astype(dtype.newbyteorder('='))
  array.flags.writeable = False
  return array


def _from_buffer(data, dtype, shape, order, axis_order=None) -> _Array:
  """Rebuild an array of protocol 5; `axis_order` is for transposed ones."""
  result = _Array()
  array = _rebuild(data, _numpy_dtype(dtype), shape, order == 'F')
  if order == 'K' and axis_order is not None:
    array = array.transpose(axis_order)
  result.array = array
  return result


def _scalar(dtype, data=b'') -> np.generic:
  dtype = _numpy_dtype(dtype)
  if dtype.kind == 'O':
    raise pickle.UnpicklingError('an object scalar')
  return _rebuild(data, dtype, (), False)[()]


def _encode(text, encoding='latin1') -> bytes:
  """Decode bytes as written by protocols 0 to 2."""
  if type(text) is not str or encoding not in ('latin1', 'latin-1'):
    raise pickle.UnpicklingError(f'bytes encoded as {encoding!r}')
  return text.encode('latin1')


def _bytes(data=b'', encoding=None) -> bytes:
  # Never bytes(n) with a number, which would allocate memory.
  if encoding is not None:
    return _encode(data, encoding)
  if not isinstance(data, bytes | bytearray | list):
    raise pickle.UnpicklingError('bytes of something else')
  return bytes(data)


def _default_dict(*unused_factory) -> dict:
  return {}


def _refuse_call(*unused_args):
  raise pickle.UnpicklingError('calls a name that is no function')


def _admitted_names() -> dict[tuple[str, str], Any]:
  names: dict[tuple[str, str], Callable] = {
    ('numpy', 'dtype'): _Dtype,
    # Only an argument of _reconstruct.
    ('numpy', 'ndarray'): _refuse_call,
    ('_codecs', 'encode'): _encode,
    ('collections', 'OrderedDict'): dict,
    ('collections', 'defaultdict'): _default_dict,
  }
  for core in ('numpy.core', 'numpy._core'):  # numpy 1 and numpy 2
    for module in ('multiarray', '_multiarray_umath'):
      names[f'{core}.{module}', '_reconstruct'] = _Array
      names[f'{core}.{module}', 'scalar'] = _scalar
    names[f'{core}.numeric', '_frombuffer'] = _from_buffer
  plain: Mapping[str, Callable] = {
    'bytes': _bytes,
    'bytearray': lambda *args: bytearray(_bytes(*args)),
    'set': set,
    'frozenset': frozenset,
    'list': list,
    'dict': dict,
    'int': int,
  }
  for builtins in ('builtins', '__builtin__'):  # Python 3 and Python 2
    names |= {(builtins, name): make for name, make in plain.items()}
  return {name: _Callable(function) for name, function in names.items()}


_ADMITTED = _admitted_names()


def _finish(value: Any, done: dict[int, tuple[Any, Any]]) -> Any:
  """Replace the _Array and _Dtype objects in `value` by their results.

  Args:
    value: result of the unpickler; dicts and lists are modified in place.
    done: id -> (original, result) of visited objects, so that shared and
      circular ones are visited once; keeps the originals alive, because the id
      of a freed object may be reused.
  """
  kind = type(value)
  if kind is _Dtype:
    return value.dtype
  if kind not in (dict, list, tuple, _Array):
    return value
  if id(value) in done:
    return done[id(value)][1]
  if kind is tuple:
    done[id(value)] = (value, value)
    parts = tuple([_finish(part, done) for part in value])
    if any(new is not old for new, old in zip(parts, value)):
      done[id(value)] = (value, parts)
    return done[id(value)][1]
  result = value.array if kind is _Array else value
  done[id(value)] = (value, result)
  if kind is dict:
    for key, part in value.items():
      value[key] = _finish(part, done)
  elif kind is list:
    for i, part in enumerate(value):
      value[i] = _finish(part, done)
  elif result.dtype.kind == 'O':
    for index in np.ndindex(result.shape):
      result[index] = _finish(result[index], done)
  return result
