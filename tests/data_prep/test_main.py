"""The command: options, errors, and datasets that exist already."""

import dataclasses
import os
import pathlib
import re
import subprocess
import sys

import pytest

from data_prep import check
from data_prep import main
from data_prep import options as options_lib
from data_prep import sources
from data_prep.demo import annotations as demo
from skeljax import errors
from skeljax.datasets import prepared

_REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def test_command_prepares_a_dataset_once(
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
def test_help_lists_a_flag_per_option(command):
  done = subprocess.run(
    [sys.executable, '-m', f'data_prep.{command}', '--help'],
    cwd=_REPOSITORY,
    capture_output=True,
    text=True,
  )
  left_out = check._NOT_CHECKED if command == 'check' else ()
  for field in dataclasses.fields(options_lib.Options):
    flag = field.name
    has_flag = re.search(rf'--(\[no\])?{flag}: ', done.stdout) is not None
    assert has_flag == (flag not in left_out), flag


def test_mistyped_flag_is_an_error_with_a_suggestion(run_command):
  done = run_command('--nmae=x', '--source=demo', '--output=y')
  assert done.returncode == 2
  assert '--nmae=x is not a flag' in done.stderr
  assert 'Did you mean --name?' in done.stderr
  assert 'Traceback' not in done.stderr


def test_only_flags_of_beam_are_passed_on():
  main.reject_unknown(['--direct_num_workers=2', '--parallelism=3'], ['name'])
  with pytest.raises(errors.UserError, match='mean --direct_num_workers'):
    main.reject_unknown(['--direct_num_worker=2'], ['name'])
  with pytest.raises(errors.UserError, match='file.pkl is not a flag'):
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
    (dict(input='nowhere.pkl'), 'nowhere.pkl: no such file'),
    (dict(source='video'), 'pickle, demo'),
    (dict(source='demo', layout='ucla'), 'nturgb+d, coco'),
  ],
)
def test_invalid_options_are_explained(
  changes, words, make_items, write_pickle, make_options, run
):
  path = write_pickle(make_items(3))
  with pytest.raises(errors.UserError) as caught:
    run(
      make_options(path if changes.get('source') != 'demo' else '', **changes)
    )
  assert words in str(caught.value)


def test_input_is_required_except_for_the_demo():
  with pytest.raises(errors.UserError, match='--input is missing'):
    options_lib.Options().check_input()
  with pytest.raises(errors.UserError, match='Remove --input'):
    options_lib.Options(source='demo', input='a.pkl')
  options = options_lib.Options(input='train=a.pkl,val=b.pkl')
  assert options.inputs == {'train': 'a.pkl', 'val': 'b.pkl'}


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


def test_moved_input_is_the_same_input(
  make_items, write_pickle, make_options, run, log
):
  path = write_pickle(make_items(4))
  run(make_options(path))
  moved = path.rename(path.with_name('moved.pkl'))
  run(make_options(moved))
  assert 'already prepared' in log()


def test_other_options_are_an_error_without_overwrite(
  make_items, write_pickle, make_options, run, files_in
):
  options = make_options(write_pickle(make_items(4)))
  run(options)
  before = files_in(options.output)
  changed = dataclasses.replace(options, normalize='mmaction1x')
  with pytest.raises(errors.UserError) as caught:
    run(changed)
  assert 'normalize was "none", is "mmaction1x"' in str(caught.value)
  assert '--overwrite' in str(caught.value)
  assert files_in(options.output) == before
  run(dataclasses.replace(changed, overwrite=True))
  assert (
    prepared.open_dataset(options.output, 'tiny').spec.normalize == 'mmaction1x'
  )
  assert os.listdir(options.output) == ['tiny']


def test_different_input_is_an_error(
  make_items, write_pickle, make_options, run
):
  run(make_options(write_pickle(make_items(4))))
  other = write_pickle(make_items(5), 'other.pkl')
  with pytest.raises(errors.UserError, match='different input'):
    run(make_options(other))


def test_damaged_dataset_is_reported_and_can_be_overwritten(
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


def test_other_folders_are_never_replaced(
  make_items, write_pickle, make_options, run, tmp_path
):
  mine = tmp_path / 'data' / 'tiny' / 'thesis.tex'
  mine.parent.mkdir(parents=True)
  mine.write_text('years of work')
  options = make_options(write_pickle(make_items(4)), overwrite=True)
  with pytest.raises(errors.UserError, match='not replaced'):
    run(options)
  assert mine.read_text() == 'years of work'


def test_version_of_the_demo_is_part_of_the_fingerprint(
  monkeypatch, make_options
):
  options = make_options('', source='demo')
  layout = sources.require_layout(options)
  first = options.describe(layout)
  assert first == options.describe(layout)
  monkeypatch.setattr(demo, 'DEMO_VERSION', 'another')
  assert first != options.describe(layout)


def test_clips_in_both_splits_and_missing_names_are_logged(
  make_items, write_pickle, make_options, run, log
):
  items = make_items(4)
  split = dict(train=['clip00', 'clip01', 'clip02'], val=['clip02', 'clip03'])
  path = write_pickle(items, split=split, label_names=())
  run(make_options(path))
  assert '1 clips are in the training and in the validation split' in log()
  assert 'class_0 to class_2' in log()


def test_duplicate_class_name_is_an_error(
  make_items, write_pickle, make_options, run
):
  path = write_pickle(make_items(4), label_names=['sit', 'stand', 'sit'])
  with pytest.raises(errors.UserError, match="'sit' occurs twice"):
    run(make_options(path))
