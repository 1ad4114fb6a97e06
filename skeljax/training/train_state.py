"""TrainState, all that a training step reads and writes, and how it begins."""

from typing import Any

import flax
from flax import linen as nn
import jax
import jax.numpy as jnp
import optax


@flax.struct.dataclass
class TrainState:
  """One pytree; every leaf is a jax.Array.

  Attributes:
    step: int32 scalar, optimiser updates that are in the weights.
    params: learned weights, float32.
    batch_stats: running mean and (unbiased) variance of every BatchNorm.
    graph: fixed adjacencies, saved with the state, never optimised.
    opt_state: optax state.
  """

  step: jax.Array
  params: Any
  batch_stats: Any
  graph: Any
  opt_state: Any

  @property
  def variables(self) -> dict[str, Any]:
    """The collections that `model.apply` takes."""
    return {
      'params': self.params,
      'batch_stats': self.batch_stats,
      'graph': self.graph,
    }


def init_variables(
  model: nn.Module, input_shape: tuple[int, ...], seed: int
) -> dict[str, Any]:
  """Initial collections for input [B, M, T, V, C]; pure, jit and eval_shape it.

  B only shapes the trace: no parameter depends on it.
  """
  # Drawn once a run. Threefry, which everything else uses, takes XLA longer to
  # compile for a hundred tensors than the training step takes.
  key = jax.random.fold_in(jax.random.key(seed, impl='rbg'), 0)
  variables = model.init(key, jnp.zeros(input_shape), train=False)
  return {
    'params': variables['params'],
    'batch_stats': variables.get('batch_stats', {}),
    'graph': variables.get('graph', {}),
  }


def create(
  model: nn.Module,
  optimizer: optax.GradientTransformation,
  input_shape: tuple[int, ...],
  seed: int,
  sharding: jax.sharding.Sharding,
) -> TrainState:
  """The state at step 0, made where it will live (else step 2 recompiles)."""

  def init():
    variables = init_variables(model, input_shape, seed)
    return TrainState(
      step=jnp.zeros((), jnp.int32),
      opt_state=optimizer.init(variables['params']),
      **variables,
    )

  return jax.jit(init, out_shardings=sharding)()
