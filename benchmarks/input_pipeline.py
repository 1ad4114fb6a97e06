"""Clips per second of the input pipeline, for records like NTU RGB+D's.

    python -m benchmarks.input_pipeline [--num_workers=0,2] [--frames=uniform]

Writes clips of 2 x 100 x 25 x 3 numbers (--persons, --length, --joints,
--channels) to an ArrayRecord file in a temporary directory, as data_prep would,
and reads them as training batches, once with no other load ('alone') and once
with a main thread that computes all the time ('busy'), as a training loop on the
CPU does. The first batches of each run are not counted: starting a worker
process takes seconds.
"""

import os
import tempfile
import time

from absl import app
from absl import flags
from array_record.python import array_record_module
import numpy as np

from skeljax import skeletons
from skeljax.datasets import pipeline
from skeljax.datasets import prepared
from skeljax.datasets import records
from skeljax.datasets import sampling
from skeljax.datasets.spec import DataSpec


class MemorySource:
  """Decoded records, which leave only the pipeline itself."""

  def __init__(self, clips):
    self._clips = clips

  def __len__(self):
    return len(self._clips)

  def __getitem__(self, index):
    return self._clips[index]


def make_clips(num_clips, persons, length, joints, channels):
  """Yield records of noise: reading time depends on their size only."""
  rng = np.random.default_rng(0)
  for position in range(num_clips):
    keypoint = rng.standard_normal((persons, length, joints, channels))
    yield {
      'id': f'clip{position:06d}',
      'position': position,
      'label': position % 60,
      'keypoint': keypoint.astype(np.float32),
      'img_shape': np.zeros(2, np.int32),
      'total_frames': length,
      'box': np.zeros(4, np.float32),
    }


class BenchmarkDataset:
  """The part of a PreparedDataset that the pipeline uses."""

  name = 'benchmark'

  def __init__(self, source, spec):
    self._source = source
    self.spec = spec
    self.num_clips = {'train': len(source)}

  def source(self, split):
    del split
    return self._source


def clips_per_second(dataset, options, num_workers, batch_size, steps, busy):
  """Return the rate of `steps` batches after some warm-up, and time waiting."""
  batches = pipeline.train_batches(
    dataset,
    options,
    batch_size=batch_size,
    seed=0,
    num_persons=dataset.spec.num_persons,
    num_workers=num_workers,
  )
  matrix = np.ones((300, 300), np.float32)
  for _ in range(max(4, 4 * num_workers)):
    next(batches)
  waited = 0.0
  start = time.perf_counter()
  for _ in range(steps):
    asked = time.perf_counter()
    next(batches)
    waited += time.perf_counter() - asked
    if busy:
      until = time.perf_counter() + 0.05
      while time.perf_counter() < until:
        matrix @ matrix
  seconds = time.perf_counter() - start
  batches.close()
  return steps * batch_size / seconds, waited / seconds


def main(_):
  """Print a line for each source, number of workers and load."""
  args = flags.FLAGS
  shape = (args.persons, args.length, args.joints, args.channels)
  clips = list(make_clips(args.clips, *shape))
  spec = DataSpec(
    skeletons.get_layout('nturgb+d'),
    ('a',),
    args.channels,
    args.persons,
    args.length,
  )
  options = sampling.Sampling(frames=args.frames, clip_len=args.clip_len)
  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, 'clips.array_record')
    writer = array_record_module.ArrayRecordWriter(path, 'group_size:1')
    for clip in clips:
      writer.write(records.encode(clip, spec))
    writer.close()
    files = prepared.ClipSource([prepared.Shard(path, len(clips))], spec)
    sources = {'memory': MemorySource(clips), 'array_record': files}
    print(f'{args.clips} clips {shape}, {args.frames} {args.clip_len} frames,')
    print(f'batches of {args.batch_size}, {os.cpu_count()} cores; clips/s')
    for name, source in sources.items():
      dataset = BenchmarkDataset(source, spec)
      for num_workers in map(int, args.num_workers):
        for busy in (False, True):
          rate, waiting = clips_per_second(
            dataset, options, num_workers, args.batch_size, args.steps, busy
          )
          print(
            f'{name:12} {num_workers} workers, {"busy" if busy else "alone":5}'
            f' {rate:8.0f} clips/s, {waiting:4.0%} of the time waiting'
          )


if __name__ == '__main__':
  flags.DEFINE_integer('clips', 2000, 'Clips in the dataset.')
  flags.DEFINE_integer('persons', 2, 'Persons in a clip.')
  flags.DEFINE_integer('length', 100, 'Frames in a clip.')
  flags.DEFINE_integer('joints', 25, 'Joints of a person.')
  flags.DEFINE_integer('channels', 3, 'Coordinates of a joint.')
  flags.DEFINE_integer('clip_len', 100, 'Frames sampled per clip.')
  flags.DEFINE_enum(
    'frames', 'uniform', sampling.FRAMES, 'How to sample frames.'
  )
  flags.DEFINE_integer('batch_size', 64, 'Clips in a batch.')
  flags.DEFINE_integer('steps', 50, 'Timed batches.')
  flags.DEFINE_list('num_workers', ['0', '2'], 'Numbers of worker processes.')
  app.run(main)
