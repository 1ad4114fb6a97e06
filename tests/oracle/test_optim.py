"""SGD and learning rates against torch and mmengine over 4000 steps."""

import jax
import jax.numpy as jnp
from mmengine.optim import scheduler
import numpy as np
import optax
import pytest
import torch

from skeljax.training import optim

NUM_STEPS = 4000
BATCH_SIZE = 16
STEPS_PER_EPOCH = 50
EPOCH = {
  'clips_per_epoch': BATCH_SIZE * STEPS_PER_EPOCH,
  'batch_size': BATCH_SIZE,
}
NUM_EPOCHS = NUM_STEPS // STEPS_PER_EPOCH
# mmengine multiplies the rate by a ratio at every step, so its own rounding
# errors add up, to 5e-11 where the cosine is almost 0.
TOLERANCE = {'float32': 1e-6, 'float64': 1e-9}


def torch_optimizer(**options):
  """Return SGD over one parameter with gradient 0."""
  parameter = torch.nn.Parameter(torch.zeros(1))
  parameter.grad = torch.zeros(1)
  return torch.optim.SGD([parameter], **options)


def multi_step(optimizer, milestones):
  return [
    scheduler.MultiStepLR.build_iter_from_epoch(
      optimizer,
      milestones=list(milestones),
      gamma=0.1,
      epoch_length=STEPS_PER_EPOCH,
    )
  ]


def cosine(optimizer):
  """Return the schedule of the configurations of mmaction2 1.x."""
  return [
    scheduler.CosineAnnealingLR.build_iter_from_epoch(
      optimizer, T_max=NUM_EPOCHS, eta_min=0, epoch_length=STEPS_PER_EPOCH
    )
  ]


def warmup(optimizer, num_steps):
  return [
    scheduler.LinearLR(
      optimizer, start_factor=1 / num_steps, end=num_steps, by_epoch=False
    )
  ]


SCHEDULES = {
  'constant': ({'kind': 'constant'}, lambda optimizer: []),
  'step': (
    {'kind': 'step', 'milestones': (30, 40)},
    lambda optimizer: multi_step(optimizer, (30, 40)),
  ),
  'four steps': (
    {'kind': 'step', 'milestones': (1, 2, 10, 79)},
    lambda optimizer: multi_step(optimizer, (1, 2, 10, 79)),
  ),
  'cosine': ({'kind': 'cosine'}, cosine),
  'warmup': (
    {'kind': 'constant', 'warmup_steps': 500},
    lambda optimizer: warmup(optimizer, 500),
  ),
}


def our_schedule(name, base_lr):
  options = dict(SCHEDULES[name][0])
  kind = options.pop('kind')
  return optim.learning_rate(
    kind, base_lr=base_lr, total_steps=NUM_STEPS, **EPOCH, **options
  )


@pytest.mark.parametrize('dtype', TOLERANCE)
@pytest.mark.parametrize('name', SCHEDULES)
def test_learning_rates_are_equal_at_every_step(name, dtype, record_difference):
  optimizer = torch_optimizer(lr=0.1)
  schedulers = SCHEDULES[name][1](optimizer)
  expected = []
  for _ in range(NUM_STEPS):
    expected.append(optimizer.param_groups[0]['lr'])
    optimizer.step()
    for each in schedulers:
      each.step()
  with jax.enable_x64(dtype == 'float64'):
    # int32 also with x64, like the count of optax.
    steps = jnp.arange(NUM_STEPS, dtype=jnp.int32)
    rates = jax.vmap(our_schedule(name, 0.1))(steps)
    assert rates.dtype == dtype
    difference = np.abs(rates / np.array(expected) - 1).max()
  record_difference('optimiser', f'learning rate, {dtype}', difference)
  np.testing.assert_allclose(rates, expected, rtol=TOLERANCE[dtype])


