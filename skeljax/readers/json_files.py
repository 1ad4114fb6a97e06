"""Reading the JSON that pose tools write: words for every way it can be wrong.

A file comes from anywhere, so nothing about it is trusted: not that it is
whole, not that it is text, not that its brackets end.
"""

from collections.abc import Sequence
import functools
import json
import os
import re
from typing import Any

from skeljax.readers import arrays

# So much of a file is looked at to tell its form.
_HEAD_BYTES = 1 << 16
_KEY = re.compile(r'"((?:[^"\\]|\\.)*)"\s*:')


def load(path: str) -> Any:
  """The content of a JSON file; NaN and Infinity are numbers, as tools write.

  Raises:
    ClipError: the file cannot be read or is not JSON.
  """
  return parse(read_text(path), path)


def parse(text: str, where: str) -> Any:
  """The content of a JSON text; `where` names it in an error."""
  try:
    return json.loads(text)
  except json.JSONDecodeError as error:
    cut = ' It may have been cut short.' if error.pos >= len(text) - 1 else ''
    raise arrays.clip_error(
      'JSON',
      where,
      f'is not valid JSON: {error.msg} at line {error.lineno}, column'
      f' {error.colno}.{cut} Write the file again.',
    ) from None
  except ValueError as error:
    # A number with more digits than Python converts.
    raise arrays.clip_error(
      'JSON', where, f'is not valid JSON: {error}.'
    ) from None
  except RecursionError:
    raise arrays.clip_error(
      'JSON',
      where,
      'holds lists within lists deeper than any pose tool writes them. Write'
      ' the file again.',
    ) from None


def load_lines(path: str) -> list[Any]:
  """The content of a JSON file, or of JSON lines as a list, one a line.

  Raises:
    ClipError: the file is neither.
  """
  text = read_text(path)
  lines = [line for line in text.splitlines() if line.strip()]
  if len(lines) > 1 and all(_is_whole(line) for line in lines[:2]):
    return [parse(line, f'{path}, line {i}') for i, line in _numbered(text)]
  return parse(text, path)


def _is_whole(line: str) -> bool:
  """Whether a line is a JSON value of its own, by its brackets."""
  line = line.strip()
  return line == 'null' or (line[0] + line[-1]) in ('{}', '[]')


def _numbered(text: str) -> list[tuple[int, str]]:
  lines = enumerate(text.splitlines(), start=1)
  return [(number, line) for number, line in lines if line.strip()]


def read_text(path: str) -> str:
  """The text of a UTF-8 file.

  Raises:
    ClipError: it cannot be read, or is not text.
  """
  try:
    with open(path, encoding='utf-8-sig') as file:
      return file.read()
  except OSError as error:
    raise arrays.clip_error(
      'file', path, f'cannot be read: {error.strerror}.'
    ) from None
  except UnicodeDecodeError as error:
    raise arrays.clip_error(
      'file', path, f'is not a text file in UTF-8: {error}.'
    ) from None


def head(path: str) -> str:
  """The beginning of a file as text, for telling its form; '' if unreadable."""
  try:
    with open(path, 'rb') as file:
      data = file.read(_HEAD_BYTES)
  except OSError:
    return ''
  return data.removeprefix(b'\xef\xbb\xbf').decode(errors='replace').lstrip()


def first_head(paths: Sequence[str]) -> str:
  """The beginning of the first file that says more than that nobody is seen.

  Of a tool that writes a list of persons for each frame, the first files may
  well be empty lists.
  """
  heads = (head(path) for path in paths)
  return next((h for h in heads if h.strip() not in ('', '[]')), '')


def value_after(text: str, key: str) -> str:
  """What follows the first occurrence of a key in the beginning of a text."""
  return text.partition(f'"{key}"')[2].lstrip(' :\n\t\r')


@functools.lru_cache(maxsize=4)  # Every form asks for those of the same file.
def keys(text: str) -> tuple[str, ...]:
  """The keys of objects in the beginning of JSON text, once each, in order."""
  return tuple(dict.fromkeys(_KEY.findall(text)))


def is_json(path: str) -> bool:
  """Whether a file's name says that it holds JSON or JSON lines."""
  return path.lower().endswith(('.json', '.jsonl', '.ndjson'))


def folder_files(folder: str, ending: str) -> list[str]:
  """The paths of the files of a folder with that ending, by name.

  Hidden files are left out.

  Raises:
    ClipError: it is no folder, or cannot be read.
  """
  try:
    entries = list(os.scandir(folder))
  except OSError as error:
    raise arrays.clip_error(
      'file',
      folder,
      f'cannot be read as a folder: {error.strerror}. Expected the folder that'
      ' holds the files of a clip or of a data set.',
    ) from None
  names = sorted(
    entry.name
    for entry in entries
    if entry.name.lower().endswith(ending)
    and not entry.name.startswith('.')
    and entry.is_file()
  )
  return [os.path.join(folder, name) for name in names]
