"""The command: what it says, and when it has nothing to do."""

import dataclasses
import os
import pathlib
import subprocess
import sys

import pytest

from data_prep import main
from data_prep import options as options_lib
from data_prep import sources
from data_prep.demo import annotations as demo
from skeljax import errors
from skeljax.datasets import prepared

_REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def test_the_command_prepares_and_then_says_it_is_done(
  make_items, write_pickle, tmp_path, run_command, files_in
):
  flags = (
    f'--input={write_pickle(make_items(4))}',
    '--layout=nturgb+d',
    '--name=tiny',
    f'--output={tmp_path}/data',
  )
  first = run_command(*flags)
  assert first.returncode == 0, first.stderr
  assert '3 train + 1 val clips, 3 classes' in first.stderr
  before = files_in(tmp_path / 'data')
  second = run_command(*flags)
  assert second.returncode == 0, second.stderr
  assert 'already prepared' in second.stderr
  assert files_in(tmp_path / 'data') == before


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


def test_a_mistyped_flag_is_an_error_with_a_proposal(run_command):
  done = run_command('--nmae=x', '--source=demo', '--output=y')
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
  make_items, write_pickle, make_options, run, log, files_in
):
  options = make_options(write_pickle(make_items(4)))
  run(options)
  before = files_in(options.output)
  assert 'already prepared' not in log()
  run(options)
  assert 'already prepared' in log()
  run(dataclasses.replace(options, overwrite=True))
  assert files_in(options.output) == before
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
  make_items, write_pickle, make_options, run, files_in
):
  options = make_options(write_pickle(make_items(4)))
  run(options)
  before = files_in(options.output)
  changed = dataclasses.replace(options, normalize='mmaction1x')
  with pytest.raises(errors.UserError) as caught:
    run(changed)
  assert 'normalize "none" then, "mmaction1x" now' in str(caught.value)
  assert '--overwrite' in str(caught.value)
  assert files_in(options.output) == before
  run(dataclasses.replace(changed, overwrite=True))
  assert (
    prepared.open_dataset(options.output, 'tiny').spec.normalize == 'mmaction1x'
  )
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
  path = prepared.open_dataset(options.output, 'tiny').shards['val'][0].path
  os.truncate(path, os.path.getsize(path) // 2)
  with pytest.raises(errors.UserError, match='--overwrite'):
    run(options)
  run(dataclasses.replace(options, overwrite=True))
  prepared.open_dataset(options.output, 'tiny')


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
