"""Read one clip from an .npy or .npz file.

  clip.npy   keypoint [M, T, V, C], or [T, V, C] for one person
  clip.npz   'keypoint' as above, optionally 'keypoint_score' [M, T, V] or
             [T, V], 'img_shape' (height, width) and 'total_frames'

Object arrays are refused, so nothing in a file is executed.
"""

import os
from typing import Any
import zipfile
import zlib

import numpy as np

from skeljax.readers import checks
from skeljax.readers import row_array

# Raised by numpy for files that are truncated, damaged, encrypted, contain
# objects, or claim more data than fits into memory.
_DAMAGED = (
  *row_array.BAD_HEADER,
  *row_array.BAD_ARCHIVE,
  OverflowError,
  RuntimeError,
  zlib.error,
)

_FIELDS = ('keypoint', 'keypoint_score', 'img_shape', 'total_frames')


def is_clip(path: str) -> bool:
  """Whether a file is a .npy, or a .npz with 'keypoint' or a damaged one."""
  ending = os.path.splitext(path)[1].lower()
  if ending not in ('.npy', '.npz') or not os.path.isfile(path):
    return False
  if ending == '.npy':
    return True
  try:
    return 'keypoint' in names(path)
  except row_array.BAD_ARCHIVE:
    return True  # read_clip reports the damage.


def names(path: str) -> list[str]:
  """Return the names of the arrays of a .npz file.

  Raises:
    zipfile.BadZipFile: it is damaged.
  """
  with zipfile.ZipFile(path) as archive:
    return [name.removesuffix('.npy') for name in archive.namelist()]


def read_clip(path: str) -> dict[str, Any]:
  """Read 'keypoint' [M, T, V, C] and the other fields of a clip.

  Raises:
    ClipError: the file is damaged, or has other arrays or axes.
  """
  content = _load(path)
  if isinstance(content, np.ndarray):
    content = {'keypoint': content}
  if 'keypoint' not in content:
    raise checks.ClipError(
      'no keypoint',
      path,
      f"has {checks.keys(content)}. Expected 'keypoint' [persons, frames,"
      " joints, channels], optionally 'keypoint_score' and 'img_shape'.",
    )
  item = {name: content[name] for name in _FIELDS if name in content}
  keypoint = checks.numeric_array(item['keypoint'], 'keypoint', path)
  if keypoint.ndim == 5:
    raise checks.ClipError(
      'shape',
      path,
      f"'keypoint' has shape {keypoint.shape}. Expected one clip [persons,"
      ' frames, joints, channels]; for the array of a whole dataset use'
      ' data_prep with --source=npy.',
    )
  if keypoint.ndim not in (3, 4) or keypoint.shape[-1] not in (2, 3):
    raise checks.ClipError(
      'shape',
      path,
      f"'keypoint' has shape {keypoint.shape}. Expected [persons, frames,"
      ' joints, 2 or 3], or [frames, joints, 2 or 3] for one person. From'
      ' [channels, frames, joints, persons] use keypoint.transpose(3, 1, 2, 0).',
    )
  if keypoint.ndim == 3:
    item['keypoint'] = keypoint[None]
    score = item.get('keypoint_score')
    if score is not None and score.ndim == 2:
      item['keypoint_score'] = score[None]
  if 'img_shape' in item:
    item['img_shape'] = checks.check_img_shape(item, path)
  if 'total_frames' in item:
    item['total_frames'] = item['total_frames'].tolist()
  return item


def _load(path: str) -> np.ndarray | dict[str, np.ndarray]:
  try:
    # Memory mapping compares the claimed size with the file size first.
    content = np.load(path, mmap_mode='r', allow_pickle=False)
    if isinstance(content, np.ndarray):
      return np.array(content)
    with content:
      return {name: content[name] for name in content.files}
  except OSError as error:
    raise checks.ClipError(
      'file', path, f'cannot be read: {error.strerror or error}.'
    ) from None
  except _DAMAGED as error:
    raise checks.ClipError(
      'file',
      path,
      f'is not a complete .npy or .npz file of numbers: {error}. Write it with'
      ' numpy.save or numpy.savez; object arrays are refused.',
    ) from None
