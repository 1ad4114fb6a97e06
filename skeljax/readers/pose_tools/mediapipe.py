"""Read landmarks of MediaPipe Pose: 33 joints, one entry per frame.

The file is a list of frames, JSON lines with one frame per line, or an object
with such a list as 'frames'. A frame is

  null, [] or {}    no person
  an object         with 'pose_landmarks' (or 'landmarks'), in fractions of the
                    image, and 'pose_world_landmarks' (or 'world_landmarks'), in
                    metres relative to the centre of the hips; names may be in
                    camel case, as in JavaScript
  landmarks         of either of the two, without a name

Landmarks are those of one person, 33 times {'x', 'y', 'z', 'visibility'} (or
[x, y, z, visibility]), {'landmark': [33]} as protobuf's MessageToDict writes
them, or a list with one of these per person. Frames are numbered by 'frame',
'frame_id' or 'frame_index', else by their order. The image size may be given
next to 'frames' or in every frame, as 'image_width' and 'image_height' (or
'width' and 'height').

Image landmarks are converted to pixels [V, 2] with the visibility as score;
their depth is dropped because it has no unit. World landmarks are [V, 3] with x
to the right, y downwards and z away from the camera.

Source: mediapipe/tasks/python/vision/pose_landmarker.py and the guides of the
solution before it.
"""

from collections.abc import Mapping
import dataclasses
import os
import re
from typing import Any

import numpy as np

from skeljax import errors
from skeljax import skeletons
from skeljax.readers import checks
from skeljax.readers import clip_format
from skeljax.readers import json_file
from skeljax.readers.pose_tools import fields
from skeljax.readers.pose_tools import frames
from skeljax.readers.pose_tools import pose_format

LAYOUT = 'mediapipe'
COORDINATES = ('image', 'world')

_NUM_JOINTS = skeletons.LAYOUTS[LAYOUT].num_joints
_HIPS = [
  skeletons.LAYOUTS[LAYOUT].joints.index(name)
  for name in ('left hip', 'right hip')
]
_IMAGE_KEYS = ('pose_landmarks', 'landmarks')
_WORLD_KEYS = ('pose_world_landmarks', 'world_landmarks')
_FRAME_KEYS = ('frame', 'frame_id', 'frame_index')
_SIZE_KEYS = (('image_height', 'image_width'), ('height', 'width'))
# The centre of the hips is the origin of world landmarks, up to noise, in
# metres; in an image the origin is a corner.
_NEAR_ORIGIN = 0.03
_ABSENT = object()


def is_clip(path: str) -> bool:
  """Whether a file contains landmarks, judging by its first keys."""
  if not os.path.isfile(path) or not json_file.is_json(path):
    return False
  keys = {_snake(key) for key in json_file.keys(json_file.head(path))}
  if 'landmark' in keys or keys & {_IMAGE_KEYS[0], *_WORLD_KEYS}:
    return True
  return {'x', 'y', 'z'} <= keys and bool(keys & {'visibility', 'landmarks'})


def _snake(key: str) -> str:
  """Convert camel case to snake case."""
  return re.sub(r'(?<=[a-z])([A-Z])', r'_\1', key).lower()


def read_frames(
  path: str, options: clip_format.ReadOptions
) -> frames.PoseFrames:
  """Read the persons of every frame, in `options.coordinates`.

  Raises:
    UserError: `options.coordinates` is neither 'image' nor 'world'.
    ClipError: the file does not contain such landmarks.
  """
  coordinates = options.coordinates
  if coordinates not in COORDINATES:
    raise errors.UserError(
      f'--coordinates={coordinates}: expected image or world.'
    )
  content, size = _list_of_frames(json_file.load_lines(path), path)
  persons: dict[int, list[frames.Person]] = {}
  hips = []
  for position, entry in enumerate(content):
    where = f'{path}, frame {position}'
    entry = {} if entry is None else entry
    number = position
    if isinstance(entry, dict):
      entry = {_snake(key): value for key, value in entry.items()}
      number = _frame_number(entry, position, where)
      size = size or _size(entry, where)
    fields.check_new(number, persons, path)
    image, world, is_named = _image_and_world(entry, where)
    persons[number] = _persons(image, world, coordinates, where)
    if not is_named:
      hips += [person.keypoint[_HIPS, :2] for person in persons[number]]
  if hips:
    _check_unnamed(np.array(hips), coordinates, path)
  if any(p.position is None for frame in persons.values() for p in frame):
    # Tracking uses the positions in the image for all persons, or for none.
    persons = {
      number: [dataclasses.replace(p, position=None) for p in frame]
      for number, frame in persons.items()
    }
  return frames.PoseFrames(persons, size, is_fraction=coordinates == 'image')


def _list_of_frames(
  content: Any, path: str
) -> tuple[list[Any], tuple[int, int] | None]:
  """Return the entries of the frames, and the image size if given."""
  size = None
  if isinstance(content, dict) and 'frames' in content:
    size = _size({_snake(k): v for k, v in content.items()}, path)
    content = content['frames']
  elif isinstance(content, dict):
    content = [content]
  if not isinstance(content, list):
    fields.fail(content, 'a list with one entry per frame', path)
  if content and _is_landmark(content[0]):
    content = [content]
  return content, size


