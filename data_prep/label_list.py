"""Read the CSV file with the labels of the clips in a folder.

  file,label,subject
  monday/wave_01.json,wave,anna
  monday/sit_01.json,sit down,ben

Errors name the line, because such files are written by hand and by spreadsheet
programs.
"""

from collections.abc import Mapping, Sequence
import csv
import dataclasses
import io
import os
import pathlib
import posixpath

from skeljax import errors
from skeljax import readers

COLUMNS = ('file', 'label', 'split', 'subject')
SPLITS = ('train', 'val', 'test')
# A larger label is an error: every class has a name and a model output.
_MAX_CLASSES = 100_000
_DELIMITERS = {',': 'comma', ';': 'semicolon', '\t': 'tab'}


@dataclasses.dataclass(frozen=True)
class Line:
  """A line of the file, which describes one clip.

  Attributes:
    file: path of the clip relative to the folder, with '/'.
    label: class name or number.
    split: 'train', 'val' or 'test'; '' without such a column.
    subject: person in the clip; '' without such a column.
    number: line number in the file, from 1.
  """

  file: str
  label: str
  split: str = ''
  subject: str = ''
  number: int = 0


def read(path: str, folder: str) -> list[Line]:
  """Return the lines of a file, sorted by clip.

  Args:
    path: UTF-8 text, with or without a byte order mark. The header has the
      columns 'file' and 'label', optionally 'split' and 'subject', in any
      order; the delimiter is a comma, semicolon or tab.
    folder: the files are relative to it.

  Raises:
    UserError: names the line and what was expected.
  """
  (header_number, header), *rows = _rows(path)
  header = _strip_empty_fields(header, 0)
  columns = _columns(header, f'{path}, line {header_number}')
  lines: dict[str, Line] = {}
  for number, row in rows:
    where = f'{path}, line {number}'
    row = _strip_empty_fields(row, len(header))
    if len(row) != len(header):
      raise errors.UserError(
        f'{where}: {len(row)} fields, expected {len(header)} as in the header:'
        f' {row!r}. Put fields that contain the delimiter in quotation marks.'
      )
    fields = {name: row[i].strip() for name, i in columns.items()}
    line = _line(fields, number, where, folder)
    first = lines.setdefault(line.file, line)
    if first is not line:
      raise errors.UserError(
        f'{where}: {line.file} is already in line {first.number}. Remove one of'
        ' the lines.'
      )
  if not lines:
    raise errors.UserError(
      f'{path} has only a header. Expected one line per clip.'
    )
  return [lines[file] for file in sorted(lines)]


def _rows(path: str) -> list[tuple[int, list[str]]]:
  """The rows that are not blank, with the number of their last line."""
  try:
    text = pathlib.Path(path).read_text(encoding='utf-8-sig')
  except OSError as error:
    raise errors.UserError(
      f'--labels={path} cannot be read: {error}'
    ) from error
  except UnicodeDecodeError as error:
    raise errors.UserError(
      f'--labels={path} is not UTF-8 text (byte {error.start}). Save it as'
      ' "CSV UTF-8".'
    ) from error
  if '\0' in text:
    raise errors.UserError(
      f'--labels={path} contains zero bytes. Save it as "CSV UTF-8".'
    )
  header = next((line for line in text.splitlines() if line.strip()), '')
  delimiter = max(_DELIMITERS, key=header.count)
  reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
  try:
    rows = [
      (reader.line_num, row)
      for row in reader
      if any(field.strip() for field in row)
    ]
  except csv.Error as error:
    raise errors.UserError(
      f'{path}, line {reader.line_num}: {error}. The delimiter is a'
      f' {_DELIMITERS[delimiter]}; every quotation mark has to be closed.'
    ) from error
  if not rows:
    raise errors.UserError(
      f'{path} is empty. Expected a header, "file,label", and one line per clip.'
    )
  return rows


