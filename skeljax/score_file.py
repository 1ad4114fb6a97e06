"""Score files: the scores of every sample, for fusion and analysis.

An .npz without pickled objects: `ids` and `class_names` are unicode arrays,
`scores` float32 [N, classes], `labels` int64 [N], `average` the kind of scores,
`meta` JSON.
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
_HINT = 'Write one with python -m skeljax.evaluate --output=FILE.npz.'


@dataclasses.dataclass(frozen=True, eq=False)
class ScoreSet:
  """Scores of N samples.

  Attributes:
    ids: N sample ids.
    scores: [N, classes] float32.
    labels: [N], 0-based.
    class_names: one name per class.
    average: 'prob' for softmax probabilities averaged over views, 'score' for
      averaged logits.
    meta: origin of the scores; JSON values.
  """

  ids: tuple[str, ...]
  scores: np.ndarray
  labels: np.ndarray
  class_names: tuple[str, ...]
  average: str
  meta: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def write(path: str | os.PathLike, score_set: ScoreSet) -> None:
  """Write a score file; replaces atomically.

  Raises:
    UserError: the fields of the score set contradict each other.
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
  """Read and check a score file.

  Raises:
    UserError: missing, damaged or another kind of file.
  """
  path = os.fspath(path)
  if not os.path.isfile(path):
    raise errors.UserError(f'{path}: no such file. {_HINT}')
  if not zipfile.is_zipfile(path):
    raise errors.UserError(
      f'{path}: not a score file, or an incomplete one. {_HINT}'
    )
  try:
    with np.load(path, allow_pickle=False) as archive:
      fields = {name: archive[name] for name in archive.files}
  except (zipfile.BadZipFile, ValueError, EOFError, OSError) as error:
    raise errors.UserError(
      f'{path}: damaged score file ({error}). {_HINT}'
    ) from error
  if str(fields.get('format')) != _FORMAT:
    raise errors.UserError(
      f'{path}: an .npz file, but not a score file of format {_FORMAT}. {_HINT}'
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
      f'{path}: a field is missing or damaged ({error}). {_HINT}'
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
    problem = 'it has no samples'
  elif labels.min() < 0 or labels.max() >= classes:
    row = int(np.argmax((labels < 0) | (labels >= classes)))
    problem = (
      f'sample {score_set.ids[row]!r} has label {labels[row]}, outside the'
      f' {classes} classes 0..{classes - 1}'
    )
  elif not np.isfinite(scores).all():
    row = int(np.argmin(np.isfinite(scores).all(axis=1)))
    problem = f'sample {score_set.ids[row]!r} has scores that are not finite'
  else:
    return
  raise errors.UserError(f'{source}: {problem}.')
