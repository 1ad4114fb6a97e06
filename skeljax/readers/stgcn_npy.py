"""Read the .npy arrays of whole datasets: ST-GCN, 2s-AGCN and BABEL.

Each split is an array [clips, channels, frames, joints, persons] and a pickle of
labels:

- ST-GCN, 2s-AGCN and descendants: train_data.npy or train_data_joint.npy with
  train_label.pkl, (names, labels). Trailing frames and persons that are zero are
  removed; padding with zeros restores the array.
- BABEL: train_ntu_sk_60.npy with train_label_60.pkl, (segments, (labels,
  sequences, chunks, annotators)). All 150 frames are kept and coordinates are
  cast to float16, as in mmaction2's converter.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import functools
import os
import re
from typing import Any

from absl import logging
import numpy as np

from skeljax import errors
from skeljax.readers import checks
from skeljax.readers import raw_dataset
from skeljax.readers import row_array
from skeljax.readers import safe_pickle

_LABEL_FORMAT = (
  'a pickle with (names, labels), or for BABEL with (segments, (labels,'
  ' sequences, chunks, annotators))'
)
# File name of an array without ending, and that of its labels.
_PAIRS = (
  (
    re.compile(r'(?P<split>\w+)_ntu_sk_(?P<classes>\d+)'),
    '{split}_label_{classes}',
  ),
  (re.compile(r'(?P<split>\w+?)_data(_joint)?'), '{split}_label'),
)
# Clips are named after files with these endings.
_SUFFIXES = ('.skeleton', '.json')


@dataclasses.dataclass(frozen=True)
class _Labels:
  ids: tuple[str, ...]
  labels: tuple[int, ...]
  is_babel: bool


def read_dataset(
  source: raw_dataset.Paths,
  labels: Mapping[str, str | os.PathLike] | None = None,
) -> raw_dataset.RawDataset:
  """List the clips of one array per split.

  Args:
    source: a folder; or one array per split, as a mapping or as the text
      'train=a.npy,val=b.npy'. In a folder, train_data.npy and
      train_data_joint.npy are split 'train', train_ntu_sk_60.npy is
      'babel60_train'.
    labels: split -> pickle of its labels; by default the file with the
      published name in the folder of the array.

  Returns:
    Clips that are read one row at a time. Repeated ids (a BABEL segment with
    several actions has one clip per action) get the suffixes '#2', '#3', ...

  Raises:
    UserError: files are missing, unreadable, or do not match.
  """
  paths = _find_arrays(source)
  clips: list[raw_dataset.Clip] = []
  splits, num_repeated = {}, 0
  for split, path in paths.items():
    array = row_array.open_npy(path)
    _check_shape(array)
    label_file = os.fspath((labels or {}).get(split) or label_path(path))
    found = _read_labels(label_file)
    if len(found.ids) != len(array):
      raise errors.UserError(
        f'{path} contains {len(array):,} clips and {label_file}'
        f' {len(found.ids):,} names. They must be of the same dataset and split.'
      )
    ids = found.ids
    if found.is_babel:
      ids = _distinct(ids)
      num_repeated += sum(a != b for a, b in zip(ids, found.ids))
    start = len(clips)
    clips += [
      raw_dataset.Clip(
        sample_id,
        label,
        path,
        functools.partial(_read_row, array, row, found.is_babel),
      )
      for row, (sample_id, label) in enumerate(zip(ids, found.labels))
    ]
    splits[split] = range(start, len(clips))
  if num_repeated:
    logging.info('%d clips share a segment with others', num_repeated)
  return raw_dataset.RawDataset(
    clips, splits, source=' + '.join(paths.values())
  )


def _read_row(
  array: row_array.RowArray, row: int, is_babel: bool
) -> raw_dataset.Item:
  keypoint = array.read(row).transpose(3, 1, 2, 0)  # [M, T, V, C]
  # On contiguous memory, `any` is several times faster.
  keypoint = np.ascontiguousarray(keypoint)
  if is_babel:
    with np.errstate(over='ignore'):  # checks.check_clip reports overflow.
      return {'keypoint': keypoint.astype(np.float16)}
  return {'keypoint': trim(keypoint)}


def trim(keypoint: np.ndarray) -> np.ndarray:
  """Remove zero persons and frames from the end of [M, T, V, C].

  A clip of zeros is returned unchanged; checks.check_clip reports it.
  """
  is_present = keypoint.any(axis=(2, 3))
  persons, frames = (
    np.flatnonzero(is_present.any(axis=axis)) for axis in (1, 0)
  )
  if not len(frames):
    return keypoint
  return np.ascontiguousarray(keypoint[: persons[-1] + 1, : frames[-1] + 1])


def _find_arrays(source: raw_dataset.Paths) -> dict[str, str]:
  """Map each split to the file of its array."""
  paths = raw_dataset.split_paths(source)
  if not isinstance(paths, str):
    return paths
  if os.path.isdir(paths):
    return _arrays_of_folder(paths)
  raise errors.UserError(
    f'{paths!r} is a single array. Give one per split as'
    ' train=TRAIN.npy,val=VAL.npy, or their folder.'
  )


def _arrays_of_folder(folder: str) -> dict[str, str]:
  """Map each split to its array, by published file names."""
  try:
    names = sorted(os.listdir(folder))
  except OSError as error:
    raise errors.UserError(
      f'{folder} cannot be read: {error.strerror or error}.'
    ) from error
  found: dict[str, str] = {}
  for name in names:
    stem, ending = os.path.splitext(name)
    match = _match(stem)
    if ending != '.npy' or not match:
      continue
    split, classes = match[0]['split'], match[0].get('classes')
    if classes:
      # train_extra becomes extra_train, a protocol of its own.
      subset = '_'.join(reversed(split.split('_')))
      split = f'babel{classes}_{subset}'
    if split in found:
      raise errors.UserError(
        f'{folder} has two arrays of split {split!r}:'
        f' {os.path.basename(found[split])} and {name}. Choose with'
        ' train=TRAIN.npy,val=VAL.npy.'
      )
    found[split] = os.path.join(folder, name)
  if not found:
    raise errors.UserError(
      f'{folder} has no array with a published name: train_data.npy,'
      ' train_data_joint.npy or train_ntu_sk_60.npy, and the same for val.'
      ' Name the arrays: train=TRAIN.npy,val=VAL.npy.'
    )
  return found


def _match(stem: str) -> tuple[dict[str, str], str] | None:
  """The parts of an array's published name, and the name of its labels."""
  for pattern, label in _PAIRS:
    match = pattern.fullmatch(stem)
    if match:
      return match.groupdict(), label.format(**match.groupdict())
  return None


