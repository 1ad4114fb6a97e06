"""Statistics of the clips of a split, and the report about them.

Workers return one `Statistics` per shard, data_prep.check fills one per split;
both are merged and printed here.
"""

import collections
from collections.abc import Iterable, Mapping, Sequence
import dataclasses
from typing import Any

import numpy as np

from skeljax import readers

# A class with fewer training clips is reported.
_FEW_CLIPS = 10
# Of more classes only those with clips are printed.
_CLASSES_SHOWN = 100
_NAMES_SHOWN = 20


def _counter() -> Any:
  return dataclasses.field(default_factory=collections.Counter)


@dataclasses.dataclass
class Statistics:
  """Counts over clips; small however many clips there are.

  Attributes:
    labels: number of clips per label.
    frames: number of clips per number of frames.
    persons: number of clips per number of persons in the input.
    dtypes: number of clips per dtype of the keypoints in the input.
    num_persons: largest number of persons that is stored.
    num_cut: clips with more persons than are kept.
    num_dropped: persons dropped from these clips.
    num_crowded: compressed clips with more persons in a frame than are kept.
    num_unknown_img_shape: clips without an image size.
    num_bytes: size of the encoded records.
    empty: ids of the clips without any person, which are not counted above.
  """

  labels: collections.Counter[int] = _counter()
  frames: collections.Counter[int] = _counter()
  persons: collections.Counter[int] = _counter()
  dtypes: collections.Counter[str] = _counter()
  num_persons: int = 0
  num_cut: int = 0
  num_dropped: int = 0
  num_crowded: int = 0
  num_unknown_img_shape: int = 0
  num_bytes: int = 0
  empty: list[str] = dataclasses.field(default_factory=list)

  @property
  def num_clips(self) -> int:
    return self.labels.total()

  @property
  def max_frames(self) -> int:
    return max(self.frames)

  def add(self, record: Mapping[str, Any], num_bytes: int = 0) -> None:
    """Count a record of writer.Decoder."""
    num_stored, num_dropped = len(record['keypoint']), record['num_dropped']
    self.labels[int(record['label'])] += 1
    self.frames[int(record['total_frames'])] += 1
    self.persons[num_stored + num_dropped] += 1
    self.dtypes[record['source_dtype']] += 1
    self.num_persons = max(self.num_persons, num_stored)
    if record['is_compressed']:
      self.num_crowded += num_dropped > 0
    else:
      self.num_cut += num_dropped > 0
      self.num_dropped += num_dropped
    self.num_unknown_img_shape += not all(record['img_shape'])
    self.num_bytes += num_bytes

  def __add__(self, other: 'Statistics') -> 'Statistics':
    merged = {
      field.name: getattr(self, field.name) + getattr(other, field.name)
      for field in dataclasses.fields(self)
    }
    merged['num_persons'] = max(self.num_persons, other.num_persons)
    return Statistics(**merged)


def merge(parts: Iterable[Statistics]) -> Statistics:
  """Sum of the statistics of all parts, in order."""
  return sum(parts, Statistics())


def report(
  statistics: Mapping[str, Statistics], class_names: Sequence[str], layout: str
) -> str:
  """Return a table of clips per class and split, with warnings.

  Args:
    statistics: per split: training, validation, and perhaps more.
    class_names: indexed by label.
    layout: name of the skeleton layout.
  """
  labels = list(range(len(class_names)))
  if len(labels) > _CLASSES_SHOWN:
    labels = [
      i for i in labels if any(s.labels[i] for s in statistics.values())
    ]
  width = max([len('class'), *(len(class_names[label]) for label in labels)])
  lines = [
    f'layout {layout}, {len(class_names)} classes',
    '',
    f'{"label":>5}  {"class":<{width}}'
    + ''.join(f'{s:>8}' for s in statistics),
  ]
  for label in labels:
    counts = ''.join(f'{s.labels[label]:>8,}' for s in statistics.values())
    lines.append(f'{label:>5}  {class_names[label]:<{width}}{counts}')
  if len(labels) < len(class_names):
    rest = f'({len(class_names) - len(labels):,} more without clips)'
    lines.append(f'{"":>5}  {rest}')
  totals = ''.join(f'{s.num_clips:>8,}' for s in statistics.values())
  lines += [f'{"":>5}  {"all":<{width}}{totals}', '']
  for split, counted in statistics.items():
    if not counted.num_clips:
      lines.append(f'{split}: no usable clip')
      continue
    persons = ', '.join(
      f'{count} in {num_clips:,}'
      for count, num_clips in sorted(counted.persons.items())
    )
    lines.append(
      f'{split}: frames {span(counted.frames)} (min / median / max);'
      f' persons {persons} clips'
    )
  return '\n'.join([*lines, *_warnings(statistics, class_names)])


def _warnings(
  statistics: Mapping[str, Statistics], class_names: Sequence[str]
) -> list[str]:
  """One line per problem of the class balance."""
  train, val = [counted.labels for counted in statistics.values()][:2]
  every = range(len(class_names))
  problems = {
    'no training clip': [i for i in every if not train[i]],
    f'fewer than {_FEW_CLIPS} training clips': [
      i for i in every if 0 < train[i] < _FEW_CLIPS
    ],
    'no validation clip': [i for i in every if not val[i]],
  }
  return [
    f'warning: {problem}: '
    + readers.first_few([class_names[i] for i in labels], _NAMES_SHOWN)
    for problem, labels in problems.items()
    if labels
  ]


def span(counts: Mapping[int, int]) -> str:
  """Return 'minimum / median / maximum' of counted values."""
  if not counts:
    return '-'
  values = np.repeat(list(counts), list(counts.values()))
  return f'{values.min()} / {np.median(values):.0f} / {values.max()}'
