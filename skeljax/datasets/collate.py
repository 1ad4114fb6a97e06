"""Clips to a batch: gather the chosen frames, pad persons, stack; numpy only."""

from collections.abc import Sequence

import numpy as np

from skeljax import errors
from skeljax.datasets import records
from skeljax.datasets import sampling as sampling_lib

Batch = dict[str, np.ndarray]


def check_clip(
  clip: records.Record, sampling: sampling_lib.Sampling, num_persons: int
) -> None:
  """Raises UserError for a clip that cannot go into a batch."""
  found = clip['keypoint'].shape[0]
  if found > num_persons:
    raise errors.UserError(
      f'clip {clip["id"]!r} has {found} persons, but num_persons is '
      f'{num_persons}; raise num_persons to at least {found}, or prepare the '
      'dataset again with fewer persons.'
    )
  if found < 1:
    raise errors.UserError(
      f'clip {clip["id"]!r} has no persons; leave it out when preparing the '
      'dataset.'
    )
  sampling_lib.check_clip(sampling, clip['id'], clip['total_frames'])
  # Gathering would not notice: it takes the last frame for those beyond.
  if clip['keypoint'].shape[1] != clip['total_frames']:
    raise errors.UserError(
      f'clip {clip["id"]!r} says that it has {clip["total_frames"]} frames, but '
      f'its keypoints have {clip["keypoint"].shape[1]}; prepare the dataset '
      'again.'
    )


def collate(
  clips: Sequence[records.Record],
  frame_index: np.ndarray,
  sampling: sampling_lib.Sampling,
  *,
  num_persons: int,
  needs_next: bool = False,
) -> Batch:
  """The batch of some clips and the frames chosen from them.

  Args:
    clips: B records of one dataset that have passed check_clip.
    frame_index: [B, N, T] frames of each clip, -1 for a frame of zeros.
    sampling: says whether whole clips are shipped, and how long.
    num_persons: M, at least the persons of any clip.
    needs_next: add keypoint_next (and score_next); not with whole clips.

  Returns:
    keypoint [B, N, M, T, V, C] in the records' dtype; keypoint_next, the same
    for the frames that follow in the original clip (see sampling.successor);
    score and score_next [B, N, M, T, V] where records have scores;
    num_valid_persons [B], frame_index [B, N, T], total_frames [B], img_shape
    [B, 2] (height, width) and label [B], all int32; box [B, 4] float32 (see
    records.visible_box). With whole clips keypoint is [B, 1, M, max_frames, V,
    C], zeros behind the last frame, likewise score.
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
      batch[name] = _whole(arrays, num_persons, sampling.max_frames)
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
  """[B, N, num_persons, T, ...] from [M, F, ...] each, by [B, N, T] indices."""
  b, num_views, clip_len = frame_index.shape
  shape = (b, num_views, num_persons, clip_len, *arrays[0].shape[2:])
  result = np.zeros(shape, arrays[0].dtype)
  missing = frame_index < 0
  any_missing = missing.any()
  for row, array in enumerate(arrays):
    for view in range(num_views):
      target = result[row, view, : len(array)]
      # 'clip' writes straight into the batch; 'raise' would copy through a
      # buffer. Indices are in range but for the -1 that are zeroed next.
      np.take(array, frame_index[row, view], 1, out=target, mode='clip')
      if any_missing:
        target[:, missing[row, view]] = 0
  return result


def _whole(
  arrays: Sequence[np.ndarray], num_persons: int, max_frames: int
) -> np.ndarray:
  """[B, 1, num_persons, max_frames, ...] from [M, F, ...] each."""
  shape = (len(arrays), 1, num_persons, max_frames, *arrays[0].shape[2:])
  result = np.zeros(shape, arrays[0].dtype)
  for row, array in enumerate(arrays):
    result[row, 0, : array.shape[0], : array.shape[1]] = array
  return result
