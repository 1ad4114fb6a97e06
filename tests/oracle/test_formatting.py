"""PadTo, PoseDecode and FormatGCNInput of mmaction2 1.x and 0.x."""

import drawn_clips
from mmaction.datasets import transforms
import numpy as np
import pytest

from skeljax import errors
from skeljax import skeletons
from skeljax.datasets import collate
from skeljax.datasets import sampling
from tests import specs
from tests import transcriptions

NTU, COCO = skeletons.LAYOUTS['nturgb+d'], skeletons.LAYOUTS['coco']
NUM_CLIPS = 12
LENGTH = 40

model_input = specs.model_input


def draw_items(seed, layout, num_channels, dtype='float16', score_dtype=''):
  """Draw clips of one to three persons and 1 to LENGTH frames."""
  rng = np.random.RandomState(seed % 2**32)
  return [
    drawn_clips.draw(
      rng,
      layout.num_joints,
      num_channels,
      dtype,
      score_dtype,
      num_persons=1 + number % 3,
      num_frames=(1, 2, LENGTH, rng.randint(3, LENGTH))[number % 4],
    )
    for number in range(NUM_CLIPS)
  ]


def make_batch(items, layout, options, num_persons):
  clips = [drawn_clips.record_of(item, layout) for item in items]
  frame_index = np.stack(
    [sampling.eval_frames(options, clip['total_frames']) for clip in clips]
  )
  return drawn_clips.batch_of(clips, frame_index, options, num_persons)


@pytest.mark.parametrize('num_clips', [1, 10])
def test_decoded_frames_of_padded_persons_are_equal(num_clips, oracle_seed):
  """Bit by bit, with persons and views in the same places."""
  items = draw_items(oracle_seed, COCO, 2, score_dtype='float16')
  options = sampling.Sampling('uniform', 16, num_clips)
  batch = make_batch(items, COCO, options, 4)
  for row, item in enumerate(items):
    theirs = drawn_clips.published(
      item,
      transforms.UniformSampleFrames(16, num_clips, test_mode=True),
      transforms.PoseDecode(),
      transforms.FormatGCNInput(num_person=4),
    )
    message = f'seed {oracle_seed}: {item["frame_dir"]}'
    for name, channels in (('keypoint', slice(2)), ('score', 2)):
      np.testing.assert_array_equal(
        batch[name][row].astype(np.float32), theirs[..., channels], message
      )
    assert batch['num_valid_persons'][row] == len(item['keypoint'])


def test_too_many_persons_are_cut_there_and_raise_here(oracle_seed):
  """Persons are selected when the dataset is prepared."""
  item = draw_items(oracle_seed, NTU, 3)[2]
  options = sampling.Sampling('loop', 16)
  theirs = drawn_clips.published(
    item, transforms.PoseDecode(), transforms.FormatGCNInput(num_person=2)
  )
  np.testing.assert_array_equal(theirs[0], item['keypoint'][:2])
  clip = drawn_clips.record_of(item, NTU)
  with pytest.raises(errors.UserError, match='has 3 persons'):
    collate.check_clip(clip, options, 2)


@pytest.mark.parametrize('stream', drawn_clips.FEATS)
@pytest.mark.parametrize('mode', ['zero', 'loop'])
def test_padded_streams_are_equal(mode, stream, oracle_seed):
  """Streams of all frames, then padding: no motion into the padding."""
  items = draw_items(oracle_seed, NTU, 3, 'float32')
  options = specs.joints(
    layout=NTU, stream=stream, num_channels=3, has_score=False
  )
  batch = make_batch(items, NTU, sampling.Sampling(mode, LENGTH), 3)
  ours = np.asarray(model_input(batch, options, train=False))
  for x, item in zip(ours, items):
    theirs = drawn_clips.published(
      item,
      transforms.GenSkeFeat('nturgb+d', [drawn_clips.FEATS[stream]]),
      transforms.PadTo(LENGTH, mode),
      transforms.PoseDecode(),
      transforms.FormatGCNInput(num_person=3),
    )
    message = f'seed {oracle_seed}: {item["frame_dir"]}'
    np.testing.assert_array_equal(x, theirs[0], message)


def published_0x(item, bones=False):
  """Return [M, T, V, C] float32 of the 0.x pipeline, with padded persons."""
  frames = transcriptions.padding_with_loop(item['total_frames'], LENGTH)
  steps = [transforms.PoseDecode()]
  if bones:
    steps.append(transforms.JointToBone('nturgb+d'))
  steps.append(transforms.FormatGCNInput(num_person=3))
  return drawn_clips.published(item | {'frame_inds': frames}, *steps)[0]


@pytest.mark.parametrize('stream', ['joint', 'bone'])
@pytest.mark.parametrize('dtype', ['float16', 'float32'])
def test_3d_clips_of_0x_are_equal(dtype, stream, oracle_seed):
  """0.x computes bones after decoding, in float32."""
  items = draw_items(oracle_seed, NTU, 3, dtype)
  options = specs.joints(
    layout=NTU,
    stream=stream,
    num_channels=3,
    has_score=False,
    keypoint_dtype=dtype,
    published_rounding=True,
  )
  batch = make_batch(items, NTU, sampling.Sampling('loop', LENGTH), 3)
  ours = np.asarray(model_input(batch, options, train=False))
  for x, item in zip(ours, items):
    np.testing.assert_array_equal(
      x,
      published_0x(item, bones=stream == 'bone'),
      f'seed {oracle_seed}: {item["frame_dir"]}',
    )


@pytest.mark.parametrize('dtype', ['float16', 'float32'])
def test_2d_clips_of_0x_are_equal(dtype, oracle_seed):
  """Against a transcription, because mmaction2 1.x lacks PoseNormalize."""
  items = draw_items(oracle_seed, COCO, 2, dtype, dtype)
  options = specs.joints(
    layout=COCO,
    stream='joint',
    num_channels=2,
    has_score=True,
    keypoint_dtype=dtype,
    normalize_2d='mmaction0x',
    published_rounding=True,
  )
  batch = make_batch(items, COCO, sampling.Sampling('loop', LENGTH), 3)
  ours = np.asarray(model_input(batch, options, train=False))
  for x, item in zip(ours, items):
    theirs = transcriptions.pose_normalize_0x(
      published_0x(item), item.get('img_shape', (1080, 1920))
    )
    # XLA multiplies by the reciprocal of the size: an error of one ulp.
    np.testing.assert_allclose(
      x,
      theirs,
      rtol=0,
      atol=1.5e-7 * max(1, np.abs(theirs).max()),
      err_msg=f'seed {oracle_seed}: {item["frame_dir"]}',
    )
