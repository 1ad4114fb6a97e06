"""SGD, learning rates and step counts with the published semantics.

An epoch is E = clips x repeat clips. Batches cross epochs, so that the step
at which an epoch begins is rounded: epoch m begins at step round(m E / B)
for a global batch of B clips.
"""

from collections.abc import Sequence
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax

from skeljax import errors

SCHEDULES = ('step', 'cosine', 'constant')


def total_steps(epochs: float, clips_per_epoch: int, batch_size: int) -> int:
  """Steps of the whole run; UserError when not a single one fits."""
  steps = round(epochs * clips_per_epoch / batch_size)
  if steps < 1:
    raise errors.UserError(
      f'{epochs} epochs of {clips_per_epoch} clips in batches of {batch_size} '
      'are less than one training step. Use more epochs, more data or a '
      'smaller batch.'
    )
  return steps


def milestone_steps(
  epochs: Sequence[float], clips_per_epoch: int, batch_size: int
) -> tuple[int, ...]:
  """Steps at which the given epochs begin."""
  return tuple(round(m * clips_per_epoch / batch_size) for m in epochs)


def batch_scaling(
  batch_size: int, reference_batch: int, scale_lr: bool
) -> tuple[float, str]:
  """Factor for the learning rate, and what to tell the user.

  Args:
    batch_size: global batch of this run.
    reference_batch: the batch that the configured rate was chosen for; 0 when
      there is none.
    scale_lr: apply the linear scaling rule (Goyal et al., 2017).

  Returns:
    (factor, sentence); the sentence is empty when there is nothing to say.
  """
  if not reference_batch or batch_size == reference_batch:
    return 1.0, ''
  factor = batch_size / reference_batch
  told = f'the batch is {batch_size}, the recipe is for {reference_batch}: '
  if scale_lr:
    return factor, told + f'the learning rate is multiplied by {factor:g}'
  return 1.0, told + (
    'the learning rate is left as it is '
    f'(optim.scale_lr=True would multiply it by {factor:g})'
  )


def _staircase(values: Sequence[float], steps: Sequence[int]) -> optax.Schedule:
  """values[0], then values[i + 1] from step steps[i] on."""
  table = np.asarray(values)
  bounds = np.asarray(steps, np.int32)
  return lambda count: jnp.asarray(table)[jnp.sum(count >= bounds)]


def _cosine(base_lr: float, begin: int, end: int) -> optax.Schedule:
  """base_lr until step `begin`, then half a cosine down to 0 at step `end`.

  NOTE: sin(x / 2)^2 of what is left, not (1 + cos) / 2 of what is done: that
  one cancels, and in float32 the last rates of a long run would be noise.
  """

  def rate(count):
    left = jnp.clip(end - count, 0, end - begin)
    return base_lr * jnp.sin(left * (math.pi / 2 / (end - begin))) ** 2

  return rate


def learning_rate(
  kind: str,
  *,
  base_lr: float,
  total_steps: int,
  clips_per_epoch: int = 0,
  batch_size: int = 0,
  milestones: Sequence[float] = (),
  gamma: float = 0.1,
  warmup_steps: int = 0,
  warmup_epochs: int = 0,
  cosine_after_warmup: bool = False,
) -> optax.Schedule:
  """Learning rate of the update that follows `count` completed steps.

  Args:
    kind: 'constant'; 'step', times gamma at each milestone; 'cosine', per
      step from base_lr to 0.
    base_lr: the rate before any factor.
    total_steps: steps of the run, where the cosine reaches 0.
    clips_per_epoch: E; needed for milestones and warmup_epochs.
    batch_size: B, the global batch; needed with clips_per_epoch.
    milestones: 0-based epochs; the rate drops where each begins.
    gamma: factor at a milestone.
    warmup_steps: step t of the first so many runs at (t + 1) / warmup_steps
      of the rate.
    warmup_epochs: all of epoch e of the first so many runs at
      (e + 1) / warmup_epochs of the rate.
    cosine_after_warmup: let the cosine begin where the warm-up ends; without
      it the cosine spans the run and the warm-up scales its beginning.

  Returns:
    count -> scalar in JAX's default float type: float32 unless x64 is on.

  Raises:
    UserError: unknown kind, or options that contradict each other.

  Source: torch MultiStepLR and mmaction2's per-iteration CosineAnnealingLR
  (closed form); warm-up by epochs as in 2s-AGCN's AAGCN and CTR-GCN. Whether
  cosine_after_warmup is on is the difference between mmengine's consecutive
  schedulers (on) and mmcv's LrUpdaterHook (off).
  """
  _check_schedule(kind, base_lr, milestones, warmup_steps, warmup_epochs)
  if (milestones or warmup_epochs) and not (clips_per_epoch and batch_size):
    raise ValueError('epochs need clips_per_epoch and batch_size')
  warmup, warmup_end = _warmup(
    warmup_steps, warmup_epochs, clips_per_epoch, batch_size
  )
  if kind == 'step' and milestones:
    drops = sorted(milestone_steps(milestones, clips_per_epoch, batch_size))
    rates = [base_lr * gamma**i for i in range(len(drops) + 1)]
    main = _staircase(rates, drops)
  elif kind == 'cosine':
    begin = warmup_end if cosine_after_warmup else 0
    if begin >= total_steps:
      raise errors.UserError(
        f'the warm-up takes {begin} of {total_steps} steps and leaves none '
        'for the cosine: shorten optim.warmup_steps or optim.warmup_epochs, '
        'or train longer.'
      )
    main = _cosine(base_lr, begin, total_steps)
  else:
    main = optax.constant_schedule(base_lr)

  # Asked for by the type of a Python float, which x64 decides.
  return lambda count: jnp.asarray(
    warmup(count) * main(count), jnp.result_type(float)
  )


