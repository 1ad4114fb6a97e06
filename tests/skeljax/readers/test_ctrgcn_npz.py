"""Archives of whole data sets as CTR-GCN writes them."""

import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from skeljax import errors
from skeljax import readers
from skeljax import skeletons
from skeljax.readers import checks
from skeljax.readers import ctrgcn_npz
from skeljax.readers import numpy_clip
from tests import items

NUM_FRAMES, NUM_JOINTS, NUM_CLASSES = 5, 25, 4
LAYOUT = skeletons.get_layout('nturgb+d')


def draw(num_clips):
  """[N, T, persons * joints * 3], all joints of all persons there."""
  rng = np.random.default_rng(num_clips)
  shape = (num_clips, NUM_FRAMES, 2 * NUM_JOINTS * 3)
  return rng.uniform(1, 2, shape).astype(np.float32)


def one_hot(labels):
  return np.eye(NUM_CLASSES)[list(labels)]


def make(**changes):
  """Three clips to train, two to test."""
  return {
    'x_train': draw(3),
    'y_train': one_hot([2, 0, 3]),
    'x_test': draw(2),
    'y_test': one_hot([1, 1]),
  } | changes


def write(folder, content=None, save=np.savez):
  path = folder / 'NTU60_CS.npz'
  save(path, **(make() if content is None else content))
  return path


def test_splits_ids_and_labels_are_those_of_the_feeder(tmp_path):
  found = ctrgcn_npz.read_dataset(write(tmp_path))
  found = pickle.loads(pickle.dumps(found))
  assert found.ids == ('train_0', 'train_1', 'train_2', 'test_0', 'test_1')
  assert [clip.label for clip in found.clips] == [2, 0, 3, 1, 1]
  assert readers.protocol_splits(found, '') == (range(0, 3), range(3, 5))
  for clip in found.clips:
    readers.check_clip(clip, layout=LAYOUT, num_classes=4)


def test_numbers_are_those_of_the_feeder(tmp_path):
  content = make()
  clips = ctrgcn_npz.read_dataset(write(tmp_path, content)).clips
  # CTR-GCN: [N, T, M, V, C] to [N, C, T, V, M].
  for split, start in (('train', 0), ('test', 3)):
    x = content[f'x_{split}']
    x = x.reshape(*x.shape[:2], 2, 25, 3).transpose(0, 4, 1, 3, 2)
    for row in range(len(x)):
      np.testing.assert_array_equal(
        clips[start + row].read()['keypoint'].transpose(3, 1, 2, 0), x[row]
      )


def test_frames_are_counted_as_the_feeder_counts_them(tmp_path):
  """As many from the start as there are frames with anybody in them."""
  content = make()
  half = 3 * NUM_JOINTS
  content['x_train'][0, 3:] = 0  # padding
  content['x_train'][1, 1] = 0  # a gap costs a frame at the end
  content['x_train'][2, :, half:] = 0  # one person
  content['x_test'][0, :, :half] = 0  # only the second person
  content['x_test'][1, 2:, half:] = 0  # the second person leaves
  clips = ctrgcn_npz.read_dataset(write(tmp_path, content)).clips
  shapes = [clip.read()['keypoint'].shape[:2] for clip in clips]
  assert shapes == [(2, 3), (2, 4), (1, 5), (2, 5), (2, 5)]


def test_a_clip_of_nobody_is_left_to_the_check(tmp_path):
  content = make(x_test=np.zeros_like(draw(2)))
  item = ctrgcn_npz.read_dataset(write(tmp_path, content)).clips[3].read()
  with pytest.raises(checks.ClipError, match='contains no person'):
    items.check(item, layout=LAYOUT, num_classes=4, path='x')


def test_a_compressed_archive_is_unpacked_as_the_error_says(tmp_path):
  path = write(tmp_path, save=np.savez_compressed)
  with pytest.raises(errors.UserError, match='Unpack it once') as caught:
    ctrgcn_npz.read_dataset(path)
  command = str(caught.value).split('python ')[1].split(';')[0].split()
  subprocess.run([sys.executable, *command], check=True)
  unpacked = ctrgcn_npz.read_dataset(path.with_suffix(''))
  plain = ctrgcn_npz.read_dataset(write(tmp_path))
  assert unpacked.ids == plain.ids
  for ours, theirs in zip(unpacked.clips, plain.clips):
    assert ours.label == theirs.label
    ours, theirs = ours.read(), theirs.read()
    np.testing.assert_array_equal(ours['keypoint'], theirs['keypoint'])


