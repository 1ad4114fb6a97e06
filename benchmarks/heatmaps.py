"""Clips per second from keypoints to batches of heatmaps, and mmaction2's.

    python -m benchmarks.heatmaps [--write=benchmarks/heatmaps.md]

The published training pipeline of PoseC3D (48 frames of 56 x 56 pixels, 17
joints or limbs, batches of 16), starting from records: skeljax reads an
ArrayRecord file, samples frames on the host and computes boxes, crops, flips and
heatmaps in one compiled program; mmaction2's transforms compute them in NumPy,
from annotations in memory. Both run in turns on one core, in one process; the
result is the median of several rounds. Needs mmaction2
(tests/oracle/requirements.txt); --nopublished times skeljax only, on the default
device of JAX.
"""

import copy
import importlib
import os
import statistics
import sys
import tempfile
import time
import types

from absl import app
from absl import flags
from array_record.python import array_record_module
import jax
import numpy as np

from benchmarks import input_pipeline
from skeljax import inputs
from skeljax import skeletons
from skeljax.datasets import pipeline
from skeljax.datasets import prepared
from skeljax.datasets import records
from skeljax.datasets import sampling
from skeljax.datasets.spec import DataSpec

COCO = skeletons.LAYOUTS['coco']
IMG_SHAPE = (1080, 1920)
NUM_FRAMES, NUM_CLIPS = 100, 64


def make_clips(persons: int) -> list[dict]:
  """Return records of people walking across the image, float16 as published."""
  rng = np.random.default_rng(0)
  clips = []
  for position in range(NUM_CLIPS):
    shape = (persons, NUM_FRAMES, COCO.num_joints)
    corner = rng.uniform([200, 200], [1200, 400], (persons, 1, 1, 2))
    pose = rng.uniform(0, [200, 400], (persons, 1, COCO.num_joints, 2))
    walk = np.cumsum(rng.standard_normal((*shape, 2)), axis=1)
    clips.append(
      {
        'id': f'clip{position:06d}',
        'position': position,
        'label': position % 60,
        'keypoint': (corner + pose + walk).astype(np.float16),
        'keypoint_score': rng.uniform(0.2, 1, shape).astype(np.float16),
        'img_shape': np.array(IMG_SHAPE, np.int32),
        'total_frames': NUM_FRAMES,
        'box': np.zeros(4, np.float32),
      }
    )
  return clips


class Ours:
  """skeljax: batches from the file, heatmaps from a compiled program."""

  def __init__(self, path: str, spec: DataSpec, stream: str):
    source = prepared.ClipSource([prepared.Shard(path, NUM_CLIPS)], spec)
    dataset = input_pipeline.BenchmarkDataset(source, spec)
    self._batches = pipeline.train_batches(
      dataset,
      sampling.Sampling('uniform', 48),
      batch_size=flags.FLAGS.batch_size,
      seed=0,
      num_persons=spec.num_persons,
    )
    heatmaps = inputs.Heatmaps(spec, stream)
    self._heatmaps = jax.jit(
      lambda batch, key: heatmaps(batch, rng=key, train=True)
    )
    self._step = 0
    self.batch()

  def batch(self) -> int:
    """Make one batch; return the bytes per clip sent to the device."""
    batch = next(self._batches)
    self._step += 1
    self._heatmaps(batch, jax.random.key(self._step)).block_until_ready()
    return sum(x.nbytes for x in batch.values()) // len(batch['label'])

  def close(self):
    self._batches.close()


class Published:
  """mmaction2: its transforms for each clip, then a batch of float32."""

  def __init__(self, clips: list[dict], stream: str):
    transforms = import_transforms()
    left, right = zip(*COCO.left_right)
    self._clips = clips
    self._steps = [
      transforms.UniformSampleFrames(clip_len=48),
      transforms.PoseDecode(),
      transforms.PoseCompact(hw_ratio=1.0, allow_imgpad=True),
      transforms.Resize(scale=(-1, 64)),
      transforms.RandomResizedCrop(area_range=(0.56, 1.0)),
      transforms.Resize(scale=(56, 56), keep_ratio=False),
      transforms.Flip(flip_ratio=0.5, left_kp=left, right_kp=right),
      transforms.GeneratePoseTarget(
        with_kp=stream == 'keypoint',
        with_limb=stream == 'limb',
        skeletons=COCO.limbs,
      ),
      transforms.FormatShape('NCTHW_Heatmap'),
    ]
    self._next = 0

  def batch(self) -> int:
    """Make one batch; return the bytes per clip to send to the device."""
    made = []
    for _ in range(flags.FLAGS.batch_size):
      clip = self._clips[self._next % len(self._clips)]
      self._next += 1
      results = copy.deepcopy(clip)
      results |= {
        'img_shape': IMG_SHAPE,
        'modality': 'Pose',
        'start_index': 0,
      }
      for step in self._steps:
        results = step.transform(results)
      made.append(results['imgs'][0])
    return np.stack(made).nbytes // len(made)