def _strip_empty_fields(row: list[str], length: int) -> list[str]:
  """Remove the empty fields that spreadsheet programs append to rows."""
  while len(row) > length and not row[-1].strip():
    row = row[:-1]
  return row


def _columns(header: Sequence[str], where: str) -> dict[str, int]:
  """Index of each column."""
  names = [name.strip().lower() for name in header]
  missing = [f'no column {n!r}' for n in COLUMNS[:2] if n not in names]
  unknown = [f'unknown column {n!r}' for n in names if n not in COLUMNS]
  duplicates = [f'duplicate column {n!r}' for n in readers.duplicates(names)]
  found = [*missing, *unknown, *duplicates]
  if found:
    raise errors.UserError(
      f'{where}: {found[0]} in the header {", ".join(map(repr, header))}.'
      ' Expected file and label, optionally split (train, val or test) and'
      ' subject, as in "file,label,subject".'
    )
  return {name: i for i, name in enumerate(names)}


def _line(
  fields: Mapping[str, str], number: int, where: str, folder: str
) -> Line:
  """Validate the fields of one line."""
  for name, value in fields.items():
    if not value:
      raise errors.UserError(
        f'{where}: the {name} is missing. Add it or remove the line.'
      )
  split = fields.get('split', '').lower()
  if split and split not in SPLITS:
    raise errors.UserError(
      f'{where}: split {fields["split"]!r}. Expected train, val or test.'
    )
  return Line(
    _file(fields['file'], where, folder),
    fields['label'],
    split,
    fields.get('subject', ''),
    number,
  )


def _file(text: str, where: str, folder: str) -> str:
  """Path relative to the folder; it has to exist there."""
  file = text
  # Spreadsheet programs on Windows write backslashes.
  if '\\' in text and not os.path.exists(os.path.join(folder, text)):
    file = text.replace('\\', '/')
  if os.path.isabs(file):
    file = os.path.relpath(file, os.path.abspath(folder))
  file = posixpath.normpath(file)
  if file.split('/')[0] == '..' or file == '.':
    raise errors.UserError(
      f'{where}: {text} is outside of the folder {folder}. Files are relative to'
      ' it.'
    )
  if not os.path.exists(os.path.join(folder, file)):
    raise errors.UserError(
      f'{where}: no file {text} in {folder}. Files are relative to this folder'
      ' and include the suffix.'
    )
  return file


def number_labels(
  lines: Sequence[Line], class_names: Sequence[str], path: str
) -> tuple[dict[str, int], tuple[str, ...]]:
  """Return the label of each file and the class names.

  Args:
    lines: all lines of a file.
    class_names: indexed by label; () to use the labels of the lines.
    path: of the file, for errors.

  Returns:
    If all labels are whole numbers, these numbers and no names. Otherwise each
    label is a name: the index in `class_names`, or in the sorted labels.

  Raises:
    UserError: a label is out of range or not a class name.
  """
  if all(_is_number(line.label) for line in lines):
    limit = len(class_names) or _MAX_CLASSES
    for line in lines:
      # Python cannot convert numbers with thousands of digits.
      if len(line.label) >= 20 or not 0 <= int(line.label) < limit:
        raise errors.UserError(
          f'{path}, line {line.number}: label {line.label[:20]}. Expected 0 to'
          f' {limit - 1:,}'
          + (f', as there are {limit} class names.' if class_names else '.')
        )
    return {line.file: int(line.label) for line in lines}, ()
  names = tuple(class_names) or tuple(sorted({line.label for line in lines}))
  label_of = {name: label for label, name in enumerate(names)}
  for line in lines:
    if line.label not in label_of:
      raise errors.UserError(
        f'{path}, line {line.number}: label {line.label!r} is not one of the'
        f' {len(names)} class names: {readers.first_few(names)}. Fix the label'
        ' or --class_names.'
      )
  return {line.file: label_of[line.label] for line in lines}, names


def _is_number(label: str) -> bool:
  return label.removeprefix('-').isdecimal() and label.isascii()
