"""Read single rows of large .npy arrays, also inside an uncompressed .npz.

A row is read with one seek, without memory mapping, so memory grows neither with
the array nor with the number of rows read.
"""

import dataclasses
import math
import os
import struct
import tokenize
import zipfile

import numpy as np

from skeljax import errors

# Local header of a zip member: its fixed size, and the lengths of file name and
# extra field, which follow it.
_ZIP_HEADER_BYTES = 30
_ZIP_LENGTHS = slice(26, 30)

# Raised by numpy for a damaged header, which is a Python literal.
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
# Raised by zipfile for a damaged archive.
BAD_ARCHIVE = (
  zipfile.BadZipFile,
  NotImplementedError,
  UnicodeDecodeError,
  struct.error,
)


@dataclasses.dataclass(frozen=True)
class RowArray:
  """An array on disk.

  Attributes:
    path: the file.
    name: the array in error messages.
    offset: bytes before the first row.
    shape: number of rows, then the shape of a row.
    dtype: numpy dtype string, with byte order.
  """

  path: str
  name: str
  offset: int
  shape: tuple[int, ...]
  dtype: str

  def __len__(self) -> int:
    return self.shape[0]

  def read(self, row: int) -> np.ndarray:
    """Read one row, of shape `shape[1:]`.

    Raises:
      UserError: the file is missing or was truncated.
    """
    return self.read_rows(row, row + 1)[0]

  def read_rows(self, start: int, stop: int) -> np.ndarray:
    """Read the rows from `start` to `stop`, which must exist."""
    row_size = math.prod(self.shape[1:])
    count, itemsize = (stop - start) * row_size, np.dtype(self.dtype).itemsize
    offset = self.offset + start * row_size * itemsize
    try:
      array = np.fromfile(self.path, self.dtype, count, offset=offset)
    except OSError as error:
      raise errors.UserError(
        f'{self.path} cannot be read: {error.strerror or error}.'
      ) from error
    if array.size < count:
      raise _cut_short(self.name, self.path)
    array = array.reshape(stop - start, *self.shape[1:])
    return array.astype(array.dtype.newbyteorder('='), copy=False)


def _cut_short(name: str, path: str) -> errors.UserError:
  return errors.UserError(
    f'{name} was cut short: {path} has {os.path.getsize(path):,} bytes. Download'
    ' or copy it again.'
  )


def open_npy(path: str | os.PathLike) -> RowArray:
  """Open an .npy file.

  Raises:
    UserError: the file is missing, not an .npy file, cut short, or not an array
      of numbers.
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
  """Open the array that is member `name` of an .npz file.

  Raises:
    UserError: the member is compressed, damaged, or not an array of numbers.
  """
  info = archive.getinfo(name)
  if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
    folder = os.path.splitext(path)[0]
    raise errors.UserError(
      f'{path} is compressed, so single clips cannot be read from it. Unpack it'
      f' once: python -m zipfile -e {path} {folder}; then give the folder'
      f' {folder} instead of the file.'
    )
  label = f'{name} in {path}'
  with open(path, 'rb') as file:
    file.seek(info.header_offset)
    header = file.read(_ZIP_HEADER_BYTES)
    if len(header) < _ZIP_HEADER_BYTES or not header.startswith(b'PK\x03\x04'):
      raise _cut_short(label, path)
    lengths = struct.unpack('<HH', header[_ZIP_LENGTHS])
    start = info.header_offset + _ZIP_HEADER_BYTES + sum(lengths)
    stop = min(start + info.file_size, os.path.getsize(path))
    return _read_header(file, path, label, start, stop)


def _read_header(file, path: str, name: str, start: int, stop: int) -> RowArray:
  """Read the .npy header of the array in the bytes from `start` to `stop`."""
  file.seek(start)
  try:
    version = np.lib.format.read_magic(file)
    read = (
      np.lib.format.read_array_header_1_0
      if version == (1, 0)
      else np.lib.format.read_array_header_2_0
    )
    shape, is_fortran, dtype = read(file)
  except BAD_HEADER as error:
    detail = ' '.join(str(error).split())[:200]
    raise errors.UserError(
      f'{name} is not an array written by numpy.save ({detail}). Get the file'
      ' again.'
    ) from error
  if any(length < 0 for length in shape):
    raise errors.UserError(
      f'{name} has the impossible shape {shape}. Get the file again.'
    )
  if dtype.kind not in 'fiu':
    raise errors.UserError(
      f'{name} is an array of {dtype}. Expected numbers; object arrays are'
      ' refused because reading them would execute code.'
    )
  if is_fortran and len(shape) > 1:
    raise errors.UserError(
      f'{name} is in Fortran order, so its clips are not contiguous. Save'
      ' numpy.ascontiguousarray(array) instead.'
    )
  result = RowArray(path, name, file.tell(), tuple(shape), dtype.str)
  if result.offset + math.prod(shape) * dtype.itemsize > stop:
    raise _cut_short(name, path)
  return result
