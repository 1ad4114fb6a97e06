"""The arrays of an annotation: numbers, finite, in a type that is stored."""

from typing import Any

import numpy as np

from skeljax import errors

# What is stored as it is; other numbers become float32.
_FLOATS = ('float16', 'float32')


class ClipError(errors.UserError):
  """An annotation that training cannot use.

  Attributes:
    kind: a short name, the same for all clips with this fault.
  """

  def __init__(self, text: str, kind: str = ''):
    super().__init__(text)
    self.kind = kind


def clip_error(kind: str, where: str, text: str) -> ClipError:
  """The error for the clip at `where`, a file and a sample in words."""
  return ClipError(f'{where}: {text}', kind)


def numbers(value: Any, field: str, where: str) -> np.ndarray:
  """The value, which must be an array of numbers."""
  if not isinstance(value, np.ndarray):
    raise clip_error(
      'not an array',
      where,
      f'{field!r} is a {type(value).__name__}. Expected a numpy array of'
      ' numbers.',
    )
  if value.dtype.kind not in 'fiu':
    raise clip_error(
      'not numbers',
      where,
      f'{field!r} has dtype {value.dtype} and shape {value.shape}. Expected'
      ' an array of numbers; one of objects comes from persons or frames of'
      ' different lengths: fill the missing ones with zeros.',
    )
  return value


def store(
  array: np.ndarray, dtype: str | None, field: str, where: str
) -> np.ndarray:
  """The array, which is finite, in the type in which it is stored.

  Args:
    array: numbers of any type.
    dtype: 'float16' or 'float32'; None keeps these two and makes float32 of
      anything else.
    field: whose numbers they are, for the error.
    where: the file and the sample, for the error.

  Raises:
    ClipError: the numbers are too large for the type.
  """
  if dtype is None:
    dtype = array.dtype.name if array.dtype.name in _FLOATS else 'float32'
  if array.dtype == dtype:
    return array
  with np.errstate(over='ignore'):  # What overflows is reported just below.
    stored = array.astype(dtype)
  if not np.isfinite(stored).all():
    raise clip_error(
      'overflow',
      where,
      f'{field!r} reaches {np.abs(array).max():.6g}, beyond'
      f' {np.finfo(dtype).max:.6g}, the largest {dtype}. Store it as float32,'
      ' or in a larger unit.',
    )
  return stored


def check_finite(array: np.ndarray, field: str, where: str) -> None:
  """Raises ClipError if `array` [M, T, V, ...] holds NaN or infinity."""
  if np.isfinite(array).all():
    return
  num_nan = int(np.isnan(array).sum())
  place = np.argwhere(~np.isfinite(array))[0]
  spot = f'first at person {place[0]}, frame {place[1]}, joint {place[2]}'
  if num_nan:
    raise clip_error(
      'NaN',
      where,
      f'{field!r} holds {num_nan:,} NaN, {spot}. Missing joints must be zero:'
      ' use numpy.nan_to_num.',
    )
  if array.dtype == np.float16:
    raise clip_error(
      'overflow',
      where,
      f'{field!r} holds infinity, {spot}. float16 ends at 65504: numbers beyond'
      ' it were lost when the file was written. Write it again as float32, or'
      ' in a larger unit.',
    )
  raise clip_error(
    'infinity',
    where,
    f'{field!r} holds infinity, {spot}. Expected finite numbers, zero for'
    ' missing joints.',
  )
