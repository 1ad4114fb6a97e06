"""Frame choice: exact distributions, published test indices, device twin."""

import collections
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skeljax import errors
from skeljax.datasets import sampling
from tests import transcriptions


def uniform(clip_len, num_clips=1):
  return sampling.Sampling('uniform', clip_len, num_clips)


def count_rows(frames):
  """How often each row of indices occurs."""
  return collections.Counter(map(tuple, np.asarray(frames).tolist()))


def draws(options, num_frames, uniforms):
  uniforms = np.asarray(uniforms, np.float64)
  total_frames = np.full(len(uniforms), num_frames)
  return sampling.train_frames(options, total_frames, uniforms)


def test_short_clips_start_at_each_frame_equally_often():
  num_frames, clip_len = 3, 5
  uniforms = np.zeros((6, clip_len + 1))
  uniforms[:, 0] = (np.arange(6) + 0.5) / 6
  # Published: start at randint(0, N), then on and round.
  expected = {
    (0, 1, 2, 0, 1): 2,
    (1, 2, 0, 1, 2): 2,
    (2, 0, 1, 2, 0): 2,
  }
  assert count_rows(draws(uniform(clip_len), num_frames, uniforms)) == expected


@pytest.mark.parametrize('num_frames', [4, 5, 6, 7])
def test_medium_clips_leave_out_each_set_of_places_equally_often(num_frames):
  clip_len = 4
  # All orders that five uniforms can have, each once.
  orders = list(itertools.permutations(range(clip_len + 1)))
  frames = draws(uniform(clip_len), num_frames, (np.array(orders) + 0.5) / 5)
  # Published: choice(L + 1, N - L, replace=False) marks places, and
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


def test_long_clips_take_each_frame_of_each_part_equally_often():
  num_frames, clip_len = 8, 3
  # The parts are 0-1, 2-4 and 5-7; six steps divide both sizes evenly.
  grid = list(itertools.product((np.arange(6) + 0.5) / 6, repeat=3))
  uniforms = np.pad(np.array(grid), ((0, 0), (0, 1)))
  frames = draws(uniform(clip_len), num_frames, uniforms)
  combinations = itertools.product(range(0, 2), range(2, 5), range(5, 8))
  assert count_rows(frames) == {row: 12 for row in combinations}


def test_drawn_frames_follow_the_published_distribution():
  clip_len, num_frames, num_draws = 4, 7, 4000
  uniforms = sampling.clip_uniforms(
    5, range(num_draws), [11] * num_draws, clip_len + 1
  )
  counts = count_rows(draws(uniform(clip_len), num_frames, uniforms))
  assert len(counts) == 10  # three of five places
  mean = num_draws / 10
  chi_square = sum((count - mean) ** 2 / mean for count in counts.values())
  assert chi_square < 27.9  # 0.1 % of true draws exceed this: 9 degrees


def test_every_case_may_stand_in_one_batch():
  total_frames = np.array([1, 3, 4, 7, 8, 300])
  uniforms = sampling.clip_uniforms(0, [0] * 6, range(6), 5)
  batch = sampling.train_frames(uniform(4), total_frames, uniforms)
  assert batch.shape == (6, 4)
  assert batch.dtype == np.int32
  assert np.all((batch >= 0) & (batch < total_frames[:, None]))
  for row, number in enumerate(total_frames):
    single = draws(uniform(4), number, uniforms[row : row + 1])
    np.testing.assert_array_equal(batch[row], single[0])


@pytest.mark.parametrize('frames', sampling.FRAMES)
def test_device_draws_equal_host_draws(frames):
  options = sampling.Sampling(frames, 6)
  total_frames = np.array([1, 4, 6, 9, 11, 12, 40], np.int32)
  rng = np.random.default_rng(0)
  # Twelve bits, so that float32 products are exact on both sides.
  uniforms = rng.integers(0, 4096, (7, options.num_uniforms)) / 4096
  expected = sampling.train_frames(options, total_frames, uniforms)
  choose = jax.jit(
    lambda n, u: sampling.train_frames(options, n, u, xp=jnp),
  )
  actual = choose(jnp.asarray(total_frames), jnp.asarray(uniforms, jnp.float32))
  assert actual.dtype == jnp.int32
  np.testing.assert_array_equal(actual, expected)
  following = sampling.successor(actual, total_frames[:, None], xp=jnp)
  np.testing.assert_array_equal(
    following, sampling.successor(expected, total_frames[:, None])
  )


