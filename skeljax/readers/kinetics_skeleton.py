"""Kinetics-skeleton: the OpenPose skeletons that ST-GCN was trained on.

A folder holds kinetics_train/ID.json, kinetics_val/ID.json, and beside them
kinetics_train_label.json and kinetics_val_label.json, which say the label of
each clip and whether anybody was found in it. A clip is
{"data": [{"frame_index", "skeleton": [{"pose": [x0, y0, x1, ...],
"score": [...]}, ...]}, ...], "label", "label_index"}, x and y as fractions of
the picture.

A clip becomes what ST-GCN sees of it, in pixels of the pictures from which it
was made (340 x 256), as other 2D skeletons are, so that heatmaps, boxes and
angles have the right shape: of each frame's first five skeletons the two with
the highest scores, the higher one first, and joints with score 0 at (0, 0).
ST-GCN's array comes back from it as
`numpy.round(keypoint / (340, 256), 6) - 0.5`, with zero where the score is
zero, in float32: exactly, for coordinates of up to six decimals (the published
ones have three). 2s-AGCN's array has y with the other sign.
"""

from collections.abc import Mapping
import os
from typing import Any

from absl import logging
import numpy as np

from skeljax import errors
from skeljax import skeletons
from skeljax.readers import annotations as annotations_lib
from skeljax.readers import arrays
from skeljax.readers import clip_files
from skeljax.readers import clips
from skeljax.readers import json_files

LAYOUT = 'openpose-18'
_NUM_JOINTS = skeletons.LAYOUTS[LAYOUT].num_joints
# Height and width to which the videos were scaled.
IMG_SHAPE = (256, 340)
SPLITS = ('train', 'val')
_NUM_SEEN = 5
_NUM_KEPT = 2
# Of a clip of ten seconds at 30 frames a second; a frame number far beyond is
# a mistake that would fill the memory.
_MAX_FRAMES = 100_000
_ENDING = '.json'


def read_annotations(folder: str | os.PathLike) -> annotations_lib.Annotations:
  """The clips of the training and validation set, by split and id.

  Clips in which nobody was found ('has_skeleton' false) are left out and
  counted in the log, as published.

  Args:
    folder: holds kinetics_train/, kinetics_val/ and their label files.

  Returns:
    Items that are read when asked for, splits 'train' and 'val', and the class
    names where every label has one.

  Raises:
    UserError: nothing of this is there, or a list of labels is damaged or does
      not name a clip that is there.
  """
  folder = os.fspath(folder)
  files: list[clip_files.ClipFile] = []
  splits, unknown = {}, {}
  names: dict[int, str] = {}
  for split in SPLITS:
    if not os.path.isdir(os.path.join(folder, f'kinetics_{split}')):
      continue
    start = len(files)
    listed = _read_labels(folder, split)
    names |= {e['label_index']: e.get('label') for e in listed.values()}
    files += _list_clips(folder, split, listed)
    splits[split] = range(start, len(files))
    there = {file.id for file in files[start:]}
    missing = tuple(
      i for i, e in listed.items() if e['has_skeleton'] and i not in there
    )
    if missing:
      unknown[split] = missing
  if not files:
    raise errors.UserError(
      f'{folder} holds no clips of Kinetics-skeleton. Expected the folders'
      ' kinetics_train and kinetics_val with a .json file a clip, and'
      ' kinetics_train_label.json and kinetics_val_label.json beside them.'
    )
  return annotations_lib.Annotations(
    items=clip_files.ClipFiles(tuple(files), _read_file),
    ids=tuple(file.id for file in files),
    splits=splits,
    label_names=_label_names(names),
    unknown_ids=unknown,
    paths=(folder,),
    starts=(0,),
  )


