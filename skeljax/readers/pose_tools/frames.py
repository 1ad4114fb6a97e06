"""From what a pose tool saw in each frame to one clip.

Every tool says the same things in its own words: which frame, which persons,
where their joints are and how sure it is. The readers put them into `Person`s;
here they become the arrays of a clip, one row a person.
"""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

from absl import logging
import numpy as np

from skeljax.readers import arrays
from skeljax.readers import tracking as tracking_lib

# A frame number so far behind the last one is a time stamp or a mistake: at 30
# frames a second, five minutes in which nobody is seen.
MAX_GAP = 10_000
# So many numbers a clip may have: 256 MB of float32, 100 persons through ten
# minutes of video. Thousands of frames with hundreds of short tracks are more.
_MAX_NUMBERS = 1 << 26
# Coordinates beyond this are no places, and some of their squares no numbers.
_LARGEST = 1e15
# A clip within so many pixels is given in fractions of the picture.
_PIXELS = 2.0
# Joints of somebody at the edge may lie so far outside, as a fraction.
_LEAST_FRACTION = -0.5


@dataclasses.dataclass(frozen=True)
class Person:
  """One person in one frame.

  Attributes:
    keypoint: [V, C] float64; a joint that was not found is zero.
    score: [V] float64, 0 for a joint that was not found.
    box: (x0, y0, x1, y1) as the tool gives it, or None.
    track: the tool's id of the person, the same in all frames, or None.
    place: [V, 2] where the joints are in the picture, where that is not what
      `keypoint` says; for tracking.
  """

  keypoint: np.ndarray
  score: np.ndarray
  box: np.ndarray | None = None
  track: int | str | None = None
  place: np.ndarray | None = None


def person(
  keypoint: np.ndarray,
  score: np.ndarray | None,
  where: str,
  *,
  box: np.ndarray | None = None,
  track: int | str | None = None,
  place: np.ndarray | None = None,
) -> Person:
  """A person, after joints without numbers have become absent ones.

  A joint with a coordinate or a score that is NaN (null in the file), a joint
  at exactly zero in all coordinates and one with a score of 0 or less was not
  found: its coordinates and its score become zero.

  Args:
    keypoint: [V, C], NaN for what the file leaves out.
    score: [V], or None where the tool gives none.
    where: the file and the frame, for errors.
    box: (x0, y0, x1, y1).
    track: the tool's id; a negative one means that it has none.
    place: [V, 2] where the joints are in the picture.

  Raises:
    ClipError: a number is infinite, or joints and scores differ in number.
  """
  if score is None:
    score = np.ones(len(keypoint))
  if score.shape != keypoint.shape[:1]:
    raise arrays.clip_error(
      'joints',
      where,
      f'a person has {len(keypoint)} joints and scores of shape {score.shape}.'
      ' Expected one score for each joint.',
    )
  # A sum is not small where a part of it is not: one look in the usual case.
  if not np.abs(keypoint).sum() + np.abs(score).sum() < _LARGEST:
    if (np.abs(keypoint) >= _LARGEST).any() or (score >= _LARGEST).any():
      raise arrays.clip_error(
        'infinity',
        where,
        'a joint lies at infinity, or has an infinite score. Expected finite'
        ' numbers, or null for a joint that was not found.',
      )
  # NOTE: NaN is not above 0, so that what holds one was not found.
  found = (np.abs(keypoint).sum(axis=-1) > 0) & (score > 0)
  if not found.all():
    score = np.where(found, score, 0)
    keypoint = np.where(found[:, None], keypoint, 0)
    if place is not None:
      place = np.where(found[:, None], place, 0)
  if isinstance(track, int) and track < 0:
    track = None
  if box is not None and not np.isfinite(box).all():
    box = None
  return Person(keypoint, score, box, track, place)


Frames = Mapping[int, Sequence[Person]]


