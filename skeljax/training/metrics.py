"""Accuracies as mmaction2 defines them, and sums that add up over steps."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np


def top_k_accuracy(scores: np.ndarray, labels: np.ndarray, k: int) -> float:
  """Return the fraction of samples whose label is among the k highest scores.

  Args:
    scores: [N, classes].
    labels: [N], 0-based.
    k: at least 1; may exceed the number of classes.

  Source: mmaction2 top_k_accuracy (ascending argsort, the last k), with the
  same treatment of ties.
  """
  top_k = np.argsort(scores, axis=1)[:, -k:]
  return float(np.mean(np.any(top_k == labels[:, None], axis=1)))


def mean_class_accuracy(scores: np.ndarray, labels: np.ndarray) -> float:
  """Return the mean recall over the classes that are predicted or present.

  A class that is predicted but has no sample counts as 0. Source: mmaction2
  mean_class_accuracy.

  Args:
    scores: [N, classes].
    labels: [N], 0-based.
  """
  confusion = confusion_matrix(scores.argmax(axis=1), labels, scores.shape[1])
  occurs = confusion.any(axis=0) | confusion.any(axis=1)
  recall = np.nan_to_num(per_class_accuracy(confusion))
  return float(np.mean(recall[occurs]))


def confusion_matrix(
  predictions: np.ndarray, labels: np.ndarray, num_classes: int
) -> np.ndarray:
  """Return counts [classes, classes]: row = label, column = prediction."""
  cells = np.asarray(labels, np.int64) * num_classes + predictions
  counts = np.bincount(cells, minlength=num_classes * num_classes)
  return counts.reshape(num_classes, num_classes)


def per_class_accuracy(confusion: np.ndarray) -> np.ndarray:
  """Return the recall [classes] of a confusion matrix; NaN without samples."""
  totals = confusion.sum(axis=1).astype(np.float64)
  return np.diag(confusion) / np.where(totals > 0, totals, np.nan)


def accuracies(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
  """Return the published metrics as fractions: top1, top5 and mean_class."""
  return {
    'top1': top_k_accuracy(scores, labels, 1),
    'top5': top_k_accuracy(scores, labels, 5),
    'mean_class': mean_class_accuracy(scores, labels),
  }


def average_clips(logits: jax.Array, average: str) -> jax.Array:
  """Average the views of each clip.

  Args:
    logits: [B, N, classes].
    average: 'prob' averages softmax probabilities, 'score' logits.

  Returns:
    [B, classes].

  Source: mmaction2 BaseHead.average_clip.
  """
  if average not in ('prob', 'score'):
    raise ValueError(f"average must be 'prob' or 'score', not {average!r}")
  scores = jax.nn.softmax(logits) if average == 'prob' else logits
  return scores.mean(axis=1)


def step_sums(
  logits: jax.Array, labels: jax.Array, loss: jax.Array, mask: jax.Array
) -> dict[str, jax.Array]:
  """Return sums over the samples that are not padding.

  Args:
    logits: [B, classes], or averaged scores.
    labels: [B].
    loss: [B] per-sample losses.
    mask: [B], 1 for a sample, 0 for padding.

  Returns:
    Scalars 'loss', 'top1', 'top5' and 'count', to be added over steps.
  """
  ranking = jnp.argsort(logits, axis=-1)
  hits = (ranking == labels[:, None]).astype(jnp.float32)
  is_sample = mask > 0
  values = {
    'loss': loss,
    'top1': hits[:, -1],
    'top5': hits[:, -5:].sum(axis=-1),
    'count': jnp.ones_like(mask),
  }
  return {k: jnp.sum(jnp.where(is_sample, v, 0.0)) for k, v in values.items()}


def summarize(sums: Mapping[str, jax.Array | float]) -> dict[str, float]:
  """Divide every sum by 'count'; Python floats, NaN if count is 0."""
  count = float(sums['count'])
  return {
    name: float(value) / count if count else float('nan')
    for name, value in sums.items()
    if name != 'count'
  }
