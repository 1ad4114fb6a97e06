"""The forms that one clip can have: one file, or one folder, and no label.

A form is what a pose tool or a data set writes for a clip. `detect` tells it
from the content, `read_clip` makes the item of it that `clips.check_item`
takes. docs/formats.md has a table of them.
"""

from collections.abc import Callable, Mapping
import dataclasses
import os
import types
from typing import Any

from absl import logging

from skeljax import errors
from skeljax import skeletons
from skeljax.data.formats import alphapose_json
from skeljax.data.formats import arrays
from skeljax.data.formats import clip_arrays
from skeljax.data.formats import clips
from skeljax.data.formats import frames
from skeljax.data.formats import json_files
from skeljax.data.formats import kinetics_skeleton
from skeljax.data.formats import mediapipe_json
from skeljax.data.formats import mmpose_json
from skeljax.data.formats import ntu_skeleton
from skeljax.data.formats import openpose_json
from skeljax.data.formats import ucla_json
from skeljax.data.formats import ultralytics_json

Item = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class ReadOptions:
  """How to read a clip where its file leaves a choice.

  Attributes:
    tracking: who is who from frame to frame where the tool gives no ids:
      'oks', 'iou' or 'none' (see skeljax.data.tracking).
    coordinates: which of MediaPipe's: 'image', pixels, or 'world', metres.
    img_shape: (height, width) of the picture where the file does not say it.
    denoise: the choice of persons in raw NTU files (see ntu_skeleton).
    layout: the layout that is wanted, or ''. Where a tool wrote more joints
      than COCO's 17 and these are the first of them (26, 133 or 136 joints),
      'coco' takes those; otherwise joints are never left out.
  """

  tracking: str = 'oks'
  coordinates: str = 'image'
  img_shape: tuple[int, int] | None = None
  denoise: str = 'mmaction1x'
  layout: str = ''


@dataclasses.dataclass(frozen=True)
class Form:
  """One form of a clip.

  Attributes:
    name: what the user types after --form.
    description: what is in the file, in a few words.
    layout: the layout that its clips have, '' where they differ.
    is_clip: whether a path holds this form, by its name and first bytes.
    read: the item of a clip, without label.
    layout_of: the layout of a clip, '' where it must be said; None where all
      clips have `layout`.
    count_joints: the number of joints of a clip, for the same forms; 0 where
      nobody is seen.
  """

  name: str
  description: str
  layout: str
  is_clip: Callable[[str], bool]
  read: Callable[[str, ReadOptions], Item]
  layout_of: Callable[[str], str] | None = None
  count_joints: Callable[[str], int] | None = None


# In these numberings of joints COCO's 17 come first: Halpe's body and body with
# face and hands, and COCO-WholeBody.
_BEGIN_WITH_COCO = (26, 133, 136)
_COCO = skeletons.LAYOUTS['coco']


def detect(path: str) -> str:
  """The name of the form that a clip has.

  Args:
    path: a file, or a folder with one file a frame.

  Raises:
    UserError: there is no such file, or no form or several fit.
  """
  if not os.path.exists(path):
    raise errors.UserError(f'There is no file or folder {path}.')
  found = [form.name for form in FORMS.values() if form.is_clip(path)]
  if len(found) == 1:
    return found[0]
  if found:
    raise arrays.clip_error(
      'form',
      path,
      f'may be of the forms {" or ".join(found)}. Say which: --form=NAME.',
    )
  listed = '; '.join(f'{f.name} ({f.description})' for f in FORMS.values())
  raise arrays.clip_error(
    'form',
    path,
    f'is of no known form: {_what_is_seen(path)}. The forms are: {listed}. If'
    ' it is one of them, say which: --form=NAME.',
  )


def read_clip(
  path: str, form: str = 'auto', options: ReadOptions | None = None
) -> Item:
  """The item of one clip: 'keypoint' [M, T, V, C] and what else is known.

  Args:
    path: a file, or a folder with one file a frame.
    form: a name in FORMS, or 'auto' to detect it.
    options: how to read it; the defaults if None.

  Returns:
    'keypoint' [M, T, V, C]: pixels, or metres for 3D; 'keypoint_score'
    [M, T, V] and 'img_shape' (height, width) where they are known.

  Raises:
    UserError: names the file, what is wrong and what was expected.
  """
  return _form(path, form).read(path, options or ReadOptions())


def layout_of(path: str, form: str = 'auto') -> str:
  """The name of the layout that a clip has; '' when it must be said."""
  found = _form(path, form)
  return found.layout if found.layout_of is None else found.layout_of(path)


def explain_no_layout(path: str, form: str = 'auto') -> str:
  """What to do about a clip of which `layout_of` does not know the layout."""
  found = _form(path, form)
  num_joints = found.count_joints(path) if found.count_joints else 0
  if not num_joints:
    return f'{path} shows nobody, so that its joints say nothing.'
  advice = clips.layouts_with(num_joints)
  if num_joints in _BEGIN_WITH_COCO and found.name != 'array':
    advice = (
      f'Where the first {_COCO.num_joints} of them are those of COCO, as in'
      ' Halpe and COCO-WholeBody, --layout=coco takes these and leaves out the'
      ' rest.'
    )
  return f'{path} has {num_joints} joints. {advice}'


def _form(path: str, name: str) -> Form:
  if name == 'auto':
    name = detect(path)
  if name not in FORMS:
    raise errors.UserError(
      f'The form {name!r} of a clip is not known. Expected auto or one of'
      f' {", ".join(FORMS)} (--form).'
    )
  if not os.path.exists(path):
    raise errors.UserError(f'There is no file or folder {path}.')
  return FORMS[name]


