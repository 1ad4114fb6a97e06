"""Host batches: read clips, choose frames, pad persons, collate; numpy only.

A batch is a pure function of (seed, step). Step s of a run takes the positions
s * B to (s + 1) * B of an endless stream of passes over the data, each pass in
an order of its own, and process i of n takes the i-th of n equal parts of the
batch. Nothing of this depends on how many workers or processes there are, so a
run resumes from its step number alone, also on another machine.

NOTE: the order of a pass is sampling.pass_order, not Grain's shuffle. Grain
0.2.18 shuffles with a cipher of four rounds that leaves the orders of different
passes correlated: of 56,880 clips, two that met in a batch of 64 met again in
another pass up to four times as often as by chance, and the positions of a clip
in two passes correlated with 0.5.
"""

from collections.abc import Sequence
import dataclasses
import sys

import grain
import numpy as np

from skeljax import errors
from skeljax.data import datasets
from skeljax.data import records
from skeljax.data import sampling as sampling_lib

Batch = dict[str, np.ndarray]
Source = Sequence[records.Record]

# Batches that are made ahead while the device computes. One thread is enough:
# making a batch is Python and memory copies, which take turns anyway; more
# throughput comes from worker processes.
_READ_OPTIONS = grain.ReadOptions(num_threads=1, prefetch_buffer_size=2)
_BATCHES_PER_WORKER = 2


