"""Build the ClipFormat of a pose tool from its reader, and infer its layout.

The layout follows from the joint names if the file has them, otherwise from the
number of joints.
"""

from collections.abc import Callable, Mapping
import dataclasses

from absl import logging

from skeljax import skeletons
from skeljax.readers import checks
from skeljax.readers import clip_format
from skeljax.readers import raw_dataset
from skeljax.readers.pose_tools import frames

_COCO = skeletons.LAYOUTS['coco']
# Numbers of joints whose first 17 are those of COCO: Halpe's body, COCO-WholeBody
# and Halpe with face and hands.
_START_WITH_COCO = (26, 133, 136)


def pose_format(
  name: str,
  description: str,
  *,
  is_clip: Callable[[str], bool],
  read_frames: Callable[[str, clip_format.ReadOptions], frames.PoseFrames],
  layouts: Mapping[int, str] | str,
) -> clip_format.ClipFormat:
  """Return the ClipFormat of a pose tool.

  Args:
    name: value of the flag --format.
    description: content of the file, for messages.
    is_clip: whether a path has this format.
    read_frames: reads the persons of every frame; raises ClipError if the file
      is damaged.
    layouts: number of joints -> layout, for the 2D skeletons of this tool; or
      the name of its only layout.
  """
  defaults = clip_format.ReadOptions()

  def read(path: str, options: clip_format.ReadOptions) -> raw_dataset.Item:
    found = read_frames(path, options)
    check_layout(infer_layout(found, layouts), options.layout, path)
    persons, img_shape = frames.in_pixels(found, path, options.img_shape)
    return frames.clip(
      cut(persons, options.layout, path),
      path,
      tracking=options.tracking,
      img_shape=img_shape,
    )

  def layout_of(path: str) -> str:
    if isinstance(layouts, str):
      return layouts
    return infer_layout(read_frames(path, defaults), layouts)

  return clip_format.ClipFormat(
    name,
    description,
    is_clip=is_clip,
    read=read,
    layout_of=layout_of,
    explain_no_layout=lambda path: explain(read_frames(path, defaults), path),
  )


def infer_layout(
  found: frames.PoseFrames, layouts: Mapping[int, str] | str
) -> str:
  """Return the name of the layout, '' if it is not known.

  The number of joints decides in 2D only: 3D files of 17 joints have those of
  Human3.6M, not of COCO.

  Args:
    found: content of the file.
    layouts: number of joints -> layout of this tool, or its only layout.
  """
  if isinstance(layouts, str):
    return layouts
  if not found.joint_names:
    num_joints, num_channels = _shape(found.frames)
    return layouts.get(num_joints, '') if num_channels == 2 else ''
  # Tools write left_eye, layouts have left eye.
  names = tuple(n.lower().replace('_', ' ') for n in found.joint_names)
  known = skeletons.LAYOUTS.values()
  return next((k.name for k in known if k.joints == names), '')


def _shape(persons: frames.Frames) -> tuple[int, int]:
  """Joints and channels of the first person, zeros if there is none."""
  everyone = (p for frame in persons.values() for p in frame)
  return next((person.keypoint.shape for person in everyone), (0, 0))


def check_layout(found: str, wanted: str, where: str) -> None:
  """Reject joints of another known layout with the same number of joints.

  checks.check_clip compares the numbers of joints.

  Args:
    found: layout of the clip, '' if not known.
    wanted: layout given by the user, '' or a layout file for any.
    where: the file, for the error.

  Raises:
    ClipError: the two layouts differ and have the same number of joints.
  """
  if found == wanted or not {found, wanted} <= set(skeletons.LAYOUTS):
    return
  num_joints = skeletons.LAYOUTS[found].num_joints
  if skeletons.LAYOUTS[wanted].num_joints == num_joints:
    raise checks.ClipError(
      'joints',
      where,
      f'its {num_joints} joints are those of layout {found}, which {wanted} has'
      f' in another order. Give --layout={found}, or leave --layout out.',
    )


def cut(persons: frames.Frames, layout: str, where: str) -> frames.Frames:
  """Keep only COCO's joints if layout is 'coco' and they come first."""
  num_joints = _shape(persons)[0]
  if layout != _COCO.name or num_joints not in _START_WITH_COCO:
    return persons
  logging.log_first_n(
    logging.INFO,
    '%s: keeping the first %d of %d joints, those of layout %s',
    1,
    where,
    _COCO.num_joints,
    num_joints,
    layout,
  )
  kept = slice(_COCO.num_joints)
  return {
    number: [
      dataclasses.replace(
        p,
        keypoint=p.keypoint[kept],
        score=p.score[kept],
        position=None if p.position is None else p.position[kept],
      )
      for p in frame
    ]
    for number, frame in persons.items()
  }


def explain(found: frames.PoseFrames, where: str) -> str:
  """Explain what to do if `infer_layout` returns ''."""
  num_joints, num_channels = _shape(found.frames)
  describe = 'describe them in a layout file and give --layout=FILE.json'
  if not num_joints:
    return (
      f'{where} has no person, so no layout can be inferred. Give'
      ' --layout=NAME.'
    )
  if found.joint_names:
    names = ', '.join(found.joint_names[:4])
    return (
      f'{where} has {num_joints} joints, {names}, ..., with the names of no known'
      f' layout. Give --layout=NAME if they only differ in names; otherwise'
      f' {describe}.'
    )
  if num_channels == 3:
    return (
      f'{where} has {num_joints} joints in 3D, whose layouts differ from 2D (the'
      f" 17 of MMPose are Human3.6M's, not COCO's): {describe}. If the third"
      ' channel is a score, give --third_channel=score and --layout=NAME.'
    )
  if num_joints in _START_WITH_COCO:
    return (
      f'{where} has {num_joints} joints. If the first {_COCO.num_joints} are those'
      f' of COCO, as in Halpe and COCO-WholeBody, --layout={_COCO.name} keeps'
      ' these.'
    )
  return f'{where} has {num_joints} joints. {checks.layouts_with(num_joints)}'