def _what_is_seen(path: str) -> str:
  """What a path holds, in words."""
  if os.path.isdir(path):
    names = sorted(os.listdir(path))
    if not names:
      return 'it is an empty folder'
    return f'it is a folder of {len(names)} files, the first of them {names[0]}'
  head = json_files.head(path)
  if not head:
    return 'it is empty, or cannot be read'
  if json_files.is_json(path):
    keys = json_files.keys(head)
    if 'people' in keys:
      return 'it is one frame of OpenPose, whose clips are folders: give that'
    if keys:
      return f'it is JSON with the keys {", ".join(map(repr, keys[:8]))}'
  return f'it begins with {head[:40]!r}'


def _clip_of_frames(
  seen: frames.Seen, path: str, options: ReadOptions
) -> dict[str, Any]:
  """The item of what a pose tool saw."""
  by_number, img_shape = frames.in_pixels(seen, path, options.img_shape)
  if options.layout:
    by_number = _cut_joints(by_number, path, options.layout)
  return frames.clip(
    by_number, path, tracking=options.tracking, img_shape=img_shape
  )


def _cut_joints(
  by_number: frames.Frames, path: str, layout: str
) -> frames.Frames:
  """Only the joints of COCO, where it is asked for and they are the first."""
  found = _shape(by_number)[0]
  if layout != _COCO.name or found not in _BEGIN_WITH_COCO:
    return by_number
  logging.log_first_n(
    logging.INFO,
    '%s: of its %d joints, the first %d, which are those of layout %s, are'
    ' taken',
    1,
    path,
    found,
    _COCO.num_joints,
    layout,
  )
  return frames.first_joints(by_number, _COCO.num_joints)


def _shape(by_number: frames.Frames) -> tuple[int, int]:
  """Joints and coordinates of the first person, zeros where nobody is seen."""
  people = (p for persons in by_number.values() for p in persons)
  return next((person.keypoint.shape for person in people), (0, 0))


def _layout_of_frames(seen: frames.Seen, layouts: Mapping[int, str]) -> str:
  """The layout of the joints that a pose tool writes, by name or number.

  The number tells it in 2D only: in 3D, tools write as many joints as COCO has
  and mean those of Human3.6M.
  """
  if not seen.joint_names:
    shape = _shape(seen.frames)
    return layouts.get(shape[0], '') if shape[1] == 2 else ''
  # Tools write left_eye, layouts left eye.
  names = tuple(n.lower().replace('_', ' ') for n in seen.joint_names)
  known = skeletons.LAYOUTS.values()
  return next((k.name for k in known if k.joints == names), '')


def _from_frames(
  name: str,
  description: str,
  module: types.ModuleType,
) -> Form:
  """The form of a pose tool, whose module says what is seen in a file."""
  return Form(
    name=name,
    description=description,
    layout='',
    is_clip=module.is_clip,
    read=lambda path, options: _clip_of_frames(module.see(path), path, options),
    layout_of=lambda path: _layout_of_frames(module.see(path), module.LAYOUTS),
    count_joints=lambda path: _shape(module.see(path).frames)[0],
  )


def _count_joints_of_array(path: str) -> int:
  shape = clip_arrays.read_clip(path)['keypoint'].shape
  return shape[2] if len(shape) == 4 else 0


def _read_array(path: str, options: ReadOptions) -> Item:
  item = clip_arrays.read_clip(path)
  img_shape = frames.agree(item.get('img_shape'), options.img_shape, path)
  return item if img_shape is None else {**item, 'img_shape': img_shape}


FORMS: Mapping[str, Form] = types.MappingProxyType(
  {
    form.name: form
    for form in (
      _from_frames(
        'mmpose',
        'JSON of MMPose with frame_id and instances, or of COCO with images and'
        ' annotations',
        mmpose_json,
      ),
      _from_frames(
        'openpose',
        'a folder of ..._keypoints.json files, one a frame',
        openpose_json,
      ),
      _from_frames(
        'alphapose',
        'alphapose-results.json, with image_id and keypoints or joints',
        alphapose_json,
      ),
      _from_frames(
        'ultralytics',
        'JSON with the summary of every frame, or a folder of label files'
        ' (.txt)',
        ultralytics_json,
      ),
      Form(
        name='mediapipe',
        description='JSON with pose_landmarks or pose_world_landmarks of every'
        ' frame',
        layout=mediapipe_json.LAYOUT,
        is_clip=mediapipe_json.is_clip,
        read=lambda path, options: _clip_of_frames(
          mediapipe_json.see(path, options.coordinates), path, options
        ),
      ),
      Form(
        name='ntu',
        description='a .skeleton file of NTU RGB+D',
        layout=ntu_skeleton.LAYOUT,
        is_clip=ntu_skeleton.is_clip,
        read=lambda path, options: ntu_skeleton.read_clip(
          path, options.denoise
        ),
      ),
      Form(
        name='kinetics_skeleton',
        description='JSON of Kinetics-skeleton, with data, frame_index and'
        ' skeleton',
        layout=kinetics_skeleton.LAYOUT,
        is_clip=kinetics_skeleton.is_clip,
        read=lambda path, options: kinetics_skeleton.read_clip(path),
      ),
      Form(
        name='ucla',
        description='JSON of Northwestern-UCLA, with skeletons',
        layout=ucla_json.LAYOUT,
        is_clip=ucla_json.is_clip,
        read=lambda path, options: ucla_json.read_clip(path),
      ),
      Form(
        name='array',
        description='.npy or .npz with keypoint [persons, frames, joints, 2'
        ' or 3]',
        layout='',
        is_clip=clip_arrays.is_clip,
        read=_read_array,
        count_joints=_count_joints_of_array,
      ),
    )
  }
)
