"""What OpenPose writes with --write_json: a folder with one file a frame.

A file NAME_000000000012_keypoints.json holds {'people': [{'pose_keypoints_2d':
[x0, y0, score0, x1, ...], 'person_id': [-1]}]}; its number is the frame's.
There is a file for every frame, whether somebody was seen or not. BODY_25 has
25 joints (layout openpose-25) and COCO 18 (openpose-18). AlphaPose writes the
same with `--format open`, in its folder sep-json. Hands, faces and 3D are left
out.

Source: OpenPose, doc/02_output.md.
"""

import os
from typing import Any

from skeljax.readers import json_files
from skeljax.readers.pose_tools import frame_fields
from skeljax.readers.pose_tools import frames as frames_lib

LAYOUTS = {25: 'openpose-25', 18: 'openpose-18'}


def is_clip(path: str) -> bool:
  """Whether a path is a folder of such files, by the first of them."""
  if not os.path.isdir(path):
    return False
  files = _files(path)
  return bool(files) and 'people' in json_files.keys(json_files.head(files[0]))


def _files(folder: str) -> list[str]:
  """The files of a folder that are frames: those named so, if any are."""
  files = json_files.folder_files(folder, '.json')
  return [f for f in files if f.lower().endswith('_keypoints.json')] or files


def see(folder: str) -> frames_lib.Seen:
  """Who is seen in every frame.

  Raises:
    ClipError: the folder is empty, or a file is not what OpenPose writes.
  """
  files = _files(folder)
  if not files:
    frame_fields.fail_kind([], 'a folder of ..._keypoints.json files', folder)
  result = {}
  for number, path in frame_fields.numbered_files(files, folder):
    content = json_files.load(path)
    people = content.get('people') if isinstance(content, dict) else None
    if not isinstance(people, list):
      frame_fields.fail_kind(content, "an object with a list 'people'", path)
    result[number] = [person(entry, path) for entry in people]
  return frames_lib.Seen(result)


def person(entry: Any, where: str) -> frames_lib.Person:
  """One element of 'people'."""
  if not isinstance(entry, dict) or 'pose_keypoints_2d' not in entry:
    frame_fields.fail_kind(entry, "an object with 'pose_keypoints_2d'", where)
  points = frame_fields.points(
    entry['pose_keypoints_2d'], 'pose_keypoints_2d', where, size=3
  )
  track = frame_fields.track_id(entry.get('person_id'), 'person_id', where)
  return frames_lib.person(points[:, :2], points[:, 2], where, track=track)
