"""Training: start-up in named calls, then one loop with a fixed order.

Step counts are steps completed: step s means that s optimiser updates are in
the weights. Batches, frame choice and augmentation are functions of
(seed, step), so a run that was stopped continues exactly where it would be.
"""

from collections.abc import Mapping
import dataclasses
import os
import time

from absl import logging
import jax
from ml_collections import config_dict
import numpy as np

from skeljax import errors
from skeljax import evaluate
from skeljax import pretrained
from skeljax import recipe
from skeljax import scoring
from skeljax import training_plan
from skeljax import volume_recipe
from skeljax import warm_start
from skeljax.datasets import pipeline
from skeljax.datasets import prepared
from skeljax.training import checkpoints
from skeljax.training import metric_writer
from skeljax.training import preemption
from skeljax.training import sharding
from skeljax.training import steps
from skeljax.training import train_state
from skeljax.training import workdir as workdirs


@dataclasses.dataclass(frozen=True)
class Result:
  """How `train` ended.

  Attributes:
    state: with the weights after the last step.
    summary: of the final evaluation; empty when interrupted.
    interrupted: by SIGTERM; the checkpoint is saved.
    was_done: the workdir already held the finished run.
  """

  state: train_state.TrainState
  summary: Mapping[str, float]
  interrupted: bool = False
  was_done: bool = False


def _schedule(
  every_epochs: float, training: training_plan.TrainingPlan, batch_size: int
) -> frozenset[int]:
  """Steps at which something falls that happens every so many epochs.

  The last step is always one of them; 0 epochs means only the last.
  """
  due = {training.total_steps}
  if every_epochs > 0:
    every = every_epochs * training.clips_per_epoch / batch_size
    count = int(training.total_steps / every)
    due |= {max(1, round(i * every)) for i in range(1, count + 1)}
  return frozenset(s for s in due if s <= training.total_steps)


def _check_config(config: config_dict.ConfigDict) -> None:
  sharding.check_batch_size(config.train.batch_size, 'train.batch_size')
  group = config.model.norm_group
  if group and config.train.batch_size % group:
    raise errors.UserError(
      f'train.batch_size is {config.train.batch_size}, which does not divide'
      f' into BatchNorm groups of model.norm_group={group} clips. Choose a'
      f' multiple of {group}, or --config.model.norm_group=0 for statistics'
      ' over the whole batch.'
    )
  if config.train.log_every_steps < 1:
    raise errors.UserError(
      f'train.log_every_steps is {config.train.log_every_steps}; expected at'
      ' least 1.'
    )


def _check_start(config: config_dict.ConfigDict) -> None:
  """A recipe of fine-tuning is none without the weights it is for."""
  if config.train.pretrained and not config.train.init_from:
    raise errors.UserError(
      f'{config.name} fine-tunes {config.train.pretrained}. Name that file, or'
      ' the workdir of a run of yours, with --config.train.init_from=PATH; to'
      " train from chance all the same, give --config.train.pretrained=''."
    )


