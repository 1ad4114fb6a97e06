"""Which frames of a clip the model sees: index arithmetic, no skeletons.

Training draws are a pure array function of explicit uniforms (`train_frames`,
on numpy or jax.numpy, whole batches at once), and the uniforms a counter-based
function of seed, pass and clip (`clip_uniforms`), so that any clip of any step
can be drawn again by itself, on any process, or on the device. Test mode
(`eval_frames`) gives the published indices, which come from NumPy's legacy
generator and depend on nothing but the number of frames.

A frame index of -1 stands for a frame of zeros.

Source: UniformSampleFrames, PadTo and PaddingWithLoop of mmaction2;
UniformSampleFrames of pyskl with p_interval 1 (`uniform_pyskl`); the feeder of
CTR-GCN for NW-UCLA (`sorted_random`); `random_choose` of the original
ST-GCN (`random_crop`). Deviation: where the original ST-GCN pads a short clip,
a random number of the zero frames comes first; here all come last, so that
the first frame is always a real one.
"""

from collections.abc import Sequence
import dataclasses
import functools
import types

import numpy as np

from skeljax import errors

FRAMES = (
  'uniform',
  'uniform_pyskl',
  'loop',
  'zero',
  'sorted_random',
  'random_crop',
)
_UNIFORM = ('uniform', 'uniform_pyskl')

# The published test mode reseeds the generator with this for each sample.
_TEST_SEED = 255

# Second word of the Philox counter: keeps the two kinds of draws apart.
_CLIP_DRAWS, _ORDER_DRAWS = 0, 1


@dataclasses.dataclass(frozen=True)
class Sampling:
  """How frames are chosen.

  Attributes:
    frames: 'uniform' (one random frame out of each of clip_len equal parts),
      'uniform_pyskl' (the same, but in test mode the frames that pyskl takes),
      'loop' (the first clip_len frames, repeated when there are fewer), 'zero'
      (all frames, then zeros; no clip may be longer than clip_len),
      'sorted_random' (random frames with replacement, in order; test: evenly
      spaced), 'random_crop' (a random window, zeros behind short clips; test:
      the central window).
    clip_len: frames in one view.
    num_clips: views in test mode, more than one only with 'uniform' and
      'uniform_pyskl'; training draws one.
    whole_clip: ship the whole clip, padded to max_frames, next to the indices.
    max_frames: the padded length with whole_clip; otherwise unused.
  """

  frames: str
  clip_len: int
  num_clips: int = 1
  whole_clip: bool = False
  max_frames: int = 0

  def __post_init__(self):
    if self.frames not in FRAMES:
      raise errors.UserError(
        f'unknown way to choose frames {self.frames!r}; known are '
        f'{", ".join(FRAMES)}.'
      )
    if self.clip_len < 1 or self.num_clips < 1:
      raise errors.UserError(
        'clip_len and num_clips must be at least 1, but are '
        f'{self.clip_len} and {self.num_clips}.'
      )
    if self.num_clips > 1 and self.frames not in _UNIFORM:
      raise errors.UserError(
        f'num_clips is {self.num_clips}, but {self.frames!r} chooses the same '
        "frames for every view; set num_clips to 1, or frames to 'uniform'."
      )
    if self.whole_clip and self.max_frames < 1:
      raise errors.UserError(
        'whole clips are padded to max_frames, which is '
        f'{self.max_frames}; set it to the length of the longest clip.'
      )

  @property
  def num_uniforms(self) -> int:
    """How many uniforms one training draw takes."""
    return {
      'uniform': self.clip_len + 1,
      'uniform_pyskl': self.clip_len + 1,
      'sorted_random': self.clip_len,
      'random_crop': 1,
    }.get(self.frames, 0)

  @property
  def longest_clip(self) -> int | None:
    """The longest clip that can be taken, in frames; None: any."""
    limits = []
    if self.frames == 'zero':
      limits.append(self.clip_len)
    if self.whole_clip:
      limits.append(self.max_frames)
    return min(limits, default=None)


