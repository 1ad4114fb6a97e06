"""Read raw NTU RGB+D recordings: folders of .skeleton files.

A .skeleton file is text. Its first line is the number of frames; each frame
starts with its number of bodies; each body is a line about the body (its id
first), a line with the number of joints, and one line per joint, whose first
three numbers are x, y and z in metres.

`denoise` chooses the persons of a clip, as in one of the published datasets:

- 'mmaction1x': mmaction2 1.x, float16, one or two persons;
- 'mmaction0x': mmaction2 0.x and 2s-AGCN before their normalisation (which is
  --normalize=mmaction0x): float32, always two persons;
- 'pyskl': the cleaned skeletons of pyskl, the source of the published
  ntu60_3d.pkl and ntu120_3d.pkl: float16, one or two persons, frames without a
  body removed.
"""

from collections.abc import Collection, Sequence
import functools
import os
from typing import Any

from absl import logging
import numpy as np

from skeljax import errors
from skeljax import skeletons
from skeljax.readers import checks
from skeljax.readers import ntu_persons
from skeljax.readers import ntu_splits
from skeljax.readers import raw_dataset

DENOISE = ('mmaction1x', 'mmaction0x', 'pyskl')
LAYOUT = 'nturgb+d'
_NUM_JOINTS = skeletons.LAYOUTS[LAYOUT].num_joints
_NUM_COORDINATES = 3
# Recordings have a few hundred frames; a much larger number is a mistake and
# would fill memory.
_MAX_FRAMES = 100_000


def read_dataset(
  folder: str | os.PathLike,
  *,
  denoise: str = 'mmaction1x',
  exclude: Collection[str] = (),
  class_names_60: Sequence[str] = (),
) -> raw_dataset.RawDataset:
  """List the recordings in a folder and its sub-folders, by name.

  Args:
    folder: contains .skeleton files, at any depth; other files are ignored.
    denoise: one of DENOISE.
    exclude: names of recordings to leave out, with or without '.skeleton', as
      returned by ntu_splits.load_exclude_list.
    class_names_60: class names of the dataset if all recordings are of NTU
      RGB+D. With NTU RGB+D 120 there are none, because the splits of the two
      differ in the number of classes.

  Returns:
    Clips and the splits of ntu_splits.splits.

  Raises:
    UserError: there is no such folder, no recording in it, a wrong name, or a
      name that occurs twice.
  """
  folder = os.fspath(folder)
  _check_denoise(denoise)
  paths = _find(folder)
  excluded = ntu_splits.exclude_names(exclude) & set(paths)
  if exclude:
    logging.info('left out %d recordings of the list', len(excluded))
  names = sorted(name for name in paths if name not in excluded)
  if not names:
    raise errors.UserError(
      f'{folder}: the list of excluded samples contains all {len(paths):,}'
      ' recordings.'
    )
  parsed = [ntu_splits.parse_name(name, paths[name]) for name in names]
  is_60 = all(n.action <= ntu_splits.NUM_ACTIONS_60 for n in parsed)
  return raw_dataset.RawDataset(
    clips=[
      raw_dataset.Clip(
        name,
        n.action - 1,
        paths[name],
        functools.partial(read_clip, paths[name], denoise),
      )
      for name, n in zip(names, parsed)
    ],
    splits=ntu_splits.splits(parsed),
    class_names=tuple(class_names_60) if is_60 else (),
    source=folder,
  )


def is_clip(path: str | os.PathLike) -> bool:
  """Whether a file is a recording, by its ending."""
  return os.fspath(path).endswith(ntu_splits.ENDING)


