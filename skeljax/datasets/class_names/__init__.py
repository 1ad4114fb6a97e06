"""Lists of class names: line i of a text file names label i (from 0).

Shipped are, in the order of the published labels,

  ntu60, ntu120      NTU RGB+D, and gym99, FineGYM: as mmaction2 and pyskl list
  ucf101, hmdb51,    them in tools/data. FineGYM uses one name for two classes;
  k400, diving48     the later one is marked as the dismount here, so that every
                     class has a name of its own.
  babel60, babel120  BABEL: the first labels of action_label_2_idx.json of the
                     authors' repository (abhinanda-punnakkal/BABEL), as of July
                     2021. A version of June 2021 had other names in another
                     order.
"""

import os
import pathlib

from skeljax import errors

_FOLDER = pathlib.Path(__file__).parent


def known_lists() -> list[str]:
  """The names of the shipped lists."""
  return sorted(path.stem for path in _FOLDER.glob('*.txt'))


def load_class_names(name_or_file: str | os.PathLike) -> tuple[str, ...]:
  """One name a class, in the order of the labels.

  Args:
    name_or_file: a shipped list such as 'ntu60', or a text file with one name
      a line.

  Raises:
    UserError: no such list or file, an empty line, or one name twice.
  """
  source = os.fspath(name_or_file)
  path = pathlib.Path(source)
  if source in known_lists():
    path = _FOLDER / f'{source}.txt'
  elif not path.is_file():
    raise errors.UserError(
      f'Class names {source!r}: neither a file nor a known list. Known lists:'
      f' {", ".join(known_lists())}; a file holds one name a line.'
    )
  try:
    text = path.read_text(encoding='utf-8-sig')
  except UnicodeDecodeError as error:
    raise errors.UserError(
      f'{path} is not UTF-8 text. A file of class names holds one name a line.'
    ) from error
  names = tuple(line.strip() for line in text.rstrip().splitlines())
  _check(names, path)
  return names


def _check(names: tuple[str, ...], path: pathlib.Path) -> None:
  if not names:
    raise errors.UserError(
      f'{path} is empty. A file of class names holds one name a line.'
    )
  first_line: dict[str, int] = {}
  for number, name in enumerate(names, 1):
    if not name:
      raise errors.UserError(
        f'{path}, line {number} is empty. Line i names label i-1, so that no'
        ' line may be left out.'
      )
    if name in first_line:
      raise errors.UserError(
        f'{path}: lines {first_line[name]} and {number} are both {name!r}.'
        ' Every class needs a name of its own.'
      )
    first_line[name] = number
