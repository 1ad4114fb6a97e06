"""Pickles from anybody: everything good is read, nothing is ever run."""

import collections
import datetime
import gzip
import io
import os
import pathlib
import pickle
import pickletools

import hypothesis
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
import numpy as np
import pytest

from skeljax import errors
from skeljax.data.formats import restricted_unpickler

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


class Written:
  """Stands for something that only the reader is to call."""

  def __call__(self):
    raise TypeError('only for writing')


class Calls(Written):
  """Pickles to a call of `function` when it is read."""

  def __init__(self, function, *args, state=None):
    self._parts = (function, args, state)

  def __reduce__(self):
    function, args, state = self._parts
    return (function, args) if state is None else (function, args, state)


class Name(Written):
  """Pickles to the bare name of something."""

  def __init__(self, module, name):
    self.module, self.name = module, name


class NamingPickler(pickle._Pickler):
  """Writes `Name`s without importing what they name."""

  dispatch = pickle._Pickler.dispatch.copy()

  def save_name(self, value):
    self.write(f'c{value.module}\n{value.name}\n'.encode())

  dispatch[Name] = save_name


def dump(path, value, protocol=4):
  with open(path, 'wb') as file:
    NamingPickler(file, protocol).dump(value)
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
  path = tmp_path / 'x.pkl'
  path.write_bytes(pickle.dumps(value, protocol))

  result = restricted_unpickler.load(path)

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
  result = restricted_unpickler.load(dump(path, [array], protocol))[0]

  assert result.dtype == array.dtype and result.shape == array.shape
  assert result.tobytes() == array.tobytes()


@pytest.mark.parametrize('core', ['numpy.core', 'numpy._core'])
def test_files_of_numpy_1_and_2_are_read(tmp_path, core):
  path = tmp_path / 'x.pkl'
  dump(path, np.arange(3), protocol=2)
  content = path.read_bytes().replace(b'numpy._core', core.encode())
  path.write_bytes(content)

  assert core.encode() in content
  np.testing.assert_array_equal(restricted_unpickler.load(path), [0, 1, 2])


def test_files_of_python_2_are_read(tmp_path):
  # numpy.array([1, 2], 'f2') and a str, as Python 2 and protocol 2 wrote them.
  path = tmp_path / 'x.pkl'
  path.write_bytes(
    b'\x80\x02}q\x01(U\x01kcnumpy.core.multiarray\n_reconstruct\n(cnumpy\n'
    b'ndarray\nK\x00\x85U\x01btR(K\x01K\x02\x85cnumpy\ndtype\n(U\x02f2K\x00K'
    b'\x01tR(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x04'
    b'\x00\x3c\x00\x40tbU\x02idU\x05caf\xe9!u.'
  )

  result = restricted_unpickler.load(path)

  np.testing.assert_array_equal(result['k'], np.array([1, 2], np.float16))
  assert result['id'] == 'café!'


def test_shared_and_circular_parts_are_kept(tmp_path):
  array = np.ones(2)
  value = [array, (array, array)]
  value.append(value)

  result = restricted_unpickler.load(dump(tmp_path / 'x.pkl', value))

  assert result[0] is result[1][0] is result[1][1]
  assert result[2] is result


def test_object_arrays_hold_only_plain_objects(tmp_path):
  value = np.empty(2, object)
  value[:] = [np.ones((2, 3)), [np.zeros(1), 'x']]

  result = restricted_unpickler.load(dump(tmp_path / 'x.pkl', value))

  assert result.shape == (2,)
  np.testing.assert_array_equal(result[0], np.ones((2, 3)))
  np.testing.assert_array_equal(result[1][0], np.zeros(1))
  value[1] = Calls(os.system, 'true')
  with pytest.raises(errors.UserError, match='nothing was run'):
    restricted_unpickler.load(dump(tmp_path / 'y.pkl', value))


