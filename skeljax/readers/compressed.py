"""The compressed 2D form of Kinetics-400: detected skeletons, one by one.

A clip lists its S skeletons in the order of their frames instead of filling
[persons, frames, ...] with zeros: 'frame_inds' [S], 'box_score' [S], 'valid'
(box threshold -> frames that still show somebody), and 'keypoint' [S, V, 3]
(x, y, score), which the published annotation files leave to files of their
own: either one pickle a clip, or bundles, each a dict from id to clip, that
'raw_file' names.

Source: mmaction2 1.x's PoseDataset(valid_ratio, box_thr) and DecompressPose,
and pyskl's of the same names, which differ only in how the files are reached.
"""

from collections.abc import Mapping
import dataclasses
import functools
from typing import Any

import numpy as np

from skeljax import errors
from skeljax.readers import arrays
from skeljax.readers import clips
from skeljax.readers import raw_dataset

# The thresholds for which the published files count frames.
BOX_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
DEFAULT_BOX_THRESHOLD = 0.5
# Persons in a frame that DecompressPose keeps.
DEFAULT_MAX_PERSONS = 10

Item = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Selection:
  """Which clips and skeletons count.

  Attributes:
    valid_ratio: a clip counts if so large a part of its frames shows somebody
      whose box reaches the threshold; 0, as in the published configuration:
      all clips count.
    box_threshold: skeletons with a lower box score are left out; NOTE: only
      where valid_ratio is above 0, as published.
    max_persons: persons kept in a frame; None keeps all.
  """

  valid_ratio: float = 0.0
  box_threshold: float = DEFAULT_BOX_THRESHOLD
  max_persons: int | None = DEFAULT_MAX_PERSONS

  def __post_init__(self):
    if not 0 <= self.valid_ratio <= 1:
      raise errors.UserError(
        f'--valid_ratio={self.valid_ratio}: expected a part of the frames, from'
        ' 0 (all clips) to 1.'
      )
    if self.box_threshold not in BOX_THRESHOLDS:
      raise errors.UserError(
        f'--box_threshold={self.box_threshold}: the annotations count frames'
        f' for {", ".join(map(str, BOX_THRESHOLDS))} only.'
      )

  @property
  def cuts(self) -> float | None:
    """The score that a box needs; None where none is needed."""
    return self.box_threshold if self.valid_ratio > 0 else None

  @property
  def keeps_fewer_persons(self) -> bool:
    """Whether persons are cut that are kept as published."""
    return (
      self.max_persons is not None and self.max_persons < DEFAULT_MAX_PERSONS
    )


def is_compressed(item: Item) -> bool:
  """Whether an annotation lists its skeletons one by one."""
  keypoint = item.get('keypoint')
  is_whole = isinstance(keypoint, np.ndarray) and keypoint.ndim == 4
  return item.get('frame_inds') is not None and not is_whole


def is_valid(item: Item, selection: Selection, where: str) -> bool:
  """Whether enough frames of a clip show somebody.

  Args:
    item: a compressed annotation.
    selection: with the ratio and the threshold.
    where: the file and the sample, for errors.

  Raises:
    ClipError: the item does not say in how many frames.
  """
  if not selection.valid_ratio > 0:
    return True
  valid, threshold = item.get('valid'), selection.box_threshold
  num_frames = valid.get(threshold) if isinstance(valid, dict) else None
  if not clips.is_integer(num_frames):
    found = 'is missing' if valid is None else f'is {valid!r}'
    raise arrays.clip_error(
      'valid',
      where,
      f"'valid' {found}. --valid_ratio needs a dict from box threshold to the"
      f' number of frames with somebody, here for {threshold}; files without'
      ' it are prepared without --valid_ratio.',
    )
  return num_frames / _total_frames(item, where) >= selection.valid_ratio


