"""Compressed 2D annotations, as of Kinetics-400: a flat list of skeletons.

Instead of an array [persons, frames, ...], a clip has its S skeletons in the
order of their frames: 'frame_inds' [S], 'box_score' [S], 'valid' (box threshold
-> number of frames with a person) and 'keypoint' [S, V, 3] (x, y, score). The
published annotation files leave out 'keypoint'; see readers/skeleton_files.py.

Source: PoseDataset(valid_ratio, box_thr) and DecompressPose of mmaction2 1.x,
and those of pyskl, which differ only in where the files are.
"""

import dataclasses
import functools
from typing import Any

import numpy as np

from skeljax import errors
from skeljax.readers import checks
from skeljax.readers import raw_dataset

# The thresholds for which the published files count frames.
BOX_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
DEFAULT_BOX_THRESHOLD = 0.5
# Persons per frame that DecompressPose keeps.
DEFAULT_MAX_PERSONS = 10


@dataclasses.dataclass(frozen=True)
class Selection:
  """The clips and skeletons to keep.

  Attributes:
    valid_ratio: least fraction of frames with a person whose box reaches the
      threshold; clips below it are left out. 0, as published, keeps all.
    box_threshold: least box score of a skeleton. NOTE: only used if valid_ratio
      is above 0, as published.
    max_persons: persons kept per frame; None keeps all.
  """

  valid_ratio: float = 0.0
  box_threshold: float = DEFAULT_BOX_THRESHOLD
  max_persons: int | None = DEFAULT_MAX_PERSONS

  def __post_init__(self):
    if not 0 <= self.valid_ratio <= 1:
      raise errors.UserError(
        f'--valid_ratio={self.valid_ratio}: expected a fraction of the frames,'
        ' from 0 (all clips) to 1.'
      )
    if self.box_threshold not in BOX_THRESHOLDS:
      raise errors.UserError(
        f'--box_threshold={self.box_threshold}: expected one of'
        f' {", ".join(map(str, BOX_THRESHOLDS))}, for which the annotations'
        ' count frames.'
      )

  @property
  def min_box_score(self) -> float | None:
    """The box score that a skeleton needs; None if any will do."""
    return self.box_threshold if self.valid_ratio > 0 else None

  @property
  def keeps_fewer_persons(self) -> bool:
    """Whether fewer persons per frame are kept than in the published data."""
    return (
      self.max_persons is not None and self.max_persons < DEFAULT_MAX_PERSONS
    )


def is_compressed(item: raw_dataset.Item) -> bool:
  """Whether an annotation is compressed."""
  keypoint = item.get('keypoint')
  is_4d = isinstance(keypoint, np.ndarray) and keypoint.ndim == 4
  return item.get('frame_inds') is not None and not is_4d


def is_valid(item: raw_dataset.Item, selection: Selection, where: str) -> bool:
  """Whether enough frames of a compressed clip have a person.

  Raises:
    ClipError: the item does not contain the number of such frames.
  """
  if not selection.valid_ratio > 0:
    return True
  valid, threshold = item.get('valid'), selection.box_threshold
  num_frames = valid.get(threshold) if isinstance(valid, dict) else None
  if not checks.is_integer(num_frames):
    found = 'is missing' if valid is None else f'is {valid!r}'
    raise checks.ClipError(
      'valid',
      where,
      f"'valid' {found}. --valid_ratio needs a dict from box threshold, here"
      f' {threshold}, to the number of frames with a person; for files without'
      ' it, leave out --valid_ratio.',
    )
  total_frames = item.get('total_frames')
  if not checks.is_integer(total_frames) or total_frames < 1:
    raise checks.ClipError(
      'total_frames',
      where,
      f"'total_frames' is {total_frames!r}. Expected the number of frames of the"
      ' video.',
    )
  return num_frames / total_frames >= selection.valid_ratio


