"""Parse and validate the fields of a pose tool's file.

Each function returns the value in its type, or raises a ClipError that names the
field, its value and the expectation.
"""

from collections.abc import Collection, Sequence
import os
import re
from typing import Any, NoReturn

import numpy as np

from skeljax.readers import checks

_MAX_SIDE = 1_000_000  # No image is larger.
_NUMBER = re.compile(r'\d+')


def numbers(value: Any, field: str, where: str) -> np.ndarray:
  """Return nested JSON lists of numbers as float64; null becomes NaN.

  Raises:
    ClipError: it contains something else, or lists of different lengths.
  """
  try:
    array = np.asarray(value)
    if array.dtype == object and all(map(_is_number_or_null, array.flat)):
      array = array.astype(np.float64)
    elif array.dtype.kind in 'iu':
      array = array.astype(np.float64)
  except (ValueError, TypeError, OverflowError):
    array = np.asarray('')
  # NOTE: booleans are rejected; numpy would convert them to 0 and 1.
  if array.dtype != np.float64 or not array.ndim:
    raise checks.ClipError(
      'not numbers',
      where,
      f'{field!r} is {shorten(value)}. Expected a list of numbers.',
    )
  return array


def _is_number_or_null(value: Any) -> bool:
  return value is None or type(value) in (int, float)


def points(value: Any, field: str, where: str) -> np.ndarray:
  """Return the flat list x0, y0, score0, x1, ... as [V, 3].

  Raises:
    ClipError: not numbers, or not three per joint.
  """
  flat = numbers(value, field, where)
  if flat.ndim != 1 or len(flat) % 3 or not len(flat):
    raise checks.ClipError(
      'joints',
      where,
      f'{field!r} has {flat.size} numbers. Expected three per joint: x, y, score.',
    )
  return flat.reshape(-1, 3)


def corners(
  value: Any, field: str, where: str, *, has_size: bool = False
) -> np.ndarray | None:
  """Return a box (x0, y0, x1, y1), or None.

  Args:
    value: x0, y0, x1, y1; or x0, y0, width, height; or None.
    field: the field, for errors.
    where: file and frame, for errors.
    has_size: whether the box has width and height.
  """
  if value is None:
    return None
  box = numbers(value, field, where).reshape(-1)
  if len(box) < 4:
    raise checks.ClipError(
      'box', where, f'{field!r} is {shorten(value)}. Expected four numbers.'
    )
  if has_size:
    return np.concatenate([box[:2], box[:2] + box[2:4]])
  return box[:4]


def frame_number(value: Any, field: str, where: str) -> int:
  """Return a frame number; ClipError if it is missing or not an integer from 0."""
  if not isinstance(value, int) or isinstance(value, bool) or value < 0:
    found = 'is missing' if value is None else f'is {shorten(value)}'
    raise checks.ClipError(
      'frame numbers',
      where,
      f'{field!r} {found}. Expected the frame number, an integer from 0.',
    )
  return value


def track_id(value: Any, field: str, where: str) -> int | None:
  """Return a track id, possibly within lists; None if there is none."""
  while isinstance(value, list) and value:
    value = value[0]
  if value is None or value == []:
    return None
  if isinstance(value, float) and value.is_integer():
    value = int(value)
  if not isinstance(value, int) or isinstance(value, bool):
    raise checks.ClipError(
      'ids', where, f'{field!r} is {shorten(value)}. Expected an integer.'
    )
  return value


def number_of_name(name: str, where: str) -> int:
  """Return the frame number in a file name: its last digits.

  Raises:
    ClipError: there are none.
  """
  found = _NUMBER.findall(os.path.splitext(os.path.basename(name))[0])
  if not found:
    raise checks.ClipError(
      'frame numbers',
      where,
      f'the name {name!r} has no frame number. Expected one at its end, as in'
      ' video_000000000012_keypoints.json or 12.jpg.',
    )
  # Python refuses to convert thousands of digits.
  return int(found[-1][-18:])


def numbered_files(paths: Sequence[str], where: str) -> list[tuple[int, str]]:
  """Return (frame number, path) of the files of a folder, by frame number.

  Raises:
    ClipError: a name has no number, two have the same, or the names differ in
      more than the number.
  """
  result: dict[int, str] = {}
  stems: dict[tuple[str, str], str] = {}
  for path in paths:
    name = os.path.basename(path)
    number = number_of_name(name, where)
    stem = os.path.splitext(name)[0]
    begin, _, end = stem.rpartition(_NUMBER.findall(stem)[-1])
    stems.setdefault((begin, end), name)
    if len(stems) > 1:
      first, other = list(stems.values())[:2]
      raise checks.ClipError(
        'frame numbers',
        where,
        f'{first} and {other} differ in more than the last number, so they are'
        ' frames of different clips. Give each clip a folder of its own.',
      )
    if number in result:
      raise checks.ClipError(
        'frame numbers',
        where,
        f'{os.path.basename(result[number])} and {name} are both frame {number}.',
      )
    result[number] = path
  return sorted(result.items())


def check_new(number: int, known: Collection[int], where: str) -> None:
  """Raise ClipError if a frame number occurs twice."""
  if number in known:
    raise checks.ClipError(
      'frame numbers',
      where,
      f'frame {number} occurs twice. Expected every frame once; split a file of'
      ' several clips into one file per clip.',
    )


def img_shape(height: Any, width: Any, where: str) -> tuple[int, int]:
  """Return (height, width); ClipError if they are not integers in range."""
  for name, side in (('height', height), ('width', width)):
    is_number = isinstance(side, int) and not isinstance(side, bool)
    if not is_number or not 0 < side <= _MAX_SIDE:
      raise checks.ClipError(
        'img_shape',
        where,
        f'the image {name} is {shorten(side)}. Expected an integer, in pixels.',
      )
  return height, width


def fail(value: Any, expected: str, where: str) -> NoReturn:
  """Raise ClipError for a value of the wrong type or structure."""
  raise checks.ClipError(
    'format', where, f'found {shorten(value)}. Expected {expected}.'
  )


def shorten(value: Any) -> str:
  """Describe a value in a few words."""
  if isinstance(value, dict):
    keys = ', '.join(repr(key)[:20] for key in list(value)[:4])
    return f'an object with the keys {keys}' if value else 'an empty object'
  if isinstance(value, list):
    inside = value[0] if value else None
    # NOTE: not recursive for lists, which may be nested very deeply.
    if isinstance(inside, list):
      return f'a list of {len(value)} lists'
    if isinstance(inside, dict):
      return f'a list of {len(value)}, the first of them {shorten(inside)}'
    return f'a list of {len(value)}'
  text = 'null' if value is None else repr(value)
  return text if len(text) <= 40 else text[:37] + '...'