def _list_clips(
  folder: str, split: str, listed: Mapping[str, Mapping[str, Any]]
) -> list[clip_files.ClipFile]:
  """The clips of a split in which somebody was found."""
  files = []
  num_empty = 0
  for path in json_files.folder_files(
    os.path.join(folder, f'kinetics_{split}'), _ENDING
  ):
    sample_id = os.path.basename(path)[: -len(_ENDING)]
    if sample_id not in listed:
      raise errors.UserError(
        f'{path}: kinetics_{split}_label.json does not name this clip. Take it'
        ' away, or add its label.'
      )
    entry = listed[sample_id]
    if entry['has_skeleton']:
      files.append(clip_files.ClipFile(sample_id, path, entry['label_index']))
    else:
      num_empty += 1
  if num_empty:
    logging.info('left out %d clips of %s without anybody', num_empty, split)
  return files


def _read_labels(folder: str, split: str) -> dict[str, dict[str, Any]]:
  """The label file of a split: id -> 'label_index', 'has_skeleton', 'label'."""
  path = os.path.join(folder, f'kinetics_{split}_label.json')
  root = json_files.load(path)
  if not isinstance(root, dict) or not root:
    raise errors.UserError(
      f'{path} lists no clips. Expected an object from id to an object with'
      " 'has_skeleton', 'label' and 'label_index'."
    )
  for sample_id, entry in root.items():
    label = entry.get('label_index') if isinstance(entry, dict) else None
    if (
      not clips.is_integer(label)
      or label < 0
      or not isinstance(entry.get('has_skeleton'), bool)
    ):
      raise errors.UserError(
        f"{path}, clip {sample_id!r}: expected 'label_index', a whole number"
        " from 0, and 'has_skeleton', true or false."
      )
  return root


def _label_names(names: Mapping[int, Any]) -> tuple[str, ...]:
  """One name a label, or () where one is missing or not distinct."""
  if len(names) <= max(names, default=-1):
    return ()
  ordered = [names[label] for label in range(len(names))]
  is_text = all(isinstance(name, str) and name for name in ordered)
  if not is_text or len(set(ordered)) < len(ordered):
    return ()
  return tuple(ordered)


def is_clip(path: str | os.PathLike) -> bool:
  """Whether a file looks like a clip of this form."""
  path = os.fspath(path)
  if not json_files.is_json(path):
    return False
  keys = json_files.keys(json_files.head(path))
  return 'data' in keys and ('frame_index' in keys or 'label_index' in keys)


def read_clip(path: str | os.PathLike) -> dict[str, Any]:
  """The persons of one clip.

  Args:
    path: a .json file.

  Returns:
    'keypoint' [M, T, V, 2] pixels and 'keypoint_score' [M, T, V], float32, M 1
    or 2; 'img_shape'. T is one more than the highest frame number; frames that
    are missing in between are empty.

  Raises:
    ClipError: the file is damaged, or nobody is in it.
  """
  return _read(os.fspath(path))[0]


def _read_file(file: clip_files.ClipFile) -> dict[str, Any]:
  item, label = _read(file.path)
  if label is not None and label != file.label:
    raise arrays.clip_error(
      'label',
      file.path,
      f"'label_index' is {label!r} here and {file.label} in the list of labels."
      ' Mend one of them.',
    )
  return item


def _read(path: str) -> tuple[dict[str, Any], Any]:
  """The item of a file, and its label as it stands there."""
  root = json_files.load(path)
  if not isinstance(root, dict) or not isinstance(root.get('data'), list):
    raise arrays.clip_error(
      'JSON',
      path,
      "has no list 'data'. Expected an object with 'data', a list of frames"
      " with 'frame_index' and 'skeleton'.",
    )
  fraction, score = highest_scores(*_frames(root['data'], path))
  if not score.any():
    raise arrays.clip_error(
      'empty',
      path,
      f'nobody is seen in its {len(root["data"]):,} frames. Leave such clips'
      " out: 'has_skeleton' false in the list of labels, or --drop_empty.",
    )
  num_persons = 1 + int(np.flatnonzero(score.any(axis=(1, 2)))[-1])
  pixels = fraction[:num_persons] * IMG_SHAPE[::-1]
  with np.errstate(over='ignore'):  # What overflows is found when checked.
    item = {
      'keypoint': pixels.astype(np.float32),
      'keypoint_score': score[:num_persons].astype(np.float32),
      'img_shape': IMG_SHAPE,
    }
  return item, root.get('label_index')