def chosen_skeletons(
  item: Item, selection: Selection, where: str
) -> tuple[np.ndarray, np.ndarray | None]:
  """The frames of the skeletons that count, and which these are.

  Args:
    item: a compressed annotation; its keypoints are not looked at.
    selection: with the threshold.
    where: the file and the sample, for errors.

  Returns:
    The frame of each, int64, not falling; and the mask [S] of the skeletons
    that count, or None for all.

  Raises:
    ClipError: 'frame_inds' or 'box_score' cannot be used.
  """
  frame_inds = arrays.numbers(item['frame_inds'], 'frame_inds', where)
  if frame_inds.ndim != 1 or frame_inds.dtype.kind not in 'iu':
    raise arrays.clip_error(
      'frame_inds',
      where,
      f"'frame_inds' has shape {frame_inds.shape} and type {frame_inds.dtype}."
      ' Expected one whole number a skeleton, [skeletons]: its frame.',
    )
  mask = None
  if selection.cuts is not None:
    mask = check_box_score(item, len(frame_inds), where) >= selection.cuts
    frame_inds = frame_inds[mask]
  frame_inds = frame_inds.astype(np.int64)
  falling = np.flatnonzero(np.diff(frame_inds) < 0)
  if len(falling) or frame_inds.size and frame_inds[0] < 0:
    spot = int(falling[0]) + 1 if len(falling) else 0
    raise arrays.clip_error(
      'frame_inds',
      where,
      f"'frame_inds' is {frame_inds[spot]} at skeleton {spot}. Expected frames"
      ' that start at 0 or later and never go back: sort the skeletons by'
      ' frame.',
    )
  return frame_inds, mask


def decompressed_shape(
  frame_inds: np.ndarray, max_persons: int | None
) -> tuple[int, int, bool]:
  """Persons and frames of a decompressed clip, and whether persons are cut.

  Args:
    frame_inds: the frames of the skeletons that count.
    max_persons: persons kept in a frame; None keeps all.
  """
  _, counts = np.unique(frame_inds, return_counts=True)
  most = int(counts.max(initial=0))
  num_persons = most if max_persons is None else min(most, max_persons)
  return num_persons, len(counts), num_persons < most


def decompress_pose(
  frame_inds: np.ndarray,
  keypoint: np.ndarray,
  box_score: np.ndarray | None,
  total_frames: int,
  *,
  box_threshold: float | None = None,
  squeeze: bool = True,
  max_persons: int | None = DEFAULT_MAX_PERSONS,
) -> tuple[np.ndarray, np.ndarray]:
  """The clip as [persons, frames, ...] of skeletons that come one by one.

  Args:
    frame_inds: [S] whole numbers, not falling: the frame of each skeleton.
    keypoint: [S, V, 3]: x, y, score.
    box_score: [S]; only needed with a box_threshold.
    total_frames: of the video; only counts without squeeze.
    box_threshold: skeletons with a lower box score are left out; None: none.
    squeeze: leave out the frames without anybody.
    max_persons: where some frame shows more, the persons of every frame are
      sorted by falling sum of their scores and cut; None keeps all, in the
      order in which they come.

  Returns:
    [M, F, V, 2] float16 pixels and [M, F, V] float16 scores; zeros where a
    frame has fewer persons than M.

  Raises:
    UserError: without squeeze, a skeleton's frame lies beyond total_frames.

  Source: mmaction2 1.2.0, DecompressPose. Deviation: no skeleton at all gives
  an empty clip, where it fails.
  """
  if box_threshold is not None:
    # NOTE: in the type of the scores: float16 0.6 reaches the threshold 0.6.
    chosen = box_score >= box_threshold
    frame_inds, keypoint = frame_inds[chosen], keypoint[chosen]
  seen, frame, counts = np.unique(
    frame_inds, return_inverse=True, return_counts=True
  )
  first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
  person = np.arange(len(frame)) - first[frame]
  num_frames = len(seen)
  if not squeeze:
    if len(seen) and seen[-1] >= total_frames:
      raise errors.UserError(
        f"'frame_inds' reaches {seen[-1]}, and the clip has {total_frames}"
        ' frames, counted from 0.'
      )
    frame, num_frames = np.asarray(frame_inds, np.int64), int(total_frames)
  shape = (int(counts.max(initial=0)), num_frames, keypoint.shape[1])
  pixels = np.zeros((*shape, 2), np.float16)
  score = np.zeros(shape, np.float16)
  with np.errstate(over='ignore'):  # The caller reports what is not finite.
    pixels[person, frame] = keypoint[..., :2]
    score[person, frame] = keypoint[..., 2]
  if max_persons is None or shape[0] <= max_persons:
    return pixels, score
  # The sums are rounded to float16, as published; of equals the first wins.
  rank = -score.sum(axis=-1).astype(np.float32)
  num_there = np.zeros(num_frames, np.int64)
  np.add.at(num_there, frame, 1)
  # Empty places stay behind, even where a score is negative.
  rank[np.arange(shape[0])[:, None] >= num_there] = np.inf
  order = np.argsort(rank, axis=0, kind='stable')[:max_persons]
  return (
    np.take_along_axis(pixels, order[..., None, None], axis=0),
    np.take_along_axis(score, order[..., None], axis=0),
  )


