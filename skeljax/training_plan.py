"""How a configuration trains on a dataset: step counts, rates, optimiser."""

import dataclasses

from ml_collections import config_dict
import optax

from skeljax.training import optim


@dataclasses.dataclass(frozen=True)
class TrainingPlan:
  """Optimiser and step counts of a run.

  Attributes:
    optimizer: SGD as torch computes it.
    schedule: completed steps -> learning rate of the next update.
    total_steps: of the run.
    clips_per_epoch: E, clips x repeat.
    note: a sentence on the linear scaling rule, or ''.
  """

  optimizer: optax.GradientTransformation
  schedule: optax.Schedule
  total_steps: int
  clips_per_epoch: int
  note: str

  def epoch(self, step: int, batch_size: int) -> float:
    return step * batch_size / self.clips_per_epoch


def build(config: config_dict.ConfigDict, num_train_clips: int) -> TrainingPlan:
  """Step counts, learning rate and optimiser for N training clips."""
  clips_per_epoch = num_train_clips * config.data.repeat
  batch_size = config.train.batch_size
  total_steps = optim.total_steps(
    config.train.epochs, clips_per_epoch, batch_size
  )
  factor, note = optim.batch_scaling(
    batch_size, config.optim.reference_batch, config.optim.scale_lr
  )
  kind = config.optim.schedule
  schedule = optim.learning_rate(
    kind,
    base_lr=config.optim.base_lr * factor,
    total_steps=total_steps,
    clips_per_epoch=clips_per_epoch,
    batch_size=batch_size,
    # Other schedules have none, whatever the step recipe left in the field.
    milestones=tuple(config.optim.milestones) if kind == 'step' else (),
    gamma=config.optim.gamma,
    warmup_steps=config.optim.warmup_steps,
    warmup_epochs=config.optim.warmup_epochs,
  )
  optimizer = optim.make_optimizer(
    schedule,
    momentum=config.optim.momentum,
    nesterov=config.optim.nesterov,
    weight_decay=config.optim.weight_decay,
    clip_norm=config.optim.clip_norm,
  )
  return TrainingPlan(optimizer, schedule, total_steps, clips_per_epoch, note)