def train(config: config_dict.ConfigDict, workdir: str) -> Result:
  """Trains, or continues what the workdir holds, and evaluates at the end.

  Args:
    config: of configs/, with data.dir and data.dataset set.
    workdir: made if missing.

  Returns:
    The final state and its validation accuracy.

  Raises:
    UserError: settings that contradict each other, the dataset or the
      workdir; a loss that is no longer finite.
  """
  workdir = os.path.abspath(workdir)
  _check_config(config)
  mesh = sharding.make_mesh()
  dataset = recipe.open_dataset(config)
  facts = recipe.facts_of(dataset, config)
  training = training_plan.build(config, dataset.num_clips['train'])
  # Here already, so that a mistake in them is told before there is a workdir,
  # which would refuse the mended command.
  recipe.check_training(config, facts)
  scoring.check_views(config, config.data.num_clips, config.eval.mirrored)
  given = None
  _check_start(config)
  if config.train.init_from and workdirs.is_new(workdir):
    given = pretrained.load(config.train.init_from, config.train.init_step)
    warm_start.check(given, config, facts)
  workdirs.open_workdir(
    workdir,
    config,
    workdirs.manifest(
      config, dataset.name, dataset.fingerprint, training.total_steps
    ),
  )
  _log_start(config, dataset, training)
  state = _initial_state(config, facts, training, mesh)
  with checkpoints.Checkpoints(workdir, keep=config.checkpoint.keep) as saved:
    start = 0
    # Weights come from, in this order: the run's own last checkpoint,
    # train.init_from, chance.
    if saved.latest_step is None and config.train.init_from:
      given = given or pretrained.load(
        config.train.init_from, config.train.init_step
      )
      logging.info('starting from the weights of %s', given.source)
      state = warm_start.initialize(state, given, config, facts)
    if saved.latest_step is not None:
      start = saved.latest_step
      logging.info('continuing from step %d of %s', start, workdir)
      state = saved.restore_state(start, state, sharding.replicated(mesh))
    if start >= training.total_steps and _is_finished(workdir):
      summary = workdirs.read_json(os.path.join(workdir, 'results.json'))
      return Result(state, summary, was_done=True)
    is_writer = jax.process_index() == 0
    with metric_writer.MetricWriter(workdir, is_writer) as writer:
      writer.truncate(after_step=start)
      state, interrupted, scores = _loop(
        config, facts, dataset, training, mesh, state, saved, writer, start
      )
  if interrupted:
    return Result(state, {}, interrupted=True)
  summary = evaluate.finish_run(
    workdir,
    config,
    facts,
    dataset,
    mesh,
    state.variables,
    training.total_steps,
    # With one view the last scheduled evaluation is the final one.
    scores if config.data.num_clips == 1 and not config.eval.mirrored else None,
  )
  return Result(state, summary)


def _is_finished(workdir: str) -> bool:
  return os.path.exists(os.path.join(workdir, 'results.json'))


def _log_start(
  config: config_dict.ConfigDict,
  dataset: prepared.PreparedDataset,
  training: training_plan.TrainingPlan,
) -> None:
  logging.info(
    '%s (%s stream) on %s: %d training and %d validation clips, %d classes',
    config.name,
    config.input.stream,
    dataset.directory,
    dataset.num_clips['train'],
    dataset.num_clips['val'],
    dataset.num_classes,
  )
  logging.info(
    '%d steps of %d clips, %.1f steps an epoch',
    training.total_steps,
    config.train.batch_size,
    training.clips_per_epoch / config.train.batch_size,
  )
  for note in [training.note, *volume_recipe.data_notes(config, dataset)]:
    if note:
      logging.info('%s', note)


def _initial_state(
  config: config_dict.ConfigDict,
  facts: recipe.Facts,
  training: training_plan.TrainingPlan,
  mesh: jax.sharding.Mesh,
) -> train_state.TrainState:
  model = recipe.build_model(config, facts)
  # One BatchNorm group, or one clip, is the least batch that traces.
  shape = recipe.input_shape(config, facts, max(1, config.model.norm_group))
  state = train_state.create(
    model,
    training.optimizer,
    shape,
    config.seed,
    sharding.replicated(mesh),
  )
  count = sum(p.size for p in jax.tree.leaves(state.params))
  logging.info('%s: %s parameters', config.model.name, f'{count:,}')
  return state


