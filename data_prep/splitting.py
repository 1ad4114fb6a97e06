"""Which clips to validate on, where nobody has said it.

Both ways depend on the names of the clips and on a seed only: neither the order
of the list nor the machine changes a split.
"""

from collections.abc import Mapping, Sequence
import hashlib

import numpy as np

from skeljax import errors

# Orders of the subjects that are tried; of equally good splits the first.
_NUM_ORDERS = 16


def by_label(
  labels: Mapping[str, int], val_ratio: float, seed: int
) -> set[str]:
  """Clips to validate on, of each class about the same part.

  Args:
    labels: clip -> label.
    val_ratio: part of the clips that is wanted, above 0 and below 1.
    seed: another one chooses other clips.

  Returns:
    Of each class with two clips or more at least one clip, and never all;
    otherwise, by the method of largest remainders, the whole number of clips
    nearest to the ratio, over all classes together.
  """
  classes: dict[int, list[str]] = {}
  for name in sorted(labels):
    classes.setdefault(labels[name], []).append(name)
  wanted = {label: len(names) * val_ratio for label, names in classes.items()}
  most = {label: len(names) - 1 for label, names in classes.items()}
  shares = {
    label: min(max(int(share), 1), most[label])
    for label, share in wanted.items()
  }
  missing = int(len(labels) * val_ratio + 0.5) - sum(shares.values())
  can_grow = [label for label in classes if shares[label] < most[label]]
  can_grow.sort(
    key=lambda label: (
      shares[label] - wanted[label],
      _mixed(f'class {label}', seed),
    )
  )
  for label in can_grow[: max(missing, 0)]:
    shares[label] += 1
  chosen = set()
  for label, names in classes.items():
    mixed = sorted(names, key=lambda name: _mixed(name, seed))
    chosen.update(mixed[: shares[label]])
  return chosen


def by_subject(
  labels: Mapping[str, int],
  subjects: Mapping[str, str],
  val_ratio: float,
  seed: int,
) -> set[str]:
  """Clips to validate on: all clips of some subjects, none of the others.

  Of the sets of subjects that leave every class a clip to train on, one whose
  number of clips is near to the ratio: the nearest, unless several subjects
  must stay together out of it because only they show some class. Where no
  subject can be spared, as few classes as possible lose all their clips.

  Args:
    labels: clip -> label.
    subjects: clip -> who is in it.
    val_ratio: part of the clips that is wanted, above 0 and below 1.
    seed: another one chooses other subjects among equally good ones.

  Raises:
    UserError: there is only one subject.
  """
  names = sorted(set(subjects.values()))
  if len(names) < 2:
    raise errors.UserError(
      f'All clips show one subject, {names[0]!r}, so none is left to validate'
      ' on. Give a split column, or leave the subject column out for a split by'
      ' label.'
    )
  row = {name: i for i, name in enumerate(names)}
  column = {label: i for i, label in enumerate(sorted(set(labels.values())))}
  counts = np.zeros((len(names), len(column)), np.int64)
  for clip, label in labels.items():
    counts[row[subjects[clip]], column[label]] += 1
  target = len(labels) * val_ratio
  best = None
  for attempt in range(_NUM_ORDERS):
    order = sorted(
      range(len(names)), key=lambda i: _mixed(f'{attempt} {names[i]}', seed)
    )
    chosen = _nearest_subjects(counts, order, target)
    cost = _cost(counts, chosen, target)
    if best is None or cost < best[0]:
      best = cost, chosen
  val_subjects = {names[i] for i in best[1]}
  return {clip for clip in labels if subjects[clip] in val_subjects}


def _nearest_subjects(
  counts: np.ndarray, order: Sequence[int], target: float
) -> list[int]:
  """Rows of counts [subjects, classes] whose sum is nearest to the target.

  Whoever is needed to train some class on stays out, one after the other,
  until every class has a clip outside the rows.
  """
  is_alone = ((counts > 0) & (counts == counts.sum(axis=0))).any(axis=1)
  free = [i for i in order if not is_alone[i]]
  while free:
    chosen = _subset_sum(counts.sum(axis=1), free, target)
    lost = _lost(counts, chosen)
    if not lost.any():
      return chosen
    # The smallest of those who show a lost class costs the ratio least.
    holders = [i for i in chosen if counts[i, lost].any()]
    needed = min(holders, key=lambda i: (counts[i].sum(), order.index(i)))
    free.remove(needed)
  return _least_harm(counts, order, target)


def _least_harm(
  counts: np.ndarray, order: Sequence[int], target: float
) -> list[int]:
  """The one subject whose absence leaves the fewest classes untrained."""
  alone = [[i] for i in order]
  return min(alone, key=lambda chosen: _cost(counts, chosen, target))


def _subset_sum(
  sizes: np.ndarray, rows: Sequence[int], target: float
) -> list[int]:
  """Some of the rows, at least one and not all sizes, nearest to the target."""
  total = int(sizes.sum())
  # last[s] is the row that first made the sum s possible.
  last = np.full(total + 1, -1, np.int64)
  is_possible = np.zeros(total + 1, bool)
  is_possible[0] = True
  for row in rows:
    size = int(sizes[row])
    moved = np.zeros_like(is_possible)
    moved[size:] = is_possible[: total + 1 - size]
    new = moved & ~is_possible
    last[new] = row
    is_possible |= new
  sums = np.flatnonzero(is_possible)
  sums = sums[(sums > 0) & (sums < total)]
  found = int(sums[np.argmin(np.abs(sums - target))])
  result = []
  while found:
    result.append(int(last[found]))
    found -= int(sizes[result[-1]])
  return result


def _lost(counts: np.ndarray, chosen: Sequence[int]) -> np.ndarray:
  """[classes] whether the chosen rows leave a class without a clip."""
  return counts[list(chosen)].sum(axis=0) == counts.sum(axis=0)


def _cost(
  counts: np.ndarray, chosen: Sequence[int], target: float
) -> tuple[int, float, int]:
  """Untrained classes, distance to the target, classes not validated."""
  in_val = counts[list(chosen)].sum(axis=0)
  return (
    int(_lost(counts, chosen).sum()),
    abs(float(in_val.sum()) - target),
    int((in_val == 0).sum()),
  )


def _mixed(name: str, seed: int) -> bytes:
  """A key that puts names in an order that only the seed decides."""
  return hashlib.sha256(f'{seed} {name}'.encode()).digest()
