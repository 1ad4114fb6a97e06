"""Weighted sum of score files: two streams, four streams, several seeds.

  python -m skeljax.fuse joint.npz bone.npz --weights=1,1

Source: mmaction2's report_accuracy, sum of weight x scores without
renormalisation; published weights are 1:1 for joint and bone, 2:1:2:1 for
joint, joint motion, bone and bone motion.
"""

from collections.abc import Mapping, Sequence
import math

from absl import flags
import numpy as np

from skeljax import cli
from skeljax import errors
from skeljax import score_file
from skeljax.training import metrics

ScoreSet = score_file.ScoreSet


def fuse(
  score_sets: Mapping[str, ScoreSet],
  weights: Sequence[float],
  *,
  intersect: bool = False,
) -> tuple[ScoreSet, dict[str, ScoreSet]]:
  """Joins score sets on sample id and adds them with weights.

  Args:
    score_sets: by name (the file, for the words of an error).
    weights: one a score set.
    intersect: keep the samples that every set has, instead of refusing sets
      that differ.

  Returns:
    (fused, aligned): the weighted sum, and each set with the samples of the
    fused one in its order, which is that of the first set.

  Raises:
    UserError: sets that cannot be compared, with what differs.
  """
  names = list(score_sets)
  if len(weights) != len(names):
    raise errors.UserError(
      f'--weights has {len(weights)} numbers for {len(names)} score files'
      f' ({", ".join(names)}): give one number a file.'
    )
  if not all(math.isfinite(w) for w in weights) or not any(weights):
    raise errors.UserError(
      f'--weights={",".join(f"{w:g}" for w in weights)}: the numbers must be'
      ' finite and not all 0.'
    )
  rows = {name: _rows_by_id(name, s) for name, s in score_sets.items()}
  first = names[0]
  for name in names[1:]:
    _check_same_kind(first, score_sets[first], name, score_sets[name])
    if not intersect:
      _check_same_ids(first, rows[first], name, rows[name])
  ids = [i for i in rows[first] if all(i in r for r in rows.values())]
  if not ids:
    raise errors.UserError(
      f'No sample is in all of {", ".join(names)}: they are of different'
      ' splits or data sets, so there is nothing to fuse.'
    )
  aligned = {name: _take(score_sets[name], ids, rows[name]) for name in names}
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
  fused = ScoreSet(
    ids=tuple(ids),
    scores=scores.astype(np.float32),
    labels=aligned[first].labels,
    class_names=score_sets[first].class_names,
    average=score_sets[first].average,
    meta={'fused': sources},
  )
  return fused, aligned


def _rows_by_id(name: str, score_set: ScoreSet) -> dict[str, int]:
  rows = {sample_id: row for row, sample_id in enumerate(score_set.ids)}
  if len(rows) != len(score_set.ids):
    twice = [i for row, i in enumerate(score_set.ids) if rows[i] != row]
    raise errors.UserError(
      f'{name}: {len(twice)} sample ids occur more than once'
      f' ({_some(twice)}), so scores cannot be joined on the id. Give the'
      ' annotations unique ids and prepare the data again.'
    )
  return rows


def _take(
  score_set: ScoreSet, ids: Sequence[str], rows: Mapping[str, int]
) -> ScoreSet:
  order = [rows[i] for i in ids]
  return ScoreSet(
    ids=tuple(ids),
    scores=score_set.scores[order],
    labels=score_set.labels[order],
    class_names=score_set.class_names,
    average=score_set.average,
    meta=score_set.meta,
  )


def _some(items: Sequence[str]) -> str:
  return ', '.join(items[:3]) + (', ...' if len(items) > 3 else '')


def _check_same_kind(
  first: str, one: ScoreSet, name: str, other: ScoreSet
) -> None:
  if one.class_names != other.class_names:
    if len(one.class_names) != len(other.class_names):
      how = f'{len(one.class_names)} against {len(other.class_names)} classes'
    else:
      pairs = enumerate(zip(one.class_names, other.class_names, strict=True))
      index, (a, b) = next((i, p) for i, p in pairs if p[0] != p[1])
      how = f'class {index} is {a!r} in the one and {b!r} in the other'
    raise errors.UserError(
      f'{first} and {name} have different class names ({how}): they are not'
      ' scores for the same task.'
    )
  if one.average != other.average:
    raise errors.UserError(
      f'{first} holds {_kind(one)}, {name} {_kind(other)}: their sum means'
      ' nothing. Evaluate both with the same --average.'
    )


