"""Annotation pickles: everything plain is read, damaged files get words."""

import collections
import gzip
import pickle
import pickletools

import hypothesis
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
import numpy as np
import pytest

from skeljax import errors
from skeljax.readers import safe_pickle

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def dump(path, value, protocol=4):
  path.write_bytes(pickle.dumps(value, protocol))
  return path


def annotation_file():
  keypoint = np.arange(8, dtype=np.float16).reshape(1, 2, 2, 2)
  item = dict(frame_dir='a', label=1, keypoint=keypoint, total_frames=2)
  return dict(split=dict(train=['a']), annotations=[item])


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_everything_plain_survives(tmp_path, protocol):
  value = {
    'half': np.ones((1, 2, 3, 2), np.float16),
    'fortran': np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    'transposed': np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1),
    'strided': np.arange(16).reshape(4, 4)[::2, ::2],
    'big endian': np.arange(3, dtype='>f4'),
    'strings': np.array(['ab', 'c']),
    'no elements': np.zeros((0, 17, 2), np.float32),
    'scalar array': np.array(2.5),
    'flags': np.array([True, False]),
    'number': np.float32(0.5),
    'label': np.int64(3),
    'truth': np.bool_(True),
    'type': np.dtype('float16'),
    'ordered': collections.OrderedDict(b=1, a=2),
    'grouped': collections.defaultdict(list, x=[1]),
    'set': {'p', 'q'},
    'frozen': frozenset([1]),
    'bytes': b'\x00\xff',
    'no bytes': b'',
    'byte array': bytearray(b'xy'),
    'shape': (1080, 1920),
    'nested': [(np.ones(2), {'k': (np.zeros(1),)})],
    'float key': {0.5: 1, None: True},
  }
  result = safe_pickle.load(dump(tmp_path / 'x.pkl', value, protocol))

  assert list(result) == list(value)
  for key in value:
    np.testing.assert_equal(result[key], value[key], err_msg=key)
  assert type(result['half']) is np.ndarray
  assert result['half'].dtype == np.float16
  assert result['big endian'].dtype.isnative
  assert result['number'].dtype == np.float32


@hypothesis.settings(max_examples=40, deadline=None, derandomize=True)
@hypothesis.given(
  array=st_numpy.arrays(
    dtype=st.sampled_from(['f2', 'f4', 'f8', 'i1', 'u2', 'i8', '?', 'U3']),
    shape=st_numpy.array_shapes(min_dims=0, max_dims=4, min_side=0),
  ),
  protocol=st.sampled_from(PROTOCOLS),
)
def test_arrays_come_back_bit_for_bit(tmp_path_factory, array, protocol):
  path = tmp_path_factory.getbasetemp() / 'array.pkl'
  result = safe_pickle.load(dump(path, [array], protocol))[0]

  assert result.dtype == array.dtype and result.shape == array.shape
  assert result.tobytes() == array.tobytes()


@pytest.mark.parametrize('core', ['numpy.core', 'numpy._core'])
def test_files_of_numpy_1_and_2_are_read(tmp_path, core):
  path = tmp_path / 'x.pkl'
  dump(path, np.arange(3), protocol=2)
  content = path.read_bytes().replace(b'numpy._core', core.encode())
  path.write_bytes(content)

  assert core.encode() in content
  np.testing.assert_array_equal(safe_pickle.load(path), [0, 1, 2])


def test_files_of_python_2_are_read(tmp_path):
  # numpy.array([1, 2], 'f2') and a str, as Python 2 and protocol 2 wrote them.
  path = tmp_path / 'x.pkl'
  path.write_bytes(
    b'\x80\x02}q\x01(U\x01kcnumpy.core.multiarray\n_reconstruct\n(cnumpy\n'
    b'ndarray\nK\x00\x85U\x01btR(K\x01K\x02\x85cnumpy\ndtype\n(U\x02f2K\x00K'
    b'\x01tR(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x04'
    b'\x00\x3c\x00\x40tbU\x02idU\x05caf\xe9!u.'
  )

  result = safe_pickle.load(path)

  np.testing.assert_array_equal(result['k'], np.array([1, 2], np.float16))
  assert result['id'] == 'café!'


def test_shared_and_circular_parts_are_kept(tmp_path):
  array = np.ones(2)
  value = [array, (array, array)]
  value.append(value)

  result = safe_pickle.load(dump(tmp_path / 'x.pkl', value))

  assert result[0] is result[1][0] is result[1][1]
  assert result[2] is result


