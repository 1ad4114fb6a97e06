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

from skeljax import errors
from skeljax.readers import arrays
from skeljax.readers import clip_arrays
from skeljax.readers import clips
from skeljax.readers import json_files
from skeljax.readers import kinetics_skeleton
from skeljax.readers import ntu_skeleton
from skeljax.readers import ucla_json
from skeljax.readers.pose_tools import alphapose_json
from skeljax.readers.pose_tools import frame_layouts
from skeljax.readers.pose_tools import frames
from skeljax.readers.pose_tools import mediapipe_json
from skeljax.readers.pose_tools import mmpose_json
from skeljax.readers.pose_tools import openpose_json
from skeljax.readers.pose_tools import ultralytics_json

Item = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class ReadOptions:
  """How to read a clip where its file leaves a choice.

  Attributes:
    tracking: who is who from frame to frame where the tool gives no ids:
      'oks', 'iou' or 'none' (see skeljax.readers.tracking).
    coordinates: which of MediaPipe's: 'image', pixels, or 'world', metres.
    img_shape: (height, width) of the picture where the file does not say it.
    denoise: the choice of persons in raw NTU files (see ntu_skeleton).
    layout: the layout that is wanted, or ''. Where a tool wrote more joints
      than COCO's 17 and these are the first of them (26, 133 or 136 joints),
      'coco' takes those; otherwise joints are never left out. A layout that
      has as many joints as the clip's, and others, is an error.
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
      clips have `layout`, or none says it.
    explain_no_layout: what to do where it must be said, in words; None where
      all clips have `layout`.
  """

  name: str
  description: str
  layout: str
  is_clip: Callable[[str], bool]
  read: Callable[[str, ReadOptions], Item]
  layout_of: Callable[[str], str] | None = None
  explain_no_layout: Callable[[str], str] | None = None


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
  found, options = _form(path, form), options or ReadOptions()
  if found.layout:
    frame_layouts.check(found.layout, options.layout, path)
  return found.read(path, options)


def layout_of(path: str, form: str = 'auto') -> str:
  """The name of the layout that a clip has; '' when it must be said."""
  found = _form(path, form)
  return found.layout if found.layout_of is None else found.layout_of(path)


def explain_no_layout(path: str, form: str = 'auto') -> str:
  """What to do about a clip of which `layout_of` does not know the layout."""
  found = _form(path, form)
  if found.explain_no_layout is None:
    return f'{path} has the layout {found.layout}.'
  return found.explain_no_layout(path)


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
  if path.lower().endswith('.npz'):
    names = ', '.join(map(repr, clip_arrays.names(path))) or 'nothing'
    return f"it is a .npz with {names} and without 'keypoint'"
  head = json_files.head(path)
  if not head:
    return 'it is empty, or cannot be read'
  if json_files.is_json(path):
    keys = json_files.keys(head)
    if 'people' in keys:
      return 'it is one frame of OpenPose, whose clips are folders: give that'
    if {'confidence', 'box'} <= set(keys) and 'keypoints' not in keys:
      return (
        'it is what Ultralytics says of boxes, without keypoints: take a pose'
        ' model'
      )
    if keys:
      return f'it is JSON with the keys {", ".join(map(repr, keys[:8]))}'
  return f'it begins with {head[:40]!r}'


def _clip_of_frames(
  seen: frames.Seen, path: str, options: ReadOptions
) -> dict[str, Any]:
  """The item of what a pose tool saw."""
  by_number, img_shape = frames.in_pixels(seen, path, options.img_shape)
  return frames.clip(
    frame_layouts.cut(by_number, options.layout, path),
    path,
    tracking=options.tracking,
    img_shape=img_shape,
  )


def _from_frames(
  name: str,
  description: str,
  module: types.ModuleType,
) -> Form:
  """The form of a pose tool, whose module says what is seen in a file."""

  def read(path, options):
    seen = module.see(path)
    layout = frame_layouts.layout_of(seen, module.LAYOUTS)
    frame_layouts.check(layout, options.layout, path)
    return _clip_of_frames(seen, path, options)

  return Form(
    name=name,
    description=description,
    layout='',
    is_clip=module.is_clip,
    read=read,
    layout_of=lambda path: frame_layouts.layout_of(
      module.see(path), module.LAYOUTS
    ),
    explain_no_layout=lambda path: frame_layouts.explain(
      module.see(path), path
    ),
  )


def _explain_array(path: str) -> str:
  num_joints = clip_arrays.read_clip(path)['keypoint'].shape[2]
  return f'{path} has {num_joints} joints. {clips.layouts_with(num_joints)}'


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
        explain_no_layout=_explain_array,
      ),
    )
  }
)
