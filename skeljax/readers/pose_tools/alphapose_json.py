"""What AlphaPose writes of a video: alphapose-results.json.

  --format coco (default)  [{'image_id': '12.jpg', 'category_id': 1,
                           'keypoints': [x0, y0, score0, ...], 'score': 2.9,
                           'box': [x, y, w, h], 'idx': 3}, ...]
  --format cmu             {'12.jpg': {'bodies': [{'joints': [...]}]}}
  --format open            {'12.jpg': {'people': [{'pose_keypoints_2d': ...}]}}

The last number of a picture's name is its frame; frames in which nobody is seen
are not in the file. The default form has COCO's 17 joints, or more that begin
with them (Halpe, 26 and 136; COCO-WholeBody, 133); the other two have the 18 of
OpenPose and no ids. `idx` is the track where AlphaPose ran with --pose_track or
--pose_flow; without them it is 0 for everybody, and then it counts as none.

Source: alphapose/utils/pPose_nms.py and writer.py.
"""

from collections.abc import Mapping, Sequence
import os
from typing import Any

from skeljax.readers import json_files
from skeljax.readers.pose_tools import frame_fields
from skeljax.readers.pose_tools import frames as frames_lib

LAYOUTS = {17: 'coco', 18: 'openpose-18'}

# The key of the persons of a frame, and that of a person's numbers.
_BODIES = {'bodies': 'joints', 'people': 'pose_keypoints_2d'}


def is_clip(path: str) -> bool:
  """Whether a file is one of these forms, by the keys at its beginning."""
  if not os.path.isfile(path) or not json_files.is_json(path):
    return False
  head = json_files.head(path)
  keys = json_files.keys(head)
  if head.startswith('['):
    if 'image_id' not in keys or 'keypoints' not in keys:
      return False
    return json_files.value_after(head, 'image_id').startswith('"')
  # The first key of the other forms is the name of a picture.
  return head.startswith('{') and any(
    {body, numbers} <= set(keys[1:]) and keys[0] not in (body, 'version')
    for body, numbers in _BODIES.items()
  )


def see(path: str) -> frames_lib.Seen:
  """Who is seen in every frame.

  Raises:
    ClipError: the file is none of these forms.
  """
  content = json_files.load(path)
  if isinstance(content, list):
    frames = _results(content, path)
  elif isinstance(content, dict):
    frames = _pictures(content, path)
  else:
    frame_fields.fail_kind(content, "AlphaPose's list of persons", path)
  return frames_lib.Seen(frames)


def _results(
  content: Sequence[Any], path: str
) -> dict[int, list[frames_lib.Person]]:
  """Frame number -> persons of the default form."""
  entries, names = [], {}
  for position, entry in enumerate(content):
    where = f'{path}, element {position}'
    if not isinstance(entry, dict) or 'keypoints' not in entry:
      frame_fields.fail_kind(
        entry, "an object with 'image_id' and 'keypoints'", where
      )
    number = _number(entry.get('image_id'), names, where)
    track = frame_fields.track_id(entry.get('idx'), 'idx', where)
    entries.append((number, track, entry, where))
  is_tracked = any(track != 0 for _, track, _, _ in entries)
  frames: dict[int, list[frames_lib.Person]] = {}
  for number, track, entry, where in entries:
    points = frame_fields.points(entry['keypoints'], 'keypoints', where, size=3)
    person = frames_lib.person(
      points[:, :2],
      points[:, 2],
      where,
      box=frame_fields.corners(entry.get('box'), 'box', where, form='xywh'),
      track=track if is_tracked else None,
    )
    frames.setdefault(number, []).append(person)
  return frames


def _number(image: Any, names: dict[int, Any], where: str) -> int:
  """The frame of a picture; `names` collects those that were met."""
  if isinstance(image, str):
    number = frame_fields.number_of_name(image, where)
  else:
    number = frame_fields.frame_number(image, 'image_id', where)
  if names.setdefault(number, image) != image:
    frame_fields.check_new(number, names, where)
  return number


def _pictures(
  content: Mapping[str, Any], path: str
) -> dict[int, list[frames_lib.Person]]:
  """Frame number -> persons of the forms cmu and open."""
  names: dict[int, Any] = {}
  return {
    _number(name, names, path): _bodies(picture, f'{path}, picture {name!r}')
    for name, picture in content.items()
  }


def _bodies(picture: Any, where: str) -> list[frames_lib.Person]:
  """The persons of one picture in the forms cmu and open."""
  found = isinstance(picture, dict) and [k for k in _BODIES if k in picture]
  if not found or not isinstance(picture[found[0]], list):
    frame_fields.fail_kind(
      picture, "an object with a list 'bodies' or 'people'", where
    )
  field = _BODIES[found[0]]
  persons = []
  for body in picture[found[0]]:
    if not isinstance(body, dict) or field not in body:
      frame_fields.fail_kind(body, f'an object with {field!r}', where)
    points = frame_fields.points(body[field], field, where, size=3)
    persons.append(frames_lib.person(points[:, :2], points[:, 2], where))
  return persons
