"""data_prep.check: findings about annotation files, and the exit status."""

import os
import pathlib
import pickle
import subprocess
import sys

import numpy as np
import pytest

from data_prep import check
from data_prep import options as options_lib
from skeljax import errors

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def good_file(num_joints=25, num_channels=3):
  """Six clips of two classes: four to train on, two to validate."""
  rng = np.random.default_rng(0)
  annotations = [
    dict(
      frame_dir=f'clip{i}',
      label=i % 2,
      total_frames=5 + i,
      keypoint=rng.normal(size=(1 + i % 2, 5 + i, num_joints, num_channels)),
    )
    for i in range(6)
  ]
  for item in annotations:
    item['keypoint'] = item['keypoint'].astype(np.float16)
  names = [f'clip{i}' for i in range(6)]
  return dict(
    split={'xsub_train': names[:4], 'xsub_val': names[4:]},
    annotations=annotations,
    label_names=['sit', 'stand'],
  )


def run(tmp_path, value, **options):
  """The report on one line, and the number of errors."""
  path = tmp_path / 'a.pkl'
  path.write_bytes(pickle.dumps(value))
  text, num_errors = check.check(
    options_lib.Options(input=str(path), **options)
  )
  return ' '.join(text.split()), num_errors


def test_a_good_file(tmp_path):
  text, num_errors = run(tmp_path, good_file(), layout='nturgb+d')

  assert num_errors == 0
  for words in (
    'a.pkl clips 6',
    'classes 2 labels, 0 to 1; 2 names',
    'persons 1 (3 clips), 2 (3 clips)',
    'frames 5 / 8 / 10 (min / median / max)',
    'joints 25 (layout nturgb+d: 25) channels 3 scores none type float16',
    'xsub_train 4 2 5 / 6 / 8',
    'xsub_val 2 2 9 / 10 / 10',
    'No errors (0 notes).',
  ):
    assert words in text


def test_published_file_has_no_errors():
  folder = os.environ.get('SKELJAX_TEST_DATA', '')
  path = pathlib.Path(folder) / 'nw_ucla_3d.pkl'
  if not folder or not path.is_file():
    pytest.skip('SKELJAX_TEST_DATA is not a folder with nw_ucla_3d.pkl')
  text, num_errors = check.check(
    options_lib.Options(
      input=str(path), layout='ucla', protocol='xview', normalize='mmaction0x'
    )
  )
  assert num_errors == 0
  assert '1,020' in text and '464' in text and '1 / 31 / 201' in text


def change(position, **fields):
  def apply(value):
    value['annotations'][position].update(fields)

  return apply


def keypoint(fill, shape=(1, 4, 25, 3), dtype=np.float16):
  return dict(keypoint=np.full(shape, fill, dtype), total_frames=shape[1])


def split(name, ids):
  def apply(value):
    value['split'][name] = ids

  return apply


def rename_all(value):
  value['split'] = {'training': ['clip0'], 'testing': ['clip1']}


