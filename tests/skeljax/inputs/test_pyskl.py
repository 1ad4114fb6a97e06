"""PreNormalize2D of pyskl, from records to the model's input.

The oracle is a literal transcription, tests/transcriptions.py.
"""

import functools

import jax
import numpy as np
import pytest

from skeljax import errors
from skeljax import skeletons
from skeljax.datasets import collate
from skeljax.datasets import records
from skeljax.datasets import sampling
from skeljax.inputs import joints
from tests import specs
from tests import transcriptions

HAND = skeletons.LAYOUTS['handmp']
STREAMS = ('joint', 'bone', 'joint_motion', 'bone_motion')
KEY = jax.random.key(0)
FRAMES = 6
SAMPLING = sampling.Sampling('zero', FRAMES)

model_input = specs.model_input


def make_clip(name, seed=0, has_score=True):
  """Return a float16 record [2, 5, 21, 2]; the name is its anomaly."""
  random = np.random.RandomState(seed)
  keypoint = random.rand(2, 5, 21, 2) * [400, 300] + [900, 200]
  score = random.rand(2, 5, 21)
  if name == 'small':
    keypoint[..., 0] = 500 + random.rand(2, 5, 21) * 9
  elif name == 'negative':
    keypoint -= 1200
  elif name == 'missing':
    keypoint[1, 2:], score[1, 2:] = 0, 0
    keypoint[0, 1, 3], score[0, 1, 3] = (9999, -9999), 0.005
    # Both above the threshold in float32, where float16 has 0.01 as the first.
    score[0, 0, :2] = np.float16(0.01), np.nextafter(np.float16(0.01), 1)
  elif name == 'unseen':
    score[:] = 0.01 * random.rand(2, 5, 21)
  keypoint, score = keypoint.astype(np.float16), score.astype(np.float16)
  clip = {
    'id': name,
    'label': 0,
    'keypoint': keypoint,
    'total_frames': 5,
    'img_shape': np.array([720, 1280], np.int32),
    'box': records.visible_box(keypoint, score if has_score else None),
  }
  return clip | ({'keypoint_score': score} if has_score else {})


CLIPS = ('plain', 'small', 'negative', 'missing', 'unseen')


def make_batch(clips, persons=3):
  index = sampling.eval_frames(SAMPLING, 5)[None]
  batch = collate.collate(
    clips,
    np.repeat(index, len(clips), axis=0),
    SAMPLING,
    num_persons=persons,
    needs_next=True,
  )
  return batch | {'index': np.arange(len(clips), dtype=np.int32)}


@functools.cache
def make_options(mode, stream='joint', has_score=True, **changes):
  return specs.joints(
    layout=HAND,
    stream=stream,
    num_channels=2,
    has_score=has_score,
    keypoint_dtype='float16',
    normalize_2d=f'pyskl_{mode}',
    published_rounding=True,
    **changes,
  )


def published(clip, mode, stream, threshold=0.01):
  """[3, 6, 21, C]: the transcribed pipeline, then padding."""
  x = transcriptions.pyskl_pre_normalize_2d(
    clip['keypoint'],
    clip.get('keypoint_score'),
    mode=mode,
    img_shape=clip['img_shape'].tolist(),
    threshold=threshold,
  )
  pairs = list(enumerate(HAND.parents))
  has_score = 'keypoint_score' in clip
  x = transcriptions.streams(x, pairs, stream, has_score)
  result = np.zeros((3, FRAMES, *x.shape[2:]), np.float32)
  result[:2, :5] = x
  return result


@pytest.mark.parametrize('has_score', [True, False])
@pytest.mark.parametrize('stream', STREAMS)
@pytest.mark.parametrize('mode', ['fix', 'auto'])
def test_every_stream_equals_the_published_pipeline(mode, stream, has_score):
  clips = [make_clip(name, i, has_score) for i, name in enumerate(CLIPS)]
  got = model_input(
    make_batch(clips), make_options(mode, stream, has_score), train=False
  )
  assert got.dtype == np.float32
  for x, clip in zip(np.asarray(got), clips):
    expected = published(clip, mode, stream)
    # XLA multiplies by the reciprocal of the extent: one unit in the last
    # place of a coordinate, which differences keep.
    scale = max(1, np.abs(published(clip, mode, 'joint')).max())
    np.testing.assert_allclose(
      x, expected, rtol=0, atol=1e-6 * scale, err_msg=f'{clip["id"]} {mode}'
    )
    is_zero = expected[..., :2] == 0
    if stream == 'joint':
      np.testing.assert_array_equal(x[..., :2] == 0, is_zero)


