"""Time and memory of preparing a dataset of the size of NTU RGB+D 60.

  python benchmarks/prepare.py [--dir=DIR] [--clips=56880] [-- FLAGS]

Makes an annotation file of random float16 skeletons once, prepares it in a
process of its own as a user would, and prints seconds, seconds of CPU (the
figure to compare on a busy machine), peak memory (resident set size) and the
speed of reading the result. Flags after -- go to data_prep.main, for example
--normalize=mmaction0x.
"""

import argparse
import os
import pathlib
import pickle
import random
import shutil
import subprocess
import sys
import time

import numpy as np

from skeljax.data import datasets

NUM_CLASSES = 60
TRAIN_CLIPS = 40_091 / 56_578  # of cross-subject, the published share
NAME = 'benchmark'


def make_annotations(path: pathlib.Path, num_clips: int) -> None:
  """Clips [1-2, 40-130, 25, 3] float16 with the fields of ntu60_3d.pkl."""
  rng = np.random.default_rng(0)
  annotations, split = [], {'xsub_train': [], 'xsub_val': []}
  for i in range(num_clips):
    frames = int(rng.integers(40, 131))
    shape = (int(rng.integers(1, 3)), frames, 25, 3)
    sample_id = f'clip{i:06d}'
    annotations.append(
      dict(
        frame_dir=sample_id,
        label=int(rng.integers(NUM_CLASSES)),
        keypoint=rng.standard_normal(shape, np.float32).astype(np.float16),
        total_frames=frames,
      )
    )
    name = 'xsub_train' if i < num_clips * TRAIN_CLIPS else 'xsub_val'
    split[name].append(sample_id)
  partial = path.with_suffix('.partial')
  with partial.open('wb') as file:
    pickle.dump(dict(split=split, annotations=annotations), file, protocol=4)
  partial.rename(path)


def run(command: list[str]) -> tuple[float, float, float]:
  """Runs a command; returns seconds, seconds of CPU, and peak memory in GB."""
  start = time.monotonic()
  process = subprocess.Popen(command)
  _, status, usage = os.wait4(process.pid, 0)
  seconds = time.monotonic() - start
  if status:
    sys.exit(f'{" ".join(command)} ended with status {status}')
  cpu_seconds = usage.ru_utime + usage.ru_stime
  return seconds, cpu_seconds, usage.ru_maxrss * 1024 / 1e9  # Linux: KiB


def reading_speed(source: datasets.ClipSource, num_reads: int) -> float:
  """Clips a second in random order, one process."""
  order = [random.randrange(len(source)) for _ in range(num_reads)]
  start = time.monotonic()
  for index in order:
    source[index]
  return num_reads / (time.monotonic() - start)


def main() -> None:
  """Makes the input where it is missing, prepares it, prints the figures."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--dir', default='benchmark_data')
  parser.add_argument('--clips', type=int, default=56_880)
  parser.add_argument('flags', nargs='*')
  arguments = parser.parse_args()

  folder = pathlib.Path(arguments.dir)
  folder.mkdir(parents=True, exist_ok=True)
  annotations = folder / f'clips_{arguments.clips}.pkl'
  if not annotations.exists():
    print(f'making {annotations}')
    make_annotations(annotations, arguments.clips)
  shutil.rmtree(folder / NAME, ignore_errors=True)
  command = [
    *(sys.executable, '-m', 'data_prep.main', '--source=pickle'),
    *(f'--input={annotations}', '--protocol=xsub', '--layout=nturgb+d'),
    *(f'--name={NAME}', f'--output={folder}', *arguments.flags),
  ]
  print(' '.join(command))
  seconds, cpu_seconds, gigabytes = run(command)

  start = time.monotonic()
  dataset = datasets.open_dataset(str(folder), NAME)
  opening = time.monotonic() - start
  files = [f for f in pathlib.Path(dataset.directory).rglob('*') if f.is_file()]
  print(
    f'{arguments.clips} clips, input {annotations.stat().st_size / 1e9:.2f} GB,'
    f' output {sum(f.stat().st_size for f in files) / 1e9:.2f} GB:'
    f' {seconds:.0f} s ({cpu_seconds:.0f} s of CPU), peak memory {gigabytes:.2f} GB;'
    f' opening {1000 * opening:.0f} ms, reading'
    f' {reading_speed(dataset.source("train"), 5000):.0f} clips/s'
  )


if __name__ == '__main__':
  main()