@pytest.mark.parametrize(
  'damage, words',
  [
    (
      change(1, **keypoint(np.nan)),
      "1 clip cannot be used (NaN). It: FILE, sample 'clip1': 'keypoint'"
      ' contains 300 NaN, first at person 0, frame 0, joint 0. Missing joints must be'
      ' zero',
    ),
    (change(1, **keypoint(np.inf)), 'cannot be used (overflow)'),
    (change(1, **keypoint(0)), 'cannot be used (empty)'),
    (
      change(1, **keypoint(0)),
      '--drop_empty drops clips without any person',
    ),
    (change(1, **keypoint(1, (1, 0, 25, 3))), 'cannot be used (empty)'),
    (change(1, **keypoint(1, (4, 25, 3))), 'cannot be used (shape)'),
    (
      change(1, **keypoint(1, (1, 4, 20, 3))),
      "'keypoint' has 20 joints and layout 'nturgb+d' has 25. Layouts with 20"
      ' joints: ucla',
    ),
    (
      change(4, label=2),
      "sample 'clip4': 'label' is 2. Expected 0 to 1, as there are 2 classes",
    ),
    (change(4, label='sit'), "'label' is 'sit'. Expected an integer"),
    (change(0, total_frames=99), "'total_frames' is 99 and 'keypoint' has 5"),
    (
      split('xsub_val', ['clip4', 'ghost', 'gone']),
      'Split xsub_val lists 2 ids without an annotation: ghost, gone. Remove'
      ' them',
    ),
    (split('xsub_val', []), 'Split xsub_val has no clips'),
    (
      split('xsub_val', ['clip3', 'clip4']),
      '1 clip of xsub_val also in xsub_train: clip3. Remove them',
    ),
    (
      change(1, frame_dir='clip0'),
      'Split xsub_train lists 1 ids several times: clip0. Every clip needs',
    ),
    (
      change(5, **keypoint(1, (1, 4, 25, 2))),
      "sample 'clip5': has 25 joints in 2D without scores, the first clip (FILE,"
      " sample 'clip0') has 25 joints in 3D without scores. Prepare them",
    ),
    (
      change(
        5, **keypoint(1, (1, 4, 25, 2)), keypoint_score=np.ones((1, 4, 25))
      ),
      "sample 'clip5': has 25 joints in 2D with scores, the first clip",
    ),
    (rename_all, 'No two of the splits training, testing are a protocol'),
  ],
)
def test_errors(tmp_path, damage, words):
  value = good_file()
  damage(value)

  text, num_errors = run(tmp_path, value, layout='nturgb+d')

  assert num_errors > 0
  assert words.replace('FILE', str(tmp_path / 'a.pkl')) in text
  assert f'Found {num_errors} error' in text


@pytest.mark.parametrize(
  'damage, words',
  [
    (
      lambda value: copy(value, 1, 5),
      '1 clip of xsub_val with exactly the keypoints of a clip of xsub_train:'
      ' clip5 (as clip1)',
    ),
    (
      lambda value: copy(value, 0, 2),
      '1 clip of xsub_train with the keypoints of another clip of it',
    ),
    (
      split('xsub_val', ['clip5']),
      '1 clip in none of these splits, so not used: clip4.',
    ),
    (
      split('xsub_val', ['clip5']),
      '1 class of xsub_val without a clip in xsub_train: stand.',
    ),
    (change(0, **keypoint(1, (1, 1, 25, 3))), '1 clip of a single frame'),
    (
      change(0, **keypoint(1, (3, 4, 25, 3))),
      '1 clip with more than 2 persons: those with the most motion are kept',
    ),
    (
      change(0, **keypoint(1, dtype=np.float32)),
      'Keypoints are float16, float32; all will be stored as float32',
    ),
    (
      lambda value: value.update(label_names=['sit', 'stand', 'fly', 'swim']),
      '2 classes of the 4 named ones without any clip in xsub_train and xsub_val:'
      ' fly, swim',
    ),
    (
      lambda value: value.pop('label_names'),
      'The classes have no names: set --class_names',
    ),
  ],
)
def test_notes(tmp_path, damage, words):
  value = good_file()
  damage(value)
  if '1 class ' in words:
    value['split']['xsub_train'] = ['clip0', 'clip2']

  text, num_errors = run(tmp_path, value, layout='nturgb+d')

  assert num_errors == 0
  assert words in text


def copy(value, source, target):
  for field in ('keypoint', 'total_frames'):
    value['annotations'][target][field] = value['annotations'][source][field]


def test_only_the_splits_of_the_protocol_are_checked(tmp_path):
  value = good_file()
  value['split'] |= {'y_train': ['ghost'], 'y_val': []}
  value['annotations'].append(dict(frame_dir='bad', label=0))

  text, num_errors = run(tmp_path, value, layout='nturgb+d', protocol='xsub')
  assert num_errors == 0
  assert (
    '1 clip outside of the splits cannot be used either (no keypoint)' in text
  )
  assert run(tmp_path, value, layout='nturgb+d')[1] == 2

  with pytest.raises(errors.UserError, match='Choose --protocol=xsub'):
    run(tmp_path, value, protocol='xview')


def test_matching_layouts_are_listed(tmp_path):
  text, num_errors = run(tmp_path, good_file(num_joints=17))
  assert num_errors == 0
  assert 'No --layout. Layouts with 17 joints: coco (--layout).' in text


