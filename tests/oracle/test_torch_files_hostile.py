"""Files that are damaged, of another kind, or that try to run code."""

import collections
import os
import pathlib
import pickle
import subprocess
import zipfile

import numpy as np
import pytest
import torch_files

from skeljax import errors
from skeljax.convert import checkpoint
from skeljax.convert import torch_file


@pytest.mark.parametrize(
  'content,expected',
  [
    (b'weights\n', 'not a file of torch.save'),
    (b'', 'is empty.'),
    (pickle.dumps({'state_dict': {}}), 'not a file of torch.save'),
    (bytes(range(256)) * 40, 'not a file of torch.save'),
    (b'PK\x03\x04' + bytes(500), 'not a PyTorch file, or damaged'),
  ],
)
def test_other_files_are_an_error(content, expected, tmp_path):
  path = tmp_path / 'file.pth'
  path.write_bytes(content)
  text = torch_files.error_of(str(path), tmp_path)
  assert str(path) in text
  assert expected in text


def test_other_zip_files_are_an_error(tmp_path):
  path = str(tmp_path / 'scores.npz')
  np.savez(path, a=np.zeros(3))
  assert 'not a PyTorch file' in torch_files.error_of(path, tmp_path)
  path = str(tmp_path / 'empty.pth')
  zipfile.ZipFile(path, 'w').close()
  assert path in torch_files.error_of(path, tmp_path)


def test_folders_and_missing_files_are_an_error(tmp_path):
  assert 'no such file' in torch_files.error_of(
    str(tmp_path / 'absent.pth'), tmp_path
  )
  folder = tmp_path / 'folder.pth'
  folder.mkdir()
  assert 'is a folder' in torch_files.error_of(str(folder), tmp_path)


