"""Northwestern-UCLA as CTR-GCN distributes it: a JSON file a clip.

A file such as a01_s02_e03_v01.json is action 1, subject 2, recording 3, camera
1; it holds {"file_name", "skeletons" [frames, 20 joints, 3], "label"}, metres,
the label counted from 1. Actions 7 and 10 do not exist, so labels are not the
numbers in the names.
"""

import os
import re
from typing import Any

import numpy as np

from skeljax import errors
from skeljax import skeletons
from skeljax.readers import annotations as annotations_lib
from skeljax.readers import arrays
from skeljax.readers import clip_files
from skeljax.readers import json_files

LAYOUT = 'ucla'
_NUM_JOINTS = skeletons.LAYOUTS[LAYOUT].num_joints
_NUM_COORDINATES = 3
_NAME = re.compile(r'a(\d\d)_s(\d\d)_e(\d\d)_v(\d\d)', flags=re.ASCII)
_ENDING = '.json'

# Action -> class; a label is the position here.
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
_LABELS = {action: label for label, action in enumerate(_CLASSES)}
_TRAIN_CAMERAS = (1, 2)
_NUM_CAMERAS = 3


def read_annotations(folder: str | os.PathLike) -> annotations_lib.Annotations:
  """The clips of a folder (all_sqe), by name.

  Args:
    folder: holds the .json files; others in it do not count.

  Returns:
    Items that are read when asked for; splits 'xview_train' (cameras 1 and 2)
    and 'xview_val' (camera 3); the ten class names.

  Raises:
    UserError: no such folder, no clip in it, or a name that does not fit.
  """
  folder = os.fspath(folder)
  if not os.path.isdir(folder):
    raise errors.UserError(
      f'There is no folder {folder}. Expected the folder all_sqe of'
      ' Northwestern-UCLA with its .json files.'
    )
  paths = json_files.folder_files(folder, _ENDING)
  if not paths:
    raise errors.UserError(
      f'{folder} holds no .json file. Expected those of Northwestern-UCLA,'
      ' such as a01_s01_e00_v01.json.'
    )
  files = []
  splits: dict[str, list[int]] = {'xview_train': [], 'xview_val': []}
  for position, path in enumerate(paths):
    name = os.path.splitext(os.path.basename(path))[0]
    action, camera = _parse_name(name, path)
    split = 'xview_train' if camera in _TRAIN_CAMERAS else 'xview_val'
    splits[split].append(position)
    files.append(clip_files.ClipFile(name, path, _LABELS[action]))
  return annotations_lib.Annotations(
    items=clip_files.ClipFiles(tuple(files), _read_file),
    ids=tuple(file.id for file in files),
    splits={split: tuple(positions) for split, positions in splits.items()},
    label_names=tuple(_CLASSES.values()),
    unknown_ids={},
    paths=(folder,),
    starts=(0,),
  )


def is_clip(path: str | os.PathLike) -> bool:
  """Whether a file looks like a clip of this form."""
  path = os.fspath(path)
  return json_files.is_json(path) and 'skeletons' in json_files.keys(
    json_files.head(path)
  )


def read_clip(path: str | os.PathLike) -> dict[str, Any]:
  """The one person of a clip, whatever the file is called.

  Args:
    path: a .json file.

  Returns:
    'keypoint' [1, T, V, 3] metres, float32.

  Raises:
    ClipError: the file is damaged or holds something else.
  """
  return _read(os.fspath(path))[0]


def _read_file(file: clip_files.ClipFile) -> dict[str, Any]:
  item, label = _read(file.path)
  # The class counted from 1; the number of the action says the same.
  said = (file.label + 1, list(_CLASSES)[file.label])
  if label is not None and str(label) not in map(str, said):
    raise arrays.clip_error(
      'label',
      file.path,
      f"'label' is {str(label)[:40]!r}, and the name of the file says {said[0]}."
      ' Get the file again, or take it away.',
    )
  return item


def _read(path: str) -> tuple[dict[str, Any], Any]:
  """The item of a file, and its label as it stands there."""
  root = json_files.load(path)
  if not isinstance(root, dict) or 'skeletons' not in root:
    raise arrays.clip_error(
      'JSON',
      path,
      "has no 'skeletons'. Expected an object with 'file_name', 'skeletons'"
      " and 'label'.",
    )
  keypoint = _keypoint(root['skeletons'], path)
  return {'keypoint': keypoint[None]}, root.get('label')


def _keypoint(skeleton: Any, path: str) -> np.ndarray:
  """The joints [T, V, 3] of a list of lists of lists."""
  try:
    keypoint = np.array(skeleton)
  except ValueError:  # Lists of different lengths.
    keypoint = np.zeros(0)
  shape = (_NUM_JOINTS, _NUM_COORDINATES)
  if keypoint.shape[1:] != shape or keypoint.dtype.kind not in 'fiu':
    raise arrays.clip_error(
      'joints',
      path,
      f"'skeletons' is not a list of frames with {_NUM_JOINTS} joints of"
      f' {_NUM_COORDINATES} numbers each{_first_odd(skeleton)}.',
    )
  with np.errstate(over='ignore'):  # What overflows is found when checked.
    return keypoint.astype(np.float32)


def _first_odd(skeleton: Any) -> str:
  """Which frame has other joints, in words."""
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
  """Action and camera of a file's name."""
  match = _NAME.fullmatch(name)
  action, _, _, camera = map(int, match.groups()) if match else (0,) * 4
  if action not in _CLASSES or not 0 < camera <= _NUM_CAMERAS:
    raise errors.UserError(
      f'{path}: {name!r} is no name of a Northwestern-UCLA clip. Expected'
      ' aAA_sSS_eEE_vVV with one of its ten actions and camera 1, 2 or 3, as in'
      ' a01_s01_e00_v01. Clips of your own take --source=clips with a list of'
      ' labels.'
    )
  return action, camera
