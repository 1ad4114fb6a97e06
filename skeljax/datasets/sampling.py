"""Frame sampling: which frames of a clip a network gets; numpy index arithmetic.

Training draws are a pure function of explicit uniform random numbers
(`train_frames`), and these of seed, pass over the data and clip
(`clip_uniforms`), so every process can reproduce any clip of any step. Test
frames (`eval_frames`) are the published ones, which depend only on the number
of frames.

A frame index of -1 is a frame of zeros.
"""

from collections.abc import Sequence
import dataclasses
import functools

import numpy as np

from skeljax import errors
from skeljax import option

FRAMES = (
  'uniform', 'uniform_pyskl', 'loop', 'zero', 'sorted_random', 'random_crop',
)  # fmt: skip
_UNIFORM = ('uniform', 'uniform_pyskl')

# Second word of the Philox counter: separates the two kinds of draws.
_CLIP_DRAWS, _ORDER_DRAWS = 0, 1


@dataclasses.dataclass(frozen=True)
class Sampling:
  """Which frames of a clip are sampled.

  frames is one of
    uniform: one random frame from each of clip_len equal parts;
    uniform_pyskl: the same, with the test frames of pyskl;
    loop: the first clip_len frames, short clips repeated;
    zero: all frames, then zeros; clips must not be longer than clip_len;
    sorted_random: random frames with replacement, sorted; test: evenly spaced;
    random_crop: a random window, short clips padded with zeros; test: the
      central window.
  """

  frames: str = option.field(help='Sampling scheme.', choices=FRAMES)
  clip_len: int = option.field(help='Frames per view.', minimum=1)
  num_clips: int = option.field(
    1, 'Test views per clip; more than one only with uniform.', minimum=1
  )
  whole_clip: bool = option.field(
    False, 'Batch whole clips with the indices; frames are taken on the device.'
  )
  max_frames: int = option.field(
    0, 'Frames to which whole clips are padded.', minimum=0
  )

  def __post_init__(self):
    option.check(self, '--config.data.')
    if self.num_clips > 1 and self.frames not in _UNIFORM:
      raise errors.UserError(
        f'data.num_clips={self.num_clips}: data.frames={self.frames} has only'
        ' one view; set num_clips to 1, or frames to uniform.'
      )
    if self.whole_clip and not self.max_frames:
      raise errors.UserError(
        'data.whole_clip needs data.max_frames, the number of frames of the'
        ' longest clip.'
      )

  @property
  def num_uniforms(self) -> int:
    """Uniform random numbers per training draw."""
    sizes = {'sorted_random': self.clip_len, 'random_crop': 1}
    if self.frames in _UNIFORM:
      return self.clip_len + 1
    return sizes.get(self.frames, 0)

  @property
  def longest_clip(self) -> int | None:
    """Maximum number of frames of a clip; None: unlimited."""
    limits = [self.clip_len] * (self.frames == 'zero')
    limits += [self.max_frames] * self.whole_clip
    return min(limits, default=None)


def check_clip(sampling: Sampling, sample_id: str, total_frames: int) -> None:
  """Raise UserError for a clip from which no frames can be sampled."""
  if total_frames < 1:
    raise errors.UserError(f'Clip {sample_id!r} has no frames: leave it out.')
  longest = sampling.longest_clip
  if longest is None or total_frames <= longest:
    return
  message = f'Clip {sample_id!r} has {total_frames} frames, more than '
  if sampling.whole_clip and total_frames > sampling.max_frames:
    raise errors.UserError(
      f'{message}data.max_frames={sampling.max_frames}: raise it to at least'
      f' {total_frames}.'
    )
  raise errors.UserError(
    f'{message}data.clip_len={sampling.clip_len} with data.frames=zero: raise'
    f' clip_len to at least {total_frames}, or use other frames (uniform, loop,'
    ' random_crop).'
  )


@functools.lru_cache(maxsize=16)
def _philox_key(seed: int) -> np.ndarray:
  # Hashed, so that neighboring seeds do not give neighboring streams.
  return np.random.SeedSequence(seed).generate_state(2, np.uint64)


def _raw_bits(seed: int, counters: Sequence[tuple], count: int) -> np.ndarray:
  """Return [len(counters), count] random words, each row from a counter on."""
  # NumPy guarantees the raw words of a bit generator across versions, but not
  # the methods of Generator.
  philox = np.random.Philox(key=_philox_key(seed))
  # Setting the state takes a third of the time of a new generator.
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
  """Return the uniform random numbers of clips.

  Args:
    seed: seed of the run, not negative.
    passes: [B], pass over the data of each clip, from 0.
    positions: [B], position of each clip in the annotation file.
    count: numbers per clip; a longer draw starts with the shorter one.

  Returns:
    [B, count] float64 in [0, 1), multiples of 2^-53. A row depends only on
    seed, pass and position.
  """
  # Philox increments the first word within a row, so rows never overlap.
  counters = [(0, _CLIP_DRAWS, *row) for row in zip(passes, positions)]
  return (_raw_bits(seed, counters, count) >> np.uint64(11)) * 2.0**-53


@functools.lru_cache(maxsize=4)
def pass_order(seed: int, pass_number: int, num_clips: int) -> np.ndarray:
  """Return the order [num_clips] int64 of the clips in one pass; read-only."""
  counters = [(0, _ORDER_DRAWS, pass_number, 0)]
  bits = _raw_bits(seed, counters, num_clips)[0]
  order = np.argsort(bits, stable=True)
  order.flags.writeable = False
  return order


