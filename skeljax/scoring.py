"""Scores of every clip of a split, exactly once on any number of devices.

Batches are padded and masked; the views of a clip are averaged as published.
"""

from collections.abc import Mapping
import dataclasses
import functools
from typing import Any

import jax
import numpy as np

from skeljax import errors
from skeljax.datasets import pipeline
from skeljax.run import Run
from skeljax.training import metrics
from skeljax.training import sharding
from skeljax.training import steps


@dataclasses.dataclass(frozen=True)
class Scores:
  """Scores of a whole split, in the order of the split.

  Attributes:
    index: [n] positions in the split, 0..n-1.
    scores: [n, classes] float32, averaged over views.
    labels: [n].
    average: 'prob' or 'score', what was averaged.
  """

  index: np.ndarray
  scores: np.ndarray
  labels: np.ndarray
  average: str

  def summary(self) -> dict[str, float]:
    """Return loss (of the averaged scores), top1, top5 and mean_class."""
    scores = self.scores.astype(np.float64)
    if self.average == 'prob':
      log_prob = np.log(np.maximum(scores, np.finfo(np.float32).tiny))
    else:
      shifted = scores - scores.max(-1, keepdims=True)
      log_prob = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    picked = np.take_along_axis(log_prob, self.labels[:, None], axis=-1)
    return {
      'loss': float(-picked.mean()),
      **metrics.accuracies(self.scores, self.labels),
    }


def check_views(run: Run, num_clips: int, mirrored: bool) -> int:
  """Return the number of views per clip to score at once; 0: all.

  Args:
    run: its config has the section `eval`.
    num_clips: views per clip.
    mirrored: whether the flipped copy of each view is scored too.

  Raises:
    UserError: the input has no flipped views, eval.views_at_once does not
      divide the views, or eval.average is unknown.
  """
  config = run.config
  if config.eval.average not in ('prob', 'score'):
    raise errors.UserError(
      f'--config.eval.average={config.eval.average}: expected prob (average'
      ' probabilities over the views) or score (logits).'
    )
  if mirrored and not run.input.can_mirror:
    raise errors.UserError(
      '--config.eval.mirrored=True (--mirrored): only heatmaps have flipped test'
      f' views, {config.model.name} takes joints. Set it to False.'
    )
  at_once = config.eval.views_at_once
  if at_once < 0 or 0 < at_once < num_clips and num_clips % at_once:
    raise errors.UserError(
      f'--config.eval.views_at_once={at_once} does not divide the {num_clips}'
      ' views of a clip: use a divisor, or 0 for all views at once.'
    )
  # Validation during training has one view, the final evaluation may have many.
  return at_once if at_once < num_clips else 0


class Evaluator:
  """Scores a split repeatedly with one compiled step."""

  def __init__(
    self,
    run: Run,
    dataset: pipeline.Dataset,
    *,
    split: str = 'val',
    num_clips: int = 1,
    mirrored: bool = False,
  ):
    """Bind everything except the weights.

    Args:
      run: config, spec and mesh.
      dataset: contains the split; labels of clips in memory may be -1.
      split: 'val' or 'train'; clip_list.SPLIT for clips in memory.
      num_clips: views per clip.
      mirrored: also score the flipped copy of each view.
    """
    config = run.config
    at_once = check_views(run, num_clips, mirrored)
    sharding.check_batch_size(config.eval.batch_size, 'eval.batch_size')
    if split not in dataset.num_clips:
      raise errors.UserError(
        f'--split={split}: {dataset.directory} has the splits'
        f' {", ".join(dataset.num_clips)}.'
      )
    self.model = run.model
    self._average = config.eval.average
    self._mesh = run.mesh
    self.num_steps = pipeline.steps_per_eval(
      dataset, split, config.eval.batch_size
    )
    self._batches = functools.partial(
      pipeline.eval_batches,
      dataset,
      run.sampling(num_clips),
      split=split,
      batch_size=config.eval.batch_size,
      num_workers=config.data.num_workers,
      num_persons=run.spec.num_persons,
      needs_next=run.input.needs_next,
      process_index=jax.process_index(),
      process_count=jax.process_count(),
    )

    def score(variables, batch):
      scores = steps.eval_step(
        variables,
        batch,
        model=run.model,
        input=run.input,
        average=config.eval.average,
        mirrored=mirrored,
        views_at_once=at_once,
      )
      return {'scores': scores} | {
        k: batch[k] for k in ('index', 'label', 'mask')
      }

    # Replicated, so that every process holds the scores of all clips.
    self._score = jax.jit(score, out_shardings=sharding.replicated(run.mesh))

  def __call__(self, variables: Mapping[str, Any], progress=None) -> Scores:
    """Return the scores of the whole split, each clip once.

    Args:
      variables: the collections that `model.apply` takes, on the mesh.
      progress: called once after each batch.
    """
    rows = []
    with self._batches() as batches:
      for batch in batches:
        scored = self._score(variables, sharding.to_global(batch, self._mesh))
        out = jax.tree.map(np.asarray, scored)
        real = out['mask'] > 0
        rows.append(
          (out['index'][real], out['scores'][real], out['label'][real])
        )
        if progress is not None:
          progress()
    index, scores, labels = (np.concatenate(c) for c in zip(*rows))
    order = np.argsort(index)
    return Scores(index[order], scores[order], labels[order], self._average)


def format_summary(summary: Mapping[str, float]) -> str:
  """'top-1 93.10 %, top-5 99.00 %, mean class 92.80 %'."""
  return (
    f'top-1 {100 * summary["top1"]:.2f} %,'
    f' top-5 {100 * summary["top5"]:.2f} %,'
    f' mean class {100 * summary["mean_class"]:.2f} %'
  )
