"""Training: start-up in named calls, then one loop with a fixed order.

Step counts are completed steps: step s means that the weights contain s
optimizer updates. Batches, frame sampling and augmentation are functions of
(seed, step), so a resumed run continues exactly where it stopped.
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
from skeljax import initial_weights
from skeljax import pretrained
from skeljax import run as run_lib
from skeljax import scoring
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
    state: the weights after the last step.
    summary: metrics of the final evaluation; empty if interrupted.
    interrupted: by SIGTERM; the checkpoint is saved.
    was_done: the workdir already contained the finished run.
  """

  state: train_state.TrainState
  summary: Mapping[str, float]
  interrupted: bool = False
  was_done: bool = False


def train(config: config_dict.ConfigDict, workdir: str) -> Result:
  """Train, or continue the run in the workdir, and evaluate at the end.

  Args:
    config: of configs/, with data.dir and data.dataset set.
    workdir: created if missing.

  Returns:
    The final state and its validation accuracy.

  Raises:
    UserError: settings that contradict each other, the dataset or the workdir;
      a loss that is not finite.
  """
  workdir = os.path.abspath(workdir)
  dataset = run_lib.open_dataset(config)
  run_lib.check_dataset(dataset, config)
  run = run_lib.Run(config, dataset.spec)
  # Before the workdir exists, which would refuse the corrected command.
  run.validate()
  scoring.check_views(run, config.data.num_clips, config.eval.mirrored)
  plan = run.plan(dataset.num_clips['train'])
  _check_init_from(config)
  given = None
  if config.train.init_from and workdirs.is_new(workdir):
    given = pretrained.load(config.train.init_from, config.train.init_step)
    initial_weights.check(given, run)
  workdirs.open_workdir(
    workdir,
    config,
    workdirs.manifest(
      config, dataset.name, dataset.fingerprint, plan.total_steps
    ),
  )
  _log_start(run, dataset, plan)
  state = _initial_state(run, plan)
  with checkpoints.Checkpoints(workdir, keep=config.checkpoint.keep) as saved:
    start = 0
    # Weights come from, in this order: the last checkpoint of this run,
    # train.init_from, random initialization.
    if saved.latest_step is None and config.train.init_from:
      given = given or pretrained.load(
        config.train.init_from, config.train.init_step
      )
      logging.info('starting from the weights of %s', given.source)
      state = initial_weights.initialize(state, given, run)
    if saved.latest_step is not None:
      start = saved.latest_step
      logging.info('continuing from step %d of %s', start, workdir)
      state = saved.restore_state(start, state, sharding.replicated(run.mesh))
    results_path = os.path.join(workdir, workdirs.RESULTS_FILE)
    if start >= plan.total_steps and os.path.exists(results_path):
      return Result(state, workdirs.read_json(results_path), was_done=True)
    is_writer = jax.process_index() == 0
    with metric_writer.MetricWriter(workdir, is_writer, start) as writer:
      state, interrupted, scores = _loop(
        run, dataset, plan, state, saved, writer, start
      )
  if interrupted:
    return Result(state, {}, interrupted=True)
  # With one view the last scheduled evaluation is the final one.
  is_final = config.data.num_clips == 1 and not config.eval.mirrored
  summary = evaluate.finish_run(
    workdir,
    run,
    dataset,
    state.variables,
    plan.total_steps,
    scores if is_final else None,
  )
  return Result(state, summary)


def _check_init_from(config: config_dict.ConfigDict) -> None:
  if config.train.pretrained and not config.train.init_from:
    raise errors.UserError(
      f'{config.name} fine-tunes {config.train.pretrained}. Give that file, or'
      ' the workdir of your own run, with --config.train.init_from=PATH; to'
      " train from scratch, set --config.train.pretrained=''."
    )


def _schedule(
  every_epochs: float, plan: run_lib.Plan, batch_size: int
) -> frozenset[int]:
  """Steps at which an event with a period in epochs falls.

  Always contains the last step; 0 epochs means only the last.
  """
  due = {plan.total_steps}
  if every_epochs > 0:
    every = every_epochs * plan.clips_per_epoch / batch_size
    count = int(plan.total_steps / every)
    due |= {max(1, round(i * every)) for i in range(1, count + 1)}
  return frozenset(s for s in due if s <= plan.total_steps)


def _log_start(
  run: run_lib.Run, dataset: prepared.PreparedDataset, plan: run_lib.Plan
) -> None:
  config = run.config
  logging.info(
    '%s (%s) on %s: %d training and %d validation clips, %d classes',
    config.name,
    run.input,
    dataset.directory,
    dataset.num_clips['train'],
    dataset.num_clips['val'],
    run.spec.num_classes,
  )
  logging.info(
    '%d steps, batch size %d, %.1f steps per epoch',
    plan.total_steps,
    config.train.batch_size,
    plan.clips_per_epoch / config.train.batch_size,
  )
  num_cut = dataset.metadata.get('num_cut', 0)
  for note in [plan.note, *run.input.notes(num_cut)]:
    if note:
      logging.info('%s', note)


