"""Read Kinetics-skeleton: the OpenPose skeletons that ST-GCN was trained on.

A folder contains kinetics_train/ID.json, kinetics_val/ID.json, and the label
files kinetics_train_label.json and kinetics_val_label.json with the label of
each clip and whether a person was detected in it. A clip is
{"data": [{"frame_index", "skeleton": [{"pose": [x0, y0, x1, ...],
"score": [...]}, ...]}, ...], "label", "label_index"}, with x and y as fractions
of the image.

The clip keeps the persons that ST-GCN keeps (see highest_scores), in pixels of
the original 340 x 256 images, so that heatmaps, boxes and angles have the right
aspect ratio. `numpy.round(keypoint / (340, 256), 6) - 0.5`, zero where the score
is zero, in float32 restores ST-GCN's array: exactly, for coordinates of up to
six decimals (the published ones have three). 2s-AGCN's array has the opposite
sign of y.
"""

from collections.abc import Mapping
import functools
import os
from typing import Any

from absl import logging
import numpy as np

from skeljax import errors
from skeljax import skeletons
from skeljax.readers import checks
from skeljax.readers import json_file
from skeljax.readers import raw_dataset

LAYOUT = 'openpose-18'
IMG_SHAPE = (256, 340)  # Height and width to which the videos were scaled.
SPLITS = ('train', 'val')
_NUM_JOINTS = skeletons.LAYOUTS[LAYOUT].num_joints
_NUM_CANDIDATES = 5
_NUM_PERSONS = 2
# Clips have 300 frames; a much larger number is a mistake and would fill memory.
_MAX_FRAMES = 100_000
_ENDING = '.json'


def read_dataset(folder: str | os.PathLike) -> raw_dataset.RawDataset:
  """List the clips of the training and validation set, by split and id.

  Clips without a detected person ('has_skeleton' false) are left out and
  counted in the log, as published.

  Args:
    folder: contains kinetics_train/, kinetics_val/ and their label files.

  Returns:
    Splits 'train' and 'val', and the class names if every label has one.

  Raises:
    UserError: the folder has no such files, or a label file is damaged or lacks
      a clip.
  """
  folder = os.fspath(folder)
  clips: list[raw_dataset.Clip] = []
  splits, unknown_ids = {}, {}
  names: dict[int, str] = {}
  for split in SPLITS:
    if not os.path.isdir(os.path.join(folder, f'kinetics_{split}')):
      continue
    entries = _read_labels(folder, split)
    names |= {e['label_index']: e.get('label') for e in entries.values()}
    found = _list_clips(folder, split, entries)
    splits[split] = range(len(clips), len(clips) + len(found))
    clips += found
    ids = {clip.id for clip in found}
    unknown = tuple(
      i for i, e in entries.items() if e['has_skeleton'] and i not in ids
    )
    if unknown:
      unknown_ids[split] = unknown
  if not clips:
    raise errors.UserError(
      f'{folder} has no clips of Kinetics-skeleton. Expected kinetics_train and'
      ' kinetics_val with one .json file per clip, kinetics_train_label.json and'
      ' kinetics_val_label.json.'
    )
  return raw_dataset.RawDataset(
    clips,
    splits,
    class_names=_class_names(names),
    unknown_ids=unknown_ids,
    source=folder,
  )


def _list_clips(
  folder: str, split: str, entries: Mapping[str, Mapping[str, Any]]
) -> list[raw_dataset.Clip]:
  """List the clips of a split that have a person."""
  clips = []
  paths = json_file.folder_files(
    os.path.join(folder, f'kinetics_{split}'), _ENDING
  )
  for path in paths:
    sample_id = os.path.basename(path)[: -len(_ENDING)]
    if sample_id not in entries:
      raise errors.UserError(
        f'{path}: kinetics_{split}_label.json has no entry for this clip. Remove'
        ' the clip, or add its label.'
      )
    entry = entries[sample_id]
    if entry['has_skeleton']:
      label = entry['label_index']
      read = functools.partial(_read_labelled, path, label)
      clips.append(raw_dataset.Clip(sample_id, label, path, read))
  num_empty = len(paths) - len(clips)
  if num_empty:
    logging.info('left out %d clips of %s without a person', num_empty, split)
  return clips


def _read_labels(folder: str, split: str) -> dict[str, dict[str, Any]]:
  """Read a label file: id -> 'label_index', 'has_skeleton', 'label'."""
  path = os.path.join(folder, f'kinetics_{split}_label.json')
  root = json_file.load(path)
  if not isinstance(root, dict) or not root:
    raise errors.UserError(
      f'{path} lists no clips. Expected an object from id to an object with'
      " 'has_skeleton', 'label' and 'label_index'."
    )
  for sample_id, entry in root.items():
    label = entry.get('label_index') if isinstance(entry, dict) else None
    if (
      not checks.is_integer(label)
      or label < 0
      or not isinstance(entry.get('has_skeleton'), bool)
    ):
      raise errors.UserError(
        f"{path}, clip {sample_id!r}: expected 'label_index', an integer from 0,"
        " and 'has_skeleton', true or false."
      )
  return root


def _class_names(names: Mapping[int, Any]) -> tuple[str, ...]:
  """One name per label, or () if one is missing or not unique."""
  if len(names) <= max(names, default=-1):
    return ()
  ordered = [names[label] for label in range(len(names))]
  is_text = all(isinstance(name, str) and name for name in ordered)
  return tuple(ordered) if is_text and len(set(ordered)) == len(names) else ()


def is_clip(path: str | os.PathLike) -> bool:
  """Whether a file looks like a clip of Kinetics-skeleton."""
  path = os.fspath(path)
  if not json_file.is_json(path):
    return False
  keys = json_file.keys(json_file.head(path))
  return 'data' in keys and ('frame_index' in keys or 'label_index' in keys)


