"""One process of test_topology.py: the same steps on a given topology.

Writes gradients and statistics of one float32 step and parameters after twenty
float64 steps.
"""

import argparse
import os

os.environ['JAX_PLATFORMS'] = 'cpu'

from absl import flags
import jax
import jax.numpy as jnp
import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument('--root')
parser.add_argument('--output')
parser.add_argument('--devices', type=int)
parser.add_argument('--process', type=int, default=0)
parser.add_argument('--processes', type=int, default=1)
parser.add_argument('--port', type=int, default=0)
parser.add_argument('--workdir', default='')
args = parser.parse_args()

flags.FLAGS.mark_as_parsed()
jax.config.update('jax_num_cpu_devices', args.devices)
jax.config.update('jax_default_matmul_precision', 'highest')
if args.processes > 1:
  jax.distributed.initialize(
    f'localhost:{args.port}', args.processes, args.process
  )

from skeljax import run as run_lib  # noqa: E402
from skeljax import train  # noqa: E402
from skeljax.training import preemption  # noqa: E402
from skeljax.training import sharding  # noqa: E402
from skeljax.training import steps  # noqa: E402
from skeljax.training import train_state  # noqa: E402
from tests.skeljax import conftest as tiny  # noqa: E402


def make_config(dtype=jnp.float32, norm_group: int = 0):
  config = tiny.make_tiny_config(args.root)
  config.model.update(dtype=jnp.dtype(dtype).name, norm_group=norm_group)
  # Two stages cover every kind of stage and compile faster than three.
  config.model.update(num_stages=2, inflate_stages=(2,), down_stages=(2,))
  config.optim.weight_decay = 0.0  # The first momentum is then the gradient.
  return config


def first_state() -> train_state.TrainState:
  """Return the initial state of both runs; compiling it takes seconds."""
  config = make_config()
  dataset = run_lib.open_dataset(config)
  spec = dataset.spec
  return train_state.create(
    run_lib.Run(config, spec).model,
    run_lib.Run(config, spec).plan(dataset.num_clips['train']).optimizer,
    run_lib.Run(config, spec).input_shape(2),
    config.seed,
    sharding.replicated(sharding.make_mesh()),
  )


def run_steps(
  state: train_state.TrainState, count: int, dtype, norm_group: int
) -> train_state.TrainState:
  """Return the state after `count` steps in `dtype`.

  Args:
    state: initial state; not donated.
    count: number of steps.
    dtype: of parameters and computation.
    norm_group: clips per BatchNorm group; 0: the whole batch.
  """
  config = make_config(dtype, norm_group)
  mesh = sharding.make_mesh()
  dataset = run_lib.open_dataset(config)
  spec = dataset.spec
  training = run_lib.Run(config, spec).plan(dataset.num_clips['train'])
  model = run_lib.Run(config, spec).model
  # Copy every leaf, because a step donates its state.
  state = jax.jit(
    lambda s: jax.tree.map(
      lambda a: (
        a.astype(dtype) if jnp.issubdtype(a.dtype, jnp.floating) else a.copy()
      ),
      s,
    ),
    out_shardings=sharding.replicated(mesh),
  )(state)
  step = steps.jit_train_step(
    sharding.replicated(mesh),
    model=model,
    optimizer=training.optimizer,
    input=run_lib.Run(config, spec).input,
    seed=config.seed,
  )
  batches = train.train_batches(run_lib.Run(config, spec), dataset, start=0)
  for _ in range(count):
    state, _ = step(state, sharding.to_global(next(batches), mesh))
  batches.close()
  return state


def save(prefix: str, state, into: dict) -> None:
  named = {
    'gradient': state.opt_state,
    'batch_stats': state.batch_stats,
    'params': state.params,
  }
  for path, leaf in jax.tree_util.tree_leaves_with_path(named):
    into[prefix + jax.tree_util.keystr(path)] = np.asarray(leaf)


arrays: dict[str, np.ndarray] = {}
first = first_state()
save('one', run_steps(first, 1, jnp.float32, norm_group=2), arrays)
if args.workdir:
  preemption.StopSignal.reached = lambda self, step: step == 4
  result = train.train(tiny.make_tiny_config(args.root), args.workdir)
  assert result.interrupted
jax.config.update('jax_enable_x64', True)
save('twenty', run_steps(first, 20, jnp.float64, norm_group=0), arrays)
if args.process == 0:
  np.savez(args.output, **arrays)
