"""The interface of all readers: a dataset as a list of clips, each read lazily.

A reader module implements one of two functions, or both:

  read_dataset(source, **options) -> RawDataset   a file or folder of many clips
  read_clip(path, **options) -> Item              the file or folder of one clip

Both raise UserError for anything in the input that the user has to fix. Nothing
in a file is executed, and listing a dataset reads no clip (except where one
pickle holds all of them).
"""

import collections
from collections.abc import Callable, Mapping, Sequence
import dataclasses
import os
import re
from typing import Any, TypeVar

from skeljax import errors

T = TypeVar('T')

# The content of a clip, not yet validated (see checks.check_clip):
#   'keypoint'        [M, T, V, C] array: pixels, or metres in 3D
#   'keypoint_score'  [M, T, V] array, if the source has scores
#   'img_shape'       (height, width) in pixels, if it is known
#   'total_frames'    T, optional
# and, for compressed annotations, the fields listed in readers/compressed.py.
Item = Mapping[str, Any]
# One path, or one per split: a mapping, or the text 'train=a.pkl,val=b.pkl'.
Paths = str | os.PathLike | Mapping[str, str | os.PathLike]

_TRAIN_SPLIT = re.compile(r'(.*)_train|train(\d*)')
_SPLIT_PATH = re.compile(r'(\w+)=(.+)')


@dataclasses.dataclass(frozen=True)
class Clip:
  """One clip of a raw dataset.

  Attributes:
    id: sample id.
    label: class index from 0 as the source gives it, not yet validated; None if
      unknown.
    path: file or folder that contains the clip, for error messages.
    read: returns the `Item`. Can be pickled and called in another process, so a
      clip can be sent to a Beam worker. Raises UserError if the file is damaged.
  """

  id: str
  label: Any
  path: str
  read: Callable[[], Item]

  @property
  def where(self) -> str:
    """File and sample for error messages."""
    return f'{self.path}, sample {self.id!r}'


@dataclasses.dataclass(frozen=True)
class RawDataset:
  """The clips, splits and class names of an annotation file or a folder.

  Attributes:
    clips: in file order.
    splits: split name -> increasing positions in `clips`.
    class_names: one name per class, or () if the source has none.
    unknown_ids: split name -> ids in the split that no clip has; only splits
      with such ids.
    source: the input path or paths, for error messages.
    in_memory: whether the clips are already in memory, so that reading one is
      free and `release` saves memory.
  """

  clips: list[Clip]
  splits: Mapping[str, Sequence[int]]
  class_names: tuple[str, ...] = ()
  unknown_ids: Mapping[str, tuple[str, ...]] = dataclasses.field(
    default_factory=dict
  )
  source: str = ''
  in_memory: bool = False

  @property
  def ids(self) -> tuple[str, ...]:
    return tuple(clip.id for clip in self.clips)

  def release(self, position: int) -> None:
    """Free the memory of a clip that is no longer needed; keep id and label."""
    self.clips[position] = dataclasses.replace(
      self.clips[position], read=_released
    )


def _released() -> Item:
  raise RuntimeError('clip was released')


def split_paths(source: Paths) -> str | dict[str, str]:
  """Parse 'train=a.pkl,val=b.pkl' to a dict; return a single path unchanged.

  Raises:
    UserError: a part is not NAME=FILE, or a name occurs twice.
  """
  if isinstance(source, Mapping):
    return {name: os.fspath(path) for name, path in source.items()}
  source = os.fspath(source)
  if os.path.exists(source) or not _SPLIT_PATH.fullmatch(source):
    return source
  result: dict[str, str] = {}
  for part in source.split(','):
    match = _SPLIT_PATH.fullmatch(part)
    if match is None or match[1] in result:
      raise errors.UserError(
        f'{source!r}: expected one file, or one per split as'
        f' train=TRAIN.pkl,val=VAL.pkl; found {part!r}.'
      )
    result[match[1]] = match[2]
  return result


