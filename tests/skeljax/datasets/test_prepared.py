"""Open, check and read prepared datasets, also damaged ones."""

import json
import os
import pathlib
import pickle
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from data_prep import options as options_lib
from data_prep import prepare
from skeljax import errors
from skeljax.datasets import prepared as prepared_lib

NUM_TRAIN, NUM_VAL = 11, 4


@pytest.fixture(scope='module')
def prepared(tmp_path_factory) -> str:
  """Return the root of the dataset `small`: 15 clips, 4 training shards."""
  folder = tmp_path_factory.mktemp('prepared')
  rng = np.random.default_rng(0)
  annotations = [
    dict(
      frame_dir=f'clip{i:02d}',
      label=i % 2,
      keypoint=rng.normal(size=(1, 3 + i, 20, 3)).astype(np.float32),
      total_frames=3 + i,
    )
    for i in range(NUM_TRAIN + NUM_VAL)
  ]
  ids = [item['frame_dir'] for item in annotations]
  path = folder / 'small.pkl'
  path.write_bytes(
    pickle.dumps(
      dict(
        split=dict(xview_train=ids[:NUM_TRAIN], xview_val=ids[NUM_TRAIN:]),
        annotations=annotations,
      )
    )
  )
  prepare.prepare(
    options_lib.Options(
      source='pickle',
      input=str(path),
      protocol='xview',
      layout='ucla',
      name='small',
      output=str(folder / 'data'),
      num_shards=4,
    ),
    ['--runner=FnApiRunner'],
  )
  return str(folder / 'data')


@pytest.fixture
def copy(prepared, tmp_path) -> str:
  """Return a copy of the root, which tests may damage."""
  shutil.copytree(prepared, tmp_path / 'data')
  return str(tmp_path / 'data')


def _shard(root, split='train', index=1) -> pathlib.Path:
  dataset = prepared_lib.open_dataset(root, 'small')
  return pathlib.Path(dataset.shards[split][index].path)


def test_source_is_a_sequence(prepared):
  source = prepared_lib.open_dataset(prepared, 'small').source('train')
  assert len(source) == NUM_TRAIN
  assert [source[i]['id'] for i in range(len(source))] == [
    f'clip{i:02d}' for i in range(NUM_TRAIN)
  ]
  assert source[-1]['id'] == source[NUM_TRAIN - 1]['id']
  assert source[np.int64(3)]['id'] == 'clip03'
  with pytest.raises(IndexError):
    source[NUM_TRAIN]


def test_source_can_be_pickled(prepared):
  source = prepared_lib.open_dataset(prepared, 'small').source('val')
  first = source[0]  # Opens a file, which cannot be pickled.
  clone = pickle.loads(pickle.dumps(source))
  np.testing.assert_array_equal(clone[0]['keypoint'], first['keypoint'])
  assert len(clone) == NUM_VAL


def test_dataset_can_be_pickled(prepared):
  dataset = prepared_lib.open_dataset(prepared, 'small')
  assert pickle.loads(pickle.dumps(dataset)) == dataset


def test_dataset_has_its_spec_and_counts(prepared):
  dataset = prepared_lib.open_dataset(prepared, 'small')
  assert dataset.spec.num_classes == 2
  assert dataset.num_clips == {'train': NUM_TRAIN, 'val': NUM_VAL}
  assert dataset.spec.layout.name == 'ucla'
  assert dataset.metadata['options']['protocol'] == 'xview'
  assert len(dataset.fingerprint) == 64
  with pytest.raises(errors.UserError, match='train and val'):
    dataset.source('test')


def test_unknown_name_lists_existing_datasets(prepared):
  with pytest.raises(errors.UserError) as caught:
    prepared_lib.open_dataset(prepared, 'smal')
  assert "no dataset 'smal'" in str(caught.value)
  assert "Did you mean 'small'?" in str(caught.value)
  for name in ('', '.', '../data', '/etc'):
    with pytest.raises(errors.UserError, match='it has small'):
      prepared_lib.open_dataset(prepared, name)


