"""Recordings of NTU RGB+D as they are downloaded: folders of .skeleton files.

A .skeleton file is text. Its first line is the number of frames; each frame
begins with its number of bodies; each body is a line about the body (its
number first), a line with the number of joints, and a line a joint, of which
the first three numbers are x, y and z in metres.

Which bodies become persons is a choice (`denoise`), as the published data sets
differ in it:

- 'mmaction1x': mmaction2 1.x, float16, one or two persons;
- 'mmaction0x': mmaction2 0.x and 2s-AGCN before their normalisation (which is
  --normalize=mmaction0x): float32, always two persons;
- 'pyskl': the cleaned skeletons of pyskl, from which the published ntu60_3d.pkl
  and ntu120_3d.pkl come: float16, one or two persons, frames without anybody
  left out.
"""

from collections.abc import Collection, Sequence
import functools
import os
from typing import Any

from absl import logging
import numpy as np

from skeljax import errors
from skeljax import skeletons
from skeljax.datasets import class_names
from skeljax.readers import annotations as annotations_lib
from skeljax.readers import arrays
from skeljax.readers import clip_files
from skeljax.readers import ntu_persons
from skeljax.readers import ntu_splits

DENOISE = ('mmaction1x', 'mmaction0x', 'pyskl')
LAYOUT = 'nturgb+d'
_NUM_JOINTS = skeletons.LAYOUTS[LAYOUT].num_joints
_NUM_COORDINATES = 3
# Recordings have a few hundred; what claims far more would fill the memory.
_MAX_FRAMES = 100_000


def read_annotations(
  folder: str | os.PathLike,
  *,
  denoise: str = 'mmaction1x',
  exclude: Collection[str] = (),
) -> annotations_lib.Annotations:
  """The recordings in a folder and its sub-folders, by name.

  Args:
    folder: holds .skeleton files, at any depth; other files do not count.
    denoise: one of DENOISE.
    exclude: names of recordings to leave out, with or without '.skeleton',
      such as ntu_splits.load_exclude_list reads.

  Returns:
    Items that are read when asked for; splits as ntu_splits.splits has them;
    the class names of NTU RGB+D where there is nothing of NTU RGB+D 120.

  Raises:
    UserError: no such folder, no recording in it, a name that does not fit,
      or a name that occurs twice.
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
      f'{folder}: the list of excluded samples names all {len(paths):,}'
      ' recordings in it.'
    )
  parsed = [ntu_splits.parse_name(name, paths[name]) for name in names]
  files = tuple(
    clip_files.ClipFile(name, paths[name], n.action - 1)
    for name, n in zip(names, parsed)
  )
  return annotations_lib.Annotations(
    items=clip_files.ClipFiles(
      files, functools.partial(_read_file, denoise=denoise)
    ),
    ids=tuple(names),
    splits=ntu_splits.splits(parsed),
    label_names=_label_names(parsed),
    unknown_ids={},
    paths=(folder,),
    starts=(0,),
  )


def _label_names(names: Sequence[ntu_splits.Name]) -> tuple[str, ...]:
  """The 60 class names, or () where there are clips of NTU RGB+D 120.

  Its splits and those of NTU RGB+D, of which there are both then, do not have
  the same number of classes.
  """
  if max(name.action for name in names) > ntu_splits.NUM_ACTIONS_60:
    return ()
  return class_names.load_class_names('ntu60')


def is_clip(path: str | os.PathLike) -> bool:
  """Whether a file is a recording, by its ending."""
  return os.fspath(path).endswith(ntu_splits.ENDING)


def read_clip(
  path: str | os.PathLike, denoise: str = 'mmaction1x'
) -> dict[str, Any]:
  """The persons of one recording, whatever it is called.

  Args:
    path: a .skeleton file.
    denoise: one of DENOISE.

  Returns:
    'keypoint' [M, T, V, 3] metres, float16 or float32 (see DENOISE).

  Raises:
    ClipError: the file is damaged, or nobody is in it.
  """
  path = os.fspath(path)
  _check_denoise(denoise)
  bodies = read_bodies(path)
  # Numbers that are none, or too large, are found when the clip is checked.
  with np.errstate(all='ignore'):
    keypoint = _persons(bodies, denoise)
  if not keypoint.any():
    raise arrays.clip_error(
      'empty',
      path,
      f'holds {_counted(len(bodies.joints), "body", "bodies")} in'
      f' {_counted(bodies.num_frames, "frame")}, and none that is a person'
      f' to {denoise}. Leave such recordings out: --exclude=FILE with the'
      ' official list of samples with missing skeletons, or --drop_empty.',
    )
  return {'keypoint': keypoint}


def _persons(bodies: ntu_persons.Bodies, denoise: str) -> np.ndarray:
  """The persons [M, T, V, 3] of a recording, in the published type."""
  if denoise == 'pyskl':
    return ntu_persons.pyskl_persons(bodies).astype(np.float16)
  keypoint = ntu_persons.mmaction_persons(bodies)
  if denoise == 'mmaction0x':
    return keypoint.astype(np.float32)
  return ntu_persons.drop_absent(keypoint).astype(np.float16)


def _read_file(file: clip_files.ClipFile, *, denoise: str) -> dict[str, Any]:
  return read_clip(file.path, denoise)


def _check_denoise(denoise: str) -> None:
  if denoise not in DENOISE:
    raise errors.UserError(
      f'--denoise={denoise} is not known; it is one of {", ".join(DENOISE)}.'
    )


def _find(folder: str) -> dict[str, str]:
  """The recordings under a folder: name -> path."""
  if not os.path.isdir(folder):
    raise errors.UserError(
      f'There is no folder {folder}. Expected the folder with the .skeleton'
      ' files of NTU RGB+D.'
    )
  paths: dict[str, str] = {}
  seen: set[str] = set()
  walk = os.walk(folder, followlinks=True, onerror=_cannot_be_read)
  for directory, folders, names in walk:
    # A link to a folder above would lead round and round.
    place = os.path.realpath(directory)
    is_new = place not in seen
    seen.add(place)
    folders[:] = sorted(f for f in folders if is_new and f[0] != '.')
    for name in sorted(names) if is_new else ():
      # macOS leaves a hidden '._' twin beside a file that it unpacks.
      if not name.endswith(ntu_splits.ENDING) or name.startswith('.'):
        continue
      path = os.path.join(directory, name)
      stem = name.removesuffix(ntu_splits.ENDING)
      if stem in paths:
        raise errors.UserError(
          f'{folder} holds {stem} twice: {paths[stem]} and {path}. Take one'
          ' of them away.'
        )
      paths[stem] = path
  if not paths:
    raise errors.UserError(
      f'{folder} holds no .skeleton file. Unpack the archives of NTU RGB+D'
      ' (nturgbd_skeletons_s001_to_s017.zip and, for NTU RGB+D 120,'
      ' nturgbd_skeletons_s018_to_s032.zip) into it.'
    )
  return paths


def _cannot_be_read(error: OSError) -> None:
  raise errors.UserError(
    f'{error.filename} cannot be read: {error.strerror}. No folder of'
    ' recordings is left out silently.'
  ) from error


class _Damaged(Exception):
  """A line of a file does not hold what it should."""

  def __init__(self, line: int, expected: str):
    super().__init__(line, expected)
    self.line = line  # Counted from 0.
    self.expected = expected


def read_bodies(path: str) -> ntu_persons.Bodies:
  """All bodies that a .skeleton file holds.

  Raises:
    ClipError: the file cannot be read, was cut short, or is damaged; names the
      line and what was expected there.
  """
  try:
    with open(path, 'rb') as file:
      text = file.read()
  except OSError as error:
    raise arrays.clip_error(
      'file', path, f'cannot be read: {error.strerror or error}.'
    ) from error
  # Every byte is a letter of Latin-1; what is none of a number's is found.
  lines = text.decode('latin1').rstrip().split('\n')
  if lines == ['']:
    raise arrays.clip_error('file', path, 'is empty. Get the file again.')
  try:
    return _parse(lines)
  except _Damaged as error:
    if error.line >= len(lines):
      found = f'ends after line {len(lines):,}: it was cut short'
    else:
      found = f'line {error.line + 1:,} is {lines[error.line].strip()[:40]!r}'
    raise arrays.clip_error(
      'skeleton file',
      path,
      f'{found}. Expected {error.expected}. Get the file again, or leave the'
      ' recording out.',
    ) from None


def _parse(lines: list[str]) -> ntu_persons.Bodies:
  """The bodies in the lines of a file.

  As in the published readers, what follows the third number of a joint, and
  the second one of a body, is not looked at.
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
    raise _Damaged(at, f'{what}, a whole number')
  return number