def check_clip(sampling: Sampling, sample_id: str, total_frames: int) -> None:
  """Raises UserError for a clip from which no frames can be chosen."""
  if total_frames < 1:
    raise errors.UserError(
      f'clip {sample_id!r} has no frames; leave it out when preparing the '
      'dataset.'
    )
  longest = sampling.longest_clip
  if longest is None or total_frames <= longest:
    return
  if sampling.whole_clip and total_frames > sampling.max_frames:
    raise errors.UserError(
      f'clip {sample_id!r} has {total_frames} frames, more than max_frames = '
      f'{sampling.max_frames}, to which whole clips are padded; raise '
      f'max_frames to at least {total_frames}.'
    )
  raise errors.UserError(
    f'clip {sample_id!r} has {total_frames} frames, more than clip_len = '
    f'{sampling.clip_len}, and padding with zeros cannot shorten it; raise '
    f"clip_len to at least {total_frames}, or set frames to 'uniform', 'loop' "
    "or 'random_crop'."
  )


@functools.lru_cache(maxsize=16)
def _philox_key(seed: int) -> np.ndarray:
  # Spread: neighbouring seeds must not give neighbouring streams.
  return np.random.SeedSequence(seed).generate_state(2, np.uint64)


def _raw_bits(seed: int, counters: Sequence[tuple], count: int) -> np.ndarray:
  """[len(counters), count] random words, each row from a counter on."""
  # Raw words, because NumPy promises that a bit generator's stream never
  # changes, but not what Generator's methods make of it.
  philox = np.random.Philox(key=_philox_key(seed))
  # A fresh state has no words left over from an earlier counter; setting it
  # anew costs a third of making another generator.
  state = philox.state
  rows = np.empty((len(counters), count), np.uint64)
  for row, counter in enumerate(counters):
    state['state']['counter'] = np.array(counter, np.uint64)
    philox.state = state
    rows[row] = philox.random_raw(count)
  return rows


def clip_uniforms(
  seed: int, passes: Sequence[int], positions: Sequence[int], count: int
) -> np.ndarray:
  """The uniforms of some clips, each in some pass over the data.

  Args:
    seed: seed of the run, not negative.
    passes: [B], how many passes over the data came before, from 0.
    positions: [B], each clip's place in the annotation file.
    count: how many a clip; a longer draw begins with the shorter one.

  Returns:
    [B, count] float64 in [0, 1), multiples of 2^-53. A row depends on its own
    pass and position alone.
  """
  # The first word counts on within a row, so rows never overlap.
  counters = [(0, _CLIP_DRAWS, *row) for row in zip(passes, positions)]
  return (_raw_bits(seed, counters, count) >> np.uint64(11)) * 2.0**-53


@functools.lru_cache(maxsize=4)
def pass_order(seed: int, pass_number: int, num_clips: int) -> np.ndarray:
  """[num_clips] int64: the order of the clips in one pass; read-only."""
  counters = [(0, _ORDER_DRAWS, pass_number, 0)]
  bits = _raw_bits(seed, counters, num_clips)[0]
  order = np.argsort(bits, stable=True)
  order.flags.writeable = False
  return order


def train_frames(
  sampling: Sampling,
  total_frames: np.ndarray,
  uniforms: np.ndarray,
  xp: types.ModuleType = np,
) -> np.ndarray:
  """Random frames of clips, one view each, in the published distribution.

  Args:
    sampling: how frames are chosen.
    total_frames: [B] integers, at least 1.
    uniforms: [B, sampling.num_uniforms] in [0, 1); float64 or float32.
    xp: numpy, or jax.numpy for arrays on the device, also under jit.

  Returns:
    [B, clip_len] int32 frame indices, -1 for a frame of zeros.
  """
  clip_len = sampling.clip_len
  n = total_frames[:, None]
  steps = xp.arange(clip_len, dtype=xp.int32)[None, :]
  if sampling.frames in _UNIFORM:
    index = _uniform_frames(clip_len, n, uniforms, steps, xp)
  elif sampling.frames == 'loop':
    index = steps % n
  elif sampling.frames == 'zero':
    index = xp.where(steps < n, steps, -1)
  elif sampling.frames == 'sorted_random':
    index = xp.sort(_floor_times(uniforms, n, xp), axis=-1)
  else:
    num_starts = xp.maximum(n - clip_len, 0) + 1
    index = _floor_times(uniforms, num_starts, xp) + steps
    index = xp.where(index < n, index, -1)
  return index.astype(xp.int32)


