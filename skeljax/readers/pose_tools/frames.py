"""Convert the persons that a pose tool found in each frame to one clip.

The reader of a tool returns `PoseFrames`; `in_pixels` and `clip` make arrays of
them, after matching persons from frame to frame.
"""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

from absl import logging
import numpy as np

from skeljax.readers import checks
from skeljax.readers import tracking as tracking_lib

# The longest gap between frame numbers, five minutes at 30 frames per second; a
# longer one means time stamps or a mistake.
MAX_GAP = 10_000
# The most numbers in a clip: 256 MB of float32, 100 persons for ten minutes.
# Thousands of frames with hundreds of short tracks would be more.
_MAX_NUMBERS = 1 << 26
# Larger coordinates are not positions, and their squares overflow.
_LARGEST = 1e15
# A clip within so many pixels is in fractions of the image.
_MAX_FRACTION = 2.0
# Joints of a person at the border may be this far outside, as a fraction.
_MIN_FRACTION = -0.5


@dataclasses.dataclass(frozen=True)
class Person:
  """One person in one frame.

  Attributes:
    keypoint: [V, C] float64; zero for a missing joint.
    score: [V] float64, 0 for a missing joint.
    box: (x0, y0, x1, y1) of the tool, or None.
    track: track id of the tool, or None.
    position: [V, 2] of the joints in the image, for tracking, if `keypoint` is
      something else.
  """

  keypoint: np.ndarray
  score: np.ndarray
  box: np.ndarray | None = None
  track: int | str | None = None
  position: np.ndarray | None = None


def person(
  keypoint: np.ndarray,
  score: np.ndarray | None,
  where: str,
  *,
  box: np.ndarray | None = None,
  track: int | str | None = None,
  position: np.ndarray | None = None,
) -> Person:
  """Create a Person; set missing joints to zero.

  A joint is missing if a coordinate or its score is NaN (null in the file), if
  all its coordinates are exactly zero, or if its score is 0 or less.

  Args:
    keypoint: [V, C], NaN for values that the file leaves out.
    score: [V], or None if the tool gives none.
    where: file and frame, for errors.
    box: (x0, y0, x1, y1).
    track: track id of the tool; None or a negative number for none.
    position: see Person.

  Raises:
    ClipError: a number is infinite, or joints and scores differ in number.
  """
  if score is None:
    score = np.ones(len(keypoint))
  if score.shape != keypoint.shape[:1]:
    raise checks.ClipError(
      'joints',
      where,
      f'a person has {len(keypoint)} joints and scores of shape {score.shape}.'
      ' Expected one score per joint.',
    )
  # The sum is checked first because it is fast; it is NaN for missing joints.
  if not np.abs(keypoint).sum() + np.abs(score).sum() < _LARGEST:
    if (np.abs(keypoint) >= _LARGEST).any() or (score >= _LARGEST).any():
      raise checks.ClipError(
        'infinity',
        where,
        'a coordinate or score is infinite. Expected finite numbers, or null for'
        ' a missing joint.',
      )
  # NOTE: comparisons with NaN are False.
  found = (np.abs(keypoint).sum(axis=-1) > 0) & (score > 0)
  if not found.all():
    score = np.where(found, score, 0)
    keypoint = np.where(found[:, None], keypoint, 0)
    if position is not None:
      position = np.where(found[:, None], position, 0)
  if isinstance(track, int) and track < 0:
    track = None
  if box is not None and not np.isfinite(box).all():
    box = None
  return Person(keypoint, score, box, track, position)


# Frame number -> persons. Frames without a person are included.
Frames = Mapping[int, Sequence[Person]]


@dataclasses.dataclass(frozen=True)
class PoseFrames:
  """The content of the output of a pose tool.

  Attributes:
    frames: frame number -> persons, including frames without a person.
    img_shape: (height, width) of the images, if the file contains it.
    is_fraction: whether x and y are fractions of the image's width and height;
      None to infer it: they are if all are below two.
    joint_names: in the order of the joints, or () if the file has none.
  """

  frames: Frames
  img_shape: tuple[int, int] | None = None
  is_fraction: bool | None = None
  joint_names: tuple[str, ...] = ()


