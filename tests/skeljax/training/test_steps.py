"""Loss and update of a training step, on a network of one layer."""

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from skeljax import skeletons
from skeljax.training import losses
from skeljax.training import steps
from skeljax.training import train_state
from tests import specs

CLASS_WEIGHT = (0.5, 2.0, 4.0)


class Linear(nn.Module):
  dtype: None = None

  @nn.compact
  def __call__(self, x, train):
    del train
    return nn.Dense(3)(x.reshape(x.shape[0], -1))


def make_batch():
  """Four clips of one person, two frames, 17 joints; the last is padding."""
  rng = np.random.RandomState(0)
  return {
    'keypoint': jnp.asarray(rng.randn(4, 1, 1, 2, 17, 3), jnp.float32),
    'num_valid_persons': jnp.ones(4, jnp.int32),
    'frame_index': jnp.tile(jnp.arange(2), (4, 1, 1)),
    'total_frames': jnp.full(4, 2),
    'img_shape': jnp.ones((4, 2), jnp.int32),
    'label': jnp.asarray([0, 2, 1, 2]),
    'mask': jnp.asarray([1.0, 1, 1, 0]),
  }


@pytest.mark.parametrize(
  'loss_options',
  [
    losses.LossOptions(),
    losses.LossOptions(class_weight=CLASS_WEIGHT),
    losses.LossOptions(class_weight=CLASS_WEIGHT, label_smoothing=0.1),
    losses.LossOptions('cb_focal', samples_per_class=(1, 10, 100)),
  ],
  ids=['plain', 'weighted', 'smoothed', 'focal'],
)
def test_step_minimizes_and_reports_the_loss(loss_options):
  model, batch = Linear(), make_batch()
  optimizer = optax.sgd(1.0)
  variables = model.init(jax.random.key(0), batch['keypoint'][:, 0], False)
  state = train_state.TrainState(
    step=jnp.int32(0),
    params=variables['params'],
    batch_stats={},
    graph={},
    opt_state=optimizer.init(variables['params']),
  )
  next_state, sums = steps.train_step(
    state,
    batch,
    model=model,
    optimizer=optimizer,
    input=specs.joints(
      layout=skeletons.LAYOUTS['coco'],
      stream='joint',
      num_channels=3,
      has_score=False,
      keypoint_dtype='float32',
    ),
    seed=0,
    loss_options=loss_options,
  )

  def expected_loss(params):
    logits = model.apply({'params': params}, batch['keypoint'][:3, 0], False)
    loss, weight = loss_options(logits, batch['label'][:3])
    return loss.sum() / weight.sum()

  expected, gradient = jax.value_and_grad(expected_loss)(state.params)
  assert sums['count'] == 3
  assert float(sums['loss']) / 3 == pytest.approx(float(expected), rel=1e-6)
  for before, after, grad in zip(
    *map(jax.tree.leaves, (state.params, next_state.params, gradient)),
    strict=True,
  ):
    np.testing.assert_allclose(before - after, grad, rtol=1e-5, atol=1e-6)
