"""Read JSON files, with an error message for everything that can be wrong."""

from collections.abc import Sequence
import functools
import json
import os
import re
from typing import Any

from skeljax.readers import checks

# Bytes that are read to detect the format of a file.
_HEAD_BYTES = 1 << 16
_KEY = re.compile(r'"((?:[^"\\]|\\.)*)"\s*:')


def load(path: str) -> Any:
  """Load a JSON file; NaN and Infinity are accepted, as pose tools write them.

  Raises:
    ClipError: the file cannot be read or is not JSON.
  """
  return parse(read_text(path), path)


def parse(text: str, where: str) -> Any:
  """Parse a JSON text; `where` names it in errors."""
  try:
    return json.loads(text)
  except json.JSONDecodeError as error:
    cut = ' It may have been cut short.' if error.pos >= len(text) - 1 else ''
    problem = (
      f'{error.msg} at line {error.lineno}, column {error.colno}.{cut} Write the'
      ' file again'
    )
  except ValueError as error:  # A number with too many digits.
    problem = str(error)
  except RecursionError:
    problem = 'lists are nested too deeply. Write the file again'
  raise checks.ClipError('JSON', where, f'is not valid JSON: {problem}.')


def load_lines(path: str) -> list[Any]:
  """Load a JSON file, or JSON lines as a list with one element per line.

  Raises:
    ClipError: the file is neither.
  """
  text = read_text(path)
  lines = [
    (number, line)
    for number, line in enumerate(text.splitlines(), start=1)
    if line.strip()
  ]
  if len(lines) > 1 and all(_is_complete(line) for _, line in lines[:2]):
    return [parse(line, f'{path}, line {number}') for number, line in lines]
  return parse(text, path)


def _is_complete(line: str) -> bool:
  """Whether a line is a JSON value by itself, judging by its brackets."""
  line = line.strip()
  return line == 'null' or (line[0] + line[-1]) in ('{}', '[]')


def read_text(path: str) -> str:
  """Read a UTF-8 file.

  Raises:
    ClipError: it cannot be read, or is not text.
  """
  try:
    with open(path, encoding='utf-8-sig') as file:
      return file.read()
  except OSError as error:
    problem = f'cannot be read: {error.strerror}.'
  except UnicodeDecodeError as error:
    problem = f'is not a UTF-8 text file: {error}.'
  raise checks.ClipError('file', path, problem)


def head(path: str) -> str:
  """Return the beginning of a file as text; '' if it cannot be read."""
  try:
    with open(path, 'rb') as file:
      data = file.read(_HEAD_BYTES)
  except OSError:
    return ''
  return data.removeprefix(b'\xef\xbb\xbf').decode(errors='replace').lstrip()


def first_head(paths: Sequence[str]) -> str:
  """Return the beginning of the first file that is not empty or an empty list.

  The first frames of a video may well show no person.
  """
  heads = (head(path) for path in paths)
  return next((h for h in heads if h.strip() not in ('', '[]')), '')


def value_after(text: str, key: str) -> str:
  """Return the text after the first occurrence of a key."""
  return text.partition(f'"{key}"')[2].lstrip(' :\n\t\r')


@functools.lru_cache(maxsize=4)  # Every format asks for the same file.
def keys(text: str) -> tuple[str, ...]:
  """Return the distinct object keys in JSON text, in order."""
  return tuple(dict.fromkeys(_KEY.findall(text)))


def is_json(path: str) -> bool:
  """Whether a file name ends like JSON or JSON lines."""
  return path.lower().endswith(('.json', '.jsonl', '.ndjson'))


def folder_files(folder: str, ending: str) -> list[str]:
  """Return the sorted paths of the files in a folder with an ending.

  Hidden files are left out.

  Raises:
    ClipError: it is not a folder, or cannot be read.
  """
  try:
    entries = list(os.scandir(folder))
  except OSError as error:
    raise checks.ClipError(
      'file',
      folder,
      f'cannot be read as a folder: {error.strerror}. Expected the folder with'
      ' the files of a clip or of a dataset.',
    ) from None
  names = sorted(
    entry.name
    for entry in entries
    if entry.name.lower().endswith(ending)
    and not entry.name.startswith('.')
    and entry.is_file()
  )
  return [os.path.join(folder, name) for name in names]
