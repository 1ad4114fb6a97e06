"""Host batches: which clips, which frames, in which process; numpy only.

A batch is a pure function of (seed, step). Step s of a run takes the positions
s * B to (s + 1) * B of an endless stream of passes over the data, each pass in
an order of its own, and process i of n takes the i-th of n equal parts of the
batch. Nothing of this depends on how many workers or processes there are, so a
run resumes from its step number alone, also on another machine.

Whole batches are made at once, from a part number: one read, one draw of
frames for all clips, one copy into the batch.

NOTE: the order of a pass is sampling.pass_order, not Grain's shuffle. Grain
0.2.18 shuffles with a cipher of four rounds that leaves the orders of different
passes correlated: of 56,880 clips, two that met in a batch of 64 met again in
another pass up to four times as often as by chance, and the positions of a clip
in two passes correlated with 0.5.
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

Source = Sequence[records.Record]
Dataset = prepared.PreparedDataset | clip_list.ClipList

# Batches that are made ahead while the device computes. One thread is enough:
# making a batch is Python and memory copies, which take turns anyway; more
# throughput comes from worker processes.
_READ_OPTIONS = grain.ReadOptions(num_threads=1, prefetch_buffer_size=2)
_BATCHES_PER_WORKER = 2


class BatchIterator(Iterator[collate.Batch]):
  """Batches in order; close() it, or use it in a `with`.

  One that is forgotten is closed and let go before the interpreter is taken
  apart, when Grain's own iterators would raise from their destructors.
  """

  def __init__(self, batches: grain.DatasetIterator):
    self._held = [batches]
    self._close = weakref.finalize(self, _close_held, self._held)

  def __next__(self) -> collate.Batch:
    if not self._held:
      raise ValueError('the iterator over batches is closed')
    return next(self._held[0])

  def close(self) -> None:
    """Stops threads and workers; a second call does nothing."""
    self._close()

  def __enter__(self) -> 'BatchIterator':
    return self

  def __exit__(self, *_) -> None:
    self.close()


def _close_held(held: list[grain.DatasetIterator]) -> None:
  held.pop().close()


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
  """Training batches without end; close() the iterator after use.

  Every pass is shuffled by itself, so an epoch of several passes (`repeat`)
  needs nothing here; batches cross the ends of passes.

  Args:
    dataset: an open dataset; its split 'train' is read.
    sampling: how frames are chosen; one view, whatever num_clips says.
    batch_size: clips of the global batch, over all processes.
    seed: of the order and the frames; not negative.
    num_persons: M of the batch; clips with fewer are padded with zeros.
    start_step: the step whose batch comes first.
    num_workers: processes that make batches; 0: a thread of this one.
    needs_next: add keypoint_next, for motion; never with whole clips, where
      motion is taken between the chosen frames.
    process_index: which part of the global batch to make.
    process_count: into how many equal parts it is cut.

  Returns:
    Batches as collate.collate describes them, and index and mask [B].

  Raises:
    UserError: a setting or a clip does not fit; the text names the clip.
  """
  if seed < 0 or start_step < 0:
    raise errors.UserError(
      'seed and start_step must not be negative, but are '
      f'{seed} and {start_step}.'
    )
  sampling = dataclasses.replace(sampling, num_clips=1)
  rows = _process_rows(batch_size, process_index, process_count)
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
  """Each clip of a split once, in order, in the same steps for all processes.

  The last batch is filled up with clips from the beginning whose mask is 0.

  Args:
    dataset: an open dataset, or clips in memory.
    sampling: how frames are chosen; test mode with num_clips views.
    batch_size: as for train_batches, and so are those not named here.
    num_persons: as for train_batches.
    split: 'train' or 'val'; clip_list.SPLIT of clips in memory.

  Returns:
    steps_per_eval batches, like those of train_batches.

  Raises:
    UserError: a setting or a clip does not fit; the text names the clip.
  """
  rows = _process_rows(batch_size, process_index, process_count)
  source = _open_split(dataset, split, sampling, num_persons)
  maker = _BatchMaker(source, sampling, num_persons, needs_next, rows)
  steps = -(-len(source) // batch_size)
  parts = grain.MapDataset.range(steps * process_count)
  return _iterate(
    parts[process_index::process_count].map(maker.evaluate), num_workers
  )


def steps_per_eval(dataset: Dataset, split: str, batch_size: int) -> int:
  """Batches that eval_batches makes of a split."""
  return -(-dataset.num_clips[split] // batch_size)


@dataclasses.dataclass(frozen=True)
class _BatchMaker:
  """Makes the batches of one process; travels to its workers.

  Attributes:
    source: the clips of the split.
    sampling: how frames are chosen.
    num_persons: M.
    needs_next: whether to add the successor frames.
    rows: clips in one part of a global batch. Part p takes the places p * rows
      to (p + 1) * rows of the stream of clips.
    seed: of the run; unused in evaluation.
  """

  source: Source
  sampling: sampling_lib.Sampling
  num_persons: int
  needs_next: bool
  rows: int
  seed: int = 0

  def train(self, part: int) -> collate.Batch:
    """Random frames of shuffled clips, pass after pass."""
    num_clips = len(self.source)
    places = part * self.rows + np.arange(self.rows)
    passes = (places // num_clips).tolist()
    orders = [
      sampling_lib.pass_order(self.seed, number, num_clips)
      for number in range(passes[0], passes[-1] + 1)
    ]
    index = np.concatenate(orders)[places - passes[0] * num_clips]
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
    """Test-mode frames of the clips in order."""
    num_clips = len(self.source)
    places = part * self.rows + np.arange(self.rows)
    # Behind the last clip come real ones again, not zeros, which some features
    # would turn into NaN.
    index = places % num_clips
    clips, total_frames = self._read(index)
    frames = np.stack(
      [
        sampling_lib.eval_frames(self.sampling, n)
        for n in total_frames.tolist()
      ]
    )
    return self._collate(clips, frames, index, places < num_clips)

  def _read(self, index):
    index = index.tolist()
    if hasattr(self.source, '__getitems__'):
      clips = self.source.__getitems__(index)
    else:
      clips = [self.source[i] for i in index]
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
      f'num_workers must not be negative, but is {num_workers}.'
    )
  stream = batches.to_iter_dataset(_READ_OPTIONS)
  if num_workers:
    stream = stream.mp_prefetch(
      grain.multiprocessing.MultiprocessingOptions(
        num_workers, per_worker_buffer_size=_BATCHES_PER_WORKER
      )
    )
  return BatchIterator(iter(stream))


def _process_rows(
  batch_size: int, process_index: int, process_count: int
) -> int:
  """Clips of the global batch that one process makes."""
  if not 0 <= process_index < process_count:
    raise errors.UserError(
      f'process_index is {process_index}, which is not one of the '
      f'{process_count} processes.'
    )
  if batch_size < 1 or batch_size % process_count:
    raise errors.UserError(
      f'batch_size is {batch_size}, which cannot be cut into {process_count} '
      'equal parts, one a process; take a positive multiple of '
      f'{process_count}.'
    )
  return batch_size // process_count


def _open_split(
  dataset: Dataset,
  split: str,
  sampling: sampling_lib.Sampling,
  num_persons: int,
) -> Source:
  """The clips of a split, after a look at whether all of them fit."""
  source = dataset.source(split)
  if not len(source):
    raise errors.UserError(
      f'split {split!r} of dataset {dataset.name!r} has no clips; look at the '
      'protocol and the splits it was prepared with.'
    )
  longest = sampling.longest_clip
  too_long = longest is not None and dataset.spec.max_frames > longest
  if too_long or dataset.spec.num_persons > num_persons:
    # Some clip of the dataset does not fit, maybe one of the other split. To
    # look now takes a while, but an error in the middle of a run costs more.
    for i in range(len(source)):
      collate.check_clip(source[i], sampling, num_persons)
  return source
