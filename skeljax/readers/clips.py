"""One annotation, checked: what training needs, or words about what is wrong.

Published code reads these fields and trusts them. Here every clip is checked
once, when it is prepared, so that nothing behind this border has to ask.
"""

from collections.abc import Iterable, Mapping
import numbers
import re
from typing import Any

import numpy as np

from skeljax import errors
from skeljax import skeletons
from skeljax.readers import arrays
from skeljax.readers import raw_dataset

# What the third of three channels may be taken for.
THIRD_CHANNELS = ('auto', 'coordinate', 'score')

# A third channel within [0, 1] beside coordinates beyond this is a score: no
# body is so many metres away, and any picture is wider than so many pixels.
_PIXELS = 20.0

_IMG_SHAPE = re.compile(r'(\d{1,6})[xX](\d{1,6})')

# Labels from here on are mistakes: there is a row and a name for every class.
MAX_CLASSES = 1_000_000

ClipError = arrays.ClipError


def check_clip(clip: raw_dataset.Clip, **options: Any) -> dict[str, Any]:
  """Read and validate a clip; options and result as in `check_item`."""
  item = {**clip.read(), 'label': clip.label}
  return check_item(item, path=clip.path, sample_id=clip.id, **options)


def check_item(
  item: Mapping[str, Any],
  *,
  layout: skeletons.Layout | None,
  num_classes: int | None,
  path: str,
  sample_id: str | None = None,
  third_channel: str = 'auto',
  dtype: str | None = None,
  score_dtype: str | None = None,
) -> dict[str, Any]:
  """The parts of an annotation that training uses, as a record holds them.

  One frame is enough for a clip, and any number of persons is accepted (see
  select_persons).

  Args:
    item: an element of Annotations.items: 'keypoint' [M, T, V, C] and 'label',
      optionally 'keypoint_score' [M, T, V], 'total_frames' and 'img_shape'.
    layout: whose joints the keypoints must have; None accepts any number.
    num_classes: labels must be below it; 0 when the number is not known yet;
      None for clips without a label.
    path: the file, for the error.
    sample_id: the id; by default the item's 'filename' or 'frame_dir'.
    third_channel: what three channels mean: 'coordinate' (x, y, z), 'score'
      (x, y, confidence), or 'auto': a coordinate, unless it can only be a
      confidence, which is an error.
    dtype: 'float16' or 'float32' for the keypoints; None keeps the source's
      (float32 for anything but these two).
    score_dtype: the same for 'keypoint_score'; a score in the third channel
      is stored as the keypoints are.

  Returns:
    'id' str, 'label' int (-1 when none was asked for), 'keypoint'
    [M, T, V, C] float16 or float32, finite, not all zero, 'keypoint_score'
    [M, T, V] only where there are scores, 'total_frames' T, 'img_shape'
    int32 [2] (height, width), zeros when unknown.

  Raises:
    ClipError: names the file, the sample, the field, and what was expected.
  """
  if sample_id is None:
    sample_id = str(item.get('filename', item.get('frame_dir')))
  where = f'{path}, sample {sample_id!r}'
  keypoint = _keypoint(item, layout, where)
  arrays.check_finite(keypoint, 'keypoint', where)
  keypoint, score = _split_score(
    keypoint, item.get('keypoint_score'), third_channel, where
  )
  keypoint = arrays.store(keypoint, dtype, 'keypoint', where)
  if not keypoint.any():
    raise arrays.clip_error(
      'empty',
      where,
      f"'keypoint' holds nobody: its shape is {keypoint.shape}, and all of it"
      ' is zero. Take the clip out of the splits, as is usual for missing'
      ' skeletons.',
    )
  result = {
    'id': sample_id,
    'label': -1
    if num_classes is None
    else check_label(item, num_classes, where),
    'keypoint': keypoint,
    'total_frames': _total_frames(item, keypoint.shape[1], where),
    'img_shape': np.array(check_img_shape(item, where), np.int32),
  }
  if score is not None:
    if item.get('keypoint_score') is None:
      score_dtype = dtype
    result['keypoint_score'] = arrays.store(
      score, score_dtype, 'keypoint_score', where
    )
  return result


def _keypoint(
  item: Mapping[str, Any], layout: skeletons.Layout | None, where: str
) -> np.ndarray:
  """The keypoints as the item holds them, of a shape that can be used."""
  if 'keypoint' not in item:
    hint = (
      ' The file is a table of contents of the compressed Kinetics-400 form,'
      ' whose keypoints lie in files of their own: give their directory to'
      ' data_prep as --skeletons=DIR.'
      if 'frame_inds' in item
      else ''
    )
    raise arrays.clip_error(
      'no keypoint',
      where,
      f"has no 'keypoint', only {', '.join(map(repr, item))}.{hint} Expected"
      ' an array [persons, frames, joints, channels].',
    )
  keypoint = arrays.numbers(item['keypoint'], 'keypoint', where)
  if keypoint.ndim != 4:
    raise arrays.clip_error(
      'shape',
      where,
      f"'keypoint' has shape {keypoint.shape}. Expected four axes [persons,"
      ' frames, joints, channels]; one person still needs an axis, as in'
      ' keypoint[None].',
    )
  num_joints, num_channels = keypoint.shape[2:]
  if num_channels not in (2, 3):
    raise arrays.clip_error(
      'channels',
      where,
      f"'keypoint' has shape {keypoint.shape}, so {num_channels} channels."
      ' Expected [persons, frames, joints, channels] with 2 channels (x, y)'
      ' or 3 (x, y, z).',
    )
  if layout is not None and num_joints != layout.num_joints:
    raise arrays.clip_error(
      'joints',
      where,
      f"'keypoint' has {num_joints} joints and layout {layout.name!r} has"
      f' {layout.num_joints}. {layouts_with(num_joints)}',
    )
  return keypoint