def chosen_skeletons(
  item: raw_dataset.Item, selection: Selection, where: str
) -> tuple[np.ndarray, np.ndarray | None]:
  """Select the skeletons of a clip; its keypoints are not needed.

  Args:
    item: a compressed annotation.
    selection: with the threshold.
    where: file and sample, for errors.

  Returns:
    The frames of the selected skeletons, int64, non-decreasing; and the mask
    [S] of these skeletons, or None if all are selected.

  Raises:
    ClipError: 'frame_inds' or 'box_score' are invalid.
  """
  frame_inds = checks.numeric_array(item['frame_inds'], 'frame_inds', where)
  if frame_inds.ndim != 1 or frame_inds.dtype.kind not in 'iu':
    raise checks.ClipError(
      'frame_inds',
      where,
      f"'frame_inds' has shape {frame_inds.shape} and dtype {frame_inds.dtype}."
      ' Expected one integer per skeleton, its frame.',
    )
  mask = None
  if selection.min_box_score is not None:
    # NOTE: compared in the dtype of the scores: float16 0.6 reaches 0.6.
    mask = (
      check_box_score(item, len(frame_inds), where) >= selection.min_box_score
    )
    frame_inds = frame_inds[mask]
  frame_inds = frame_inds.astype(np.int64)
  decreasing = np.flatnonzero(np.diff(frame_inds) < 0)
  if len(decreasing) or frame_inds.size and frame_inds[0] < 0:
    first = int(decreasing[0]) + 1 if len(decreasing) else 0
    raise checks.ClipError(
      'frame_inds',
      where,
      f"'frame_inds' is {frame_inds[first]} at skeleton {first}. Expected frames"
      ' from 0 that never decrease: sort the skeletons by frame.',
    )
  return frame_inds, mask


def decompressed_shape(
  frame_inds: np.ndarray, max_persons: int | None
) -> tuple[int, int, bool]:
  """Return persons and frames of the decompressed clip, and if it is cut.

  Args:
    frame_inds: the frames of the selected skeletons.
    max_persons: persons kept per frame; None keeps all.
  """
  _, counts = np.unique(frame_inds, return_counts=True)
  most = int(counts.max(initial=0))
  num_persons = most if max_persons is None else min(most, max_persons)
  return num_persons, len(counts), num_persons < most


def decompress_pose(
  frame_inds: np.ndarray,
  keypoint: np.ndarray,
  max_persons: int | None = DEFAULT_MAX_PERSONS,
) -> tuple[np.ndarray, np.ndarray]:
  """Arrange skeletons as [persons, frames, ...] without empty frames.

  Args:
    frame_inds: [S] integers, non-decreasing: the frame of each skeleton.
    keypoint: [S, V, 3]: x, y, score.
    max_persons: if a frame has more, the persons of every frame are sorted by
      decreasing sum of scores and cut; None keeps all, in the given order.

  Returns:
    [M, F, V, 2] float16 pixels and [M, F, V] float16 scores; zeros if a frame
    has fewer than M persons.

  Source: DecompressPose of mmaction2 1.2.0 with squeeze=True. Deviation: a clip
  without skeletons gives an empty result instead of an error.
  """
  _, frame, counts = np.unique(
    frame_inds, return_inverse=True, return_counts=True
  )
  first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
  person = np.arange(len(frame)) - first[frame]
  shape = (int(counts.max(initial=0)), len(counts), keypoint.shape[1])
  pixels = np.zeros((*shape, 2), np.float16)
  score = np.zeros(shape, np.float16)
  with np.errstate(over='ignore'):  # checks.check_clip reports overflow.
    pixels[person, frame] = keypoint[..., :2]
    score[person, frame] = keypoint[..., 2]
  if max_persons is None or shape[0] <= max_persons:
    return pixels, score
  # The sums are rounded to float16, as published; of equals the first wins.
  rank = -score.sum(axis=-1).astype(np.float32)
  # Padding is sorted last, even if scores are negative.
  rank[np.arange(shape[0])[:, None] >= counts] = np.inf
  order = np.argsort(rank, axis=0, kind='stable')[:max_persons]
  return (
    np.take_along_axis(pixels, order[..., None, None], axis=0),
    np.take_along_axis(score, order[..., None], axis=0),
  )


