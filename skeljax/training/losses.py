"""Per-sample losses and the masked mean that goes with them."""

from collections.abc import Sequence
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from skeljax import errors

LOSSES = ('cross_entropy', 'cb_focal')


@dataclasses.dataclass(frozen=True)
class LossOptions:
  """Which loss, and its settings; hashable.

  Attributes:
    name: 'cross_entropy' or 'cb_focal'.
    label_smoothing: eps in [0, 1), of the cross entropy.
    class_weight: one weight a class, of the cross entropy; () weighs all alike.
    samples_per_class: training clips of each class, for 'cb_focal'.
    beta: in [0, 1), for 'cb_focal'; 0 weighs all classes alike.
    gamma: 0 or more, for 'cb_focal'; 0 does not focus.

  Raises:
    UserError: an unknown name, a value out of its range, or one that the named
      loss does not use.
  """

  name: str = 'cross_entropy'
  label_smoothing: float = 0.0
  class_weight: tuple[float, ...] = ()
  samples_per_class: tuple[int, ...] = ()
  beta: float = 0.9999
  gamma: float = 2.0

  def __post_init__(self):
    problem = _problem_of(self)
    if problem:
      raise errors.UserError(problem)

  def check_classes(self, class_names: Sequence[str], source: str) -> None:
    """Raises UserError unless there is one number for each class of source."""
    for field in ('class_weight', 'samples_per_class'):
      numbers = getattr(self, field)
      if numbers and len(numbers) != len(class_names):
        raise errors.UserError(
          f'loss.{field} has {len(numbers)} numbers, but {source} has'
          f' {len(class_names)} classes: give one number a class, in the order'
          f' of the labels ({", ".join(class_names[:3])}, ...).'
        )

  def __call__(
    self, logits: jax.Array, labels: jax.Array
  ) -> tuple[jax.Array, jax.Array | None]:
    """Losses [B] and the divisor weights that `mean_loss` takes with them."""
    if self.name == 'cb_focal':
      loss = class_balanced_focal(
        logits,
        labels,
        samples_per_class=self.samples_per_class,
        beta=self.beta,
        gamma=self.gamma,
      )
      return loss, None
    loss = cross_entropy(
      logits,
      labels,
      label_smoothing=self.label_smoothing,
      class_weight=self.class_weight or None,
    )
    if not self.class_weight:
      return loss, None
    return loss, target_weight(
      labels, self.class_weight, label_smoothing=self.label_smoothing
    )


def _problem_of(options: LossOptions) -> str:
  """What is wrong with the options, or ''."""
  if options.name not in LOSSES:
    return f'loss.name is {options.name!r}; it must be one of ' + (
      ', '.join(LOSSES) + '.'
    )
  if not 0 <= options.label_smoothing < 1:
    return (
      f'optim.label_smoothing is {options.label_smoothing}; it must be 0 or'
      ' more and below 1.'
    )
  if options.name == 'cross_entropy':
    weight = np.asarray(options.class_weight, np.float64)
    if options.samples_per_class:
      return (
        'loss.samples_per_class has no effect with the cross entropy: empty it,'
        ' or set loss.name to cb_focal.'
      )
    if not (np.isfinite(weight).all() and (weight >= 0).all()) or (
      weight.size and not weight.any()
    ):
      return (
        f'loss.class_weight is {options.class_weight}; its numbers must be'
        ' finite, 0 or more, and not all 0.'
      )
    return ''
  for field, value in (
    ('loss.class_weight', options.class_weight),
    ('optim.label_smoothing', options.label_smoothing),
  ):
    if value:
      return (
        f'{field} has no effect with the loss cb_focal, which weighs classes by'
        ' loss.samples_per_class and has hard labels: leave it empty or 0.'
      )
  if not options.samples_per_class or min(options.samples_per_class) < 1:
    return (
      f'loss.samples_per_class is {options.samples_per_class}, but the loss'
      ' cb_focal needs the number of training clips of every class, each at'
      ' least 1.'
    )
  if not (0 <= options.beta < 1 and 0 <= options.gamma < float('inf')):
    return (
      f'loss.beta is {options.beta} and loss.gamma {options.gamma}; beta must'
      ' be 0 or more and below 1, gamma 0 or more.'
    )
  return ''


CROSS_ENTROPY = LossOptions()


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


def class_balanced_focal(
  logits: jax.Array,
  labels: jax.Array,
  *,
  samples_per_class: Sequence[int],
  beta: float = 0.9999,
  gamma: float = 2.0,
) -> jax.Array:
  """Class-balanced focal loss of every sample, not yet averaged.

  One yes-or-no question a class: with p the sigmoid of the logit for the
  label and of minus the logit for every other class, a sample's loss is its
  class's weight times the sum over classes of (1 - p)^gamma * -log p.

  Args:
    logits: [B, classes], before the sigmoid.
    labels: [B], 0-based class indices.
    samples_per_class: training samples of each class, each at least 1; class c
      weighs (1 - beta) / (1 - beta^samples), rescaled to a mean of 1.
    beta: in [0, 1).
    gamma: 0 or more.

  Returns:
    [B], in float32 or wider; finite with a finite gradient wherever the logits
    are.

  Source: mmaction2 CBFocalLoss (the BABEL baseline), after Cui et al.,
  "Class-Balanced Loss Based on Effective Number of Samples" (CVPR 2019).
  Deviation: the published form takes log(1 + exp(-z)), which overflows in
  float32 for z < -88. For the label's logit it then gives loss 0 and a
  gradient that is not a number; here loss and gradient are those of the
  formula. For all other logits the two agree.
  """
  dtype = jnp.promote_types(logits.dtype, jnp.float32)
  z = logits.astype(dtype)
  is_label = jax.nn.one_hot(labels, z.shape[-1], dtype=bool)
  # -log p = softplus(-margin) and -log(1 - p) = softplus(margin).
  margin = jnp.where(is_label, z, -z)
  focus = jnp.exp(-gamma * jax.nn.softplus(margin))
  terms = focus * jax.nn.softplus(-margin)
  weight = jnp.asarray(_balanced_weight(samples_per_class, beta), dtype)
  return weight[labels] * jnp.sum(terms, axis=-1)


def _balanced_weight(
  samples_per_class: Sequence[int], beta: float
) -> np.ndarray:
  """[classes] float32, as the published code rounds it."""
  samples = np.asarray(samples_per_class, np.float64)
  weight = (1.0 - beta) / (1.0 - np.power(beta, samples))
  return (weight / weight.mean()).astype(np.float32)


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