def protocols(split_names: Sequence[str]) -> dict[str, tuple[str, str]]:
  """Map each protocol to its training and validation split.

  Protocol P has the splits 'P_train' and 'P_val' or 'P_test'; 'val' is
  preferred to 'test'. 'train1' with 'test1' or 'val1' is protocol '1', plain
  'train' with 'val' or 'test' is protocol ''.
  """
  found: dict[str, tuple[str, str]] = {}
  for train in split_names:
    match = _TRAIN_SPLIT.fullmatch(train)
    if not match:
      continue
    protocol, prefix, suffix = (
      (match[2], '', match[2])
      if match[1] is None
      else (match[1], f'{match[1]}_', '')
    )
    for word in ('val', 'test'):
      val = f'{prefix}{word}{suffix}'
      if val in split_names:
        found.setdefault(protocol, (train, val))
  return found


def find_protocol(dataset: RawDataset, protocol: str) -> tuple[str, str]:
  """Return the names of the training and validation split of a protocol.

  Args:
    dataset: the dataset.
    protocol: for example 'xsub' for xsub_train and xsub_val, '1' or 'split1'
      for train1 and test1; '' for plain train and val, or for the only protocol
      if there is exactly one.

  Raises:
    UserError: there is no such protocol.
  """
  found = protocols(list(dataset.splits))
  number = protocol.removeprefix('split')
  if protocol in found:
    return found[protocol]
  if number in found and number.isdecimal():
    return found[number]
  if not protocol and len(found) == 1:
    return next(iter(found.values()))
  if not dataset.splits:
    raise errors.UserError(
      f'{dataset.source} has no splits. Give one list of annotations per split,'
      ' as train=TRAIN.pkl,val=VAL.pkl.'
    )
  missing = f'no protocol {protocol!r}' if protocol else 'no plain protocol'
  options = [f'--protocol={name}' for name in found if name]
  if '' in found:
    options.append('no --protocol (plain train and val)')
  choices = (
    f'Choose {" or ".join(options)}.'
    if options
    else 'No two of its splits form a protocol.'
  )
  raise errors.UserError(
    f'{dataset.source} has {missing}. {choices} Its splits are'
    f' {", ".join(dataset.splits)}; protocol P needs P_train with P_val or'
    ' P_test, or train1 with test1.'
  )


def protocol_splits(
  dataset: RawDataset, protocol: str
) -> tuple[Sequence[int], Sequence[int]]:
  """Return the positions of the training and of the validation clips.

  A split is a set of ids: clips keep the order of the annotations, not that of
  the split's list, as in mmaction2.

  Args:
    dataset: the dataset.
    protocol: see find_protocol.

  Raises:
    UserError: there is no such protocol, or a split is empty, lists unknown ids
      or contains an id twice.
  """
  train, val = find_protocol(dataset, protocol)
  return _checked_split(dataset, train), _checked_split(dataset, val)


def _checked_split(dataset: RawDataset, name: str) -> Sequence[int]:
  where, positions = f'{dataset.source}: split {name!r}', dataset.splits[name]
  unknown = dataset.unknown_ids.get(name, ())
  if unknown:
    raise errors.UserError(
      f'{where} lists {len(unknown):,} ids that no annotation has:'
      f' {first_few(unknown)}. Remove them from the split, or add their'
      ' annotations.'
    )
  if not positions:
    raise errors.UserError(f'{where} is empty. It must list the ids of clips.')
  repeated = duplicates([dataset.clips[p].id for p in positions])
  if repeated:
    raise errors.UserError(
      f'{where} has several annotations with the same id:'
      f' {first_few(repeated)}. Rename or remove the copies.'
    )
  return positions


def duplicates(values: Sequence[T]) -> list[T]:
  """Return the values that occur more than once, each once, in order."""
  counts = collections.Counter(values)
  return [value for value, count in counts.items() if count > 1]


def first_few(values: Sequence[Any], limit: int = 3) -> str:
  """List the first values and the number of others, for a message."""
  shown = ', '.join(str(v) for v in values[:limit])
  rest = len(values) - limit
  return f'{shown} and {rest:,} more' if rest > 0 else shown
