"""Read the output of AlphaPose: alphapose-results.json.

  --format coco (default)  [{'image_id': '12.jpg', 'category_id': 1,
                           'keypoints': [x0, y0, score0, ...], 'score': 2.9,
                           'box': [x, y, w, h], 'idx': 3}, ...]
  --format cmu             {'12.jpg': {'bodies': [{'joints': [...]}]}}
  --format open            {'12.jpg': {'people': [{'pose_keypoints_2d': ...}]}}

The last number of an image name is its frame; frames without a person are not
in the file. The default format has COCO's 17 joints, or more that start with
them (Halpe, 26 and 136; COCO-WholeBody, 133); the other two have the 18 of
OpenPose and no ids. `idx` is the track id if AlphaPose ran with --pose_track or
--pose_flow; otherwise it is 0 for everyone and ignored.

Source: alphapose/utils/pPose_nms.py and writer.py.
"""

from collections.abc import Mapping, Sequence
import os
from typing import Any

from skeljax.readers import clip_format
from skeljax.readers import json_file
from skeljax.readers.pose_tools import fields
from skeljax.readers.pose_tools import frames
from skeljax.readers.pose_tools import pose_format

# Formats cmu and open: key of the persons of a frame -> key of their numbers.
_BODIES = {'bodies': 'joints', 'people': 'pose_keypoints_2d'}


def is_clip(path: str) -> bool:
  """Whether a file has one of these formats, judging by its first keys."""
  if not os.path.isfile(path) or not json_file.is_json(path):
    return False
  head = json_file.head(path)
  keys = json_file.keys(head)
  if head.startswith('['):
    if 'image_id' not in keys or 'keypoints' not in keys:
      return False
    return json_file.value_after(head, 'image_id').startswith('"')
  # The first key of the other formats is an image name.
  return head.startswith('{') and any(
    {body, numbers} <= set(keys[1:]) and keys[0] not in (body, 'version')
    for body, numbers in _BODIES.items()
  )


def read_frames(
  path: str, options: clip_format.ReadOptions
) -> frames.PoseFrames:
  """Read the persons of every frame.

  Raises:
    ClipError: the file has none of these formats.
  """
  del options
  content = json_file.load(path)
  if isinstance(content, list):
    return frames.PoseFrames(_results(content, path))
  if isinstance(content, dict):
    return frames.PoseFrames(_images(content, path))
  fields.fail(content, "AlphaPose's list of persons", path)


def _results(
  content: Sequence[Any], path: str
) -> dict[int, list[frames.Person]]:
  """Convert the default format to frame number -> persons."""
  entries = []
  names: dict[int, Any] = {}
  for position, entry in enumerate(content):
    where = f'{path}, element {position}'
    if not isinstance(entry, dict) or 'keypoints' not in entry:
      fields.fail(entry, "an object with 'image_id' and 'keypoints'", where)
    number = _number(entry.get('image_id'), names, where)
    track = fields.track_id(entry.get('idx'), 'idx', where)
    entries.append((number, track, entry, where))
  is_tracked = any(track != 0 for _, track, _, _ in entries)
  result: dict[int, list[frames.Person]] = {}
  for number, track, entry, where in entries:
    points = fields.points(entry['keypoints'], 'keypoints', where)
    person = frames.person(
      points[:, :2],
      points[:, 2],
      where,
      box=fields.corners(entry.get('box'), 'box', where, has_size=True),
      track=track if is_tracked else None,
    )
    result.setdefault(number, []).append(person)
  return result


def _number(image: Any, names: dict[int, Any], where: str) -> int:
  """Return the frame of an image; `names` collects the images per frame."""
  if isinstance(image, str):
    number = fields.number_of_name(image, where)
  else:
    number = fields.frame_number(image, 'image_id', where)
  if names.setdefault(number, image) != image:
    fields.check_new(number, names, where)
  return number


def _images(
  content: Mapping[str, Any], path: str
) -> dict[int, list[frames.Person]]:
  """Convert the formats cmu and open to frame number -> persons."""
  names: dict[int, Any] = {}
  return {
    _number(name, names, path): _bodies(image, f'{path}, image {name!r}')
    for name, image in content.items()
  }


def _bodies(image: Any, where: str) -> list[frames.Person]:
  """Convert the persons of one image in the formats cmu and open."""
  found = isinstance(image, dict) and [k for k in _BODIES if k in image]
  if not found or not isinstance(image[found[0]], list):
    fields.fail(image, "an object with a list 'bodies' or 'people'", where)
  field = _BODIES[found[0]]
  persons = []
  for body in image[found[0]]:
    if not isinstance(body, dict) or field not in body:
      fields.fail(body, f'an object with {field!r}', where)
    points = fields.points(body[field], field, where)
    persons.append(frames.person(points[:, :2], points[:, 2], where))
  return persons


FORMAT = pose_format.pose_format(
  'alphapose',
  'alphapose-results.json, with image_id and keypoints or joints',
  is_clip=is_clip,
  read_frames=read_frames,
  layouts={17: 'coco', 18: 'openpose-18'},
)