def read_clip(path: str | os.PathLike) -> dict[str, Any]:
  """Read the persons of one clip.

  Args:
    path: a .json file.

  Returns:
    'keypoint' [M, T, V, 2] pixels and 'keypoint_score' [M, T, V], float32, M 1
    or 2; 'img_shape'. T is one more than the highest frame number; missing
    frames are zero.

  Raises:
    ClipError: the file is damaged, or has no person.
  """
  return _read(os.fspath(path))[0]


def _read_labelled(path: str, label: int) -> dict[str, Any]:
  item, own_label = _read(path)
  if own_label is not None and own_label != label:
    raise checks.ClipError(
      'label',
      path,
      f"'label_index' is {own_label!r} here and {label} in the label file. Fix"
      ' one of them.',
    )
  return item


def _read(path: str) -> tuple[dict[str, Any], Any]:
  """Read the item of a file and the label in it."""
  root = json_file.load(path)
  if not isinstance(root, dict) or not isinstance(root.get('data'), list):
    raise checks.ClipError(
      'JSON',
      path,
      "has no list 'data'. Expected an object with 'data', a list of frames"
      " with 'frame_index' and 'skeleton'.",
    )
  fraction, score = highest_scores(*_frames(root['data'], path))
  if not score.any():
    raise checks.ClipError(
      'empty',
      path,
      f'no person in its {len(root["data"]):,} frames. Leave such clips out:'
      " set 'has_skeleton' to false in the label file, or use --drop_empty.",
    )
  num_persons = 1 + int(np.flatnonzero(score.any(axis=(1, 2)))[-1])
  pixels = fraction[:num_persons] * IMG_SHAPE[::-1]
  with np.errstate(over='ignore'):  # checks.check_clip reports overflow.
    item = {
      'keypoint': pixels.astype(np.float32),
      'keypoint_score': score[:num_persons].astype(np.float32),
      'img_shape': IMG_SHAPE,
    }
  return item, root.get('label_index')


def highest_scores(
  fraction: np.ndarray, score: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Keep the two persons per frame with the highest sums of scores.

  Persons are ranked per frame, so they may swap from frame to frame.

  Args:
    fraction: [5, T, V, 2] of the image.
    score: [5, T, V].

  Returns:
    [2, T, V, 2] and [2, T, V]; joints with score 0 are zero.

  Source: ST-GCN's and 2s-AGCN's feeders, without the shift by half an image. Of
  equal sums the first in the file wins; there it depends on the processor.
  """
  fraction = np.where(score[..., None] == 0, 0, fraction)
  # NOTE: summed over the joints of [T, V, persons]; the last bit decides ties.
  sums = np.ascontiguousarray(score.transpose(1, 2, 0)).sum(axis=1)
  order = (-sums).argsort(axis=1, kind='stable').T[:_NUM_PERSONS]  # [2, T]
  return (
    np.take_along_axis(fraction, order[..., None, None], axis=0),
    np.take_along_axis(score, order[..., None], axis=0),
  )


def _frames(data: list[Any], path: str) -> tuple[np.ndarray, np.ndarray]:
  """Positions [5, T, V, 2] and scores [5, T, V] of a list of frames."""
  numbers = [_frame_number(frame, path) for frame in data]
  repeated = raw_dataset.duplicates(numbers)
  if repeated:
    raise checks.ClipError(
      'frame numbers',
      path,
      f"'frame_index' {repeated[0]} occurs more than once. Expected every frame"
      ' once.',
    )
  num_frames = 1 + max(numbers, default=-1)
  fraction = np.zeros((_NUM_CANDIDATES, num_frames, _NUM_JOINTS, 2))
  score = np.zeros((_NUM_CANDIDATES, num_frames, _NUM_JOINTS))
  for number, frame in zip(numbers, data):
    for person, skeleton in enumerate(frame['skeleton'][:_NUM_CANDIDATES]):
      where = f'{path}, frame {number}, skeleton {person}'
      pose = _numbers(skeleton, 'pose', 2 * _NUM_JOINTS, where)
      fraction[person, number] = pose.reshape(_NUM_JOINTS, 2)
      score[person, number] = _numbers(skeleton, 'score', _NUM_JOINTS, where)
  return fraction, score


def _frame_number(frame: Any, path: str) -> int:
  number = frame.get('frame_index') if isinstance(frame, dict) else None
  if not checks.is_integer(number) or not 0 <= number < _MAX_FRAMES:
    raise checks.ClipError(
      'frame numbers',
      path,
      f"a 'frame_index' is {str(number)[:40]}. Expected an integer from 0 to"
      f' {_MAX_FRAMES - 1:,}.',
    )
  if not isinstance(frame.get('skeleton'), list):
    raise checks.ClipError(
      'skeleton',
      path,
      f"frame {number} has no list 'skeleton'. Expected one, empty if there is"
      ' no person.',
    )
  return number


def _numbers(skeleton: Any, key: str, count: int, where: str) -> np.ndarray:
  """Return the list of `count` numbers under a key of a skeleton."""
  values = skeleton.get(key) if isinstance(skeleton, dict) else None
  try:
    result = np.array(values)
  except ValueError:  # Lists of different lengths.
    result = np.array('')
  if result.shape != (count,) or result.dtype.kind not in 'fiu':
    found = f'{len(values)} elements' if isinstance(values, list) else 'missing'
    raise checks.ClipError(
      'joints',
      where,
      f'{key!r} is {found}. Expected a list of {count} numbers, for the'
      f' {_NUM_JOINTS} joints of OpenPose.',
    )
  return result
