"""Scores of clips in memory, and the ranking that people read."""

from collections.abc import Sequence
import dataclasses

import jax
from ml_collections import config_dict
import numpy as np

from skeljax import errors
from skeljax import pretrained
from skeljax import run as run_lib
from skeljax import scoring
from skeljax.datasets import clip_list
from skeljax.datasets import records
from skeljax.datasets.spec import DataSpec
from skeljax.training import metric_writer
from skeljax.training import sharding


@dataclasses.dataclass(frozen=True)
class Guess:
  """A class, and how probable it is.

  Attributes:
    label: from 0.
    name: of the class.
    probability: within 0 and 1.
  """

  label: int
  name: str
  probability: float


def score_clips(
  loaded: pretrained.Pretrained,
  clips: Sequence[records.Record],
) -> np.ndarray:
  """What `skeljax.evaluate` would find of these clips; shows a progress bar.

  Args:
    loaded: the checkpoint; its configuration says how many views, in what
      batches.
    clips: records as the preparation stores them.

  Returns:
    [clips, classes] float32, averaged over views: probabilities or logits, as
    config.eval.average says.

  Raises:
    UserError: settings of the evaluation contradict each other, or the network
      gives numbers that are not finite.
  """
  mesh = sharding.make_mesh()
  variables = jax.device_put(loaded.variables, sharding.replicated(mesh))
  result = np.zeros((len(clips), loaded.spec.num_classes), np.float32)
  # What a PyTorch file leaves open the clips say, each for itself.
  groups: dict[tuple[str, str], list[int]] = {}
  for row, clip in enumerate(clips):
    groups.setdefault(_types(clip), []).append(row)
  evaluators = [
    _evaluator(loaded, [clips[row] for row in rows], types, mesh)
    for types, rows in groups.items()
  ]
  num_steps = sum(evaluator.num_steps for evaluator in evaluators)
  with metric_writer.progress_bar(num_steps, unit='batch') as bar:
    for evaluator, rows in zip(evaluators, groups.values(), strict=True):
      result[rows] = evaluator(variables, bar.update).scores
  if not np.isfinite(result).all():
    raise errors.UserError(
      f'{loaded.source} gives scores that are not finite: the training'
      ' diverged. Take an earlier step (--step).'
    )
  return result


def probabilities(scores: np.ndarray, average: str) -> np.ndarray:
  """[..., classes] float64 that sum to 1, of averaged scores.

  Args:
    scores: [..., classes].
    average: 'prob' where they are probabilities, 'score' for logits.
  """
  scores = scores.astype(np.float64)
  if average == 'prob':
    return scores
  powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
  return powers / powers.sum(axis=-1, keepdims=True)


def rank(
  probability: np.ndarray, class_names: Sequence[str], top: int
) -> list[Guess]:
  """The most probable classes, of equals the first; at most `top`.

  Args:
    probability: [classes].
    class_names: one a class.
    top: how many.
  """
  order = np.argsort(-probability, kind='stable')[:top]
  return [Guess(int(i), class_names[i], float(probability[i])) for i in order]


def _types(clip: records.Record) -> tuple[str, str]:
  score = clip.get('keypoint_score')
  return clip['keypoint'].dtype.name, '' if score is None else score.dtype.name


def _evaluator(
  loaded: pretrained.Pretrained,
  clips: Sequence[records.Record],
  types: tuple[str, str],
  mesh: jax.sharding.Mesh,
) -> scoring.Evaluator:
  """The evaluator of clips whose arrays have the same types."""
  config = _config(loaded.config, len(clips))
  spec = _spec(loaded, clips, *types)
  return scoring.Evaluator(
    run_lib.Run(config, spec, mesh),
    clip_list.ClipList('the clips', tuple(clips), spec),
    split=clip_list.SPLIT,
    num_clips=config.data.num_clips,
    mirrored=config.eval.mirrored,
  )


def _spec(
  loaded: pretrained.Pretrained,
  clips: Sequence[records.Record],
  keypoint_dtype: str,
  score_dtype: str,
) -> DataSpec:
  """The spec, with what the clips decide."""
  longest = max(clip['total_frames'] for clip in clips)
  spec = dataclasses.replace(
    loaded.spec,
    # Padding is not seen, so that it may be longer than in training.
    max_frames=max(loaded.spec.max_frames, longest),
  )
  if loaded.input_kind == 'heatmaps':
    # Heatmaps of any number of persons are one volume.
    num_persons = max(len(clip['keypoint']) for clip in clips)
    spec = dataclasses.replace(spec, num_persons=num_persons)
  if loaded.is_assumed:
    spec = dataclasses.replace(
      spec,
      normalize=loaded.config.data.normalize,
      keypoint_dtype=keypoint_dtype,
      score_dtype=score_dtype,
    )
  return spec


def _config(
  config: config_dict.ConfigDict, num_clips: int
) -> config_dict.ConfigDict:
  """The configuration with batches no larger than needed."""
  result = config_dict.ConfigDict(config.to_dict())
  devices = jax.device_count()
  size = min(result.eval.batch_size, num_clips)
  result.eval.batch_size = -(-size // devices) * devices
  # The clips are in memory: other processes would get them through a pipe.
  result.data.num_workers = 0
  return result