def _warmup(
  steps: int, epochs: int, clips_per_epoch: int, batch_size: int
) -> tuple[optax.Schedule, int]:
  """The factor of the rate, and the step from which on it is 1."""
  if steps:
    # 1.0, because int32 / int is float32 even under x64.
    return lambda count: jnp.minimum((count + 1.0) / steps, 1.0), steps
  if not epochs:
    return optax.constant_schedule(1.0), 0
  starts = milestone_steps(range(1, epochs + 1), clips_per_epoch, batch_size)
  factors = [(e + 1) / epochs for e in range(epochs)]
  return _staircase(factors, starts[:-1]), starts[-1]


def _check_schedule(
  kind: str,
  base_lr: float,
  milestones: Sequence[float],
  steps: int,
  epochs: int,
) -> None:
  if kind not in SCHEDULES:
    raise errors.UserError(
      f'optim.schedule is {kind!r}; it must be one of {", ".join(SCHEDULES)}.'
    )
  if not (math.isfinite(base_lr) and base_lr >= 0):
    raise errors.UserError(
      f'optim.base_lr is {base_lr}; it must be a finite number, 0 or more.'
    )
  if milestones and kind != 'step':
    raise errors.UserError(
      f'optim.milestones {tuple(milestones)} have no effect with the '
      f"{kind!r} schedule: empty them, or set the schedule to 'step'."
    )
  if steps and epochs:
    raise errors.UserError(
      f'optim.warmup_steps={steps} and optim.warmup_epochs={epochs} are two '
      'ways to say the same thing: set one of them to 0.'
    )


def clip_by_global_norm(max_norm: float) -> optax.GradientTransformation:
  """Scales gradients so that their joint L2 norm is at most max_norm.

  Source: torch clip_grad_norm_, factor min(1, max_norm / (norm + 1e-6));
  optax.clip_by_global_norm has no 1e-6.
  """

  def clip(updates, params):
    del params
    factor = jnp.minimum(1.0, max_norm / (optax.tree.norm(updates) + 1e-6))
    return jax.tree.map(lambda g: g * factor.astype(g.dtype), updates)

  return optax.stateless(clip)


def make_optimizer(
  schedule: optax.Schedule | float,
  *,
  momentum: float,
  nesterov: bool,
  weight_decay: float,
  clip_norm: float = 0.0,
) -> optax.GradientTransformation:
  """SGD in torch's order: clip, decay, momentum, rate.

  Args:
    schedule: learning rate, or a schedule of it.
    momentum: mu; buffer = mu * buffer + gradient, from the first gradient on.
    nesterov: step along gradient + mu * buffer instead of the buffer.
    weight_decay: added to the gradient as weight_decay * parameter, before
      the momentum, for every parameter (BatchNorm, biases and learned graphs
      too, as in the published recipes).
    clip_norm: largest joint L2 norm of the gradients; 0 does not clip.

  Source: torch.optim.SGD (dampening 0).
  """
  if nesterov and not momentum:
    raise errors.UserError(
      'optim.nesterov needs optim.momentum above 0: set a momentum (0.9 in '
      'the published recipes) or optim.nesterov=False.'
    )
  parts = []
  if clip_norm:
    parts.append(clip_by_global_norm(clip_norm))
  if weight_decay:
    parts.append(optax.add_decayed_weights(weight_decay))
  parts.append(
    optax.sgd(schedule, momentum=momentum or None, nesterov=nesterov)
  )
  return optax.chain(*parts)