def test_object_arrays_hold_only_plain_objects(tmp_path):
  value = np.empty(2, object)
  value[:] = [np.ones((2, 3)), [np.zeros(1), 'x']]

  result = safe_pickle.load(dump(tmp_path / 'x.pkl', value))

  assert result.shape == (2,)
  np.testing.assert_array_equal(result[0], np.ones((2, 3)))
  np.testing.assert_array_equal(result[1][0], np.zeros(1))


@pytest.mark.parametrize(
  'content, words',
  [
    (b'Pid\n.', 'is damaged or not a pickle'),
    (b'\x80\x02\x82\x07.', 'is damaged or not a pickle'),
    (b'\x80\x63.', 'is damaged or not a pickle'),
    (b'hello, this is text\n', 'is damaged or not a pickle'),
    (b'\x80\x04.', 'is damaged or not a pickle'),
    (b'', 'is empty. Get the file again'),
    (
      gzip.compress(b'x', mtime=0),
      'compressed with gzip: unpack it with gunzip',
    ),
    (b'PK\x03\x04abc', 'zip archive'),
    (b'\x93NUMPY\x01\x00', r'single numpy array \(.npy\)'),
    (b'\x89HDF\r\n', 'HDF5'),
    (b'{"split": {}}', 'looks like JSON'),
    (b'<!DOCTYPE html>', 'the download went wrong'),
    (b'version https://git-lfs.github.com/spec/v1\n', 'run git lfs pull'),
  ],
)
def test_other_files_are_told_apart(tmp_path, content, words):
  path = tmp_path / 'x.pkl'
  path.write_bytes(content)
  with pytest.raises(errors.UserError, match=f'x.pkl.*{words}'):
    safe_pickle.load(path)


def test_a_missing_file_and_a_folder_are_errors(tmp_path):
  with pytest.raises(errors.UserError, match='a.pkl cannot be read: No such'):
    safe_pickle.load(tmp_path / 'a.pkl')
  with pytest.raises(errors.UserError, match='cannot be read: Is a directory'):
    safe_pickle.load(tmp_path)


@pytest.mark.parametrize('protocol', [0, 2, 4])
def test_a_file_cut_short_anywhere_is_an_error(tmp_path, protocol):
  content = pickle.dumps(annotation_file(), protocol)
  path = tmp_path / 'x.pkl'
  for length in range(1, len(content), 2):
    path.write_bytes(content[:length])
    with pytest.raises(errors.UserError, match='x.pkl'):
      safe_pickle.load(path)


def test_the_words_for_a_file_cut_short(tmp_path):
  content = pickle.dumps(annotation_file(), 4)
  path = tmp_path / 'ntu60_3d.pkl'
  path.write_bytes(content[:-20])
  with pytest.raises(errors.UserError) as raised:
    safe_pickle.load(path)
  assert str(raised.value) == (
    f'{path} was cut short: it has {len(content) - 20} bytes. Download or copy'
    ' it again.'
  )


@pytest.mark.parametrize('protocol', [2, 5])
def test_a_damaged_byte_never_ends_in_another_error(tmp_path, protocol):
  content = pickle.dumps(annotation_file(), protocol)
  path = tmp_path / 'x.pkl'
  outcomes = collections.Counter()
  for position in range(2, len(content), 3):
    for byte in (0, 0x2E, 0xFF):
      path.write_bytes(
        content[:position] + bytes([byte]) + content[position + 1 :]
      )
      try:
        safe_pickle.load(path)
        outcomes['read'] += 1
      except errors.UserError:
        outcomes['refused'] += 1
  assert outcomes['refused'] > 50


def test_out_of_band_buffers_are_refused(tmp_path):
  path = tmp_path / 'x.pkl'
  buffers = []
  path.write_bytes(
    pickle.dumps(np.arange(9), protocol=5, buffer_callback=buffers.append)
  )
  assert buffers
  with pytest.raises(errors.UserError, match='is damaged or not a pickle'):
    safe_pickle.load(path)


def test_deep_nesting_is_an_error_and_no_crash(tmp_path):
  path = tmp_path / 'x.pkl'
  path.write_bytes(b'\x80\x02' + b']' * 100_000 + b'a' * 99_999 + b'.')
  with pytest.raises(errors.UserError, match='is damaged or not a pickle'):
    safe_pickle.load(path)


def test_arrays_share_the_bytes_of_the_file(tmp_path):
  array = np.zeros(10_000, np.float32)
  path = dump(tmp_path / 'x.pkl', array, 4)
  result = safe_pickle.load(path)
  assert not result.flags.owndata and not result.flags.writeable
  assert 'BINBYTES' in {
    op.name for op, *_ in pickletools.genops(path.read_bytes())
  }
