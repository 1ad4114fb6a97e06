"""Files appear whole or not at all, and say where they cannot."""

import pathlib

import pytest

from skeljax import atomic_file
from skeljax import errors


def _write(path, text: str) -> None:
  with atomic_file.replacing(path) as temporary:
    pathlib.Path(temporary).write_text(text)


def test_folder_is_made_and_the_file_replaced(tmp_path):
  path = tmp_path / 'new' / 'file.txt'
  _write(path, 'old')
  _write(path, 'new')
  assert path.read_text() == 'new'
  assert list(path.parent.iterdir()) == [path]


def test_exception_inside_leaves_what_was_there(tmp_path):
  path = tmp_path / 'file.txt'
  path.write_text('old')
  with pytest.raises(ValueError), atomic_file.replacing(path) as temporary:
    pathlib.Path(temporary).write_text('half')
    raise ValueError
  assert path.read_text() == 'old'
  assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize('place', ['folder', 'file/below.txt'])
def test_a_place_that_cannot_be_written_is_named(tmp_path, place):
  (tmp_path / 'folder').mkdir()
  (tmp_path / 'file').touch()
  with pytest.raises(errors.UserError, match=f'{place} cannot be written'):
    _write(tmp_path / place, 'text')
  assert list((tmp_path / 'folder').iterdir()) == []