def read_clip(
  path: str | os.PathLike, denoise: str = 'mmaction1x'
) -> dict[str, Any]:
  """Read the persons of one recording, whatever its name.

  Args:
    path: a .skeleton file.
    denoise: one of DENOISE.

  Returns:
    'keypoint' [M, T, V, 3] metres, float16 or float32 (see DENOISE).

  Raises:
    ClipError: the file is damaged, or has no person.
  """
  path = os.fspath(path)
  _check_denoise(denoise)
  bodies = read_bodies(path)
  # checks.check_clip reports NaN and overflow.
  with np.errstate(all='ignore'):
    keypoint = _persons(bodies, denoise)
  if not keypoint.any():
    raise checks.ClipError(
      'empty',
      path,
      f'{len(bodies.joints):,} bodies in {bodies.num_frames:,} frames, and none'
      f' is a person with denoise={denoise}. Leave such recordings out:'
      ' --exclude=FILE with the official list of missing skeletons, or'
      ' --drop_empty.',
    )
  return {'keypoint': keypoint}


def _persons(bodies: ntu_persons.Bodies, denoise: str) -> np.ndarray:
  """The persons [M, T, V, 3] of a recording, in the published dtype."""
  if denoise == 'pyskl':
    return ntu_persons.pyskl_persons(bodies).astype(np.float16)
  keypoint = ntu_persons.mmaction_persons(bodies)
  if denoise == 'mmaction0x':
    return keypoint.astype(np.float32)
  return ntu_persons.drop_absent(keypoint).astype(np.float16)


def _check_denoise(denoise: str) -> None:
  if denoise not in DENOISE:
    raise errors.UserError(
      f'--denoise={denoise}: expected one of {", ".join(DENOISE)}.'
    )


def _find(folder: str) -> dict[str, str]:
  """Find the recordings under a folder: name -> path."""
  if not os.path.isdir(folder):
    raise errors.UserError(
      f'There is no folder {folder}. Expected the folder with the .skeleton'
      ' files of NTU RGB+D.'
    )
  paths: dict[str, str] = {}
  visited: set[str] = set()
  walk = os.walk(folder, followlinks=True, onerror=_cannot_be_read)
  for directory, folders, names in walk:
    # A link to a parent folder would otherwise never end.
    real = os.path.realpath(directory)
    is_new = real not in visited
    visited.add(real)
    folders[:] = sorted(f for f in folders if is_new and f[0] != '.')
    for name in sorted(names) if is_new else ():
      # macOS writes a hidden '._' file next to each file that it unpacks.
      if not name.endswith(ntu_splits.ENDING) or name.startswith('.'):
        continue
      path = os.path.join(directory, name)
      stem = name.removesuffix(ntu_splits.ENDING)
      if stem in paths:
        raise errors.UserError(
          f'{folder} contains {stem} twice: {paths[stem]} and {path}. Remove one'
          ' of them.'
        )
      paths[stem] = path
  if not paths:
    raise errors.UserError(
      f'{folder} has no .skeleton file. Unpack the archives of NTU RGB+D'
      ' (nturgbd_skeletons_s001_to_s017.zip and, for NTU RGB+D 120,'
      ' nturgbd_skeletons_s018_to_s032.zip) into it.'
    )
  return paths


def _cannot_be_read(error: OSError) -> None:
  raise errors.UserError(
    f'{error.filename} cannot be read: {error.strerror}.'
  ) from error


class _Damaged(Exception):
  """A line of a file is not as expected."""

  def __init__(self, line: int, expected: str):
    super().__init__(line, expected)
    self.line = line  # From 0.
    self.expected = expected


def read_bodies(path: str) -> ntu_persons.Bodies:
  """Read all bodies of a .skeleton file.

  Raises:
    ClipError: the file cannot be read, was cut short, or is damaged; names the
      line and the expectation.
  """
  try:
    with open(path, 'rb') as file:
      text = file.read()
  except OSError as error:
    raise checks.ClipError(
      'file', path, f'cannot be read: {error.strerror or error}.'
    ) from error
  # Latin-1 decodes every byte; parsing the numbers finds wrong ones.
  lines = text.decode('latin1').rstrip().split('\n')
  if lines == ['']:
    raise checks.ClipError('file', path, 'is empty. Get the file again.')
  try:
    return _parse(lines)
  except _Damaged as error:
    if error.line >= len(lines):
      found = f'ends after line {len(lines):,}: it was cut short'
    else:
      found = f'line {error.line + 1:,} is {lines[error.line].strip()[:40]!r}'
    raise checks.ClipError(
      'skeleton file',
      path,
      f'{found}. Expected {error.expected}. Get the file again, or leave the'
      ' recording out.',
    ) from None


