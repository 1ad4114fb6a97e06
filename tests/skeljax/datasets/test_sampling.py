"""Frame sampling: exact distributions and published test frames."""

import collections
import itertools

import numpy as np
import pytest

from skeljax import errors
from skeljax.datasets import sampling
from tests import transcriptions


def uniform(clip_len, num_clips=1):
  return sampling.Sampling('uniform', clip_len, num_clips)


def count_rows(frames):
  """Count how often each row of indices occurs."""
  return collections.Counter(map(tuple, np.asarray(frames).tolist()))


def draws(options, num_frames, uniforms):
  uniforms = np.asarray(uniforms, np.float64)
  total_frames = np.full(len(uniforms), num_frames)
  return sampling.train_frames(options, total_frames, uniforms)


def test_short_clips_loop_from_each_frame_equally_often():
  num_frames, clip_len = 3, 5
  uniforms = np.zeros((6, clip_len + 1))
  uniforms[:, 0] = (np.arange(6) + 0.5) / 6
  # mmaction2: (randint(0, N) + arange(L)) % N.
  expected = {
    (0, 1, 2, 0, 1): 2,
    (1, 2, 0, 1, 2): 2,
    (2, 0, 1, 2, 0): 2,
  }
  assert count_rows(draws(uniform(clip_len), num_frames, uniforms)) == expected


@pytest.mark.parametrize('num_frames', [4, 5, 6, 7])
def test_medium_clips_skip_each_set_of_places_equally_often(num_frames):
  clip_len = 4
  # Every order of five uniforms once.
  orders = list(itertools.permutations(range(clip_len + 1)))
  frames = draws(uniform(clip_len), num_frames, (np.array(orders) + 0.5) / 5)
  # mmaction2: choice(L + 1, N - L, replace=False) marks places, and
  # arange(L) + cumsum(marks)[:L] are the frames.
  subsets = list(
    itertools.combinations(range(clip_len + 1), num_frames - clip_len)
  )
  expected = collections.Counter()
  for places in subsets:
    marks = np.zeros(clip_len + 1, int)
    marks[list(places)] = 1
    row = np.arange(clip_len) + np.cumsum(marks)[:clip_len]
    expected[tuple(row.tolist())] += len(orders) // len(subsets)
  assert count_rows(frames) == expected


def test_long_clips_sample_each_frame_of_each_part_equally_often():
  num_frames, clip_len = 8, 3
  # The parts are 0-1, 2-4 and 5-7; 6 is a multiple of both sizes.
  grid = list(itertools.product((np.arange(6) + 0.5) / 6, repeat=3))
  uniforms = np.pad(np.array(grid), ((0, 0), (0, 1)))
  frames = draws(uniform(clip_len), num_frames, uniforms)
  combinations = itertools.product(range(0, 2), range(2, 5), range(5, 8))
  assert count_rows(frames) == {row: 12 for row in combinations}


def test_sampled_frames_have_the_published_distribution():
  clip_len, num_frames, num_draws = 4, 7, 4000
  uniforms = sampling.clip_uniforms(
    5, range(num_draws), [11] * num_draws, clip_len + 1
  )
  counts = count_rows(draws(uniform(clip_len), num_frames, uniforms))
  assert len(counts) == 10  # 3 of 5 places.
  mean = num_draws / 10
  chi_square = sum((count - mean) ** 2 / mean for count in counts.values())
  assert chi_square < 27.9  # Exceeded with probability 0.1 %.


def test_batches_mix_short_medium_and_long_clips():
  total_frames = np.array([1, 3, 4, 7, 8, 300])
  uniforms = sampling.clip_uniforms(0, [0] * 6, range(6), 5)
  batch = sampling.train_frames(uniform(4), total_frames, uniforms)
  assert batch.shape == (6, 4)
  assert batch.dtype == np.int32
  assert np.all((batch >= 0) & (batch < total_frames[:, None]))
  for row, number in enumerate(total_frames):
    single = draws(uniform(4), number, uniforms[row : row + 1])
    np.testing.assert_array_equal(batch[row], single[0])


def test_largest_uniform_gives_the_last_frame():
  total_frames = np.arange(1, 5000)
  options = sampling.Sampling('sorted_random', 1)
  uniforms = np.full((4999, 1), 1 - 2.0**-53)
  frames = sampling.train_frames(options, total_frames, uniforms)
  np.testing.assert_array_equal(frames[:, 0], total_frames - 1)


