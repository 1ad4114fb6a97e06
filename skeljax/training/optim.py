"""SGD, learning rate schedules and step counts of the published recipes.

An epoch has E = clips x repeat clips. Batches may span two epochs, so epoch m
starts at step round(m * E / B) for a global batch of B clips.
"""

from collections.abc import Sequence
import math

import jax
import jax.numpy as jnp
import optax

from skeljax import errors

SCHEDULES = ('step', 'cosine', 'constant')


def total_steps(epochs: float, clips_per_epoch: int, batch_size: int) -> int:
  """Return the number of training steps; UserError if it is zero."""
  steps = round(epochs * clips_per_epoch / batch_size)
  if steps < 1:
    raise errors.UserError(
      f'{epochs} epochs of {clips_per_epoch} clips with batch size'
      f' {batch_size} are less than one training step: use more epochs, more'
      ' data or a smaller batch.'
    )
  return steps


def milestone_steps(
  epochs: Sequence[float], clips_per_epoch: int, batch_size: int
) -> tuple[int, ...]:
  """Return the steps at which the given epochs start."""
  return tuple(round(m * clips_per_epoch / batch_size) for m in epochs)


def batch_scaling(
  batch_size: int, reference_batch: int, scale_lr: bool
) -> tuple[float, str]:
  """Return the factor of the learning rate and a sentence for the log.

  Args:
    batch_size: global batch size of the run.
    reference_batch: batch size that base_lr was tuned for; 0 if unknown.
    scale_lr: apply the linear scaling rule (Goyal et al., 2017).

  Returns:
    (factor, note); the note is empty if the batch sizes agree.
  """
  if not reference_batch or batch_size == reference_batch:
    return 1.0, ''
  factor = batch_size / reference_batch
  note = f'batch size {batch_size}, recipe for {reference_batch}: '
  if scale_lr:
    return factor, note + f'learning rate multiplied by {factor:g}'
  return 1.0, note + (
    'learning rate left unchanged'
    f' (optim.scale_lr=True would multiply it by {factor:g})'
  )


def _piecewise(values: Sequence[float], steps: Sequence[int]) -> optax.Schedule:
  """Return values[0], then values[i + 1] from step steps[i] on."""
  return optax.join_schedules(list(map(optax.constant_schedule, values)), steps)


def _cosine(base_lr: float, total_steps: int) -> optax.Schedule:
  """Half a cosine from base_lr at step 0 to 0 at step total_steps.

  NOTE: optax.cosine_decay_schedule computes (1 + cos(x)) / 2, which cancels in
  float32: the last rates of a long run would be noise.
  """

  def schedule(count):
    left = jnp.clip(total_steps - count, 0, total_steps)
    return base_lr * jnp.sin(left * (math.pi / 2 / total_steps)) ** 2

  return schedule


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
) -> optax.Schedule:
  """Return the learning rate as a function of the completed steps.

  Args:
    kind: 'constant'; 'step': multiply by gamma at each milestone; 'cosine':
      from base_lr to 0, per step.
    base_lr: the rate before any factor.
    total_steps: steps of the run, where the cosine reaches 0.
    clips_per_epoch: E; needed with milestones and warmup_epochs.
    batch_size: B, the global batch size; needed with clips_per_epoch.
    milestones: 0-based epochs at whose start the rate drops.
    gamma: factor at a milestone.
    warmup_steps: multiply the rate of step t by (t + 1) / warmup_steps for the
      first warmup_steps steps.
    warmup_epochs: multiply the rate of epoch e by (e + 1) / warmup_epochs for
      the first warmup_epochs epochs.

  Returns:
    count -> scalar in JAX's default float type (float32 unless x64 is on).

  Raises:
    UserError: unknown kind or contradicting options.

  Source: torch MultiStepLR and mmaction2's per-iteration CosineAnnealingLR
  (closed form); warmup by epochs as in 2s-AGCN's AAGCN and CTR-GCN.
  """
  _check_schedule(kind, base_lr, milestones, warmup_steps, warmup_epochs)
  if (milestones or warmup_epochs) and not (clips_per_epoch and batch_size):
    raise ValueError('epochs need clips_per_epoch and batch_size')

  if kind == 'cosine':
    rate = _cosine(base_lr, total_steps)
  else:
    drops = sorted(milestone_steps(milestones, clips_per_epoch, batch_size))
    rate = _piecewise(
      [base_lr * gamma**i for i in range(len(drops) + 1)], drops
    )

  if warmup_steps:
    # NOTE: not optax.linear_schedule, whose first values cancel in float32.
    # count + 1.0, because int32 / int is float32 even with x64.
    def warmup(count):
      return jnp.minimum((count + 1.0) / warmup_steps, 1.0)
  else:
    starts = milestone_steps(
      range(1, warmup_epochs), clips_per_epoch, batch_size
    )
    factors = [(e + 1) / warmup_epochs for e in range(warmup_epochs)]
    warmup = _piecewise(factors or [1.0], starts)

  return lambda count: jnp.asarray(
    warmup(count) * rate(count), jnp.result_type(float)
  )


def _check_schedule(
  kind: str,
  base_lr: float,
  milestones: Sequence[float],
  warmup_steps: int,
  warmup_epochs: int,
) -> None:
  if kind not in SCHEDULES:
    raise errors.UserError(
      f'optim.schedule={kind}: expected one of {", ".join(SCHEDULES)}.'
    )
  if not 0 <= base_lr < math.inf:
    raise errors.UserError(
      f'optim.base_lr={base_lr}: expected a finite number, 0 or more.'
    )
  if milestones and kind != 'step':
    raise errors.UserError(
      f'optim.milestones={tuple(milestones)} has no effect with'
      f' optim.schedule={kind}: leave it empty, or use the step schedule.'
    )
  if warmup_steps and warmup_epochs:
    raise errors.UserError(
      f'optim.warmup_steps={warmup_steps} and optim.warmup_epochs='
      f'{warmup_epochs} are mutually exclusive: set one of them to 0.'
    )


def clip_by_global_norm(max_norm: float) -> optax.GradientTransformation:
  """Scale gradients so that their joint L2 norm is at most max_norm.

  Source: torch clip_grad_norm_, factor min(1, max_norm / (norm + 1e-6));
  optax.clip_by_global_norm does not have the 1e-6.
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
  """SGD in the order of torch: clip, weight decay, momentum, learning rate.

  Args:
    schedule: learning rate or schedule.
    momentum: mu in buffer = mu * buffer + gradient.
    nesterov: step along gradient + mu * buffer instead of the buffer.
    weight_decay: added to the gradient as weight_decay * parameter before the
      momentum, for every parameter (also BatchNorm, biases and learned graphs,
      as in the published recipes).
    clip_norm: maximum joint L2 norm of the gradients; 0: no clipping.

  Source: torch.optim.SGD (dampening 0).
  """
  if nesterov and not momentum:
    raise errors.UserError(
      'optim.nesterov=True needs optim.momentum above 0: set a momentum (0.9 in'
      ' the published recipes) or optim.nesterov=False.'
    )
  return optax.chain(
    clip_by_global_norm(clip_norm) if clip_norm else optax.identity(),
    optax.add_decayed_weights(weight_decay),
    optax.sgd(schedule, momentum=momentum or None, nesterov=nesterov),
  )