def test_another_threshold_applies_to_fix():
  clip = make_clip('plain')
  options = make_options('fix', normalize_2d_threshold=0.5)
  got = np.asarray(model_input(make_batch([clip]), options, train=False))[0]
  np.testing.assert_allclose(
    got, published(clip, 'fix', 'joint', 0.5), rtol=0, atol=1e-6
  )
  assert 0.3 < np.mean(got[:2, :5, :, 0] == 0) < 0.7


def test_another_threshold_is_refused_with_stored_boxes():
  with pytest.raises(errors.UserError, match='a score above 0.01. Use 0.01'):
    make_options('auto', normalize_2d_threshold=0.5)
  make_options('auto', has_score=False, normalize_2d_threshold=0.0)
  assert joints.BOX_THRESHOLD == records.BOX_THRESHOLD


def test_box_does_not_depend_on_the_sampled_frames():
  clip = make_clip('plain')
  batch = make_batch([clip])
  whole = np.asarray(model_input(batch, make_options('auto'), train=False))
  chosen = {name: batch[name][:, :, :, 1:3] for name in ('keypoint', 'score')}
  chosen['frame_index'] = batch['frame_index'][:, :, 1:3]
  got = model_input(batch | chosen, make_options('auto'), train=False)
  np.testing.assert_array_equal(got, whole[:, :, 1:3])


@pytest.mark.parametrize('name', ['plain', 'negative', 'missing'])
@pytest.mark.parametrize('mode', ['fix', 'auto'])
def test_flip_negates_x_and_swaps_joints(mode, name):
  clip = make_clip(name)
  left_right = ((1, 5), (2, 6), (9, 13))
  layout = skeletons.Layout(
    **{
      field: getattr(HAND, field)
      for field in ('joints', 'bones', 'edges', 'center')
    },
    name='pairs',
    left_right=left_right,
  )
  options = specs.joints(
    layout=layout,
    stream='joint',
    num_channels=2,
    has_score=True,
    normalize_2d=f'pyskl_{mode}',
    flip=1.0,
  )
  got = model_input(make_batch([clip]), options, rng=KEY, train=True)
  expected = published(clip, mode, 'joint')[..., list(layout.flip_index), :]
  expected[..., 0] *= -1
  np.testing.assert_allclose(got[0], expected, rtol=0, atol=1e-6)


def test_clip_too_small_to_normalize_is_flipped_in_its_own_box():
  clip = make_clip('small', has_score=False)
  options = make_options('auto', has_score=False, flip=1.0)
  got = model_input(make_batch([clip]), options, rng=KEY, train=True)
  x = clip['keypoint'][..., 0].astype(np.float32)
  expected = x.min() + x.max() - x
  np.testing.assert_allclose(got[0, :2, :5, :, 0], expected, rtol=1e-6)


def test_missing_points_stay_missing_under_augmentation():
  clip = make_clip('missing')
  options = make_options('auto', rotate=(30.0,), scale=0.2, shift=0.3, flip=0.5)
  batch = make_batch([clip])
  got = np.asarray(model_input(batch, options, rng=KEY, train=True))[0]
  is_seen = clip['keypoint_score'].astype(np.float32) > 0.01
  np.testing.assert_array_equal((got[:2, :5, :, :2] != 0).any(-1), is_seen)
  assert not got[2].any() and not got[:, 5].any()


def test_batch_without_boxes_is_refused():
  batch = make_batch([make_clip('plain')])
  del batch['box']
  with pytest.raises(ValueError, match='need box in the batch'):
    model_input(batch, make_options('auto'), train=False)