def test_labels_may_be_whole_numbers(tmp_path):
  content = make(y_train=np.array([3, 2, 1]))
  clips = ctrgcn_npz.read_dataset(write(tmp_path, content)).clips
  assert [clip.label for clip in clips[:3]] == [3, 2, 1]


@pytest.mark.parametrize(
  'changes, words',
  [
    (dict(y_train=one_hot([2, 0])), 'contains 3 clips, and there are 2 labels'),
    (dict(y_train=np.zeros((3, 4))), 'row 0 sets 0 classes'),
    (dict(y_test=np.ones((2, 4))), 'row 0 sets 4 classes'),
    (dict(y_test=np.array([0.5, 1])), r'y_test.npy in .* has shape \(2,\)'),
    (dict(x_test=draw(2)[..., :149]), r'shape \(2, 5, 149\)'),
    (dict(x_test=draw(2).reshape(2, 5, 2, 25, 3)), 'persons x joints x 3'),
    (dict(x_test=draw(2)[:, :0]), 'not empty'),
    (dict(x_test=draw(0), y_test=one_hot([])), 'not empty'),
    (dict(x_train=draw(3).astype('U3')), 'x_train.npy in .* array of <U3'),
    (dict(x_train=np.asfortranarray(draw(3))), 'Fortran order'),
  ],
)
def test_arrays_that_do_not_fit_are_explained(changes, words, tmp_path):
  path = write(tmp_path, make(**changes))
  with pytest.raises(errors.UserError, match=words) as caught:
    ctrgcn_npz.read_dataset(path)
  assert str(path) in str(caught.value)


def test_missing_arrays_are_named(tmp_path):
  content = make()
  del content['y_test']
  path = write(tmp_path, content | {'extra': np.zeros(1)})
  with pytest.raises(errors.UserError, match='has no y_test, only x_train'):
    ctrgcn_npz.read_dataset(path)
  with pytest.raises(errors.UserError, match='has no x_train and no y_train'):
    ctrgcn_npz.read_dataset(tmp_path)  # A folder of something else.


def test_files_that_are_no_archive_are_explained(tmp_path):
  path = tmp_path / 'ä.npz'
  with pytest.raises(errors.UserError, match='ä.npz cannot be read'):
    ctrgcn_npz.read_dataset(path)
  for content in (b'', b'PK\x03\x04', b'\x93NUMPY\x01\x00'):
    path.write_bytes(content)
    with pytest.raises(errors.UserError, match='is not an .npz file'):
      ctrgcn_npz.read_dataset(path)


def test_an_archive_that_was_cut_short_is_no_archive(tmp_path):
  path = write(tmp_path)
  whole = path.read_bytes()
  for length in range(0, len(whole), 1501):
    path.write_bytes(whole[:length])
    with pytest.raises(errors.UserError, match='cut short'):
      ctrgcn_npz.read_dataset(path)


def test_an_archive_that_points_elsewhere_is_refused(tmp_path):
  """Damage in the middle: the directory at the end is whole."""
  path = write(tmp_path)
  with zipfile.ZipFile(path) as archive:
    start = archive.getinfo('x_test.npy').header_offset
  whole = bytearray(path.read_bytes())
  for place in (start, start + 26, start + 28, start + 60):
    damaged = bytearray(whole)
    damaged[place] ^= 0xFF
    path.write_bytes(damaged)
    with pytest.raises(errors.UserError, match='NTU60_CS.npz'):
      ctrgcn_npz.read_dataset(path)


@pytest.mark.parametrize(
  'place, byte', [(6, 0x80), (9, 0x08)], ids=['version', 'name']
)
def test_an_archive_of_another_kind_is_refused(place, byte, tmp_path):
  """An unsupported zip version, and a name that is not UTF-8."""
  path = write(tmp_path)
  data = bytearray(path.read_bytes())
  entry = data.index(b'PK\x01\x02')
  data[entry + place] = byte
  data[entry + 46] = 0xFF
  path.write_bytes(data)
  with pytest.raises(
    errors.UserError, match='NTU60_CS.npz is not an .npz file'
  ):
    ctrgcn_npz.read_dataset(path)
  assert numpy_clip.is_clip(str(path))
  with pytest.raises(errors.UserError, match='NTU60_CS.npz'):
    numpy_clip.read_clip(str(path))


class Evil:
  def __reduce__(self):
    return print, ('run',)


def test_nothing_in_the_archive_is_run(tmp_path, capsys):
  path = write(tmp_path, make(x_train=np.array([Evil()], object)))
  with pytest.raises(errors.UserError, match='array of object'):
    ctrgcn_npz.read_dataset(path)
  assert not capsys.readouterr().out
