"""Clips of one's own in .npy and .npz files."""

import io
import os
import pickle

import numpy as np
import pytest

from skeljax import errors
from skeljax import skeletons
from skeljax.readers import clip_formats
from tests import items

KEYPOINT = np.arange(2 * 3 * 17 * 2, dtype=np.float32).reshape(2, 3, 17, 2)
SCORE = np.linspace(0, 1, 2 * 3 * 17).reshape(2, 3, 17)


def read(path, **options):
  return clip_formats.read_clip(
    str(path), 'array', clip_formats.ReadOptions(**options)
  )


def fails(path, **options):
  with pytest.raises(errors.UserError) as caught:
    read(path, **options)
  assert str(path) in str(caught.value)
  return str(caught.value)


def save(path, **fields):
  np.savez(path, **fields)
  return path


def test_an_array_is_the_keypoints(tmp_path):
  path = tmp_path / 'clip.npy'
  np.save(path, KEYPOINT)
  assert clip_formats.detect(str(path)) == 'array'
  assert clip_formats.layout_of(str(path)) == ''
  item = read(path)
  np.testing.assert_array_equal(item['keypoint'], KEYPOINT)
  assert item['keypoint'].dtype == np.float32
  assert set(item) == {'keypoint'}
  assert read(path, img_shape=(480, 640))['img_shape'] == (480, 640)
  coco = skeletons.get_layout('coco')
  items.check(item, layout=coco, num_classes=None, path=str(path))


def test_one_person_needs_no_axis(tmp_path):
  path = tmp_path / 'clip.npy'
  np.save(path, KEYPOINT[0].astype(np.float16))
  item = read(path)
  assert item['keypoint'].shape == (1, 3, 17, 2)
  assert item['keypoint'].dtype == np.float16
  path = save(
    tmp_path / 'clip.npz', keypoint=KEYPOINT[0], keypoint_score=SCORE[0]
  )
  assert read(path)['keypoint_score'].shape == (1, 3, 17)


@pytest.mark.parametrize('write', [np.savez, np.savez_compressed])
def test_named_arrays(tmp_path, write):
  path = tmp_path / '骨格.npz'
  write(
    path,
    keypoint=KEYPOINT,
    keypoint_score=SCORE,
    img_shape=(480, 640),
    total_frames=3,
    name='walk',
  )
  assert clip_formats.detect(str(path)) == 'array'
  item = read(path)
  np.testing.assert_array_equal(item['keypoint_score'], SCORE)
  assert item['img_shape'] == (480, 640) and item['total_frames'] == 3
  assert 'name' not in item
  assert '--img_shape=9x9' in fails(path, img_shape=(9, 9))
  coco = skeletons.get_layout('coco')
  record = items.check(item, layout=coco, num_classes=None, path=str(path))
  assert record['img_shape'].tolist() == [480, 640]


def test_an_array_without_keypoint_is_explained(tmp_path):
  path = save(tmp_path / 'set.npz', x_train=KEYPOINT, y_train=SCORE)
  assert "has 'x_train', 'y_train'. Expected 'keypoint'" in fails(path)
  with pytest.raises(errors.UserError) as caught:
    clip_formats.detect(str(path))
  message = str(caught.value)
  assert 'has no known format' in message
  assert "a .npz with 'x_train', 'y_train' and without 'keypoint'" in message


@pytest.mark.parametrize('shape', [(30, 34), (30, 17, 4), (3, 30, 17, 1), ()])
def test_axes_in_another_order_are_explained(tmp_path, shape):
  path = tmp_path / 'clip.npy'
  np.save(path, np.ones(shape))
  message = fails(path)
  assert f"'keypoint' has shape {shape}. Expected [persons, frames" in message
  assert 'keypoint.transpose(3, 1, 2, 0)' in message


def test_a_whole_data_set_is_no_clip(tmp_path):
  path = tmp_path / 'train_data.npy'
  np.save(path, np.zeros((2, 3, 4, 25, 2), np.float32))
  message = fails(path)
  assert 'Expected one clip' in message and '--source=npy' in message


@pytest.mark.parametrize('shape', [(480,), (480, 640, 3), (480.5, 640), (0, 5)])
def test_a_wrong_image_size(tmp_path, shape):
  path = save(tmp_path / 'clip.npz', keypoint=KEYPOINT, img_shape=shape)
  assert "'img_shape' is" in fails(path)


class Program:
  """What would run a program if it were unpickled."""

  def __reduce__(self):
    return os.mkdir, ('ran',)


def test_objects_are_refused_and_nothing_runs(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  objects = np.array([Program(), None], dtype=object)
  path = tmp_path / 'clip.npy'
  np.save(path, objects, allow_pickle=True)
  assert 'object arrays are refused' in fails(path)
  path = save(tmp_path / 'clip.npz', keypoint=objects)
  assert 'object arrays are refused' in fails(path)
  path = tmp_path / 'pickle.npy'
  path.write_bytes(pickle.dumps(Program()))
  assert 'is not a complete .npy or .npz file' in fails(path)
  assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize('num_bytes', [0, 5, 60, 200, 700])
@pytest.mark.parametrize('ending', ['npy', 'npz'])
def test_truncated_files(tmp_path, ending, num_bytes):
  path = tmp_path / f'clip.{ending}'
  if ending == 'npy':
    np.save(path, KEYPOINT)
  else:
    save(path, keypoint=KEYPOINT)
  path.write_bytes(path.read_bytes()[:num_bytes])
  assert clip_formats.detect(str(path)) == 'array'
  assert 'is not a complete .npy or .npz file' in fails(path)


def test_a_file_that_claims_more_than_it_has_allocates_nothing(tmp_path):
  header = io.BytesIO()
  np.lib.format.write_array_header_1_0(
    header,
    {'descr': '<f8', 'fortran_order': False, 'shape': (10**6, 10**6, 17, 2)},
  )
  path = tmp_path / 'clip.npy'
  path.write_bytes(header.getvalue() + b'\0' * 1000)
  assert 'is not a complete .npy or .npz file' in fails(path)


def test_words_are_not_keypoints(tmp_path):
  path = tmp_path / 'clip.npy'
  np.save(path, np.array(['walk']))
  assert "'keypoint' has dtype <U4" in fails(path)


def test_fortran_order_and_big_endian(tmp_path):
  path = tmp_path / 'clip.npy'
  np.save(path, np.asfortranarray(KEYPOINT).astype('>f8'))
  np.testing.assert_array_equal(read(path)['keypoint'], KEYPOINT)
