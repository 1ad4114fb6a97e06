"""Read the .npz archives of CTR-GCN: x_train, y_train, x_test, y_test.

x is [clips, frames, persons * joints * 3] float32 with two persons, zero for
absent persons and after the last frame; y is one-hot. The archive is not
compressed, so rows are read in place; a compressed one has to be unpacked once
into a folder of .npy files.
"""

from collections.abc import Sequence
import functools
import os
import zipfile

import numpy as np

from skeljax import errors
from skeljax.readers import raw_dataset
from skeljax.readers import row_array

SPLITS = ('train', 'test')
_NAMES = ('x_train', 'y_train', 'x_test', 'y_test')
_NUM_PERSONS = 2
_NUM_COORDINATES = 3
_LABEL_ROWS = 4096  # One-hot rows in memory at once.
_EXPECTED = f'Expected the arrays {", ".join(_NAMES)}.'


def read_dataset(path: str | os.PathLike) -> raw_dataset.RawDataset:
  """List the clips of an archive, or of the folder into which it was unpacked.

  Args:
    path: an .npz file, or a folder with x_train.npy and so on.

  Returns:
    Clips that are read one row at a time, splits 'train' and 'test', and the
    ids of CTR-GCN: 'train_0', 'train_1', ...

  Raises:
    UserError: the file is missing, damaged, compressed, or has other arrays.
  """
  path = os.fspath(path)
  arrays = _open(path)
  clips: list[raw_dataset.Clip] = []
  splits = {}
  for split in SPLITS:
    x = arrays[f'x_{split}']
    labels = _labels(arrays[f'y_{split}'])
    _check_shape(x, len(labels))
    start = len(clips)
    clips += [
      raw_dataset.Clip(
        f'{split}_{row}', label, x.path, functools.partial(_read_row, x, row)
      )
      for row, label in enumerate(labels)
    ]
    splits[split] = range(start, len(clips))
  return raw_dataset.RawDataset(clips, splits, source=path)


def _read_row(x: row_array.RowArray, row: int) -> raw_dataset.Item:
  return {'keypoint': split_persons(x.read(row))}


def split_persons(row: np.ndarray) -> np.ndarray:
  """Reshape [T, M * V * C] to [M, T', V, C] without the empty frames.

  Source: CTR-GCN's feeder counts the frames whose coordinates do not sum to
  zero and takes as many from the start. Deviation: a second person that is zero
  throughout is removed.
  """
  keypoint = row.reshape(len(row), _NUM_PERSONS, -1, _NUM_COORDINATES)
  # NOTE: summed in the feeder's order (channels, persons, joints).
  sums = keypoint.sum(axis=3).transpose(0, 2, 1).sum(axis=-1).sum(axis=-1)
  num_frames = int((sums != 0).sum())
  if not num_frames:
    return keypoint.transpose(1, 0, 2, 3)
  keypoint = keypoint[:num_frames].transpose(1, 0, 2, 3)
  num_persons = 1 + int(np.flatnonzero(keypoint.any(axis=(1, 2, 3)))[-1])
  return np.ascontiguousarray(keypoint[:num_persons])


def _open(path: str) -> dict[str, row_array.RowArray]:
  """Open the arrays by name."""
  if os.path.isdir(path):
    files = {name: os.path.join(path, f'{name}.npy') for name in _NAMES}
    _check_names(path, [n for n in _NAMES if os.path.isfile(files[n])])
    return {name: row_array.open_npy(files[name]) for name in _NAMES}
  try:
    with zipfile.ZipFile(path) as archive:
      _check_names(path, [n.removesuffix('.npy') for n in archive.namelist()])
      return {
        name: row_array.open_member(path, archive, f'{name}.npy')
        for name in _NAMES
      }
  except OSError as error:
    raise errors.UserError(
      f'{path} cannot be read: {error.strerror or error}.'
    ) from error
  except row_array.BAD_ARCHIVE as error:
    raise errors.UserError(
      f'{path} is not an .npz file, or was cut short ({error}). {_EXPECTED}'
      ' Download or copy it again.'
    ) from error


def _check_names(path: str, found: Sequence[str]) -> None:
  missing = [name for name in _NAMES if name not in found]
  if missing:
    raise errors.UserError(
      f'{path} has no {" and no ".join(missing)}, only'
      f' {raw_dataset.first_few(found, limit=5) or "other files"}. {_EXPECTED}'
    )


def _labels(y: row_array.RowArray) -> list[int]:
  """Class indices of one-hot rows, or of plain integers."""
  if len(y.shape) == 1 and np.dtype(y.dtype).kind in 'iu':
    return y.read_rows(0, len(y)).tolist()
  if len(y.shape) != 2:
    raise errors.UserError(
      f'{y.name} has shape {y.shape}. Expected one-hot rows [clips, classes].'
    )
  labels: list[int] = []
  for start in range(0, len(y), _LABEL_ROWS):
    is_set = y.read_rows(start, min(start + _LABEL_ROWS, len(y))) > 0
    count = is_set.sum(axis=1)
    if (count != 1).any():
      row = int(np.flatnonzero(count != 1)[0])
      raise errors.UserError(
        f'{y.name}: row {start + row} sets {count[row]} classes. Expected'
        ' one-hot rows.'
      )
    labels += is_set.argmax(axis=1).tolist()
  return labels


def _check_shape(x: row_array.RowArray, num_labels: int) -> None:
  size = _NUM_PERSONS * _NUM_COORDINATES
  if len(x.shape) != 3 or x.shape[2] % size or 0 in x.shape:
    raise errors.UserError(
      f'{x.name} has shape {x.shape}. Expected [clips, frames, {_NUM_PERSONS}'
      f' persons x joints x {_NUM_COORDINATES}], not empty.'
    )
  if len(x) != num_labels:
    raise errors.UserError(
      f'{x.name} contains {len(x):,} clips, and there are {num_labels:,} labels.'
    )
