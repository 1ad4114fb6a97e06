"""What the workers saw, added up and in words."""

import collections
from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

from skeljax import readers

# Fewer clips of a class than this teach little.
_FEW_CLIPS = 10
# More classes than this are reported only as far as they have clips.
_CLASSES_SHOWN = 100
# How many classes a warning names.
_NAMES_SHOWN = 20


@dataclasses.dataclass(frozen=True)
class Summary:
  """What was seen of the clips of a split; see shards.Seen.

  Attributes:
    labels: clips by label.
    frames: clips by number of frames.
    persons: clips by number of persons.
    num_cut: clips that lost persons.
    num_dropped: persons that were lost.
    has_img_shape: whether every clip knows the size of its picture.
    empty: ids of the clips that were left out.
  """

  labels: Mapping[int, int]
  frames: Mapping[int, int]
  persons: Mapping[int, int]
  num_cut: int
  num_dropped: int
  has_img_shape: bool
  empty: tuple[str, ...]

  @property
  def num_clips(self) -> int:
    return sum(self.labels.values())

  @property
  def max_frames(self) -> int:
    return max(self.frames)

  @property
  def num_persons(self) -> int:
    return max(self.persons)


def add_up(results: Sequence[Mapping[str, Any]]) -> Summary:
  """The summary of what shards.write_shard returned, shard by shard."""

  def counts(name):
    total = collections.Counter()
    for result in results:
      total.update(dict(result[name]))
    return dict(sorted(total.items()))

  return Summary(
    labels=counts('labels'),
    frames=counts('frames'),
    persons=counts('persons'),
    num_cut=sum(result['num_cut'] for result in results),
    num_dropped=sum(result['num_dropped'] for result in results),
    has_img_shape=all(result['has_img_shape'] for result in results),
    empty=tuple(i for result in results for i in result['empty']),
  )


def describe(
  seen: Mapping[str, Summary], class_names: Sequence[str], layout: str
) -> str:
  """A report for people who bring their own clips: is it balanced, is it all?

  Args:
    seen: by split; that to train on, that to validate on, and perhaps more.
    class_names: in the order of the labels.
    layout: of the skeletons.

  Returns:
    The classes with their clips by split (of very many classes, those with
    clips), the layout, frames and persons, and a line for each thing that makes
    training or measuring doubtful.
  """
  rows = range(len(class_names))
  if len(rows) > _CLASSES_SHOWN:
    rows = [
      label for label in rows if any(s.labels.get(label) for s in seen.values())
    ]
  width = max([len('class'), *(len(class_names[label]) for label in rows)])
  lines = [
    f'layout {layout}, {len(class_names)} classes',
    '',
    f'{"label":>5}  {"class":<{width}}' + ''.join(f'{s:>8}' for s in seen),
  ]
  for label in rows:
    counts = ''.join(f'{s.labels.get(label, 0):>8,}' for s in seen.values())
    lines.append(f'{label:>5}  {class_names[label]:<{width}}{counts}')
  if len(rows) < len(class_names):
    rest = f'({len(class_names) - len(rows):,} more without a clip)'
    lines.append(f'{"":>5}  {rest}')
  totals = ''.join(f'{s.num_clips:>8,}' for s in seen.values())
  lines += [f'{"":>5}  {"all":<{width}}{totals}', '']
  for split, summary in seen.items():
    if not summary.num_clips:
      lines.append(f'{split}: no clip that can be used')
      continue
    persons = ', '.join(
      f'{count} in {num_clips:,}'
      for count, num_clips in summary.persons.items()
    )
    lines.append(
      f'{split}: frames {span(summary.frames)} (min / median / max);'
      f' persons {persons} clips'
    )
  return '\n'.join([*lines, *_warnings(seen, class_names)])


def _warnings(
  seen: Mapping[str, Summary], class_names: Sequence[str]
) -> list[str]:
  """What is doubtful about the balance, a line each."""
  # Training, and what it validates on: val, or test where there is no val.
  train, val = [summary.labels for summary in seen.values()][:2]

  def named(labels):
    return readers.first_few([class_names[i] for i in labels], _NAMES_SHOWN)

  every = range(len(class_names))
  untrained = [label for label in every if not train.get(label)]
  few = [label for label in every if 0 < train.get(label, 0) < _FEW_CLIPS]
  unseen = [label for label in every if not val.get(label)]
  lines = []
  if untrained:
    lines.append(
      f'warning: no clip to train on: {named(untrained)}. What is not shown'
      ' cannot be learned.'
    )
  if few:
    lines.append(
      f'warning: fewer than {_FEW_CLIPS} clips to train on: {named(few)}.'
      ' Expect little, or fine-tune a published checkpoint.'
    )
  if unseen:
    lines.append(
      f'warning: no clip to validate on: {named(unseen)}. Nothing will be known'
      ' about them.'
    )
  return lines


def span(counts: Mapping[int, int]) -> str:
  """Smallest, median and largest of numbers that are counted."""
  values = sorted(counts)
  middle, passed = sum(counts.values()) / 2, 0
  for value in values:
    passed += counts[value]
    if passed >= middle:
      return f'{values[0]} / {value} / {values[-1]}'
  return '-'