def import_transforms() -> types.ModuleType:
  """Import mmaction's; 1.2.0 lacks a folder that it imports, and needs NumPy 1."""
  for name in ('drn', 'drn.drn'):
    name = f'mmaction.models.localizers.{name}'
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].DRN = None
  np.Inf = np.inf
  return importlib.import_module('mmaction.datasets.transforms')


def measure(makers: dict) -> dict[str, tuple[float, float, float, int]]:
  """Return clips per second (median, min, max) and bytes per clip."""
  args = flags.FLAGS
  rates, sizes = {name: [] for name in makers}, {}
  # CPU time on one core is wall time without the other load of the machine.
  clock = time.process_time if args.published else time.perf_counter
  for _ in range(args.rounds):
    for name, maker in makers.items():
      # Several of ours, so that both take about as long.
      number = args.batches if name == 'skeljax' else 1
      start = clock()
      for _ in range(number):
        sizes[name] = maker.batch()
      seconds = clock() - start
      rates[name].append(number * args.batch_size / seconds)
  return {
    name: (statistics.median(x), min(x), max(x), sizes[name])
    for name, x in rates.items()
  }


def report(rows: list[tuple], device: str) -> str:
  """Return the table in Markdown."""
  lines = [
    '# Heatmaps, compared with mmaction2',
    '',
    'Clips per second from records to a batch of heatmaps, for the published',
    f'training pipeline of PoseC3D (48 x 56 x 56, batches of '
    f'{flags.FLAGS.batch_size}); made by',
    '`python -m benchmarks.heatmaps`. Median (min - max) of '
    f'{flags.FLAGS.rounds} rounds in turns; on one core',
    'in CPU seconds. Bytes per clip are sent from the host to the device: keypoints',
    'by skeljax, heatmaps by mmaction2. The ratio is our rate over theirs.',
    '',
    f'{device}, jax {jax.__version__}.',
    '',
    '| heatmaps of | persons | skeljax clips/s | bytes per clip | mmaction2'
    ' clips/s | bytes per clip | ratio |',
    '|---|---|---|---|---|---|---|',
  ]
  for stream, persons, results in rows:
    cells = [f'{stream}s', str(persons)]
    for median, low, high, size in results:
      cells += [f'{median:.1f} ({low:.1f} - {high:.1f})', f'{size:,}']
    if len(results) == 2:
      cells.append(f'**{results[0][0] / results[1][0]:.1f}**')
    else:
      cells += ['-', '-', '-']
    lines.append(f'| {" | ".join(cells)} |')
  return '\n'.join(lines) + '\n'


def main(_):
  """Print the table and write it to --write."""
  args = flags.FLAGS
  device = jax.devices()[0].device_kind
  if args.published:
    device = 'One core of ' + input_device()
  rows = []
  with tempfile.TemporaryDirectory() as folder:
    for persons in map(int, args.persons):
      clips = make_clips(persons)
      path = os.path.join(folder, f'{persons}.array_record')
      spec = DataSpec(
        COCO,
        ('a',),
        num_channels=2,
        num_persons=persons,
        max_frames=NUM_FRAMES,
        keypoint_dtype='float16',
        score_dtype='float16',
      )
      writer = array_record_module.ArrayRecordWriter(path, 'group_size:1')
      for clip in clips:
        writer.write(records.encode(clip, spec))
      writer.close()
      for stream in ('keypoint', 'limb'):
        makers = {'skeljax': Ours(path, spec, stream)}
        if args.published:
          makers['mmaction2'] = Published(clips, stream)
        rows.append((stream, persons, list(measure(makers).values())))
        print(*rows[-1], flush=True)
        makers['skeljax'].close()
  table = report(rows, device)
  print(table)
  if args.write:
    with open(args.write, 'w', encoding='utf-8') as f:
      f.write(table)


def input_device() -> str:
  """Return the name of the processor (Linux)."""
  with open('/proc/cpuinfo', encoding='utf-8') as f:
    names = [line for line in f if line.startswith('model name')]
  return names[0].split(':')[1].strip() if names else 'an unknown processor'


if __name__ == '__main__':
  flags.DEFINE_integer('batch_size', 16, 'Clips in a batch.')
  flags.DEFINE_integer('batches', 4, 'Batches of ours that a round times.')
  flags.DEFINE_integer('rounds', 5, 'How often both are timed.')
  flags.DEFINE_list('persons', ['1', '2'], 'Persons in a clip.')
  flags.DEFINE_bool(
    'published', True, 'Whether to time mmaction2, on one core.'
  )
  flags.DEFINE_string('write', '', 'Markdown file to write.')
  if '--nopublished' not in sys.argv:
    # Before a backend starts its threads, which then share this core.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
  app.run(main)
