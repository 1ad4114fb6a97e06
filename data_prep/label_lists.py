"""The list that says what the clips of a folder show: a CSV file.

  file,label,subject
  monday/wave_01.json,wave,anna
  monday/sit_01.json,sit down,ben

Every mistake is named with its line, because such lists are written by hand
and by spreadsheets.
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
# A number beyond it is no label: every class costs a name and an output.
_MAX_CLASSES = 100_000
_DELIMITERS = {',': 'comma', ';': 'semicolon', '\t': 'tab'}


@dataclasses.dataclass(frozen=True)
class Line:
  """What the list says about one clip.

  Attributes:
    file: the clip, relative to the folder, with '/' between the parts.
    label: a class, in words or as a number.
    split: 'train', 'val' or 'test'; '' where there is no such column.
    subject: who is in the clip; '' where there is no such column.
    number: of the line in the file, from 1.
  """

  file: str
  label: str
  split: str = ''
  subject: str = ''
  number: int = 0


def read(path: str, folder: str) -> list[Line]:
  """The lines of a list, by file.

  Args:
    path: UTF-8 text, with or without a byte order mark; a header that names
      the columns 'file' and 'label', and 'split', 'subject' or both, in any
      order; fields apart by commas, semicolons or tabs, in quotation marks
      where they hold one of these; the same one in all lines.
    folder: what the files are relative to.

  Raises:
    UserError: names the line and what was expected.
  """
  rows = _rows(path)
  header_number, header = rows[0]
  header = _without_empty_end(header, 0)
  columns = _columns(header, f'{path}, line {header_number}')
  lines: dict[str, Line] = {}
  for number, row in rows[1:]:
    where = f'{path}, line {number}'
    row = _without_empty_end(row, len(header))
    if len(row) != len(header):
      raise errors.UserError(
        f'{where}: {len(row)} fields, and the header has {len(header)}:'
        f' {row!r}. A field that holds the delimiter must stand in quotation'
        ' marks.'
      )
    fields = {name: row[i].strip() for name, i in columns.items()}
    line = _line(fields, number, where, folder)
    first = lines.setdefault(line.file, line)
    if first is not line:
      raise errors.UserError(
        f'{where}: {line.file} stands in line {first.number} already. A clip'
        ' has one label: take one of the lines out.'
      )
  if not lines:
    raise errors.UserError(
      f'{path} holds a header and nothing else. Expected one line a clip.'
    )
  return [lines[file] for file in sorted(lines)]


def _rows(path: str) -> list[tuple[int, list[str]]]:
  """The rows that are not blank, with the number of the line they end in."""
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
      f'--labels={path} is not text: it holds bytes of zero. Save it as "CSV'
      ' UTF-8".'
    )
  header = next((line for line in text.splitlines() if line.strip()), '')
  delimiter = max(_DELIMITERS, key=header.count)
  reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
  rows = []
  try:
    for row in reader:
      if any(field.strip() for field in row):
        rows.append((reader.line_num, row))
  except csv.Error as error:
    raise errors.UserError(
      f'{path}, line {reader.line_num}: {error}. The fields of the list are'
      f' apart by a {_DELIMITERS[delimiter]}; a quotation mark that is opened'
      ' must be closed.'
    ) from error
  if not rows:
    raise errors.UserError(
      f'{path} is empty. Expected a header, "file,label", and one line a clip.'
    )
  return rows


def _without_empty_end(row: list[str], length: int) -> list[str]:
  """The row without the empty fields that spreadsheets leave at its end."""
  while len(row) > length and not row[-1].strip():
    row = row[:-1]
  return row


def _columns(header: Sequence[str], where: str) -> dict[str, int]:
  """Where each known column stands."""
  names = [name.strip().lower() for name in header]
  unknown = [name for name in names if name not in COLUMNS]
  twice = readers.duplicates(names)
  missing = [name for name in ('file', 'label') if name not in names]
  if missing or unknown or twice:
    wrong = (
      f'there is no column {missing[0]!r}'
      if missing
      else f'column {unknown[0]!r} is not known'
      if unknown
      else f'column {twice[0]!r} stands there twice'
    )
    raise errors.UserError(
      f'{where}: {wrong}; the header is {", ".join(map(repr, header))}. Expected'
      ' the columns file and label, and, if you like, split (train, val or'
      ' test) and subject (who is in the clip), as in "file,label,subject".'
    )
  return {name: i for i, name in enumerate(names)}


def _line(
  fields: Mapping[str, str], number: int, where: str, folder: str
) -> Line:
  """One line, checked."""
  for name, value in fields.items():
    if not value:
      raise errors.UserError(
        f'{where}: the {name} is missing. Fill it in, or take the line out.'
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
  """The file relative to the folder; it must be there, and in it."""
  # Spreadsheets on Windows write the other slash, which no clip's name holds.
  file = text
  if '\\' in text and not os.path.exists(os.path.join(folder, text)):
    file = text.replace('\\', '/')
  if os.path.isabs(file):
    file = os.path.relpath(file, os.path.abspath(folder))
  file = posixpath.normpath(file)
  if file.split('/')[0] == '..' or file == '.':
    raise errors.UserError(
      f'{where}: {text} lies outside of the folder of clips, {folder}. Files are'
      ' named relative to it.'
    )
  if not os.path.exists(os.path.join(folder, file)):
    raise errors.UserError(
      f'{where}: there is no file {text} in {folder}. Files are named relative'
      ' to that folder, with their ending.'
    )
  return file


def number_labels(
  lines: Sequence[Line], class_names: Sequence[str], path: str
) -> tuple[dict[str, int], tuple[str, ...]]:
  """Label by file, and the names of the classes.

  Args:
    lines: all lines of a list.
    class_names: the names that were given, in the order of their labels; () for
      those of the list.
    path: the list, for errors.

  Returns:
    Where all labels are whole numbers they are the labels, counted from 0, and
    the names are those given, or (). Otherwise each label is a name: its place
    in `class_names`, or else among the labels in alphabetical order.

  Raises:
    UserError: a label is negative, too large, or no known name.
  """
  values = {line.file: line.label for line in lines}
  if all(_is_number(label) for label in values.values()):
    return {file: int(v) for file, v in _numbers(lines, class_names, path)}, ()
  names = tuple(class_names) or tuple(sorted(set(values.values())))
  label_of = {name: label for label, name in enumerate(names)}
  for line in lines:
    if line.label not in label_of:
      raise errors.UserError(
        f'{path}, line {line.number}: label {line.label!r} is none of the'
        f' {len(names)} class names: {readers.first_few(names)}. Mend the'
        ' label, or give other --class_names.'
      )
  return {file: label_of[value] for file, value in values.items()}, names


def _is_number(label: str) -> bool:
  return label.removeprefix('-').isdecimal() and label.isascii()


def _numbers(
  lines: Sequence[Line], class_names: Sequence[str], path: str
) -> list[tuple[str, str]]:
  """File and number of each line, in range."""
  limit = len(class_names) or _MAX_CLASSES
  for line in lines:
    # Python refuses to read numbers of thousands of digits.
    is_short = len(line.label) < 20
    if not is_short or not 0 <= int(line.label) < limit:
      expected = f'0 to {limit - 1:,}'
      if class_names:
        expected += f', as there are {limit} class names'
      raise errors.UserError(
        f'{path}, line {line.number}: label {line.label[:20]}. Expected {expected}:'
        ' labels that are numbers count from 0.'
      )
  return [(line.file, line.label) for line in lines]