def decompress_item(
  item: Item, selection: Selection, where: str
) -> dict[str, Any]:
  """A compressed annotation in the usual form, for clips.check_item.

  Args:
    item: with 'frame_inds' [S], 'keypoint' [S, V, 3] and, where boxes are cut,
      'box_score' [S].
    selection: what to keep.
    where: the file and the sample, for errors.

  Raises:
    ClipError: the parts do not fit together.
  """
  frame_inds, mask = chosen_skeletons(item, selection, where)
  keypoint = check_keypoint(item, len(item['frame_inds']), where)
  pixels, score = decompress_pose(
    frame_inds,
    keypoint if mask is None else keypoint[mask],
    None,
    0,
    max_persons=selection.max_persons,
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
  """A compressed clip whose `read` returns keypoints [M, T, V, C].

  Args:
    clip: with 'frame_inds' [S].
    selection: the skeletons to keep.
    keypoints: reads a dict with 'keypoint' [S, V, 3], if the clip has none
      itself; its path is named in errors.
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


def clip_keypoint(clip: Item, where: str) -> np.ndarray:
  """The keypoints of a clip in a file of skeletons, some array of numbers."""
  if 'keypoint' not in clip:
    raise arrays.clip_error(
      'no keypoint',
      where,
      f"has no 'keypoint', only {', '.join(map(repr, clip)) or 'nothing'}."
      ' Expected an array [skeletons, joints, 3].',
    )
  return arrays.numbers(clip['keypoint'], 'keypoint', where)


def check_keypoint(item: Item, num_skeletons: int, where: str) -> np.ndarray:
  """The keypoints of an item, [S, V, 3]; a ClipError if they are not."""
  keypoint = clip_keypoint(item, where)
  shape = keypoint.shape
  if len(shape) != 3 or shape[0] != num_skeletons or shape[2] != 3:
    raise arrays.clip_error(
      'shape',
      where,
      f"'keypoint' has shape {shape}. Expected [skeletons, joints, 3] (x, y,"
      f" score) with the {num_skeletons} skeletons of 'frame_inds'.",
    )
  return keypoint


def check_box_score(item: Item, num_skeletons: int, where: str) -> np.ndarray:
  """The scores of the boxes of an item, [S]; a ClipError if they are not."""
  if item.get('box_score') is None:
    raise arrays.clip_error(
      'box_score',
      where,
      "'box_score' is missing. --valid_ratio leaves out skeletons by it;"
      ' files without it are prepared without --valid_ratio.',
    )
  box_score = arrays.numbers(item['box_score'], 'box_score', where)
  if box_score.shape != (num_skeletons,):
    raise arrays.clip_error(
      'box_score',
      where,
      f"'box_score' has shape {box_score.shape}. Expected ({num_skeletons},),"
      " one score for each skeleton of 'frame_inds'.",
    )
  return box_score


def _total_frames(item: Item, where: str) -> int:
  total_frames = item.get('total_frames')
  if not clips.is_integer(total_frames) or total_frames < 1:
    raise arrays.clip_error(
      'total_frames',
      where,
      f"'total_frames' is {total_frames!r}. Expected the number of frames of"
      ' the video.',
    )
  return int(total_frames)