def draw_problem(rng, dtype):
  """Draw a noisy quadratic: gradient = (p - target) @ bowl + noise.

  The noise makes gradient norms both smaller and larger than 40.
  """
  shapes = {'kernel': (3, 16), 'scale': (1, 16)}
  root = rng.randn(16, 16)
  bowl = root @ root.T / 64
  problem = {
    'start': {k: rng.randn(*s) * 5 for k, s in shapes.items()},
    'target': {k: rng.randn(*s) * 5 for k, s in shapes.items()},
    'noise': {
      k: rng.randn(NUM_STEPS, *s) * rng.uniform(0, 10, (NUM_STEPS, 1, 1))
      for k, s in shapes.items()
    },
    'bowl': bowl,
  }
  return jax.tree.map(lambda a: a.astype(dtype), problem)


def torch_trajectory(problem, schedule, clip_norm, **options):
  """Return the parameters after each step, one row per step."""
  problem = jax.tree.map(torch.tensor, problem)
  params = {k: torch.nn.Parameter(v) for k, v in problem['start'].items()}
  optimizer = torch.optim.SGD(params.values(), **options)
  schedulers = SCHEDULES[schedule][1](optimizer)
  rows, num_clipped = [], 0
  for step in range(NUM_STEPS):
    for name, p in params.items():
      away = p.detach() - problem['target'][name]
      p.grad = away @ problem['bowl'] + problem['noise'][name][step]
    if clip_norm:
      norm = torch.nn.utils.clip_grad_norm_(params.values(), clip_norm)
      num_clipped += int(norm > clip_norm)
    optimizer.step()
    for each in schedulers:
      each.step()
    rows.append(torch.cat([p.detach().flatten() for p in params.values()]))
  return torch.stack(rows).numpy(), num_clipped


def our_trajectory(problem, schedule, lr, **options):
  optimizer = optim.make_optimizer(our_schedule(schedule, lr), **options)

  def step(carry, noise):
    params, state = carry
    grads = {
      k: (params[k] - problem['target'][k]) @ problem['bowl'] + noise[k]
      for k in params
    }
    updates, state = optimizer.update(grads, state, params)
    params = optax.apply_updates(params, updates)
    # In torch's order.
    row = jnp.concatenate([params[k].ravel() for k in problem['start']])
    return (params, state), row

  @jax.jit
  def run(start, noise):
    return jax.lax.scan(step, (start, optimizer.init(start)), noise)[1]

  return np.asarray(run(problem['start'], problem['noise']))


@pytest.mark.parametrize(
  'dtype, tolerance', [('float32', 1e-5), ('float64', 1e-12)]
)
@pytest.mark.parametrize(
  'schedule, momentum, nesterov, weight_decay, clip_norm',
  [
    ('step', 0.9, True, 1e-4, 0),  # mmaction2 0.x
    ('cosine', 0.9, True, 5e-4, 0),  # mmaction2 1.x
    ('cosine', 0.9, False, 3e-4, 40),  # PoseC3D
    ('warmup', 0.9, True, 0.0, 0),
    ('constant', 0.0, False, 1e-2, 40),
    ('four steps', 0.5, True, 1e-2, 40),
  ],
)
def test_trajectories_are_equal(
  schedule,
  momentum,
  nesterov,
  weight_decay,
  clip_norm,
  dtype,
  tolerance,
  oracle_seed,
  record_difference,
):
  rng = np.random.RandomState(oracle_seed % 2**32)
  problem = draw_problem(rng, dtype)
  expected, num_clipped = torch_trajectory(
    problem,
    schedule,
    clip_norm,
    lr=0.1,
    momentum=momentum,
    nesterov=nesterov,
    weight_decay=weight_decay,
  )
  if clip_norm:
    assert 0.1 < num_clipped / NUM_STEPS < 0.9
  with jax.enable_x64(dtype == 'float64'):
    actual = our_trajectory(
      problem,
      schedule,
      0.1,
      momentum=momentum,
      nesterov=nesterov,
      weight_decay=weight_decay,
      clip_norm=clip_norm,
    )
  assert actual.dtype == dtype
  difference = np.linalg.norm(actual - expected, axis=1)
  difference = (difference / np.linalg.norm(expected, axis=1)).max()
  record_difference('optimiser', f'trajectory, {dtype}', difference)
  assert difference < tolerance, f'seed {oracle_seed}'
