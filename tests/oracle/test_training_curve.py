"""A hundred steps of the published training, in both frameworks.

In float64 the two runs agree. In float32 they cannot, in any framework: a
rounding error grows to percents in about ten steps. There each step starts from
the state of PyTorch's run: weights, BatchNorm statistics, momentum.

Nearly every update then agrees to 1e-6 of its norm. A few differ by 1e-4 or
1e-3, where the argument of one ReLU is within rounding of 0 and the programs
decide differently (see kinks.py). Both repeat such a step with the joints moved
by a tenth of a millimetre.
"""

import json
import os
import pathlib
import subprocess
import sys

import curve_worker
import jax
import jax.numpy as jnp
import networks
import numpy as np
import optax
import pytest

_HERE = pathlib.Path(__file__).resolve().parent
LIMITS = {'loss': 1e-5, 'update': 1e-4, 'statistics': 1e-5}


@pytest.mark.parametrize('families', ['stgcn,stgcnpp', 'agcn,aagcn,agcn_0x'])
def test_float64_losses_agree_to_1e_8(
  families, oracle_seed, record_difference, tmp_path
):
  output = tmp_path / 'losses.json'
  process = subprocess.run(
    [
      sys.executable,
      str(_HERE / 'curve_worker.py'),
      f'--families={families}',
      f'--seed={oracle_seed}',
      f'--output={output}',
    ],
    env={**os.environ, 'PYTHONPATH': str(_HERE.parents[1])},
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )
  assert process.returncode == 0, process.stdout
  for family, run in json.loads(output.read_text()).items():
    ours, theirs = np.array(run['ours']), np.array(run['theirs'])
    assert len(ours) == curve_worker.NUM_STEPS
    difference = np.abs(ours - theirs).max() / theirs.min()
    assert difference <= 1e-8, (family, oracle_seed, run)
    record_difference(
      networks.NAMES[family], 'training curve, float64', difference
    )


def _distance(a, b, ulps: int = 0) -> float:
  """Return the norm of a - b over all arrays, without `ulps` of rounding."""
  a, b = (jax.tree.leaves(jax.device_get(tree)) for tree in (a, b))
  total = 0.0
  for x, y in zip(a, b, strict=True):
    slack = ulps * np.spacing(np.maximum(np.abs(x), np.abs(y)))
    total += np.sum(np.square(np.maximum(np.abs(x - y) - slack, 0)))
  return float(np.sqrt(total))


@pytest.mark.parametrize('family', curve_worker.FAMILIES)
def test_float32_steps_from_the_same_state_agree(
  family, oracle_seed, record_difference
):
  clips = curve_worker.load_clips(family, oracle_seed)
  pair = curve_worker.make_pair(family, clips, oracle_seed)
  training = curve_worker.TheirTraining(pair.theirs)
  optimizer = curve_worker.make_optimizer()
  state = curve_worker.our_state(pair.variables, optimizer, jnp.float32)
  step = curve_worker.our_step(pair, optimizer, jnp.float32)
  parameters = dict(pair.theirs.named_parameters())

  zeros = jax.tree.map(np.zeros_like, pair.variables)
  momentum = zeros['params']
  before = pair.from_torch({})

  def both_step(i, rows, attempt):
    """Return the distances of both next states, PyTorch's, and its momentum."""
    noise = np.random.default_rng([i, attempt]).normal(
      size=clips.keypoint.shape
    )
    noise = (1e-4 * noise if attempt else 0 * noise).astype(np.float32)
    chosen = clips._replace(keypoint=clips.keypoint + noise)
    ours, sums = step(
      state.replace(
        step=jnp.asarray(i, jnp.int32),
        params=before['params'],
        batch_stats=before['batch_stats'],
        opt_state=optax.tree.set(
          state.opt_state, trace=momentum, count=jnp.asarray(i, jnp.int32)
        ),
      ),
      curve_worker.our_batch(chosen, rows),
    )
    loss = training.step(chosen, rows)
    after = pair.from_torch({})
    distances = {
      'loss': abs(float(sums['loss']) / curve_worker.BATCH - loss) / loss,
      # Where the learning rate is nearly 0 an update changes few digits of a
      # weight, and the last one may round either way.
      'update': _distance(ours.params, after['params'], ulps=1)
      / _distance(before['params'], after['params']),
      'statistics': _distance(ours.batch_stats, after['batch_stats'])
      / _distance(zeros['batch_stats'], after['batch_stats']),
    }
    buffers = training.optimizer.state
    buffers = {n: buffers[p]['momentum_buffer'] for n, p in parameters.items()}
    return distances, after, pair.from_torch(buffers)['params']

  worst = dict.fromkeys(LIMITS, 0.0)
  num_repeats = 0
  for i, rows in enumerate(curve_worker.batches(clips, oracle_seed)):
    start = training.snapshot()
    for attempt in range(4):
      training.restore(start)
      distances, after, momentum_after = both_step(i, rows, attempt)
      if distances['update'] <= LIMITS['update']:
        break
      num_repeats += 1
    before, momentum = after, momentum_after
    worst = {name: max(worst[name], distances[name]) for name in worst}
  assert all(worst[n] <= LIMITS[n] for n in worst), (family, oracle_seed, worst)
  print(family, worst, num_repeats)
  assert num_repeats <= curve_worker.NUM_STEPS // 5, (family, oracle_seed)
  record_difference(
    networks.NAMES[family], 'training step, float32', worst['update']
  )
