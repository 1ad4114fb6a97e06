"""SGD against a transcription of torch's, and learning rates per step."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from skeljax import errors
from skeljax.training import optim

EPOCH = {'clips_per_epoch': 100, 'batch_size': 16}


def torch_sgd(params, gradients, rates, momentum, nesterov, decay, max_norm):
  """torch.optim.SGD.step after clip_grad_norm_, on numpy arrays."""
  params = {k: v.astype(np.float64) for k, v in params.items()}
  buffers = {}
  for grads, rate in zip(gradients, rates, strict=True):
    norm = np.sqrt(
      sum((g.astype(np.float64) ** 2).sum() for g in grads.values())
    )
    factor = min(1.0, max_norm / (norm + 1e-6)) if max_norm else 1.0
    for name, grad in grads.items():
      direction = grad * factor + decay * params[name]
      if momentum:
        if name not in buffers:
          buffers[name] = direction.copy()
        else:
          buffers[name] = momentum * buffers[name] + direction
        direction = (
          direction + momentum * buffers[name] if nesterov else buffers[name]
        )
      params[name] = params[name] - rate * direction
  return params


@pytest.mark.parametrize(
  'momentum, nesterov, decay, max_norm',
  [
    (0.9, True, 1e-2, 0.0),
    (0.9, False, 1e-2, 2.0),
    (0.9, True, 0.0, 2.0),
    (0.0, False, 1e-2, 0.0),
  ],
)
def test_sgd_equals_torch(momentum, nesterov, decay, max_norm):
  rng = np.random.RandomState(0)
  shapes = {'kernel': (3, 4), 'bn_scale': (4,)}

  def draw():
    return {k: rng.randn(*s).astype(np.float32) for k, s in shapes.items()}

  start = draw()
  # Some gradients are below the maximum norm and some above it.
  gradients = [
    {k: g * size for k, g in draw().items()} for size in [0.1, 1.0, 3.0] * 8
  ]
  schedule = optim.learning_rate(
    'step', base_lr=0.1, total_steps=24, milestones=(1, 3), **EPOCH
  )
  optimizer = optim.make_optimizer(
    schedule,
    momentum=momentum,
    nesterov=nesterov,
    weight_decay=decay,
    clip_norm=max_norm,
  )

  @jax.jit
  def step(params, state, grads):
    updates, state = optimizer.update(grads, state, params)
    return optax.apply_updates(params, updates), state

  params, state = start, optimizer.init(start)
  for grads in gradients:
    params, state = step(params, state, grads)

  rates = [0.1] * 6 + [0.01] * 13 + [0.001] * 5
  expected = torch_sgd(
    start, gradients, rates, momentum, nesterov, decay, max_norm
  )
  for name in shapes:
    np.testing.assert_allclose(
      params[name], expected[name], rtol=1e-5, atol=2e-6
    )


def test_clipping_leaves_small_gradients_unchanged():
  clip = optim.clip_by_global_norm(5.0)
  grads = {'a': jnp.array([3.0]), 'b': jnp.array([[4.0 - 1e-3]])}
  clipped, _ = clip.update(grads, clip.init(grads))
  np.testing.assert_array_equal(clipped['b'], grads['b'])
  clipped, _ = clip.update(jax.tree.map(lambda g: 10 * g, grads), None)
  np.testing.assert_allclose(optax.tree.norm(clipped), 5.0, rtol=1e-5)


def _rates(count, kind, **options):
  schedule = optim.learning_rate(kind, total_steps=count, **options)
  return np.array([schedule(i) for i in range(count)])


def test_milestones_are_rounded_to_steps():
  # Epoch m begins at round(m * 100 / 16): 6.25 -> 6, 18.75 -> 19.
  assert optim.milestone_steps((1, 3), **EPOCH) == (6, 19)
  rates = _rates(25, 'step', base_lr=0.1, milestones=(1, 3), **EPOCH)
  expected = np.float32([0.1] * 6 + [0.01] * 13 + [0.001] * 6)
  np.testing.assert_allclose(rates, expected, rtol=1e-6)


def test_milestones_at_the_same_step_both_apply():
  rates = _rates(
    4,
    'step',
    base_lr=1.0,
    milestones=(1, 2),
    clips_per_epoch=16,
    batch_size=16 * 16,
  )
  np.testing.assert_allclose(rates, [0.01] * 4, rtol=1e-6)


def test_cosine_equals_the_published_recursion():
  # torch's CosineAnnealingLR, updated after each iteration.
  total, rate, expected = 30, 0.2, []
  for t in range(total):
    expected.append(rate)
    ratio = 1 + np.cos(np.pi * (t + 1) / total)
    rate *= ratio / (1 + np.cos(np.pi * t / total))
  rates = _rates(total, 'cosine', base_lr=0.2)
  np.testing.assert_allclose(rates, expected, rtol=1e-6)
  schedule = optim.learning_rate('cosine', base_lr=0.2, total_steps=total)
  assert schedule(total) == pytest.approx(0, abs=1e-7)


def test_last_rates_of_a_long_cosine_are_precise():
  total = 1_000_000
  schedule = optim.learning_rate('cosine', base_lr=0.1, total_steps=total)
  left = np.array([1, 2, 3, 1000])
  expected = 0.1 * np.sin(np.pi / 2 * left / total) ** 2
  rates = [schedule(jnp.int32(total - n)) for n in left]
  np.testing.assert_allclose(rates, expected, rtol=1e-6)


def test_warmup_by_steps_scales_the_cosine():
  ramp = [0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 1]
  cosine = 0.5 * (1 + np.cos(np.pi * np.arange(10) / 10))
  rates = _rates(10, 'cosine', base_lr=1.0, warmup_steps=4)
  np.testing.assert_allclose(rates, ramp * cosine, rtol=1e-6)


def test_warmup_by_epochs_is_constant_within_an_epoch():
  rates = _rates(
    40, 'step', base_lr=0.1, warmup_epochs=5, milestones=(6,), **EPOCH
  )
  # Epochs 0..6 begin at steps 0, 6, 12, 19, 25, 31 and 38.
  lengths = [6, 6, 7, 6, 6, 7, 2]
  values = np.float32([0.02, 0.04, 0.06, 0.08, 0.1, 0.1, 0.01])
  np.testing.assert_allclose(rates, np.repeat(values, lengths), rtol=1e-5)


def test_constant_under_jit():
  schedule = optim.learning_rate('constant', base_lr=0.5, total_steps=3)
  assert jax.jit(schedule)(jnp.int32(2)) == 0.5


def test_step_counts():
  assert optim.total_steps(80, **EPOCH) == 500
  with pytest.raises(errors.UserError, match='less than one training step'):
    optim.total_steps(1, 7, 16)


def test_batch_scaling():
  assert optim.batch_scaling(16, 16, True) == (1.0, '')
  assert optim.batch_scaling(16, 0, True) == (1.0, '')
  factor, note = optim.batch_scaling(16, 128, True)
  assert factor == 0.125 and 'multiplied by 0.125' in note
  factor, note = optim.batch_scaling(16, 128, False)
  assert factor == 1.0 and 'left unchanged' in note


@pytest.mark.parametrize(
  'kind, options, words',
  [
    ('poly', {}, 'one of step, cosine, constant'),
    ('cosine', {'milestones': (3,)}, 'no effect'),
    ('cosine', {'warmup_steps': 2, 'warmup_epochs': 2}, 'mutually exclusive'),
    ('step', {'base_lr': float('nan')}, 'finite number'),
  ],
)
def test_invalid_options_raise(kind, options, words):
  with pytest.raises(errors.UserError, match=words):
    optim.learning_rate(kind, **{'base_lr': 0.1, 'total_steps': 9} | options)


def test_nesterov_needs_momentum():
  with pytest.raises(errors.UserError, match='momentum above 0'):
    optim.make_optimizer(0.1, momentum=0, nesterov=True, weight_decay=0)