def _kind(score_set: ScoreSet) -> str:
  return {'prob': 'probabilities (prob)', 'score': 'logits (score)'}[
    score_set.average
  ]


def _check_same_ids(
  first: str, one: Mapping[str, int], name: str, other: Mapping[str, int]
) -> None:
  only_one = [i for i in one if i not in other]
  only_other = [i for i in other if i not in one]
  if only_one or only_other:
    told = [
      f'{len(ids)} only in {where} ({_some(ids)})'
      for ids, where in ((only_one, first), (only_other, name))
      if ids
    ]
    raise errors.UserError(
      f'{first} and {name} hold different samples: {" and ".join(told)}.'
      ' Evaluate both on the same split of the same data, or give --intersect'
      ' to fuse the samples that every file has.'
    )


def _check_same_labels(
  first: str, one: ScoreSet, name: str, other: ScoreSet
) -> None:
  wrong = np.flatnonzero(one.labels != other.labels)
  if wrong.size:
    told = [f'{one.ids[r]}: {one.labels[r]}/{other.labels[r]}' for r in wrong]
    raise errors.UserError(
      f'{first} and {name} disagree on the labels of {wrong.size} samples'
      f' ({_some(told)}): one of them comes from other annotations.'
    )


def table(
  fused: ScoreSet, aligned: Mapping[str, ScoreSet], weights: Sequence[float]
) -> str:
  """Accuracies in percent, a line for each stream and for their sum."""
  rows = [('scores', 'weight', 'top-1', 'top-5', 'mean class')]
  streams = [
    (name, f'{weight:g}', s)
    for (name, s), weight in zip(aligned.items(), weights, strict=True)
  ]
  for name, weight, score_set in [*streams, ('fused', '', fused)]:
    figures = metrics.accuracies(score_set.scores, score_set.labels)
    rows.append((name, weight, *(f'{100 * f:.2f}' for f in figures.values())))
  widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
  return '\n'.join(
    '  '.join(
      cell.rjust(width) if column else cell.ljust(width)
      for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    for row in rows
  )


def define_flags() -> None:
  flags.DEFINE_list(
    'weights', None, 'One number a score file; all 1 by default.'
  )
  flags.DEFINE_boolean(
    'intersect',
    False,
    'Fuse the samples that every file has when the files differ.',
  )
  flags.DEFINE_string('output', None, 'Score file for the fused scores.')


def main(argv: Sequence[str]) -> int:
  """Fuses the score files named in argv, prints the table."""
  paths = list(argv[1:])
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
  weights = _parse_weights(flags.FLAGS.weights, len(paths))
  score_sets = {path: score_file.read(path) for path in paths}
  fused, aligned = fuse(score_sets, weights, intersect=flags.FLAGS.intersect)
  largest = max(len(s.ids) for s in score_sets.values())
  print(table(fused, aligned, weights))
  print(f'{len(fused.ids)} samples, {len(fused.class_names)} classes')
  if len(fused.ids) < largest:
    print(
      f'NOTE: only the samples in every file; the largest file has {largest}'
    )
  if flags.FLAGS.output:
    score_file.write(flags.FLAGS.output, fused)
    print(f'wrote {flags.FLAGS.output}')
  return 0


def _parse_weights(words: Sequence[str] | None, count: int) -> list[float]:
  if words is None:
    return [1.0] * count
  try:
    return [float(word) for word in words]
  except ValueError as error:
    raise errors.UserError(
      f'--weights={",".join(words)}: numbers with commas between them are'
      ' expected, for example --weights=2,1.'
    ) from error


if __name__ == '__main__':
  cli.run(main, define_flags, flags_parser=lambda argv: flags.FLAGS(argv))
