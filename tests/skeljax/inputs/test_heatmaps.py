"""The heatmap input, compared with numbers from mmaction2."""

import functools
import pathlib

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
import numpy as np
import pytest

from skeljax import skeletons
from skeljax.datasets import sampling
from tests import compiling
from tests import specs

COCO = skeletons.LAYOUTS['coco']
GOLDEN = pathlib.Path(__file__).parent / 'golden' / 'heatmaps.npz'
NUM_CLIPS = 4


STATIC = ('options', 'train', 'mirrored', 'dtype')


def volume_of(batch, key, *, options, train=False, mirrored=False, dtype='f4'):
  points = options.prepare(batch, rng=key, train=train)
  return options.render(points, train=train, mirrored=mirrored, dtype=dtype)


optimized = jax.jit(volume_of, static_argnames=STATIC)
quick = jax.jit(
  volume_of, static_argnames=STATIC, compiler_options=compiling.FAST_COMPILE
)


def make_options(**changes):
  """Return small heatmaps; the claims do not depend on their size."""
  small = {'short_side': 28, 'size': 24, 'test_size': 24}
  return specs.heatmaps(**small | changes)


def make_batch(seed=0, views=2, persons=2, frames=3):
  rng = np.random.RandomState(seed)
  shape = (NUM_CLIPS, views, persons, frames, 17)
  keypoint = rng.uniform(100, 400, (*shape, 2))
  score = rng.uniform(0.1, 1, shape)
  valid = np.array([1, 2, 2, 1])
  is_person = np.arange(persons) < valid[:, None]
  mask = is_person[:, None, :, None, None]
  return {
    'keypoint': (keypoint * mask[..., None]).astype(np.float16),
    'score': (score * mask).astype(np.float16),
    'img_shape': np.array([[480, 640]] * NUM_CLIPS, np.int32),
    'frame_index': np.zeros((NUM_CLIPS, views, frames), np.int32),
    'num_valid_persons': valid.astype(np.int32),
    'index': np.array([7, 3, 11, 5], np.int32),
  }


def draw(batch, options=None, key=0, function=quick, **kwargs):
  options = options or make_options()
  key = jax.random.key(key)
  return np.asarray(function(batch, key, options=options, **kwargs))


def fill_person_slots(batch, number):
  """Return the batch with more padded persons."""
  wider = dict(batch)
  for name in ('keypoint', 'score'):
    pad = [(0, 0)] * batch[name].ndim
    pad[2] = (0, number)
    wider[name] = np.pad(batch[name], pad)
  return wider


@pytest.mark.parametrize('clip', ['hd', 'odd'])
@pytest.mark.parametrize('stream', ['keypoint', 'limb'])
def test_heatmaps_equal_mmaction2(stream, clip):
  golden = np.load(GOLDEN)
  keypoint = golden[f'{clip}/keypoint'][None, None]
  batch = {
    'keypoint': keypoint,
    'score': golden[f'{clip}/score'][None, None],
    'img_shape': golden[f'{clip}/img_shape'][None],
    'frame_index': np.zeros((1, 1, keypoint.shape[3]), np.int32),
    'num_valid_persons': np.array([2], np.int32),
  }
  options = specs.heatmaps(heatmap=stream, test_size=32)
  ours = draw(batch, options, mirrored=True)
  np.testing.assert_allclose(
    ours, golden[f'{clip}/volume/{stream}'], rtol=0, atol=1e-5
  )


