"""The values in a file of a pose tool: numbers, frame numbers, boxes, ids.

Each function takes what JSON gave and returns it in its type, or says which
field is wrong, what it is and what was expected.
"""

from collections.abc import Collection, Sequence
import os
import re
from typing import Any, NoReturn

import numpy as np

from skeljax.readers import arrays

# No picture has a side of more pixels.
_MAX_SIDE = 1_000_000
_NUMBER = re.compile(r'\d+')


def numbers(value: Any, field: str, where: str) -> np.ndarray:
  """The numbers of a JSON list of any depth, float64; null becomes NaN.

  Raises:
    ClipError: it holds something else, or lists of different lengths.
  """
  try:
    array = np.asarray(value)
    if array.dtype == object and all(map(_is_number_or_null, array.flat)):
      array = array.astype(np.float64)
    elif array.dtype.kind in 'iu':
      array = array.astype(np.float64)
  except (ValueError, TypeError, OverflowError):
    array = np.asarray('')
  # NOTE: a list of bool is refused; numpy would take true for 1.
  if array.dtype != np.float64 or not array.ndim:
    raise arrays.clip_error(
      'not numbers',
      where,
      f'{field!r} is {shorten(value)}. Expected a list of numbers.',
    )
  return array


def _is_number_or_null(value: Any) -> bool:
  return value is None or type(value) in (int, float)


def points(value: Any, field: str, where: str, *, size: int) -> np.ndarray:
  """The flat list x0, y0, c0, x1, ... of a tool as [V, size].

  Raises:
    ClipError: not numbers, or not a multiple of `size`.
  """
  flat = numbers(value, field, where)
  if flat.ndim != 1 or len(flat) % size or not len(flat):
    raise arrays.clip_error(
      'joints',
      where,
      f'{field!r} holds {flat.size} numbers. Expected {size} for each joint:'
      f' {", ".join(("x", "y", "score")[:size])}.',
    )
  return flat.reshape(-1, size)


def corners(
  value: Any, field: str, where: str, *, form: str = 'xyxy'
) -> np.ndarray | None:
  """A box (x0, y0, x1, y1); `form` 'xywh' has the size in place of x1, y1."""
  if value is None:
    return None
  box = numbers(value, field, where).reshape(-1)
  if len(box) < 4:
    raise arrays.clip_error(
      'box', where, f'{field!r} is {shorten(value)}. Expected four numbers.'
    )
  if form == 'xywh':
    return np.concatenate([box[:2], box[:2] + box[2:4]])
  return box[:4]


def frame_number(value: Any, field: str, where: str) -> int:
  """A frame number as the file holds it.

  Raises:
    ClipError: it is missing, negative or not a whole number.
  """
  if not isinstance(value, int) or isinstance(value, bool) or value < 0:
    found = 'is missing' if value is None else f'is {shorten(value)}'
    raise arrays.clip_error(
      'frame numbers',
      where,
      f'{field!r} {found}. Expected the number of the frame, a whole number'
      ' from 0.',
    )
  return value


def track_id(value: Any, field: str, where: str) -> int | None:
  """A track id as the file holds it; None where there is none."""
  while isinstance(value, list) and value:
    value = value[0]
  if value is None or value == []:
    return None
  if isinstance(value, float) and value.is_integer():
    value = int(value)
  if not isinstance(value, int) or isinstance(value, bool):
    raise arrays.clip_error(
      'ids',
      where,
      f'{field!r} is {shorten(value)}. Expected a whole number, the same for'
      ' a person in all frames.',
    )
  return value


def number_of_name(name: str, where: str) -> int:
  """The frame number in the name of a frame's file or picture: its last digits.

  Raises:
    ClipError: there is none.
  """
  found = _NUMBER.findall(os.path.splitext(os.path.basename(name))[0])
  if not found:
    raise arrays.clip_error(
      'frame numbers',
      where,
      f'the name {name!r} has no frame number. Expected one at its end, as in'
      ' video_000000000012_keypoints.json or 12.jpg.',
    )
  # Python refuses to convert thousands of digits; no frame has so many.
  return int(found[-1][-18:])


def numbered_files(paths: Sequence[str], where: str) -> list[tuple[int, str]]:
  """(frame number, path) of the files of a folder, by frame number.

  Raises:
    ClipError: a name has no number, two have the same, or the names differ in
      more than the number.
  """
  result, stems = {}, {}
  for path in paths:
    stem = os.path.splitext(os.path.basename(path))[0]
    number = number_of_name(os.path.basename(path), where)
    last = _NUMBER.findall(stem)[-1]
    begin, _, end = stem.rpartition(last)
    stems.setdefault((begin, end), os.path.basename(path))
    if len(stems) > 1:
      first, other = list(stems.values())[:2]
      raise arrays.clip_error(
        'frame numbers',
        where,
        f'{first} and {other} are named as frames of different clips: only'
        ' the last number may differ. Give each clip a folder of its own.',
      )
    if number in result:
      raise arrays.clip_error(
        'frame numbers',
        where,
        f'{os.path.basename(result[number])} and {os.path.basename(path)} are'
        f' both frame {number}.',
      )
    result[number] = path
  return sorted(result.items())


def check_new(number: int, known: Collection[int], where: str) -> None:
  """Raises the error for a frame number that occurs twice."""
  if number in known:
    raise arrays.clip_error(
      'frame numbers',
      where,
      f'frame {number} occurs twice. Expected every frame once; several clips'
      ' in one file have to become one file each.',
    )


def img_shape(height: Any, width: Any, where: str) -> tuple[int, int]:
  """(height, width) as the file holds them.

  Raises:
    ClipError: they are no whole numbers of pixels.
  """
  for name, side in (('height', height), ('width', width)):
    is_number = isinstance(side, int) and not isinstance(side, bool)
    if not is_number or not 0 < side <= _MAX_SIDE:
      raise arrays.clip_error(
        'img_shape',
        where,
        f'the {name} of the picture is {shorten(side)}. Expected a whole number'
        ' of pixels.',
      )
  return height, width


def fail_kind(value: Any, expected: str, where: str) -> NoReturn:
  """Raises the error for a value of another kind than the form has there."""
  raise arrays.clip_error(
    'form', where, f'found {shorten(value)}. Expected {expected}.'
  )


def shorten(value: Any) -> str:
  """A value in few words."""
  if isinstance(value, dict):
    keys = ', '.join(repr(key)[:20] for key in list(value)[:4])
    return f'an object with the keys {keys}' if value else 'an empty object'
  if isinstance(value, list):
    inside = value[0] if value else None
    # NOTE: one level down and no further; lists may be nested without end.
    if isinstance(inside, list):
      return f'a list of {len(value)} lists'
    if isinstance(inside, dict):
      return f'a list of {len(value)}, the first of them {shorten(inside)}'
    return f'a list of {len(value)}'
  text = 'null' if value is None else repr(value)
  return text if len(text) <= 40 else text[:37] + '...'
