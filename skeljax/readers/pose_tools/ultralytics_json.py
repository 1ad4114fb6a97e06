"""What the pose models of Ultralytics (YOLO) say of a video.

  JSON    a list with `result.summary()` of every frame, or JSON lines with one
          a line: [[{'name': 'person', 'confidence': 0.9, 'box': {'x1': ...},
          'track_id': 1, 'keypoints': {'x': [...], 'y': [...], 'visible':
          [...]}}, ...], ...]. The summary of one frame alone is a clip of one
          frame, a folder of such files, numbered in their names, a clip.
  labels  `save_txt=True`: a folder of NAME_12.txt files, one a frame, with a
          line a person: class, box (centre, width, height), x, y and score of
          every joint, then the confidence (save_conf=True) and the track id
          (`model.track`), where they were written. All places are fractions of
          the picture. Frames in which nobody is seen have no file, or an empty
          one.

There are 17 joints, those of COCO. Older versions set joints whose score is
below 0.5 to (0, 0); these count as not found. Class names are not looked at.

Source: ultralytics/engine/results.py, `Results.summary` and `save_txt`.
"""

import os
from typing import Any

import numpy as np

from skeljax import skeletons
from skeljax.readers import arrays
from skeljax.readers import json_files
from skeljax.readers.pose_tools import frame_fields
from skeljax.readers.pose_tools import frames as frames_lib

LAYOUTS = {17: 'coco'}

# Lines of label files do not say how many joints they have.
_NUM_JOINTS = skeletons.LAYOUTS['coco'].num_joints
_BOX = ('x1', 'y1', 'x2', 'y2')


def is_clip(path: str) -> bool:
  """Whether a path holds one of these forms, by what is at its beginning."""
  if os.path.isdir(path):
    labels = _label_files(path)
    if labels:
      return _is_label(json_files.first_head(labels))
    files = json_files.folder_files(path, '.json')
    return bool(files) and _is_summary(json_files.first_head(files))
  is_file = os.path.isfile(path) and json_files.is_json(path)
  return is_file and _is_summary(json_files.head(path))


def _label_files(folder: str) -> list[str]:
  return json_files.folder_files(folder, '.txt')


def _is_label(head: str) -> bool:
  """Whether a text begins with a line of numbers, enough for a person."""
  words = head.split('\n', 1)[0].split()
  try:
    return len([float(word) for word in words]) >= 5 + 2 * _NUM_JOINTS
  except ValueError:
    return False


def _is_summary(head: str) -> bool:
  # Quotes are escaped where a frame is the text of `result.to_json()`.
  keys = json_files.keys(head.replace('\\"', '"'))
  wanted = {'confidence', 'box', 'keypoints', 'class'}
  return head.startswith('[') and wanted <= set(keys)


def see(path: str) -> frames_lib.Seen:
  """Who is seen in every frame.

  Raises:
    ClipError: the path holds none of these forms.
  """
  if not os.path.isdir(path):
    return frames_lib.Seen(_frames(json_files.load_lines(path), path))
  labels = _label_files(path)
  files = labels or json_files.folder_files(path, '.json')
  if not files:
    frame_fields.fail_kind([], 'a folder of .txt or .json files', path)
  read = _read_labels if labels else _read_summary
  numbered = frame_fields.numbered_files(files, path)
  frames = {number: read(file) for number, file in numbered}
  return frames_lib.Seen(frames, is_fraction=True if labels else None)


def _frames(content: Any, path: str) -> dict[int, list[frames_lib.Person]]:
  """Frame number -> persons of a file with every frame, in their order."""
  if not isinstance(content, list):
    frame_fields.fail_kind(content, 'a list with a list for each frame', path)
  if content and all(isinstance(entry, dict) for entry in content):
    content = [content]
  return {
    number: _persons(frame, f'{path}, frame {number}')
    for number, frame in enumerate(content)
  }


def _read_summary(path: str) -> list[frames_lib.Person]:
  return _persons(json_files.load(path), path)


def _persons(frame: Any, where: str) -> list[frames_lib.Person]:
  """The persons of one summary."""
  if isinstance(frame, str):
    # `result.to_json()` in the place of `result.summary()`.
    frame = json_files.parse(frame, where)
  if not isinstance(frame, list):
    frame_fields.fail_kind(frame, 'the list of the persons of a frame', where)
  return [_person(entry, where) for entry in frame]


def _person(entry: Any, where: str) -> frames_lib.Person:
  points = entry.get('keypoints') if isinstance(entry, dict) else None
  if not isinstance(points, dict) or not {'x', 'y'} <= set(points):
    frame_fields.fail_kind(
      entry, "an object whose 'keypoints' have 'x' and 'y'", where
    )
  x, y = (frame_fields.numbers(points[key], key, where) for key in 'xy')
  if x.ndim != 1 or x.shape != y.shape:
    frame_fields.fail_kind(points, "as many numbers in 'x' as in 'y'", where)
  score = points.get('visible')
  if score is not None:
    score = frame_fields.numbers(score, 'visible', where)
  box = entry.get('box')
  if isinstance(box, dict):
    if not set(_BOX) <= set(box):
      frame_fields.fail_kind(box, f'a box with {", ".join(_BOX)}', where)
    box = [box[key] for key in _BOX]
  return frames_lib.person(
    np.stack([x, y], axis=-1),
    score,
    where,
    box=frame_fields.corners(box, 'box', where),
    track=frame_fields.track_id(entry.get('track_id'), 'track_id', where),
  )


def _read_labels(path: str) -> list[frames_lib.Person]:
  """The persons of a label file, one a line."""
  lines = json_files.read_text(path).splitlines()
  return [
    _person_of_line(line, f'{path}, line {i}')
    for i, line in enumerate(lines, start=1)
    if line.strip()
  ]


def _person_of_line(line: str, where: str) -> frames_lib.Person:
  words = line.split()
  try:
    values = np.array([float(word) for word in words])
  except ValueError:
    values = np.zeros(0)
  rest = len(values) - 5
  for size in (3, 2):
    num_more = rest - size * _NUM_JOINTS
    if 0 <= num_more <= 2:
      break
  else:
    raise arrays.clip_error(
      'joints',
      where,
      f'has {len(words)} values. Expected numbers: class, box (4), 2 or 3 for'
      f' each of {_NUM_JOINTS} joints, then confidence and track id where they'
      ' were written. For a model with other joints write the summaries of its'
      ' results as JSON.',
    )
  points = values[5 : len(values) - num_more].reshape(_NUM_JOINTS, size)
  x, y, w, h = values[1:5]
  return frames_lib.person(
    points[:, :2],
    points[:, 2] if size == 3 else None,
    where,
    box=np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2]),
    track=_track_of_line(values[len(values) - num_more :].tolist()),
  )


def _track_of_line(more: list[float]) -> int | None:
  """The track id among what follows the joints: confidence, id, or both."""
  if len(more) == 2:
    return int(more[1]) if np.isfinite(more[1]) else None
  # Alone, a whole number is an id: ids count from 1, a confidence of exactly 1
  # does not occur.
  if more and more[0] >= 1 and more[0].is_integer():
    return int(more[0])
  return None
