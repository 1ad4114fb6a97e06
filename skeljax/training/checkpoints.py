"""Checkpoints of a workdir, written and read with Orbax.

A checkpoint has three items: `variables` (parameters, BatchNorm statistics,
graph), `optimizer` (optimizer state and step) and `meta`, JSON with the config,
the DataSpec and the code version. It can be used without a config file.
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
# Metric of a step without evaluation. Orbax warns about saves without metrics.
_NOT_EVALUATED = {BEST_METRIC: -1.0}


class Checkpoints:
  """Context manager that keeps the latest checkpoints and the best one.

  Leaving the `with` block waits for the asynchronous save in progress.
  """

  def __init__(self, workdir: str, *, keep: int = 2, read_only: bool = False):
    """Open `workdir`/checkpoints.

    Args:
      workdir: any path; made absolute, because Orbax fails late on relative
        ones.
      keep: number of latest checkpoints to keep, in addition to the best one.
      read_only: never create or remove anything.
    """
    self.directory = os.path.join(os.path.abspath(workdir), FOLDER)
    policy = checkpoint_managers.AnyPreservationPolicy(
      [
        checkpoint_managers.LatestN(keep),
        checkpoint_managers.BestN(get_metric_fn=_best_metric, n=1),
      ]
    )
    # NOTE: without best_fn Orbax does not write the metrics that BestN reads.
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
    """The step with the highest validation top-1; None before any evaluation."""
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
    """Save at `state.step`; return once the state is copied off the devices.

    Raises:
      UserError: the directory has a newer step (Orbax would silently skip the
        save).
    """
    step = int(state.step)
    latest = self.latest_step
    if latest == step:
      return
    if latest is not None and latest > step:
      raise errors.UserError(
        f'{self.directory} already has step {latest}, newer than step {step} of'
        ' this run: choose another --workdir, or remove that directory.'
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
    """Save weights without optimizer state, for example converted ones."""
    self._manager.save(
      step,
      args=ocp.args.Composite(
        variables=ocp.args.StandardSave(dict(variables)),
        meta=ocp.args.JsonSave(dict(meta)),
      ),
      metrics=_NOT_EVALUATED,
    )

  def read_meta(self, step: int) -> dict[str, Any]:
    """Return the metadata stored with `save`."""
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
    """Restore the TrainState of `step`.

    Args:
      step: one of `steps`.
      like: a state (or its eval_shape) with the expected tree and shapes.
      sharding: sharding of every leaf; the mesh may differ from the one that
        the state was saved from.
    """
    abstract = _abstract(like, sharding)
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
    """Restore the collections that `model.apply` takes."""
    restored = self._manager.restore(
      step,
      args=ocp.args.Composite(
        variables=ocp.args.StandardRestore(_abstract(like, sharding))
      ),
    )
    return restored['variables']

  def find_step(self, wanted: str) -> int:
    """Return the step for 'last', 'best' or a number.

    Raises:
      UserError: no such checkpoint; the message lists the available steps.
    """
    names = {'last': self.latest_step, 'best': self.best_step}
    step = int(wanted) if wanted.isdigit() else names.get(wanted)
    if step is None or step not in self.steps:
      available = ', '.join(map(str, self.steps)) or 'none'
      raise errors.UserError(
        f'--step={wanted}: expected last, best (if evaluated) or one of the'
        f' steps in {self.directory}: {available}.'
      )
    return step


def _best_metric(metrics: Mapping[str, float]) -> float:
  return metrics[BEST_METRIC]


def _abstract(tree: Any, sharding: jax.sharding.Sharding) -> Any:
  """Replace every leaf by its shape, dtype and sharding."""
  return jax.tree.map(
    lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=sharding), tree
  )
