"""UniformSampleFrames and PadTo of mmaction2 1.x, PaddingWithLoop of 0.x."""

from mmaction.datasets import transforms
import numpy as np
import pytest
from scipy import stats

from skeljax import errors
from skeljax.datasets import sampling
from tests import transcriptions

NUM_DRAWS = 20000
# Probability that a test of equal distributions fails.
RARE = 1e-9


@pytest.mark.parametrize('num_clips', [1, 10])
@pytest.mark.parametrize('clip_len', [16, 48, 100])
def test_test_frames_are_equal(clip_len, num_clips):
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
  """Return training frames [NUM_DRAWS, clip_len] of mmaction2 and ours."""
  np.random.seed(seed % 2**32)
  # Many clips of one sample are drawn like one clip of many samples.
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


def assert_same_distribution(theirs, ours, message):
  """Chi-square test of two integer samples of equal size."""
  values, kinds = np.unique(np.append(theirs, ours), return_inverse=True)
  a, b = (
    np.bincount(kind, minlength=len(values)) for kind in np.split(kinds, 2)
  )
  # Count rare values together.
  groups = np.where(a + b < 20, 0, 1 + np.arange(len(values)))
  a, b = np.bincount(groups, a), np.bincount(groups, b)
  occurs = a + b > 0
  chi_square = ((a - b) ** 2 / np.maximum(a + b, 1)).sum()
  limit = stats.chi2.isf(RARE, max(occurs.sum() - 1, 1))
  assert chi_square <= limit, f'{message}: {chi_square:.1f} > {limit:.1f}'


@pytest.mark.parametrize(
  'clip_len, total_frames',
  [
    (6, 1),
    (6, 4),
    (6, 5),  # Fewer frames: a loop from a random frame.
    (6, 6),
    (6, 8),
    (6, 11),  # Up to twice as many: some are left out.
    (6, 12),
    (6, 17),
    (6, 100),
    (16, 25),
    (16, 400),  # More: one frame from each part.
  ],
)
def test_training_frames_have_the_published_distribution(
  clip_len, total_frames, oracle_seed
):
  theirs, ours = train_draws(clip_len, total_frames, oracle_seed)
  message = f'seed {oracle_seed}, {clip_len} of {total_frames} frames'
  # The means of each position differ by at most six standard errors.
  error = np.sqrt((theirs.var(axis=0) + ours.var(axis=0)) / NUM_DRAWS)
  difference = np.abs(theirs.mean(axis=0) - ours.mean(axis=0))
  assert np.all(difference <= 6 * error), message
  for t in range(clip_len):
    # Joint distributions with the first and the previous position.
    for other in {t, 0, max(t - 1, 0)}:
      assert_same_distribution(
        theirs[:, other] * total_frames + theirs[:, t],
        ours[:, other] * total_frames + ours[:, t],
        f'{message}, positions {other} and {t}',
      )
  rows = [set(map(tuple, x.tolist())) for x in (theirs, ours)]
  if len(rows[0]) < 100:
    assert rows[0] == rows[1], message


def padded_frames(frames, clip_len, total_frames, is_train):
  options = sampling.Sampling(frames, clip_len)
  if not is_train:
    return sampling.eval_frames(options, total_frames)[0]
  return sampling.train_frames(
    options, np.array([total_frames]), np.zeros((1, 0))
  )[0]


@pytest.mark.parametrize('is_train', [True, False])
@pytest.mark.parametrize('frames', ['zero', 'loop'])
def test_padded_frames_are_equal(frames, is_train):
  """PadTo does not return indices, so pad a clip of frame numbers."""
  for clip_len in (1, 2, 50, 300):
    for total_frames in {1, 2, clip_len // 2, clip_len - 1, clip_len} - {0}:
      if total_frames > clip_len:
        continue
      keypoint = np.arange(1, total_frames + 1).reshape(1, -1, 1, 1)
      results = {'keypoint': keypoint, 'total_frames': total_frames}
      padded = transforms.PadTo(clip_len, frames).transform(results)
      ours = padded_frames(frames, clip_len, total_frames, is_train)
      np.testing.assert_array_equal(ours, padded['keypoint'].reshape(-1) - 1)


def test_zero_padding_of_a_longer_clip_raises():
  results = {'keypoint': np.ones((1, 6, 1, 1)), 'total_frames': 6}
  with pytest.raises(AssertionError):
    transforms.PadTo(5, 'zero').transform(results)
  with pytest.raises(errors.UserError, match='more than data.clip_len=5'):
    sampling.check_clip(sampling.Sampling('zero', 5), 'clip', 6)


@pytest.mark.parametrize('is_train', [True, False])
def test_looped_frames_of_0x_are_equal(is_train):
  """Against a transcription, because mmaction2 1.x lacks PaddingWithLoop."""
  for clip_len in (1, 50, 300):
    for total_frames in (1, 2, 49, 50, 51, 299, 300, 301, 400):
      np.testing.assert_array_equal(
        padded_frames('loop', clip_len, total_frames, is_train),
        transcriptions.padding_with_loop(total_frames, clip_len),
      )