# Made with UniformSampleFrames of mmaction2 1.2.0 in test mode.
@pytest.mark.parametrize(
  'clip_len, num_clips, num_frames, first, total',
  [
    (48, 1, 60, '0 1 2 3 4 5 6 7', 1371),
    (48, 1, 80, '0 1 3 5 7 8 9 10', 1884),
    (48, 10, 100, '1 3 5 7 8 11 13 14', 23533),
    (48, 10, 150, '1 4 8 10 12 16 19 23', 35547),
    (48, 10, 300, '3 7 13 24 30 31 42 44', 71560),
    (48, 10, 30, '0 1 2 3 4 5 6 7', 6960),
    (48, 10, 5, '0 1 2 3 4 0 1 2', 960),
    (100, 10, 150, '0 2 4 5 6 7 8 9', 74613),
    (100, 10, 60, '0 1 2 3 4 5 6 7', 29460),
    (100, 10, 300, '1 4 8 10 12 16 19 23', 149542),
    (100, 1, 250, '1 3 6 8 10 13 16 17', 12424),
  ],
)
def test_uniform_test_frames_equal_mmaction2(
  clip_len, num_clips, num_frames, first, total
):
  frames = sampling.eval_frames(uniform(clip_len, num_clips), num_frames)
  assert frames.shape == (num_clips, clip_len)
  assert frames.dtype == np.int32
  assert frames[0, :8].tolist() == [int(i) for i in first.split()]
  assert frames.sum() == total


def test_single_view_is_the_first_of_ten():
  for num_frames in (5, 60, 80, 250):
    one = sampling.eval_frames(uniform(48, 1), num_frames)
    ten = sampling.eval_frames(uniform(48, 10), num_frames)
    np.testing.assert_array_equal(one, ten[:1])


@pytest.mark.parametrize(
  'frames, num_frames, expected',
  [
    ('loop', 3, [0, 1, 2, 0]),
    ('loop', 9, [0, 1, 2, 3]),
    ('zero', 3, [0, 1, 2, -1]),
    ('zero', 4, [0, 1, 2, 3]),
    # 0, 1.33, 2.67, 4, truncated.
    ('sorted_random', 5, [0, 1, 2, 4]),
    ('sorted_random', 1, [0, 0, 0, 0]),
    ('random_crop', 9, [2, 3, 4, 5]),
    ('random_crop', 2, [0, 1, -1, -1]),
  ],
)
def test_other_test_frames(frames, num_frames, expected):
  options = sampling.Sampling(frames, 4)
  assert sampling.eval_frames(options, num_frames).tolist() == [expected]


@pytest.mark.parametrize('frames', ['loop', 'zero'])
def test_padding_gives_equal_training_and_test_frames(frames):
  options = sampling.Sampling(frames, 6)
  for num_frames in (1, 5, 6):
    np.testing.assert_array_equal(
      draws(options, num_frames, np.zeros((1, 0))),
      sampling.eval_frames(options, num_frames),
    )


def test_sorted_random_samples_with_replacement():
  options = sampling.Sampling('sorted_random', 3)
  grid = list(itertools.product([0.1, 0.6], repeat=3))
  assert count_rows(draws(options, 2, grid)) == {
    (0, 0, 0): 1,
    (0, 0, 1): 3,
    (0, 1, 1): 3,
    (1, 1, 1): 1,
  }


def test_random_crop_starts_at_each_frame_equally_often():
  options = sampling.Sampling('random_crop', 4)
  uniforms = (np.arange(12)[:, None] + 0.5) / 12
  assert count_rows(draws(options, 6, uniforms)) == {
    (0, 1, 2, 3): 4,
    (1, 2, 3, 4): 4,
    (2, 3, 4, 5): 4,
  }
  assert count_rows(draws(options, 3, uniforms)) == {(0, 1, 2, -1): 12}


def test_successor_is_the_next_frame_of_the_clip():
  # A repeated frame, the last frame, and a frame of zeros.
  looped = sampling.eval_frames(sampling.Sampling('loop', 5), 3)
  assert sampling.successor(looped, 3).tolist() == [[1, 2, 2, 1, 2]]
  padded = sampling.eval_frames(sampling.Sampling('zero', 5), 3)
  assert sampling.successor(padded, 3).tolist() == [[1, 2, 2, -1, -1]]