def train_frames(
  sampling: Sampling, total_frames: np.ndarray, uniforms: np.ndarray
) -> np.ndarray:
  """Sample random frames, one view per clip.

  Args:
    sampling: the sampling scheme.
    total_frames: [B] integers, at least 1.
    uniforms: [B, sampling.num_uniforms] float64 in [0, 1).

  Returns:
    [B, clip_len] int32 frame indices, -1 for a frame of zeros.
  """
  n, clip_len = total_frames[:, None], sampling.clip_len
  match sampling.frames:
    case 'uniform' | 'uniform_pyskl':
      index = _uniform(n, clip_len, uniforms)
    case 'loop':
      index = _loop(n, clip_len)
    case 'zero':
      index = _zero(n, clip_len)
    case 'sorted_random':
      index = _sorted_random(n, uniforms)
    case 'random_crop':
      index = _random_crop(n, clip_len, uniforms)
  return index.astype(np.int32)


@functools.lru_cache(maxsize=4096)
def eval_frames(sampling: Sampling, total_frames: int) -> np.ndarray:
  """Return the test frames of all clips with `total_frames` frames.

  Args:
    sampling: the sampling scheme.
    total_frames: at least 1.

  Returns:
    [num_clips, clip_len] int32, read-only; -1 for a frame of zeros.
  """
  n, clip_len = total_frames, sampling.clip_len
  match sampling.frames:
    case 'uniform' | 'uniform_pyskl':
      is_pyskl = sampling.frames == 'uniform_pyskl'
      index = _uniform_test(n, clip_len, sampling.num_clips, is_pyskl)
    case 'loop':
      index = _loop(n, clip_len)
    case 'zero':
      index = _zero(n, clip_len)
    case 'sorted_random':
      index = _sorted_random_test(n, clip_len)
    case 'random_crop':
      index = _center_crop(n, clip_len)
  index = index.reshape(sampling.num_clips, clip_len).astype(np.int32)
  index.flags.writeable = False
  return index


def _uniform(n: np.ndarray, clip_len: int, u: np.ndarray) -> np.ndarray:
  """Random frames of UniformSampleFrames of mmaction2 and pyskl.

  mmaction2 draws with other generator calls; the distribution is the same.
  """
  steps = np.arange(clip_len)
  # Fewer than clip_len frames: a loop from a random frame.
  short = _floor(u[:, :1] * n) + steps
  # Up to twice as many: leave out n - clip_len frames, at distinct places among
  # the clip_len + 1 before, between and after the others. The places with the
  # smallest uniforms are a uniform choice without replacement.
  ranks = np.argsort(np.argsort(u, axis=-1, stable=True), axis=-1)
  skipped = np.cumsum(ranks < n - clip_len, axis=-1)
  medium = steps + skipped[:, :clip_len]
  # More: a random frame from each of clip_len nearly equal parts.
  first = steps * n // clip_len
  size = (steps + 1) * n // clip_len - first
  long = first + _floor(u[:, :clip_len] * size)
  index = np.where(n < 2 * clip_len, medium, long)
  return np.where(n < clip_len, short, index) % n


def _uniform_test(
  n: int, clip_len: int, num_clips: int, is_pyskl: bool
) -> np.ndarray:
  """Test frames of UniformSampleFrames of mmaction2, or of pyskl (p_interval 1).

  NOTE: both seed the legacy generator with 255 for every clip; other calls, or
  another order of them, would give other frames.
  """
  rng = np.random.RandomState(255)
  steps = np.arange(clip_len)
  views = []
  for view in range(num_clips):
    if is_pyskl:
      # Draws of pyskl for the part of the clip it samples from: all of it.
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


def _loop(n: np.ndarray | int, clip_len: int) -> np.ndarray:
  """PadTo(mode='loop') of mmaction2 1.x, PaddingWithLoop of 0.x."""
  return np.arange(clip_len) % n


def _zero(n: np.ndarray | int, clip_len: int) -> np.ndarray:
  """PadTo(mode='zero') of mmaction2."""
  return _window(0, n, clip_len)


def _sorted_random(n: np.ndarray, u: np.ndarray) -> np.ndarray:
  """Training frames of CTR-GCN's feeder for NW-UCLA."""
  return np.sort(_floor(u * n), axis=-1)


def _sorted_random_test(n: int, clip_len: int) -> np.ndarray:
  """Test frames of CTR-GCN's feeder for NW-UCLA, truncated and not rounded."""
  return _floor(np.linspace(0, n - 1, clip_len))


def _random_crop(n: np.ndarray, clip_len: int, u: np.ndarray) -> np.ndarray:
  """`random_choose` of the original ST-GCN.

  Deviation: in a short clip, the original puts a random number of the zero
  frames first; here all of them are last, so that frame 0 is a real one.
  """
  return _window(_floor(u * (np.maximum(n - clip_len, 0) + 1)), n, clip_len)


def _center_crop(n: int, clip_len: int) -> np.ndarray:
  """Central window of the clip."""
  return _window(max(n - clip_len, 0) // 2, n, clip_len)


def _window(
  start: np.ndarray | int, n: np.ndarray | int, clip_len: int
) -> np.ndarray:
  """Frames from `start` on; -1 after the last frame."""
  index = start + np.arange(clip_len)
  return np.where(index < n, index, -1)


def _floor(x: np.ndarray) -> np.ndarray:
  return x.astype(np.int32)


def successor(
  frame_index: np.ndarray, total_frames: np.ndarray | int
) -> np.ndarray:
  """Return the frame after each sampled one in the original clip, for motion.

  Args:
    frame_index: frame indices of any shape, -1 for a frame of zeros.
    total_frames: frames of the clip, broadcastable to frame_index.

  Returns:
    Indices of the same shape: the last frame is its own successor, a repeated
    frame has the successor of the frame it repeats, and -1 stays -1.
  """
  following = np.minimum(frame_index + 1, total_frames - 1)
  return np.where(frame_index < 0, -1, following)
