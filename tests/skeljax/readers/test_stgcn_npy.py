"""Arrays of whole data sets in .npy files: ST-GCN, 2s-AGCN and BABEL."""

import errno
import os
import pathlib
import pickle

import numpy as np
import pytest

from skeljax import errors
from skeljax import readers
from skeljax.readers import checks
from skeljax.readers import numpy_clip
from skeljax.readers import row_array
from skeljax.readers import stgcn_npy
from tests import items


def draw(num_clips=3, shape=(3, 6, 4, 2), dtype=np.float32):
  """[N, C, T, V, M] whose numbers say where they stand."""
  count = int(np.prod((num_clips, *shape)))
  return np.arange(1, count + 1, dtype=dtype).reshape(num_clips, *shape)


def write(folder, array, labels, *, data='train_data', label='train_label'):
  folder.mkdir(parents=True, exist_ok=True)
  np.save(folder / f'{data}.npy', array)
  (folder / f'{label}.pkl').write_bytes(pickle.dumps(labels))
  return folder


def names_of(array):
  return [f'clip{i}' for i in range(len(array))]


def test_axes_become_persons_frames_joints_channels(tmp_path):
  array = draw()
  names = ['S001C001P001R001A001.skeleton', 'video.json', 'plain']
  write(tmp_path, array, (names, [4, 5, 6]))
  write(tmp_path, array[:1], (['x'], [0]), data='val_data', label='val_label')
  found = stgcn_npy.read_dataset(tmp_path)
  found = pickle.loads(pickle.dumps(found))
  assert found.ids == ('S001C001P001R001A001', 'video', 'plain', 'x')
  assert readers.protocol_splits(found, '') == (range(0, 3), range(3, 4))
  assert [clip.label for clip in found.clips] == [4, 5, 6, 0]
  for row in range(3):
    keypoint = found.clips[row].read()['keypoint']
    assert keypoint.dtype == np.float32
    for c, t, v, m in np.ndindex(*array.shape[1:]):
      assert keypoint[m, t, v, c] == array[row, c, t, v, m]
  assert found.clips[2].path.endswith('train_data.npy')
  assert found.clips[3].path.endswith('val_data.npy')


def test_padding_with_zeros_gives_the_array_back(tmp_path):
  """Empty frames and persons are left out at the end only."""
  array = draw(4)
  array[0, :, 4:] = 0  # two frames
  array[1, ..., 1] = 0  # the second person
  array[2, :, :2] = 0  # the start stays
  array[2, :, 3, :, 0] = 0
  array[3, ..., 0] = 0  # the first person stays
  write(tmp_path, array, (names_of(array), [0] * 4))
  clips = stgcn_npy.read_dataset(tmp_path).clips
  items = [clip.read() for clip in clips]
  shapes = [item['keypoint'].shape[:2] for item in items]
  assert shapes == [(2, 4), (1, 6), (2, 6), (2, 6)]
  padded = np.zeros_like(array)
  for row, item in enumerate(items):
    persons, frames = shapes[row]
    padded[row, :, :frames, :, :persons] = item['keypoint'].transpose(
      3, 1, 2, 0
    )
  np.testing.assert_array_equal(padded, array)


def test_a_clip_of_nobody_is_left_to_the_check(tmp_path):
  array = np.zeros((1, 2, 3, 4, 1), np.float32)
  write(tmp_path, array, (['x'], [0]))
  item = stgcn_npy.read_dataset(tmp_path).clips[0].read()
  with pytest.raises(checks.ClipError, match='contains no person'):
    items.check(item, layout=None, num_classes=None, path='x')


def babel_labels(count, labels=None):
  """As BABEL's script writes them: numpy's numbers and strings in lists."""
  labels = list(range(count)) if labels is None else labels
  ids = [[np.int64(i * 10 + k) for i in range(count)] for k in range(3)]
  return [np.str_(f's{i}') for i in range(count)], (labels, *ids)


def test_babel_keeps_all_frames_in_float16(tmp_path):
  array = draw(2, (3, 150, 25, 1), np.float64) / 1024
  array[0, :, 90:] = 0
  labels = babel_labels(2)
  for count in (60, 120):
    write(
      tmp_path,
      array,
      labels,
      data=f'train_ntu_sk_{count}',
      label=f'train_label_{count}',
    )
  write(
    tmp_path,
    array,
    labels,
    data='train_extra_ntu_sk_60',
    label='train_extra_label_60',
  )
  found = stgcn_npy.read_dataset(tmp_path)
  assert list(found.splits) == [
    'babel60_extra_train',
    'babel120_train',
    'babel60_train',
  ]
  assert found.ids[:2] == ('s0_0_1_2', 's1_10_11_12')
  for row, item in enumerate(clip.read() for clip in found.clips):
    assert item['keypoint'].shape == (1, 150, 25, 3)
    assert item['keypoint'].dtype == np.float16
    expected = array[row % 2].transpose(3, 1, 2, 0).astype(np.float16)
    np.testing.assert_array_equal(item['keypoint'], expected)
    assert found.clips[row].label == row % 2


