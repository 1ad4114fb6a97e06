"""Which layout the joints have that a pose tool saw, and which are wanted.

A layout follows from the names of the joints where a file has them, and from
their number otherwise.
"""

from collections.abc import Mapping
import dataclasses

from absl import logging

from skeljax import skeletons
from skeljax.readers import arrays
from skeljax.readers import clips
from skeljax.readers.pose_tools import frames

_COCO = skeletons.LAYOUTS['coco']
# In these numberings of joints COCO's 17 come first: Halpe's body and body with
# face and hands, and COCO-WholeBody.
_BEGIN_WITH_COCO = (26, 133, 136)


def layout_of(seen: frames.Seen, layouts: Mapping[int, str]) -> str:
  """The name of the layout of what a pose tool saw, '' where it must be said.

  The number tells it in 2D only: in 3D, tools write as many joints as COCO has
  and mean those of Human3.6M.

  Args:
    seen: what the file says.
    layouts: number of joints -> layout that this tool writes.
  """
  if not seen.joint_names:
    shape = _shape(seen.frames)
    return layouts.get(shape[0], '') if shape[1] == 2 else ''
  # Tools write left_eye, layouts left eye.
  names = tuple(n.lower().replace('_', ' ') for n in seen.joint_names)
  known = skeletons.LAYOUTS.values()
  return next((k.name for k in known if k.joints == names), '')


def _shape(by_number: frames.Frames) -> tuple[int, int]:
  """Joints and coordinates of the first person, zeros where nobody is seen."""
  people = (p for persons in by_number.values() for p in persons)
  return next((person.keypoint.shape for person in people), (0, 0))


def check(found: str, wanted: str, where: str) -> None:
  """Refuses joints that are taken for others of the same number.

  Where the numbers differ, `clips.check_item` says so.

  Args:
    found: the layout that a clip has, '' if it is not known.
    wanted: the one that the user says; '' or a layout of their own for any.
    where: the file, for the error.

  Raises:
    ClipError: both are known and have the same number of joints.
  """
  if found == wanted or not {found, wanted} <= set(skeletons.LAYOUTS):
    return
  num_joints = skeletons.LAYOUTS[found].num_joints
  if skeletons.LAYOUTS[wanted].num_joints == num_joints:
    raise arrays.clip_error(
      'joints',
      where,
      f'its {num_joints} joints are those of layout {found}, and {wanted} has'
      f' others in another order. Give --layout={found}, or leave it out.',
    )


def cut(by_number: frames.Frames, layout: str, where: str) -> frames.Frames:
  """Only the joints of COCO, where it is asked for and they are the first."""
  found = _shape(by_number)[0]
  if layout != _COCO.name or found not in _BEGIN_WITH_COCO:
    return by_number
  logging.log_first_n(
    logging.INFO,
    '%s: of its %d joints, the first %d, which are those of layout %s, are'
    ' taken',
    1,
    where,
    found,
    _COCO.num_joints,
    layout,
  )
  return {
    number: [_first_joints(p, _COCO.num_joints) for p in persons]
    for number, persons in by_number.items()
  }


def _first_joints(p: frames.Person, num_joints: int) -> frames.Person:
  return dataclasses.replace(
    p,
    keypoint=p.keypoint[:num_joints],
    score=p.score[:num_joints],
    place=None if p.place is None else p.place[:num_joints],
  )


def explain(seen: frames.Seen, where: str) -> str:
  """What to do about a clip of which `layout_of` does not know the layout."""
  num_joints, num_channels = _shape(seen.frames)
  describe = 'Describe them in a layout file and give it as --layout=FILE.json.'
  if not num_joints:
    return (
      f'{where} shows nobody, so that its joints say nothing. Name the layout:'
      ' --layout=NAME.'
    )
  if seen.joint_names:
    names = ', '.join(seen.joint_names[:4])
    return (
      f'{where} names its {num_joints} joints {names}, ..., as no known layout'
      f' does. {describe} Where they are those of a known one by other names,'
      ' name it: --layout=NAME.'
    )
  if num_channels == 3:
    return (
      f'{where} has {num_joints} joints with three coordinates. In 3D, pose tools'
      " mean others than in 2D: the 17 of MMPose are Human3.6M's, not COCO's."
      f' {describe} Where the third number is a score, say so with'
      ' --third_channel=score, and name the layout: --layout=NAME.'
    )
  if num_joints in _BEGIN_WITH_COCO:
    return (
      f'{where} has {num_joints} joints. Where the first {_COCO.num_joints} of'
      ' them are those of COCO, as in Halpe and COCO-WholeBody,'
      f' --layout={_COCO.name} takes these and leaves out the rest.'
    )
  return f'{where} has {num_joints} joints. {clips.layouts_with(num_joints)}'
