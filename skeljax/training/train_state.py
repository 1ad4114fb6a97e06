"""TrainState and its initialization."""

from typing import Any

import flax
from flax import linen as nn
import jax
import jax.numpy as jnp
import optax


@flax.struct.dataclass
class TrainState:
  """State that a training step reads and writes.

  Attributes:
    step: int32 scalar, number of completed optimizer updates.
    params: learned weights, float32.
    batch_stats: running mean and (unbiased) variance of every BatchNorm.
    graph: fixed adjacencies, never optimized.
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
  """Initialize the collections of a model; pure, for jit and eval_shape.

  Args:
    model: the network.
    input_shape: [B, ...] of its input; no parameter depends on B.
    seed: seed of the run.
  """
  # Threefry, which everything else uses, would take XLA longer to compile for a
  # hundred tensors than the training step.
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
  """Create the state at step 0 with its final sharding.

  With another sharding the second training step would compile again.
  """

  def init():
    variables = init_variables(model, input_shape, seed)
    return TrainState(
      step=jnp.zeros((), jnp.int32),
      opt_state=optimizer.init(variables['params']),
      **variables,
    )

  return jax.jit(init, out_shardings=sharding)()