def test_largest_float32_uniform_stays_inside():
  largest = np.nextafter(np.float32(1), np.float32(0))
  total_frames = jnp.arange(1, 5000, dtype=jnp.int32)
  options = sampling.Sampling('sorted_random', 1)
  uniforms = jnp.full((4999, 1), largest, jnp.float32)
  frames = sampling.train_frames(options, total_frames, uniforms, xp=jnp)
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
def test_uniform_test_mode_is_the_published_one(
  clip_len, num_clips, num_frames, first, total
):
  frames = sampling.eval_frames(uniform(clip_len, num_clips), num_frames)
  assert frames.shape == (num_clips, clip_len)
  assert frames.dtype == np.int32
  assert frames[0, :8].tolist() == [int(i) for i in first.split()]
  assert frames.sum() == total


def test_one_view_is_the_first_of_ten():
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
    # 0, 1.33, 2.67, 4 truncated; rounding would give 3 for 2.
    ('sorted_random', 5, [0, 1, 2, 4]),
    ('sorted_random', 1, [0, 0, 0, 0]),
    ('random_crop', 9, [2, 3, 4, 5]),
    ('random_crop', 2, [0, 1, -1, -1]),
  ],
)
def test_other_test_modes_by_hand(frames, num_frames, expected):
  options = sampling.Sampling(frames, 4)
  assert sampling.eval_frames(options, num_frames).tolist() == [expected]


@pytest.mark.parametrize('frames', ['loop', 'zero'])
def test_padding_modes_train_as_they_test(frames):
  options = sampling.Sampling(frames, 6)
  for num_frames in (1, 5, 6):
    np.testing.assert_array_equal(
      draws(options, num_frames, np.zeros((1, 0))),
      sampling.eval_frames(options, num_frames),
    )


def test_sorted_random_draws_with_replacement_and_sorts():
  options = sampling.Sampling('sorted_random', 3)
  grid = list(itertools.product([0.1, 0.6], repeat=3))
  assert count_rows(draws(options, 2, grid)) == {
    (0, 0, 0): 1,
    (0, 0, 1): 3,
    (0, 1, 1): 3,
    (1, 1, 1): 1,
  }


def test_random_crop_starts_everywhere_equally_often():
  options = sampling.Sampling('random_crop', 4)
  uniforms = (np.arange(12)[:, None] + 0.5) / 12
  assert count_rows(draws(options, 6, uniforms)) == {
    (0, 1, 2, 3): 4,
    (1, 2, 3, 4): 4,
    (2, 3, 4, 5): 4,
  }
  assert count_rows(draws(options, 3, uniforms)) == {(0, 1, 2, -1): 12}


def test_successor_follows_the_original_clip():
  # A repeated frame, the last frame, and a frame of zeros.
  looped = sampling.eval_frames(sampling.Sampling('loop', 5), 3)
  assert sampling.successor(looped, 3).tolist() == [[1, 2, 2, 1, 2]]
  padded = sampling.eval_frames(sampling.Sampling('zero', 5), 3)
  assert sampling.successor(padded, 3).tolist() == [[1, 2, 2, -1, -1]]


def test_uniforms_depend_on_seed_pass_and_clip_alone():
  base = sampling.clip_uniforms(3, [4, 4, 5], [6, 7, 6], 9)
  assert np.all((base >= 0) & (base < 1))
  assert len(np.unique(base)) == base.size
  # Other companions, another count: the same numbers.
  again = sampling.clip_uniforms(3, [9, 4], [6, 7], 4)
  np.testing.assert_array_equal(again[1], base[1, :4])
  assert not np.isin(sampling.clip_uniforms(4, [4], [6], 9), base).any()


