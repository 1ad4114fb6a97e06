"""Which frames: UniformSampleFrames and PadTo of mmaction2, 0.x padding."""

from mmaction.datasets import transforms
import numpy as np
import pytest
from scipy import stats

from skeljax import errors
from skeljax.datasets import sampling
from tests import transcriptions

NUM_DRAWS = 20000
# One run in a thousand million of equal distributions goes beyond.
RARE = 1e-9


@pytest.mark.parametrize('num_clips', [1, 10])
@pytest.mark.parametrize('clip_len', [16, 48, 100])
def test_test_mode_takes_equal_frames(clip_len, num_clips):
  step = transforms.UniformSampleFrames(clip_len, num_clips, test_mode=True)
  options = sampling.Sampling('uniform', clip_len, num_clips)
  for total_frames in range(1, 401):
    theirs = step.transform({'total_frames': total_frames})['frame_inds']
    ours = sampling.eval_frames(options, total_frames)
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(
      ours.reshape(-1), theirs, err_msg=f'{total_frames} frames'
    )


def train_draws(clip_len, total_frames, seed):
  """[NUM_DRAWS, clip_len] of mmaction2 and of ours."""
  np.random.seed(seed % 2**32)
  # One sample of many clips takes the draws of many samples of one.
  step = transforms.UniformSampleFrames(clip_len, NUM_DRAWS)
  theirs = step.transform({'total_frames': total_frames})['frame_inds']
  options = sampling.Sampling('uniform', clip_len)
  uniforms = sampling.clip_uniforms(
    seed, range(NUM_DRAWS), [7] * NUM_DRAWS, options.num_uniforms
  )
  ours = sampling.train_frames(
    options, np.full(NUM_DRAWS, total_frames), uniforms
  )
  return theirs.reshape(NUM_DRAWS, clip_len), ours


def assert_same_distribution(theirs, ours, told):
  """Chi-square of two samples of equal size, arrays of integers."""
  values, kinds = np.unique(np.append(theirs, ours), return_inverse=True)
  a, b = (
    np.bincount(kind, minlength=len(values)) for kind in np.split(kinds, 2)
  )
  # What hardly occurs is counted together, for the chi-square's sake.
  groups = np.where(a + b < 20, 0, 1 + np.arange(len(values)))
  a, b = np.bincount(groups, a), np.bincount(groups, b)
  occurs = a + b > 0
  chi_square = ((a - b) ** 2 / np.maximum(a + b, 1)).sum()
  limit = stats.chi2.isf(RARE, max(occurs.sum() - 1, 1))
  assert chi_square <= limit, f'{told}: {chi_square:.1f} > {limit:.1f}'


@pytest.mark.parametrize(
  'clip_len, total_frames',
  [
    (6, 1),
    (6, 4),
    (6, 5),  # Looped from a random frame on.
    (6, 6),
    (6, 8),
    (6, 11),  # Some frames are left out.
    (6, 12),
    (6, 17),
    (6, 100),
    (16, 25),
    (16, 400),  # One frame out of each part.
  ],
)
def test_training_draws_have_the_published_distribution(
  clip_len, total_frames, oracle_seed
):
  theirs, ours = train_draws(clip_len, total_frames, oracle_seed)
  told = f'seed {oracle_seed}, {clip_len} of {total_frames} frames'
  # The mean of each position: six standard errors of the difference, which
  # one run in five hundred million exceeds, at most 16 positions a test.
  error = np.sqrt((theirs.var(axis=0) + ours.var(axis=0)) / NUM_DRAWS)
  difference = np.abs(theirs.mean(axis=0) - ours.mean(axis=0))
  assert np.all(difference <= 6 * error), told
  for t in range(clip_len):
    # Each position, and how it goes with the first one and the one before.
    for other in {t, 0, max(t - 1, 0)}:
      assert_same_distribution(
        theirs[:, other] * total_frames + theirs[:, t],
        ours[:, other] * total_frames + ours[:, t],
        f'{told}, positions {other} and {t}',
      )
  rows = [set(map(tuple, x.tolist())) for x in (theirs, ours)]
  if len(rows[0]) < 100:
    # Every possible row is drawn, by both.
    assert rows[0] == rows[1], told


def padded_frames(frames, clip_len, total_frames, is_train):
  options = sampling.Sampling(frames, clip_len)
  if not is_train:
    return sampling.eval_frames(options, total_frames)[0]
  return sampling.train_frames(
    options, np.array([total_frames]), np.zeros((1, 0))
  )[0]


@pytest.mark.parametrize('is_train', [True, False])
@pytest.mark.parametrize('frames', ['zero', 'loop'])
def test_padding_takes_equal_frames(frames, is_train):
  """PadTo has no indices: the frames of a clip that counts them show them."""
  for clip_len in (1, 2, 50, 300):
    for total_frames in {1, 2, clip_len // 2, clip_len - 1, clip_len} - {0}:
      if total_frames > clip_len:
        continue
      keypoint = np.arange(1, total_frames + 1).reshape(1, -1, 1, 1)
      results = {'keypoint': keypoint, 'total_frames': total_frames}
      padded = transforms.PadTo(clip_len, frames).transform(results)
      ours = padded_frames(frames, clip_len, total_frames, is_train)
      np.testing.assert_array_equal(ours, padded['keypoint'].reshape(-1) - 1)


def test_neither_pads_a_longer_clip():
  results = {'keypoint': np.ones((1, 6, 1, 1)), 'total_frames': 6}
  with pytest.raises(AssertionError):
    transforms.PadTo(5, 'zero').transform(results)
  with pytest.raises(errors.UserError, match='more than clip_len = 5'):
    sampling.check_clip(sampling.Sampling('zero', 5), 'clip', 6)


@pytest.mark.parametrize('is_train', [True, False])
def test_looped_padding_of_0x_takes_equal_frames(is_train):
  """PaddingWithLoop is no part of 1.x; its oracle is transcribed."""
  for clip_len in (1, 50, 300):
    for total_frames in (1, 2, 49, 50, 51, 299, 300, 301, 400):
      np.testing.assert_array_equal(
        padded_frames('loop', clip_len, total_frames, is_train),
        transcriptions.padding_with_loop(total_frames, clip_len),
      )
