"""Random annotations, as odd as files in the wild, and both ways through them.

An annotation is what mmaction2's pickles hold. `published` sends it through
mmaction2's transforms, `batch_of` through ours.
"""

import copy

from mmaction.datasets import transforms
import numpy as np

from skeljax.datasets import collate
from skeljax.datasets import finish
from skeljax.datasets import records
from skeljax.datasets.spec import DataSpec

# From one frame to 400, and around once and twice the length of a view.
VIEW = 16
LENGTHS = (1, 2, 3, 15, 16, 17, 24, 31, 32, 33, 100, 399, 400)
FEATS = {'joint': 'j', 'bone': 'b', 'joint_motion': 'jm', 'bone_motion': 'bm'}
DATASETS = {'coco': 'coco', 'nturgb+d': 'nturgb+d', 'openpose-18': 'openpose'}


def draw(
  rng,
  num_joints,
  num_channels,
  dtype='float16',
  score_dtype='',
  num_persons=None,
  num_frames=None,
):
  """An annotation with what is missing in real ones: joints, frames, persons.

  Args:
    rng: RandomState.
    num_joints: V.
    num_channels: 2 (pixels) or 3 (metres).
    dtype: of the keypoints.
    score_dtype: of the scores; '' for none.
    num_persons: M; None draws 1 or 2.
    num_frames: T; None draws one of LENGTHS.

  Returns:
    The annotation; its 'frame_dir' says what was drawn.
  """
  num_persons = num_persons or rng.randint(1, 3)
  num_frames = num_frames or LENGTHS[rng.randint(len(LENGTHS))]
  shape = (num_persons, num_frames, num_joints)
  seen = np.ones(shape, bool)
  for person in range(num_persons):
    kind = rng.randint(5)
    if kind == 0:  # Gaps.
      seen[person, rng.rand(num_frames) < 0.3] = False
    elif kind == 1:  # Comes late; the longer of two may be the second.
      seen[person, : rng.randint(num_frames + 1)] = False
    elif kind == 2:  # Leaves early.
      seen[person, rng.randint(num_frames + 1) :] = False
  if rng.rand() < 0.5:
    seen &= rng.rand(*shape) > 0.1  # Single joints.
  if rng.rand() < 0.05:
    seen[:] = False  # No person in any frame.

  height, width = (1080, 1920) if rng.rand() < 0.5 else rng.randint(99, 2200, 2)
  scale = [width, height] if num_channels == 2 else [1.0, 1.0, 1.0]
  pose = rng.rand(num_persons, 1, num_joints, num_channels) * scale
  walk = np.cumsum(rng.randn(*shape, num_channels), axis=1) * scale / 200
  keypoint = (pose + walk) * seen[..., None]
  item = {
    'frame_dir': f'{shape} {dtype} {score_dtype}, seen {seen.mean((1, 2))}',
    'label': 0,
    'keypoint': keypoint.astype(dtype),
    'total_frames': num_frames,
  }
  if num_channels == 2 and rng.rand() < 0.8:
    item['img_shape'] = (int(height), int(width))
  if score_dtype:
    item['keypoint_score'] = (rng.rand(*shape) * seen).astype(score_dtype)
  return item


def published(item, *steps):
  """[N, M, T, V, C] float32 that mmaction2's steps make of an annotation."""
  results = copy.deepcopy(item)
  for step in steps:
    results = step.transform(results)
  return np.asarray(results['keypoint'], np.float32)


def view_steps(frame_index, num_persons):
  """The end of a published pipeline, for frames that are given, [N, T]."""
  return (
    _SetFrames(frame_index),
    transforms.PoseDecode(),
    transforms.FormatGCNInput(num_person=num_persons),
  )


class _SetFrames:
  """In the place of UniformSampleFrames, with frames of our choice."""

  def __init__(self, frame_index):
    self._frame_index = np.asarray(frame_index)

  def transform(self, results):
    num_clips, clip_len = self._frame_index.shape
    return results | {
      'frame_inds': self._frame_index.reshape(-1),
      'clip_len': clip_len,
      'num_clips': num_clips,
    }


def record_of(item, layout, normalize='none'):
  """The record of an annotation, coded and decoded as data_prep does."""
  record = {
    'id': item['frame_dir'],
    'position': 0,
    'label': item['label'],
    'keypoint': item['keypoint'],
    'total_frames': item['total_frames'],
    'img_shape': np.array(item.get('img_shape', (0, 0)), np.int32),
    'box': np.zeros(4, np.float32),
  }
  if 'keypoint_score' in item:
    record['keypoint_score'] = item['keypoint_score']
  record = finish.finish_record(record, layout=layout, normalize=normalize)
  spec = _spec(item, layout, normalize)
  return records.decode(records.encode(record, spec), spec)


def _spec(item, layout, normalize):
  return DataSpec(
    layout=layout,
    class_names=(),
    num_channels=item['keypoint'].shape[3],
    num_persons=len(item['keypoint']),
    keypoint_dtype=(
      item['keypoint'].dtype.name if normalize == 'none' else 'float32'
    ),
    score_dtype=(
      item['keypoint_score'].dtype.name if 'keypoint_score' in item else ''
    ),
  )


def batch_of(clips, frame_index, sampling, num_persons):
  """The batch of some records with the frames [B, N, T], ready for a step."""
  for clip in clips:
    collate.check_clip(clip, sampling, num_persons)
  return collate.collate(
    clips, frame_index, sampling, num_persons=num_persons, needs_next=True
  )
