"""Checkpoints of a workdir: the only room that knows Orbax.

A checkpoint holds three items: `variables` (parameters, BatchNorm statistics,
graph), `optimizer` (optimiser state and step) and `meta`, the JSON that makes
it speak for itself: configuration, layout, class names, normalisation, stream,
sampling and code version. Whoever has it needs no config file.
"""

from collections.abc import Mapping
import os
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from skeljax import errors
from skeljax.training import train_state

FOLDER = 'checkpoints'
BEST_METRIC = 'top1'
# Stored where no evaluation fell on the step: below every accuracy, and Orbax
# would warn about each save without metrics.
_NOT_EVALUATED = {BEST_METRIC: -1.0}


class Checkpoints:
  """Keeps the latest checkpoints and the best; use in a `with` block.

  Leaving the block waits for the save under way: without it the last
  checkpoint would be lost.
  """

  def __init__(self, workdir: str, *, keep: int = 2, read_only: bool = False):
    """Opens `workdir`/checkpoints.

    Args:
      workdir: made absolute here, Orbax fails late on relative paths.
      keep: latest checkpoints to keep; the best one is kept besides.
      read_only: for readers; never creates or removes anything.
    """
    self.directory = os.path.join(os.path.abspath(workdir), FOLDER)
    policy = checkpoint_managers.AnyPreservationPolicy(
      [
        checkpoint_managers.LatestN(keep),
        checkpoint_managers.BestN(
          get_metric_fn=_best_metric,
          n=1,
        ),
      ]
    )
    # best_fn besides BestN: without it the metrics are not even written.
    options = ocp.CheckpointManagerOptions(
      preservation_policy=None if read_only else policy,
      best_fn=_best_metric,
      best_mode='max',
      read_only=read_only,
      create=not read_only,
      cleanup_tmp_directories=not read_only,
    )
    self._manager = ocp.CheckpointManager(self.directory, options=options)

  def __enter__(self) -> 'Checkpoints':
    return self

  def __exit__(self, *unused_exception) -> None:
    self._manager.close()

  @property
  def latest_step(self) -> int | None:
    return self._manager.latest_step()

  @property
  def best_step(self) -> int | None:
    """The step of the highest validation top-1, None before any evaluation."""
    best = self._manager.best_step()
    if best is None or _best_metric(self._manager.metrics(best)) < 0:
      return None
    return best

  @property
  def steps(self) -> tuple[int, ...]:
    return tuple(sorted(self._manager.all_steps()))

  def save(
    self,
    state: train_state.TrainState,
    meta: Mapping[str, Any],
    metrics: Mapping[str, float] | None = None,
  ) -> None:
    """Saves at `state.step`; returns after the copy off the devices.

    Raises:
      UserError: a newer step lies in the directory (Orbax would skip the save
        without a word).
    """
    step = int(state.step)
    latest = self.latest_step
    if latest is not None and latest >= step:
      if latest == step:
        return
      raise errors.UserError(
        f'{self.directory} already holds step {latest}, newer than step {step}'
        ' of this run. Choose another --workdir, or remove that directory.'
      )
    self._manager.save(
      step,
      args=ocp.args.Composite(
        variables=ocp.args.StandardSave(state.variables),
        optimizer=ocp.args.StandardSave(
          {'opt_state': state.opt_state, 'step': state.step}
        ),
        meta=ocp.args.JsonSave(dict(meta)),
      ),
      metrics=dict(metrics or _NOT_EVALUATED),
    )

  def save_variables(
    self, step: int, variables: Mapping[str, Any], meta: Mapping[str, Any]
  ) -> None:
    """Saves weights that no run made: for evaluation and as a start."""
    self._manager.save(
      step,
      args=ocp.args.Composite(
        variables=ocp.args.StandardSave(dict(variables)),
        meta=ocp.args.JsonSave(dict(meta)),
      ),
      metrics=_NOT_EVALUATED,
    )

  def wait(self) -> None:
    """Blocks until the save under way is on the disk."""
    self._manager.wait_until_finished()

  def read_meta(self, step: int) -> dict[str, Any]:
    restored = self._manager.restore(
      step, args=ocp.args.Composite(meta=ocp.args.JsonRestore())
    )
    return restored['meta']

  def restore_state(
    self,
    step: int,
    like: train_state.TrainState,
    sharding: jax.sharding.Sharding,
  ) -> train_state.TrainState:
    """The whole TrainState of `step`, placed as `sharding` says.

    Args:
      step: one of `steps`.
      like: a state (or its eval_shape) with the expected tree and shapes.
      sharding: where every leaf will live; another mesh than at the time of
        saving is fine.
    """
    abstract = abstract_tree(like, sharding)
    restored = self._manager.restore(
      step,
      args=ocp.args.Composite(
        variables=ocp.args.StandardRestore(abstract.variables),
        optimizer=ocp.args.StandardRestore(
          {'opt_state': abstract.opt_state, 'step': abstract.step}
        ),
      ),
    )
    return train_state.TrainState(
      **restored['variables'], **restored['optimizer']
    )

  def restore_variables(
    self,
    step: int,
    like: Mapping[str, Any],
    sharding: jax.sharding.Sharding,
  ) -> dict[str, Any]:
    """The collections that `model.apply` takes, without optimiser state."""
    restored = self._manager.restore(
      step,
      args=ocp.args.Composite(
        variables=ocp.args.StandardRestore(abstract_tree(like, sharding))
      ),
    )
    return restored['variables']

  def find_step(self, wanted: str) -> int:
    """The step that 'last', 'best' or a number means.

    Raises:
      UserError: there is no such checkpoint; the text lists those there are.
    """
    available = self.steps
    if not available:
      raise errors.UserError(
        f'{self.directory} holds no checkpoint. Train first, or name the'
        ' workdir of a run that has saved one.'
      )
    if wanted == 'last':
      return available[-1]
    if wanted == 'best':
      best = self.best_step
      if best is None:
        raise errors.UserError(
          f'{self.directory} has no evaluated checkpoint to be the best; use'
          f' --step=last or one of {", ".join(map(str, available))}.'
        )
      return best
    if not wanted.isdigit() or int(wanted) not in available:
      raise errors.UserError(
        f'--step={wanted}: expected last, best or one of the steps in'
        f' {self.directory}: {", ".join(map(str, available))}.'
      )
    return int(wanted)


def _best_metric(metrics: Mapping[str, float]) -> float:
  return metrics[BEST_METRIC]


def abstract_tree(tree: Any, sharding: jax.sharding.Sharding) -> Any:
  """Shapes, dtypes and where each leaf is to live."""
  return jax.tree.map(
    lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=sharding), tree
  )
