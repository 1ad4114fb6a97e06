"""Score clips in memory and rank the classes."""

from collections.abc import Sequence
import dataclasses
from typing import Any

import jax
from ml_collections import config_dict
import numpy as np

from skeljax import errors
from skeljax import pretrained
from skeljax import run as run_lib
from skeljax import scoring
from skeljax.datasets import clip_list
from skeljax.datasets import records
from skeljax.training import metric_writer
from skeljax.training import sharding


def score_clips(
  loaded: pretrained.Pretrained, clips: Sequence[records.Record]
) -> np.ndarray:
  """Score clips as `skeljax.evaluate` does; shows a progress bar.

  Args:
    loaded: the checkpoint; its config has the number of views and the batch
      size.
    clips: records as data_prep stores them.

  Returns:
    [clips, classes] float32, averaged over views: probabilities or logits,
    depending on config.eval.average.

  Raises:
    UserError: the evaluation settings are invalid, or the scores not finite.
  """
  mesh = sharding.make_mesh()
  variables = jax.device_put(loaded.variables, sharding.replicated(mesh))
  result = np.zeros((len(clips), loaded.spec.num_classes), np.float32)
  # A batch has one dtype. Only clips for a PyTorch file differ in theirs.
  groups: dict[tuple[str, str], list[int]] = {}
  for row, clip in enumerate(clips):
    score = clip.get('keypoint_score')
    dtypes = (
      clip['keypoint'].dtype.name,
      score.dtype.name if score is not None else '',
    )
    groups.setdefault(dtypes, []).append(row)
  evaluators = [
    _evaluator(loaded, [clips[row] for row in rows], dtypes, mesh)
    for dtypes, rows in groups.items()
  ]
  num_steps = sum(evaluator.num_steps for evaluator in evaluators)
  with metric_writer.progress_bar(num_steps, unit='batch') as bar:
    for evaluator, rows in zip(evaluators, groups.values(), strict=True):
      result[rows] = evaluator(variables, bar.update).scores
  if not np.isfinite(result).all():
    raise errors.UserError(
      f'{loaded.source} gives scores that are not finite: its training'
      ' diverged. Use an earlier step (--step).'
    )
  return result


def probabilities(scores: np.ndarray, average: str) -> np.ndarray:
  """Return [..., classes] float64 probabilities of averaged scores.

  Args:
    scores: [..., classes].
    average: 'prob' if they are probabilities, 'score' if they are logits.
  """
  scores = scores.astype(np.float64)
  if average == 'prob':
    return scores
  exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
  return exp / exp.sum(axis=-1, keepdims=True)


def rank(
  probability: np.ndarray, class_names: Sequence[str], top: int
) -> list[dict[str, Any]]:
  """List the `top` most probable classes, best first, as in the output."""
  order = np.argsort(-probability, kind='stable')[:top]
  return [
    {
      'label': int(label),
      'name': class_names[label],
      'probability': float(probability[label]),
    }
    for label in order
  ]


def _evaluator(
  loaded: pretrained.Pretrained,
  clips: Sequence[records.Record],
  dtypes: tuple[str, str],
  mesh: jax.sharding.Mesh,
) -> scoring.Evaluator:
  """The evaluator of clips with the same dtypes."""
  config = config_dict.ConfigDict(loaded.config.to_dict())
  # No larger than needed, and divisible by the devices.
  devices = jax.device_count()
  batch_size = min(config.eval.batch_size, len(clips))
  config.eval.batch_size = -(-batch_size // devices) * devices
  config.data.num_workers = 0  # The clips are in memory.
  longest = max(clip['total_frames'] for clip in clips)
  spec = dataclasses.replace(
    # Padding is masked, so clips may be longer than in training.
    loaded.spec,
    max_frames=max(loaded.spec.max_frames, longest),
  )
  if loaded.input_kind == 'heatmaps':
    # All persons share one heatmap volume.
    num_persons = max(len(clip['keypoint']) for clip in clips)
    spec = dataclasses.replace(spec, num_persons=num_persons)
  if loaded.is_assumed:
    spec = dataclasses.replace(
      spec, keypoint_dtype=dtypes[0], score_dtype=dtypes[1]
    )
  return scoring.Evaluator(
    run_lib.Run(config, spec, mesh),
    clip_list.ClipList('the clips', tuple(clips), spec),
    split=clip_list.SPLIT,
    num_clips=config.data.num_clips,
    mirrored=config.eval.mirrored,
  )
