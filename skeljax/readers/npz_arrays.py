"""Archives of whole data sets as CTR-GCN writes them: x_train, y_train, ...

x is [clips, frames, persons * joints * 3] float32, two persons, zero where
there is nobody and behind the last frame; y is one-hot. The archive is not
compressed, so clips are read out of it where they lie; a compressed one is
unpacked once into a folder of .npy files, which is read the same way.
"""

from collections.abc import Mapping, Sequence
import functools
import os
from typing import Any
import zipfile

import numpy as np

from skeljax import errors
from skeljax.readers import annotations as annotations_lib
from skeljax.readers import clip_files
from skeljax.readers import row_arrays

SPLITS = ('train', 'test')
_NUM_PERSONS = 2
_NUM_COORDINATES = 3
# Rows of one-hot labels that are held at once.
_BLOCK_ROWS = 4096
_EXPECTED = 'Expected the arrays x_train, y_train, x_test and y_test.'


def read_annotations(path: str | os.PathLike) -> annotations_lib.Annotations:
  """The clips of an archive, or of the folder into which it was unpacked.

  Args:
    path: an .npz file, or a folder with x_train.npy and so on.

  Returns:
    Items that are read when asked for, splits 'train' and 'test', and the ids
    that CTR-GCN gives: 'train_0', 'train_1', ...

  Raises:
    UserError: the file is missing, damaged, compressed, or holds other arrays.
  """
  path = os.fspath(path)
  files, splits, starts, sources = [], {}, [], {}
  arrays = _open(path)
  for split in SPLITS:
    x = arrays[f'x_{split}']
    labels = _labels(arrays[f'y_{split}'])
    _check_axes(x, len(labels))
    starts.append(len(files))
    sources[split] = x
    files += [
      clip_files.ClipFile(f'{split}_{row}', x.path, label, row)
      for row, label in enumerate(labels)
    ]
    splits[split] = range(starts[-1], len(files))
  return annotations_lib.Annotations(
    items=clip_files.ClipFiles(
      tuple(files), functools.partial(_read_row, sources=sources)
    ),
    ids=tuple(file.id for file in files),
    splits=splits,
    label_names=(),
    unknown_ids={},
    paths=tuple(sources[split].path for split in SPLITS),
    starts=tuple(starts),
  )


def _read_row(
  file: clip_files.ClipFile, *, sources: Mapping[str, row_arrays.RowArray]
) -> dict[str, Any]:
  split = file.id.rpartition('_')[0]  # Both splits lie in the same file.
  return {'keypoint': split_persons(sources[split].read(file.row))}


def split_persons(row: np.ndarray) -> np.ndarray:
  """[T, M * V * C] -> [M, T', V, C], T' the frames in which anybody is seen.

  Source: CTR-GCN's feeder counts the frames whose coordinates do not add up to
  zero and takes as many from the start. Deviation: a second person that is
  zero throughout is left out.
  """
  keypoint = row.reshape(len(row), _NUM_PERSONS, -1, _NUM_COORDINATES)
  # NOTE: sums in the feeder's order (channels, persons, joints).
  sums = keypoint.sum(axis=3).transpose(0, 2, 1).sum(axis=-1).sum(axis=-1)
  num_frames = int((sums != 0).sum())
  if not num_frames:
    return keypoint.transpose(1, 0, 2, 3)
  keypoint = keypoint[:num_frames].transpose(1, 0, 2, 3)
  num_persons = 1 + int(np.flatnonzero(keypoint.any(axis=(1, 2, 3)))[-1])
  return np.ascontiguousarray(keypoint[:num_persons])


def _open(path: str) -> dict[str, row_arrays.RowArray]:
  """The arrays by name."""
  names = [f'{array}_{split}' for split in SPLITS for array in 'xy']
  if os.path.isdir(path):
    files = {name: os.path.join(path, f'{name}.npy') for name in names}
    _check_names(path, [n for n in names if os.path.isfile(files[n])], names)
    return {name: row_arrays.open_npy(files[name]) for name in names}
  try:
    with zipfile.ZipFile(path) as archive:
      members = [name.removesuffix('.npy') for name in archive.namelist()]
      _check_names(path, members, names)
      return {
        name: row_arrays.open_member(path, archive, f'{name}.npy')
        for name in names
      }
  except OSError as error:
    raise errors.UserError(
      f'{path} cannot be read: {error.strerror or error}.'
    ) from error
  except row_arrays.BAD_ARCHIVE as error:
    raise errors.UserError(
      f'{path} is no .npz file, or was cut short ({error}). {_EXPECTED}'
      ' Download or copy it again.'
    ) from error


def _check_names(
  path: str, found: Sequence[str], wanted: Sequence[str]
) -> None:
  missing = [name for name in wanted if name not in found]
  if missing:
    held = annotations_lib.some(found, limit=5) or 'nothing of this kind'
    raise errors.UserError(
      f'{path} has no {" and no ".join(missing)}; it holds {held}. {_EXPECTED}'
    )


def _labels(y: row_arrays.RowArray) -> list[int]:
  """The labels that one-hot rows, or plain whole numbers, name."""
  if len(y.shape) == 1 and np.dtype(y.dtype).kind in 'iu':
    return y.read_rows(0, len(y)).tolist()
  if len(y.shape) != 2:
    raise errors.UserError(
      f'{y.name} has shape {y.shape}. Expected one row a clip, 1 for its class'
      ' and 0 for all others.'
    )
  labels: list[int] = []
  for start in range(0, len(y), _BLOCK_ROWS):
    is_set = y.read_rows(start, min(start + _BLOCK_ROWS, len(y))) > 0
    count = is_set.sum(axis=1)
    if (count != 1).any():
      row = int(np.flatnonzero(count != 1)[0])
      raise errors.UserError(
        f'{y.name}: row {start + row} names {count[row]} classes. Expected 1'
        ' for one class and 0 for all others.'
      )
    labels += is_set.argmax(axis=1).tolist()
  return labels


def _check_axes(x: row_arrays.RowArray, num_labels: int) -> None:
  size = _NUM_PERSONS * _NUM_COORDINATES
  if len(x.shape) != 3 or x.shape[2] % size or 0 in x.shape:
    raise errors.UserError(
      f'{x.name} has shape {x.shape}. Expected [clips, frames, {_NUM_PERSONS}'
      f' persons x joints x {_NUM_COORDINATES}], not empty.'
    )
  if len(x) != num_labels:
    raise errors.UserError(
      f'{x.name} holds {len(x):,} clips, and there are {num_labels:,} labels'
      ' for them.'
    )
