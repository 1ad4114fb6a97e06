"""Pickles that would do something when they are read: nothing is ever run."""

import collections
import datetime
import io
import os
import pathlib
import pickle

import numpy as np
import pytest

from skeljax import errors
from skeljax.readers import safe_pickle

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
    'own function': Calls(Name('skeljax.readers.safe_pickle', '_encode'), 'x'),
    'deep': {'annotations': [({'k': [Calls(os.system, shell)]},)]},
    'as type of an array': Calls(
      Name('numpy._core.multiarray', '_reconstruct'),
      Calls(os.system, shell),
      (0,),
      b'b',
    ),
    'in an array of objects': np.array([None, Calls(os.system, shell)]),
    'as default of a dict': Calls(collections.defaultdict, system),
  }


@pytest.mark.parametrize('protocol', PROTOCOLS)
@pytest.mark.parametrize('name', attacks(pathlib.Path('marker')))
def test_hostile_pickles_run_nothing(tmp_path, name, protocol):
  marker = tmp_path / 'marker'
  path = dump(tmp_path / 'bad.pkl', attacks(marker)[name], protocol)

  with pytest.raises(errors.UserError) as raised:
    safe_pickle.load(path)

  assert not marker.exists()
  assert str(path) in str(raised.value)
  assert 'nothing was executed' in str(raised.value)


def test_the_attacks_would_work_on_a_plain_unpickler(tmp_path):
  marker = tmp_path / 'marker'
  path = dump(tmp_path / 'bad.pkl', attacks(marker)['os.system'])

  with open(path, 'rb') as file:
    pickle.load(file)

  assert marker.exists()


def test_the_words_for_a_hostile_pickle(tmp_path):
  path = dump(tmp_path / 'ntu.pkl', Calls(os.system, 'true'))
  with pytest.raises(errors.UserError) as raised:
    safe_pickle.load(path)
  assert str(raised.value) == (
    f'{path} refers to posix.system. Expected only numpy arrays, numbers,'
    ' strings, lists, tuples, sets and dicts; nothing was executed. If you trust'
    ' the file, load it with pickle yourself and save it again with plain numpy'
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
    safe_pickle.load(path)


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
  with pytest.raises(
    errors.UserError, match='bad.pkl is damaged or not a pickle'
  ):
    safe_pickle.load(path)


def test_a_pickle_cannot_change_what_later_pickles_may_name(tmp_path):
  # BUILD on the bare name, with a state for __dict__ and with one for slots.
  for state in (b"(dS'x'\nI1\nsb.", b"(N(dS'_function'\nI1\nstb."):
    path = tmp_path / 'bad.pkl'
    path.write_bytes(b'cnumpy\ndtype\n' + state)
    with pytest.raises(errors.UserError, match='bad.pkl'):
      safe_pickle.load(path)
  path = dump(tmp_path / 'good.pkl', [np.float32(1), b'x'], 2)
  assert safe_pickle.load(path) == [1, b'x']


def test_the_admitted_names_are_these():
  names = {name for _, name in safe_pickle._ADMITTED}
  assert names == {
    'dtype', 'ndarray', '_reconstruct', 'scalar', '_frombuffer', 'encode',
    'OrderedDict', 'defaultdict', 'bytes', 'bytearray', 'set', 'frozenset',
    'list', 'dict', 'int',
  }  # fmt: skip
