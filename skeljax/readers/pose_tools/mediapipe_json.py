"""The landmarks of MediaPipe Pose, 33 joints, one entry a frame.

A list of frames, JSON lines with one a line, or an object with such a list as
'frames'. A frame is

  null, [] or {}    nobody is seen
  an object         with 'pose_landmarks' (or 'landmarks'), in fractions of the
                    picture, and 'pose_world_landmarks' (or 'world_landmarks'),
                    in metres around the middle of the hips; names may be in
                    camel case, as JavaScript has them
  landmarks alone   of either kind

and landmarks are those of one person, 33 of {'x', 'y', 'z', 'visibility'} (or
[x, y, z, visibility]), {'landmark': [33]} as protobuf's MessageToDict has them,
or a list with these for every person. Frames count in their order, or by
'frame', 'frame_id' or 'frame_index'. The size of the picture may stand beside
'frames', or in every frame, as 'image_width' and 'image_height' (or 'width' and
'height').

Image landmarks become pixels, [V, 2] with the visibility as the score; their
depth, which is no measure, is left out. World landmarks become [V, 3], with x
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
from skeljax.readers import arrays
from skeljax.readers import json_files
from skeljax.readers.pose_tools import frame_fields
from skeljax.readers.pose_tools import frames as frames_lib

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
# World landmarks have the middle of the hips at the origin, up to noise, in
# metres; in a picture this would be its corner.
_NEAR_ORIGIN = 0.03
_ABSENT = object()


def is_clip(path: str) -> bool:
  """Whether a file holds landmarks, by the keys at its beginning."""
  if not os.path.isfile(path) or not json_files.is_json(path):
    return False
  keys = {_snake(key) for key in json_files.keys(json_files.head(path))}
  if 'landmark' in keys or keys & {_IMAGE_KEYS[0], *_WORLD_KEYS}:
    return True
  return {'x', 'y', 'z'} <= keys and bool(keys & {'visibility', 'landmarks'})


def _snake(key: str) -> str:
  """A name in camel case as one with underscores."""
  return re.sub(r'(?<=[a-z])([A-Z])', r'_\1', key).lower()


def see(path: str, coordinates: str = 'image') -> frames_lib.Seen:
  """Who is seen in every frame.

  Args:
    path: the file.
    coordinates: 'image' or 'world'.

  Raises:
    UserError: `coordinates` is neither.
    ClipError: the file does not hold such landmarks.
  """
  if coordinates not in COORDINATES:
    raise errors.UserError(
      f'coordinates is {coordinates!r}. Expected image or world'
      ' (--coordinates).'
    )
  content, size = _list_of_frames(json_files.load_lines(path), path)
  frames: dict[int, list[frames_lib.Person]] = {}
  hips = []
  for position, entry in enumerate(content):
    where = f'{path}, frame {position}'
    entry = {} if entry is None else entry
    number = position
    if isinstance(entry, dict):
      entry = {_snake(key): value for key, value in entry.items()}
      number = _frame_number(entry, position, where)
      size = size or _size(entry, where)
    frame_fields.check_new(number, frames, path)
    image, world, is_known = _kinds(entry, where)
    frames[number] = _persons(image, world, coordinates, where)
    if not is_known:
      hips += [person.keypoint[_HIPS, :2] for person in frames[number]]
  if hips:
    _check_kind(np.array(hips), coordinates, path)
  people = [person for persons in frames.values() for person in persons]
  if any(person.place is None for person in people):
    # Places in the picture are compared with each other or not at all.
    frames = {
      number: [dataclasses.replace(p, place=None) for p in persons]
      for number, persons in frames.items()
    }
  return frames_lib.Seen(frames, size, is_fraction=coordinates == 'image')


def _list_of_frames(
  content: Any, path: str
) -> tuple[list[Any], tuple[int, int] | None]:
  """The entries of the frames, and the size of the picture if it is there."""
  size = None
  if isinstance(content, dict) and 'frames' in content:
    size = _size({_snake(k): v for k, v in content.items()}, path)
    content = content['frames']
  elif isinstance(content, dict):
    content = [content]
  if not isinstance(content, list):
    frame_fields.fail_kind(content, 'a list with an entry for each frame', path)
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
      return frame_fields.frame_number(entry[key], key, where)
  return position


def _size(entry: Mapping[str, Any], where: str) -> tuple[int, int] | None:
  for height, width in _SIZE_KEYS:
    if height in entry and width in entry:
      return frame_fields.img_shape(entry[height], entry[width], where)
  return None


def _kinds(entry: Any, where: str) -> tuple[Any, Any, bool]:
  """Image landmarks, world landmarks, and whether the entry says which is what.

  What an entry does not hold is `_ABSENT`.
  """
  if isinstance(entry, list) or (
    isinstance(entry, dict) and 'landmark' in entry
  ):
    return entry, entry, not entry
  if not isinstance(entry, dict):
    frame_fields.fail_kind(entry, 'the landmarks of a frame, or null', where)
  if not entry:
    return [], [], True
  image, world = (
    next((entry[key] for key in keys if key in entry), _ABSENT)
    for keys in (_IMAGE_KEYS, _WORLD_KEYS)
  )
  if image is _ABSENT and world is _ABSENT:
    frame_fields.fail_kind(
      entry,
      "an object with 'pose_landmarks' or 'pose_world_landmarks', or null"
      ' for a frame in which nobody is seen',
      where,
    )
  return image, world, True


def _persons(
  image: Any, world: Any, coordinates: str, where: str
) -> list[frames_lib.Person]:
  """The persons of a frame in the coordinates that are wanted."""
  wanted, other = (image, world) if coordinates == 'image' else (world, image)
  if wanted is _ABSENT:
    there = 'world' if coordinates == 'image' else 'image'
    raise arrays.clip_error(
      'coordinates',
      where,
      f'has {there} landmarks and no {coordinates} landmarks. Write both, or'
      f' give --coordinates={there}.',
    )
  poses = _poses(wanted, where)
  places = (
    [] if other is _ABSENT or coordinates == 'image' else _poses(other, where)
  )
  if len(places) != len(poses) or image is world:
    places = [None] * len(poses)
  persons = []
  for pose, place in zip(poses, places):
    values = pose[:, :2] if coordinates == 'image' else pose[:, :3]
    # Landmarks without a visibility have it as NaN.
    score = None if np.isnan(pose[:, 3]).all() else pose[:, 3]
    place = None if place is None else np.nan_to_num(place[:, :2])
    persons.append(frames_lib.person(values, score, where, place=place))
  return persons


def _poses(value: Any, where: str) -> list[np.ndarray]:
  """[33, 4] x, y, z, visibility (or NaN) of every person."""
  if not value:
    return []
  if not isinstance(value, list | dict):
    frame_fields.fail_kind(value, 'the landmarks of the persons seen', where)
  if isinstance(value, dict) or _is_landmark(value[0]):
    value = [value]
  return [_pose(pose, where) for pose in value]


def _pose(pose: Any, where: str) -> np.ndarray:
  if isinstance(pose, dict):
    pose = pose.get('landmark')
  if not isinstance(pose, list) or len(pose) != _NUM_JOINTS:
    found = f'{len(pose)} of them' if isinstance(pose, list) else 'no list'
    raise arrays.clip_error(
      'joints',
      where,
      f'the landmarks of a person are {found}. Expected {_NUM_JOINTS}, those of'
      ' MediaPipe Pose.',
    )
  rows = [_landmark(landmark, where) for landmark in pose]
  return frame_fields.numbers(rows, 'landmarks', where)


def _landmark(landmark: Any, where: str) -> list[Any]:
  """x, y, z and visibility, None where there is none."""
  if isinstance(landmark, dict) and {'x', 'y'} <= set(landmark):
    return [landmark.get(key) for key in ('x', 'y', 'z', 'visibility')]
  if isinstance(landmark, list) and 3 <= len(landmark) <= 5:
    return [*landmark[:3], landmark[3] if len(landmark) > 3 else None]
  frame_fields.fail_kind(
    landmark, "a landmark with 'x', 'y', 'z' and 'visibility'", where
  )


def _check_kind(hips: np.ndarray, coordinates: str, path: str) -> None:
  """Raises ClipError if landmarks [P, 2, 2] are of the other kind."""
  middle = np.median(np.abs(hips.mean(axis=1)))
  found = 'world' if middle < _NEAR_ORIGIN else 'image'
  if found != coordinates:
    raise arrays.clip_error(
      'coordinates',
      path,
      f'its landmarks look like {found} landmarks: the middle of the hips lies'
      f' {"at" if found == "world" else "away from"} the origin. Give'
      f' --coordinates={found}.',
    )
