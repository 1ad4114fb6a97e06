"""All four streams from annotation to model input, against mmaction2.

Ours follows a run: the record as data_prep encodes it, the batch as the
pipeline collates it, the input as a step compiles it.
"""

import drawn_clips
from mmaction.datasets import transforms
import numpy as np
import pytest

from skeljax import skeletons
from skeljax.datasets import sampling
from tests import specs

STREAMS = tuple(drawn_clips.FEATS)
NUM_CLIPS, NUM_PERSONS = 24, 3
SAMPLING = sampling.Sampling('uniform', drawn_clips.VIEW)

model_input = specs.model_input


def train_frames(items, rng):
  """[B, 1, T] frames drawn by mmaction2 in training mode."""
  step = transforms.UniformSampleFrames(drawn_clips.VIEW)
  np.random.seed(rng.randint(2**31))
  draws = [
    step.transform({'total_frames': item['total_frames']}) for item in items
  ]
  return np.stack([draw['frame_inds'] for draw in draws])[:, None]


def both(items, layout, stream, frame_index, options, normalize='none'):
  """Ours and mmaction2's [B * N, M, T, V, C], and the scale of the joints."""
  clips = [drawn_clips.record_of(item, layout, normalize) for item in items]
  batch = drawn_clips.batch_of(clips, frame_index, SAMPLING, NUM_PERSONS)
  ours = model_input(batch, options, train=False)
  first = (
    transforms.PreNormalize2D()
    if options.spec.num_channels == 2
    else transforms.PreNormalize3D()
  )

  def theirs(feat):
    gen = transforms.GenSkeFeat(drawn_clips.DATASETS[layout.name], [feat])
    return np.concatenate(
      [
        drawn_clips.published(
          item, first, gen, *drawn_clips.view_steps(index, NUM_PERSONS)
        )
        for item, index in zip(items, frame_index)
      ]
    )

  scale = max(1.0, np.abs(theirs('j')).max())
  return np.asarray(ours), theirs(drawn_clips.FEATS[stream]), scale


def describe(seed, items):
  clips = '; '.join(item['frame_dir'] for item in items)
  return f'seed {seed}: {clips}'


@pytest.mark.parametrize('stream', STREAMS)
@pytest.mark.parametrize(
  'name, dtype, score_dtype',
  [
    ('coco', 'float16', 'float16'),
    ('openpose-18', 'float16', 'float16'),
    ('coco', 'float16', ''),
    # mmaction2 joins both in one array, float32 if either is.
    ('coco', 'float16', 'float32'),
    ('coco', 'float32', 'float32'),
    ('coco', 'float32', ''),
  ],
)
def test_2d_clips_are_equal(
  name, dtype, score_dtype, stream, oracle_seed, record_difference
):
  layout = skeletons.LAYOUTS[name]
  rng = np.random.RandomState([oracle_seed % 2**32, len(stream)])
  items = [
    drawn_clips.draw(
      rng,
      layout.num_joints,
      2,
      dtype,
      score_dtype,
      num_persons=1 + number % NUM_PERSONS,
    )
    for number in range(NUM_CLIPS)
  ]
  for field in ('keypoint', 'keypoint_score')[: 1 + bool(score_dtype)]:
    items[-1][field][:] = 0  # No person.
  options = specs.joints(
    layout=layout,
    stream=stream,
    num_channels=2,
    has_score=bool(score_dtype),
    keypoint_dtype=dtype,
    normalize_2d='mmaction1x',
    published_rounding=True,
  )
  ours, theirs, scale = both(
    items, layout, stream, train_frames(items, rng), options
  )
  assert ours.dtype == theirs.dtype == np.float32
  difference = np.abs(ours - theirs).max() / scale
  record_difference(f'PreNormalize2D, {stream}', 'transform', difference)
  if dtype == 'float16':
    np.testing.assert_array_equal(
      ours, theirs, err_msg=describe(oracle_seed, items)
    )
  else:
    # XLA divides by half the image size by multiplying with its reciprocal: one
    # unit in the last place of a coordinate, and four of them make the motion
    # of a bone.
    assert difference <= 5e-7, describe(oracle_seed, items)


@pytest.mark.parametrize('stream', STREAMS)
@pytest.mark.parametrize('dtype', ['float16', 'float32'])
def test_3d_clips_are_equal(dtype, stream, oracle_seed, record_difference):
  layout = skeletons.LAYOUTS['nturgb+d']
  rng = np.random.RandomState([oracle_seed % 2**32, len(stream)])
  items = [drawn_clips.draw(rng, 25, 3, dtype) for _ in range(NUM_CLIPS)]
  items[-1]['keypoint'][:] = 0  # No person.
  options = specs.joints(
    layout=layout, stream=stream, num_channels=3, has_score=False
  )
  # Frames without the main person are dropped before frames are chosen.
  lengths = [
    drawn_clips.record_of(item, layout, 'mmaction1x')['total_frames']
    for item in items
  ]
  frame_index = train_frames([{'total_frames': n} for n in lengths], rng)
  ours, theirs, scale = both(
    items, layout, stream, frame_index, options, 'mmaction1x'
  )
  difference = np.abs(ours - theirs).max() / scale
  record_difference(f'PreNormalize3D, {stream}', 'transform', difference)
  # The normalised clip is stored in float32, where mmaction2 takes bones and
  # motions of float64: half a unit in the last place of each of up to four
  # coordinates, and that of every sum.
  assert difference <= 5e-7, describe(oracle_seed, items)
