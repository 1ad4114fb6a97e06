"""Host input pipeline: read clips, sample frames, pad persons, batch.

A batch is a pure function of (seed, step). Step s takes positions s * B to
(s + 1) * B of an endless stream of passes over the data, each pass in its own
random order, and process i of n makes the i-th of n equal parts of the batch.
None of this depends on the number of workers or processes, so a run resumes
from its step number alone, also on another machine.

NOTE: the order of a pass is sampling.pass_order, not Grain's shuffle, whose
orders of different passes are correlated in Grain 0.2.18: of 56,880 clips, two
in the same batch of 64 were in the same batch of another pass up to four times
as often as by chance.
"""

from collections.abc import Iterator, Sequence
import dataclasses
import sys
import weakref

import grain
import numpy as np

from skeljax import errors
from skeljax.datasets import clip_list
from skeljax.datasets import collate
from skeljax.datasets import prepared
from skeljax.datasets import records
from skeljax.datasets import sampling as sampling_lib

Source = prepared.ClipSource | Sequence[records.Record]
Dataset = prepared.PreparedDataset | clip_list.ClipList

# Prefetched batches. One thread is enough: making a batch is Python code and
# memory copies, which hold the GIL. Worker processes give more throughput.
_READ_OPTIONS = grain.ReadOptions(num_threads=1, prefetch_buffer_size=2)
_BATCHES_PER_WORKER = 2


class BatchIterator(Iterator[collate.Batch]):
  """Iterator over batches; close() it, or use it in a `with` block.

  If it is not closed, it is closed before the interpreter shuts down, when the
  destructors of Grain's iterators would raise.
  """

  def __init__(self, batches: grain.DatasetIterator):
    self._batches = [batches]
    self._close = weakref.finalize(self, _close, self._batches)

  def __next__(self) -> collate.Batch:
    if not self._batches:
      raise ValueError('the iterator over batches is closed')
    return next(self._batches[0])

  def close(self) -> None:
    """Stop threads and workers; calling it again does nothing."""
    self._close()

  def __enter__(self) -> 'BatchIterator':
    return self

  def __exit__(self, *_) -> None:
    self.close()


def _close(batches: list[grain.DatasetIterator]) -> None:
  batches.pop().close()