def test_uniforms_depend_only_on_seed_pass_and_clip():
  base = sampling.clip_uniforms(3, [4, 4, 5], [6, 7, 6], 9)
  assert np.all((base >= 0) & (base < 1))
  assert len(np.unique(base)) == base.size
  # The same numbers in another batch and with another count.
  again = sampling.clip_uniforms(3, [9, 4], [6, 7], 4)
  np.testing.assert_array_equal(again[1], base[1, :4])
  assert not np.isin(sampling.clip_uniforms(4, [4], [6], 9), base).any()


def test_uniforms_and_orders_never_change():
  # A run resumes from its step number, so these must be the same with every
  # NumPy version. If they differ, a resumed run differs from a straight one.
  uniforms = sampling.clip_uniforms(1, [2], [3], 3)
  np.testing.assert_array_equal(
    uniforms[0], [0.5153701007921869, 0.6869820781658404, 0.5959486368407902]
  )
  assert sampling.pass_order(1, 2, 8).tolist() == [5, 6, 1, 7, 2, 0, 4, 3]


def test_pass_orders_are_independent_permutations():
  num_clips = 500
  orders = [sampling.pass_order(0, number, num_clips) for number in range(4)]
  orders.append(sampling.pass_order(1, 0, num_clips))
  for order in orders:
    np.testing.assert_array_equal(np.sort(order), np.arange(num_clips))
  for one, two in itertools.combinations(orders, 2):
    # Uncorrelated positions of a clip, to four standard deviations.
    correlation = np.corrcoef(np.argsort(one), np.argsort(two))[0, 1]
    assert abs(correlation) < 4 / np.sqrt(num_clips)


@pytest.mark.parametrize(
  'options, words',
  [
    (
      dict(frames='unifrom', clip_len=4),
      r'data.frames=unifrom: expected one of uniform, uni',
    ),
    (
      dict(frames='uniform', clip_len=0),
      'data.clip_len=0: expected a number at least 1',
    ),
    (dict(frames='loop', clip_len=4, num_clips=10), 'set num_clips to 1'),
    (
      dict(frames='uniform', clip_len=4, whole_clip=True),
      'needs data.max_frames',
    ),
  ],
)
def test_invalid_options_raise(options, words):
  with pytest.raises(errors.UserError, match=words):
    sampling.Sampling(**options)


@pytest.mark.parametrize(
  'options, num_frames, words',
  [
    (dict(frames='uniform'), 0, "'clip7' has no frames"),
    (dict(frames='zero'), 5, "'clip7' has 5 frames, more than data.clip_len=4"),
    (
      dict(frames='uniform', whole_clip=True, max_frames=9),
      10,
      "'clip7' has 10 frames, more than data.max_frames=9.*at least 10",
    ),
  ],
)
def test_clips_that_do_not_fit_raise(options, num_frames, words):
  options = sampling.Sampling(clip_len=4, **options)
  with pytest.raises(errors.UserError, match=words):
    sampling.check_clip(options, 'clip7', num_frames)
  sampling.check_clip(options, 'clip7', 4)


@pytest.mark.parametrize('num_clips', [1, 10])
@pytest.mark.parametrize('clip_len', [10, 48, 100])
def test_pyskl_test_frames_equal_pyskl(clip_len, num_clips):
  options = sampling.Sampling('uniform_pyskl', clip_len, num_clips)
  for total_frames in map(
    int, '1 2 9 10 11 47 48 95 96 100 150 199 200 301'.split()
  ):
    np.testing.assert_array_equal(
      sampling.eval_frames(options, total_frames),
      transcriptions.pyskl_test_frames(total_frames, clip_len, num_clips),
      err_msg=f'{total_frames} frames',
    )


def test_pyskl_test_frames_differ_from_mmaction2():
  ours, theirs = (
    sampling.eval_frames(sampling.Sampling(frames, 48), 150)[0]
    for frames in ('uniform_pyskl', 'uniform')
  )
  np.testing.assert_array_equal(ours[:6], [1, 5, 7, 9, 13, 16])
  np.testing.assert_array_equal(theirs[:6], [1, 4, 8, 10, 12, 16])


@pytest.mark.parametrize('total_frames', [7, 15, 40])
def test_pyskl_training_frames_equal_mmaction2(total_frames):
  uniforms = sampling.clip_uniforms(3, range(4), [5] * 4, 11)
  np.testing.assert_array_equal(
    *(
      draws(sampling.Sampling(frames, 10), total_frames, uniforms)
      for frames in ('uniform_pyskl', 'uniform')
    )
  )
