"""All formats of single clips: detect the format of a path and read the clip.

To add a format, write a module that defines a ClipFormat and list it in FORMATS
(docs/add_a_format.md).
"""

import os
import types

from skeljax import errors
from skeljax.readers import checks
from skeljax.readers import json_file
from skeljax.readers import kinetics_skeleton
from skeljax.readers import ntu_skeleton
from skeljax.readers import numpy_clip
from skeljax.readers import raw_dataset
from skeljax.readers import ucla_json
from skeljax.readers.clip_format import ClipFormat
from skeljax.readers.clip_format import ReadOptions
from skeljax.readers.pose_tools import alphapose
from skeljax.readers.pose_tools import frames
from skeljax.readers.pose_tools import mediapipe
from skeljax.readers.pose_tools import mmpose
from skeljax.readers.pose_tools import openpose
from skeljax.readers.pose_tools import pose_format
from skeljax.readers.pose_tools import ultralytics


def detect(path: str) -> str:
  """Return the name of the format of a clip.

  Args:
    path: a file, or a folder with one file per frame.

  Raises:
    UserError: there is no such file, or no format or several match.
  """
  _check_exists(path)
  found = [name for name, known in FORMATS.items() if known.is_clip(path)]
  if len(found) == 1:
    return found[0]
  if found:
    raise checks.ClipError(
      'format',
      path,
      f'matches the formats {" and ".join(found)}. Choose with --format=NAME.',
    )
  listed = '; '.join(f'{f.name} ({f.description})' for f in FORMATS.values())
  raise checks.ClipError(
    'format',
    path,
    f'has no known format: {_describe(path)}. Known formats: {listed}. If it is'
    ' one of them, give --format=NAME.',
  )


def read_clip(
  path: str, format: str = 'auto', options: ReadOptions | None = None
) -> raw_dataset.Item:
  """Read one clip.

  Args:
    path: a file, or a folder with one file per frame.
    format: a key of FORMATS, or 'auto' to detect it.
    options: how to read it; None for the defaults.

  Returns:
    See raw_dataset.Item.

  Raises:
    UserError: names the file, the problem and the expectation.
  """
  return _get(path, format).read(path, options or ReadOptions())


def layout_of(path: str, format: str = 'auto') -> str:
  """Return the name of the layout of a clip; '' if it cannot be inferred."""
  return _get(path, format).layout_of(path)


def explain_no_layout(path: str, format: str = 'auto') -> str:
  """Explain what to do if `layout_of` returns ''."""
  return _get(path, format).explain_no_layout(path)


def _get(path: str, name: str) -> ClipFormat:
  if name == 'auto':
    name = detect(path)
  if name not in FORMATS:
    raise errors.UserError(
      f'--format={name}: expected auto or one of {", ".join(FORMATS)}.'
    )
  _check_exists(path)
  return FORMATS[name]


def _check_exists(path: str) -> None:
  if not os.path.exists(path):
    raise errors.UserError(f'There is no file or folder {path}.')


def _describe(path: str) -> str:
  """Describe the content of a path for an error message."""
  if os.path.isdir(path):
    names = sorted(os.listdir(path))
    if not names:
      return 'an empty folder'
    return f'a folder of {len(names)} files, the first is {names[0]}'
  if path.lower().endswith('.npz'):
    found = checks.keys(dict.fromkeys(numpy_clip.names(path)))
    return f"a .npz with {found} and without 'keypoint'"
  head = json_file.head(path)
  if not head:
    return 'it is empty, or cannot be read'
  keys = json_file.keys(head) if json_file.is_json(path) else ()
  if 'people' in keys:
    return (
      'a single frame of OpenPose; its clips are folders, so give the folder'
    )
  if {'confidence', 'box'} <= set(keys) and 'keypoints' not in keys:
    return 'boxes of Ultralytics without keypoints; use a pose model'
  if keys:
    return f'JSON with the keys {", ".join(map(repr, keys[:8]))}'
  return f'it starts with {head[:40]!r}'


def _fixed_layout(
  name: str, description: str, module: types.ModuleType, *read_options: str
) -> ClipFormat:
  """The format of a module with `is_clip`, `read_clip` and one LAYOUT.

  Args:
    name: see ClipFormat.
    description: see ClipFormat.
    module: the reader.
    *read_options: fields of ReadOptions that read_clip takes.
  """

  def read(path: str, options: ReadOptions) -> raw_dataset.Item:
    pose_format.check_layout(module.LAYOUT, options.layout, path)
    arguments = {field: getattr(options, field) for field in read_options}
    return module.read_clip(path, **arguments)

  return ClipFormat(
    name,
    description,
    is_clip=module.is_clip,
    read=read,
    layout_of=lambda path: module.LAYOUT,
    explain_no_layout=lambda path: f'{path} has the layout {module.LAYOUT}.',
  )


def _read_array(path: str, options: ReadOptions) -> raw_dataset.Item:
  item = numpy_clip.read_clip(path)
  img_shape = frames.agreed_img_shape(
    item.get('img_shape'), options.img_shape, path
  )
  return {**item, 'img_shape': img_shape} if img_shape else item


def _explain_array(path: str) -> str:
  num_joints = numpy_clip.read_clip(path)['keypoint'].shape[2]
  return f'{path} has {num_joints} joints. {checks.layouts_with(num_joints)}'


_FORMATS = (
  mmpose.FORMAT,
  openpose.FORMAT,
  alphapose.FORMAT,
  ultralytics.FORMAT,
  mediapipe.FORMAT,
  _fixed_layout(
    'ntu', 'a .skeleton file of NTU RGB+D', ntu_skeleton, 'denoise'
  ),
  _fixed_layout(
    'kinetics_skeleton',
    'JSON of Kinetics-skeleton, with data, frame_index and skeleton',
    kinetics_skeleton,
  ),
  _fixed_layout('ucla', 'JSON of Northwestern-UCLA, with skeletons', ucla_json),
  ClipFormat(
    'array',
    '.npy or .npz with keypoint [persons, frames, joints, 2 or 3]',
    is_clip=numpy_clip.is_clip,
    read=_read_array,
    layout_of=lambda path: '',
    explain_no_layout=_explain_array,
  ),
)
FORMATS = types.MappingProxyType({known.name: known for known in _FORMATS})