def decompress_item(
  item: raw_dataset.Item, selection: Selection, where: str
) -> dict[str, Any]:
  """Convert a compressed annotation to one with keypoints [M, T, V, 2].

  Args:
    item: with 'frame_inds' [S], 'keypoint' [S, V, 3] and, if boxes are
      selected, 'box_score' [S].
    selection: the skeletons to keep.
    where: file and sample, for errors.

  Raises:
    ClipError: a field is invalid.
  """
  frame_inds, mask = chosen_skeletons(item, selection, where)
  keypoint, num_skeletons = clip_keypoint(item, where), len(item['frame_inds'])
  shape = keypoint.shape
  if len(shape) != 3 or shape[0] != num_skeletons or shape[2] != 3:
    raise checks.ClipError(
      'shape',
      where,
      f"'keypoint' has shape {shape}. Expected [{num_skeletons}, joints, 3] (x,"
      " y, score), one row per element of 'frame_inds'.",
    )
  pixels, score = decompress_pose(
    frame_inds,
    keypoint if mask is None else keypoint[mask],
    selection.max_persons,
  )
  result = dict(
    item,
    keypoint=pixels,
    keypoint_score=score,
    total_frames=pixels.shape[1],
  )
  del result['frame_inds']
  return result


def decompressed(
  clip: raw_dataset.Clip,
  selection: Selection,
  keypoints: raw_dataset.Clip | None = None,
) -> raw_dataset.Clip:
  """Return a clip whose `read` returns keypoints [M, T, V, C].

  Args:
    clip: a compressed clip.
    selection: the skeletons to keep.
    keypoints: reads a dict with 'keypoint' [S, V, 3] if they are in another
      file, which is then named in errors.
  """
  return dataclasses.replace(
    clip,
    path=keypoints.path if keypoints else clip.path,
    read=functools.partial(_read_decompressed, clip, selection, keypoints),
  )


def _read_decompressed(
  clip: raw_dataset.Clip,
  selection: Selection,
  keypoints: raw_dataset.Clip | None,
) -> dict[str, Any]:
  item, where = clip.read(), clip.where
  if keypoints:
    found, where = keypoints.read(), keypoints.where
    frame_inds = found.get('frame_inds')
    if frame_inds is not None and not np.array_equal(
      frame_inds, item['frame_inds']
    ):
      raise errors.UserError(
        f"{where}: 'frame_inds' differ from those of the annotations. Use the"
        ' keypoint files that belong to the annotations.'
      )
    item = {**item, 'keypoint': clip_keypoint(found, where)}
  return decompress_item(item, selection, where)


def clip_keypoint(item: raw_dataset.Item, where: str) -> np.ndarray:
  """Return 'keypoint' of any shape; raise ClipError if there is none."""
  if 'keypoint' not in item:
    raise checks.ClipError(
      'no keypoint',
      where,
      f"has no 'keypoint', only {checks.keys(item)}. Expected an array"
      ' [skeletons, joints, 3].',
    )
  return checks.numeric_array(item['keypoint'], 'keypoint', where)


def check_box_score(
  item: raw_dataset.Item, num_skeletons: int, where: str
) -> np.ndarray:
  """Return 'box_score' [S]; raise ClipError if it is missing or invalid."""
  if item.get('box_score') is None:
    raise checks.ClipError(
      'box_score',
      where,
      "'box_score' is missing, which --valid_ratio needs. For files without it,"
      ' leave out --valid_ratio.',
    )
  box_score = checks.numeric_array(item['box_score'], 'box_score', where)
  if box_score.shape != (num_skeletons,):
    raise checks.ClipError(
      'box_score',
      where,
      f"'box_score' has shape {box_score.shape}. Expected ({num_skeletons},),"
      " one score per element of 'frame_inds'.",
    )
  return box_score
