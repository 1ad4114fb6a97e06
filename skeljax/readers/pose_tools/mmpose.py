"""Read the output of MMPose for a video, and keypoints in COCO's formats.

  inferencer  `inferencer(video, pred_out_dir=...)`: a list of frames
              {'frame_id': 0, 'instances': [{'keypoints': [[x, y], ...],
              'keypoint_scores': [...], 'bbox': [[x0, y0, x1, y1]]}]}
  demos       `--save-predictions`: {'meta_info': ..., 'instance_info': frames}
  images      the inferencer on images: a list of instances per image; one
              such file is a clip of one frame, a folder of them is a clip
  COCO        annotations: {'images': [...], 'annotations': [{'image_id',
              'keypoints': [x, y, v, ...]}]}; results: the list of such
              annotations with a score instead of v

An instance may have a 'track_id'. COCO's images are the frames of one video,
numbered by 'frame_id' or 'frame_index', else by the last number of 'file_name',
else by their id. A labelled joint of COCO (v 1 or 2) has score 1.

Sources: mmpose/apis/inferencers, mmpose/structures/utils.py and the demos of
MMPose 1.x; the data format page of COCO.
"""

from collections.abc import Mapping, Sequence
import os
from typing import Any

import numpy as np

from skeljax.readers import checks
from skeljax.readers import clip_format
from skeljax.readers import json_file
from skeljax.readers.pose_tools import fields
from skeljax.readers.pose_tools import frames
from skeljax.readers.pose_tools import pose_format


def is_clip(path: str) -> bool:
  """Whether a path has one of these formats, judging by its first keys."""
  if os.path.isdir(path):
    files = json_file.folder_files(path, '.json')
    return bool(files) and _is_image(json_file.first_head(files))
  if not os.path.isfile(path) or not json_file.is_json(path):
    return False
  head = json_file.head(path)
  keys = json_file.keys(head)
  if head.startswith('{'):
    is_coco = {'images', 'annotations'} & set(keys)
    return 'instance_info' in keys or 'meta_info' in keys or bool(is_coco)
  if not head.startswith('['):
    return False
  is_video = 'frame_id' in keys and 'instances' in keys
  return is_video or _is_image(head) or _is_coco_results(head, keys)


def _is_image(head: str) -> bool:
  keys = set(json_file.keys(head))
  is_person = {'keypoints', 'keypoint_scores'} <= keys
  return head.startswith('[') and is_person and 'instances' not in keys


def _is_coco_results(head: str, keys: Sequence[str]) -> bool:
  """Whether image ids are numbers, not names as in AlphaPose's results."""
  if 'image_id' not in keys or 'keypoints' not in keys:
    return False
  return json_file.value_after(head, 'image_id')[:1].isdigit()


def read_frames(
  path: str, options: clip_format.ReadOptions
) -> frames.PoseFrames:
  """Read the persons of every frame.

  Raises:
    ClipError: the path has none of these formats.
  """
  del options
  if os.path.isdir(path):
    files = json_file.folder_files(path, '.json')
    numbered = fields.numbered_files(files, path)
    return frames.PoseFrames(
      {number: _persons(json_file.load(p), p) for number, p in numbered}
    )
  content = json_file.load(path)
  if isinstance(content, dict) and 'annotations' in content:
    return _coco(content, path)
  names: tuple[str, ...] = ()
  if isinstance(content, dict):
    names = _names_of_meta(content.get('meta_info'))
    content = content.get('instance_info', content)
  if not isinstance(content, list):
    fields.fail(
      content,
      "a list of frames, or an object with 'instance_info' or 'annotations'",
      path,
    )
  if not content:
    return frames.PoseFrames({})
  first = content[0] if isinstance(content[0], dict) else {}
  if 'keypoint_scores' in first:
    return frames.PoseFrames({0: _persons(content, path)})
  if 'image_id' in first:
    return frames.PoseFrames(_coco_frames(content, {}, path))
  return frames.PoseFrames(_video(content, path), joint_names=names)


def _names_of_meta(meta: Any) -> tuple[str, ...]:
  """The joint names in 'meta_info', or ()."""
  names = meta.get('keypoint_id2name') if isinstance(meta, dict) else None
  if not isinstance(names, dict):
    return ()
  return tuple(str(name) for name in names.values())


def _names_of_categories(categories: Any) -> tuple[str, ...]:
  """The joint names in 'categories', or ()."""
  first = categories[0] if isinstance(categories, list) and categories else None
  names = first.get('keypoints') if isinstance(first, dict) else None
  return tuple(map(str, names)) if isinstance(names, list) else ()


