"""The pure functions of a training and an evaluation step."""

from collections.abc import Callable, Mapping
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
import optax

from skeljax import inputs
from skeljax.training import losses
from skeljax.training import metrics
from skeljax.training import train_state

Batch = Mapping[str, jax.Array]
# Streams of randomness below the key of a step.
_AUGMENT, _DROPOUT = 0, 1


def train_step(
  state: train_state.TrainState,
  batch: Batch,
  *,
  model: nn.Module,
  optimizer: optax.GradientTransformation,
  input: inputs.Input,
  seed: int,
  loss_options: losses.LossOptions = losses.CROSS_ENTROPY,
) -> tuple[train_state.TrainState, dict[str, jax.Array]]:
  """One optimiser update.

  Randomness is a function of (seed, step, row), so nothing of it is carried
  and a resumed run repeats the straight one.

  Args:
    state: parameters, statistics and optimiser state.
    batch: keypoint [B, 1, M, T, V, C], label [B], mask [B] and the rest that
      `input.prepare` reads.
    model: maps the input to logits [B, classes].
    optimizer: of the state's opt_state.
    input: turns the batch into the model input.
    seed: of the run.
    loss_options: the loss and its settings.

  Returns:
    The next state, and sums over the batch (metrics.step_sums) with
    `grad_norm`, the global norm of the gradient before clipping.
  """
  key = jax.random.fold_in(jax.random.key(seed), 1)
  key = jax.random.fold_in(key, state.step)
  x = input(
    batch,
    rng=jax.random.fold_in(key, _AUGMENT),
    train=True,
    dtype=model.dtype or jnp.float32,
  )

  def loss_fn(params):
    logits, updates = model.apply(
      {
        'params': params,
        'batch_stats': state.batch_stats,
        'graph': state.graph,
      },
      x,
      train=True,
      mutable=['batch_stats'],
      rngs={'dropout': jax.random.fold_in(key, _DROPOUT)},
    )
    loss, weight = loss_options(logits, batch['label'])
    mean = losses.mean_loss(loss, batch['mask'], weight)
    if weight is not None:
      # So that the sums below give the weighted mean, which is what descends.
      loss = jnp.broadcast_to(mean, loss.shape)
    return mean, (logits, loss, updates)

  grads, (logits, loss, updates) = jax.grad(loss_fn, has_aux=True)(state.params)
  changes, opt_state = optimizer.update(grads, state.opt_state, state.params)
  sums = metrics.step_sums(logits, batch['label'], loss, batch['mask'])
  sums['grad_norm'] = optax.tree.norm(grads)
  state = state.replace(
    step=state.step + 1,
    params=optax.apply_updates(state.params, changes),
    batch_stats=updates.get('batch_stats', state.batch_stats),
    opt_state=opt_state,
  )
  return state, sums


def eval_step(
  variables: Mapping[str, Any],
  batch: Batch,
  *,
  model: nn.Module,
  input: inputs.Input,
  average: str,
  mirrored: bool = False,
  views_at_once: int = 0,
) -> jax.Array:
  """Scores [B, classes], averaged over the N views of each clip.

  Args:
    variables: the collections params, batch_stats and graph.
    batch: keypoint [B, N, M, T, V, C] and the rest of the batch.
    model: maps the input to logits [B, classes].
    input: turns the batch into the model input, without augmentation.
    average: 'prob' averages softmax probabilities, 'score' logits.
    mirrored: score each view's mirror image too (2 N views).
    views_at_once: views of each clip that go through the model together, a
      divisor of N; less memory, the same scores. 0: all of them.
  """
  views = input.prepare(batch, train=False)
  num_clips, num_views = views.shape[:2]

  def score(views):
    """Logits [B, N', classes] of views [B, N, M, T, V, C]."""
    x = input.render(
      views,
      train=False,
      mirrored=mirrored,
      dtype=model.dtype or jnp.float32,
    )
    logits = model.apply(variables, x, train=False)
    return logits.reshape(num_clips, -1, logits.shape[-1])

  parts = num_views // (views_at_once or num_views)
  if parts == 1:
    return metrics.average_clips(score(views), average)
  # The clips stay where they are on the mesh; parts of the views take turns.
  views = views.reshape(num_clips, parts, -1, *views.shape[2:])
  logits = jax.lax.map(score, jnp.moveaxis(views, 1, 0))
  logits = jnp.moveaxis(logits, 0, 1).reshape(num_clips, -1, logits.shape[-1])
  return metrics.average_clips(logits, average)


def jit_train_step(
  step: Callable[..., Any], mesh_replicated: jax.sharding.Sharding, **static
) -> Callable[..., Any]:
  """`train_step` with its options bound; read that one, not this.

  The state is donated: its old buffers become the new ones.
  """

  def bound(state, batch):
    return step(state, batch, **static)

  return jax.jit(bound, donate_argnums=(0,), out_shardings=mesh_replicated)
