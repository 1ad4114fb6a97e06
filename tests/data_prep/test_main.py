"""The command: what it says, what it leaves behind when it fails."""

import dataclasses
import os
import pathlib
import subprocess
import sys
import textwrap

from absl import logging
from array_record.python import array_record_module
import numpy as np
import pytest

from data_prep import demo
from data_prep import main
from data_prep import options as options_lib
from data_prep import shards
from data_prep import sources
from data_prep import workspace
from skeljax import errors
from skeljax.data import datasets

_REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


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


def _files(folder) -> dict[str, bytes]:
  return {
    str(path.relative_to(folder)): path.read_bytes()
    for path in pathlib.Path(folder).rglob('*')
    if path.is_file()
  }


@pytest.fixture
def log(caplog):
  """The text of our own log lines so far."""
  caplog.set_level('INFO', logger='absl')
  logging.set_verbosity(logging.INFO)
  return lambda: ' '.join(record.getMessage() for record in caplog.records)


def test_the_command_prepares_and_then_says_it_is_done(
  make_items, write_pickle, tmp_path
):
  flags = (
    f'--input={write_pickle(make_items(4))}',
    '--layout=nturgb+d',
    '--name=tiny',
    f'--output={tmp_path}/data',
  )
  first = _command(*flags)
  assert first.returncode == 0, first.stderr
  assert '3 train + 1 val clips, 3 classes' in first.stderr
  before = _files(tmp_path / 'data')
  second = _command(*flags)
  assert second.returncode == 0, second.stderr
  assert 'already prepared' in second.stderr
  assert _files(tmp_path / 'data') == before


@pytest.mark.parametrize('command', ['main', 'check'])
def test_help_lists_the_flags_of_every_source(command):
  done = subprocess.run(
    [sys.executable, '-m', f'data_prep.{command}', '--help'],
    cwd=_REPOSITORY,
    capture_output=True,
    text=True,
  )
  for source in sources.SOURCES.values():
    for choice in source.choices:
      assert f'--{choice}: ' in done.stdout
  for flag in ('source', 'input', 'layout', 'class_names', 'protocol'):
    assert f'--{flag}: ' in done.stdout


def test_a_mistyped_flag_is_an_error_with_a_proposal():
  done = _command('--nmae=x', '--source=demo', '--output=y')
  assert done.returncode == 2
  assert '--nmae=x is neither' in done.stderr
  assert 'Did you mean --name?' in done.stderr
  assert 'Traceback' not in done.stderr


def test_beams_own_flags_pass_and_others_do_not():
  main.reject_unknown(['--direct_num_workers=2', '--parallelism=3'], ['name'])
  with pytest.raises(errors.UserError, match='mean --direct_num_workers'):
    main.reject_unknown(['--direct_num_worker=2'], ['name'])
  with pytest.raises(errors.UserError, match='file.pkl is neither'):
    main.reject_unknown(['file.pkl'], ['name'])


@pytest.mark.parametrize(
  'changes, words',
  [
    (dict(layout='kinect'), 'nturgb+d'),
    (dict(layout=''), '--layout is missing'),
    (dict(layout='coco', normalize='mmaction1x'), 'no origin and no spine'),
    (dict(normalize='zscore'), 'none, mmaction0x, mmaction1x'),
    (dict(name='nw-ucla'), 'for example ntu60_xsub_3d'),
    (dict(name=''), '--name is missing'),
    (dict(output='gs://bucket/data'), 'local or mounted'),
    (dict(output=''), '--output is missing'),
    (dict(inputs={'': 'nowhere.pkl'}), 'there is no file nowhere.pkl'),
    (dict(source='video'), 'pickle, demo'),
    (dict(source='demo', inputs={}, layout='ucla'), 'nturgb+d, coco'),
  ],
)
def test_options_that_cannot_work_are_explained(
  changes, words, make_items, write_pickle, make_options, run
):
  with pytest.raises(errors.UserError) as caught:
    run(make_options(write_pickle(make_items(3)), **changes))
  assert words in str(caught.value)


def test_input_is_asked_for_or_refused():
  with pytest.raises(errors.UserError, match='--input is missing'):
    sources.parse_input('pickle', '')
  with pytest.raises(errors.UserError, match='leave out --input'):
    sources.parse_input('demo', 'a.pkl')
  assert sources.parse_input('pickle', 'train=a.pkl,val=b.pkl') == {
    'train': 'a.pkl',
    'val': 'b.pkl',
  }


def test_equal_fingerprint_means_already_prepared(
  make_items, write_pickle, make_options, run, log
):
  options = make_options(write_pickle(make_items(4)))
  run(options)
  before = _files(options.output)
  assert 'already prepared' not in log()
  run(options)
  assert 'already prepared' in log()
  run(dataclasses.replace(options, overwrite=True))
  assert _files(options.output) == before
  assert log().count('already prepared') == 2


def test_a_moved_input_is_the_same_input(
  make_items, write_pickle, make_options, run, log
):
  path = write_pickle(make_items(4))
  run(make_options(path))
  moved = path.rename(path.with_name('moved.pkl'))
  run(make_options(moved))
  assert 'already prepared' in log()


