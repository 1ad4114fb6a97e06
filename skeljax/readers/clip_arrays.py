"""Clips of one's own as arrays of numpy: .npy and .npz files.

  clip.npy   keypoint [M, T, V, C], or [T, V, C] for one person
  clip.npz   'keypoint' as above, optionally 'keypoint_score' [M, T, V] or
             [T, V], 'img_shape' (height, width) and 'total_frames'

Nothing in a file is run: arrays of Python objects are refused.
"""

import os
from typing import Any
import zipfile
import zlib

import numpy as np

from skeljax.readers import arrays
from skeljax.readers import clips
from skeljax.readers import row_arrays

# What numpy raises for files that are cut short, damaged, locked, or of Python
# objects, and for those that claim more than there is memory.
_DAMAGED = (
  *row_arrays.BAD_HEADER,
  *row_arrays.BAD_ARCHIVE,
  OverflowError,
  RuntimeError,
  zlib.error,
)

_FIELDS = ('keypoint', 'keypoint_score', 'img_shape', 'total_frames')


def is_clip(path: str) -> bool:
  """Whether a file is a .npy, or a .npz that has 'keypoint'.

  A .npz that is not whole counts: reading it says so.
  """
  ending = os.path.splitext(path)[1].lower()
  if ending not in ('.npy', '.npz') or not os.path.isfile(path):
    return False
  if ending == '.npy':
    return True
  try:
    return 'keypoint' in names(path)
  except row_arrays.BAD_ARCHIVE:
    return True


def names(path: str) -> list[str]:
  """The names of the arrays of a .npz file.

  Raises:
    zipfile.BadZipFile: it is not whole.
  """
  with zipfile.ZipFile(path) as archive:
    return [name.removesuffix('.npy') for name in archive.namelist()]


def read_clip(path: str) -> dict[str, Any]:
  """The item of a clip: 'keypoint' [M, T, V, C] and what else the file holds.

  Raises:
    ClipError: the file is not such an array, or not whole.
  """
  content = _load(path)
  if isinstance(content, np.ndarray):
    content = {'keypoint': content}
  if 'keypoint' not in content:
    found = ', '.join(map(repr, content)) or 'nothing'
    raise arrays.clip_error(
      'no keypoint',
      path,
      f"holds {found}. Expected 'keypoint' [persons, frames, joints, channels]"
      " and, where they are known, 'keypoint_score' and 'img_shape'.",
    )
  item = {name: content[name] for name in _FIELDS if name in content}
  keypoint = arrays.numbers(item['keypoint'], 'keypoint', path)
  if keypoint.ndim == 5:
    raise arrays.clip_error(
      'shape',
      path,
      f"'keypoint' has shape {keypoint.shape}. Expected one clip, [persons,"
      ' frames, joints, channels]; an array of many clips is a data set, for'
      ' which data_prep has --source=npy.',
    )
  if keypoint.ndim not in (3, 4) or keypoint.shape[-1] not in (2, 3):
    raise arrays.clip_error(
      'shape',
      path,
      f"'keypoint' has shape {keypoint.shape}. Expected [persons, frames,"
      ' joints, 2 or 3], or [frames, joints, 2 or 3] of one person: bring the'
      ' axes into this order, as with keypoint.transpose(3, 1, 2, 0) from'
      ' [channels, frames, joints, persons].',
    )
  if keypoint.ndim == 3:
    item['keypoint'] = keypoint[None]
    score = item.get('keypoint_score')
    if score is not None and score.ndim == 2:
      item['keypoint_score'] = score[None]
  if 'img_shape' in item:
    item['img_shape'] = clips.check_img_shape(item, path)
  if 'total_frames' in item:
    item['total_frames'] = item['total_frames'].tolist()
  return item


def _load(path: str) -> np.ndarray | dict[str, np.ndarray]:
  try:
    # Mapping compares the size that the file claims with the one that it has
    # before anything is read.
    content = np.load(path, mmap_mode='r', allow_pickle=False)
    if isinstance(content, np.ndarray):
      return np.array(content)
    with content:
      return {name: content[name] for name in content.files}
  except OSError as error:
    raise arrays.clip_error(
      'file', path, f'cannot be read: {error.strerror or error}.'
    ) from None
  except _DAMAGED as error:
    raise arrays.clip_error(
      'file',
      path,
      f'is not a whole .npy or .npz file of numbers: {error}. Write it with'
      ' numpy.save or numpy.savez; arrays of Python objects are not accepted.',
    ) from None
