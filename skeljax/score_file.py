"""Score files: what a model thinks of every sample, for fusion and study.

An .npz without pickled objects: `ids` and `class_names` are unicode arrays,
`scores` float32 [N, classes], `labels` int64 [N], `average` says what the
scores are, `meta` is JSON.
"""

from collections.abc import Mapping
import dataclasses
import json
import os
from typing import Any
import zipfile

import numpy as np

from skeljax import atomic_file
from skeljax import errors

AVERAGES = ('prob', 'score')
_FORMAT = 'skeljax-scores-1'


@dataclasses.dataclass(frozen=True, eq=False)
class ScoreSet:
  """Scores of N samples.

  Attributes:
    ids: N sample ids.
    scores: [N, classes] float32.
    labels: [N], 0-based.
    class_names: one name a class.
    average: 'prob' when scores are softmax probabilities averaged over views,
      'score' when they are averaged logits.
    meta: where they come from; anything that JSON can hold.
  """

  ids: tuple[str, ...]
  scores: np.ndarray
  labels: np.ndarray
  class_names: tuple[str, ...]
  average: str
  meta: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def write(path: str | os.PathLike, score_set: ScoreSet) -> None:
  """Writes the file whole or not at all.

  Raises:
    UserError: the parts of the score set contradict each other.
  """
  _check(score_set, str(path))
  with (
    atomic_file.replacing(path) as temporary,
    open(temporary, 'wb') as file,
  ):
    np.savez(
      file,
      format=np.asarray(_FORMAT),
      ids=np.asarray(score_set.ids, np.str_),
      scores=np.asarray(score_set.scores, np.float32),
      labels=np.asarray(score_set.labels, np.int64),
      class_names=np.asarray(score_set.class_names, np.str_),
      average=np.asarray(score_set.average),
      meta=np.asarray(json.dumps(dict(score_set.meta))),
    )


def read(path: str | os.PathLike) -> ScoreSet:
  """Reads and checks a file that `write` wrote.

  Raises:
    UserError: no such file, another kind of file, or a damaged one.
  """
  path = os.fspath(path)
  if not os.path.isfile(path):
    raise errors.UserError(
      f'{path}: no such file. python -m skeljax.evaluate --output=FILE.npz'
      ' writes score files.'
    )
  if not zipfile.is_zipfile(path):
    raise errors.UserError(
      f'{path}: not a score file, or one that was cut short. Write it again'
      ' with python -m skeljax.evaluate --output=FILE.npz.'
    )
  try:
    with np.load(path, allow_pickle=False) as archive:
      fields = {name: archive[name] for name in archive.files}
  except (zipfile.BadZipFile, ValueError, EOFError, OSError) as error:
    raise errors.UserError(
      f'{path}: damaged score file ({error}). Write it again with'
      ' python -m skeljax.evaluate --output=FILE.npz.'
    ) from error
  if str(fields.get('format')) != _FORMAT:
    raise errors.UserError(
      f'{path}: an .npz file, but not a score file of format {_FORMAT}. Write'
      ' one with python -m skeljax.evaluate --output=FILE.npz.'
    )
  try:
    score_set = ScoreSet(
      ids=tuple(fields['ids'].tolist()),
      scores=fields['scores'],
      labels=fields['labels'],
      class_names=tuple(fields['class_names'].tolist()),
      average=str(fields['average']),
      meta=json.loads(str(fields['meta'])),
    )
  except (KeyError, ValueError, TypeError) as error:
    raise errors.UserError(
      f'{path}: a field of the score file is missing or broken ({error}).'
      ' Write it again with python -m skeljax.evaluate --output=FILE.npz.'
    ) from error
  _check(score_set, path)
  return score_set


def _check(score_set: ScoreSet, source: str) -> None:
  scores, labels = np.asarray(score_set.scores), np.asarray(score_set.labels)
  count, classes = len(score_set.ids), len(score_set.class_names)
  if score_set.average not in AVERAGES:
    problem = f"average is {score_set.average!r}, not 'prob' or 'score'"
  elif scores.shape != (count, classes) or scores.dtype.kind != 'f':
    problem = (
      f'scores are {scores.dtype} {list(scores.shape)}, but there are {count}'
      f' ids and {classes} class names'
    )
  elif labels.shape != (count,) or labels.dtype.kind not in 'iu':
    problem = (
      f'labels are {labels.dtype} {list(labels.shape)}, but there are'
      f' {count} ids'
    )
  elif count == 0:
    problem = 'there is not one sample in it'
  elif labels.min() < 0 or labels.max() >= classes:
    row = int(np.argmax((labels < 0) | (labels >= classes)))
    problem = (
      f'sample {score_set.ids[row]!r} has label {labels[row]}, outside the'
      f' {classes} classes 0..{classes - 1}'
    )
  elif not np.isfinite(scores).all():
    row = int(np.argmax(~np.isfinite(scores).all(axis=1)))
    problem = (
      f'sample {score_set.ids[row]!r} has scores that are not finite: the'
      ' model diverged'
    )
  else:
    return
  raise errors.UserError(f'{source}: {problem}.')