def test_empty_or_missing_root_raises(tmp_path):
  with pytest.raises(errors.UserError, match='contains no prepared dataset'):
    prepared_lib.open_dataset(str(tmp_path), 'small')
  with pytest.raises(errors.UserError, match='does not exist'):
    prepared_lib.open_dataset(str(tmp_path / 'nowhere'), 'small')
  assert prepared_lib.list_datasets(str(tmp_path / 'nowhere')) == []


def test_only_datasets_are_listed(copy):
  root = pathlib.Path(copy)
  (root / 'notes').mkdir()
  (root / 'file').write_text('')
  shutil.copytree(root / 'small', root / '.preparing-other' / 'other')
  assert prepared_lib.list_datasets(copy) == ['small']


@pytest.mark.parametrize('fraction', [0, 0.5, 0.99])
def test_truncated_shard_raises(copy, fraction):
  path = _shard(copy)
  os.truncate(path, int(os.path.getsize(path) * fraction))
  with pytest.raises(errors.UserError) as caught:
    prepared_lib.open_dataset(copy, 'small')
  message = str(caught.value)
  assert str(path) in message
  assert 'should contain 3 clips, but 0 can be read' in message
  assert '--name=small and --overwrite' in message


def test_corrupted_clip_raises_when_it_is_read(copy):
  path = _shard(copy)
  content = bytearray(path.read_bytes())
  # The longest range without zeros is compressed keypoints.
  start, end = max(
    (match.span() for match in re.finditer(rb'[^\0]+', content)),
    key=lambda span: span[1] - span[0],
  )
  content[(start + end) // 2] ^= 1
  path.write_bytes(content)
  source = prepared_lib.open_dataset(copy, 'small').source('train')
  with pytest.raises(errors.UserError, match=path.name):
    [source[i] for i in range(len(source))]


def test_missing_shard_raises(copy):
  path = _shard(copy, 'val', 0)
  path.unlink()
  with pytest.raises(errors.UserError, match=f'{path.name} is missing'):
    prepared_lib.open_dataset(copy, 'small')


def test_shard_of_another_split_raises(copy):
  # Shards of val have 1 clip, shards of train 2 or 3.
  shutil.copy(_shard(copy, 'val', 0), _shard(copy, 'train', 1))
  with pytest.raises(errors.UserError, match='but 1 can be read'):
    prepared_lib.open_dataset(copy, 'small')


def test_truncated_metadata_raises(copy):
  directory = pathlib.Path(prepared_lib.dataset_directory(copy, 'small'))
  for name in ('dataset_info.json', 'features.json', 'metadata.json'):
    original = (directory / name).read_text()
    (directory / name).write_text(original[: len(original) // 2])
    with pytest.raises(errors.UserError, match='--overwrite'):
      prepared_lib.open_dataset(copy, 'small')
    (directory / name).write_text(original)


def test_other_schema_version_raises(copy):
  directory = pathlib.Path(prepared_lib.dataset_directory(copy, 'small'))
  metadata = json.loads((directory / 'metadata.json').read_text())
  metadata['schema_version'] = 99
  (directory / 'metadata.json').write_text(json.dumps(metadata))
  with pytest.raises(errors.UserError, match='schema version 99'):
    prepared_lib.open_dataset(copy, 'small')


def test_other_tfds_dataset_raises(copy):
  directory = pathlib.Path(prepared_lib.dataset_directory(copy, 'small'))
  (directory / 'metadata.json').unlink()
  with pytest.raises(errors.UserError, match='data_prep'):
    prepared_lib.open_dataset(copy, 'small')


def test_reading_does_not_import_jax_beam_or_tensorflow(prepared):
  code = (
    'import sys\n'
    'from skeljax.datasets import prepared\n'
    f'prepared.open_dataset({prepared!r}, "small").source("train")[0]\n'
    'heavy = {"jax", "apache_beam", "tensorflow", "torch", "data_prep"}\n'
    'print(sorted(heavy & {name.split(".")[0] for name in sys.modules}))\n'
  )
  done = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=True
  )
  assert done.stdout == '[]\n'
