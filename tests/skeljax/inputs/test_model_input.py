"""Joints from the batch to the model input."""

import functools
import pathlib

import jax
import numpy as np
import pytest

from skeljax import skeletons
from tests import specs

GOLDEN = pathlib.Path(__file__).parent / 'golden/features.npz'
STREAMS = ('joint', 'bone', 'joint_motion', 'bone_motion')
LAYOUTS = skeletons.LAYOUTS
KEY = jax.random.key(3)

model_input = specs.model_input


@pytest.fixture(scope='module')
def golden():
  with np.load(GOLDEN) as file:
    return dict(file)


def padded(clip, persons, frame_index):
  """[1, 1, persons, T, ...] from [M, F, ...], zeros where the index is -1."""
  frames = clip[:, np.maximum(frame_index, 0)]
  frames[:, frame_index < 0] = 0
  result = np.zeros((1, 1, persons, *frames.shape[1:]), clip.dtype)
  result[0, 0, : len(frames)] = frames
  return result


def make_batch(clip, score=None, persons=3, frame_index=None, img_shape=(0, 0)):
  """Return the batch of one clip [M, F, V, C] at some frames (all)."""
  total = clip.shape[1]
  if frame_index is None:
    frame_index = np.arange(total)
  # Padding has no successor, and the last frame is its own.
  following = np.where(
    frame_index < 0, -1, np.minimum(frame_index + 1, total - 1)
  )
  batch = {
    'keypoint': padded(clip, persons, frame_index),
    'keypoint_next': padded(clip, persons, following),
    'frame_index': frame_index[None, None].astype(np.int32),
    'total_frames': np.array([total], np.int32),
    'num_valid_persons': np.array([len(clip)], np.int32),
    'img_shape': np.array([img_shape], np.int32),
    'index': np.array([7], np.int32),
  }
  if score is not None:
    batch['score'] = padded(score, persons, frame_index)
    batch['score_next'] = padded(score, persons, following)
  return batch


def options_2d(stream, **changes):
  return specs.joints(
    **{
      'layout': LAYOUTS['coco'],
      'stream': stream,
      'num_channels': 2,
      'has_score': True,
      'keypoint_dtype': 'float16',
      'normalize_2d': 'mmaction1x',
      'published_rounding': True,
      **changes,
    }
  )


def options_3d(stream, **changes):
  return specs.joints(
    **{
      'layout': LAYOUTS['nturgb+d'],
      'stream': stream,
      'num_channels': 3,
      'has_score': False,
      **changes,
    }
  )


@pytest.mark.parametrize('stream', STREAMS)
@pytest.mark.parametrize('clip', ['hd', 'odd'])
def test_2d_streams_equal_mmaction2_bit_by_bit(golden, clip, stream):
  """If the change is intended, rerun make_features.py."""
  expected = golden[f'{clip}/{stream}']
  num_frames = golden[f'{clip}/keypoint'].shape[1]
  frame_index = np.arange(expected.shape[1])
  frame_index[num_frames:] = -1
  batch = make_batch(
    golden[f'{clip}/keypoint'],
    golden[f'{clip}/score'],
    persons=expected.shape[0],
    frame_index=frame_index,
    img_shape=golden[f'{clip}/img_shape'],
  )
  got = model_input(batch, options_2d(stream), train=False)
  assert got.dtype == np.float32
  np.testing.assert_array_equal(got[0], expected)


@pytest.mark.parametrize(
  'stream, total, absolute',
  [
    ('joint', -1196.5971, 1410.1453),
    ('bone', 31.48341, 1264.43413),
    ('joint_motion', 86.48833, 1201.21766),
    ('bone_motion', -21.86576, 1617.44894),
  ],
)
def test_3d_streams_equal_mmaction2(golden, stream, total, absolute):
  batch = make_batch(golden['3d/keypoint'], persons=2)
  got = np.asarray(model_input(batch, options_3d(stream), train=False))
  np.testing.assert_allclose(got[0], golden[f'3d/{stream}'], atol=2e-6)
  np.testing.assert_allclose(got.sum(dtype=np.float64), total, atol=1e-4)
  np.testing.assert_allclose(
    np.abs(got).sum(dtype=np.float64), absolute, rtol=1e-6
  )


