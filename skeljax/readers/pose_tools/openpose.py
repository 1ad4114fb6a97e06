"""Read the output of OpenPose's --write_json: a folder with one file per frame.

NAME_000000000012_keypoints.json is frame 12: {'people': [{'pose_keypoints_2d':
[x0, y0, score0, x1, ...], 'person_id': [-1]}]}. Every frame has a file, also
without a person. BODY_25 has 25 joints (layout openpose-25), COCO has 18
(openpose-18). AlphaPose writes the same with `--format open`, in its folder
sep-json. Hands, faces and 3D are ignored.

Source: OpenPose, doc/02_output.md.
"""

import os
from typing import Any

from skeljax.readers import clip_format
from skeljax.readers import json_file
from skeljax.readers.pose_tools import fields
from skeljax.readers.pose_tools import frames
from skeljax.readers.pose_tools import pose_format


def is_clip(path: str) -> bool:
  """Whether a path is such a folder, judging by its first file."""
  if not os.path.isdir(path):
    return False
  files = _files(path)
  return bool(files) and 'people' in json_file.keys(json_file.head(files[0]))


def _files(folder: str) -> list[str]:
  """The files ..._keypoints.json, or all .json files if there are none."""
  files = json_file.folder_files(folder, '.json')
  return [f for f in files if f.lower().endswith('_keypoints.json')] or files


def read_frames(
  path: str, options: clip_format.ReadOptions
) -> frames.PoseFrames:
  """Read the persons of every frame.

  Raises:
    ClipError: the folder is empty, or a file has another format.
  """
  del options
  files = _files(path)
  if not files:
    fields.fail([], 'a folder of ..._keypoints.json files', path)
  result = {}
  for number, file in fields.numbered_files(files, path):
    content = json_file.load(file)
    people = content.get('people') if isinstance(content, dict) else None
    if not isinstance(people, list):
      fields.fail(content, "an object with a list 'people'", file)
    result[number] = [_person(entry, file) for entry in people]
  return frames.PoseFrames(result)


def _person(entry: Any, where: str) -> frames.Person:
  """Convert one element of 'people'."""
  if not isinstance(entry, dict) or 'pose_keypoints_2d' not in entry:
    fields.fail(entry, "an object with 'pose_keypoints_2d'", where)
  points = fields.points(entry['pose_keypoints_2d'], 'pose_keypoints_2d', where)
  track = fields.track_id(entry.get('person_id'), 'person_id', where)
  return frames.person(points[:, :2], points[:, 2], where, track=track)


FORMAT = pose_format.pose_format(
  'openpose',
  'a folder of ..._keypoints.json files, one per frame',
  is_clip=is_clip,
  read_frames=read_frames,
  layouts={25: 'openpose-25', 18: 'openpose-18'},
)
