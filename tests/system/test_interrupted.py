"""Killed preparations and full disks leave nothing half-written."""

import dataclasses
import os
import pathlib
import subprocess
import sys

from array_record.python import array_record_module
import numpy as np
import pytest

from data_prep import shards
from data_prep import workspace
from skeljax import errors
from skeljax.datasets import prepared

_REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def test_killed_preparation_publishes_nothing(
  make_items, write_pickle, make_options, run, tmp_path, run_command
):
  path = write_pickle(make_items(6))
  killed = run_command(
    f'--input={path}',
    '--layout=nturgb+d',
    '--name=tiny',
    f'--output={tmp_path}/data',
    '--num_shards=2',
    before="""
    import os, signal
    from data_prep import shards
    write_shard, done = shards.write_shard, []
    def write_one_shard(task):
      if done:
        os.kill(os.getpid(), signal.SIGKILL)
      done.append(task)
      return write_shard(task)
    shards.write_shard = write_one_shard
    """,
  )
  assert killed.returncode == -9
  data = tmp_path / 'data'
  assert os.listdir(data) == ['.preparing-tiny']
  assert prepared.list_datasets(str(data)) == []
  run(make_options(path))
  assert os.listdir(data) == ['tiny']
  prepared.open_dataset(str(data), 'tiny')


def test_full_disk_is_a_user_error_and_leaves_nothing(
  make_items, write_pickle, tmp_path, run_command
):
  items = make_items(30)
  for item in items:
    item['keypoint'] = np.repeat(item['keypoint'], 40, axis=1)
    item['total_frames'] *= 40
  done = run_command(
    f'--input={write_pickle(items)}',
    '--layout=nturgb+d',
    '--name=tiny',
    f'--output={tmp_path}/data',
    before="""
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300000, 300000))
    """,
  )
  assert done.returncode == 2, done.stderr
  # The message is wrapped.
  assert 'Nothing was published' in ' '.join(done.stderr.split())
  assert 'Traceback' not in done.stderr
  assert os.listdir(tmp_path / 'data') == []


class _FullDisk:
  """A writer that fails when it is closed."""

  def __init__(self, path, options):
    self._writer = array_record_module.ArrayRecordWriter(path, options)

  def write(self, data):
    self._writer.write(data)

  def close(self):
    self._writer.close()
    raise RuntimeError('write() failed: No space left on device; writing x')


def test_disk_that_fills_up_late_keeps_the_old_dataset(
  make_items, write_pickle, make_options, run, monkeypatch, files_in
):
  options = make_options(write_pickle(make_items(4)))
  run(options)
  before = files_in(options.output)
  fake = type('module', (), dict(vars(array_record_module)))
  fake.ArrayRecordWriter = _FullDisk
  monkeypatch.setattr(shards, 'array_record_module', fake)
  with pytest.raises(errors.UserError, match='No space left on device'):
    run(dataclasses.replace(options, normalize='mmaction0x', overwrite=True))
  assert files_in(options.output) == before


def test_interrupted_swap_is_undone(
  make_items, write_pickle, make_options, run, log, files_in
):
  options = make_options(write_pickle(make_items(4)))
  run(options)
  before = files_in(options.output)
  left = pathlib.Path(options.output) / '.preparing-tiny'
  left.mkdir()
  os.rename(pathlib.Path(options.output) / 'tiny', left / 'replaced')
  run(options)
  assert 'already prepared' in log()
  assert files_in(options.output) == before


def test_preparations_of_the_same_name_wait_for_each_other(
  make_items, write_pickle, tmp_path
):
  flags = (
    f'--input={write_pickle(make_items(4))}',
    '--layout=nturgb+d',
    '--name=tiny',
    f'--output={tmp_path}/data',
  )
  with workspace.Workspace(str(tmp_path / 'data'), 'tiny'):
    waiting = subprocess.Popen(
      [sys.executable, '-m', 'data_prep.main', *flags],
      cwd=_REPOSITORY,
      stderr=subprocess.PIPE,
      text=True,
    )
    for line in waiting.stderr:
      if 'waiting for another process' in line:
        break
    assert waiting.poll() is None
  waiting.stderr.read()
  assert waiting.wait() == 0
  prepared.open_dataset(str(tmp_path / 'data'), 'tiny')
