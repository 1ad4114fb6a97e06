"""Read the output of Ultralytics (YOLO) pose models.

  JSON    a list with `result.summary()` of every frame, or JSON lines with one
          per line: [[{'name': 'person', 'confidence': 0.9, 'box': {'x1': ...},
          'track_id': 1, 'keypoints': {'x': [...], 'y': [...], 'visible':
          [...]}}, ...], ...]. The summary of a single frame is a clip of one
          frame; a folder of such files, with frame numbers in their names, is
          a clip.
  labels  `save_txt=True`: a folder of NAME_12.txt files, one per frame, with
          one line per person: class, box (centre, width, height), x, y and
          score of every joint, then, if written, the confidence (save_conf=True)
          and the track id (`model.track`). All positions are fractions of the
          image. Frames without a person have no file, or an empty one.

The 17 joints are those of COCO. Older versions set joints with a score below
0.5 to (0, 0), which are missing joints here. Class names are ignored.

Source: ultralytics/engine/results.py, `Results.summary` and `save_txt`.
"""

import os
from typing import Any

import numpy as np

from skeljax import skeletons
from skeljax.readers import checks
from skeljax.readers import clip_format
from skeljax.readers import json_file
from skeljax.readers.pose_tools import fields
from skeljax.readers.pose_tools import frames
from skeljax.readers.pose_tools import pose_format

# Label files do not contain the number of joints.
_NUM_JOINTS = skeletons.LAYOUTS['coco'].num_joints
_BOX = ('x1', 'y1', 'x2', 'y2')


def is_clip(path: str) -> bool:
  """Whether a path has one of these formats, judging by its first bytes."""
  if os.path.isdir(path):
    labels = _label_files(path)
    if labels:
      return _is_label(json_file.first_head(labels))
    files = json_file.folder_files(path, '.json')
    return bool(files) and _is_summary(json_file.first_head(files))
  is_file = os.path.isfile(path) and json_file.is_json(path)
  return is_file and _is_summary(json_file.head(path))


def _label_files(folder: str) -> list[str]:
  return json_file.folder_files(folder, '.txt')


def _is_label(head: str) -> bool:
  """Whether a text starts with a line of numbers, enough for a person."""
  words = head.split('\n', 1)[0].split()
  try:
    return len([float(word) for word in words]) >= 5 + 2 * _NUM_JOINTS
  except ValueError:
    return False


def _is_summary(head: str) -> bool:
  # Quotes are escaped if a frame is the text of `result.to_json()`.
  keys = json_file.keys(head.replace('\\"', '"'))
  wanted = {'confidence', 'box', 'keypoints', 'class'}
  return head.startswith('[') and wanted <= set(keys)


def read_frames(
  path: str, options: clip_format.ReadOptions
) -> frames.PoseFrames:
  """Read the persons of every frame.

  Raises:
    ClipError: the path has none of these formats.
  """
  del options
  if not os.path.isdir(path):
    return frames.PoseFrames(_frames(json_file.load_lines(path), path))
  labels = _label_files(path)
  files = labels or json_file.folder_files(path, '.json')
  if not files:
    fields.fail([], 'a folder of .txt or .json files', path)
  read = _read_labels if labels else _read_summary
  numbered = fields.numbered_files(files, path)
  result = {number: read(file) for number, file in numbered}
  return frames.PoseFrames(result, is_fraction=True if labels else None)


def _frames(content: Any, path: str) -> dict[int, list[frames.Person]]:
  """Convert a list of frames to frame number -> persons."""
  if not isinstance(content, list):
    fields.fail(content, 'a list with one list per frame', path)
  if content and all(isinstance(entry, dict) for entry in content):
    content = [content]
  return {
    number: _persons(frame, f'{path}, frame {number}')
    for number, frame in enumerate(content)
  }


def _read_summary(path: str) -> list[frames.Person]:
  return _persons(json_file.load(path), path)


def _persons(frame: Any, where: str) -> list[frames.Person]:
  """Convert one summary."""
  if isinstance(frame, str):
    # `result.to_json()` instead of `result.summary()`.
    frame = json_file.parse(frame, where)
  if not isinstance(frame, list):
    fields.fail(frame, 'the list of persons of a frame', where)
  return [_person(entry, where) for entry in frame]


def _person(entry: Any, where: str) -> frames.Person:
  points = entry.get('keypoints') if isinstance(entry, dict) else None
  if not isinstance(points, dict) or not {'x', 'y'} <= set(points):
    fields.fail(entry, "an object whose 'keypoints' have 'x' and 'y'", where)
  x, y = (fields.numbers(points[key], key, where) for key in 'xy')
  if x.ndim != 1 or x.shape != y.shape:
    fields.fail(points, "as many numbers in 'x' as in 'y'", where)
  score = points.get('visible')
  if score is not None:
    score = fields.numbers(score, 'visible', where)
  box = entry.get('box')
  if isinstance(box, dict):
    if not set(_BOX) <= set(box):
      fields.fail(box, f'a box with {", ".join(_BOX)}', where)
    box = [box[key] for key in _BOX]
  return frames.person(
    np.stack([x, y], axis=-1),
    score,
    where,
    box=fields.corners(box, 'box', where),
    track=fields.track_id(entry.get('track_id'), 'track_id', where),
  )


def _read_labels(path: str) -> list[frames.Person]:
  """Read a label file, with one person per line."""
  lines = json_file.read_text(path).splitlines()
  return [
    _person_of_line(line, f'{path}, line {i}')
    for i, line in enumerate(lines, start=1)
    if line.strip()
  ]


def _person_of_line(line: str, where: str) -> frames.Person:
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
    raise checks.ClipError(
      'joints',
      where,
      f'has {len(words)} values. Expected numbers: class, box (4), 2 or 3 for'
      f' each of {_NUM_JOINTS} joints, optionally confidence and track id. For a'
      ' model with other joints write result.summary() as JSON.',
    )
  points = values[5 : len(values) - num_more].reshape(_NUM_JOINTS, size)
  x, y, w, h = values[1:5]
  return frames.person(
    points[:, :2],
    points[:, 2] if size == 3 else None,
    where,
    box=np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2]),
    track=_track_of_line(values[len(values) - num_more :].tolist()),
  )


def _track_of_line(more: list[float]) -> int | None:
  """Find the track id in the values after the joints: confidence, id or both."""
  if len(more) == 2:
    return int(more[1]) if np.isfinite(more[1]) else None
  # A single integer is an id: ids count from 1, and a confidence is never
  # exactly 1.
  if more and more[0] >= 1 and more[0].is_integer():
    return int(more[0])
  return None


FORMAT = pose_format.pose_format(
  'ultralytics',
  'JSON with the summary of every frame, or a folder of label files (.txt)',
  is_clip=is_clip,
  read_frames=read_frames,
  layouts={17: 'coco'},
)