def test_a_segment_of_babel_with_two_actions_is_two_clips(tmp_path):
  """The same frames under the same ids, once for each action."""
  array = draw(3, (3, 2, 4, 1))
  labels = (['a', 'a', 'b'], ([7, 8, 7], [1, 1, 1], [0, 0, 0], [5, 5, 5]))
  for split in ('train', 'val'):
    write(
      tmp_path,
      array,
      labels,
      data=f'{split}_ntu_sk_60',
      label=f'{split}_label_60',
    )
  found = stgcn_npy.read_dataset(tmp_path)
  train, _ = readers.protocol_splits(found, 'babel60')
  assert [found.ids[p] for p in train] == ['a_1_0_5', 'a_1_0_5#2', 'b_1_0_5']
  assert [found.clips[p].label for p in train] == [7, 8, 7]


def test_arrays_can_be_named_one_by_one(tmp_path):
  array = draw(1)
  write(tmp_path, array, (['a'], [0]), data='mine', label='mine_label')
  write(tmp_path, array, (['b'], [1]), data='val_data', label='elsewhere')
  source = f'train={tmp_path}/mine.npy,val={tmp_path}/val_data.npy'
  with pytest.raises(
    errors.UserError, match='its labels val_label.pkl are missing'
  ):
    stgcn_npy.read_dataset(source)
  found = stgcn_npy.read_dataset(
    source, labels={'val': tmp_path / 'elsewhere.pkl'}
  )
  assert found.ids == ('a', 'b')
  with pytest.raises(errors.UserError, match='is a single array'):
    stgcn_npy.read_dataset(tmp_path / 'mine.npy')


def test_labels_of_python_2_and_in_arrays_are_read(tmp_path):
  array = draw(2)
  write(tmp_path, array, (np.array(['a', 'b']), np.array([3, 1], np.int32)))
  (tmp_path / 'val_label.pkl').write_bytes(
    pickle.dumps((['c', 'd'], [1, 2]), protocol=0)
  )
  np.save(tmp_path / 'val_data_joint.npy', array)
  clips = stgcn_npy.read_dataset(tmp_path).clips
  assert [clip.label for clip in clips] == [3, 1, 1, 2]
  assert [type(clip.label) for clip in clips] == [int] * 4


def test_bones_and_motion_beside_the_joints_do_not_count(tmp_path):
  array = draw(1)
  write(tmp_path, array, (['a'], [0]), data='train_data_joint')
  for name in ('bone', 'joint_motion', 'bone_motion'):
    np.save(tmp_path / f'train_data_{name}.npy', array)
  assert len(stgcn_npy.read_dataset(tmp_path).clips) == 1
  np.save(tmp_path / 'train_data.npy', array)
  with pytest.raises(errors.UserError, match="two arrays of split 'train'"):
    stgcn_npy.read_dataset(tmp_path)


@pytest.mark.parametrize(
  'labels, words',
  [
    (['a', 'b'], 'its names are of type str'),
    ([], 'contains something else'),
    ({'names': []}, 'contains something else'),
    ((['a'], [0]), 'contains 2 clips and .* 1 names'),
    ((['a'], [0, 1]), 'it has 1 names for 2 labels'),
    ((['a', 'b'], [0, 'walk']), "label 1 is 'walk'"),
    ((['a', 'b'], [0, 1.5]), 'label 1 is 1.5'),
    ((['a', 'b'], [0, None]), 'label 1 is None'),
    ((['a', 'b'], [[0, 1], [2, 3], [4, 5]]), r'it has 2 names for 3 labels'),
    ((['a', 'b'], ([0, 1], [2, 3], [4], [5, 6])), 'it has 2, 2, 1, 2 names'),
    ((['a', 'b'], 7), 'its labels are of type int'),
  ],
)
def test_labels_that_do_not_fit_are_explained(labels, words, tmp_path):
  write(tmp_path, draw(2), labels)
  with pytest.raises(errors.UserError, match=words) as caught:
    stgcn_npy.read_dataset(tmp_path)
  assert 'train_label.pkl' in str(caught.value)


class Evil:
  def __reduce__(self):
    return pathlib.Path.touch, (pathlib.Path('was_run'),)