def layouts_with(num_joints: int) -> str:
  """Which --layout fits so many joints, in words."""
  names = [
    name
    for name, layout in skeletons.LAYOUTS.items()
    if layout.num_joints == num_joints
  ]
  if not names:
    return (
      f'No known layout has {num_joints} joints: describe yours in a layout'
      ' file and give it as --layout=FILE.json.'
    )
  return f'Layouts with {num_joints} joints: {", ".join(names)} (--layout).'


def _split_score(
  keypoint: np.ndarray, score: Any, third_channel: str, where: str
) -> tuple[np.ndarray, np.ndarray | None]:
  """Coordinates and scores apart, wherever the item keeps its scores."""
  if third_channel not in THIRD_CHANNELS:
    raise errors.UserError(
      f'third_channel {third_channel!r}: expected one of'
      f' {", ".join(THIRD_CHANNELS)}.'
    )
  has_third = keypoint.shape[-1] == 3
  if score is not None:
    score = arrays.numbers(score, 'keypoint_score', where)
    if score.shape != keypoint.shape[:3]:
      raise arrays.clip_error(
        'score shape',
        where,
        f"'keypoint_score' has shape {score.shape}. Expected"
        f' {keypoint.shape[:3]}: one score for each joint of the keypoints.',
      )
    arrays.check_finite(score, 'keypoint_score', where)
    if has_third and not np.array_equal(keypoint[..., 2], score):
      raise arrays.clip_error(
        'third channel',
        where,
        "'keypoint' has three channels and there is a 'keypoint_score' that"
        ' differs from the third. Scores belong to 2D keypoints: leave the'
        " third channel out, or 'keypoint_score'.",
      )
    return keypoint[..., :2], score
  if not has_third or third_channel == 'coordinate':
    return keypoint, None
  if third_channel == 'score':
    return keypoint[..., :2], keypoint[..., 2]
  if _looks_like_score(keypoint):
    raise arrays.clip_error(
      'third channel',
      where,
      "the third channel of 'keypoint' lies within 0 and 1 beside coordinates"
      f' up to {np.abs(keypoint[..., :2]).max():.0f}, like the score of a pose'
      ' estimator. Say which it is: --third_channel=score or'
      ' --third_channel=coordinate.',
    )
  return keypoint, None


def _looks_like_score(keypoint: np.ndarray) -> bool:
  third = keypoint[..., 2]
  return bool(
    third.size
    and third.min() >= 0
    and 0 < third.max() <= 1
    and np.abs(keypoint[..., :2]).max() > _PIXELS
  )


def is_integer(value: Any) -> bool:
  """Whether a value is a whole number of Python or numpy, and no boolean."""
  return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def check_label(item: Mapping[str, Any], num_classes: int, where: str) -> int:
  """The label of an item; a ClipError if it is none.

  Args:
    item: an annotation.
    num_classes: labels must be below it; 0 when the number is not known.
    where: the file and the sample, for the error.
  """
  label = item.get('label')
  if not is_integer(label):
    found = 'is missing' if label is None else f'is {label!r}'
    raise arrays.clip_error(
      'label',
      where,
      f"'label' {found}. Expected a whole number, counted from 0.",
    )
  if not 0 <= label < (num_classes or MAX_CLASSES):
    limit = (
      f'0 to {num_classes - 1}, as there are {num_classes} classes'
      if num_classes
      else f'0 or more, and less than {MAX_CLASSES:,}'
    )
    raise arrays.clip_error(
      'label',
      where,
      f"'label' is {label}. Expected {limit}: labels count from 0; mend the"
      ' label, or give the class names that fit (--class_names).',
    )
  return int(label)


def _total_frames(item: Mapping[str, Any], num_frames: int, where: str) -> int:
  total_frames = item.get('total_frames', num_frames)
  if not is_integer(total_frames) or total_frames != num_frames:
    raise arrays.clip_error(
      'total_frames',
      where,
      f"'total_frames' is {total_frames!r} and 'keypoint' has {num_frames}"
      ' frames. They must agree.',
    )
  return num_frames


def check_img_shape(item: Mapping[str, Any], where: str) -> tuple[int, int]:
  """Height and width of the picture of an item, zeros when unknown."""
  img_shape = item.get('img_shape')
  if img_shape is None:
    return (0, 0)
  sides = list(img_shape) if isinstance(img_shape, Iterable) else [img_shape]
  if len(sides) != 2 or not all(is_integer(s) and s > 0 for s in sides):
    raise arrays.clip_error(
      'img_shape',
      where,
      f"'img_shape' is {img_shape!r}. Expected (height, width) in pixels.",
    )
  return (int(sides[0]), int(sides[1]))


def parse_img_shape(text: str) -> tuple[int, int] | None:
  """(height, width) of '1080x1920', what --img_shape says; None of ''.

  Raises:
    UserError: it is something else.
  """
  if not text:
    return None
  match = _IMG_SHAPE.fullmatch(text)
  if match is None or not int(match[1]) or not int(match[2]):
    raise errors.UserError(
      f'--img_shape={text}: expected height x width in pixels, as in'
      ' --img_shape=1080x1920.'
    )
  return int(match[1]), int(match[2])


def stored_dtype(arrays: Iterable[np.ndarray]) -> str:
  """The type that holds all the arrays: 'float16' if all are, or 'float32'."""
  names = {array.dtype.name for array in arrays}
  return 'float16' if names == {'float16'} else 'float32'
