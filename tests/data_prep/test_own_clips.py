"""Datasets of folders of clips."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest

from data_prep import own_clips
from skeljax import errors
from skeljax.datasets import prepared

NAMES = ('jump', 'sit down', 'wave')


def _write_clip(path, label, num_frames, num_persons=1, **changes):
  rng = np.random.default_rng([label, num_frames])
  shape = (num_persons, num_frames, 17, 2)
  path.parent.mkdir(parents=True, exist_ok=True)
  arrays = {
    'keypoint': rng.uniform(1, 400, shape).astype(np.float32),
    'keypoint_score': np.ones(shape[:3], np.float32),
    'img_shape': np.array([480, 640]),
    **changes,
  }
  np.savez(path, **arrays)


@pytest.fixture
def folder(tmp_path):
  """Thirty clips, ten per class, of five subjects, and their list."""
  root = tmp_path / 'clips'
  lines = ['file,label,subject']
  for i in range(30):
    file = f'day{i % 2}/c{i:02d}.npz'
    _write_clip(root / file, i % 3, 5 + i, num_persons=1 + 2 * (i % 4 == 0))
    lines.append(f'{file},{NAMES[i % 3]},s{i // 6}')
  (root / 'labels.csv').write_text('\n'.join(lines))
  return root


@pytest.fixture
def read(make_options):
  """Opens a folder of clips."""

  def read_folder(folder, **changes):
    options = make_options(folder, source='clips', layout='', **changes)
    return own_clips.read_dataset(options)

  return read_folder


@pytest.fixture
def prepare_clips(folder, make_options, run):
  """Prepares the folder as 'tiny'; returns the dataset."""

  def prepare(labels='labels.csv', **changes):
    options = make_options(
      folder,
      source='clips',
      layout='coco',
      labels=str(folder / labels) if labels else '',
      **changes,
    )
    run(options)
    return prepared.open_dataset(options.output, 'tiny')

  return prepare


def _ids(dataset, split):
  source = dataset.source(split)
  return [source[i]['id'] for i in range(len(source))]


def test_a_folder_and_a_list_become_a_dataset(folder, prepare_clips, capsys):
  dataset = prepare_clips()

  assert dataset.spec.class_names == NAMES
  assert dataset.num_clips == {'train': 24, 'val': 6}
  assert (dataset.spec.num_channels, dataset.spec.has_score) == (2, True)
  # Every fourth clip has three persons, two of which are kept.
  assert (dataset.spec.num_persons, dataset.spec.max_frames) == (2, 34)
  assert dataset.spec.has_img_shape
  ids = _ids(dataset, 'train') + _ids(dataset, 'val')
  assert sorted(ids) == sorted(f'day{i % 2}/c{i:02d}.npz' for i in range(30))
  who = [
    {int(pathlib.Path(i).stem[1:]) // 6 for i in _ids(dataset, split)}
    for split in prepared.SPLITS
  ]
  assert not who[0] & who[1]  # Subjects.
  record = dataset.source('val')[0]
  number = int(pathlib.Path(record['id']).stem[1:])
  assert dataset.spec.class_names[record['label']] == NAMES[number % 3]
  assert record['total_frames'] == 5 + number
  np.testing.assert_array_equal(record['img_shape'], [480, 640])
  stored = np.load(folder / record['id'])['keypoint']
  if len(stored) == 1:
    np.testing.assert_array_equal(record['keypoint'], stored)
  printed = ' '.join(capsys.readouterr().out.split())
  assert 'layout coco, 3 classes label class train val 0 jump 8 2' in printed
  assert 'all 24 6' in printed


def test_report_warns_of_small_and_empty_classes(folder, prepare_clips, capsys):
  lines = (folder / 'labels.csv').read_text().splitlines()
  lines = [line.rsplit(',', 1)[0] for line in lines]
  lines[1] = 'day0/c00.npz,climb'
  (folder / 'short.csv').write_text('\n'.join(lines))
  prepare_clips('short.csv')

  printed = ' '.join(capsys.readouterr().out.split())
  assert (
    'warning: fewer than 10 training clips: climb, jump, sit down, wave'
    in printed
  )
  assert 'warning: no validation clip: climb' in printed


def test_order_of_the_list_does_not_matter(read, folder, prepare_clips):
  header, *lines = (folder / 'labels.csv').read_text().splitlines()
  (folder / 'turned.csv').write_text('\n'.join([header, *lines[::-1]]))
  first, second = (
    read(folder, labels=str(folder / name))
    for name in ('labels.csv', 'turned.csv')
  )
  assert [(c.id, c.label) for c in first.clips] == [
    (c.id, c.label) for c in second.clips
  ]
  assert first.splits == second.splits
  assert first.class_names == second.class_names


def test_sub_folders_are_classes_without_a_list(read, tmp_path, log):
  for name, count in (('sit', 4), ('wave', 10)):
    for i in range(count):
      _write_clip(tmp_path / name / f'{i}.npz', 0, 3)
  _write_clip(tmp_path / 'loose.npz', 0, 3)
  (tmp_path / '.hidden').mkdir()
  (tmp_path / 'README.txt').touch()

  found = read(tmp_path)

  assert found.class_names == ('sit', 'wave')
  assert len(found.clips) == 14
  assert found.clips[0].id == 'sit/0.npz'
  assert [found.clips[i].label for i in (0, 4)] == [0, 1]
  # 0.2 of 14 clips are 3: one of 4 and two of 10.
  assert [found.clips[i].label for i in found.splits['val']] == [0, 1, 1]
  assert '1 clips of' in log() and 'left out: loose.npz' in log()


def test_clips_without_a_line_are_logged(read, folder, log):
  lines = (folder / 'labels.csv').read_text().splitlines()
  (folder / 'half.csv').write_text('\n'.join(lines[:-2]))
  read(folder, labels=str(folder / 'half.csv'))
  assert '2 clips of' in log()
  assert 'left out: day0/c28.npz, day1/c29.npz' in log()


def _with_splits(folder, *splits):
  files = [f'day{i % 2}/c{i:02d}.npz' for i in range(len(splits))]
  path = folder / 'split.csv'
  lines = [
    f'{file},go,{split},sam' for file, split in zip(files, splits, strict=True)
  ]
  path.write_text('\n'.join(['file,label,split,subject', *lines]))
  return str(path)


def test_a_split_column_decides(read, folder, log):
  labels = _with_splits(folder, 'train', 'val', 'train', 'test')
  found = read(folder, labels=labels)
  # By file: day0/c00, day0/c02, day1/c01, day1/c03.
  assert found.splits == {'train': [0, 1], 'val': [2], 'test': [3]}
  assert 'val is used for validation' in log()
  assert '1 subjects are in the training and in the validation split' in log()


@pytest.mark.parametrize(
  'splits, options, words',
  [
    (('train', 'train'), {}, 'only train'),
    (('val', 'test'), {}, 'only val and test'),
    (('train', 'val'), {'seed': 1}, 'has a split column'),
    (('train', 'val'), {'val_ratio': 0.2}, 'has a split column'),
  ],
)
def test_invalid_split_columns_are_explained(
  read, splits, options, words, folder
):
  labels = _with_splits(folder, *splits)
  with pytest.raises(errors.UserError, match=words):
    read(folder, labels=labels, **options)


def test_folders_without_clips_are_explained(read, tmp_path):
  with pytest.raises(errors.UserError, match='no sub-folders.*--labels'):
    read(tmp_path)
  (tmp_path / 'my.csv').touch()
  with pytest.raises(errors.UserError, match='Did you mean --labels=.*my.csv'):
    read(tmp_path)
  (tmp_path / 'sit').mkdir()
  with pytest.raises(errors.UserError, match='no sub-folders.*--labels'):
    read(tmp_path)
  _write_clip(tmp_path / 'sit' / 'a.npz', 0, 3)
  with pytest.raises(errors.UserError, match='only one clip, sit/a.npz'):
    read(tmp_path)
  _write_clip(tmp_path / 'go' / 'a.npz', 0, 3)
  with pytest.raises(errors.UserError, match='a single clip'):
    read(tmp_path)


def test_unused_list_is_logged(read, folder, log):
  found = read(folder)
  assert found.class_names == ('day0', 'day1')
  assert 'the labels are the names of the sub-folders. Did you mean' in log()
  assert f'--labels={folder}/labels.csv?' in log()


def test_names_that_differ_in_case_are_logged(read, tmp_path, log):
  for i, name in enumerate(('sit', 'Sit', 'sit')):
    _write_clip(tmp_path / name / f'{i}.npz', 0, 3)
  read(tmp_path)
  assert "labels 'Sit' and 'sit' differ only in case" in log()


def test_error_about_another_format_names_both_clips(folder, prepare_clips):
  shape = (1, 4, 17, 3)
  np.savez(folder / 'day1' / 'c05.npz', keypoint=np.ones(shape, np.float32))
  with pytest.raises(errors.UserError) as caught:
    prepare_clips(third_channel='coordinate')
  assert 'c05.npz' in str(caught.value)
  assert 'c00.npz' in str(caught.value)
  assert 'has 17 joints in 3D without scores' in str(caught.value)


def test_higher_precision_than_the_first_clip_is_an_error(
  folder, prepare_clips
):
  _write_clip(
    folder / 'day0' / 'c00.npz', 0, 3, keypoint=np.ones((1, 3, 17, 2), 'f2')
  )
  with pytest.raises(
    errors.UserError, match="float32.*c00.npz'. it is float16"
  ):
    prepare_clips()


def test_clip_in_another_format_is_an_error(read, folder):
  lines = (folder / 'labels.csv').read_text()
  (folder / 'z.skeleton').write_text('0\n')
  (folder / 'labels.csv').write_text(lines + '\nz.skeleton,wave,s4')
  found = read(folder, labels=str(folder / 'labels.csv'))
  with pytest.raises(errors.UserError, match='format ntu, expected array'):
    found.clips[30].read()


def test_empty_clips_are_named_or_dropped(folder, prepare_clips, log):
  for number in (0, 7):
    empty = np.zeros((1, 3, 17, 2), np.float32)
    file = folder / f'day{number % 2}' / f'c{number:02d}.npz'
    _write_clip(file, 0, 3, keypoint=empty)
  with pytest.raises(errors.UserError) as caught:
    prepare_clips()
  assert '2 clips are empty' in str(caught.value)
  assert 'c00.npz' in str(caught.value) and 'c07.npz' in str(caught.value)
  dataset = prepare_clips(drop_empty=True)
  assert sum(dataset.num_clips.values()) == 28
  assert 'dropped 2 empty clips' in log()


def test_damaged_clip_is_named_and_nothing_is_published(
  folder, prepare_clips, tmp_path
):
  path = folder / 'day1' / 'c11.npz'
  path.write_bytes(path.read_bytes()[:-200])
  with pytest.raises(errors.UserError, match='c11.npz'):
    prepare_clips()
  assert list((tmp_path / 'data').iterdir()) == []


def test_more_persons_are_kept_when_asked(prepare_clips):
  assert prepare_clips(max_persons=0).spec.num_persons == 3


def test_changed_clip_is_a_different_input(folder, prepare_clips, log):
  prepare_clips()
  # The list counts by its content, not its modification time.
  (folder / 'labels.csv').touch()
  (folder / '.DS_Store').touch()
  prepare_clips()
  assert 'already prepared' in log()
  _write_clip(folder / 'day0' / 'c00.npz', 0, 9)
  with pytest.raises(errors.UserError, match='different input'):
    prepare_clips()


def test_another_seed_is_another_dataset(prepare_clips):
  prepare_clips()
  with pytest.raises(errors.UserError, match='seed was null, is 1'):
    prepare_clips(seed=1)


def test_layout_follows_from_the_format(tmp_path, make_options, run):
  """OpenPose files contain the number of joints."""
  for clip in range(4):
    for frame in range(2):
      path = (
        tmp_path / 'in' / 'go' / f'{clip}' / f'x_{frame:012d}_keypoints.json'
      )
      path.parent.mkdir(parents=True, exist_ok=True)
      joints = [float(100 + clip + i) for i in range(75)]
      joints[2::3] = [0.9] * 25
      people = [{'person_id': [-1], 'pose_keypoints_2d': joints}]
      path.write_text(json.dumps({'version': 1.3, 'people': people}))
  options = make_options(
    tmp_path / 'in', source='clips', layout='', drop_empty=True
  )
  run(options)
  dataset = prepared.open_dataset(options.output, 'tiny')
  assert dataset.spec.layout.name == 'openpose-25'
  assert dataset.spec.has_score
  run(dataclasses.replace(options, source='clips', layout='openpose-25'))


def test_output_may_be_inside_of_the_input_with_a_list(
  folder, prepare_clips, log
):
  prepare_clips(output=str(folder / 'prepared'))
  prepare_clips(output=str(folder / 'prepared'))
  assert 'already prepared' in log()
  with pytest.raises(errors.UserError, match='is the --input'):
    prepare_clips(output=str(folder))


def test_output_must_not_be_a_class(folder, prepare_clips):
  with pytest.raises(errors.UserError, match='every sub-folder is a class'):
    prepare_clips(labels='', output=str(folder / 'prepared'))
  assert not (folder / 'prepared').exists()