def attacks(marker: pathlib.Path):
  """Values whose reading would write `marker` with a usual unpickler."""
  code = f'open({str(marker)!r}, "w").close()'
  shell = f'touch {marker}'
  system = Name('posix', 'system')
  return {
    'os.system': Calls(os.system, shell),
    'eval': Calls(eval, code),
    'exec': Calls(exec, code),
    'subprocess': Calls(Name('subprocess', 'getoutput'), shell),
    'popen': Calls(Name('subprocess', 'Popen'), ['touch', str(marker)]),
    'numpy.testing': Calls(
      Name('numpy.testing._private.utils', 'runstring'), code, {}
    ),
    'numpy.load': Calls(Name('numpy', 'load'), str(marker)),
    'numpy.memmap': Calls(Name('numpy', 'memmap'), str(marker), 'u1', 'w+'),
    'numpy.save': Calls(Name('numpy', 'save'), str(marker), 1),
    'open': Calls(Name('builtins', 'open'), str(marker), 'w'),
    'getattr': Calls(Calls(getattr, Name('os', 'path'), 'join'), 'x'),
    'import': Calls(Name('builtins', '__import__'), 'antigravity'),
    'map': Calls(list, Calls(Name('builtins', 'map'), system, [shell])),
    'partial': Calls(Calls(Name('functools', 'partial'), system, shell)),
    'method caller': Calls(
      Calls(Name('operator', 'methodcaller'), 'system', shell),
      Name('posixpath', 'os'),
    ),
    'pickle': Calls(Name('pickle', 'loads'), pickle.dumps(Calls(eval, code))),
    'dotted name': Calls(Name('numpy', 'ndarray.tofile'), 1, str(marker)),
    'own function': Calls(
      Name('skeljax.data.formats.restricted_unpickler', '_encode'), 'x'
    ),
    'deep': {'annotations': [({'k': [Calls(os.system, shell)]},)]},
    'as type of an array': Calls(
      Name('numpy._core.multiarray', '_reconstruct'),
      Calls(os.system, shell),
      (0,),
      b'b',
    ),
    'as default of a dict': Calls(collections.defaultdict, system),
  }


@pytest.mark.parametrize('protocol', PROTOCOLS)
@pytest.mark.parametrize('name', attacks(pathlib.Path('marker')))
def test_hostile_pickles_run_nothing(tmp_path, name, protocol):
  marker = tmp_path / 'marker'
  path = dump(tmp_path / 'bad.pkl', attacks(marker)[name], protocol)

  with pytest.raises(errors.UserError) as raised:
    restricted_unpickler.load(path)

  assert not marker.exists()
  assert str(path) in str(raised.value)
  assert 'nothing was run' in str(raised.value)


def test_the_attacks_would_work_on_a_plain_unpickler(tmp_path):
  marker = tmp_path / 'marker'
  path = dump(tmp_path / 'bad.pkl', attacks(marker)['os.system'])

  with open(path, 'rb') as file:
    pickle.load(file)

  assert marker.exists()


def test_the_words_for_a_hostile_pickle(tmp_path):
  path = dump(tmp_path / 'ntu.pkl', Calls(os.system, 'true'))
  with pytest.raises(errors.UserError) as raised:
    restricted_unpickler.load(path)
  assert str(raised.value) == (
    f'{path} asks for posix.system while it is being read. Annotation files'
    ' may hold numpy arrays, numbers, strings, lists, tuples, sets and dicts'
    ' only; nothing was run. If you trust where the file comes from, load it'
    ' with pickle in a script of your own and save it again with plain numpy'
    ' arrays.'
  )


@pytest.mark.parametrize(
  'value',
  [
    pathlib.PurePosixPath('x'),
    datetime.date(2020, 1, 1),
    np.ma.masked_array([1]),
    np.zeros(2, [('joint', 'f4')]),
    np.zeros(2, 'M8[s]'),
    np.zeros(2, 'V8'),
    np.random.RandomState(0),
    slice(3),
    print,
    io.BytesIO(b'x'),
  ],
)
def test_anything_but_plain_arrays_is_refused(tmp_path, value):
  path = tmp_path / 'x.pkl'
  path.write_bytes(pickle.dumps(value))
  with pytest.raises(errors.UserError, match='x.pkl'):
    restricted_unpickler.load(path)


DTYPE = Name('numpy', 'dtype')
ARRAY = Name('numpy._core.multiarray', '_reconstruct')
FIELDS = {'a': (np.dtype('O'), 0)}


@pytest.mark.parametrize(
  'value',
  [
    # A record type that claims not to hold the objects that it holds.
    Calls(DTYPE, 'V8', state=(3, '|', None, ('a',), FIELDS, 8, 1, 0)),
    Calls(DTYPE, 'f4', state=(3, '<', (np.dtype('O'), 1), None, None, 8, 1)),
    Calls(DTYPE, 'f4', state=()),
    Calls(DTYPE, [('a', 'f4')]),
    Calls(DTYPE, 'f4,O'),
    Calls(DTYPE),
    # More elements than bytes, negative sizes, bytes instead of objects.
    Calls(
      ARRAY,
      state=(1, (10**12,), np.dtype('f8'), False, b'12345678'),
    ),
    Calls(
      ARRAY,
      state=(1, (-1, -8), np.dtype('u1'), False, b'12345678'),
    ),
    Calls(
      ARRAY,
      state=(1, (1,), np.dtype('O'), False, b'12345678'),
    ),
    Calls(ARRAY, state=(1, (1,), 'f8', False, b'12345678')),
    Calls(ARRAY, state={'array': 1}),
    # Changing what the names stand for.
    Calls(Name('numpy', 'dtype'), 'f4', state=(None, {'dtype': 1})),
    Calls(Name('_codecs', 'encode'), 'x', 'rot13'),
    Calls(Name('builtins', 'bytearray'), 10**12),
    Calls(Name('builtins', 'bytes'), 10**12),
    Calls(Name('numpy', 'ndarray'), (10**12,)),
    Calls(Name('numpy._core.multiarray', 'scalar'), np.dtype('O'), b'12345678'),
  ],
)
def test_arrays_are_rebuilt_from_checked_parts_only(tmp_path, value):
  path = dump(tmp_path / 'bad.pkl', value)
  with pytest.raises(errors.UserError, match='bad.pkl is not a readable'):
    restricted_unpickler.load(path)