def test_0x_normalizes_padding_like_missing_points(golden):
  batch = make_batch(
    golden['hd/keypoint'], golden['hd/score'], img_shape=(1080, 1920)
  )
  options = options_2d('joint', normalize_2d='mmaction0x')
  got = np.asarray(model_input(batch, options, train=False))
  np.testing.assert_array_equal(got[0, 2], np.float32(-0.5))
  x = np.concatenate(
    [golden['hd/keypoint'], golden['hd/score'][..., None]], axis=-1
  ).astype(np.float32)
  scale = np.array([1920, 1080, 1], np.float32)
  # XLA multiplies by the reciprocal of the size: one unit in the last place.
  np.testing.assert_allclose(
    got[0, :2], (x - scale / 2) / scale, rtol=3e-7, atol=1e-9
  )


def test_scores_in_float32_keep_the_streams_in_float32(golden):
  """Published code concatenates both, float32 if either is."""
  score = golden['hd/score'].astype(np.float32) / 3
  batch = make_batch(golden['hd/keypoint'], score, img_shape=(1080, 1920))
  got = np.asarray(model_input(batch, options_2d('joint_motion'), train=False))
  joint = golden['hd/joint'][:2, :5, :, :2]
  np.testing.assert_array_equal(
    got[0, :2, :-1, :, :2], joint[:, 1:] - joint[:, :-1]
  )
  np.testing.assert_array_equal(
    got[0, :2, :-1, :, 2], (score[:, 1:] + score[:, :-1]) / 2
  )


@pytest.mark.parametrize('stream', ['joint_motion', 'bone_motion'])
def test_motion_follows_the_original_frame_of_a_looped_index(golden, stream):
  clip = golden['3d/keypoint']
  batch = make_batch(clip, frame_index=np.array([9, 10, 0, 1]))
  got = np.asarray(model_input(batch, options_3d(stream), train=False))
  every = model_input(make_batch(clip), options_3d(stream), train=False)
  np.testing.assert_array_equal(got[0], every[0][:, np.array([9, 10, 0, 1])])


@pytest.mark.parametrize('recipe', ['1x', 'plain'])
@pytest.mark.parametrize('stream', ['joint', 'bone_motion'])
def test_padded_persons_and_frames_stay_zero(golden, recipe, stream):
  views = {'rotate': (30.0, 30.0, 30.0), 'scale': 0.2, 'shift': 0.3}
  if recipe == '1x':
    batch = make_batch(
      golden['hd/keypoint'][:1],
      golden['hd/score'][:1],
      persons=2,
      frame_index=np.array([0, 3, 4, -1]),
    )
    options = options_2d(stream, **{**views, 'rotate': (30.0,)})
  else:
    batch = make_batch(
      golden['3d/keypoint'][:1],
      persons=2,
      frame_index=np.array([0, 3, 4, -1]),
    )
    options = options_3d(stream, flip=1.0, **views)
  got = np.asarray(model_input(batch, options, rng=KEY, train=True))
  assert got[0, 0, :2].any()
  assert not got[0, 1].any() and not got[0, :, 3].any()


def many_clips(golden, count=8):
  clip = golden['3d/keypoint']
  random = np.random.RandomState(0)
  batches = [
    make_batch(
      clip + random.randn(*clip.shape).astype(np.float32),
      frame_index=np.array([0, 4, 10]),
    )
    for _ in range(count)
  ]
  batch = {k: np.concatenate([b[k] for b in batches]) for k in batches[0]}
  batch['index'] = random.permutation(100)[:count].astype(np.int32)
  return batch


VIEWS = {
  'rotate': (60.0, 60.0, 10.0),
  'scale': 0.1,
  'shift': 0.1,
  'flip': 0.5,
}