def test_without_a_layout_all_clips_need_the_same_joints(tmp_path):
  value = good_file()
  value['annotations'][2].update(keypoint(1, (1, 4, 20, 3)))
  text, num_errors = run(tmp_path, value)
  assert num_errors == 1
  assert "sample 'clip2': has 20 joints in 3D without scores, the" in text


def test_2d_clips_without_an_image_size(tmp_path):
  value = good_file(num_joints=17, num_channels=2)
  value['annotations'][0]['img_shape'] = (480, 640)
  text, num_errors = run(tmp_path, value, layout='coco')
  assert num_errors == 0
  assert '5 clips in pixels without img_shape: an image of 1920 x 1080' in text


@pytest.mark.parametrize(
  'options, words',
  [
    (dict(layout='nturgb+d'), None),
    (dict(), '--normalize=mmaction1x needs a --layout'),
    (
      dict(layout='coco'),
      "layout 'coco' does not define its origin",
    ),
  ],
)
def test_normalization_needs_a_layout_with_joints(tmp_path, options, words):
  num_joints = 17 if options.get('layout') == 'coco' else 25
  text, num_errors = run(
    tmp_path, good_file(num_joints), normalize='mmaction1x', **options
  )
  assert num_errors == (words is not None)
  assert words is None or words in text


def test_2d_clips_cannot_be_normalized_in_3d(tmp_path):
  value = good_file(num_channels=2)
  text, num_errors = run(
    tmp_path, value, layout='nturgb+d', normalize='mmaction0x'
  )
  assert num_errors == 1
  assert 'the dataset has 2D keypoints. Use --normalize=none' in text


def test_third_channels_that_are_scores(tmp_path):
  value = good_file(num_joints=17)
  for item in value['annotations']:
    item['keypoint'] = np.abs(item['keypoint']) * [300, 300, 0.1]
  text, num_errors = run(tmp_path, value, layout='coco')
  assert num_errors == 1 and '--third_channel=score' in text

  text, num_errors = run(tmp_path, value, layout='coco', third_channel='score')
  assert num_errors == 0
  assert 'channels 2 scores yes' in text


def test_own_class_names(tmp_path):
  names = tmp_path / 'names.txt'
  names.write_text('sit\n')
  text, num_errors = run(
    tmp_path, good_file(), layout='nturgb+d', class_names=str(names)
  )
  assert num_errors == 1
  assert '3 clips cannot be used (label). The first:' in text


def test_one_list_per_split(tmp_path):
  value = good_file()
  for name, items in (
    ('a', value['annotations'][:4]),
    ('b', value['annotations'][4:]),
  ):
    (tmp_path / f'{name}.pkl').write_bytes(pickle.dumps(items))

  inputs = f'train={tmp_path}/a.pkl,val={tmp_path}/b.pkl'
  text, num_errors = check.check(
    options_lib.Options(input=inputs, layout='nturgb+d')
  )
  assert num_errors == 0
  assert f'{tmp_path}/a.pkl + {tmp_path}/b.pkl' in text

  text, num_errors = check.check(
    options_lib.Options(input=f'{tmp_path}/a.pkl', layout='nturgb+d')
  )
  assert num_errors == 0
  assert 'A plain list is one split' in text


def command(*arguments):
  return subprocess.run(
    [sys.executable, '-m', 'data_prep.check', *arguments],
    cwd=REPOSITORY,
    capture_output=True,
    text=True,
    check=False,
  )


def test_exit_status_and_streams(tmp_path):
  good, bad = tmp_path / 'good.pkl', tmp_path / 'bad.pkl'
  good.write_bytes(pickle.dumps(good_file()))
  value = good_file()
  change(0, label=7)(value)
  bad.write_bytes(pickle.dumps(value))

  done = command(str(good), '--layout=nturgb+d', '--protocol=xsub')
  assert (done.returncode, done.stderr) == (0, '')
  assert 'No errors' in done.stdout

  done = command('--layout=nturgb+d', str(bad))
  assert done.returncode == 2
  assert "'label' is 7" in ' '.join(done.stdout.split())

  done = command(str(tmp_path / 'missing.pkl'))
  assert done.returncode == 2
  assert done.stderr.startswith('error: ')
  assert 'Traceback' not in done.stderr

  done = command()
  assert done.returncode == 2
  assert 'Name one annotation file' in done.stderr