@pytest.mark.parametrize('is_zip', [True, False], ids=['zip', 'legacy'])
def test_an_incomplete_file_is_an_error(is_zip, state, save, tmp_path):
  path = save(state, _use_new_zipfile_serialization=is_zip)
  whole = pathlib.Path(path).read_bytes()
  for tenths in range(10):
    pathlib.Path(path).write_bytes(whole[: len(whole) * tenths // 10])
    text = torch_files.error_of(path, tmp_path)
    assert path in text, tenths
  pathlib.Path(path).write_bytes(whole[:-1])
  assert path in torch_files.error_of(path, tmp_path)


@pytest.mark.parametrize('is_zip', [True, False], ids=['zip', 'legacy'])
def test_damage_is_at_most_a_user_error(is_zip, state, save):
  small = collections.OrderedDict(list(state.items())[:4])
  path = save({'state_dict': small}, _use_new_zipfile_serialization=is_zip)
  whole = bytearray(pathlib.Path(path).read_bytes())
  rng = np.random.default_rng(0)
  for _ in range(200):
    damaged = bytearray(whole)
    for place in rng.integers(20, len(whole), size=rng.integers(1, 4)):
      damaged[place] = rng.integers(256)
    pathlib.Path(path).write_bytes(damaged)
    try:
      torch_file.read(path)
    except errors.UserError as error:
      assert path in str(error)


def attacks(marker):
  """Return objects that create the file `marker` when they are unpickled."""
  touch = f'touch {marker}'
  return {
    'os.system': torch_files.Hostile(os.system, touch),
    'exec': torch_files.Hostile(exec, f"open({str(marker)!r}, 'w')"),
    'open': torch_files.Hostile(open, str(marker), 'w'),
    # Files of mmengine call getattr to name a method.
    'getattr': torch_files.Hostile(
      torch_files.Hostile(
        getattr, torch_files.Hostile(__import__, 'os'), 'system'
      ),
      touch,
    ),
    'getattr of numpy': torch_files.Hostile(
      torch_files.Hostile(getattr, np.ndarray, 'tofile'),
      np.zeros(3),
      str(marker),
    ),
    'numpy': torch_files.Hostile(np.savetxt, str(marker), [1.0]),
    'numpy runs it': torch_files.Hostile(np.vectorize, os.system),
    'subprocess': torch_files.Hostile(
      subprocess.check_call, ['touch', str(marker)]
    ),
  }


@pytest.mark.parametrize('name', attacks(''))
@pytest.mark.parametrize('place', ['whole', 'weight', 'meta', 'beside', 'name'])
@pytest.mark.parametrize('is_zip', [True, False], ids=['zip', 'legacy'])
def test_a_hostile_file_runs_nothing(
  name, place, is_zip, state, save, tmp_path
):
  marker = tmp_path / 'marker'
  attack = attacks(marker)[name]
  content = {'state_dict': state, 'meta': {}}
  if place == 'whole':
    content = attack
  elif place == 'weight':
    state['backbone.gcn.0.gcn.PA'] = attack
  elif place == 'meta':
    content['meta'] = {'cfg': attack, 'skeljax': attack}
  elif place == 'name':
    content = {'state_dict': {(attack,): state['cls_head.fc.bias']}}
  else:
    content['message_hub'] = [attack]
  path = save(content, _use_new_zipfile_serialization=is_zip)
  try:
    checkpoint.load(path)
  except errors.UserError as error:
    assert path in str(error)
  else:
    # Skipped like the histories of mmengine, in a place that is not used.
    assert name in ('numpy', 'getattr of numpy')
    assert place in ('beside', 'meta')
  assert not marker.exists()


def test_a_renamed_call_is_not_made(save, state, tmp_path):
  marker = tmp_path / 'marker'
  path = save({'state_dict': state, 'x': torch_files.Hostile(print, 'y')})
  targets = (
    b'builtins\nexec',
    b'builtins\ngetattr',
    # A function of NumPy that evaluates text.
    b'numpy.f2py.crackfortran\nmyeval',
    b'mmengine.utils\ninstall_package',
  )
  with zipfile.ZipFile(path) as archive:
    entries = {n: archive.read(n) for n in archive.namelist()}
  data = next(n for n in entries if n.endswith('data.pkl'))
  assert b'builtins\nprint\n' in entries[data].replace(
    b'__builtin__', b'builtins'
  )
  argument = f"open({str(marker)!r}, 'w')".encode()
  for target in targets:
    changed = dict(entries)
    changed[data] = (
      entries[data]
      .replace(b'__builtin__\nprint', target)
      .replace(b'builtins\nprint', target)
      .replace(
        b'X\x01\x00\x00\x00y',
        b'X' + len(argument).to_bytes(4, 'little') + argument,
      )
    )
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_STORED) as archive:
      for entry, content in changed.items():
        archive.writestr(entry, content)
    try:
      torch_file.read(path)
    except errors.UserError:
      pass
    assert not marker.exists(), target


def test_the_error_names_what_the_file_asks_for(state, save, tmp_path):
  path = save(
    {'state_dict': state, 'meta': {'x': torch_files.Hostile(os.system, 'true')}}
  )
  text = torch_files.error_of(path, tmp_path)
  assert 'posix.system' in text
  assert 'Nothing in it was run' in text
  path = save(
    {
      'state_dict': state,
      'meta': {'x': torch_files.Hostile(os.system, 'true')},
    },
    _use_new_zipfile_serialization=False,
  )
  assert 'posix.system' in torch_files.error_of(path, tmp_path)


def test_attributes_of_a_dictionary_are_ignored(state, save, tmp_path):
  class Odd:
    def __init__(self, items):
      self._items = items

    def __reduce__(self):
      attributes = dict.fromkeys(('get', 'items', 'keys', '__iter__'), 3)
      items = iter(self._items.items())
      return collections.OrderedDict, (), attributes, None, items

  path = save(Odd({'state_dict': Odd(state), 'meta': Odd({'cfg': ''})}))
  torch_files.assert_contains(torch_file.read(path), state)
