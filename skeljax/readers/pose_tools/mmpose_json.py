"""What MMPose writes of a video, and keypoints in the forms of COCO.

  inferencer  `inferencer(video, pred_out_dir=...)`: a list of frames
              {'frame_id': 0, 'instances': [{'keypoints': [[x, y], ...],
              'keypoint_scores': [...], 'bbox': [[x0, y0, x1, y1]]}]}
  demos       `--save-predictions`: {'meta_info': ..., 'instance_info': frames}
  pictures    the inferencer on pictures: a list of instances for each; a file
              of that kind is a clip of one frame, a folder of them a clip
  COCO        annotations: {'images': [...], 'annotations': [{'image_id',
              'keypoints': [x, y, v, ...]}]}; results: the list of such
              annotations with a score in the place of v

An instance may have a 'track_id'. The pictures of COCO count as the frames of
one video, by 'frame_id' or 'frame_index', else by the last number of
'file_name', else by their id. A joint that COCO calls labelled (v 1 or 2) has
the score 1.

Sources: mmpose/apis/inferencers, mmpose/structures/utils.py and the demos of
MMPose 1.x; the data format page of COCO.
"""

from collections.abc import Mapping, Sequence
import os
from typing import Any

import numpy as np

from skeljax.readers import arrays
from skeljax.readers import json_files
from skeljax.readers.pose_tools import frame_fields
from skeljax.readers.pose_tools import frames as frames_lib

LAYOUTS = {17: 'coco', 21: 'handmp'}


def is_clip(path: str) -> bool:
  """Whether a path holds one of these forms, by the keys at its beginning."""
  if os.path.isdir(path):
    files = json_files.folder_files(path, '.json')
    return bool(files) and _is_picture(json_files.first_head(files))
  if not os.path.isfile(path) or not json_files.is_json(path):
    return False
  head = json_files.head(path)
  keys = json_files.keys(head)
  if head.startswith('{'):
    is_coco = {'images', 'annotations'} & set(keys)
    return 'instance_info' in keys or 'meta_info' in keys or bool(is_coco)
  if not head.startswith('['):
    return False
  is_video = 'frame_id' in keys and 'instances' in keys
  return is_video or _is_picture(head) or _is_coco_results(head, keys)


def _is_picture(head: str) -> bool:
  keys = set(json_files.keys(head))
  is_person = {'keypoints', 'keypoint_scores'} <= keys
  return head.startswith('[') and is_person and 'instances' not in keys


def _is_coco_results(head: str, keys: Sequence[str]) -> bool:
  """Results of COCO; those of AlphaPose name pictures in place of numbers."""
  if 'image_id' not in keys or 'keypoints' not in keys:
    return False
  return json_files.value_after(head, 'image_id')[:1].isdigit()


def see(path: str) -> frames_lib.Seen:
  """Who is seen in every frame.

  Raises:
    ClipError: the file is not of one of these forms.
  """
  if os.path.isdir(path):
    files = json_files.folder_files(path, '.json')
    numbered = frame_fields.numbered_files(files, path)
    return frames_lib.Seen(
      {number: _persons(json_files.load(p), p) for number, p in numbered}
    )
  content = json_files.load(path)
  if isinstance(content, dict) and 'annotations' in content:
    return _coco(content, path)
  names = ()
  if isinstance(content, dict):
    names = _names_of_meta(content.get('meta_info'))
    content = content.get('instance_info', content)
  if not isinstance(content, list):
    frame_fields.fail_kind(
      content,
      "a list of frames, or an object with 'instance_info' or 'annotations'",
      path,
    )
  if not content:
    return frames_lib.Seen({})
  first = content[0] if isinstance(content[0], dict) else {}
  if 'keypoint_scores' in first:
    return frames_lib.Seen({0: _persons(content, path)})
  if 'image_id' in first:
    return frames_lib.Seen(_coco_frames(content, {}, path))
  return frames_lib.Seen(_video(content, path), joint_names=names)


def _names_of_meta(meta: Any) -> tuple[str, ...]:
  """The names of the joints in 'meta_info', () where it does not have them."""
  names = meta.get('keypoint_id2name') if isinstance(meta, dict) else None
  if not isinstance(names, dict):
    return ()
  return tuple(str(name) for name in names.values())


def _names_of_categories(categories: Any) -> tuple[str, ...]:
  """The names of the joints in 'categories', () where it does not have them."""
  first = categories[0] if isinstance(categories, list) and categories else None
  names = first.get('keypoints') if isinstance(first, dict) else None
  return tuple(map(str, names)) if isinstance(names, list) else ()


