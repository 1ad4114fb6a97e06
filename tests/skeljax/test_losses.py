"""Cross entropy against numpy and torch's weighted mean, and the mask."""

import jax
import jax.numpy as jnp
import numpy as np

from skeljax import losses

_RNG = np.random.RandomState(0)
LOGITS = _RNG.randn(6, 4).astype(np.float32) * 3
LABELS = np.array([0, 3, 1, 1, 2, 0])
WEIGHT = (0.5, 2.0, 1.0, 3.0)


def _log_softmax(logits):
  return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def test_hard_labels_are_minus_log_softmax():
  expected = -_log_softmax(LOGITS)[np.arange(6), LABELS]
  loss = losses.cross_entropy(jnp.asarray(LOGITS), jnp.asarray(LABELS))
  np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_smoothing_is_the_soft_label_loss():
  target = 0.9 * np.eye(4)[LABELS] + 0.1 / 4
  expected = -(target * _log_softmax(LOGITS)).sum(axis=1)
  loss = losses.cross_entropy(
    jnp.asarray(LOGITS), jnp.asarray(LABELS), label_smoothing=0.1
  )
  np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_weighted_mean_divides_by_the_target_weights():
  target = 0.8 * np.eye(4)[LABELS] + 0.2 / 4
  weighted = target * np.asarray(WEIGHT)
  expected = -(weighted * _log_softmax(LOGITS)).sum() / weighted.sum()
  labels = jnp.asarray(LABELS)
  loss = losses.mean_loss(
    losses.cross_entropy(
      jnp.asarray(LOGITS), labels, label_smoothing=0.2, class_weight=WEIGHT
    ),
    jnp.ones(6),
    losses.target_weight(labels, WEIGHT, label_smoothing=0.2),
  )
  np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_padding_counts_neither_above_nor_below_the_line():
  mask = jnp.asarray([1.0, 1, 0, 1, 0, 0])
  per_sample = jnp.asarray([1.0, 2, jnp.inf, 6, jnp.nan, 9])
  assert losses.mean_loss(per_sample, mask) == 3.0
  assert losses.mean_loss(per_sample, jnp.zeros(6)) == 0.0


def test_loss_of_bfloat16_logits_is_float32():
  logits = jnp.asarray(LOGITS, jnp.bfloat16)
  loss = losses.cross_entropy(logits, jnp.asarray(LABELS))
  assert loss.dtype == jnp.float32


def test_gradient_is_softmax_minus_onehot():
  labels = jnp.asarray(LABELS)

  def mean(logits):
    return losses.mean_loss(losses.cross_entropy(logits, labels), jnp.ones(6))

  expected = (np.exp(_log_softmax(LOGITS)) - np.eye(4)[LABELS]) / 6
  gradient = jax.grad(mean)(jnp.asarray(LOGITS))
  np.testing.assert_allclose(gradient, expected, atol=1e-6)
