"""NTU RGB+D file names, and who trains and who tests by them.

A name says everything: S001C002P003R002A013 is setup 1, camera 2, subject 3,
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

# Subjects that train; those of NTU RGB+D come first.
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
  """What the name of a recording says; all numbers count from 1."""

  setup: int
  camera: int
  subject: int
  replication: int
  action: int


def parse_name(name: str, path: str) -> Name:
  """What a name such as 'S001C002P003R002A013' says.

  Args:
    name: without a folder and without an ending.
    path: the file, for the error.

  Raises:
    UserError: the name does not fit, or a number lies beyond those of the
      data set.
  """
  match = _NAME.fullmatch(name)
  numbers = [int(number) for number in match.groups()] if match else []
  fits = match and all(0 < n <= top for n, top in zip(numbers, _LIMITS))
  if not fits:
    raise errors.UserError(
      f'{path}: {name!r} is no name of an NTU RGB+D recording. Expected'
      ' SsssCcccPpppRrrrAaaa with setup 1 to 32, camera 1 to 3, subject 1 to'
      ' 106, replication 1 or 2 and action 1 to 120, as in'
      ' S001C002P003R002A013. Recordings of your own take --source=clips with'
      ' a list of labels.'
    )
  return Name(*numbers)


def splits(names: Sequence[Name]) -> dict[str, tuple[int, ...]]:
  """The published splits: name -> positions of its recordings in `names`.

  'ntu60_xsub_train', 'ntu60_xsub_val' and the same with xview, of actions 1 to
  60, where there are such; 'ntu120_xsub_train' and so on with xset, of all
  recordings, where there are actions beyond 60.

  Source: cross-subject, cross-view (NTU RGB+D) and cross-setup (NTU RGB+D 120)
  evaluation of the data sets' papers.
  """
  first = [i for i, n in enumerate(names) if n.action <= NUM_ACTIONS_60]
  everything = range(len(names))
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
  """The names in a list of samples with missing skeletons, as published.

  One name a line, with or without '.skeleton'. Lines that hold no name, such
  as the explanation at the top of the official lists, count as comments.

  Raises:
    UserError: the file cannot be read, or names no recording at all.
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
      f'--exclude={path} names no recording. Expected the official list of'
      ' samples with missing skeletons: one name a line, such as'
      ' S001C002P005R002A008.'
    )
  return found


def exclude_names(names: Iterable[str]) -> frozenset[str]:
  """Names without blanks around them and without '.skeleton'."""
  return frozenset(name.strip().removesuffix(ENDING) for name in names)
