"""Per-sample losses and the masked mean that goes with them."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp


def cross_entropy(
  logits: jax.Array,
  labels: jax.Array,
  *,
  label_smoothing: float = 0.0,
  class_weight: Sequence[float] | None = None,
) -> jax.Array:
  """Cross entropy of every sample, not yet averaged.

  Args:
    logits: [B, classes], before softmax.
    labels: [B], 0-based class indices.
    label_smoothing: eps in [0, 1]; the target is (1 - eps) on the label plus
      eps / classes everywhere.
    class_weight: one weight a class; multiplies each class's term. For the
      published weighted mean give `target_weight` to `mean_loss`.

  Returns:
    [B], in float32 or wider.

  Source: mmaction2 CrossEntropyLoss and the head's label_smooth_eps, hard
  labels without smoothing and soft labels with it.
  """
  dtype = jnp.promote_types(logits.dtype, jnp.float32)
  log_probs = jax.nn.log_softmax(logits.astype(dtype))
  if class_weight is not None:
    log_probs = log_probs * jnp.asarray(class_weight, dtype)[None]
  target = jnp.take_along_axis(log_probs, labels[:, None], axis=-1)[:, 0]
  if not label_smoothing:
    return -target
  uniform = jnp.mean(log_probs, axis=-1)
  return -((1.0 - label_smoothing) * target + label_smoothing * uniform)


def target_weight(
  labels: jax.Array,
  class_weight: Sequence[float],
  *,
  label_smoothing: float = 0.0,
) -> jax.Array:
  """Weight [B] that each sample has in the weighted mean.

  The class weights averaged under the sample's (smoothed) target
  distribution. Source: torch's and mmaction2's weighted cross entropy, which
  divide by the sum of these.
  """
  weight = jnp.asarray(class_weight, jnp.float32)
  smooth = label_smoothing * jnp.mean(weight)
  return (1.0 - label_smoothing) * weight[labels] + smooth


def mean_loss(
  per_sample: jax.Array,
  mask: jax.Array,
  weight: jax.Array | None = None,
) -> jax.Array:
  """Mean loss over the samples that are not padding; 0 when all are.

  Args:
    per_sample: [B] losses.
    mask: [B], 1 for a sample, 0 for padding.
    weight: [B] divisor weights of `target_weight`; without it each counts 1.
  """
  # A padded row may hold anything, and 0 * inf is not 0.
  total = jnp.sum(jnp.where(mask > 0, per_sample, 0.0))
  divisor = jnp.sum(mask if weight is None else mask * weight)
  return total / jnp.where(divisor > 0, divisor, 1.0)
