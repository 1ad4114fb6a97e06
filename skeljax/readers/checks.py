"""Validate a clip once, when it is prepared; later code relies on the result."""

from collections.abc import Iterable, Mapping
import numbers
import re
from typing import Any, TypeGuard

import numpy as np

from skeljax import errors
from skeljax import skeletons
from skeljax.readers import raw_dataset

THIRD_CHANNELS = ('auto', 'coordinate', 'score')
# Labels beyond this are mistakes: memory grows with the number of classes.
MAX_CLASSES = 1_000_000

# With x or y beyond this, a third channel within [0, 1] can only be a score:
# the coordinates are pixels, not metres.
_MIN_PIXELS = 20.0
_IMG_SHAPE = re.compile(r'(\d{1,6})[xX](\d{1,6})')


class ClipError(errors.UserError):
  """A clip that cannot be used.

  Attributes:
    kind: short name of the problem, the same for all clips that have it.
  """

  def __init__(self, kind: str, where: str, text: str):
    super().__init__(kind, where, text)  # Exceptions are pickled by their args.
    self.kind = kind

  def __str__(self) -> str:
    return f'{self.args[1]}: {self.args[2]}'


def check_clip(
  clip: raw_dataset.Clip,
  *,
  layout: skeletons.Layout | None,
  num_classes: int | None,
  third_channel: str = 'auto',
  dtype: str | None = None,
  score_dtype: str | None = None,
) -> dict[str, Any]:
  """Read a clip and return the fields of a record.

  One frame is enough, and any number of persons is accepted (see
  select_persons).

  Args:
    clip: the clip to read.
    layout: layout of the keypoints; None accepts any number of joints.
    num_classes: labels must be below it; 0 if not known yet; None for clips
      without a label.
    third_channel: 'coordinate' (x, y, z), 'score' (x, y, confidence), or
      'auto': a coordinate, and an error if it looks like a confidence.
    dtype: 'float16' or 'float32' for the keypoints; None keeps these two and
      converts others to float32.
    score_dtype: the same for 'keypoint_score'; a score in the third channel
      has the dtype of the keypoints.

  Returns:
    'id' str, 'label' int (-1 for a clip without), 'keypoint' [M, T, V, C]
    float16 or float32, finite and not all zero, 'keypoint_score' [M, T, V] if
    there are scores, 'total_frames' T, 'img_shape' int32 [2] (height, width),
    zeros if unknown.

  Raises:
    ClipError: names file, sample, field and expectation.
  """
  item, where = clip.read(), clip.where
  keypoint = _keypoint(item, layout, where)
  check_finite(keypoint, 'keypoint', where)
  keypoint, score = _split_score(
    keypoint, item.get('keypoint_score'), third_channel, where
  )
  keypoint = _cast(keypoint, dtype, 'keypoint', where)
  if not keypoint.any():
    raise ClipError(
      'empty',
      where,
      f"'keypoint' of shape {keypoint.shape} contains no person, only zeros."
      ' Take the clip out of the splits, as is usual for missing skeletons.',
    )
  record = {
    'id': clip.id,
    'label': -1
    if num_classes is None
    else check_label(clip.label, num_classes, where),
    'keypoint': keypoint,
    'total_frames': _total_frames(item, keypoint.shape[1], where),
    'img_shape': np.array(check_img_shape(item, where), np.int32),
  }
  if score is not None:
    if item.get('keypoint_score') is None:
      score_dtype = dtype
    record['keypoint_score'] = _cast(
      score, score_dtype, 'keypoint_score', where
    )
  return record