def _initial_state(
  run: run_lib.Run, plan: run_lib.Plan
) -> train_state.TrainState:
  state = train_state.create(
    run.model,
    plan.optimizer,
    # One BatchNorm group, or one clip, is the smallest batch that traces.
    run.input_shape(max(1, run.config.model.norm_group)),
    run.config.seed,
    sharding.replicated(run.mesh),
  )
  count = sum(p.size for p in jax.tree.leaves(state.params))
  logging.info('%s: %s parameters', run.config.model.name, f'{count:,}')
  return state


def _loop(
  run: run_lib.Run,
  dataset: prepared.PreparedDataset,
  plan: run_lib.Plan,
  state: train_state.TrainState,
  saved: checkpoints.Checkpoints,
  writer: metric_writer.MetricWriter,
  start: int,
) -> tuple[train_state.TrainState, bool, scoring.Scores | None]:
  """Run from step `start` to the last step.

  Returns the state, whether SIGTERM ended the loop early, and the validation
  scores of the last step (None if no step was run).

  The order is fixed: step, log, evaluate, save. If evaluation and saving fall
  on the same step, the metric is stored with the checkpoint.
  """
  config, total = run.config, plan.total_steps
  batch_size = config.train.batch_size
  eval_steps = _schedule(config.eval.every_epochs, plan, batch_size)
  save_steps = eval_steps | _schedule(
    config.checkpoint.every_epochs, plan, batch_size
  )
  step_fn = steps.jit_train_step(
    sharding.replicated(run.mesh),
    model=run.model,
    optimizer=plan.optimizer,
    input=run.input,
    seed=config.seed,
    loss_options=run.loss,
  )
  evaluator = scoring.Evaluator(run, dataset)
  meta = run.checkpoint_meta()
  meter = metric_writer.Meter()
  interrupted, scores = False, None
  with (
    train_batches(run, dataset, start) as batches,
    writer.progress_bar(total, start) as bar,
    preemption.StopSignal() as stop,
  ):
    pending = None
    for step in range(start + 1, total + 1):
      waiting = time.monotonic()
      batch = next(batches)
      meter.data_seconds += time.monotonic() - waiting
      state, sums = step_fn(state, sharding.to_global(batch, run.mesh))
      # Fetched one step late, so that the device never waits for the host.
      if pending is not None:
        _fetch(meter, pending, plan, saved)
      pending = (step, sums)
      interrupted = stop.reached(step) and step < total

      is_log = step % config.train.log_every_steps == 0 or step == total
      is_eval = step in eval_steps
      is_save = step in save_steps or interrupted
      if is_log or is_eval or is_save:
        _fetch(meter, pending, plan, saved)
        pending = None
      epoch = step * batch_size / plan.clips_per_epoch
      if is_log:
        values = meter.values() | {'lr': float(plan.schedule(step - 1))}
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
  run: run_lib.Run, dataset: prepared.PreparedDataset, start: int
) -> pipeline.BatchIterator:
  """Return this process's batches from step `start` on; use in a `with`."""
  return pipeline.train_batches(
    dataset,
    run.sampling(),
    batch_size=run.config.train.batch_size,
    seed=run.config.seed,
    start_step=start,
    num_workers=run.config.data.num_workers,
    num_persons=run.spec.num_persons,
    needs_next=run.input.needs_next,
    process_index=jax.process_index(),
    process_count=jax.process_count(),
  )


def _fetch(
  meter: metric_writer.Meter,
  pending: tuple[int, Mapping[str, jax.Array]],
  plan: run_lib.Plan,
  saved: checkpoints.Checkpoints,
) -> None:
  """Add the sums of a step to the meter; raise UserError on divergence."""
  step, sums = pending
  sums = jax.tree.map(np.asarray, sums)
  if not (np.isfinite(sums['loss']) and np.isfinite(sums['grad_norm'])):
    latest = saved.latest_step
    good = 'none' if latest is None else f'step {latest}'
    raise errors.UserError(
      f'Loss {float(sums["loss"]):g} and gradient norm'
      f' {float(sums["grad_norm"]):g} at step {step}, learning rate'
      f' {float(plan.schedule(step - 1)):g}; last good checkpoint: {good} in'
      f' {saved.directory}. Lower --config.optim.base_lr, clip gradients with'
      ' --config.optim.clip_norm, or check the data with python -m'
      ' data_prep.check.'
    )
  meter.add(sums)
