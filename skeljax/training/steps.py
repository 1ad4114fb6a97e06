"""Training step and evaluation step as pure functions."""

from collections.abc import Callable, Mapping
import functools
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
  """Apply one optimizer update.

  Random numbers are a function of (seed, step, row of the batch), so a resumed
  run repeats an uninterrupted one.

  Args:
    state: parameters, statistics and optimizer state.
    batch: keypoint [B, 1, M, T, V, C], label [B], mask [B] and what else
      `input.prepare` reads.
    model: maps the input to logits [B, classes].
    optimizer: optimizer of `state.opt_state`.
    input: turns the batch into the model input.
    seed: seed of the run.
    loss_options: the loss.

  Returns:
    The next state, and sums over the batch (metrics.step_sums) with
    `grad_norm`, the global norm of the gradient before clipping.
  """
  # fold_in 1: 0 is the key of the initialization.
  key = jax.random.fold_in(jax.random.key(seed), 1)
  key = jax.random.fold_in(key, state.step)
  augment_key, dropout_key = (jax.random.fold_in(key, i) for i in range(2))
  x = input(
    batch,
    rng=augment_key,
    train=True,
    dtype=model.dtype or jnp.float32,
  )

  def loss_fn(params):
    logits, updates = model.apply(
      {**state.variables, 'params': params},
      x,
      train=True,
      mutable=['batch_stats'],
      rngs={'dropout': dropout_key},
    )
    loss, weight = loss_options(logits, batch['label'])
    return losses.mean_loss(loss, batch['mask'], weight), (logits, updates)

  (loss, (logits, updates)), grads = jax.value_and_grad(loss_fn, has_aux=True)(
    state.params
  )
  changes, opt_state = optimizer.update(grads, state.opt_state, state.params)
  # The mean loss for every sample, so that the sums give the weighted mean.
  loss = jnp.full(batch['mask'].shape, loss)
  sums = metrics.step_sums(logits, batch['label'], loss, batch['mask'])
  sums['grad_norm'] = optax.tree.norm(grads)
  next_state = train_state.TrainState(
    step=state.step + 1,
    params=optax.apply_updates(state.params, changes),
    batch_stats=updates.get('batch_stats', state.batch_stats),
    graph=state.graph,
    opt_state=opt_state,
  )
  return next_state, sums


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
  """Compute scores [B, classes], averaged over the N views of each clip.

  Args:
    variables: the collections params, batch_stats and graph.
    batch: keypoint [B, N, M, T, V, C] and the rest of the batch.
    model: maps the input to logits [B, classes].
    input: turns the batch into the model input, without augmentation.
    average: 'prob' averages softmax probabilities, 'score' logits.
    mirrored: also score the horizontally flipped copy of each view (2 N views).
    views_at_once: views per clip in one forward pass, a divisor of N: less
      memory, the same scores. 0: all of them.
  """
  views = input.prepare(batch, train=False)
  num_clips, num_views = views.shape[:2]

  def score(views):
    """Return logits [B, N', classes] of views [B, N, ...]."""
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
  # Loop over parts of the views, so that the clips keep their sharding.
  views = views.reshape(num_clips, parts, -1, *views.shape[2:])
  logits = jax.lax.map(score, jnp.moveaxis(views, 1, 0))
  logits = jnp.moveaxis(logits, 0, 1).reshape(num_clips, -1, logits.shape[-1])
  return metrics.average_clips(logits, average)


def jit_train_step(
  sharding: jax.sharding.Sharding, **options: Any
) -> Callable[..., Any]:
  """Return `train_step` with its options bound, jitted; the state is donated.

  Args:
    sharding: sharding of the state and the sums.
    **options: the keyword arguments of `train_step`.
  """
  return jax.jit(
    functools.partial(train_step, **options),
    donate_argnums=(0,),
    out_shardings=sharding,
  )
