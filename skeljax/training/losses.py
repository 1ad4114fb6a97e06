"""Per-sample classification losses and their weighted, masked mean."""

from collections.abc import Sequence
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax

from skeljax import errors
from skeljax import option

LOSSES = ('cross_entropy', 'cb_focal')


@dataclasses.dataclass(frozen=True)
class LossOptions:
  """A loss and its settings: the config section `loss`; hashable.

  Raises:
    UserError: a value out of range, or one that the loss does not use.
  """

  name: str = option.field('cross_entropy', 'Loss.', choices=LOSSES)
  class_weight: tuple[float, ...] = option.field(
    (), 'cross_entropy: one weight per class; (): all 1.', minimum=0
  )
  samples_per_class: tuple[int, ...] = option.field(
    (), 'cb_focal: number of training clips per class.', minimum=1
  )
  beta: float = option.field(
    0.9999, 'cb_focal: how much rare classes weigh; 0: as frequent ones.',
    minimum=0, below=1,
  )  # fmt: skip
  gamma: float = option.field(
    2.0, 'cb_focal: how little easy examples weigh; 0: as hard ones.',
    minimum=0, below=float('inf'),
  )  # fmt: skip
  # Of cross_entropy, in [0, 1); a field of the config section `optim`.
  label_smoothing: float = 0.0

  def __post_init__(self):
    option.check(self, '--config.loss.')
    if not 0 <= self.label_smoothing < 1:
      raise errors.UserError(
        f'optim.label_smoothing={self.label_smoothing}: expected a number at'
        ' least 0 and less than 1.'
      )
    if self.class_weight and not 0 < sum(self.class_weight) < float('inf'):
      raise errors.UserError(
        f'loss.class_weight={self.class_weight}: expected finite numbers, not'
        ' all 0.'
      )
    if self.name == 'cb_focal' and not self.samples_per_class:
      raise errors.UserError(
        'loss.name=cb_focal needs loss.samples_per_class, the number of'
        ' training clips of every class.'
      )
    unused = {'loss.samples_per_class': self.samples_per_class}
    if self.name == 'cb_focal':
      unused = {
        'loss.class_weight': self.class_weight,
        'optim.label_smoothing': self.label_smoothing,
      }
    for field, value in unused.items():
      if value:
        raise errors.UserError(
          f'{field} has no effect with loss.name={self.name}: leave it at its'
          ' default, or choose the other loss.'
        )

  def check_classes(self, class_names: Sequence[str], source: str) -> None:
    """Raise UserError unless there is one number per class of `source`."""
    for field in ('class_weight', 'samples_per_class'):
      numbers = getattr(self, field)
      if numbers and len(numbers) != len(class_names):
        raise errors.UserError(
          f'loss.{field} has {len(numbers)} numbers, but {source} has'
          f' {len(class_names)} classes: expected one number per class, in the'
          f' order of the labels ({", ".join(class_names[:3])}, ...).'
        )

  def __call__(
    self, logits: jax.Array, labels: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """Return losses [B] and the weights [B] for `mean_loss`.

    Args:
      logits: [B, classes], before softmax or sigmoid.
      labels: [B], 0-based class indices.
    """
    if self.name == 'cb_focal':
      loss = class_balanced_focal(
        logits,
        labels,
        samples_per_class=self.samples_per_class,
        beta=self.beta,
        gamma=self.gamma,
      )
      return loss, jnp.ones_like(loss)
    return cross_entropy(
      logits,
      labels,
      label_smoothing=self.label_smoothing,
      class_weight=self.class_weight,
    )


CROSS_ENTROPY = LossOptions()


def cross_entropy(
  logits: jax.Array,
  labels: jax.Array,
  *,
  label_smoothing: float = 0.0,
  class_weight: Sequence[float] = (),
) -> tuple[jax.Array, jax.Array]:
  """Softmax cross entropy of each sample.

  Args:
    logits: [B, classes].
    labels: [B], 0-based class indices.
    label_smoothing: eps; the target is (1 - eps) * one_hot + eps / classes.
    class_weight: one factor per class for its term; (): all 1.

  Returns:
    (loss [B], weight [B]) in float32 or wider. The weight is the class weight
    averaged over the target; the weighted mean divides by its sum.

  Source: mmaction2 CrossEntropyLoss with the head's label_smooth_eps, torch
  cross_entropy.
  """
  dtype = jnp.promote_types(logits.dtype, jnp.float32)
  target = jax.nn.one_hot(labels, logits.shape[-1], dtype=dtype)
  if label_smoothing:
    target = optax.smooth_labels(target, label_smoothing)
  if class_weight:
    target = target * jnp.asarray(class_weight, dtype)[None]
  loss = optax.softmax_cross_entropy(logits.astype(dtype), target)
  return loss, target.sum(axis=-1)


def class_balanced_focal(
  logits: jax.Array,
  labels: jax.Array,
  *,
  samples_per_class: Sequence[int],
  beta: float = 0.9999,
  gamma: float = 2.0,
) -> jax.Array:
  """Class-balanced focal loss of each sample.

  The focal loss of one sigmoid per class, summed over the classes, times the
  weight of the label: (1 - beta) / (1 - beta^samples), scaled to a mean of 1.

  Args:
    logits: [B, classes].
    labels: [B], 0-based class indices.
    samples_per_class: number of training samples of each class, at least 1.
    beta: in [0, 1).
    gamma: exponent of the focal factor, 0 or more.

  Returns:
    [B], in float32 or wider; finite with a finite gradient for finite logits.

  Source: mmaction2 CBFocalLoss (the BABEL baseline), after Cui et al.,
  "Class-Balanced Loss Based on Effective Number of Samples" (CVPR 2019).
  Deviation: mmaction2 computes log(1 + exp(-z)), which overflows in float32 for
  z < -88. If z is the logit of the label, its loss is then 0 and its gradient
  NaN; here both are those of the formula.
  """
  dtype = jnp.promote_types(logits.dtype, jnp.float32)
  samples = np.asarray(samples_per_class, np.float64)
  class_weight = (1.0 - beta) / (1.0 - np.power(beta, samples))
  # Rounded to float32, as mmaction2 does.
  class_weight = (class_weight / class_weight.mean()).astype(np.float32)
  terms = optax.sigmoid_focal_loss(
    logits.astype(dtype),
    jax.nn.one_hot(labels, logits.shape[-1], dtype=dtype),
    gamma=gamma,
  )
  return jnp.asarray(class_weight, dtype)[labels] * terms.sum(axis=-1)


def mean_loss(
  loss: jax.Array, mask: jax.Array, weight: jax.Array | float = 1.0
) -> jax.Array:
  """Mean loss of the samples that are not padding; 0 if all are padding.

  Args:
    loss: [B].
    mask: [B], 1 for a sample, 0 for padding.
    weight: [B], each sample's part of the divisor.
  """
  # A padding row may be inf or NaN, and 0 * inf is NaN.
  total = jnp.sum(jnp.where(mask > 0, loss, 0.0))
  divisor = jnp.sum(mask * weight)
  return total / jnp.where(divisor > 0, divisor, 1.0)