@pytest.mark.parametrize(
  'stream, views, largest, place',
  [
    ('keypoint', (1466.5951, 1442.5547), 0.29954, 2151),
    ('limb', (14214.2635, 14070.3103), 0.67342, 3550),
  ],
)
def test_whole_test_pipeline_has_the_published_sums(
  stream, views, largest, place
):
  """Two persons of 60 frames, two views of 48, at the published size."""
  rng = np.random.RandomState(5)
  keypoint = (rng.rand(2, 60, 17, 2) * [200, 400] + [800, 300]).astype(
    'float16'
  )
  score = rng.rand(2, 60, 17).astype(np.float16)
  keypoint[1, 30:], score[1, 30:] = 0, 0
  index = sampling.eval_frames(sampling.Sampling('uniform', 48, 2), 60)
  batch = {
    'keypoint': np.moveaxis(keypoint[:, index], 1, 0)[None],
    'score': np.moveaxis(score[:, index], 1, 0)[None],
    'img_shape': np.array([[1080, 1920]], np.int32),
    'frame_index': index[None],
    'num_valid_persons': np.array([2], np.int32),
  }
  options = specs.heatmaps(heatmap=stream)
  volume = draw(batch, options, function=optimized, mirrored=True)
  volume = volume.astype(np.float64)
  assert volume.shape == (4, 48, 64, 64, 17)
  sums = volume.sum(axis=(1, 2, 3, 4))
  # Each view's mirror lies right behind it.
  np.testing.assert_allclose(sums, np.repeat(views, 2), rtol=2e-7)
  channel = volume[0, 0, :, :, 3]
  np.testing.assert_allclose(channel.max(), largest, atol=1e-5)
  assert channel.argmax() == place


@pytest.mark.parametrize('train', [True, False])
def test_shapes_and_ranges(train):
  options = make_options(heatmap='keypoint_limb', test_size=20)
  volume = draw(make_batch(), options, train=train)
  side = 24 if train else 20
  assert volume.shape == (2 * NUM_CLIPS, 3, side, side, options.num_channels)
  assert volume.dtype == np.float32
  assert 0 == volume.min() < volume.max() <= 1
  # Every channel of every view shows something, or nothing was tested.
  assert volume.any(axis=(1, 2, 3)).mean() > 0.95


def test_keypoint_limb_concatenates_both():
  both, *parts = (
    draw(make_batch(), make_options(heatmap=stream), mirrored=True)
    for stream in ('keypoint_limb', 'keypoint', 'limb')
  )
  np.testing.assert_allclose(both, np.concatenate(parts, -1), atol=1e-6)


@pytest.mark.parametrize('stream', ['keypoint', 'limb'])
def test_flip_of_volume_twice_is_identity(stream):
  options = make_options(heatmap=stream)
  volume = draw(make_batch(), options, mirrored=True)
  order = COCO.flip_index if stream == 'keypoint' else COCO.limb_flip_index
  mirrored = volume[1::2, :, :, ::-1][..., list(order)]
  np.testing.assert_array_equal(mirrored, volume[0::2])
  assert (volume[1::2] != volume[0::2]).any()
  # Another program, which may fuse and round differently.
  np.testing.assert_allclose(
    volume[0::2], draw(make_batch(), options), rtol=0, atol=1e-6
  )


def test_flip_of_0x_is_one_pixel_further_right():
  """0.x moves x to W - x, 1.x to W - 1 - x."""
  volume = draw(make_batch(), make_options(mirror='0x'), mirrored=True)
  newer = draw(make_batch(), make_options(), mirrored=True)
  np.testing.assert_array_equal(volume[0::2], newer[0::2])
  # But at the edges of windows, which truncation makes lopsided: at 3 sigma.
  a, b = volume[1::2][..., 1:, :], newer[1::2][..., :-1, :]
  assert np.mean(np.abs(a - b) > 2e-5) < 0.02
  assert np.abs(a - b).max() < np.exp(-4.5) < a.max() / 10


def test_padded_persons_and_frames_are_not_drawn():
  batch = make_batch()
  for options in (make_options(), make_options(use_score=False)):
    volume = draw(batch, options)
    wider = fill_person_slots(batch, 2)
    np.testing.assert_array_equal(draw(wider, options), volume)
    assert volume.any()
    frames = batch['frame_index'].copy()
    frames[:, 1, 2] = -1
    cut = draw(batch | {'frame_index': frames}, options)
    np.testing.assert_array_equal(
      cut.reshape(NUM_CLIPS, 2, 3, -1)[:, :, :2],
      volume.reshape(NUM_CLIPS, 2, 3, -1)[:, :, :2],
    )
    assert not cut.reshape(NUM_CLIPS, 2, 3, -1)[:, 1, 2].any()