@dataclasses.dataclass(frozen=True)
class Seen:
  """What a file says.

  Attributes:
    frames: frame number -> persons; frames without anybody count as well.
    img_shape: (height, width) of the picture, where the file says it.
    is_fraction: whether x and y are fractions of the picture's width and
      height; None where the numbers have to tell: a clip within two pixels is
      none.
    joint_names: in the order of the joints, or () where the file has none.
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
  """The item of a clip: who was seen where in which frame.

  The clip lasts from the lowest frame number to the highest; a number that is
  missing in between is a frame in which nobody was seen. Persons stand in the
  rows of `tracking.rows`, in the order of their appearance. 2D clips have
  scores: where a tool gives none, 1 for a joint that was found.

  Args:
    frames: frame number -> persons; frames without anybody count as well.
    where: the file, for errors.
    tracking: see `tracking.tracks`.
    img_shape: (height, width) of the picture in pixels, where it is known.

  Returns:
    'keypoint' [M, T, V, C] float32, 'total_frames' T, for 2D 'keypoint_score'
    [M, T, V] float32, and 'img_shape' where it is known.

  Raises:
    ClipError: nobody is seen, persons have different numbers of joints,
      numbers of frames are too far apart, or two persons of a frame have the
      same id.
  """
  numbers = sorted(frames)
  _check_gaps(numbers, where)
  seen = [[p for p in frames[n] if p.keypoint.any()] for n in numbers]
  if not any(seen):
    raise arrays.clip_error(
      'empty',
      where,
      f'nobody is seen in any of its {len(numbers):,} frames. Take the clip'
      ' out, or lower the threshold of the pose tool.',
    )
  num_joints, num_channels = _check_shapes(numbers, seen, where)
  tracks = tracking_lib.tracks(numbers, seen, tracking, where)
  rows = tracking_lib.rows(tracks)
  num_persons = 1 + max(max(row, default=0) for row in rows)
  num_frames = numbers[-1] - numbers[0] + 1
  shape = (num_persons, num_frames, num_joints)
  if np.prod(shape, dtype=np.int64) * num_channels > _MAX_NUMBERS:
    raise arrays.clip_error(
      'size',
      where,
      f'{num_persons:,} persons are tracked through {num_frames:,} frames, too'
      ' much for a clip. Cut the video into clips of one action each, or take'
      ' the persons as the file lists them: --tracking=none.',
    )
  keypoint = np.zeros((*shape, num_channels), np.float32)
  score = np.zeros(shape, np.float32)
  for number, persons, row in zip(numbers, seen, rows):
    for person, m in zip(persons, row):
      keypoint[m, number - numbers[0]] = person.keypoint
      score[m, number - numbers[0]] = person.score
  item = {'keypoint': keypoint, 'total_frames': num_frames}
  if num_channels == 2:
    item['keypoint_score'] = score
  if img_shape is not None:
    item['img_shape'] = tuple(img_shape)
  return item


def _check_gaps(numbers: Sequence[int], where: str) -> None:
  for before, after in zip(numbers, numbers[1:]):
    if after - before > MAX_GAP:
      raise arrays.clip_error(
        'frame numbers',
        where,
        f'frame {after} follows frame {before}, with {after - before - 1:,}'
        f' frames of nobody between them (at most {MAX_GAP:,} are accepted).'
        ' Expected frames that count up by one: a time stamp is none.',
      )


def _check_shapes(
  numbers: Sequence[int], seen: Sequence[Sequence[Person]], where: str
) -> tuple[int, int]:
  """The shape [V, C] that all persons have."""
  shape, first = None, 0
  for number, persons in zip(numbers, seen):
    for person in persons:
      if shape is None:
        shape, first = person.keypoint.shape, number
      elif person.keypoint.shape != shape:
        raise arrays.clip_error(
          'joints',
          where,
          f'a person of frame {number} has {_words(person.keypoint.shape)} and'
          f' one of frame {first} has {_words(shape)}. All must have the'
          ' same: write the file with one model.',
        )
  return shape


def _words(shape: tuple[int, int]) -> str:
  return f'{shape[0]} joints with {shape[1]} coordinates'


def in_pixels(
  seen: Seen, where: str, img_shape: tuple[int, int] | None
) -> tuple[Frames, tuple[int, int] | None]:
  """Frames whose joints are in pixels, and the size of the picture if known.

  3D coordinates are left as they are.

  Args:
    seen: what the file says.
    where: the file, for errors.
    img_shape: (height, width) as the user says it, or None.

  Raises:
    ClipError: the file and the user do not agree about the picture, or
      fractions of a picture of unknown size would have to become pixels.
  """
  img_shape = agree(seen.img_shape, img_shape, where)
  is_fraction = seen.is_fraction
  if is_fraction is None:
    is_fraction = _are_fractions(seen.frames, where)
  if not is_fraction:
    return seen.frames, img_shape
  if not img_shape:
    guessed = ' (all lie within two pixels)' if seen.is_fraction is None else ''
    raise arrays.clip_error(
      'img_shape',
      where,
      f'its coordinates are fractions of a picture{guessed} whose size the'
      ' file does not say. Give it as --img_shape=HEIGHTxWIDTH in pixels, for'
      ' example --img_shape=1080x1920.',
    )
  if seen.is_fraction is None:
    logging.log_first_n(
      logging.INFO,
      '%s: all coordinates lie within two, so that they are taken for fractions'
      ' of a picture of %s',
      1,
      where,
      _size(img_shape),
    )
  scale = np.array([img_shape[1], img_shape[0]], np.float64)
  frames = {
    number: [_scaled(p, scale) for p in persons]
    for number, persons in seen.frames.items()
  }
  return frames, img_shape


def _are_fractions(frames: Frames, where: str) -> bool:
  """Whether a clip is too small for pixels.

  Raises:
    ClipError: it is, and lies around the middle of the picture.
  """
  people = [p.keypoint for persons in frames.values() for p in persons]
  seen = [keypoint for keypoint in people if keypoint.any()]
  is_3d = any(keypoint.shape[1] != 2 for keypoint in seen)
  if not seen or is_3d or max(np.abs(k).max() for k in seen) >= _PIXELS:
    return False
  least = min(keypoint.min() for keypoint in seen)
  if least < _LEAST_FRACTION:
    raise arrays.clip_error(
      'fractions',
      where,
      f'all of its coordinates lie within {_PIXELS:g} and reach down to'
      f' {least:.3g}. Expected pixels, or fractions of the picture from 0 to 1:'
      ' OpenPose writes these with --keypoint_scale 0 and 3.',
    )
  return True


def agree(
  in_file: tuple[int, int] | None,
  wanted: tuple[int, int] | None,
  where: str,
) -> tuple[int, int] | None:
  """The size of the picture that file and user say, or None.

  Raises:
    ClipError: they say different ones.
  """
  if in_file and wanted and tuple(in_file) != tuple(wanted):
    raise arrays.clip_error(
      'img_shape',
      where,
      f'its picture is {_size(in_file)} and --img_shape says {_size(wanted)}.'
      ' Leave the flag out for this file.',
    )
  return in_file or wanted


def _scaled(p: Person, scale: np.ndarray) -> Person:
  box = None if p.box is None else p.box * np.tile(scale, 2)
  return dataclasses.replace(p, keypoint=p.keypoint * scale, box=box)


def _size(img_shape: Sequence[int]) -> str:
  return f'{img_shape[0]}x{img_shape[1]} (height x width)'
