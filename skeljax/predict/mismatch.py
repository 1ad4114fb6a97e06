"""Checks of a user's clip against the checkpoint's training data.

Files do not contain the unit of their coordinates, so the size of the skeletons
is compared with that of the training data.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from skeljax import errors
from skeljax import skeletons
from skeljax.datasets import records
from skeljax.predict.checkpoint import Target
from skeljax.predict.clips import UserClip
from skeljax.readers import checks

# A typical body in metres, as measured by records.body_size.
_METRES = 0.5
# A size that differs by this factor means another unit. Persons have about the
# same size in 3D; in 2D it depends on their distance from the camera.
_FACTOR = {3: 8.0, 2: 50.0}
# Coordinates up to this are fractions of the image size.
_MAX_FRACTION = 2.0
# Ratio of sizes -> (unit of the clip, unit of the training data).
_UNITS = {
  3: {
    1000: ('millimetres', 'metres'),
    100: ('centimetres', 'metres'),
    1 / 100: ('metres', 'centimetres'),
    1 / 1000: ('metres', 'millimetres'),
  },
  2: {
    1000: ('pixels', 'fractions of the image size'),
    1 / 1000: ('fractions of the image size', 'pixels'),
  },
}
# Joints above this score are drawn in mmaction2's demo.
_RELIABLE_SCORE = 0.3
_OVERRIDE = ' To accept it as it is, add --nocheck_units.'


def check_layout(
  clip: UserClip, item: Mapping[str, Any], target: Target
) -> None:
  """Raise UserError if the clip has other joints than the training data.

  Args:
    clip: the clip.
    item: its content; the keypoints may be invalid.
    target: the checkpoint.
  """
  trained, keypoint = target.spec.layout, item.get('keypoint')
  found = trained.num_joints
  if isinstance(keypoint, np.ndarray) and keypoint.ndim == 4:
    found = keypoint.shape[2]
  has_same_number = found == trained.num_joints
  expected = (
    f'{target.source} was trained on the {trained.num_joints} joints of layout'
    f' {trained.name!r}.'
  )
  if clip.layout and clip.layout != trained.name:
    layout = skeletons.get_layout(clip.layout)
    is_same = (layout.joints, layout.edges) == (trained.joints, trained.edges)
    if is_same and has_same_number:
      return
    problem = (
      f'{clip.where} has the {layout.num_joints} joints of layout'
      f' {layout.name!r}, and {expected}'
    )
  elif has_same_number:
    return
  else:
    problem = (
      f'{clip.where} has {found} joints, and {expected}'
      f' {checks.layouts_with(found)}'
    )
  if not has_same_number and clip.read_as and trained.name in skeletons.LAYOUTS:
    # The first joints of some layouts are those of COCO.
    if clip.read_as(trained.name)['keypoint'].shape[2] == trained.num_joints:
      raise errors.UserError(
        f'{problem} Its first {trained.num_joints} joints are those of'
        f' {trained.name!r}: add --layout={trained.name} to use only these.'
      )
  raise errors.UserError(
    f'{problem} Joints are not converted between layouts: use a checkpoint'
    f' trained on such clips, or a pose estimator that writes {trained.name!r}'
    ' (docs/formats.md). If the layout was detected incorrectly, set'
    ' --layout=NAME.'
  )


def check_dims(record: Mapping[str, Any], where: str, target: Target) -> None:
  """Raise UserError for 2D keypoints if the model takes 3D, or vice versa.

  Args:
    record: result of checks.check_item.
    where: file and sample.
    target: the checkpoint.
  """
  found, spec = record['keypoint'].shape[-1], target.spec
  # A model trained on projected 3D also takes 2D.
  accepted = {spec.num_channels} | ({3} if spec.project != 'none' else set())
  if found in accepted:
    return
  advice = (
    'Use a checkpoint for 3D skeletons, or 2D keypoints of the same recording.'
    ' If the third channel is the score of the joint, set'
    ' --third_channel=score.'
  )
  if found == 2:
    advice = 'Use a checkpoint for 2D keypoints, or clips recorded in 3D.'
  raise errors.UserError(
    f'{where} contains {found}D keypoints, and {target.source} takes'
    f' {max(accepted)}D keypoints. {advice}'
  )


def check_img_shape(
  record: Mapping[str, Any], where: str, target: Target
) -> None:
  """Raise UserError if the input needs the image size and it is unknown."""
  is_3d = record['keypoint'].shape[-1] == 3
  if not target.needs_img_shape or is_3d or all(record['img_shape']):
    return
  default = ''
  if not target.input.needs_img_shape:
    default = (
      ' In training, clips without an image size are taken as 1080x1920, as'
      ' published; --img_shape=1080x1920 does the same.'
    )
  raise errors.UserError(
    f'{where} does not contain the image size, which {target.source} needs to'
    f' scale the keypoints. Set --img_shape=HEIGHTxWIDTH in pixels.{default}'
  )


def check_units(record: Mapping[str, Any], where: str, target: Target) -> None:
  """Raise UserError if the clip has another unit than the training data."""
  keypoint, spec = record['keypoint'], target.spec
  dims = keypoint.shape[-1]
  if dims == 2 and target.takes_pixels:
    _check_pixels(record, where, target)
    return
  size, usual = records.body_size(keypoint), spec.body_size
  if not usual and spec.normalize != 'none':
    usual = _METRES  # Published annotations are in metres.
  if target.ignores_units or not size or not usual:
    return
  ratio, factor = size / usual, _FACTOR[dims]
  if 1 / factor < ratio < factor:
    return
  step = min(_UNITS[dims], key=lambda r: abs(np.log(ratio / r)))
  guess = ''
  if 0.1 < ratio / step < 10:
    theirs, ours = _UNITS[dims][step]
    guess = f', as if it were in {theirs} and the training data in {ours}'
    if dims == 3:
      by = f'divide by {step}' if step > 1 else f'multiply by {round(1 / step)}'
      guess += f': {by}'
  times = float(f'{max(ratio, 1 / ratio):.1g}')
  raise errors.UserError(
    f'{where}: its skeletons are about {times:,.0f} times'
    f' {"larger" if ratio > 1 else "smaller"} than those that {target.source} was'
    f' trained with ({size:.3g} instead of {usual:.3g}, root mean square distance'
    f' of the joints from their mean){guess}.{_OVERRIDE}'
  )


def _check_pixels(
  record: Mapping[str, Any], where: str, target: Target
) -> None:
  """Raise UserError if 2D keypoints are not pixels of their image."""
  keypoint = record['keypoint'].astype(np.float64)
  largest = np.abs(keypoint).max()
  has_trained_on_fractions = 0 < target.spec.body_size < _MAX_FRACTION / 2
  if largest <= _MAX_FRACTION and not has_trained_on_fractions:
    raise errors.UserError(
      f'{where}: its largest coordinate is {largest:.3g}, like fractions of the'
      f' image size, and {target.source} takes pixels. Multiply x by the width'
      f' and y by the height.{_OVERRIDE}'
    )
  height, width = record['img_shape']
  is_reliable = keypoint.any(axis=-1)
  if 'keypoint_score' in record:
    # Pose estimators extrapolate joints outside the image with a low score.
    is_reliable &= record['keypoint_score'] > _RELIABLE_SCORE
  points = keypoint[is_reliable]
  if not target.needs_img_shape or not height or not len(points):
    return
  outside = ((points < 0) | (points > (width, height))).any(axis=-1).mean()
  if outside > 0.5:
    x, y = points.max(axis=0)
    raise errors.UserError(
      f'{where}: {outside:.0%} of its joints are outside the image of'
      f' {height}x{width} (height x width), up to x {x:.0f} and y {y:.0f}. If the'
      ' size is wrong, or height and width are swapped, set'
      f' --img_shape=HEIGHTxWIDTH.{_OVERRIDE}'
    )
