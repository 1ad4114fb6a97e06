"""Time and memory of preparing a dataset, by its size.

  python -m benchmarks.preparation [--clips=5688,56880] [-- FLAGS]
  python -m benchmarks.preparation --source=ntu --clips=500,5000

By default from an annotation pickle of random float16 skeletons like
ntu60_3d.pkl; with --source=ntu from a folder of raw .skeleton files, one per
clip. Each size is generated once, under --dir, and prepared in its own process as
a user would. Prints a row per size: seconds, CPU seconds (to compare on a busy
machine), clips per second, peak memory (largest resident set size of a process),
time to open the result and random reads per second of one process. Flags after --
are passed to data_prep.main, for example --normalize=mmaction0x.
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

from skeljax.datasets import prepared

NUM_CLASSES = 60
NUM_JOINTS = 25
TRAIN_CLIPS = 40_091 / 56_578  # The published share of cross-subject.
NAME = 'benchmark'
# Subjects of training and of validation in cross-subject.
_SUBJECTS = (1, 3)
_ROW = '| {:>7} | {:>7} | {:>7} | {:>7} | {:>7} | {:>9} | {:>7} | {:>8} |'


def make_pickle(path: pathlib.Path, num_clips: int) -> None:
  """Write clips [1-2, 40-130, 25, 3] float16 with the fields of ntu60_3d.pkl."""
  rng = np.random.default_rng(0)
  annotations, split = [], {'xsub_train': [], 'xsub_val': []}
  for i in range(num_clips):
    keypoint = _keypoint(rng).astype(np.float16)
    sample_id = f'clip{i:06d}'
    annotations.append(
      dict(
        frame_dir=sample_id,
        label=int(rng.integers(NUM_CLASSES)),
        keypoint=keypoint,
        total_frames=keypoint.shape[1],
      )
    )
    name = 'xsub_train' if i < num_clips * TRAIN_CLIPS else 'xsub_val'
    split[name].append(sample_id)
  with path.open('wb') as file:
    pickle.dump(dict(split=split, annotations=annotations), file, protocol=4)


def make_skeleton_files(folder: pathlib.Path, num_clips: int) -> None:
  """Write such clips as raw .skeleton files; at most 11,520."""
  rng = np.random.default_rng(0)
  folder.mkdir()
  for i in range(num_clips):
    rest, action = divmod(i, NUM_CLASSES)
    rest, camera = divmod(rest, 3)
    rest, replication = divmod(rest, 2)
    subject = _SUBJECTS[i >= num_clips * TRAIN_CLIPS]
    name = f'S{1 + rest:03d}C{1 + camera:03d}P{subject:03d}'
    name += f'R{1 + replication:03d}A{1 + action:03d}.skeleton'
    (folder / name).write_text(_skeleton_text(_keypoint(rng)))


def _keypoint(rng: np.random.Generator) -> np.ndarray:
  shape = (int(rng.integers(1, 3)), int(rng.integers(40, 131)), NUM_JOINTS, 3)
  return rng.standard_normal(shape, np.float32)


def _skeleton_text(keypoint: np.ndarray) -> str:
  num_persons, num_frames = keypoint.shape[:2]
  lines = [str(num_frames)]
  for frame in range(num_frames):
    lines.append(str(num_persons))
    for person in range(num_persons):
      lines.append(f'7205759403793{person:04d} 0 1 1 1 1 0 0.01 0.02 2')
      lines.append(str(NUM_JOINTS))
      for x, y, z in keypoint[person, frame]:
        rest = '268.1 207.2 1036.3 518.4 0.2 0.03 0.97 0.01 2'
        lines.append(f'{x:.8f} {y:.8f} {z:.8f} {rest}')
  return '\n'.join(lines) + '\n'


MAKERS = {'pickle': make_pickle, 'ntu': make_skeleton_files}
PROTOCOLS = {'pickle': 'xsub', 'ntu': 'ntu60_xsub'}


def run(command: list[str]) -> tuple[float, float, float]:
  """Run a command; return seconds, CPU seconds and peak memory in GB."""
  start = time.monotonic()
  process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
  output = process.stderr.read()
  _, status, usage = os.wait4(process.pid, 0)
  seconds = time.monotonic() - start
  if status:
    sys.exit(f'{" ".join(command)} failed:\n{output}')
  cpu_seconds = usage.ru_utime + usage.ru_stime
  return seconds, cpu_seconds, usage.ru_maxrss * 1024 / 1e9  # Linux: KiB


def reading_speed(source: prepared.ClipSource, num_reads: int) -> float:
  """Return clips per second in random order, one process."""
  order = [random.randrange(len(source)) for _ in range(num_reads)]
  start = time.monotonic()
  for index in order:
    source[index]
  return num_reads / (time.monotonic() - start)


def size_in_gb(path: pathlib.Path) -> float:
  files = [path] if path.is_file() else path.rglob('*')
  return sum(file.stat().st_size for file in files) / 1e9


def measure(
  folder: pathlib.Path, source: str, num_clips: int, flags: list[str]
) -> str:
  """Generate the input if missing, prepare it, and return a table row."""
  path = folder / f'{source}_{num_clips}'
  if not path.exists():
    partial = path.with_suffix('.partial')
    MAKERS[source](partial, num_clips)
    partial.rename(path)
  shutil.rmtree(folder / NAME, ignore_errors=True)
  seconds, cpu_seconds, gigabytes = run(
    [
      *(sys.executable, '-m', 'data_prep.main', f'--source={source}'),
      *(f'--input={path}', f'--protocol={PROTOCOLS[source]}'),
      *('--layout=nturgb+d', f'--name={NAME}', f'--output={folder}', *flags),
    ]
  )
  start = time.monotonic()
  dataset = prepared.open_dataset(str(folder), NAME)
  opening = time.monotonic() - start
  return _ROW.format(
    f'{num_clips:,}',
    f'{size_in_gb(path):.2f}',
    f'{seconds:.0f}',
    f'{cpu_seconds:.0f}',
    f'{num_clips / seconds:,.0f}',
    f'{gigabytes:.2f}',
    f'{1000 * opening:.0f}',
    f'{reading_speed(dataset.source("train"), 5000):,.0f}',
  )


def main() -> None:
  """Measure each size."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--dir', default='benchmark_data')
  parser.add_argument('--source', choices=MAKERS, default='pickle')
  parser.add_argument(
    '--clips', default='5688,56880', help='sizes, comma-separated'
  )
  parser.add_argument('flags', nargs='*')
  arguments = parser.parse_args()
  folder = pathlib.Path(arguments.dir)
  folder.mkdir(parents=True, exist_ok=True)
  header = (
    'clips, input GB, seconds, CPU s, clips/s, memory GB, open ms, reads/s'
  )
  print(_ROW.format(*header.split(', ')))
  print('|' + '---|' * 8)
  for num_clips in map(int, arguments.clips.split(',')):
    print(
      measure(folder, arguments.source, num_clips, arguments.flags), flush=True
    )


if __name__ == '__main__':
  main()
