"""Whole clips: the NW-UCLA recipe, whose scale needs every frame."""

import jax
import numpy as np
import pytest

from skeljax import skeletons
from tests import specs

STREAMS = ('joint', 'bone', 'joint_motion', 'bone_motion')
LAYOUT = skeletons.LAYOUTS['ucla']
KEY = jax.random.key(3)

model_input = specs.model_input


def recipe(stream, **changes):
  return specs.joints(
    **{
      'layout': LAYOUT,
      'stream': stream,
      'num_channels': 3,
      'has_score': False,
      'centre_first_frame': True,
      'min_max': True,
      **changes,
    }
  )


def whole_batch(clips, frame_index, persons=1, max_frames=12):
  keypoint = np.zeros((len(clips), 1, persons, max_frames, 20, 3), np.float32)
  for row, clip in enumerate(clips):
    keypoint[row, 0, : clip.shape[0], : clip.shape[1]] = clip
  return {
    'keypoint': keypoint,
    'frame_index': np.asarray(frame_index, np.int32),
    'total_frames': np.array([c.shape[1] for c in clips], np.int32),
    'num_valid_persons': np.array([len(c) for c in clips], np.int32),
    'img_shape': np.zeros((len(clips), 2), np.int32),
    'index': np.arange(len(clips), dtype=np.int32),
  }


def random_clips(*lengths, persons=1):
  random = np.random.RandomState(0)
  return [
    random.randn(persons, n, 20, 3).astype(np.float32) + 2 for n in lengths
  ]


def feeder_joints(clip, frame_index):
  """[T, 20, 3] of one clip [F, 20, 3]."""
  value = clip - clip[0, 1]
  flat = value.reshape(-1, 3)
  low, high = flat.min(axis=0), flat.max(axis=0)
  return ((value - low) / (high - low) * 2 - 1)[frame_index]


@pytest.mark.parametrize('stream', STREAMS)
def test_ucla_recipe_equals_the_published_feeder(stream):
  clips = random_clips(8, 1)
  frame_index = [[[0, 2, 2, 7], [1, 3, 5, 6]], [[0, 0, 0, 0], [0, 0, 0, 0]]]
  batch = whole_batch(clips, frame_index)
  got = model_input(batch, recipe(stream), train=False)
  assert got.shape == (4, 1, 4, 20, 3)
  views = np.asarray(got).reshape(2, 2, 4, 20, 3)
  for row, clip in enumerate(clips):
    for view in range(2):
      data = feeder_joints(clip[0].astype(np.float64), frame_index[row][view])
      if stream.startswith('bone'):
        data = data - data[:, list(LAYOUT.parents)]
      if stream.endswith('motion'):
        data = np.concatenate([data[1:] - data[:-1], np.zeros_like(data[:1])])
      np.testing.assert_allclose(views[row, view], data, atol=2e-6)


def test_ucla_recipe_scales_after_rotation():
  batch = whole_batch(random_clips(8, 5), [[[0, 2, 2, 7]], [[0, 1, 2, 4]]])
  batch['frame_index'] = np.tile(np.arange(8, dtype=np.int32), (2, 1, 1))
  batch['frame_index'][1, 0, 5:] = -1
  options = recipe('joint', rotate=(60.0, 60.0, 0.0))
  got = np.asarray(model_input(batch, options, rng=KEY, train=True))
  plain = np.asarray(model_input(batch, options, train=False))
  assert np.abs(got - plain).max() > 0.1
  assert not got[1, :, 5:].any()
  for clip in (got[0], got[1, :, :5]):
    points = clip.reshape(-1, 3)
    np.testing.assert_allclose(points.min(0), -1, atol=1e-6)
    np.testing.assert_allclose(points.max(0), 1, atol=1e-6)


def test_motion_of_whole_clips_ends_before_padding():
  batch = whole_batch(random_clips(3), [[[0, 1, 2, -1]]])
  options = recipe('joint_motion')
  got = np.asarray(model_input(batch, options, train=False))
  assert got[0, 0, :2].any() and not got[0, 0, 2:].any()


@pytest.mark.parametrize('stream', ['joint', 'bone_motion'])
def test_padding_stays_zero_and_is_ignored(stream):
  clips = random_clips(6)
  options = recipe(
    stream, rotate=(30.0, 30.0, 30.0), scale=0.2, shift=0.3, flip=1.0
  )
  one = whole_batch(clips, [[[0, 3, 4, -1]]], persons=1, max_frames=6)
  two = whole_batch(clips, [[[0, 3, 4, -1]]], persons=2, max_frames=9)
  alone = np.asarray(model_input(one, options, rng=KEY, train=True))
  got = np.asarray(model_input(two, options, rng=KEY, train=True))
  assert got[0, 0, :2].any()
  assert not got[0, 1].any() and not got[0, :, 3].any()
  np.testing.assert_allclose(got[0, 0], alone[0, 0], atol=1e-6)


def test_person_who_appears_later_is_ignored_before():
  clips = random_clips(6, persons=2)
  clips[0][1, :4] = 0
  batch = whole_batch(clips, [[[0, 1, 4, 5]]], persons=2)
  got = np.asarray(model_input(batch, recipe('joint'), train=False))
  assert not got[0, 1, :2].any() and got[0, 1, 2:].all()
  # All coordinates lie about 2, so zeros that counted would push them up.
  assert abs(got[0, 0].mean()) < 0.2