def _parse(lines: list[str]) -> ntu_persons.Bodies:
  """Parse the lines of a file.

  As in the published readers, all numbers after the third of a joint and after
  the first of a body are ignored.
  """
  num_frames = _count(lines, 0, 'the number of frames')
  if num_frames > _MAX_FRAMES:
    raise _Damaged(0, f'the number of frames, at most {_MAX_FRAMES:,}')
  frames, places, ids, starts = [], [], [], []
  at = 1
  for frame in range(num_frames):
    num_bodies = _count(lines, at, 'the number of bodies in a frame')
    at += 1
    for place in range(num_bodies):
      ids.append(_body_id(lines, at))
      if _count(lines, at + 1, 'the number of joints') != _NUM_JOINTS:
        raise _Damaged(at + 1, f'{_NUM_JOINTS}, the number of joints')
      starts.append(at + 2)
      at += 2 + _NUM_JOINTS
      frames.append(frame)
      places.append(place)
      if at > len(lines):
        raise _Damaged(len(lines), 'a joint')
  if at < len(lines):
    raise _Damaged(at, f'the end, after {num_frames:,} frames')
  return ntu_persons.Bodies(
    num_frames=num_frames,
    frame=np.array(frames, np.int64),
    place=np.array(places, np.int64),
    ids=tuple(ids),
    joints=_coordinates(lines, starts),
  )


def _count(lines: list[str], at: int, what: str) -> int:
  try:
    number = int(lines[at])
  except (IndexError, ValueError):
    number = -1
  if number < 0:
    raise _Damaged(at, f'{what}, an integer')
  return number


def _body_id(lines: list[str], at: int) -> int:
  """The id of a body, which is too long for a float."""
  try:
    return int(lines[at].split(None, 1)[0])
  except (IndexError, ValueError):
    raise _Damaged(at, 'a body, its integer id first') from None


def _coordinates(lines: list[str], starts: list[int]) -> np.ndarray:
  """Parse joints [S, V, 3] of bodies whose first joints are at `starts`."""
  shape = (len(starts), _NUM_JOINTS, _NUM_COORDINATES)
  if not starts:
    return np.zeros(shape)
  rows = [line for at in starts for line in lines[at : at + _NUM_JOINTS]]
  try:
    # Parses in C, with the same results as float().
    numbers = np.loadtxt(
      rows, np.float64, usecols=range(_NUM_COORDINATES), comments=None, ndmin=2
    )
  except ValueError:
    numbers = np.zeros((0, 0))
  # NOTE: loadtxt skips empty lines.
  if len(numbers) != len(rows):
    raise _first_bad_joint(lines, starts)
  last = starts[-1] + _NUM_JOINTS - 1
  if len(lines[last].split()) != len(rows[0].split()):
    raise _Damaged(last, f'a joint with {len(rows[0].split())} numbers')
  return numbers.reshape(shape)


def _first_bad_joint(lines: list[str], starts: list[int]) -> _Damaged:
  """Find the joint whose line does not start with three numbers."""
  for start in starts:
    for at in range(start, start + _NUM_JOINTS):
      parts = lines[at].split()[:_NUM_COORDINATES]
      try:
        is_good = len([float(part) for part in parts]) == _NUM_COORDINATES
      except ValueError:
        is_good = False
      if not is_good:
        return _Damaged(at, 'a joint, the numbers x, y and z first')
  # A number that Python accepts and loadtxt does not, such as '1_0'.
  return _Damaged(starts[0], 'joints, the numbers x, y and z first')
