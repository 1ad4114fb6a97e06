"""Prepared datasets: opened, checked, read; the words when one is not whole."""

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
from skeljax.datasets import prepared as datasets

NUM_TRAIN, NUM_VAL = 11, 4


@pytest.fixture(scope='module')
def prepared(tmp_path_factory) -> str:
  """Root of the dataset `small`: 15 clips, 4 training shards."""
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
      inputs={'': str(path)},
      protocol='xview',
      layout='ucla',
      normalize='none',
      name='small',
      output=str(folder / 'data'),
      num_shards=4,
    ),
    ['--runner=FnApiRunner'],
  )
  return str(folder / 'data')


@pytest.fixture
def copy(prepared, tmp_path) -> str:
  """The same root, to be damaged."""
  shutil.copytree(prepared, tmp_path / 'data')
  return str(tmp_path / 'data')


def _shard(root, split='train', index=1) -> pathlib.Path:
  dataset = datasets.open_dataset(root, 'small')
  return pathlib.Path(dataset.shards[split][index].path)


def test_a_source_is_a_sequence(prepared):
  source = datasets.open_dataset(prepared, 'small').source('train')
  assert len(source) == NUM_TRAIN
  assert [source[i]['id'] for i in range(len(source))] == [
    f'clip{i:02d}' for i in range(NUM_TRAIN)
  ]
  assert source[-1]['id'] == source[NUM_TRAIN - 1]['id']
  assert source[np.int64(3)]['id'] == 'clip03'
  with pytest.raises(IndexError):
    source[NUM_TRAIN]
  batch = source.__getitems__([7, 0, 7])
  assert [record['id'] for record in batch] == ['clip07', 'clip00', 'clip07']


def test_a_source_can_be_sent_to_another_process(prepared):
  source = datasets.open_dataset(prepared, 'small').source('val')
  first = source[0]  # Opens a file, which must not hinder the pickling.
  clone = pickle.loads(pickle.dumps(source))
  np.testing.assert_array_equal(clone[0]['keypoint'], first['keypoint'])
  assert len(clone) == NUM_VAL


def test_a_dataset_can_be_sent_to_another_process(prepared):
  dataset = datasets.open_dataset(prepared, 'small')
  assert pickle.loads(pickle.dumps(dataset)) == dataset


def test_a_dataset_knows_what_it_holds(prepared):
  dataset = datasets.open_dataset(prepared, 'small')
  assert dataset.spec.num_classes == 2
  assert dataset.num_clips == {'train': NUM_TRAIN, 'val': NUM_VAL}
  assert dataset.spec.layout.name == 'ucla'
  assert dataset.metadata['protocol'] == 'xview'
  assert len(dataset.fingerprint) == 64
  with pytest.raises(errors.UserError, match='train and val'):
    dataset.source('test')


def test_an_unknown_name_lists_what_is_there(prepared):
  with pytest.raises(errors.UserError) as caught:
    datasets.open_dataset(prepared, 'smal')
  assert "no dataset 'smal'" in str(caught.value)
  assert "Did you mean 'small'?" in str(caught.value)
  for name in ('', '.', '../data', '/etc'):
    with pytest.raises(errors.UserError, match='it has small'):
      datasets.open_dataset(prepared, name)


def test_an_empty_or_missing_root_is_named(tmp_path):
  with pytest.raises(errors.UserError, match='contains no prepared dataset'):
    datasets.open_dataset(str(tmp_path), 'small')
  with pytest.raises(errors.UserError, match='does not exist'):
    datasets.open_dataset(str(tmp_path / 'nowhere'), 'small')
  assert datasets.list_datasets(str(tmp_path / 'nowhere')) == []


def test_only_datasets_are_listed(copy):
  root = pathlib.Path(copy)
  (root / 'notes').mkdir()
  (root / 'file').write_text('')
  shutil.copytree(root / 'small', root / '.preparing-other' / 'other')
  assert datasets.list_datasets(copy) == ['small']


@pytest.mark.parametrize('share', [0, 0.5, 0.99])
def test_a_shard_cut_short_is_named(copy, share):
  path = _shard(copy)
  os.truncate(path, int(os.path.getsize(path) * share))
  with pytest.raises(errors.UserError) as caught:
    datasets.open_dataset(copy, 'small')
  words = str(caught.value)
  assert str(path) in words
  assert 'should contain 3 clips, but 0 can be read' in words
  assert '--name=small and --overwrite' in words


def test_a_changed_byte_is_found_when_its_clip_is_read(copy):
  path = _shard(copy)
  content = bytearray(path.read_bytes())
  # The longest stretch without zeros is compressed keypoints.
  start, end = max(
    (match.span() for match in re.finditer(rb'[^\0]+', content)),
    key=lambda span: span[1] - span[0],
  )
  content[(start + end) // 2] ^= 1
  path.write_bytes(content)
  source = datasets.open_dataset(copy, 'small').source('train')
  with pytest.raises(errors.UserError, match=path.name):
    [source[i] for i in range(len(source))]


def test_a_missing_shard_is_named(copy):
  path = _shard(copy, 'val', 0)
  path.unlink()
  with pytest.raises(errors.UserError, match=f'{path.name} is missing'):
    datasets.open_dataset(copy, 'small')


def test_a_shard_of_another_split_is_named(copy):
  # val has 1 clip a shard, train 2 or 3.
  shutil.copy(_shard(copy, 'val', 0), _shard(copy, 'train', 1))
  with pytest.raises(errors.UserError, match='but 1 can be read'):
    datasets.open_dataset(copy, 'small')


def test_broken_metadata_are_one_paragraph(copy):
  directory = pathlib.Path(datasets.dataset_directory(copy, 'small'))
  for name in ('dataset_info.json', 'features.json', 'metadata.json'):
    original = (directory / name).read_text()
    (directory / name).write_text(original[: len(original) // 2])
    with pytest.raises(errors.UserError, match='--overwrite'):
      datasets.open_dataset(copy, 'small')
    (directory / name).write_text(original)


def test_another_form_of_records_is_refused(copy):
  directory = pathlib.Path(datasets.dataset_directory(copy, 'small'))
  metadata = json.loads((directory / 'metadata.json').read_text())
  metadata['schema_version'] = 99
  (directory / 'metadata.json').write_text(json.dumps(metadata))
  with pytest.raises(errors.UserError, match='schema version 99'):
    datasets.open_dataset(copy, 'small')


def test_a_dataset_of_tfds_itself_is_not_taken_for_ours(copy):
  directory = pathlib.Path(datasets.dataset_directory(copy, 'small'))
  (directory / 'metadata.json').unlink()
  with pytest.raises(errors.UserError, match='data_prep'):
    datasets.open_dataset(copy, 'small')


def test_reading_needs_neither_jax_nor_beam_nor_tensorflow(prepared):
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