def _keypoint(
  item: raw_dataset.Item, layout: skeletons.Layout | None, where: str
) -> np.ndarray:
  if 'keypoint' not in item:
    hint = (
      ' These are compressed annotations as of Kinetics-400, with the keypoints'
      ' in other files: give data_prep their folder as --skeletons=DIR.'
      if 'frame_inds' in item
      else ''
    )
    raise ClipError(
      'no keypoint',
      where,
      f"has no 'keypoint', only {keys(item)}.{hint} Expected an array"
      ' [persons, frames, joints, channels].',
    )
  keypoint = numeric_array(item['keypoint'], 'keypoint', where)
  if keypoint.ndim != 4:
    raise ClipError(
      'shape',
      where,
      f"'keypoint' has shape {keypoint.shape}. Expected [persons, frames,"
      ' joints, channels]; for one person use keypoint[None].',
    )
  num_joints, num_channels = keypoint.shape[2:]
  if num_channels not in (2, 3):
    raise ClipError(
      'channels',
      where,
      f"'keypoint' has shape {keypoint.shape}, so {num_channels} channels."
      ' Expected 2 (x, y) or 3 (x, y, z).',
    )
  if layout is not None and num_joints != layout.num_joints:
    raise ClipError(
      'joints',
      where,
      f"'keypoint' has {num_joints} joints and layout {layout.name!r} has"
      f' {layout.num_joints}. {layouts_with(num_joints)}',
    )
  return keypoint


def keys(item: Mapping[str, Any]) -> str:
  """The keys of an item for an error message."""
  return ', '.join(map(repr, item)) or 'nothing'


def layouts_with(num_joints: int) -> str:
  """A sentence that lists the layouts with this number of joints."""
  names = [
    layout.name
    for layout in skeletons.LAYOUTS.values()
    if layout.num_joints == num_joints
  ]
  if not names:
    return (
      f'No known layout has {num_joints} joints: describe yours in a file,'
      ' --layout=FILE.json.'
    )
  return f'Layouts with {num_joints} joints: {", ".join(names)} (--layout).'


def _split_score(
  keypoint: np.ndarray, score: Any, third_channel: str, where: str
) -> tuple[np.ndarray, np.ndarray | None]:
  """Separate coordinates and scores."""
  if third_channel not in THIRD_CHANNELS:
    raise errors.UserError(
      f'third_channel {third_channel!r}: expected one of'
      f' {", ".join(THIRD_CHANNELS)}.'
    )
  has_third = keypoint.shape[-1] == 3
  if score is not None:
    score = numeric_array(score, 'keypoint_score', where)
    if score.shape != keypoint.shape[:3]:
      raise ClipError(
        'score shape',
        where,
        f"'keypoint_score' has shape {score.shape}. Expected"
        f' {keypoint.shape[:3]}, one score per joint.',
      )
    check_finite(score, 'keypoint_score', where)
    if has_third and not np.array_equal(keypoint[..., 2], score):
      raise ClipError(
        'third channel',
        where,
        "the third channel of 'keypoint' differs from 'keypoint_score'. Scores"
        " belong to 2D keypoints: remove the third channel or 'keypoint_score'.",
      )
    return keypoint[..., :2], score
  if not has_third or third_channel == 'coordinate':
    return keypoint, None
  xy, third = keypoint[..., :2], keypoint[..., 2]
  if third_channel == 'score':
    return xy, third
  if (
    third.size
    and third.min() >= 0
    and 0 < third.max() <= 1
    and np.abs(xy).max() > _MIN_PIXELS
  ):
    raise ClipError(
      'third channel',
      where,
      "the third channel of 'keypoint' is within 0 and 1, with coordinates up"
      f' to {np.abs(xy).max():.0f}, like the score of a pose estimator. Specify'
      ' --third_channel=score or --third_channel=coordinate.',
    )
  return keypoint, None


def is_integer(value: Any) -> TypeGuard[int]:
  """Whether a value is a Python or numpy integer, and not a boolean."""
  return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def check_label(label: Any, num_classes: int, where: str) -> int:
  """Return the label as an int.

  Args:
    label: the label of a clip, None if it has none.
    num_classes: labels must be below it; 0 if not known.
    where: file and sample, for the error.

  Raises:
    ClipError: it is not an integer, or out of range.
  """
  if not is_integer(label):
    found = 'is missing' if label is None else f'is {label!r}'
    raise ClipError(
      'label', where, f"'label' {found}. Expected an integer from 0."
    )
  if not 0 <= label < (num_classes or MAX_CLASSES):
    limit = (
      f'0 to {num_classes - 1}, as there are {num_classes} classes'
      if num_classes
      else f'0 or more, and less than {MAX_CLASSES:,}'
    )
    raise ClipError(
      'label',
      where,
      f"'label' is {label}. Expected {limit}: fix the label, or give the class"
      ' names that match (--class_names).',
    )
  return int(label)