def _video(content: Sequence[Any], path: str) -> dict[int, list[frames.Person]]:
  """Convert a list of frames to frame number -> persons."""
  result: dict[int, list[frames.Person]] = {}
  for position, frame in enumerate(content):
    where = f'{path}, element {position}'
    if not isinstance(frame, dict) or 'instances' not in frame:
      fields.fail(
        frame, "a frame, an object with 'frame_id' and 'instances'", where
      )
    number = fields.frame_number(frame.get('frame_id'), 'frame_id', where)
    fields.check_new(number, result, path)
    result[number] = _persons(frame['instances'], f'{path}, frame {number}')
  return result


def _persons(instances: Any, where: str) -> list[frames.Person]:
  if not isinstance(instances, list):
    fields.fail(instances, 'a list of instances', where)
  return [_person(instance, where) for instance in instances]


def _person(instance: Any, where: str) -> frames.Person:
  """Convert one instance of MMPose."""
  if not isinstance(instance, dict) or 'keypoints' not in instance:
    fields.fail(instance, "an object with 'keypoints'", where)
  keypoint = fields.numbers(instance['keypoints'], 'keypoints', where)
  if keypoint.ndim != 2 or keypoint.shape[1] not in (2, 3):
    fields.fail(instance['keypoints'], 'one [x, y] per joint', where)
  score = instance.get('keypoint_scores')
  if score is not None:
    score = fields.numbers(score, 'keypoint_scores', where)
  return frames.person(
    keypoint,
    score,
    where,
    box=fields.corners(instance.get('bbox'), 'bbox', where),
    track=fields.track_id(instance.get('track_id'), 'track_id', where),
  )


def _coco(content: Mapping[str, Any], path: str) -> frames.PoseFrames:
  """Convert COCO annotations, whose images are the frames of a video."""
  images, annotations = content.get('images'), content['annotations']
  if not isinstance(images, list) or not isinstance(annotations, list):
    fields.fail(content, "lists 'images' and 'annotations'", path)
  numbers: dict[Any, int] = {}
  taken: set[int] = set()
  sizes: dict[tuple[int, int], None] = {}
  for position, image in enumerate(images):
    where = f'{path}, image {position}'
    key = image.get('id') if isinstance(image, dict) else None
    if not isinstance(key, int | str):
      fields.fail(image, "an object with an 'id'", where)
    number = _image_number(image, where)
    fields.check_new(number, taken, path)
    taken.add(number)
    numbers[key] = number
    if 'height' in image and 'width' in image:
      size = fields.img_shape(image['height'], image['width'], where)
      sizes[size] = None
  if len(sizes) > 1:
    first, second = list(sizes)[:2]
    raise checks.ClipError(
      'img_shape',
      path,
      f'its images have different sizes, {first} and {second} (height, width).'
      ' Expected the frames of one video.',
    )
  result: dict[int, list[frames.Person]] = {n: [] for n in numbers.values()}
  result.update(_coco_frames(annotations, numbers, path))
  return frames.PoseFrames(
    result,
    img_shape=next(iter(sizes), None),
    joint_names=_names_of_categories(content.get('categories')),
  )


def _image_number(image: Mapping[str, Any], where: str) -> int:
  """Return the frame number of an element of 'images'."""
  for key in ('frame_id', 'frame_index'):
    if key in image:
      return fields.frame_number(image[key], key, where)
  name = image.get('file_name')
  if isinstance(name, str):
    return fields.number_of_name(name, where)
  return fields.frame_number(image['id'], 'id', where)


def _coco_frames(
  annotations: Sequence[Any], numbers: Mapping[Any, int], path: str
) -> dict[int, list[frames.Person]]:
  """Convert annotations to frame number -> persons.

  Args:
    annotations: elements of the file.
    numbers: image id -> frame number; empty if the file has no 'images'.
    path: the file, for errors.
  """
  result: dict[int, list[frames.Person]] = {}
  for position, entry in enumerate(annotations):
    where = f'{path}, element {position}'
    if not isinstance(entry, dict) or 'keypoints' not in entry:
      fields.fail(entry, "an object with 'image_id' and 'keypoints'", where)
    image = entry.get('image_id')
    if not numbers:
      number = fields.frame_number(image, 'image_id', where)
    elif isinstance(image, list | dict) or image not in numbers:
      fields.fail(image, "an 'image_id' that is in 'images'", where)
    else:
      number = numbers[image]
    points = fields.points(entry['keypoints'], 'keypoints', where)
    person = frames.person(
      points[:, :2],
      np.minimum(points[:, 2], 1),
      where,
      box=fields.corners(entry.get('bbox'), 'bbox', where, has_size=True),
      track=fields.track_id(entry.get('track_id'), 'track_id', where),
    )
    result.setdefault(number, []).append(person)
  return result


FORMAT = pose_format.pose_format(
  'mmpose',
  'JSON of MMPose with frame_id and instances, or of COCO with images and'
  ' annotations',
  is_clip=is_clip,
  read_frames=read_frames,
  layouts={17: 'coco', 21: 'handmp'},
)