def test_uniforms_and_orders_never_change():
  # A run resumes from its step alone, so these must be the same for ever, under
  # any NumPy. If they differ, saved runs no longer continue as they began.
  uniforms = sampling.clip_uniforms(1, [2], [3], 3)
  np.testing.assert_array_equal(
    uniforms[0], [0.5153701007921869, 0.6869820781658404, 0.5959486368407902]
  )
  assert sampling.pass_order(1, 2, 8).tolist() == [5, 6, 1, 7, 2, 0, 4, 3]


def test_pass_orders_are_permutations_of_their_own():
  num_clips = 500
  orders = [sampling.pass_order(0, number, num_clips) for number in range(4)]
  orders.append(sampling.pass_order(1, 0, num_clips))
  for order in orders:
    np.testing.assert_array_equal(np.sort(order), np.arange(num_clips))
  for one, two in itertools.combinations(orders, 2):
    # Places of one clip in two passes: independent to four deviations.
    correlation = np.corrcoef(np.argsort(one), np.argsort(two))[0, 1]
    assert abs(correlation) < 4 / np.sqrt(num_clips)


@pytest.mark.parametrize(
  'options, words',
  [
    (
      dict(frames='unifrom', clip_len=4),
      r"'unifrom'; known are uniform, uniform_",
    ),
    (dict(frames='uniform', clip_len=0), 'at least 1, but are 0 and 1'),
    (dict(frames='loop', clip_len=4, num_clips=10), 'set num_clips to 1'),
    (
      dict(frames='uniform', clip_len=4, whole_clip=True),
      'set it to the length of the longest clip',
    ),
  ],
)
def test_bad_options_are_named(options, words):
  with pytest.raises(errors.UserError, match=words):
    sampling.Sampling(**options)


@pytest.mark.parametrize(
  'options, num_frames, words',
  [
    (dict(frames='uniform'), 0, "'clip7' has no frames"),
    (dict(frames='zero'), 5, "'clip7' has 5 frames, more than clip_len = 4"),
    (
      dict(frames='uniform', whole_clip=True, max_frames=9),
      10,
      "'clip7' has 10 frames, more than max_frames = 9.*at least 10",
    ),
  ],
)
def test_clips_that_do_not_fit_are_named(options, num_frames, words):
  options = sampling.Sampling(clip_len=4, **options)
  with pytest.raises(errors.UserError, match=words):
    sampling.check_clip(options, 'clip7', num_frames)
  sampling.check_clip(options, 'clip7', 4)


@pytest.mark.parametrize('num_clips', [1, 10])
@pytest.mark.parametrize('clip_len', [10, 48, 100])
def test_pyskl_test_frames_equal_its_definition(clip_len, num_clips):
  options = sampling.Sampling('uniform_pyskl', clip_len, num_clips)
  for total_frames in (
    1,
    2,
    9,
    10,
    11,
    47,
    48,
    95,
    96,
    100,
    150,
    199,
    200,
    301,
  ):
    np.testing.assert_array_equal(
      sampling.eval_frames(options, total_frames),
      transcriptions.pyskl_test_frames(total_frames, clip_len, num_clips),
      err_msg=f'{total_frames} frames',
    )


def test_pyskl_takes_other_test_frames_than_mmaction2():
  ours, theirs = (
    sampling.eval_frames(sampling.Sampling(frames, 48), 150)[0]
    for frames in ('uniform_pyskl', 'uniform')
  )
  np.testing.assert_array_equal(ours[:6], [1, 5, 7, 9, 13, 16])
  np.testing.assert_array_equal(theirs[:6], [1, 4, 8, 10, 12, 16])


@pytest.mark.parametrize('total_frames', [7, 15, 40])
def test_pyskl_trains_like_mmaction2(total_frames):
  uniforms = sampling.clip_uniforms(3, range(4), [5] * 4, 11)
  np.testing.assert_array_equal(
    *(
      draws(sampling.Sampling(frames, 10), total_frames, uniforms)
      for frames in ('uniform_pyskl', 'uniform')
    )
  )