def _is_landmark(value: Any) -> bool:
  """Whether a value is one landmark: an object with x, or [x, y, z, ...]."""
  if isinstance(value, list):
    return bool(value) and isinstance(value[0], int | float)
  return isinstance(value, dict) and 'x' in value


def _frame_number(entry: Mapping[str, Any], position: int, where: str) -> int:
  for key in _FRAME_KEYS:
    if key in entry:
      return fields.frame_number(entry[key], key, where)
  return position


def _size(entry: Mapping[str, Any], where: str) -> tuple[int, int] | None:
  for height, width in _SIZE_KEYS:
    if height in entry and width in entry:
      return fields.img_shape(entry[height], entry[width], where)
  return None


def _image_and_world(entry: Any, where: str) -> tuple[Any, Any, bool]:
  """Return image landmarks, world landmarks, and whether these are named.

  Landmarks that an entry does not have are `_ABSENT`.
  """
  if isinstance(entry, list) or (
    isinstance(entry, dict) and 'landmark' in entry
  ):
    return entry, entry, not entry
  if not isinstance(entry, dict):
    fields.fail(entry, 'the landmarks of a frame, or null', where)
  if not entry:
    return [], [], True
  image, world = (
    next((entry[key] for key in keys if key in entry), _ABSENT)
    for keys in (_IMAGE_KEYS, _WORLD_KEYS)
  )
  if image is _ABSENT and world is _ABSENT:
    fields.fail(
      entry,
      "an object with 'pose_landmarks' or 'pose_world_landmarks', or null for a"
      ' frame without a person',
      where,
    )
  return image, world, True


def _persons(
  image: Any, world: Any, coordinates: str, where: str
) -> list[frames.Person]:
  """Convert the persons of a frame, in the given coordinates."""
  wanted, other = (image, world) if coordinates == 'image' else (world, image)
  if wanted is _ABSENT:
    found = 'world' if coordinates == 'image' else 'image'
    raise checks.ClipError(
      'coordinates',
      where,
      f'has {found} landmarks and no {coordinates} landmarks. Write both, or'
      f' give --coordinates={found}.',
    )
  poses = _poses(wanted, where)
  positions = (
    [] if other is _ABSENT or coordinates == 'image' else _poses(other, where)
  )
  if len(positions) != len(poses) or image is world:
    positions = [None] * len(poses)
  persons = []
  for pose, position in zip(poses, positions):
    values = pose[:, :2] if coordinates == 'image' else pose[:, :3]
    # The visibility is NaN if the file has none.
    score = None if np.isnan(pose[:, 3]).all() else pose[:, 3]
    if position is not None:
      position = np.nan_to_num(position[:, :2])
    persons.append(frames.person(values, score, where, position=position))
  return persons


def _poses(value: Any, where: str) -> list[np.ndarray]:
  """Return [33, 4] x, y, z, visibility (or NaN) of every person."""
  if not value:
    return []
  if not isinstance(value, list | dict):
    fields.fail(value, 'the landmarks of the persons', where)
  if isinstance(value, dict) or _is_landmark(value[0]):
    value = [value]
  return [_pose(pose, where) for pose in value]


def _pose(pose: Any, where: str) -> np.ndarray:
  if isinstance(pose, dict):
    pose = pose.get('landmark')
  if not isinstance(pose, list) or len(pose) != _NUM_JOINTS:
    found = f'{len(pose)} landmarks' if isinstance(pose, list) else 'no list'
    raise checks.ClipError(
      'joints',
      where,
      f'a person has {found}. Expected the {_NUM_JOINTS} of MediaPipe Pose.',
    )
  rows = [_landmark(landmark, where) for landmark in pose]
  return fields.numbers(rows, 'landmarks', where)


def _landmark(landmark: Any, where: str) -> list[Any]:
  """Return x, y, z and visibility, each None if missing."""
  if isinstance(landmark, dict) and {'x', 'y'} <= set(landmark):
    return [landmark.get(key) for key in ('x', 'y', 'z', 'visibility')]
  if isinstance(landmark, list) and 3 <= len(landmark) <= 5:
    return [*landmark[:3], landmark[3] if len(landmark) > 3 else None]
  fields.fail(landmark, "a landmark with 'x', 'y', 'z' and 'visibility'", where)


def _check_unnamed(hips: np.ndarray, coordinates: str, path: str) -> None:
  """Raise ClipError if hips [P, 2, 2] are in the other coordinates."""
  middle = np.median(np.abs(hips.mean(axis=1)))
  found = 'world' if middle < _NEAR_ORIGIN else 'image'
  if found != coordinates:
    raise checks.ClipError(
      'coordinates',
      path,
      f'its landmarks look like {found} landmarks: the centre of the hips is'
      f' {"at" if found == "world" else "far from"} the origin. Give'
      f' --coordinates={found}.',
    )


FORMAT = pose_format.pose_format(
  'mediapipe',
  'JSON with pose_landmarks or pose_world_landmarks of every frame',
  is_clip=is_clip,
  read_frames=read_frames,
  layouts=LAYOUT,
)
