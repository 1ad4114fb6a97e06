"""Which checkpoints are kept, restored and reported as missing."""

import jax.numpy as jnp
import pytest

from skeljax import errors
from skeljax.training import checkpoints
from skeljax.training import sharding
from skeljax.training import train_state


def _state(step):
  value = jnp.full((2,), float(step))
  return train_state.TrainState(
    step=jnp.asarray(step),
    params={'w': value},
    batch_stats={},
    graph={},
    opt_state={'m': value},
  )


def _save(workdir, accuracies):
  with checkpoints.Checkpoints(str(workdir)) as saved:
    for step, top1 in accuracies.items():
      metrics = None if top1 is None else {'top1': top1, 'loss': 1.0}
      saved.save(_state(step), {'note': step}, metrics)


def test_two_latest_and_best_checkpoints_are_kept(tmp_path):
  _save(tmp_path, {1: 0.2, 2: 0.9, 3: 0.3, 4: None, 5: 0.4})
  with checkpoints.Checkpoints(str(tmp_path), read_only=True) as saved:
    assert saved.steps == (2, 4, 5)
    assert saved.find_step('best') == 2
    assert saved.find_step('last') == 5
    assert saved.find_step('4') == 4
    assert saved.read_meta(2) == {'note': 2}


def test_saved_state_is_restored(tmp_path):
  _save(tmp_path, {7: 0.5})
  like = sharding.replicated(sharding.make_mesh())
  with checkpoints.Checkpoints(str(tmp_path), read_only=True) as saved:
    state = saved.restore_state(7, _state(0), like)
    variables = saved.restore_variables(7, _state(0).variables, like)
  assert int(state.step) == 7
  assert state.opt_state['m'].tolist() == [7.0, 7.0]
  assert variables['params']['w'].tolist() == [7.0, 7.0]


def test_best_step_needs_an_evaluation(tmp_path):
  _save(tmp_path, {3: None})
  with checkpoints.Checkpoints(str(tmp_path), read_only=True) as saved:
    assert saved.best_step is None
    with pytest.raises(errors.UserError, match='--step=best: .*evaluated.*: 3'):
      saved.find_step('best')


def test_unknown_step_lists_available_ones(tmp_path):
  _save(tmp_path, {3: 0.1, 4: 0.2})
  with checkpoints.Checkpoints(str(tmp_path), read_only=True) as saved:
    with pytest.raises(errors.UserError, match=': 3, 4'):
      saved.find_step('5')


def test_saving_an_older_step_raises(tmp_path):
  _save(tmp_path, {4: 0.1})
  with checkpoints.Checkpoints(str(tmp_path)) as saved:
    with pytest.raises(errors.UserError, match='already has step 4'):
      saved.save(_state(2), {})
