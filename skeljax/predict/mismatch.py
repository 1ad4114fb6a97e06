"""In what a clip of somebody's own differs from a checkpoint's training data.

Each check ends in one paragraph that says what was found, what the network
takes, and what to do. The units of a clip are written nowhere, so its size is
held against that of the training data.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

from ml_collections import config_dict
import numpy as np

from skeljax import errors
from skeljax import models
from skeljax import skeletons
from skeljax.datasets import records
from skeljax.datasets.spec import DataSpec
from skeljax.predict import own_clips
from skeljax.readers import checks
from skeljax.readers import compressed

# A body in metres, as records.body_size measures it.
_METRES = 0.5
# So many times larger or smaller is another unit, not another body: persons
# are of one size in 3D, in a picture they may be near or far.
_FACTOR = {3: 8.0, 2: 50.0}
# Fractions of a picture lie within 0 and 1, or a little beyond.
_FRACTION = 2.0
_UNITS = {
  3: {
    1000: ('millimetres', 'metres'),
    100: ('centimetres', 'metres'),
    1 / 100: ('metres', 'centimetres'),
    1 / 1000: ('metres', 'millimetres'),
  },
  2: {
    1000: ('pixels', 'fractions of the picture'),
    1 / 1000: ('fractions of the picture', 'pixels'),
  },
}
# A score from which joints are drawn in mmaction2's demo.
_SURE = 0.3
_ANYWAY = ' If it is right as it is, add --nocheck_units.'


@dataclasses.dataclass(frozen=True)
class Expected:
  """What a checkpoint takes.

  Attributes:
    source: names the checkpoint in messages.
    config: says how clips become input.
    spec: what the network knows of its data.
    is_assumed: whether a PyTorch file left some of the spec open.
    max_persons: persons of a clip that are kept; 0: all.
    max_persons_in_frame: the same in each frame of compressed clips.
    third_channel: what a third channel is, see readers.check_clip.
    check_units: whether clips of another size than the training data are
      refused.
  """

  source: str
  config: config_dict.ConfigDict
  spec: DataSpec
  is_assumed: bool
  max_persons: int
  max_persons_in_frame: int = compressed.DEFAULT_MAX_PERSONS
  third_channel: str = 'auto'
  check_units: bool = True

  @property
  def takes_volumes(self) -> bool:
    return models.input_kind(self.config.model.name) == 'heatmaps'

  @property
  def num_channels(self) -> int:
    """Coordinates of a joint in the clips before any projection."""
    return 3 if self.spec.project != 'none' else self.spec.num_channels

  @property
  def normalize_2d(self) -> str:
    return self.config.input.get('normalize_2d', 'none')

  @property
  def needs_img_shape(self) -> bool:
    """Whether the size of the picture is part of the input."""
    by_picture = self.normalize_2d not in ('none', 'pyskl_auto')
    return self.takes_volumes or by_picture

  @property
  def takes_pixels(self) -> bool:
    """Whether 2D coordinates have to be pixels."""
    return self.takes_volumes or self.normalize_2d != 'none'

  @property
  def ignores_size(self) -> bool:
    """Whether clips are scaled by themselves, so that no unit matters."""
    return (
      self.spec.project != 'none'
      or self.takes_pixels
      or bool(self.config.input.get('min_max', False))
    )

  @property
  def longest_clip(self) -> int | None:
    """The most frames that a clip may have; None: any number."""
    data = self.config.data
    return data.clip_len if data.frames == 'zero' else None


def check_layout(
  clip: own_clips.OwnClip,
  item: Mapping[str, Any],
  ours: skeletons.Layout,
  source: str,
) -> skeletons.Layout:
  """The layout of the network, which must be that of the clip.

  Args:
    clip: where the item is from.
    item: as it was read; its keypoints need not be sound.
    ours: what the network was trained with.
    source: names the checkpoint.

  Raises:
    UserError: the clip has other joints.
  """
  keypoint = item.get('keypoint')
  found = None
  if isinstance(keypoint, np.ndarray) and keypoint.ndim == 4:
    found = keypoint.shape[2]
  theirs = clip.layout
  if theirs == ours.name and found in (None, ours.num_joints):
    return ours
  if theirs and theirs != ours.name:
    layout = skeletons.get_layout(theirs)
    same = (layout.joints, layout.edges) == (ours.joints, ours.edges)
    if not same or found not in (None, ours.num_joints):
      raise errors.UserError(
        f'{clip.where} has the {layout.num_joints} joints of layout'
        f' {layout.name!r}, and {source} was trained on the {ours.num_joints}'
        f' joints of {ours.name!r}.{_advice(clip, ours, found)}'
      )
  elif found not in (None, ours.num_joints):
    raise errors.UserError(
      f'{clip.where} has {found} joints, and {source} was trained on the'
      f' {ours.num_joints} joints of layout {ours.name!r}.'
      f' {checks.layouts_with(found)}{_advice(clip, ours, found)}'
    )
  return ours


def _advice(
  clip: own_clips.OwnClip, ours: skeletons.Layout, found: int | None
) -> str:
  """What to do about a clip that has other joints than the network."""
  # Joints of the same number are others, of which no reader takes a part.
  is_other_number = found not in (None, ours.num_joints)
  if (
    is_other_number
    and clip.read_with_layout is not None
    and ours.name in skeletons.LAYOUTS
  ):
    cut = clip.read_with_layout(ours.name)['keypoint']
    if cut.shape[2] == ours.num_joints:
      return (
        f' The first {ours.num_joints} of its joints are those of'
        f' {ours.name!r}: --layout={ours.name} takes them and leaves out the'
        ' rest.'
      )
  return (
    ' Joints of one layout stand at other places of the body than those of'
    ' another, so none is made of the other: use a checkpoint that was trained'
    f' on such clips, or estimate the poses with a tool that writes'
    f' {ours.name!r} (docs/formats.md). --layout=NAME says what the joints of'
    ' a file are, where it was taken for something else.'
  )


def check_dims(
  record: Mapping[str, Any], where: str, expected: Expected
) -> None:
  """Raises UserError for 2D keypoints where 3D is taken, or the reverse.

  Args:
    record: of readers.check_clip.
    where: the clip, in words.
    expected: by the checkpoint.
  """
  found = record['keypoint'].shape[-1]
  # What was projected for the training is 2D already in other clips.
  if found in (expected.num_channels, expected.spec.num_channels):
    return
  if found == 2:
    advice = (
      'Depth cannot be added: use a checkpoint for 2D keypoints, or clips that'
      ' were captured in 3D.'
    )
  else:
    advice = (
      'Use a checkpoint for 3D skeletons, or 2D keypoints of the same'
      ' recording. If the third channel is the score of each joint, say'
      ' --third_channel=score.'
    )
  raise errors.UserError(
    f'{where} holds {found}D keypoints, and {expected.source} takes'
    f' {expected.num_channels}D ones. {advice}'
  )


def refuse_missing_scores(
  record: Mapping[str, Any], where: str, expected: Expected
) -> None:
  """Raises UserError for a clip without the scores that the network takes.

  Args:
    record: of readers.check_clip.
    where: the clip, in words.
    expected: by the checkpoint.
  """
  check_dims(record, where, expected)
  raise errors.UserError(
    f'{where} has no scores, and {expected.source} was trained with the score'
    " of every joint. Put 'keypoint_score' [persons, frames, joints] into the"
    ' clip, as the pose tool gave it, or use a checkpoint that was trained'
    ' without scores.'
  )


def check_img_shape(
  record: Mapping[str, Any], where: str, expected: Expected
) -> None:
  """Raises UserError where the size of the picture is needed and unknown.

  Args:
    record: of readers.check_clip.
    where: the clip, in words.
    expected: by the checkpoint.
  """
  is_projected = record['keypoint'].shape[-1] == 3
  if not expected.needs_img_shape or is_projected or all(record['img_shape']):
    return
  what = 'cannot place its heatmaps without'
  default = ''
  if not expected.takes_volumes:
    what = 'takes coordinates relative to'
    default = (
      ' Training takes clips that do not say it for 1080x1920, as published:'
      ' --img_shape=1080x1920 does the same here.'
    )
  raise errors.UserError(
    f'{where} does not say how large its picture is, and {expected.source}'
    f' {what} that. Give --img_shape=HEIGHTxWIDTH in pixels.{default}'
  )


def check_units(
  record: Mapping[str, Any], where: str, expected: Expected
) -> None:
  """Raises UserError for a clip in another unit than the training data.

  Args:
    record: of readers.check_clip.
    where: the clip, in words.
    expected: by the checkpoint.
  """
  keypoint, spec = record['keypoint'], expected.spec
  dims = keypoint.shape[-1]
  if dims == 2 and expected.takes_pixels:
    _check_pixels(record, where, expected)
    return
  size, usual = records.body_size(keypoint), spec.body_size
  if not usual and spec.normalize != 'none':
    usual = _METRES  # As published annotations are.
  if expected.ignores_size or not size or not usual:
    return
  ratio, factor = size / usual, _FACTOR[dims]
  if 1 / factor < ratio < factor:
    return
  step = min(_UNITS[dims], key=lambda r: abs(np.log(ratio / r)))
  guess = ''
  if 0.1 < ratio / step < 10:
    theirs, ours = _UNITS[dims][step]
    by = f'divided by {step}' if step > 1 else f'times {round(1 / step)}'
    guess = f', as if it were in {theirs} and the training data in {ours}'
    if dims == 3:
      guess += f' (its keypoints {by})'
  times = float(f'{max(ratio, 1 / ratio):.1g}')
  how = f'about {times:,.0f} times as {"large" if ratio > 1 else "small"}'
  raise errors.UserError(
    f'{where}: its skeletons are {how} as those that {expected.source} was'
    f' trained with ({size:.3g} against {usual:.3g}, the root mean square'
    f' distance of joints from their middle){guess}. Give the clip in the unit'
    f' of the training data.{_ANYWAY}'
  )


def _check_pixels(
  record: Mapping[str, Any], where: str, expected: Expected
) -> None:
  """Raises UserError for 2D keypoints that are no pixels of their picture."""
  keypoint = record['keypoint'].astype(np.float64)
  largest = np.abs(keypoint).max()
  # Unless the training data were fractions too.
  if largest <= _FRACTION and not 0 < expected.spec.body_size < _FRACTION / 2:
    raise errors.UserError(
      f'{where}: its coordinates reach {largest:.3g}, as fractions of a picture'
      f' do, and {expected.source} takes pixels. Multiply x by the width of the'
      f' picture and y by its height.{_ANYWAY}'
    )
  height, width = record['img_shape']
  is_sure = keypoint.any(axis=-1)
  if 'keypoint_score' in record:
    # Pose tools guess where joints beyond the picture are.
    is_sure &= record['keypoint_score'] > _SURE
  points = keypoint[is_sure]
  if not expected.needs_img_shape or not height or not len(points):
    return
  outside = (points < 0) | (points > (width, height))
  part = outside.any(axis=-1).mean()
  if part > 0.5:
    x, y = points.max(axis=0)
    raise errors.UserError(
      f'{where}: {part:.0%} of its joints lie outside the picture of'
      f' {height}x{width} (height x width); they reach x {x:.0f} and y {y:.0f}.'
      ' The size is that of another picture, or height and width changed'
      f' places: say --img_shape=HEIGHTxWIDTH.{_ANYWAY}'
    )
