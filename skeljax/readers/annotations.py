"""What every reader returns, and how a protocol picks its two splits."""

from collections.abc import Mapping, Sequence
import dataclasses
import functools
from typing import Any

from skeljax import errors
from skeljax.readers import clip_files
from skeljax.readers import raw_dataset

# Endings of the published split names, most usual first.
_VAL_WORDS = ('val', 'test')


@dataclasses.dataclass(frozen=True)
class Annotations:
  """The clips of one or several annotation files, in file order.

  Attributes:
    items: one dict a clip as the file holds it, in a list or read when asked
      for (clip_files.ClipFiles). A caller that is done with a clip may write
      None in its place, so that a large file need not stay in memory while it
      is worked through.
    ids: the sample id of each item.
    splits: split name -> increasing positions in `items`.
    label_names: one name a class, or () when the file has none.
    unknown_ids: split name -> ids it lists that no item has; only splits with
      such ids.
    paths: the files, in the order in which their items follow each other.
    starts: the position of the first item of each file.
  """

  items: Sequence[Mapping[str, Any] | None]
  ids: Sequence[str]
  splits: Mapping[str, Sequence[int]]
  label_names: tuple[str, ...]
  unknown_ids: Mapping[str, tuple[str, ...]]
  paths: tuple[str, ...]
  starts: tuple[int, ...]

  @functools.cached_property
  def clips(self) -> list[raw_dataset.Clip]:
    """The clips as RawDataset has them."""
    if isinstance(self.items, clip_files.ClipFiles):
      return [
        raw_dataset.Clip(
          file.id,
          file.label,
          file.path,
          functools.partial(self.items.read, file),
        )
        for file in self.items.files
      ]
    return [
      raw_dataset.Clip(
        sample_id,
        item.get('label'),
        self.path(position),
        functools.partial(dict, item),
      )
      for position, (sample_id, item) in enumerate(zip(self.ids, self.items))
    ]

  @property
  def class_names(self) -> tuple[str, ...]:
    return self.label_names

  @property
  def in_memory(self) -> bool:
    return not isinstance(self.items, clip_files.ClipFiles)

  def release(self, position: int) -> None:
    """See RawDataset.release."""
    raw_dataset.RawDataset.release(self, position)
    self.items[position] = None

  @property
  def source(self) -> str:
    """The files in words."""
    return ' + '.join(self.paths)

  def path(self, position: int) -> str:
    """The file that holds the item at `position`."""
    owner = max(i for i, start in enumerate(self.starts) if start <= position)
    return self.paths[owner]


def protocols(split_names: Sequence[str]) -> dict[str, tuple[str, str]]:
  """Protocol -> (its training split, its validation split).

  A protocol P has a split 'P_train' and a split 'P_val' or 'P_test'; the
  validation set wins over the test set where there are both. 'train1' with
  'test1' or 'val1' is the protocol '1', plain 'train' with 'val' or 'test' the
  protocol ''.
  """
  found = {}
  for train in split_names:
    protocol, pattern = _training_split(train)
    if pattern is None:
      continue
    for word in _VAL_WORDS:
      if pattern.format(word) in split_names:
        found.setdefault(protocol, (train, pattern.format(word)))
  return found


def _training_split(name: str) -> tuple[str, str | None]:
  """The protocol of a training split and the pattern of its split names."""
  if name.endswith('_train'):
    protocol = name.removesuffix('_train')
    return protocol, protocol + '_{}'
  protocol = name.removeprefix('train')
  if name.startswith('train') and (not protocol or protocol.isdecimal()):
    return protocol, '{}' + protocol
  return '', None


def protocol_splits(
  annotations: Annotations, protocol: str
) -> tuple[Sequence[int], Sequence[int]]:
  """The positions of the training and of the validation clips.

  A split is a set of ids: the order of the annotations is kept and the order
  of the split's own list is not, as in mmaction2.

  Args:
    annotations: what read_annotations returned.
    protocol: for example 'xsub' for the splits xsub_train and xsub_val, '1'
      or 'split1' for train1 and test1; '' for plain train and val, or for the only
      protocol when there is exactly one.

  Raises:
    UserError: there is no such protocol, a split is empty, names unknown ids,
      or an id occurs twice in a split.
  """
  names = find_protocol(annotations, protocol)
  for name in names:
    _check_split(annotations, name)
  train, val = names
  return annotations.splits[train], annotations.splits[val]


def find_protocol(annotations: Annotations, protocol: str) -> tuple[str, str]:
  """The names of the training and of the validation split of a protocol.

  Raises:
    UserError: there is no such protocol.
  """
  found = protocols(list(annotations.splits))
  if protocol in found:
    return found[protocol]
  number = protocol.removeprefix('split')
  if number in found and number.isdecimal():
    return found[number]
  if not protocol and len(found) == 1:
    return next(iter(found.values()))
  if not annotations.splits:
    raise errors.UserError(
      f'{annotations.source} has no splits. A plain list of annotations is one'
      ' split: give one file for each, as train=TRAIN.pkl,val=VAL.pkl.'
    )
  wanted = f'no protocol {protocol!r}' if protocol else 'no plain protocol'
  listed = ', '.join(annotations.splits)
  raise errors.UserError(
    f'{annotations.source} has {wanted}. {_choices(list(found))} Its splits'
    f' are {listed}; a protocol P needs P_train with P_val or P_test, or train1'
    ' with test1.'
  )


def _choices(found: Sequence[str]) -> str:
  if not found:
    return 'No two of its splits make a protocol.'
  options = [f'--protocol={name}' for name in found if name]
  if '' in found:
    options.append('no --protocol (plain train and val)')
  return f'Choose {" or ".join(options)}.'


def _check_split(annotations: Annotations, name: str) -> None:
  unknown = annotations.unknown_ids.get(name, ())
  if unknown:
    raise errors.UserError(
      f'{annotations.source}: split {name!r} lists {len(unknown):,} ids that no'
      f' annotation has: {some(unknown)}. Take them out of the split, or add'
      ' their annotations.'
    )
  positions = annotations.splits[name]
  if not positions:
    raise errors.UserError(
      f'{annotations.source}: split {name!r} is empty. It must list the ids of'
      ' its clips.'
    )
  ids = [annotations.ids[p] for p in positions]
  if len(set(ids)) < len(ids):
    raise errors.UserError(
      f'{annotations.source}: split {name!r} holds several annotations with the'
      f' same id: {some(repeated(ids))}. Every clip needs an id of its own:'
      ' rename or remove the copies.'
    )


def repeated(values: Sequence[str]) -> list[str]:
  """The values that occur more than once, each once, in order."""
  seen: set[str] = set()
  twice: dict[str, None] = {}
  for value in values:
    if value in seen:
      twice[value] = None
    seen.add(value)
  return list(twice)


def some(values: Sequence[str], limit: int = 3) -> str:
  """The first few of the values in words."""
  shown = ', '.join(str(v) for v in values[:limit])
  rest = len(values) - limit
  return f'{shown} and {rest:,} more' if rest > 0 else shown