def _floor_times(u: np.ndarray, n: np.ndarray, xp: types.ModuleType):
  """An integer in 0..n-1 from each uniform."""
  # The minimum is for device arithmetic that may round a product up to n.
  return xp.minimum((u * n).astype(xp.int32), n - 1)


def _uniform_frames(clip_len, n, u, steps, xp):
  # Fewer frames than asked for: on from a random one, round and round.
  short = _floor_times(u[:, :1], n, xp) + steps
  # Up to twice as many: leave out n - clip_len frames, at distinct places
  # among the clip_len + 1 before, between and behind those kept. The places
  # with the smallest uniforms are a uniform choice without replacement.
  ranks = xp.argsort(xp.argsort(u, axis=-1, stable=True), axis=-1)
  skipped = xp.cumsum(ranks < n - clip_len, axis=-1)
  medium = steps + skipped[:, :clip_len]
  # More: a random frame out of each of clip_len nearly equal parts.
  first = steps * n // clip_len
  size = (steps + 1) * n // clip_len - first
  long = first + _floor_times(u[:, :clip_len], size, xp)
  index = xp.where(n < 2 * clip_len, medium, long)
  return xp.where(n < clip_len, short, index) % n


@functools.lru_cache(maxsize=4096)
def eval_frames(sampling: Sampling, total_frames: int) -> np.ndarray:
  """The frames of test mode: the same for all clips of one length.

  Args:
    sampling: how frames are chosen.
    total_frames: at least 1.

  Returns:
    [num_clips, clip_len] int32, read-only; -1 for a frame of zeros.
  """
  clip_len = sampling.clip_len
  steps = np.arange(clip_len)
  if sampling.frames in _UNIFORM:
    index = _uniform_test_frames(sampling, total_frames)
  elif sampling.frames == 'loop':
    index = steps % total_frames
  elif sampling.frames == 'zero':
    index = np.where(steps < total_frames, steps, -1)
  elif sampling.frames == 'sorted_random':
    # Truncated, not rounded, as published.
    index = np.linspace(0, total_frames - 1, clip_len).astype(np.int32)
  else:
    index = steps + max(total_frames - clip_len, 0) // 2
    index = np.where(index < total_frames, index, -1)
  index = index.reshape(sampling.num_clips, clip_len).astype(np.int32)
  index.flags.writeable = False
  return index


def _uniform_test_frames(sampling: Sampling, total_frames: int) -> np.ndarray:
  # NOTE: another generator, or other calls in another order, gives other
  # frames than the published ones.
  rng = np.random.RandomState(_TEST_SEED)
  n, clip_len, num_clips = total_frames, sampling.clip_len, sampling.num_clips
  steps = np.arange(clip_len)
  views = []
  for view in range(num_clips):
    if sampling.frames == 'uniform_pyskl':
      # The part of the clip that pyskl looks at, and where it starts: always
      # all of it, but drawn even so.
      rng.rand()
      rng.randint(1)
    if n < clip_len:
      start = view if n < num_clips else view * n // num_clips
      index = start + steps
    elif n < 2 * clip_len:
      skip = np.zeros(clip_len + 1, np.int32)
      skip[rng.choice(clip_len + 1, n - clip_len, replace=False)] = 1
      index = steps + np.cumsum(skip)[:clip_len]
    else:
      bounds = np.arange(clip_len + 1) * n // clip_len
      index = bounds[:clip_len] + rng.randint(np.diff(bounds))
    views.append(index % n)
  return np.stack(views)


def successor(
  frame_index: np.ndarray,
  total_frames: np.ndarray,
  xp: types.ModuleType = np,
) -> np.ndarray:
  """The frame after each chosen one in the original clip, for motion.

  Args:
    frame_index: frame indices of any shape, -1 for a frame of zeros.
    total_frames: frames in the clip, broadcastable to frame_index.
    xp: numpy or jax.numpy.

  Returns:
    Indices of the same shape: the last frame is its own successor, a repeated
    frame has the successor of the frame it repeats, and -1 stays -1.
  """
  following = xp.minimum(frame_index + 1, total_frames - 1)
  return xp.where(frame_index < 0, -1, following)