def test_without_scores_every_joint_of_every_person_has_score_one():
  batch = make_batch()
  ones = batch | {'score': np.ones_like(batch['score'])}
  bare = {name: x for name, x in batch.items() if name != 'score'}
  volume = draw(ones)
  np.testing.assert_array_equal(
    draw(bare, make_options(has_score=False)), volume
  )
  np.testing.assert_array_equal(
    draw(batch, make_options(use_score=False)), volume
  )


def test_views_can_be_rendered_separately():
  """All views of a clip share one box, however they are split."""
  batch, options = make_batch(), make_options()
  together = draw(batch).reshape(NUM_CLIPS, 2, -1)
  prepare = functools.partial(options.prepare, train=False)
  points = jax.jit(prepare, compiler_options=compiling.FAST_COMPILE)(batch)
  render = jax.jit(
    functools.partial(options.render, train=False),
    compiler_options=compiling.FAST_COMPILE,
  )
  for n in range(2):
    apart = np.asarray(render(points[:, n : n + 1])).reshape(NUM_CLIPS, -1)
    np.testing.assert_allclose(apart, together[:, n], atol=1e-6)


def test_augmentation_depends_on_key_and_clip_not_on_position():
  batch = make_batch()
  order = np.array([2, 0, 3, 1])
  shuffled = {name: x[order] for name, x in batch.items()}

  def per_clip(batch, key):
    return draw(batch, key=key, train=True).reshape(NUM_CLIPS, -1)

  volume = per_clip(batch, 1)
  np.testing.assert_array_equal(per_clip(shuffled, 1), volume[order])
  assert (per_clip(batch, 2) != volume).any(axis=1).all()
  same = batch | {'index': np.full(NUM_CLIPS, 3, np.int32)}
  np.testing.assert_array_equal(per_clip(same, 1)[1], volume[1])


def test_bfloat16_is_rounded_at_the_end():
  volume = draw(make_batch(), mirrored=True)
  rounded = draw(make_batch(), mirrored=True, dtype='bfloat16')
  assert rounded.dtype == jnp.bfloat16
  np.testing.assert_array_equal(rounded, volume.astype(jnp.bfloat16))


def test_sharded_batch_needs_no_communication():
  """A batch on four devices: no communication, same volumes."""
  batch, key = make_batch(), jax.random.key(3)
  mesh = jax.make_mesh(
    (4,), ('data',), axis_types=(jax.sharding.AxisType.Auto,)
  )
  sharded = jax.device_put(batch, NamedSharding(mesh, P('data')))
  key_everywhere = jax.device_put(key, NamedSharding(mesh, P()))
  kwargs = {'options': make_options(heatmap='keypoint_limb'), 'train': True}
  compiled = optimized.lower(sharded, key_everywhere, **kwargs).compile()
  text = compiled.as_text()
  for name in ('all-reduce', 'all-gather', 'all-to-all', 'permute'):
    assert name not in text, name
  volume = compiled(sharded, key_everywhere)
  assert volume.sharding.spec[0] == 'data'
  np.testing.assert_allclose(volume, quick(batch, key, **kwargs), atol=1e-5)


def test_invalid_batches_are_refused():
  batch, options = make_batch(), make_options()
  with pytest.raises(ValueError, match='needs rng'):
    options.prepare(batch, train=True)
  for name in ('score', 'img_shape', 'frame_index', 'num_valid_persons'):
    less = {key: x for key, x in batch.items() if key != name}
    with pytest.raises(ValueError, match=f'need {name} in the batch'):
      options.prepare(less, train=False)
  solid = batch | {'keypoint': np.zeros((4, 1, 1, 3, 17, 3), np.float16)}
  with pytest.raises(ValueError, match=r'\[B, N, M, T, V, C\]'):
    options.prepare(solid, train=False)