def highest_scores(
  fraction: np.ndarray, score: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """The persons that ST-GCN keeps: two a frame, by the sum of their scores.

  A person is whoever is first or second in a frame, so persons may swap from
  one frame to the next.

  Args:
    fraction: [5, T, V, 2] of the picture.
    score: [5, T, V].

  Returns:
    [2, T, V, 2] and [2, T, V]; joints with score 0 are zero.

  Source: ST-GCN's and 2s-AGCN's feeders, without their shift by half a
  picture. Of equal sums the one that the file has first comes first; there, it
  depends on the processor.
  """
  fraction = np.where(score[..., None] == 0, 0, fraction)
  # NOTE: summed over the joints of [T, V, persons]; the last bit decides ties.
  sums = np.ascontiguousarray(score.transpose(1, 2, 0)).sum(axis=1)
  order = (-sums).argsort(axis=1, kind='stable').T[:_NUM_KEPT]  # [2, T]
  return (
    np.take_along_axis(fraction, order[..., None, None], axis=0),
    np.take_along_axis(score, order[..., None], axis=0),
  )


def _frames(data: list[Any], path: str) -> tuple[np.ndarray, np.ndarray]:
  """Positions [5, T, V, 2] and scores [5, T, V] of a list of frames."""
  numbers = [_frame_number(frame, path) for frame in data]
  repeated = annotations_lib.repeated([str(number) for number in numbers])
  if repeated:
    raise arrays.clip_error(
      'frame numbers',
      path,
      f"'frame_index' {repeated[0]} occurs more than once. Expected every frame"
      ' once.',
    )
  num_frames = 1 + max(numbers, default=-1)
  fraction = np.zeros((_NUM_SEEN, num_frames, _NUM_JOINTS, 2))
  score = np.zeros((_NUM_SEEN, num_frames, _NUM_JOINTS))
  for number, frame in zip(numbers, data):
    for person, skeleton in enumerate(frame['skeleton'][:_NUM_SEEN]):
      where = f'{path}, frame {number}, skeleton {person}'
      pose = _numbers(skeleton, 'pose', 2 * _NUM_JOINTS, where)
      fraction[person, number] = pose.reshape(_NUM_JOINTS, 2)
      score[person, number] = _numbers(skeleton, 'score', _NUM_JOINTS, where)
  return fraction, score


def _frame_number(frame: Any, path: str) -> int:
  number = frame.get('frame_index') if isinstance(frame, dict) else None
  if not clips.is_integer(number) or not 0 <= number < _MAX_FRAMES:
    raise arrays.clip_error(
      'frame numbers',
      path,
      f"a frame's 'frame_index' is {str(number)[:40]}. Expected a whole number"
      f' from 0 to {_MAX_FRAMES - 1:,}.',
    )
  if not isinstance(frame.get('skeleton'), list):
    raise arrays.clip_error(
      'skeleton',
      path,
      f"frame {number} has no list 'skeleton'. Expected one, empty where nobody"
      ' is seen.',
    )
  return number


def _numbers(skeleton: Any, key: str, count: int, where: str) -> np.ndarray:
  """The list of so many numbers that a skeleton has under a key."""
  values = skeleton.get(key) if isinstance(skeleton, dict) else None
  try:
    result = np.array(values)
  except ValueError:  # Lists of different lengths.
    result = np.array('')
  if result.shape != (count,) or result.dtype.kind not in 'fiu':
    found = f'{len(values)} elements' if isinstance(values, list) else 'missing'
    raise arrays.clip_error(
      'joints',
      where,
      f'{key!r} is {found}. Expected a list of {count} numbers, for the'
      f' {_NUM_JOINTS} joints of OpenPose.',
    )
  return result
