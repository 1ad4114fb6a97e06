"""Choose validation clips for datasets that define no split.

Both functions depend only on the names of the clips and a seed, not on the
order of the clips or the machine.
"""

from collections.abc import Mapping, Sequence
import hashlib

import numpy as np

from skeljax import errors

# Random orders of the subjects to try; the first of the best splits wins.
_NUM_ORDERS = 16


def by_label(
  labels: Mapping[str, int], val_ratio: float, seed: int
) -> set[str]:
  """Return validation clips, about the same fraction of every class.

  Args:
    labels: clip -> label.
    val_ratio: fraction of the clips to return, above 0 and below 1.
    seed: selects the clips.

  Returns:
    At least one clip of every class with two or more, and never all of them.
    Otherwise the number of clips nearest to the ratio, distributed over the
    classes by the method of largest remainders.
  """
  classes: dict[int, list[str]] = {}
  for name in sorted(labels):
    classes.setdefault(labels[name], []).append(name)
  exact = {label: len(names) * val_ratio for label, names in classes.items()}
  most = {label: len(names) - 1 for label, names in classes.items()}
  counts = {
    label: min(max(int(count), 1), most[label])
    for label, count in exact.items()
  }
  missing = int(len(labels) * val_ratio + 0.5) - sum(counts.values())
  can_grow = [label for label in classes if counts[label] < most[label]]
  can_grow.sort(
    key=lambda label: (
      counts[label] - exact[label],
      _random_key(f'class {label}', seed),
    )
  )
  for label in can_grow[: max(missing, 0)]:
    counts[label] += 1
  chosen = set()
  for label, names in classes.items():
    shuffled = sorted(names, key=lambda name: _random_key(name, seed))
    chosen.update(shuffled[: counts[label]])
  return chosen


def by_subject(
  labels: Mapping[str, int],
  subjects: Mapping[str, str],
  val_ratio: float,
  seed: int,
) -> set[str]:
  """Return validation clips: all clips of some subjects, none of the others.

  Every class keeps a training clip if some choice of subjects allows it;
  otherwise as few classes as possible lose all of them. Of these choices, one
  whose number of clips is near the ratio: the nearest, unless several subjects
  have to stay in training because only they show some class.

  Args:
    labels: clip -> label.
    subjects: clip -> subject.
    val_ratio: fraction of the clips to return, above 0 and below 1.
    seed: selects among equally good choices.

  Raises:
    UserError: there is only one subject.
  """
  names = sorted(set(subjects.values()))
  if len(names) < 2:
    raise errors.UserError(
      f'All clips show one subject, {names[0]!r}, so they cannot be split by'
      ' subject. Add a split column, or remove the subject column to split by'
      ' label.'
    )
  row = {name: i for i, name in enumerate(names)}
  column = {label: i for i, label in enumerate(sorted(set(labels.values())))}
  counts = np.zeros((len(names), len(column)), np.int64)
  for clip, label in labels.items():
    counts[row[subjects[clip]], column[label]] += 1
  target = len(labels) * val_ratio
  orders = [
    sorted(
      range(len(names)),
      key=lambda i: _random_key(f'{attempt} {names[i]}', seed),
    )
    for attempt in range(_NUM_ORDERS)
  ]
  best = min(
    (_choose(counts, order, target) for order in orders),
    key=lambda chosen: _cost(counts, chosen, target),
  )
  return {clip for clip in labels if row[subjects[clip]] in best}


def _choose(
  counts: np.ndarray, order: Sequence[int], target: float
) -> list[int]:
  """Rows of counts [subjects, classes] whose sum is nearest to the target.

  Subjects that are needed to train some class are excluded one by one until
  every class has a clip outside of the chosen rows.
  """
  is_needed = ((counts > 0) & (counts == counts.sum(axis=0))).any(axis=1)
  free = [i for i in order if not is_needed[i]]
  while free:
    chosen = _subset_sum(counts.sum(axis=1), free, target)
    lost = _lost(counts, chosen)
    if not lost.any():
      return chosen
    # The smallest subject with a lost class changes the ratio least.
    holders = [i for i in chosen if counts[i, lost].any()]
    free.remove(min(holders, key=lambda i: (counts[i].sum(), order.index(i))))
  return min(
    ([i] for i in order), key=lambda chosen: _cost(counts, chosen, target)
  )


def _subset_sum(
  sizes: np.ndarray, rows: Sequence[int], target: float
) -> list[int]:
  """Rows whose sum is nearest to the target, above 0 and below the total."""
  total = int(sizes.sum())
  # last[s] is the row that first made the sum s possible.
  last = np.full(total + 1, -1, np.int64)
  is_possible = np.zeros(total + 1, bool)
  is_possible[0] = True
  for row in rows:
    size = int(sizes[row])
    shifted = np.zeros_like(is_possible)
    shifted[size:] = is_possible[: total + 1 - size]
    last[shifted & ~is_possible] = row
    is_possible |= shifted
  sums = np.flatnonzero(is_possible)
  sums = sums[(sums > 0) & (sums < total)]
  remaining = int(sums[np.argmin(np.abs(sums - target))])
  result = []
  while remaining:
    result.append(int(last[remaining]))
    remaining -= int(sizes[result[-1]])
  return result


def _lost(counts: np.ndarray, chosen: Sequence[int]) -> np.ndarray:
  """[classes] whether a class has no clip outside of the chosen rows."""
  return counts[list(chosen)].sum(axis=0) == counts.sum(axis=0)


def _cost(
  counts: np.ndarray, chosen: Sequence[int], target: float
) -> tuple[int, float, int]:
  """Classes without training clip, distance to target, without validation."""
  in_val = counts[list(chosen)].sum(axis=0)
  return (
    int(_lost(counts, chosen).sum()),
    abs(float(in_val.sum()) - target),
    int((in_val == 0).sum()),
  )


def _random_key(name: str, seed: int) -> bytes:
  """Sort key that gives a random order for each seed."""
  return hashlib.sha256(f'{seed} {name}'.encode()).digest()
