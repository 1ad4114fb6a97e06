"""Atomic writes: complete or not at all, with errors that name the path."""

import pathlib

import pytest

from skeljax import atomic_file
from skeljax import errors


def _write(path, text: str) -> None:
  with atomic_file.replacing(path) as temporary:
    pathlib.Path(temporary).write_text(text)


def test_directory_is_created_and_the_file_replaced(tmp_path):
  path = tmp_path / 'new' / 'file.txt'
  _write(path, 'old')
  _write(path, 'new')
  assert path.read_text() == 'new'
  assert list(path.parent.iterdir()) == [path]


def test_exception_keeps_the_old_content(tmp_path):
  path = tmp_path / 'file.txt'
  path.write_text('old')
  with pytest.raises(ValueError), atomic_file.replacing(path) as temporary:
    pathlib.Path(temporary).write_text('half')
    raise ValueError
  assert path.read_text() == 'old'
  assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize('place', ['folder', 'file/below.txt'])
def test_unwritable_path_is_named(tmp_path, place):
  (tmp_path / 'folder').mkdir()
  (tmp_path / 'file').touch()
  with pytest.raises(errors.UserError, match=f'{place} cannot be written'):
    _write(tmp_path / place, 'text')
  assert list((tmp_path / 'folder').iterdir()) == []
