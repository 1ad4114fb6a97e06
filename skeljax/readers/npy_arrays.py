"""Arrays of whole data sets: ST-GCN, 2s-AGCN and BABEL.

A split is an array [clips, channels, frames, joints, persons] in an .npy file,
and a pickle that names the clips and their labels:

- ST-GCN, 2s-AGCN and their descendants: (names, labels), beside
  train_data.npy or train_data_joint.npy as train_label.pkl. Frames behind the
  last person are zero; they are left out here, and padding with zeros to the
  length of the array gives it back.
- BABEL: (segments, (labels, sequences, chunks, annotators)), beside
  train_ntu_sk_60.npy as train_label_60.pkl. All 150 frames are kept, and
  coordinates become float16, as mmaction2's converter has it.
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
from skeljax.readers import annotations as annotations_lib
from skeljax.readers import clip_files
from skeljax.readers import clips
from skeljax.readers import pickles
from skeljax.readers import row_arrays
from skeljax.readers import safe_pickle

_AXES = '[clips, channels, frames, joints, persons]'
_LABEL_FORM = (
  'a pickle with (names, labels), or with (segments, (labels, sequences,'
  ' chunks, annotators)) as BABEL has it'
)
# What labels belong to which array: the stem of a file of an array, and the
# name of its labels.
_PAIRS = (
  (
    re.compile(r'(?P<split>\w+)_ntu_sk_(?P<classes>\d+)'),
    '{split}_label_{classes}',
  ),
  (re.compile(r'(?P<split>\w+?)_data(_joint)?'), '{split}_label'),
)
# Endings of the files from which the names of clips were taken.
_SUFFIXES = ('.skeleton', '.json')

Paths = str | os.PathLike | Mapping[str, str | os.PathLike]


@dataclasses.dataclass(frozen=True)
class _Labels:
  """What a pickle of labels says."""

  ids: tuple[str, ...]
  labels: tuple[int, ...]
  is_babel: bool


def read_annotations(
  source: Paths, labels: Mapping[str, str | os.PathLike] | None = None
) -> annotations_lib.Annotations:
  """The clips of one array a split.

  Args:
    source: a folder; or one array for each split, as a mapping or as the text
      'train=a.npy,val=b.npy'. In a folder, train_data.npy and
      train_data_joint.npy are split 'train', and train_ntu_sk_60.npy is
      'babel60_train'.
    labels: split -> the pickle of its labels; by default it is looked for
      beside the array, under its published name.

  Returns:
    Items that are read when asked for. An id that BABEL has several times (a
    segment with several actions is a clip for each) gets '#2', '#3' at its
    end.

  Raises:
    UserError: files are missing, unreadable, or do not fit each other.
  """
  arrays = _find_arrays(source)
  files, splits, starts, rows = [], {}, [], {}
  num_repeated = 0
  for split, path in arrays.items():
    array = row_arrays.open_npy(path)
    _check_axes(array)
    told = (labels or {}).get(split)
    labels_at = os.fspath(told or label_path(path))
    said = _read_labels(labels_at)
    if len(said.ids) != len(array):
      raise errors.UserError(
        f'{path} holds {len(array):,} clips and {labels_at} names'
        f' {len(said.ids):,}. They must be of the same data set and split.'
      )
    ids = said.ids
    if said.is_babel:
      ids = _distinct(ids)
      num_repeated += sum(a != b for a, b in zip(ids, said.ids))
    starts.append(len(files))
    rows[path] = _Source(array, said.is_babel)
    files += [
      clip_files.ClipFile(sample_id, path, label, row)
      for row, (sample_id, label) in enumerate(zip(ids, said.labels))
    ]
    splits[split] = range(starts[-1], len(files))
  if num_repeated:
    logging.info('%d clips share a segment with others', num_repeated)
  return annotations_lib.Annotations(
    items=clip_files.ClipFiles(
      tuple(files), functools.partial(_read_row, sources=rows)
    ),
    ids=tuple(file.id for file in files),
    splits=splits,
    label_names=(),
    unknown_ids={},
    paths=tuple(arrays.values()),
    starts=tuple(starts),
  )


@dataclasses.dataclass(frozen=True)
class _Source:
  """An array, and how its clips are kept."""

  array: row_arrays.RowArray
  is_babel: bool


def _read_row(
  file: clip_files.ClipFile, *, sources: Mapping[str, _Source]
) -> dict[str, Any]:
  source = sources[file.path]
  keypoint = source.array.read(file.row).transpose(3, 1, 2, 0)  # [M, T, V, C]
  # In one piece, `any` is several times as fast.
  keypoint = np.ascontiguousarray(keypoint)
  if source.is_babel:
    with np.errstate(over='ignore'):  # What overflows is found when checked.
      return {'keypoint': keypoint.astype(np.float16)}
  return {'keypoint': trim(keypoint)}


def trim(keypoint: np.ndarray) -> np.ndarray:
  """[M, T, V, C] without the empty persons and frames at its end.

  A clip in which nobody is seen stays as it is, for the check to find.
  """
  is_seen = keypoint.any(axis=(2, 3))
  persons, frames = (np.flatnonzero(is_seen.any(axis=axis)) for axis in (1, 0))
  if not len(frames):
    return keypoint
  return np.ascontiguousarray(keypoint[: persons[-1] + 1, : frames[-1] + 1])


def _find_arrays(source: Paths) -> dict[str, str]:
  """Split -> the file of its array."""
  paths = pickles.split_paths(source)
  if not isinstance(paths, str):
    return paths
  if os.path.isdir(paths):
    return _arrays_of_folder(paths)
  raise errors.UserError(
    f'{paths!r} is one array, and a data set has one for each split: give'
    ' them as train=TRAIN.npy,val=VAL.npy, or the folder that holds them.'
  )


def _arrays_of_folder(folder: str) -> dict[str, str]:
  """The arrays of a folder that have a published name, by split."""
  try:
    names = sorted(os.listdir(folder))
  except OSError as error:
    raise errors.UserError(
      f'{folder} cannot be read: {error.strerror or error}.'
    ) from error
  found: dict[str, str] = {}
  for name in names:
    stem, ending = os.path.splitext(name)
    match = next((m for m in (p.fullmatch(stem) for p, _ in _PAIRS) if m), None)
    if ending != '.npy' or not match:
      continue
    parts = match.groupdict()
    split = parts['split']
    if 'classes' in parts:
      # train_extra becomes extra_train, a protocol of its own.
      subset = ''.join(
        f'{part}_' for part in reversed(split.split('_'))
      ).removesuffix('_')
      split = f'babel{parts["classes"]}_{subset}'
    if split in found:
      raise errors.UserError(
        f'{folder} holds two arrays of split {split!r}:'
        f' {os.path.basename(found[split])} and {name}. Say which:'
        ' train=TRAIN.npy,val=VAL.npy.'
      )
    found[split] = os.path.join(folder, name)
  if not found:
    raise errors.UserError(
      f'{folder} holds no array with a published name: train_data.npy,'
      ' train_data_joint.npy or train_ntu_sk_60.npy, and the same for val.'
      ' Name the arrays: train=TRAIN.npy,val=VAL.npy.'
    )
  return found


def label_path(path: str) -> str:
  """The pickle of labels beside an array; UserError if it is not there."""
  folder, name = os.path.split(path)
  stem = os.path.splitext(name)[0]
  matches = ((p.fullmatch(stem), label) for p, label in _PAIRS)
  wanted = next(
    (label.format(**m.groupdict()) for m, label in matches if m),
    f'{stem}_label',
  )
  result = os.path.join(folder, f'{wanted}.pkl')
  if not os.path.isfile(result):
    raise errors.UserError(
      f'{path}: there is no {wanted}.pkl beside it. Expected {_LABEL_FORM}.'
    )
  return result


def _check_axes(array: row_arrays.RowArray) -> None:
  if len(array.shape) != 5 or array.shape[1] not in (2, 3):
    raise errors.UserError(
      f'{array.name} has shape {array.shape}. Expected {_AXES} with 2 or 3'
      ' channels.'
    )
  if 0 in array.shape:
    raise errors.UserError(
      f'{array.name} has shape {array.shape}, so there is nothing in it.'
    )


def _read_labels(path: str) -> _Labels:
  root = safe_pickle.load(path, expected=_LABEL_FORM)
  if not isinstance(root, list | tuple) or len(root) != 2:
    raise _wrong_labels(path, 'it holds something else')
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
    if not clips.is_integer(number):
      raise _wrong_labels(path, f'label {position} is {number!r}')
  ids = ['_'.join(str(part) for part in parts) for parts in zip(*columns)]
  for suffix in _SUFFIXES:
    ids = [sample_id.removesuffix(suffix) for sample_id in ids]
  return _Labels(tuple(ids), tuple(int(n) for n in numbers), is_babel)


def _column(values: Any, path: str, what: str) -> Sequence[Any]:
  if isinstance(values, np.ndarray) and values.ndim == 1:
    return values.tolist()
  if not isinstance(values, list | tuple):
    raise _wrong_labels(path, f'its {what} are of type {type(values).__name__}')
  return values


def _wrong_labels(path: str, what: str) -> errors.UserError:
  return errors.UserError(
    f'{path} is no file of labels: {what}. Expected {_LABEL_FORM}.'
  )


def _distinct(ids: Sequence[str]) -> tuple[str, ...]:
  """Ids of which the second and later copies carry a number."""
  seen: dict[str, int] = {}
  result = []
  for sample_id in ids:
    seen[sample_id] = seen.get(sample_id, 0) + 1
    copy = seen[sample_id]
    result.append(sample_id if copy == 1 else f'{sample_id}#{copy}')
  return tuple(result)