def _total_frames(item: raw_dataset.Item, num_frames: int, where: str) -> int:
  total_frames = item.get('total_frames', num_frames)
  if not is_integer(total_frames) or total_frames != num_frames:
    raise ClipError(
      'total_frames',
      where,
      f"'total_frames' is {total_frames!r} and 'keypoint' has {num_frames}"
      ' frames. They must agree.',
    )
  return num_frames


def check_img_shape(item: raw_dataset.Item, where: str) -> tuple[int, int]:
  """Return (height, width) of a clip, zeros if unknown."""
  img_shape = item.get('img_shape')
  if img_shape is None:
    return (0, 0)
  sides = list(img_shape) if isinstance(img_shape, Iterable) else [img_shape]
  if len(sides) != 2 or not all(is_integer(s) and s > 0 for s in sides):
    raise ClipError(
      'img_shape',
      where,
      f"'img_shape' is {img_shape!r}. Expected (height, width) in pixels.",
    )
  return (int(sides[0]), int(sides[1]))


def parse_img_shape(text: str) -> tuple[int, int] | None:
  """Parse the flag --img_shape: (1080, 1920) for '1080x1920', None for ''."""
  if not text:
    return None
  match = _IMG_SHAPE.fullmatch(text)
  if match is None or not int(match[1]) or not int(match[2]):
    raise errors.UserError(
      f'--img_shape={text}: expected HEIGHTxWIDTH in pixels, for example'
      ' --img_shape=1080x1920.'
    )
  return int(match[1]), int(match[2])


def numeric_array(value: Any, field: str, where: str) -> np.ndarray:
  """Return the value; raise ClipError unless it is an array of numbers."""
  if not isinstance(value, np.ndarray):
    raise ClipError(
      'not an array',
      where,
      f'{field!r} is a {type(value).__name__}. Expected a numpy array.',
    )
  if value.dtype.kind not in 'fiu':
    raise ClipError(
      'not numbers',
      where,
      f'{field!r} has dtype {value.dtype} and shape {value.shape}. Expected'
      ' numbers; an object array comes from persons or frames of different'
      ' lengths: fill the missing ones with zeros.',
    )
  return value


def _cast(
  array: np.ndarray, dtype: str | None, field: str, where: str
) -> np.ndarray:
  """Cast a finite array to its stored dtype; ClipError if it overflows."""
  dtype = dtype or stored_dtype([array])
  if array.dtype == dtype:
    return array
  with np.errstate(over='ignore'):  # Overflow is reported below.
    result = array.astype(dtype)
  if not np.isfinite(result).all():
    raise ClipError(
      'overflow',
      where,
      f'{field!r} reaches {np.abs(array).max():.6g}, beyond'
      f' {np.finfo(dtype).max:.6g}, the largest {dtype}. Store it as float32,'
      ' or in a larger unit.',
    )
  return result


def stored_dtype(arrays: Iterable[np.ndarray]) -> str:
  """The dtype in which all arrays are stored: 'float16' or 'float32'."""
  names = {array.dtype.name for array in arrays}
  return 'float16' if names == {'float16'} else 'float32'


def check_finite(array: np.ndarray, field: str, where: str) -> None:
  """Raise ClipError if `array` [M, T, V, ...] contains NaN or infinity."""
  if np.isfinite(array).all():
    return
  person, frame, joint = np.argwhere(~np.isfinite(array))[0][:3]
  first = f'first at person {person}, frame {frame}, joint {joint}'
  num_nan = int(np.isnan(array).sum())
  if num_nan:
    raise ClipError(
      'NaN',
      where,
      f'{field!r} contains {num_nan:,} NaN, {first}. Missing joints must be'
      ' zero: use numpy.nan_to_num.',
    )
  if array.dtype == np.float16:
    raise ClipError(
      'overflow',
      where,
      f'{field!r} contains infinity, {first}. float16 ends at 65504: larger'
      ' values were lost when the file was written. Write it as float32, or in'
      ' a larger unit.',
    )
  raise ClipError(
    'infinity',
    where,
    f'{field!r} contains infinity, {first}. Expected finite numbers, zero for'
    ' missing joints.',
  )