def test_a_pickle_cannot_change_what_later_pickles_may_name(tmp_path):
  # BUILD on the bare name, with a state for __dict__ and with one for slots.
  for state in (b"(dS'x'\nI1\nsb.", b"(N(dS'_function'\nI1\nstb."):
    path = tmp_path / 'bad.pkl'
    path.write_bytes(b'cnumpy\ndtype\n' + state)
    with pytest.raises(errors.UserError, match='bad.pkl'):
      restricted_unpickler.load(path)
  path = dump(tmp_path / 'good.pkl', annotation_file())
  assert restricted_unpickler.load(path)['split'] == {'train': ['a']}


@pytest.mark.parametrize(
  'content, words',
  [
    (b'Pid\n.', 'not a readable pickle'),
    (b'\x80\x02\x82\x07.', 'not a readable pickle'),
    (b'\x80\x63.', 'not a readable pickle'),
    (b'hello, this is text\n', 'not a readable pickle'),
    (b'\x80\x04.', 'not a readable pickle'),
    (b'', 'is empty. Get the file again'),
    (gzip.compress(b'x'), 'compressed with gzip: unpack it with gunzip'),
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
    restricted_unpickler.load(path)


def test_a_missing_file_and_a_folder_are_errors(tmp_path):
  with pytest.raises(errors.UserError, match='a.pkl cannot be read: No such'):
    restricted_unpickler.load(tmp_path / 'a.pkl')
  with pytest.raises(errors.UserError, match='cannot be read: Is a directory'):
    restricted_unpickler.load(tmp_path)


@pytest.mark.parametrize('protocol', [0, 2, 4])
def test_a_file_cut_short_anywhere_is_an_error(tmp_path, protocol):
  content = pickle.dumps(annotation_file(), protocol)
  path = tmp_path / 'x.pkl'
  for length in range(1, len(content), 2):
    path.write_bytes(content[:length])
    with pytest.raises(errors.UserError, match='x.pkl'):
      restricted_unpickler.load(path)


def test_the_words_for_a_file_cut_short(tmp_path):
  content = pickle.dumps(annotation_file(), 4)
  path = tmp_path / 'ntu60_3d.pkl'
  path.write_bytes(content[:-20])
  with pytest.raises(errors.UserError) as raised:
    restricted_unpickler.load(path)
  assert str(raised.value) == (
    f'{path} ends in the middle of its data ({len(content) - 20} bytes): the'
    ' file was cut short. Download or copy it again.'
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
        restricted_unpickler.load(path)
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
  with pytest.raises(errors.UserError, match='not a readable pickle'):
    restricted_unpickler.load(path)


def test_deep_nesting_is_an_error_and_no_crash(tmp_path):
  path = tmp_path / 'x.pkl'
  path.write_bytes(b'\x80\x02' + b']' * 100_000 + b'a' * 99_999 + b'.')
  with pytest.raises(errors.UserError, match='not a readable pickle'):
    restricted_unpickler.load(path)


def test_the_admitted_names_are_these():
  names = {name for _, name in restricted_unpickler._ADMITTED}
  assert names == {
    'dtype', 'ndarray', '_reconstruct', 'scalar', '_frombuffer', 'encode',
    'OrderedDict', 'defaultdict', 'bytes', 'bytearray', 'set', 'frozenset',
    'list', 'dict', 'int',
  }  # fmt: skip


def test_arrays_share_the_bytes_of_the_file(tmp_path):
  array = np.zeros(10_000, np.float32)
  path = dump(tmp_path / 'x.pkl', array, 4)
  result = restricted_unpickler.load(path)
  assert not result.flags.owndata and not result.flags.writeable
  assert 'BINBYTES' in {
    op.name for op, *_ in pickletools.genops(path.read_bytes())
  }
