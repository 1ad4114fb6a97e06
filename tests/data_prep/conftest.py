"""Small annotation files, and preparing them in this process."""

import os
import pathlib
import pickle
import subprocess
import sys
import textwrap

from absl import logging
import numpy as np
import pytest

from data_prep import options as options_lib
from data_prep import prepare

NUM_CLASSES = 3

_REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def _make_item(name, label, shape, seed=0, dtype=np.float16, **fields):
  keypoint = np.random.default_rng([seed, label]).normal(size=shape)
  item = dict(
    frame_dir=name,
    label=label,
    total_frames=shape[1],
    keypoint=keypoint.astype(dtype),
  )
  return {**item, **fields}


@pytest.fixture
def make_item():
  """Makes an annotation with random keypoints of a shape [M, T, V, C]."""
  return _make_item


@pytest.fixture
def make_items():
  """Makes clips of 1 or 2 persons, 1 to 5 frames, 25 joints in 3D."""

  def make(num_clips: int = 10, **fields) -> list[dict]:
    return [
      _make_item(
        f'clip{i:02d}',
        i % NUM_CLASSES,
        (1 + i % 2, 1 + i % 5, 25, 3),
        seed=i,
        **fields,
      )
      for i in range(num_clips)
    ]

  return make


@pytest.fixture
def write_pickle(tmp_path):
  """Writes an annotation file whose last third of clips is for validation."""

  def write(items, name='annotations.pkl', **content) -> pathlib.Path:
    ids = [item['frame_dir'] for item in items]
    num_train = len(ids) - len(ids) // 3
    split = dict(train=ids[:num_train], val=ids[num_train:])
    whole = dict(split=split, label_names=['sit', 'stand', 'wave'])
    path = tmp_path / name
    with path.open('wb') as file:
      pickle.dump({**whole, 'annotations': items, **content}, file)
    return path

  return write


@pytest.fixture
def make_options(tmp_path):
  """Makes options for an annotation file: dataset 'tiny' in tmp_path/data."""

  def make(path, **changes) -> options_lib.Options:
    values = dict(
      source='pickle',
      input=str(path),
      layout='nturgb+d',
      name='tiny',
      output=str(tmp_path / 'data'),
    )
    return options_lib.Options(**{**values, **changes})

  return make


@pytest.fixture
def run():
  """Prepares in this process, on the local runner."""

  def prepare_locally(options: options_lib.Options, *beam_arguments) -> None:
    prepare.prepare(options, ['--runner=FnApiRunner', *beam_arguments])

  return prepare_locally


@pytest.fixture
def log(caplog):
  """The text of our own log lines so far."""
  caplog.set_level('INFO', logger='absl')
  logging.set_verbosity(logging.INFO)
  return lambda: ' '.join(record.getMessage() for record in caplog.records)


def _command(*arguments, before='', check=False):
  """Runs the command in a process of its own, after the code `before`."""
  code = textwrap.dedent(before) + textwrap.dedent(
    """
    from data_prep import main
    from skeljax import cli
    cli.run(main.main, main.define_flags, main.parse_known_flags)
    """
  )
  return subprocess.run(
    [sys.executable, '-c', code, *map(str, arguments)],
    env={**os.environ, 'PYTHONPATH': str(_REPOSITORY)},
    capture_output=True,
    text=True,
    check=check,
  )


@pytest.fixture
def run_command():
  """Runs data_prep.main in a process of its own."""
  return _command


def _files(folder) -> dict[str, bytes]:
  return {
    str(path.relative_to(folder)): path.read_bytes()
    for path in pathlib.Path(folder).rglob('*')
    if path.is_file()
  }


@pytest.fixture
def files_in():
  """What the files of a folder hold, by name."""
  return _files
