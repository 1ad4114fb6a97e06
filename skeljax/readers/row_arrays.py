"""One clip at a time out of a large array on disk, without mapping it.

An array in an .npy file, or one that lies uncompressed in an .npz file, is a
header and then its rows. A row is read with one seek: memory does not grow
with the array, nor with the rows that were read before.
"""

import dataclasses
import math
import os
import struct
import tokenize
import zipfile

import numpy as np

from skeljax import errors

# The fixed part of what precedes a member of a zip archive, and where it says
# how long the name and the extra field are that follow.
_ZIP_HEADER_BYTES = 30
_ZIP_LENGTHS = slice(26, 30)

# What numpy raises for a header that is none: it is a line of Python.
BAD_HEADER = (
  ValueError,
  EOFError,
  LookupError,
  MemoryError,
  RecursionError,
  SyntaxError,
  TypeError,
  tokenize.TokenError,
)
# What zipfile raises for an archive that is none.
BAD_ARCHIVE = (
  zipfile.BadZipFile,
  NotImplementedError,
  UnicodeDecodeError,
  struct.error,
)


@dataclasses.dataclass(frozen=True)
class RowArray:
  """An array whose rows are read when they are asked for.

  Attributes:
    path: the file.
    name: what to call the array in an error.
    offset: bytes before the first row.
    shape: the number of rows, then the shape of a row.
    dtype: as numpy spells it, byte order included.
  """

  path: str
  name: str
  offset: int
  shape: tuple[int, ...]
  dtype: str

  def __len__(self) -> int:
    return self.shape[0]

  def read(self, row: int) -> np.ndarray:
    """Row `row`, of shape `shape[1:]`.

    Raises:
      UserError: the file is gone or shorter than when it was opened.
    """
    return self.read_rows(row, row + 1)[0]

  def read_rows(self, start: int, stop: int) -> np.ndarray:
    """The rows from `start` to `stop`, of which none may lie beyond the end."""
    shape = (stop - start, *self.shape[1:])
    row_bytes = math.prod(self.shape[1:]) * np.dtype(self.dtype).itemsize
    num_bytes = (stop - start) * row_bytes
    try:
      with open(self.path, 'rb') as file:
        file.seek(self.offset + start * row_bytes)
        data = file.read(num_bytes)
    except OSError as error:
      raise errors.UserError(
        f'{self.path} cannot be read: {error.strerror or error}.'
      ) from error
    if len(data) < num_bytes:
      raise errors.UserError(cut_short(self.name, self.path))
    array = np.frombuffer(data, self.dtype).reshape(shape)
    return array.astype(array.dtype.newbyteorder('='), copy=False)


def cut_short(name: str, path: str) -> str:
  return (
    f'{name} ends in the middle of its data ({os.path.getsize(path):,} bytes'
    f' in {path}): the file was cut short. Download or copy it again.'
  )


def open_npy(path: str | os.PathLike) -> RowArray:
  """The array of an .npy file.

  Raises:
    UserError: no such file, no .npy file, cut short, or an array of something
      else than numbers.
  """
  path = os.fspath(path)
  try:
    with open(path, 'rb') as file:
      return _read_header(file, path, path, 0, os.path.getsize(path))
  except OSError as error:
    raise errors.UserError(
      f'{path} cannot be read: {error.strerror or error}.'
    ) from error


def open_member(path: str, archive: zipfile.ZipFile, name: str) -> RowArray:
  """The array that lies as member `name` in an .npz file.

  Raises:
    UserError: the member is compressed, damaged, or no array of numbers.
  """
  info = archive.getinfo(name)
  if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
    folder = os.path.splitext(path)[0]
    raise errors.UserError(
      f'{path} is compressed, and clips cannot be read out of the middle of'
      f' compressed data. Unpack it once: python -m zipfile -e {path} {folder};'
      f' then give the folder {folder} in place of the file.'
    )
  with open(path, 'rb') as file:
    file.seek(info.header_offset)
    header = file.read(_ZIP_HEADER_BYTES)
    if len(header) < _ZIP_HEADER_BYTES or not header.startswith(b'PK\x03\x04'):
      raise errors.UserError(cut_short(f'{name} in {path}', path))
    lengths = struct.unpack('<HH', header[_ZIP_LENGTHS])
    start = info.header_offset + _ZIP_HEADER_BYTES + sum(lengths)
    stop = min(start + info.file_size, os.path.getsize(path))
    return _read_header(file, path, f'{name} in {path}', start, stop)


def _read_header(file, path: str, name: str, start: int, stop: int) -> RowArray:
  """The array whose .npy form lies in the bytes from `start` to `stop`."""
  file.seek(start)
  try:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
      shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
    else:
      shape, is_fortran, dtype = np.lib.format.read_array_header_2_0(file)
  except BAD_HEADER as error:
    raise errors.UserError(
      f'{name} is no array as numpy.save writes it ({_one_line(error)}). Get'
      ' the file again.'
    ) from error
  if any(length < 0 for length in shape):
    raise errors.UserError(
      f'{name} claims to have shape {shape}. Get the file again.'
    )
  if dtype.kind not in 'fiu':
    raise errors.UserError(
      f'{name} is an array of {dtype}. Expected numbers; an array of objects'
      ' would have to be run to be read, and is not.'
    )
  if is_fortran and len(shape) > 1:
    raise errors.UserError(
      f'{name} has its last axis outermost (Fortran order), so that no clip'
      ' lies in one piece. Save numpy.ascontiguousarray(array) in its place.'
    )
  result = RowArray(path, name, file.tell(), tuple(shape), dtype.str)
  if result.offset + math.prod(shape) * dtype.itemsize > stop:
    raise errors.UserError(cut_short(name, path))
  return result


def _one_line(error: Exception) -> str:
  return ' '.join(str(error).split())[:200]
