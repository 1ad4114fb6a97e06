"""Contents of a batch, number by number."""

import numpy as np
import pytest

from skeljax import errors
from skeljax.datasets import collate
from skeljax.datasets import sampling


def make_clip(position, num_persons, num_frames):
  """Return a clip of distinct numbers."""
  m, t, v, c = np.ogrid[:num_persons, :num_frames, :3, :2]
  keypoint = 1000 * (position + 1) + 500 * m + 10 * t + 2 * v + c
  m, t, v = np.ogrid[:num_persons, :num_frames, :3]
  return {
    'id': f'clip{position}',
    'position': position,
    'label': position % 5,
    'keypoint': keypoint.astype(np.float32),
    'keypoint_score': (t + 20 * v + 100 * m + 1).astype(np.float16),
    'img_shape': np.array([1080, 1920 + position], np.int32),
    'total_frames': num_frames,
    'box': np.array([1, 2, 3, 4 + position], np.float32),
  }


CLIPS = [make_clip(0, 1, 1), make_clip(1, 2, 5), make_clip(7, 1, 12)]
FIELDS = {'keypoint': 'keypoint', 'score': 'keypoint_score'}


def frames_of(options):
  return np.stack(
    [sampling.eval_frames(options, clip['total_frames']) for clip in CLIPS]
  )


def by_hand(array, index, num_persons):
  """Return [num_persons, T, ...] of one view, gathered frame by frame."""
  result = np.zeros((num_persons, len(index), *array.shape[2:]), array.dtype)
  for person, t in np.ndindex(len(array), len(index)):
    if index[t] >= 0:
      result[person, t] = array[person, index[t]]
  return result


@pytest.mark.parametrize(
  'options',
  [sampling.Sampling(frames, 12) for frames in sampling.FRAMES]
  + [
    sampling.Sampling(frames, 5, num_clips=10)
    for frames in ('uniform', 'uniform_pyskl')
  ],
  ids=lambda options: f'{options.frames}-{options.num_clips}',
)
def test_frames_and_their_successors_are_gathered(options):
  frame_index = frames_of(options)
  batch = collate.collate(
    CLIPS, frame_index, options, num_persons=3, needs_next=True
  )
  shape = (3, options.num_clips, 3, options.clip_len, 3)
  assert batch['keypoint'].shape == batch['keypoint_next'].shape == (*shape, 2)
  assert batch['score'].shape == batch['score_next'].shape == shape
  for row, clip in enumerate(CLIPS):
    last = clip['total_frames'] - 1
    for view, index in enumerate(frame_index[row]):
      following = [i if i < 0 else min(i + 1, last) for i in index]
      for name, field in FIELDS.items():
        np.testing.assert_array_equal(
          batch[name][row, view], by_hand(clip[field], index, 3)
        )
        np.testing.assert_array_equal(
          batch[f'{name}_next'][row, view], by_hand(clip[field], following, 3)
        )


def test_batch_has_the_other_fields_of_the_clips():
  options = sampling.Sampling('uniform', 4)
  frame_index = frames_of(options)
  batch = collate.collate(CLIPS, frame_index, options, num_persons=2)
  expected = {
    'num_valid_persons': [1, 2, 1],
    'total_frames': [1, 5, 12],
    'label': [0, 1, 2],
    'img_shape': [[1080, 1920], [1080, 1921], [1080, 1927]],
    'frame_index': frame_index.tolist(),
  }
  for name, values in expected.items():
    assert batch[name].dtype == np.int32
    assert batch[name].tolist() == values
  assert batch['keypoint'].dtype == np.float32
  assert batch['score'].dtype == np.float16
  assert batch['box'].dtype == np.float32
  assert batch['box'].tolist() == [[1, 2, 3, 4], [1, 2, 3, 5], [1, 2, 3, 11]]
  assert batch.keys() == expected.keys() | {'keypoint', 'score', 'box'}


def test_batch_of_records_without_scores_has_none():
  options = sampling.Sampling('uniform', 4)
  clips = [dict(clip) for clip in CLIPS]
  for clip in clips:
    del clip['keypoint_score']
  batch = collate.collate(
    clips, frames_of(options), options, num_persons=2, needs_next=True
  )
  assert 'keypoint_next' in batch
  assert not [name for name in batch if name.startswith('score')]


def test_whole_clips_are_padded_and_keep_their_indices():
  options = sampling.Sampling(
    'sorted_random', 5, whole_clip=True, max_frames=14
  )
  frame_index = frames_of(options)
  batch = collate.collate(
    CLIPS, frame_index, options, num_persons=2, needs_next=True
  )
  np.testing.assert_array_equal(batch['frame_index'], frame_index)
  assert not [name for name in batch if name.endswith('_next')]
  for row, clip in enumerate(CLIPS):
    index = np.full(14, -1)
    index[: clip['total_frames']] = range(clip['total_frames'])
    for name, field in FIELDS.items():
      assert batch[name].shape[:4] == (3, 1, 2, 14)
      np.testing.assert_array_equal(
        batch[name][row, 0], by_hand(clip[field], index, 2)
      )


@pytest.mark.parametrize(
  'changes, words',
  [
    (dict(total_frames=0), 'has no frames'),
    (dict(keypoint=np.zeros((0, 5, 3, 2))), 'has 0 persons'),
    (
      dict(keypoint=np.zeros((3, 5, 3, 2))),
      'has 3 persons: expected 1 to 2',
    ),
    (dict(total_frames=9), 'has 12 frames of keypoints, but total_frames=9'),
    (dict(total_frames=13), 'has 13 frames, more than data.clip_len=12'),
  ],
)
def test_clips_that_do_not_fit_raise(changes, words):
  options = sampling.Sampling('zero', 12)
  with pytest.raises(errors.UserError, match=f"'clip7' {words}"):
    collate.check_clip(CLIPS[2] | changes, options, num_persons=2)
  for clip in CLIPS:
    collate.check_clip(clip, options, num_persons=2)