def test_nothing_in_the_files_is_run(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  write(tmp_path, draw(1), (['a'], [Evil()]))
  with pytest.raises(errors.UserError, match='nothing was executed'):
    stgcn_npy.read_dataset(tmp_path)
  write(tmp_path, draw(1), (['a'], [0]))
  array = np.array([[[[[Evil()]]]]], object)
  np.save(tmp_path / 'train_data.npy', array, allow_pickle=True)
  with pytest.raises(errors.UserError, match='an array of object'):
    stgcn_npy.read_dataset(tmp_path)
  assert not (tmp_path / 'was_run').exists()


@pytest.mark.parametrize(
  'array, words',
  [
    (np.zeros((2, 3, 4, 5)), r'shape \(2, 3, 4, 5\). Expected \[clips, chan'),
    (np.zeros((2, 25, 3, 9, 1)), 'with 2 or 3 channels'),
    (np.zeros((0, 3, 4, 5, 1)), 'not empty'),
    (np.zeros((2, 3, 0, 5, 1)), 'not empty'),
    (np.zeros(()), r'shape \(\)'),
    (np.zeros((2, 3, 4, 5, 1), bool), 'array of bool'),
    (np.zeros((2, 3, 4, 5, 1), 'U3'), 'array of <U3'),
    (np.zeros((2, 3, 4, 5, 1), [('x', 'f4')]), 'Expected numbers'),
    (np.asfortranarray(np.zeros((2, 3, 4, 5, 1))), 'Fortran order'),
  ],
)
def test_arrays_that_do_not_fit_are_explained(array, words, tmp_path):
  write(tmp_path, array, (['a', 'b'], [0, 1]))
  with pytest.raises(errors.UserError, match=words) as caught:
    stgcn_npy.read_dataset(tmp_path)
  assert 'train_data.npy' in str(caught.value)


def test_arrays_that_were_cut_short_are_found_on_opening(tmp_path):
  write(tmp_path, draw(2), (['a', 'b'], [0, 1]))
  path = tmp_path / 'train_data.npy'
  whole = path.read_bytes()
  for length in (*range(0, 128, 9), 127, 128, len(whole) - 1):
    path.write_bytes(whole[:length])
    with pytest.raises(errors.UserError, match='train_data.npy'):
      stgcn_npy.read_dataset(tmp_path)
  path.write_bytes(b'PK\x03\x04' + whole)
  with pytest.raises(
    errors.UserError, match='not an array written by numpy.save'
  ):
    stgcn_npy.read_dataset(tmp_path)


def as_npy(header):
  """Bytes of a .npy file with such a header."""
  size = len(header).to_bytes(2, 'little')
  return b'\x93NUMPY\x01\x00' + size + header.encode() + bytes(1000)


@pytest.mark.parametrize(
  'header',
  [
    '((((',
    '-' * 9000 + '1',
    '{[]: 1}',
    "{1: 2, 'a': 3}",
    "{'descr': (), 'fortran_order': False, 'shape': (2, 3, 4, 5, 1)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 3, 4, 5, 1)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, -4, -5, 1)}",
  ],
)
def test_headers_that_are_none_are_explained(header, tmp_path):
  write(tmp_path, draw(2), (['a', 'b'], [0, 1]))
  path = tmp_path / 'train_data.npy'
  path.write_bytes(as_npy(header))
  with pytest.raises(errors.UserError, match='train_data.npy .*the file again'):
    stgcn_npy.read_dataset(tmp_path)
  with pytest.raises(errors.UserError, match='train_data.npy'):
    numpy_clip.read_clip(str(path))


def test_a_file_that_shrinks_while_it_is_read_is_named(tmp_path):
  write(tmp_path, draw(2), (['a', 'b'], [0, 1]))
  clips = stgcn_npy.read_dataset(tmp_path).clips
  path = tmp_path / 'train_data.npy'
  path.write_bytes(path.read_bytes()[:-1])
  assert clips[0].read()['keypoint'].any()
  with pytest.raises(errors.UserError, match='cut short'):
    clips[1].read()
  path.unlink()
  with pytest.raises(errors.UserError, match='train_data.npy cannot be read'):
    clips[0].read()


@pytest.mark.parametrize('dtype', ['<f4', '>f4', '<f2', '>i2', '<f8'])
@pytest.mark.parametrize('version', [(1, 0), (2, 0)])
def test_rows_of_every_byte_order_and_version_are_read(
  dtype, version, tmp_path
):
  array = draw(5).astype(dtype)
  with open(tmp_path / 'a.npy', 'wb') as file:
    np.lib.format.write_array(file, array, version)
  opened = row_array.open_npy(tmp_path / 'a.npy')
  assert len(opened) == 5
  for row in (4, 0, 2):
    read = opened.read(row)
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, array[row])


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
  def refuse(path):
    raise PermissionError(errno.EACCES, 'Permission denied', path)

  monkeypatch.setattr(os, 'listdir', refuse)
  with pytest.raises(errors.UserError, match='cannot be read: Permission'):
    stgcn_npy.read_dataset(tmp_path)


def test_folders_without_arrays_are_explained(tmp_path):
  (tmp_path / 'daten_ä.npy').touch()
  with pytest.raises(errors.UserError, match='no array with a published name'):
    stgcn_npy.read_dataset(tmp_path)
  with pytest.raises(errors.UserError, match='gone.npy cannot be read'):
    stgcn_npy.read_dataset({'train': tmp_path / 'gone.npy'})
