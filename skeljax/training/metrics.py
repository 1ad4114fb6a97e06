"""Accuracies as mmaction2 defines them, and sums that merge over steps."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

Sums = Mapping[str, jax.Array]


def top_k_accuracy(scores: np.ndarray, labels: np.ndarray, k: int) -> float:
  """Fraction of samples whose label is among the k highest scores.

  Args:
    scores: [N, classes].
    labels: [N], 0-based.
    k: how many candidates count; more than the classes means all of them.

  Source: mmaction2 top_k_accuracy (ascending argsort, the last k), including
  what that does with ties.
  """
  candidates = np.argsort(scores, axis=1)[:, -k:]
  return float(np.mean(np.any(candidates == labels[:, None], axis=1)))


def mean_class_accuracy(scores: np.ndarray, labels: np.ndarray) -> float:
  """Recall averaged over every class that was predicted or is present.

  A class that was predicted but has no sample stays in the mean with 0.
  Source: mmaction2 mean_class_accuracy.

  Args:
    scores: [N, classes].
    labels: [N], 0-based.
  """
  confusion = confusion_matrix(
    np.argmax(scores, axis=1), labels, scores.shape[1]
  )
  seen = (confusion.sum(axis=0) > 0) | (confusion.sum(axis=1) > 0)
  recall = np.nan_to_num(per_class_accuracy(confusion))
  return float(np.mean(recall[seen]))


def confusion_matrix(
  predictions: np.ndarray, labels: np.ndarray, num_classes: int
) -> np.ndarray:
  """Counts [classes, classes]; row is the label, column the prediction."""
  cells = np.asarray(labels, np.int64) * num_classes + predictions
  counts = np.bincount(cells, minlength=num_classes * num_classes)
  return counts.reshape(num_classes, num_classes)


def per_class_accuracy(confusion: np.ndarray) -> np.ndarray:
  """Recall of each class [classes] from a confusion matrix; NaN if absent."""
  totals = confusion.sum(axis=1).astype(np.float64)
  return np.diag(confusion) / np.where(totals > 0, totals, np.nan)


def accuracies(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
  """The three published figures, as fractions: top1, top5 and mean_class."""
  return {
    'top1': top_k_accuracy(scores, labels, 1),
    'top5': top_k_accuracy(scores, labels, 5),
    'mean_class': mean_class_accuracy(scores, labels),
  }


def average_clips(logits, average: str):
  """One score vector a sample from the logits of its views.

  Args:
    logits: [B, N, classes], numpy or JAX; the answer is of the same kind.
    average: 'prob' averages softmax probabilities, 'score' the logits.

  Returns:
    [B, classes].

  Source: mmaction2 BaseHead.average_clip.
  """
  if average == 'score':
    return logits.mean(axis=1)
  if average != 'prob':
    raise ValueError(f"average is 'prob' or 'score', not {average!r}")
  xp = jnp if isinstance(logits, jax.Array) else np
  powers = xp.exp(logits - logits.max(axis=-1, keepdims=True))
  return (powers / powers.sum(axis=-1, keepdims=True)).mean(axis=1)


def step_sums(
  logits: jax.Array, labels: jax.Array, loss: jax.Array, mask: jax.Array
) -> dict[str, jax.Array]:
  """Sums over the samples that are not padding; add them over steps.

  Args:
    logits: [B, classes], or averaged scores.
    labels: [B].
    loss: [B] per-sample losses.
    mask: [B], 1 for a sample, 0 for padding.

  Returns:
    Scalars 'loss', 'top1', 'top5' and 'count'.
  """
  candidates = jnp.argsort(logits, axis=-1)
  hits = (candidates == labels[:, None]).astype(jnp.float32)
  real = mask > 0
  return {
    'loss': jnp.sum(jnp.where(real, loss, 0.0)),
    'top1': jnp.sum(jnp.where(real, hits[:, -1], 0.0)),
    'top5': jnp.sum(jnp.where(real, hits[:, -5:].sum(axis=-1), 0.0)),
    'count': jnp.sum(real.astype(jnp.float32)),
  }


def summarize(sums: Sums) -> dict[str, float]:
  """Means as Python floats: every sum divided by 'count' (NaN when empty)."""
  count = float(sums['count'])
  return {
    name: float(value) / count if count else float('nan')
    for name, value in sums.items()
    if name != 'count'
  }
