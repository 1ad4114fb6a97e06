"""Parse NTU RGB+D file names and derive the published splits from them.

For example, S001C002P003R002A013 is setup 1, camera 2, subject 3,
replication 2 and action 13. Actions 1 to 60 are NTU RGB+D, all 120 are NTU
RGB+D 120.
"""

from collections.abc import Iterable, Sequence
import dataclasses
import os
import re

from skeljax import errors

ENDING = '.skeleton'
_NAME = re.compile(r'S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})', flags=re.ASCII)
# The highest number of each part in NTU RGB+D 120.
_LIMITS = (32, 3, 106, 2, 120)
NUM_ACTIONS_60 = 60

# Training subjects.
_TRAIN_SUBJECTS_60 = frozenset(
  (1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38)
)
_TRAIN_SUBJECTS_120 = _TRAIN_SUBJECTS_60 | frozenset(
  (45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82)
  + (83, 84, 85, 86, 89, 91, 92, 93, 94, 95, 97, 98, 100, 103)
)
_TRAIN_CAMERAS = frozenset((2, 3))


@dataclasses.dataclass(frozen=True)
class Name:
  """The parts of a recording's name; all numbers count from 1."""

  setup: int
  camera: int
  subject: int
  replication: int
  action: int


def parse_name(name: str, path: str) -> Name:
  """Parse a name such as 'S001C002P003R002A013'.

  Args:
    name: without folder and ending.
    path: the file, for the error.

  Raises:
    UserError: the name has another format, or a number is out of range.
  """
  match = _NAME.fullmatch(name)
  numbers = [int(number) for number in match.groups()] if match else []
  fits = match and all(0 < n <= top for n, top in zip(numbers, _LIMITS))
  if not fits:
    raise errors.UserError(
      f'{path}: {name!r} is not the name of an NTU RGB+D recording. Expected'
      ' SsssCcccPpppRrrrAaaa with setup 1 to 32, camera 1 to 3, subject 1 to'
      ' 106, replication 1 or 2 and action 1 to 120, as in'
      ' S001C002P003R002A013. For your own recordings use --source=clips with a'
      ' list of labels.'
    )
  return Name(*numbers)


def splits(names: Sequence[Name]) -> dict[str, tuple[int, ...]]:
  """Return the published splits: name -> positions in `names`.

  ntu60_xsub and ntu60_xview, each '_train' and '_val', of actions 1 to 60 if
  there are any; ntu120_xsub and ntu120_xset of all recordings if there are
  actions above 60.

  Source: cross-subject, cross-view (NTU RGB+D) and cross-setup (NTU RGB+D 120)
  evaluation of the datasets' papers.
  """
  first = [i for i, n in enumerate(names) if n.action <= NUM_ACTIONS_60]
  everything = list(range(len(names)))
  rules = []
  if first:
    rules += [
      ('ntu60_xsub', first, lambda n: n.subject in _TRAIN_SUBJECTS_60),
      ('ntu60_xview', first, lambda n: n.camera in _TRAIN_CAMERAS),
    ]
  if len(first) < len(names):
    rules += [
      ('ntu120_xsub', everything, lambda n: n.subject in _TRAIN_SUBJECTS_120),
      ('ntu120_xset', everything, lambda n: n.setup % 2 == 0),
    ]
  result = {}
  for protocol, positions, trains in rules:
    is_training = {i: trains(names[i]) for i in positions}
    result[f'{protocol}_train'] = tuple(i for i in positions if is_training[i])
    result[f'{protocol}_val'] = tuple(
      i for i in positions if not is_training[i]
    )
  return result


def load_exclude_list(path: str | os.PathLike) -> frozenset[str]:
  """Read the names in a published list of samples with missing skeletons.

  One name per line, with or without '.skeleton'. Other lines, such as the
  explanation at the top of the official lists, are ignored.

  Raises:
    UserError: the file cannot be read, or contains no name.
  """
  path = os.fspath(path)
  try:
    with open(path, encoding='utf-8-sig', errors='replace') as file:
      lines = file.read().splitlines()
  except OSError as error:
    raise errors.UserError(
      f'--exclude={path} cannot be read: {error.strerror or error}.'
    ) from error
  names = exclude_names(line.partition('#')[0] for line in lines)
  found = frozenset(name for name in names if _NAME.fullmatch(name))
  if not found:
    raise errors.UserError(
      f'--exclude={path} contains no name of a recording. Expected the official'
      ' list of samples with missing skeletons, one name per line, such as'
      ' S001C002P005R002A008.'
    )
  return found


def exclude_names(names: Iterable[str]) -> frozenset[str]:
  """Strip whitespace and '.skeleton' from names."""
  return frozenset(name.strip().removesuffix(ENDING) for name in names)
