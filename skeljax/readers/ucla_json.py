"""Read Northwestern-UCLA as CTR-GCN distributes it: one JSON file per clip.

a01_s02_e03_v01.json is action 1, subject 2, repetition 3, camera 1; it contains
{"file_name", "skeletons" [frames, 20 joints, 3], "label"}, in metres, with labels
from 1. There are no actions 7 and 10, so labels differ from action numbers.
"""

import functools
import os
import re
from typing import Any

import numpy as np

from skeljax import errors
from skeljax import skeletons
from skeljax.readers import checks
from skeljax.readers import json_file
from skeljax.readers import raw_dataset

LAYOUT = 'ucla'
_NUM_JOINTS = skeletons.LAYOUTS[LAYOUT].num_joints
_NAME = re.compile(r'a(\d\d)_s(\d\d)_e(\d\d)_v(\d\d)', flags=re.ASCII)

# Action number -> class name, in the order of the labels.
_CLASSES = {
  1: 'pick up with one hand',
  2: 'pick up with two hands',
  3: 'drop trash',
  4: 'walk around',
  5: 'sit down',
  6: 'stand up',
  8: 'donning',
  9: 'doffing',
  11: 'throw',
  12: 'carry',
}
_ACTIONS = tuple(_CLASSES)
_CAMERA_SPLITS = {1: 'xview_train', 2: 'xview_train', 3: 'xview_val'}


def read_dataset(folder: str | os.PathLike) -> raw_dataset.RawDataset:
  """List the clips of a folder (all_sqe), by name.

  Args:
    folder: contains the .json files; other files are ignored.

  Returns:
    Splits 'xview_train' (cameras 1 and 2) and 'xview_val' (camera 3); the ten
    class names.

  Raises:
    UserError: there is no such folder, no clip in it, or a wrong file name.
  """
  folder = os.fspath(folder)
  paths = (
    json_file.folder_files(folder, '.json') if os.path.isdir(folder) else []
  )
  if not paths:
    raise errors.UserError(
      f'There is no folder {folder} with .json files. Expected all_sqe of'
      ' Northwestern-UCLA, with files such as a01_s01_e00_v01.json.'
    )
  clips = []
  splits: dict[str, list[int]] = {'xview_train': [], 'xview_val': []}
  for position, path in enumerate(paths):
    name = os.path.splitext(os.path.basename(path))[0]
    action, camera = _parse_name(name, path)
    splits[_CAMERA_SPLITS[camera]].append(position)
    label = _ACTIONS.index(action)
    read = functools.partial(_read_labelled, path, label)
    clips.append(raw_dataset.Clip(name, label, path, read))
  return raw_dataset.RawDataset(
    clips,
    {split: tuple(positions) for split, positions in splits.items()},
    class_names=tuple(_CLASSES.values()),
    source=folder,
  )


def is_clip(path: str | os.PathLike) -> bool:
  """Whether a file looks like a clip of Northwestern-UCLA."""
  path = os.fspath(path)
  return json_file.is_json(path) and 'skeletons' in json_file.keys(
    json_file.head(path)
  )


def read_clip(path: str | os.PathLike) -> dict[str, Any]:
  """Read the person of a clip, whatever the file name.

  Args:
    path: a .json file.

  Returns:
    'keypoint' [1, T, V, 3] metres, float32.

  Raises:
    ClipError: the file is damaged or contains something else.
  """
  return _read(os.fspath(path))[0]


def _read_labelled(path: str, label: int) -> dict[str, Any]:
  item, own_label = _read(path)
  # Either the class counted from 1 or the number of the action.
  if own_label is not None and str(own_label) not in map(
    str, (label + 1, _ACTIONS[label])
  ):
    raise checks.ClipError(
      'label',
      path,
      f"'label' is {str(own_label)[:40]!r}, but the file name means {label + 1}."
      ' Get the file again, or remove it.',
    )
  return item


def _read(path: str) -> tuple[dict[str, Any], Any]:
  """Read the item of a file and the label in it."""
  root = json_file.load(path)
  if not isinstance(root, dict) or 'skeletons' not in root:
    raise checks.ClipError(
      'JSON',
      path,
      "has no 'skeletons'. Expected an object with 'file_name', 'skeletons'"
      " and 'label'.",
    )
  keypoint = _keypoint(root['skeletons'], path)
  return {'keypoint': keypoint[None]}, root.get('label')


def _keypoint(skeleton: Any, path: str) -> np.ndarray:
  """Convert nested lists to joints [T, V, 3]."""
  try:
    keypoint = np.array(skeleton)
  except ValueError:  # Lists of different lengths.
    keypoint = np.zeros(0)
  if keypoint.shape[1:] != (_NUM_JOINTS, 3) or keypoint.dtype.kind not in 'fiu':
    raise checks.ClipError(
      'joints',
      path,
      f"'skeletons' is not a list of frames with {_NUM_JOINTS} joints of 3"
      f' numbers each{_first_odd(skeleton)}.',
    )
  with np.errstate(over='ignore'):  # checks.check_clip reports overflow.
    return keypoint.astype(np.float32)


def _first_odd(skeleton: Any) -> str:
  """Name the first frame with another number of joints."""
  if not isinstance(skeleton, list):
    return ''
  if not skeleton:
    return ': it has no frames'
  for position, frame in enumerate(skeleton):
    if not isinstance(frame, list) or len(frame) != _NUM_JOINTS:
      found = f'{len(frame)}' if isinstance(frame, list) else 'no list of'
      return f': frame {position} has {found} joints'
  return ''


def _parse_name(name: str, path: str) -> tuple[int, int]:
  """Return action and camera of a file name."""
  match = _NAME.fullmatch(name)
  action, _, _, camera = map(int, match.groups()) if match else (0,) * 4
  if action not in _CLASSES or camera not in _CAMERA_SPLITS:
    raise errors.UserError(
      f'{path}: {name!r} is not the name of a Northwestern-UCLA clip. Expected'
      ' aAA_sSS_eEE_vVV with one of its ten actions and camera 1, 2 or 3, as in'
      ' a01_s01_e00_v01. For your own clips use --source=clips with a list of'
      ' labels.'
    )
  return action, camera