def test_other_options_are_an_error_unless_overwritten(
  make_items, write_pickle, make_options, run
):
  options = make_options(write_pickle(make_items(4)))
  run(options)
  before = _files(options.output)
  changed = dataclasses.replace(options, normalize='mmaction1x')
  with pytest.raises(errors.UserError) as caught:
    run(changed)
  assert 'normalize "none" then, "mmaction1x" now' in str(caught.value)
  assert '--overwrite' in str(caught.value)
  assert _files(options.output) == before
  run(dataclasses.replace(changed, overwrite=True))
  assert datasets.open_dataset(options.output, 'tiny').normalize == 'mmaction1x'
  assert os.listdir(options.output) == ['tiny']


def test_another_input_is_an_error(make_items, write_pickle, make_options, run):
  run(make_options(write_pickle(make_items(4))))
  other = write_pickle(make_items(5), 'other.pkl')
  with pytest.raises(errors.UserError, match='another input'):
    run(make_options(other))


def test_a_damaged_dataset_is_reported_and_mended_by_overwriting(
  make_items, write_pickle, make_options, run
):
  options = make_options(write_pickle(make_items(4)))
  run(options)
  path = datasets.open_dataset(options.output, 'tiny').shards['val'][0].path
  os.truncate(path, os.path.getsize(path) // 2)
  with pytest.raises(errors.UserError, match='--overwrite'):
    run(options)
  run(dataclasses.replace(options, overwrite=True))
  datasets.open_dataset(options.output, 'tiny')


def test_what_is_no_dataset_is_never_replaced(
  make_items, write_pickle, make_options, run, tmp_path
):
  mine = tmp_path / 'data' / 'tiny' / 'thesis.tex'
  mine.parent.mkdir(parents=True)
  mine.write_text('years of work')
  options = make_options(write_pickle(make_items(4)), overwrite=True)
  with pytest.raises(errors.UserError, match='left alone'):
    run(options)
  assert mine.read_text() == 'years of work'


def test_a_killed_preparation_leaves_nothing_half_published(
  make_items, write_pickle, make_options, run, tmp_path
):
  path = write_pickle(make_items(6))
  killed = _command(
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
  assert datasets.list_datasets(str(data)) == []
  run(make_options(path))
  assert os.listdir(data) == ['tiny']
  datasets.open_dataset(str(data), 'tiny')


def test_a_full_disk_is_one_paragraph_and_leaves_nothing(
  make_items, write_pickle, tmp_path
):
  items = make_items(30)
  for item in items:
    item['keypoint'] = np.repeat(item['keypoint'], 40, axis=1)
    item['total_frames'] *= 40
  done = _command(
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
  assert 'Nothing was published' in done.stderr
  assert 'Traceback' not in done.stderr
  assert os.listdir(tmp_path / 'data') == []


class _FullDisk:
  """A writer whose last bytes do not fit on the disk."""

  def __init__(self, path, options):
    self._writer = array_record_module.ArrayRecordWriter(path, options)

  def write(self, data):
    self._writer.write(data)

  def close(self):
    self._writer.close()
    raise RuntimeError('write() failed: No space left on device; writing x')


def test_a_disk_that_fills_up_late_keeps_the_old_dataset(
  make_items, write_pickle, make_options, run, monkeypatch
):
  options = make_options(write_pickle(make_items(4)))
  run(options)
  before = _files(options.output)
  fake = type('module', (), dict(vars(array_record_module)))
  fake.ArrayRecordWriter = _FullDisk
  monkeypatch.setattr(shards, 'array_record_module', fake)
  with pytest.raises(errors.UserError, match='No space left on device'):
    run(dataclasses.replace(options, normalize='mmaction0x', overwrite=True))
  assert _files(options.output) == before


def test_a_swap_that_was_cut_in_two_is_undone(
  make_items, write_pickle, make_options, run, log
):
  options = make_options(write_pickle(make_items(4)))
  run(options)
  before = _files(options.output)
  left = pathlib.Path(options.output) / '.preparing-tiny'
  left.mkdir()
  os.rename(pathlib.Path(options.output) / 'tiny', left / 'replaced')
  run(options)
  assert 'already prepared' in log()
  assert _files(options.output) == before


def test_two_preparations_of_one_name_wait_for_each_other(
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
  datasets.open_dataset(str(tmp_path / 'data'), 'tiny')


def test_the_demo_is_known_by_its_version(monkeypatch, make_options):
  options = make_options('', source='demo', inputs={})
  layout = options_lib.check_options(options)
  first = options_lib.describe(options, layout)
  assert first == options_lib.describe(options, layout)
  monkeypatch.setattr(demo, 'DEMO_VERSION', 'another')
  assert first != options_lib.describe(options, layout)


def test_clips_in_both_splits_and_missing_names_are_said_aloud(
  make_items, write_pickle, make_options, run, log
):
  items = make_items(4)
  split = dict(train=['clip00', 'clip01', 'clip02'], val=['clip02', 'clip03'])
  path = write_pickle(items, split=split, label_names=())
  run(make_options(path))
  assert '1 clips are in the training and in the validation split' in log()
  assert 'class_0 to class_2' in log()


def test_a_name_for_two_classes_is_refused(
  make_items, write_pickle, make_options, run
):
  path = write_pickle(make_items(4), label_names=['sit', 'stand', 'sit'])
  with pytest.raises(errors.UserError, match="'sit' more than once"):
    run(make_options(path))
