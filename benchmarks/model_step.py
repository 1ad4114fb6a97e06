"""Time of one training step, ours against mmaction2's in the same run.

  python -m benchmarks.model_step [--model=stgcn|agcn] [--batch=16] \
      [--persons=1] [--layout=ucla] [--frames=32] [--base_channels=64] \
      [--threads=2] [--steps=15] [--peer=PYTHON]

A step is loss, gradient, BatchNorm statistics and an update by SGD with
Nesterov momentum, in float32 on random clips. PYTHON is an interpreter with
torch and mmaction2 (benchmarks/mmaction2_step.py says which packages); the
steps of both take turns, so that whatever else the machine does meets both.
agcn is the tanh variant, mmaction2's AAGCN without attention. Prints medians,
the fastest step of each, and the ratio of the medians.

On the CPU two settings of the process matter as much as the model. XLA frees
the memory of a step at its end, and the next one pays for fresh pages:
GLIBC_TUNABLES=glibc.malloc.hugetlb=1 makes them large. And
XLA_FLAGS=--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_DOT,\
LIBRARY_FUSION_TYPE_REDUCE,LIBRARY_FUSION_TYPE_ELTWISE (of jaxlib 0.10.2,
experimental) gives the operations between the matmuls to a library as well.
"""

import argparse
from collections.abc import Callable
import json
import os
import pathlib
import statistics
import subprocess
import time

import jax
import jax.numpy as jnp
import optax

from skeljax import graph as graph_lib
from skeljax import models
from skeljax import optim
from skeljax import skeletons

NUM_CLASSES = 10
MODES = {'stgcn': 'stgcn_spatial', 'agcn': 'spatial'}
OPTIONS = {'stgcn': {}, 'agcn': {'variant': 'tanh'}}
WARM_UP = 2


def our_step(settings: argparse.Namespace) -> Callable[[], float]:
  """A function that makes one of our training steps and returns seconds."""
  layout = skeletons.get_layout(settings.layout)
  model = models.build_model(
    settings.model,
    graph=graph_lib.Graph(layout, MODES[settings.model]),
    num_classes=NUM_CLASSES,
    base_channels=settings.base_channels,
    **OPTIONS[settings.model],
  )
  optimizer = optim.make_optimizer(
    optax.constant_schedule(0.01),
    momentum=0.9,
    nesterov=True,
    weight_decay=5e-4,
  )
  shape = (settings.batch, settings.persons, settings.frames)
  key = jax.random.key(0, impl='rbg')
  x = jax.random.normal(key, (*shape, layout.num_joints, 3))
  labels = jax.random.randint(key, (settings.batch,), 0, NUM_CLASSES)

  @jax.jit
  def create():
    variables = model.init(key, x)
    return variables, optimizer.init(variables['params'])

  @jax.jit
  def step(variables, opt_state):
    def loss(params):
      logits, updates = model.apply(
        variables | {'params': params}, x, train=True, mutable=['batch_stats']
      )
      losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
      return jnp.mean(losses), updates

    params = variables['params']
    gradient, batch_stats = jax.grad(loss, has_aux=True)(params)
    updates, opt_state = optimizer.update(gradient, opt_state, params)
    params = optax.apply_updates(params, updates)
    return variables | batch_stats | {'params': params}, opt_state

  state = create()

  def timed() -> float:
    nonlocal state
    start = time.perf_counter()
    state = jax.block_until_ready(step(*state))
    return time.perf_counter() - start

  return timed


class Peer:
  """mmaction2's training step in an interpreter of its own."""

  def __init__(self, settings: argparse.Namespace):
    layout = skeletons.get_layout(settings.layout)
    facts = dict(
      vars(settings),
      num_classes=NUM_CLASSES,
      mode=MODES[settings.model],
      num_joints=layout.num_joints,
      edges=layout.edges,
      center=layout.center,
    )
    script = pathlib.Path(__file__).with_name('mmaction2_step.py')
    self._process = subprocess.Popen(
      [settings.peer, str(script), json.dumps(facts)],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
    )

  def __call__(self) -> float:
    """Makes one step and returns seconds."""
    if self._process.poll() is None:
      self._process.stdin.write('step\n')
      self._process.stdin.flush()
    answer = self._process.stdout.readline()
    if not answer:
      raise SystemExit(f'the peer ended with status {self._process.wait()}')
    return float(answer)

  def close(self) -> None:
    self._process.stdin.close()
    self._process.wait()


def main() -> None:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--model', choices=MODES, default='stgcn')
  parser.add_argument('--layout', default='ucla')
  for name, default in (
    ('batch', 16),
    ('persons', 1),
    ('frames', 32),
    ('base_channels', 64),
    ('threads', 2),
    ('steps', 15),
  ):
    parser.add_argument(f'--{name}', type=int, default=default)
  parser.add_argument('--peer', help='a Python with torch and mmaction2')
  settings = parser.parse_args()
  # XLA has as many threads as there are processors for this process.
  os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: settings.threads])

  steps = {'skeljax': our_step(settings)}
  if settings.peer:
    steps['mmaction2'] = Peer(settings)
  seconds = {name: [] for name in steps}
  for _ in range(WARM_UP + settings.steps):
    for name, step in steps.items():
      seconds[name].append(step())
  if settings.peer:
    steps['mmaction2'].close()
  medians = {}
  for name, times in seconds.items():
    times = times[WARM_UP:]
    medians[name] = statistics.median(times)
    print(
      f'{name:9} {settings.model}: median {1e3 * medians[name]:.0f} ms, '
      f'fastest {1e3 * min(times):.0f} ms, {len(times)} steps'
    )
  if settings.peer:
    ratio = medians['skeljax'] / medians['mmaction2']
    print(f'skeljax takes {ratio:.2f} times as long as mmaction2')


if __name__ == '__main__':
  main()