def _video(
  content: Sequence[Any], path: str
) -> dict[int, list[frames_lib.Person]]:
  """Frame number -> persons of a list of frames."""
  result = {}
  for position, frame in enumerate(content):
    where = f'{path}, element {position}'
    if not isinstance(frame, dict) or 'instances' not in frame:
      frame_fields.fail_kind(
        frame, "a frame, an object with 'frame_id' and 'instances'", where
      )
    number = frame_fields.frame_number(frame.get('frame_id'), 'frame_id', where)
    frame_fields.check_new(number, result, path)
    result[number] = _persons(frame['instances'], f'{path}, frame {number}')
  return result


def _persons(instances: Any, where: str) -> list[frames_lib.Person]:
  if not isinstance(instances, list):
    frame_fields.fail_kind(instances, 'a list of instances', where)
  return [_person(instance, where) for instance in instances]


def _person(instance: Any, where: str) -> frames_lib.Person:
  """One instance of MMPose."""
  if not isinstance(instance, dict) or 'keypoints' not in instance:
    frame_fields.fail_kind(instance, "an object with 'keypoints'", where)
  keypoint = frame_fields.numbers(instance['keypoints'], 'keypoints', where)
  if keypoint.ndim != 2 or keypoint.shape[1] not in (2, 3):
    frame_fields.fail_kind(
      instance['keypoints'], 'one [x, y] for each joint', where
    )
  score = instance.get('keypoint_scores')
  if score is not None:
    score = frame_fields.numbers(score, 'keypoint_scores', where)
  return frames_lib.person(
    keypoint,
    score,
    where,
    box=frame_fields.corners(instance.get('bbox'), 'bbox', where),
    track=frame_fields.track_id(instance.get('track_id'), 'track_id', where),
  )


def _coco(content: Mapping[str, Any], path: str) -> frames_lib.Seen:
  """A COCO file of annotations, whose pictures are the frames of a video."""
  images, annotations = content.get('images'), content['annotations']
  if not isinstance(images, list) or not isinstance(annotations, list):
    frame_fields.fail_kind(content, "lists 'images' and 'annotations'", path)
  numbers: dict[Any, int] = {}
  taken: set[int] = set()
  sizes: dict[tuple[int, int], None] = {}
  for position, image in enumerate(images):
    where = f'{path}, image {position}'
    key = image.get('id') if isinstance(image, dict) else None
    if not isinstance(key, int | str):
      frame_fields.fail_kind(image, "an object with an 'id'", where)
    number = _image_number(image, where)
    frame_fields.check_new(number, taken, path)
    taken.add(number)
    numbers[key] = number
    if 'height' in image and 'width' in image:
      size = frame_fields.img_shape(image['height'], image['width'], where)
      sizes[size] = None
  if len(sizes) > 1:
    first, second = list(sizes)[:2]
    raise arrays.clip_error(
      'img_shape',
      path,
      f'its pictures have different sizes, {first} and {second} (height,'
      ' width). Expected the frames of one video.',
    )
  frames = {number: [] for number in numbers.values()}
  frames.update(_coco_frames(annotations, numbers, path))
  return frames_lib.Seen(
    frames,
    img_shape=next(iter(sizes), None),
    joint_names=_names_of_categories(content.get('categories')),
  )


def _image_number(image: Mapping[str, Any], where: str) -> int:
  """The frame number of an element of 'images'."""
  for key in ('frame_id', 'frame_index'):
    if key in image:
      return frame_fields.frame_number(image[key], key, where)
  name = image.get('file_name')
  if isinstance(name, str):
    return frame_fields.number_of_name(name, where)
  return frame_fields.frame_number(image['id'], 'id', where)


def _coco_frames(
  annotations: Sequence[Any], numbers: Mapping[Any, int], path: str
) -> dict[int, list[frames_lib.Person]]:
  """Frame number -> persons; `numbers` has those of 'images', if any."""
  result = {}
  for position, entry in enumerate(annotations):
    where = f'{path}, element {position}'
    if not isinstance(entry, dict) or 'keypoints' not in entry:
      frame_fields.fail_kind(
        entry, "an object with 'image_id' and 'keypoints'", where
      )
    image = entry.get('image_id')
    if not numbers:
      number = frame_fields.frame_number(image, 'image_id', where)
    elif isinstance(image, list | dict) or image not in numbers:
      frame_fields.fail_kind(image, "an 'image_id' that is in 'images'", where)
    else:
      number = numbers[image]
    points = frame_fields.points(entry['keypoints'], 'keypoints', where, size=3)
    person = frames_lib.person(
      points[:, :2],
      np.minimum(points[:, 2], 1),
      where,
      box=frame_fields.corners(entry.get('bbox'), 'bbox', where, form='xywh'),
      track=frame_fields.track_id(entry.get('track_id'), 'track_id', where),
    )
    result.setdefault(number, []).append(person)
  return result
