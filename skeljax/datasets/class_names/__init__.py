"""Lists of class names: line i of a text file is the name of label i (from 0).

Included lists, in the order of the published labels:

  ntu60, ntu120, gym99, ucf101, hmdb51, k400, diving48
      From tools/data of mmaction2 and pyskl. FineGYM (gym99) has the same name
      for two classes; the second one is marked as the dismount here.
  babel60, babel120
      The first labels of action_label_2_idx.json of the authors' repository
      (abhinanda-punnakkal/BABEL), version of July 2021. The version of June
      2021 has other names in another order.
"""

import os
import pathlib

from skeljax import errors

_FOLDER = pathlib.Path(__file__).parent


def known_lists() -> list[str]:
  """Return the names of the included lists."""
  return sorted(path.stem for path in _FOLDER.glob('*.txt'))


def load_class_names(name_or_file: str | os.PathLike) -> tuple[str, ...]:
  """Load one name per class, in the order of the labels.

  Args:
    name_or_file: an included list such as 'ntu60', or a text file with one
      name per line.

  Raises:
    UserError: no such list or file, an empty line, or a duplicate name.
  """
  source = os.fspath(name_or_file)
  path = pathlib.Path(source)
  if source in known_lists():
    path = _FOLDER / f'{source}.txt'
  elif not path.is_file():
    raise errors.UserError(
      f'--class_names={source}: expected a text file with one name per line, or'
      f' one of {", ".join(known_lists())}.'
    )
  try:
    text = path.read_text(encoding='utf-8-sig')
  except UnicodeDecodeError as error:
    raise errors.UserError(
      f'{path}: expected UTF-8 text with one class name per line.'
    ) from error
  names = tuple(line.strip() for line in text.rstrip().splitlines())
  _check(names, path)
  return names


def _check(names: tuple[str, ...], path: pathlib.Path) -> None:
  if not names:
    raise errors.UserError(
      f'{path} is empty: expected one class name per line.'
    )
  first_line: dict[str, int] = {}
  for number, name in enumerate(names, 1):
    if not name:
      raise errors.UserError(
        f'{path}, line {number} is empty: line i is the name of label i-1.'
      )
    if name in first_line:
      raise errors.UserError(
        f'{path}: lines {first_line[name]} and {number} are both {name!r}:'
        ' class names must be unique.'
      )
    first_line[name] = number