def test_input_of_a_batch_equals_input_of_its_shards(golden):
  batch = many_clips(golden)
  options = options_3d('bone_motion', **VIEWS)
  run = functools.partial(model_input, options=options, rng=KEY, train=True)
  whole = np.asarray(run(batch))
  mesh = jax.make_mesh(
    (4,), ('data',), axis_types=(jax.sharding.AxisType.Auto,)
  )
  rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec('data'))
  # The draws are equal; sums of products may be fused differently.
  sharded = run(jax.device_put(batch, rows))
  np.testing.assert_allclose(sharded, whole, atol=3e-6)
  apart = [
    run({k: v[i : i + 4] for k, v in batch.items()}) for i in range(0, 8, 4)
  ]
  np.testing.assert_allclose(np.concatenate(apart), whole, atol=3e-6)


def test_views_differ_between_clips_and_steps_but_repeat(golden):
  batch = many_clips(golden)
  for name in ('keypoint', 'keypoint_next'):
    batch[name][:] = batch[name][:1]
  options = options_3d('joint', **VIEWS)
  run = functools.partial(model_input, batch, options, train=True)
  one, again = run(rng=KEY), run(rng=KEY)
  other = run(rng=jax.random.fold_in(KEY, 1))
  np.testing.assert_array_equal(one, again)
  assert np.abs(one - other).max() > 0.01
  assert len({np.asarray(x).tobytes() for x in one}) == len(one)
  untouched = model_input(batch, options, train=False)
  np.testing.assert_array_equal(untouched, untouched[:1].repeat(8, 0))


def test_flipped_pixels_give_flipped_streams(golden):
  """A flip in pixels negates x and swaps joints in the streams."""
  clip = np.abs(golden['hd/keypoint']) + np.float16(1)
  score = golden['hd/score']
  batch = make_batch(clip, score, img_shape=(1080, 1920))
  mirror = list(LAYOUTS['coco'].flip_index)
  plain = options_2d('bone_motion', published_rounding=False)
  flipped = options_2d('bone_motion', published_rounding=False, flip=1.0)
  expected = np.array(model_input(batch, plain, train=False))[..., mirror, :]
  expected[..., 0] *= -1
  got = model_input(batch, flipped, rng=KEY, train=True)
  np.testing.assert_allclose(got, expected, atol=1e-6)


def test_permuting_joints_commutes_with_bones(golden):
  order = np.random.RandomState(1).permutation(25)
  place = np.argsort(order)
  ntu = LAYOUTS['nturgb+d']
  permuted = skeletons.Layout(
    name='permuted',
    joints=tuple(ntu.joints[v] for v in order),
    bones=tuple((int(place[a]), int(place[b])) for a, b in ntu.bones),
    edges=tuple((int(place[a]), int(place[b])) for a, b in ntu.edges),
    center=int(place[ntu.center]),
  )
  clip = golden['3d/keypoint']
  got = model_input(
    make_batch(clip[:, :, order]),
    options_3d('bone_motion', layout=permuted),
    train=False,
  )
  expected = model_input(
    make_batch(clip), options_3d('bone_motion'), train=False
  )
  np.testing.assert_array_equal(got, expected[..., order, :])


@pytest.mark.parametrize(
  'drop, changes, words',
  [
    ('keypoint_next', {'stream': 'joint_motion'}, 'need keypoint_next in the'),
    ('', {'has_score': True}, 'joint streams need score in the batch'),
    ('', {'layout': LAYOUTS['ucla']}, 'V, C = .20, 3. for layout .ucla.'),
    ('', {'min_max': True}, 'need whole clips'),
  ],
)
def test_invalid_batches_are_refused(golden, drop, changes, words):
  batch = many_clips(golden, count=2)
  batch.pop(drop, None)
  if 'min_max' in changes:
    batch['keypoint'] = batch['keypoint'].repeat(2, axis=1)
  options = options_3d(**{'stream': 'joint', **changes})
  with pytest.raises(ValueError, match=words):
    model_input(batch, options, train=False)


def test_augmentation_needs_a_key(golden):
  with pytest.raises(ValueError, match='needs rng'):
    model_input(
      many_clips(golden, count=1), options_3d('joint', **VIEWS), train=True
    )