def train_batches(
  dataset: prepared.PreparedDataset,
  sampling: sampling_lib.Sampling,
  *,
  batch_size: int,
  seed: int,
  num_persons: int,
  start_step: int = 0,
  num_workers: int = 0,
  needs_next: bool = False,
  process_index: int = 0,
  process_count: int = 1,
) -> BatchIterator:
  """Iterate over training batches without end.

  Args:
    dataset: its split 'train' is read.
    sampling: how frames are sampled; one view, whatever its num_clips.
    batch_size: global batch size, over all processes.
    seed: seed of order and frames; not negative.
    num_persons: M of the batch; clips with fewer are padded with zeros.
    start_step: step of the first batch.
    num_workers: worker processes; 0: a thread of this process.
    needs_next: add keypoint_next, for motion.
    process_index: part of the global batch to make.
    process_count: number of equal parts of the global batch.

  Returns:
    Batches of collate.collate, with index (row of the split) and mask [B].

  Raises:
    UserError: invalid settings, or a clip that does not fit.
  """
  if seed < 0:
    raise errors.UserError(f'seed={seed}: expected at least 0.')
  sampling = dataclasses.replace(sampling, num_clips=1)
  rows = _process_rows(batch_size, process_count)
  source = _open_split(dataset, 'train', sampling, num_persons)
  maker = _BatchMaker(source, sampling, num_persons, needs_next, rows, seed)
  parts = grain.MapDataset.range(sys.maxsize // batch_size)
  first = start_step * process_count + process_index
  return _iterate(parts[first::process_count].map(maker.train), num_workers)


def eval_batches(
  dataset: Dataset,
  sampling: sampling_lib.Sampling,
  *,
  batch_size: int,
  num_persons: int,
  split: str = 'val',
  num_workers: int = 0,
  needs_next: bool = False,
  process_index: int = 0,
  process_count: int = 1,
) -> BatchIterator:
  """Iterate once over the clips of a split, in order.

  Every process makes the same number of batches, `steps_per_eval`. The last
  batch is filled with clips from the beginning, whose mask is 0.

  Args:
    dataset: a prepared dataset, or clips in memory.
    sampling: how frames are sampled; test mode with num_clips views.
    batch_size: like the arguments that follow, as in train_batches.
    num_persons: M of the batch.
    split: 'train' or 'val'; clip_list.SPLIT for clips in memory.
    num_workers: worker processes.
    needs_next: add keypoint_next.
    process_index: part of the global batch to make.
    process_count: number of equal parts.

  Raises:
    UserError: invalid settings, or a clip that does not fit.
  """
  rows = _process_rows(batch_size, process_count)
  source = _open_split(dataset, split, sampling, num_persons)
  maker = _BatchMaker(source, sampling, num_persons, needs_next, rows)
  steps = -(-len(source) // batch_size)
  parts = grain.MapDataset.range(steps * process_count)
  return _iterate(
    parts[process_index::process_count].map(maker.evaluate), num_workers
  )


def steps_per_eval(dataset: Dataset, split: str, batch_size: int) -> int:
  """Return the number of batches of eval_batches."""
  return -(-dataset.num_clips[split] // batch_size)


@dataclasses.dataclass(frozen=True)
class _BatchMaker:
  """Makes the batches of one process; is sent to its workers.

  Part p of the stream of clips is its positions p * rows to (p + 1) * rows.

  Attributes:
    source: the clips of the split.
    sampling: how frames are sampled.
    num_persons: M.
    needs_next: whether to add the successor frames.
    rows: clips in one process's part of a global batch.
    seed: seed of the run; unused in evaluation.
  """

  source: Source
  sampling: sampling_lib.Sampling
  num_persons: int
  needs_next: bool
  rows: int
  seed: int = 0

  def train(self, part: int) -> collate.Batch:
    """Make a batch of random frames of shuffled clips."""
    num_clips = len(self.source)
    positions = part * self.rows + np.arange(self.rows)
    passes = (positions // num_clips).tolist()
    orders = [
      sampling_lib.pass_order(self.seed, number, num_clips)
      for number in range(passes[0], passes[-1] + 1)
    ]
    index = np.concatenate(orders)[positions - passes[0] * num_clips]
    clips, total_frames = self._read(index)
    uniforms = sampling_lib.clip_uniforms(
      self.seed,
      passes,
      [clip['position'] for clip in clips],
      self.sampling.num_uniforms,
    )
    frames = sampling_lib.train_frames(self.sampling, total_frames, uniforms)
    return self._collate(clips, frames[:, None], index, np.ones(self.rows))

  def evaluate(self, part: int) -> collate.Batch:
    """Make a batch of test frames of clips in order."""
    num_clips = len(self.source)
    positions = part * self.rows + np.arange(self.rows)
    # Padding rows are real clips, because zeros could become NaN.
    index = positions % num_clips
    clips, total_frames = self._read(index)
    frames = [
      sampling_lib.eval_frames(self.sampling, n) for n in total_frames.tolist()
    ]
    return self._collate(clips, np.stack(frames), index, positions < num_clips)

  def _read(self, index: np.ndarray) -> tuple[list[records.Record], np.ndarray]:
    clips = [self.source[i] for i in index.tolist()]
    for clip in clips:
      collate.check_clip(clip, self.sampling, self.num_persons)
    return clips, np.array([clip['total_frames'] for clip in clips], np.int32)

  def _collate(self, clips, frame_index, index, mask) -> collate.Batch:
    batch = collate.collate(
      clips,
      frame_index,
      self.sampling,
      num_persons=self.num_persons,
      needs_next=self.needs_next,
    )
    batch['index'] = index.astype(np.int32)
    batch['mask'] = mask.astype(np.float32)
    return batch


def _iterate(batches: grain.MapDataset, num_workers: int) -> BatchIterator:
  if num_workers < 0:
    raise errors.UserError(
      f'data.num_workers={num_workers}: expected at least 0.'
    )
  stream = batches.to_iter_dataset(_READ_OPTIONS)
  if num_workers:
    stream = stream.mp_prefetch(
      grain.multiprocessing.MultiprocessingOptions(
        num_workers, per_worker_buffer_size=_BATCHES_PER_WORKER
      )
    )
  return BatchIterator(iter(stream))


def _process_rows(batch_size: int, process_count: int) -> int:
  """Return the number of clips of a batch that one process makes."""
  if batch_size < 1 or batch_size % process_count:
    raise errors.UserError(
      f'batch_size={batch_size}: expected a positive multiple of the number of'
      f' processes, {process_count}.'
    )
  return batch_size // process_count


def _open_split(
  dataset: Dataset,
  split: str,
  sampling: sampling_lib.Sampling,
  num_persons: int,
) -> Source:
  """Open a split, and check all its clips if some may not fit."""
  source = dataset.source(split)
  if not len(source):
    raise errors.UserError(
      f'Split {split!r} of dataset {dataset.name!r} has no clips: check the'
      ' protocol it was prepared with.'
    )
  longest = sampling.longest_clip
  is_too_long = longest is not None and dataset.spec.max_frames > longest
  if is_too_long or dataset.spec.num_persons > num_persons:
    # The clip may be one of the other split. Reading all clips takes a while,
    # but an error in the middle of a run costs more.
    for i in range(len(source)):
      collate.check_clip(source[i], sampling, num_persons)
  return source