def train_batches(
  dataset: datasets.PreparedDataset,
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
  repeat: int = 1,
) -> grain.DatasetIterator[Batch]:
  """Training batches without end; close() the iterator after use.

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
    repeat: passes an epoch counts. Every pass is shuffled by itself, so this
      changes the number of steps of an epoch and nothing here.

  Returns:
    A closable iterator of batches, see `collate`.

  Raises:
    UserError: a setting or a clip does not fit; the text names the clip.
  """
  if seed < 0 or start_step < 0 or repeat < 1:
    raise errors.UserError(
      'seed and start_step must not be negative and repeat must be at least 1, '
      f'but they are {seed}, {start_step} and {repeat}.'
    )
  sampling = dataclasses.replace(sampling, num_clips=1)
  rows = _process_rows(batch_size, process_index, process_count)
  source = _open_split(dataset, 'train', sampling, num_persons)
  maker = _BatchMaker(source, sampling, num_persons, needs_next, rows, seed)
  parts = grain.MapDataset.range(sys.maxsize // batch_size)
  first = start_step * process_count + process_index
  return _iterate(parts[first::process_count].map(maker.train), num_workers)


def eval_batches(
  dataset: datasets.PreparedDataset,
  sampling: sampling_lib.Sampling,
  *,
  batch_size: int,
  num_persons: int,
  split: str = 'val',
  num_workers: int = 0,
  needs_next: bool = False,
  process_index: int = 0,
  process_count: int = 1,
) -> grain.DatasetIterator[Batch]:
  """Each clip of a split once, in order, in the same steps for all processes.

  The last batch is filled up with clips from the beginning whose mask is 0.

  Args:
    dataset: an open dataset.
    sampling: how frames are chosen; test mode with num_clips views.
    batch_size: as for train_batches, and so are those not named here.
    num_persons: as for train_batches.
    split: 'train' or 'val'.

  Returns:
    A closable iterator of steps_per_eval batches, see `collate`.

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


def steps_per_eval(
  dataset: datasets.PreparedDataset, split: str, batch_size: int
) -> int:
  """Batches that eval_batches makes of a split."""
  return -(-dataset.num_clips[split] // batch_size)


def check_clip(
  clip: records.Record, sampling: sampling_lib.Sampling, num_persons: int
) -> None:
  """Raises UserError for a clip that cannot go into a batch."""
  found = clip['keypoint'].shape[0]
  if found > num_persons:
    raise errors.UserError(
      f'clip {clip["id"]!r} has {found} persons, but num_persons is '
      f'{num_persons}; raise num_persons to at least {found}, or prepare the '
      'dataset again with fewer persons.'
    )
  if found < 1:
    raise errors.UserError(
      f'clip {clip["id"]!r} has no persons; leave it out when preparing the '
      'dataset.'
    )
  sampling_lib.check_clip(sampling, clip['id'], clip['total_frames'])


def collate(
  clips: Sequence[records.Record],
  frame_index: np.ndarray,
  sampling: sampling_lib.Sampling,
  *,
  num_persons: int,
  needs_next: bool = False,
) -> Batch:
  """The batch of some clips and the frames chosen from them.

  Args:
    clips: B records of one dataset that have passed check_clip.
    frame_index: [B, N, T] frames of each clip, -1 for a frame of zeros.
    sampling: says whether whole clips are shipped, and how long.
    num_persons: M, at least the persons of any clip.
    needs_next: add keypoint_next (and score_next); not with whole clips.

  Returns:
    keypoint [B, N, M, T, V, C] in the records' dtype; keypoint_next, the same
    for the frames that follow in the original clip (see sampling.successor);
    score and score_next [B, N, M, T, V] where records have scores;
    num_valid_persons [B], frame_index [B, N, T], total_frames [B], img_shape
    [B, 2] (height, width) and label [B], all int32. With whole clips keypoint
    is [B, 1, M, max_frames, V, C], zeros behind the last frame, likewise score.
  """
  total_frames = np.array([clip['total_frames'] for clip in clips], np.int32)
  batch = {
    'num_valid_persons': np.array(
      [clip['keypoint'].shape[0] for clip in clips], np.int32
    ),
    'frame_index': np.asarray(frame_index, np.int32),
    'total_frames': total_frames,
    'img_shape': np.array([clip['img_shape'] for clip in clips], np.int32),
    'label': np.array([clip['label'] for clip in clips], np.int32),
  }
  fields = {'keypoint': 'keypoint'}
  if 'keypoint_score' in clips[0]:
    fields['score'] = 'keypoint_score'
  for name, field in fields.items():
    arrays = [clip[field] for clip in clips]
    if sampling.whole_clip:
      batch[name] = _whole(arrays, num_persons, sampling.max_frames)
      continue
    batch[name] = _gather(arrays, frame_index, num_persons)
    if needs_next:
      following = sampling_lib.successor(
        frame_index, total_frames[:, None, None]
      )
      batch[f'{name}_next'] = _gather(arrays, following, num_persons)
  return batch


def _gather(
  arrays: Sequence[np.ndarray], frame_index: np.ndarray, num_persons: int
) -> np.ndarray:
  """[B, N, num_persons, T, ...] from [M, F, ...] each, by [B, N, T] indices."""
  b, num_views, clip_len = frame_index.shape
  shape = (b, num_views, num_persons, clip_len, *arrays[0].shape[2:])
  result = np.zeros(shape, arrays[0].dtype)
  missing = frame_index < 0
  any_missing = missing.any()
  for row, array in enumerate(arrays):
    for view in range(num_views):
      target = result[row, view, : len(array)]
      # 'clip' writes straight into the batch; 'raise' would copy through a
      # buffer. Indices are in range but for the -1 that are zeroed next.
      np.take(array, frame_index[row, view], 1, out=target, mode='clip')
      if any_missing:
        target[:, missing[row, view]] = 0
  return result


def _whole(
  arrays: Sequence[np.ndarray], num_persons: int, max_frames: int
) -> np.ndarray:
  """[B, 1, num_persons, max_frames, ...] from [M, F, ...] each."""
  shape = (len(arrays), 1, num_persons, max_frames, *arrays[0].shape[2:])
  result = np.zeros(shape, arrays[0].dtype)
  for row, array in enumerate(arrays):
    result[row, 0, : array.shape[0], : array.shape[1]] = array
  return result


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

  def train(self, part: int) -> Batch:
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

  def evaluate(self, part: int) -> Batch:
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
      check_clip(clip, self.sampling, self.num_persons)
    return clips, np.array([clip['total_frames'] for clip in clips], np.int32)

  def _collate(self, clips, frame_index, index, mask) -> Batch:
    batch = collate(
      clips,
      frame_index,
      self.sampling,
      num_persons=self.num_persons,
      needs_next=self.needs_next,
    )
    batch['index'] = index.astype(np.int32)
    batch['mask'] = mask.astype(np.float32)
    return batch


def _iterate(
  batches: grain.MapDataset[Batch], num_workers: int
) -> grain.DatasetIterator[Batch]:
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
  return iter(stream)


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
  dataset: datasets.PreparedDataset,
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
  too_long = longest is not None and dataset.max_frames > longest
  if too_long or dataset.num_persons > num_persons:
    # Some clip of the dataset does not fit, maybe one of the other split. To
    # look now takes a while, but an error in the middle of a run costs more.
    for i in range(len(source)):
      check_clip(source[i], sampling, num_persons)
  return source
