"""Collate clips: gather the sampled frames, pad persons, stack; numpy only."""

from collections.abc import Sequence

import numpy as np

from skeljax import errors
from skeljax.datasets import records
from skeljax.datasets import sampling as sampling_lib

Batch = dict[str, np.ndarray]


def check_clip(
  clip: records.Record, sampling: sampling_lib.Sampling, num_persons: int
) -> None:
  """Raise UserError for a clip that cannot be batched."""
  found, num_frames = clip['keypoint'].shape[:2]
  if not 1 <= found <= num_persons:
    raise errors.UserError(
      f'Clip {clip["id"]!r} has {found} persons: expected 1 to {num_persons}.'
      ' Prepare the dataset again without it, or with --max_persons.'
    )
  sampling_lib.check_clip(sampling, clip['id'], clip['total_frames'])
  # Frames beyond the end would be silently replaced by the last one.
  if num_frames != clip['total_frames']:
    raise errors.UserError(
      f'Clip {clip["id"]!r} has {num_frames} frames of keypoints, but'
      f' total_frames={clip["total_frames"]}: prepare the dataset again.'
    )


def collate(
  clips: Sequence[records.Record],
  frame_index: np.ndarray,
  sampling: sampling_lib.Sampling,
  *,
  num_persons: int,
  needs_next: bool = False,
) -> Batch:
  """Make a batch from clips and the frames sampled from them.

  Args:
    clips: B records of one dataset that pass check_clip.
    frame_index: [B, N, T] sampled frames, -1 for a frame of zeros.
    sampling: specifies whether whole clips are batched.
    num_persons: M; clips with fewer persons are padded with zeros.
    needs_next: add keypoint_next (and score_next); not with whole clips.

  Returns:
    keypoint [B, N, M, T, V, C] in the dtype of the records; keypoint_next, the
    same for the successors of the frames (see sampling.successor); score and
    score_next [B, N, M, T, V] if records have scores; num_valid_persons [B],
    frame_index [B, N, T], total_frames [B], img_shape [B, 2] (height, width)
    and label [B], all int32; box [B, 4] float32 (see records.visible_box).
    Whole clips: keypoint [B, 1, M, max_frames, V, C] and score likewise, zeros
    after the last frame.
  """
  total_frames = np.array([clip['total_frames'] for clip in clips], np.int32)
  batch = {
    'num_valid_persons': np.array(
      [clip['keypoint'].shape[0] for clip in clips], np.int32
    ),
    'frame_index': np.asarray(frame_index, np.int32),
    'total_frames': total_frames,
    'img_shape': np.array([clip['img_shape'] for clip in clips], np.int32),
    'label': np.array([clip['label'] for clip in clips], np.int32),
    'box': np.array([clip['box'] for clip in clips], np.float32),
  }
  fields = {'keypoint': 'keypoint'}
  if 'keypoint_score' in clips[0]:
    fields['score'] = 'keypoint_score'
  for name, field in fields.items():
    arrays = [clip[field] for clip in clips]
    if sampling.whole_clip:
      batch[name] = _pad(arrays, num_persons, sampling.max_frames)
      continue
    batch[name] = _gather(arrays, frame_index, num_persons)
    if needs_next:
      following = sampling_lib.successor(
        frame_index, total_frames[:, None, None]
      )
      batch[f'{name}_next'] = _gather(arrays, following, num_persons)
  return batch


def _gather(
  arrays: Sequence[np.ndarray], frame_index: np.ndarray, num_persons: int
) -> np.ndarray:
  """Gather [B, N, num_persons, T, ...] from [M, F, ...] per clip."""
  b, num_views, clip_len = frame_index.shape
  shape = (b, num_views, num_persons, clip_len, *arrays[0].shape[2:])
  result = np.zeros(shape, arrays[0].dtype)
  is_padding = frame_index < 0
  has_padding = is_padding.any()
  for row, array in enumerate(arrays):
    for view in range(num_views):
      target = result[row, view, : len(array)]
      # mode='clip' writes directly to the batch, 'raise' copies through a
      # buffer. The only index out of range is -1, which is zeroed next.
      np.take(array, frame_index[row, view], 1, out=target, mode='clip')
      if has_padding:
        target[:, is_padding[row, view]] = 0
  return result


def _pad(
  arrays: Sequence[np.ndarray], num_persons: int, max_frames: int
) -> np.ndarray:
  """Pad [M, F, ...] of each clip to [B, 1, num_persons, max_frames, ...]."""
  shape = (len(arrays), 1, num_persons, max_frames, *arrays[0].shape[2:])
  result = np.zeros(shape, arrays[0].dtype)
  for row, array in enumerate(arrays):
    result[row, 0, : array.shape[0], : array.shape[1]] = array
  return result