def clip(
  frames: Frames,
  where: str,
  *,
  tracking: str = 'oks',
  img_shape: tuple[int, int] | None = None,
) -> dict[str, Any]:
  """Return the item of a clip.

  The clip extends from the lowest to the highest frame number; missing numbers
  are frames without a person. `tracking.rows` assigns persons to rows. 2D clips
  have scores: 1 for a joint that was found if the tool gives none.

  Args:
    frames: frame number -> persons.
    where: the file, for errors.
    tracking: see `tracking.tracks`.
    img_shape: (height, width) in pixels, if known.

  Returns:
    'keypoint' [M, T, V, C] float32, 'total_frames' T, for 2D 'keypoint_score'
    [M, T, V] float32, and 'img_shape' if known.

  Raises:
    ClipError: there is no person, persons have different numbers of joints, a
      gap between frame numbers is too large, or a track id occurs twice in a
      frame.
  """
  numbers = sorted(frames)
  for before, after in zip(numbers, numbers[1:]):
    if after - before > MAX_GAP:
      raise checks.ClipError(
        'frame numbers',
        where,
        f'frame {after} follows frame {before}, a gap of more than {MAX_GAP:,}'
        ' frames. Expected consecutive frame numbers, not time stamps.',
      )
  persons = [[p for p in frames[n] if p.keypoint.any()] for n in numbers]
  if not any(persons):
    raise checks.ClipError(
      'empty',
      where,
      f'no person in any of its {len(numbers):,} frames. Remove the clip, or'
      ' lower the threshold of the pose tool.',
    )
  num_joints, num_channels = _common_shape(numbers, persons, where)
  tracks = tracking_lib.tracks(numbers, persons, tracking, where)
  rows = tracking_lib.rows(tracks)
  num_persons = 1 + max(max(row, default=0) for row in rows)
  num_frames = numbers[-1] - numbers[0] + 1
  shape = (num_persons, num_frames, num_joints)
  if np.prod(shape, dtype=np.int64) * num_channels > _MAX_NUMBERS:
    raise checks.ClipError(
      'size',
      where,
      f'{num_persons:,} persons in {num_frames:,} frames are too much for a clip.'
      ' Cut the video into clips of one action each, or keep the persons in the'
      ' order of the file: --tracking=none.',
    )
  keypoint = np.zeros((*shape, num_channels), np.float32)
  score = np.zeros(shape, np.float32)
  for number, frame, row in zip(numbers, persons, rows):
    for p, m in zip(frame, row):
      keypoint[m, number - numbers[0]] = p.keypoint
      score[m, number - numbers[0]] = p.score
  item = {'keypoint': keypoint, 'total_frames': num_frames}
  if num_channels == 2:
    item['keypoint_score'] = score
  if img_shape is not None:
    item['img_shape'] = tuple(img_shape)
  return item


def _common_shape(
  numbers: Sequence[int], persons: Sequence[Sequence[Person]], where: str
) -> tuple[int, int]:
  """Return the shape [V, C] of all persons."""
  shape: Any = None
  first = 0
  for number, frame in zip(numbers, persons):
    for p in frame:
      if shape is None:
        shape, first = p.keypoint.shape, number
      elif p.keypoint.shape != shape:
        raise checks.ClipError(
          'joints',
          where,
          'a person of frame {} has {} joints with {} coordinates and one of'
          ' frame {} has {} with {}. Write the file with one model.'.format(
            number, *p.keypoint.shape, first, *shape
          ),
        )
  return shape


def in_pixels(
  found: PoseFrames, where: str, img_shape: tuple[int, int] | None
) -> tuple[Frames, tuple[int, int] | None]:
  """Convert fractions of the image to pixels; 3D coordinates are unchanged.

  Args:
    found: content of the file.
    where: the file, for errors.
    img_shape: (height, width) given by the user, or None.

  Returns:
    The frames, and the image size if known.

  Raises:
    ClipError: the file has another image size, or fractions cannot be converted
      because it is not known.
  """
  img_shape = agreed_img_shape(found.img_shape, img_shape, where)
  is_fraction = found.is_fraction
  if is_fraction is None:
    is_fraction = _are_fractions(found.frames, where)
  if not is_fraction:
    return found.frames, img_shape
  if not img_shape:
    raise checks.ClipError(
      'img_shape',
      where,
      'its coordinates are fractions of an image of unknown size (or pixels'
      f' below {_MAX_FRACTION:g}). Give the size, for example'
      ' --img_shape=1080x1920 (HEIGHTxWIDTH).',
    )
  if found.is_fraction is None:
    logging.log_first_n(
      logging.INFO,
      '%s: all coordinates are below %g; taken for fractions of an image of %s',
      1,
      where,
      _MAX_FRACTION,
      _size(img_shape),
    )
  scale = np.array([img_shape[1], img_shape[0]], np.float64)
  frames = {
    number: [_scaled(p, scale) for p in persons]
    for number, persons in found.frames.items()
  }
  return frames, img_shape


def _are_fractions(frames: Frames, where: str) -> bool:
  """Whether all coordinates of a 2D clip are too small for pixels.

  Raises:
    ClipError: they are, and are centred on the image.
  """
  keypoints = [
    p.keypoint
    for persons in frames.values()
    for p in persons
    if p.keypoint.any()
  ]
  is_3d = any(keypoint.shape[1] != 2 for keypoint in keypoints)
  largest = max((np.abs(k).max() for k in keypoints), default=np.inf)
  if is_3d or largest >= _MAX_FRACTION:
    return False
  least = min(keypoint.min() for keypoint in keypoints)
  if least < _MIN_FRACTION:
    raise checks.ClipError(
      'fractions',
      where,
      f'all coordinates are within {_MAX_FRACTION:g}, the lowest is {least:.3g}.'
      ' Expected pixels, or fractions of the image from 0 to 1, as OpenPose'
      ' writes them with --keypoint_scale 0 and 3.',
    )
  return True


def agreed_img_shape(
  in_file: tuple[int, int] | None,
  given: tuple[int, int] | None,
  where: str,
) -> tuple[int, int] | None:
  """Return the image size of the file or the one given by the user, or None.

  Raises:
    ClipError: they differ.
  """
  if in_file and given and tuple(in_file) != tuple(given):
    raise checks.ClipError(
      'img_shape',
      where,
      f'its images are {_size(in_file)}, but --img_shape={_size(given)}. Leave'
      ' the flag out for this file.',
    )
  return in_file or given


def _scaled(p: Person, scale: np.ndarray) -> Person:
  box = None if p.box is None else p.box * np.tile(scale, 2)
  return dataclasses.replace(p, keypoint=p.keypoint * scale, box=box)


def _size(img_shape: Sequence[int]) -> str:
  return f'{img_shape[0]}x{img_shape[1]}'
