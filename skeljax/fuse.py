"""Weighted sum of score files: two streams, four streams, several seeds.

  python -m skeljax.fuse joint.npz bone.npz --weights=1,1

Source: report_accuracy of mmaction2, the sum of weight x scores without
renormalization. Published weights are 1:1 for joint and bone, and 2:1:2:1 for
joint, joint motion, bone and bone motion.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import math

from absl import flags
import numpy as np

from skeljax import cli
from skeljax import errors
from skeljax import option
from skeljax import score_file
from skeljax.training import metrics

ScoreSet = score_file.ScoreSet


@dataclasses.dataclass(frozen=True)
class Options:
  """Options of the command."""

  weights: str = option.field('', 'One number per score file; default: all 1.')
  intersect: bool = option.field(
    False, 'If the files have different samples, fuse those in every file.'
  )
  output: str = option.field('', 'Score file for the fused scores.')

  def weights_of(self, num_files: int) -> list[float]:
    """Return one weight per score file."""
    if not self.weights:
      return [1.0] * num_files
    try:
      return [float(weight) for weight in self.weights.split(',')]
    except ValueError as error:
      raise errors.UserError(
        f'--weights={self.weights}: expected numbers, for example 2,1.'
      ) from error


def fuse(
  score_sets: Mapping[str, ScoreSet],
  weights: Sequence[float],
  *,
  intersect: bool = False,
) -> tuple[ScoreSet, dict[str, ScoreSet]]:
  """Join score sets by sample id and add them with weights.

  Args:
    score_sets: by name; errors contain the names.
    weights: one per score set.
    intersect: keep the samples in every set; otherwise different samples are an
      error.

  Returns:
    (fused, aligned): the weighted sum, and each set with the samples of the
    fused one in its order, which is that of the first set.

  Raises:
    UserError: sets that cannot be fused, and what differs.
  """
  names = list(score_sets)
  if len(weights) != len(names):
    raise errors.UserError(
      f'--weights has {len(weights)} numbers for {len(names)} score files'
      f' ({", ".join(names)}).'
    )
  if not all(map(math.isfinite, weights)) or not any(weights):
    raise errors.UserError(
      f'--weights={",".join(f"{w:g}" for w in weights)}: expected finite'
      ' numbers, not all 0.'
    )
  rows = {name: _rows_by_id(name, s) for name, s in score_sets.items()}
  first = names[0]
  for name in names[1:]:
    _check_same_task(first, score_sets[first], name, score_sets[name])
    if not intersect:
      _check_same_ids(first, rows[first], name, rows[name])
  ids = tuple(i for i in rows[first] if all(i in r for r in rows.values()))
  if not ids:
    raise errors.UserError(
      f'No sample is in all of {", ".join(names)}: they are of different splits'
      ' or datasets.'
    )
  aligned = {
    name: dataclasses.replace(
      score_set,
      ids=ids,
      scores=score_set.scores[[rows[name][i] for i in ids]],
      labels=score_set.labels[[rows[name][i] for i in ids]],
    )
    for name, score_set in score_sets.items()
  }
  for name in names[1:]:
    _check_same_labels(first, aligned[first], name, aligned[name])
  scores = sum(
    weight * s.scores.astype(np.float64)
    for weight, s in zip(weights, aligned.values(), strict=True)
  )
  sources = [
    {'file': name, 'weight': weight, 'meta': dict(score_sets[name].meta)}
    for name, weight in zip(names, weights, strict=True)
  ]
  fused = dataclasses.replace(
    aligned[first], scores=scores.astype(np.float32), meta={'fused': sources}
  )
  return fused, aligned


def _rows_by_id(name: str, score_set: ScoreSet) -> dict[str, int]:
  rows = {sample_id: row for row, sample_id in enumerate(score_set.ids)}
  if len(rows) != len(score_set.ids):
    repeated = [i for row, i in enumerate(score_set.ids) if rows[i] != row]
    raise errors.UserError(
      f'{name}: {len(repeated)} sample ids occur more than once'
      f' ({_list(repeated)}). Give the annotations unique ids and prepare the'
      ' data again.'
    )
  return rows


def _list(items: Sequence[str]) -> str:
  return ', '.join(items[:3]) + (', ...' if len(items) > 3 else '')


def _check_same_task(
  first: str, one: ScoreSet, name: str, other: ScoreSet
) -> None:
  if one.class_names != other.class_names:
    counts = (len(one.class_names), len(other.class_names))
    difference = f'{counts[0]} and {counts[1]} classes'
    if counts[0] == counts[1]:
      pairs = enumerate(zip(one.class_names, other.class_names))
      index, (a, b) = next((i, pair) for i, pair in pairs if len({*pair}) == 2)
      difference = f'class {index} is {a!r} and {b!r}'
    raise errors.UserError(
      f'{first} and {name} have different class names ({difference}).'
    )
  if one.average != other.average:
    kinds = {'prob': 'probabilities (prob)', 'score': 'logits (score)'}
    raise errors.UserError(
      f'{first} contains {kinds[one.average]}, {name} {kinds[other.average]}.'
      ' Evaluate both with the same --average.'
    )


def _check_same_ids(
  first: str, one: Mapping[str, int], name: str, other: Mapping[str, int]
) -> None:
  differences = [
    f'{len(ids)} only in {where} ({_list(ids)})'
    for where, ids in (
      (first, [i for i in one if i not in other]),
      (name, [i for i in other if i not in one]),
    )
    if ids
  ]
  if differences:
    raise errors.UserError(
      f'{first} and {name} contain different samples:'
      f' {" and ".join(differences)}. Evaluate both on the same split of the same'
      ' data, or give --intersect to fuse the samples in every file.'
    )


def _check_same_labels(
  first: str, one: ScoreSet, name: str, other: ScoreSet
) -> None:
  wrong = np.flatnonzero(one.labels != other.labels)
  if wrong.size:
    listed = [f'{one.ids[r]}: {one.labels[r]}/{other.labels[r]}' for r in wrong]
    raise errors.UserError(
      f'{first} and {name} have different labels for {wrong.size} samples'
      f' ({_list(listed)}).'
    )


def table(
  fused: ScoreSet, aligned: Mapping[str, ScoreSet], weights: Sequence[float]
) -> str:
  """Return accuracies in percent, one line per stream and one for the sum."""
  rows: list[tuple[str, ...]] = [
    ('scores', 'weight', 'top-1', 'top-5', 'mean class')
  ]
  streams = [
    (name, f'{weight:g}', s)
    for (name, s), weight in zip(aligned.items(), weights, strict=True)
  ]
  for name, weight, score_set in [*streams, ('fused', '', fused)]:
    figures = metrics.accuracies(score_set.scores, score_set.labels)
    rows.append((name, weight, *(f'{100 * f:.2f}' for f in figures.values())))
  widths = [max(map(len, column)) for column in zip(*rows)]
  return '\n'.join(
    '  '.join(
      cell.rjust(width) if column else cell.ljust(width)
      for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    for row in rows
  )


def define_flags() -> None:
  option.define_flags(Options)


def main(argv: Sequence[str]) -> int:
  """Fuse the score files named in argv and print the table."""
  options, paths = option.from_flags(Options), list(argv[1:])
  if not paths:
    raise errors.UserError(
      'Name the score files to fuse, for example: python -m skeljax.fuse'
      ' joint.npz bone.npz --weights=1,1.'
    )
  if len(set(paths)) != len(paths):
    raise errors.UserError(
      f'A score file is named twice ({", ".join(paths)}): give it a larger'
      ' weight instead.'
    )
  weights = options.weights_of(len(paths))
  score_sets = {path: score_file.read(path) for path in paths}
  fused, aligned = fuse(score_sets, weights, intersect=options.intersect)
  largest = max(len(s.ids) for s in score_sets.values())
  print(table(fused, aligned, weights))
  print(f'{len(fused.ids)} samples, {len(fused.class_names)} classes')
  if len(fused.ids) < largest:
    print(
      f'NOTE: only the samples in every file; the largest file has {largest}'
    )
  if options.output:
    score_file.write(options.output, fused)
    print(f'wrote {options.output}')
  return 0


if __name__ == '__main__':
  cli.run(main, define_flags, flags_parser=lambda argv: flags.FLAGS(argv))