def label_path(path: str) -> str:
  """Return the label pickle of an array; UserError if it does not exist."""
  folder, name = os.path.split(path)
  stem = os.path.splitext(name)[0]
  match = _match(stem)
  wanted = f'{match[1] if match else f"{stem}_label"}.pkl'
  result = os.path.join(folder, wanted)
  if not os.path.isfile(result):
    raise errors.UserError(
      f'{path}: its labels {wanted} are missing. Expected {_LABEL_FORMAT}.'
    )
  return result


def _check_shape(array: row_array.RowArray) -> None:
  is_5d = len(array.shape) == 5 and array.shape[1] in (2, 3)
  if not is_5d or 0 in array.shape:
    raise errors.UserError(
      f'{array.name} has shape {array.shape}. Expected [clips, channels, frames,'
      ' joints, persons], not empty, with 2 or 3 channels.'
    )


def _read_labels(path: str) -> _Labels:
  root = safe_pickle.load(path, expected=_LABEL_FORMAT)
  if not isinstance(root, list | tuple) or len(root) != 2:
    raise _wrong_labels(path, 'it contains something else')
  names, labels = root
  is_babel = (
    isinstance(labels, list | tuple)
    and len(labels) == 4
    and all(isinstance(part, list | tuple | np.ndarray) for part in labels)
  )
  columns = [_column(names, path, 'names')]
  if is_babel:
    columns += [_column(part, path, 'ids') for part in labels[1:]]
    labels = labels[0]
  numbers = _column(labels, path, 'labels')
  if any(len(column) != len(numbers) for column in columns):
    lengths = ', '.join(f'{len(column):,}' for column in columns)
    raise _wrong_labels(
      path, f'it has {lengths} names for {len(numbers):,} labels'
    )
  for position, number in enumerate(numbers):
    if not checks.is_integer(number):
      raise _wrong_labels(path, f'label {position} is {number!r}')
  ids = ['_'.join(str(part) for part in parts) for parts in zip(*columns)]
  for suffix in _SUFFIXES:
    ids = [sample_id.removesuffix(suffix) for sample_id in ids]
  return _Labels(tuple(ids), tuple(int(n) for n in numbers), is_babel)


def _column(values: Any, path: str, name: str) -> Sequence[Any]:
  if isinstance(values, np.ndarray) and values.ndim == 1:
    return values.tolist()
  if not isinstance(values, list | tuple):
    raise _wrong_labels(path, f'its {name} are of type {type(values).__name__}')
  return values


def _wrong_labels(path: str, problem: str) -> errors.UserError:
  return errors.UserError(
    f'{path} is not a file of labels: {problem}. Expected {_LABEL_FORMAT}.'
  )


def _distinct(ids: Sequence[str]) -> tuple[str, ...]:
  """Number the second and later copies of an id."""
  counts: dict[str, int] = {}
  result = []
  for sample_id in ids:
    counts[sample_id] = count = counts.get(sample_id, 0) + 1
    result.append(sample_id if count == 1 else f'{sample_id}#{count}')
  return tuple(result)