def _loop(
  config: config_dict.ConfigDict,
  facts: recipe.Facts,
  dataset: prepared.PreparedDataset,
  training: training_plan.TrainingPlan,
  mesh: jax.sharding.Mesh,
  state: train_state.TrainState,
  saved: checkpoints.Checkpoints,
  writer: metric_writer.MetricWriter,
  start: int,
) -> tuple[train_state.TrainState, bool, scoring.Scores | None]:
  """From `start` to the last step.

  Returns the state, whether SIGTERM ended it before that, and the validation
  scores of the last step, None where no step was made.

  The order is fixed: step, log, evaluate, save. Where evaluation and saving
  fall on the same step, the metric is stored with the checkpoint.
  """
  batch_size, total = config.train.batch_size, training.total_steps
  eval_steps = _schedule(config.eval.every_epochs, training, batch_size)
  save_steps = eval_steps | _schedule(
    config.checkpoint.every_epochs, training, batch_size
  )
  step_fn = steps.jit_train_step(
    steps.train_step,
    sharding.replicated(mesh),
    model=recipe.build_model(config, facts),
    optimizer=training.optimizer,
    options=recipe.feature_options(config, facts),
    seed=config.seed,
    loss_options=recipe.loss_options(config, facts),
  )
  evaluator = scoring.Evaluator(config, facts, dataset, mesh)
  meta = recipe.checkpoint_meta(config, facts)
  meter = metric_writer.Meter()
  interrupted, scores = False, None
  with (
    train_batches(config, facts, dataset, start) as batches,
    writer.progress_bar(total, start) as bar,
    preemption.StopSignal() as stop,
  ):
    pending = None
    for step in range(start + 1, total + 1):
      waiting = time.monotonic()
      batch = next(batches)
      meter.data_seconds += time.monotonic() - waiting
      state, sums = step_fn(state, sharding.to_global(batch, mesh))
      # Fetched one step late, so that the device never waits for the host.
      if pending is not None:
        _fetch(meter, pending, training, saved)
      pending = (step, sums)
      interrupted = stop.reached(step) and step < total

      is_log = step % config.train.log_every_steps == 0 or step == total
      is_eval = step in eval_steps
      is_save = step in save_steps or interrupted
      if is_log or is_eval or is_save:
        _fetch(meter, pending, training, saved)
        pending = None
      epoch = training.epoch(step, batch_size)
      if is_log:
        values = meter.values() | {'lr': float(training.schedule(step - 1))}
        writer.write(step=step, epoch=epoch, split='train', values=values)
        meter.reset()
      measured = None
      if is_eval:
        scores = evaluator(state.variables)
        measured = scores.summary()
        writer.write(step=step, epoch=epoch, split='val', values=measured)
      if is_save:
        saved.save(state, meta, measured)
      bar.update(1)
      if interrupted:
        logging.info('SIGTERM: saved at step %d of %d', step, total)
        break
  return state, interrupted, scores


def train_batches(
  config: config_dict.ConfigDict,
  facts: recipe.Facts,
  dataset: prepared.PreparedDataset,
  start: int,
):
  """This process's batches from step `start` on, without end; use in a `with`."""
  return pipeline.train_batches(
    dataset,
    recipe.frame_sampling(config, facts),
    batch_size=config.train.batch_size,
    seed=config.seed,
    start_step=start,
    num_workers=config.data.num_workers,
    num_persons=facts.num_persons,
    needs_next=recipe.needs_next(config),
    process_index=jax.process_index(),
    process_count=jax.process_count(),
  )


def _fetch(
  meter: metric_writer.Meter,
  pending: tuple[int, Mapping[str, jax.Array]],
  training: training_plan.TrainingPlan,
  saved: checkpoints.Checkpoints,
) -> None:
  """Adds the sums of a step to the meter, or stops a run that diverged."""
  step, sums = pending
  sums = jax.tree.map(np.asarray, sums)
  if not (np.isfinite(sums['loss']) and np.isfinite(sums['grad_norm'])):
    latest = saved.latest_step
    good = 'none is saved' if latest is None else f'step {latest}'
    raise errors.UserError(
      f'The loss is {float(sums["loss"]):g} and the gradient norm'
      f' {float(sums["grad_norm"]):g} at step {step}, with learning rate'
      f' {float(training.schedule(step - 1)):g}; last good checkpoint: {good}'
      f' in {saved.directory}. Lower --config.optim.base_lr, clip gradients'
      ' with --config.optim.clip_norm, or check the data with python -m'
      ' data_prep.check.'
    )
  meter.add(sums)
