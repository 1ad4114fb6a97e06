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

from skeljax.data.formats import arrays

_FIELDS = ('keypoint', 'keypoint_score', 'img_shape', 'total_frames')


def is_clip(path: str) -> bool:
  """Whether a file is a .npy, or a .npz with 'keypoint'."""
  if path.lower().endswith('.npy'):
    return os.path.isfile(path)
  if not path.lower().endswith('.npz') or not zipfile.is_zipfile(path):
    return False
  with zipfile.ZipFile(path) as archive:
    return 'keypoint.npy' in archive.namelist()


def read_clip(path: str) -> dict[str, Any]:
  """The item of a clip: 'keypoint' [M, T, V, C] and what else the file holds.

  Raises:
    ClipError: the file is not such an array, or not whole.
  """
  content = _load(path)
  if isinstance(content, np.ndarray):
    content = {'keypoint': content}
  if 'keypoint' not in content:
    names = ', '.join(map(repr, content)) or 'nothing'
    raise arrays.clip_error(
      'no keypoint',
      path,
      f"holds {names}. Expected 'keypoint' [persons, frames, joints, channels]"
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
  if keypoint.ndim == 3:
    item['keypoint'] = keypoint[None]
    score = item.get('keypoint_score')
    if score is not None and score.ndim == 2:
      item['keypoint_score'] = score[None]
  for name in ('img_shape', 'total_frames'):
    if name in item:
      value = item[name].tolist()
      item[name] = tuple(value) if isinstance(value, list) else value
  return item


def _load(path: str) -> np.ndarray | dict[str, np.ndarray]:
  try:
    with open(path, 'rb') as file:
      content = np.load(file, allow_pickle=False)
      if isinstance(content, np.ndarray):
        return content
      return {name: content[name] for name in content.files}
  except OSError as error:
    raise arrays.clip_error(
      'file', path, f'cannot be read: {error.strerror or error}.'
    ) from None
  except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
    raise arrays.clip_error(
      'file',
      path,
      f'is not a whole .npy or .npz file of numbers: {error}. Write it with'
      ' numpy.save or numpy.savez; arrays of Python objects are not accepted.',
    ) from None