def _body_id(lines: list[str], at: int) -> int:
  """The number of a body: too long for a float, so it is read as an int."""
  try:
    return int(lines[at].split(None, 1)[0])
  except (IndexError, ValueError):
    raise _Damaged(at, 'a body, its whole number first') from None


def _coordinates(lines: list[str], starts: list[int]) -> np.ndarray:
  """The joints [S, V, 3] of bodies whose first joints are at `starts`."""
  shape = (len(starts), _NUM_JOINTS, _NUM_COORDINATES)
  if not starts:
    return np.zeros(shape)
  rows = [line for at in starts for line in lines[at : at + _NUM_JOINTS]]
  try:
    # Reads the text in C; the numbers are those of float().
    numbers = np.loadtxt(
      rows, np.float64, usecols=range(_NUM_COORDINATES), comments=None, ndmin=2
    )
  except ValueError:
    numbers = np.zeros((0, 0))
  # NOTE: loadtxt leaves out empty lines.
  if len(numbers) != len(rows):
    raise _first_bad_joint(lines, starts)
  last = starts[-1] + _NUM_JOINTS - 1
  if len(lines[last].split()) != len(rows[0].split()):
    raise _Damaged(last, f'a joint with {len(rows[0].split())} numbers')
  return numbers.reshape(shape)


def _first_bad_joint(lines: list[str], starts: list[int]) -> _Damaged:
  """Which line of a joint does not begin with three numbers."""
  for start in starts:
    for at in range(start, start + _NUM_JOINTS):
      parts = lines[at].split()[:_NUM_COORDINATES]
      try:
        is_good = len([float(part) for part in parts]) == _NUM_COORDINATES
      except ValueError:
        is_good = False
      if not is_good:
        return _Damaged(at, 'a joint, the numbers x, y and z first')
  # What Python takes for a number and loadtxt does not, such as '1_0'.
  return _Damaged(starts[0], 'joints, the numbers x, y and z first')


def _counted(number: int, one: str, many: str = '') -> str:
  return f'{number:,} {one if number == 1 else many or one + "s"}'
