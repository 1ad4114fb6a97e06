"""Training and inference step times of every model, and mmaction2's.

  python -m benchmarks.steps [--models=stgcn,stgcn++,2s-agcn,aagcn,posec3d] \
      [--precisions=float32,tf32,bfloat16] [--peer=PYTHON] [--compile] \
      [--batch=16] [--persons=2] [--frames=32] [--steps=9] [--output=steps.md]

A training step is loss, gradient, BatchNorm statistics and an update by SGD
with Nesterov momentum on random clips; an inference step computes logits. PYTHON
is an interpreter with mmaction2 (tests/oracle/requirements.txt), by default this
one. Both take turns step by step on the same device, so that other load affects
both; the first steps, which compile, are timed separately. Prints clips per
second of the median step and the ratio of the medians, and writes them, with
machine and versions, as a section of a Markdown file.

2s-agcn is mmaction2's AAGCN without attention. posec3d takes volumes of 17
heatmaps, --size pixels high and wide, and half of --base_channels, as published.
On a GPU 'float32' computes in full precision, 'tf32' allows both TensorFloat-32,
'bfloat16' is our dtype=bfloat16 and torch.autocast.
--compile adds torch.compile.

Only an otherwise idle machine gives a fair ratio: PyTorch's threads wait for
each other at every operation, so that other load slows them several times more
than ours. The load average at the start is part of the output.
"""

import argparse
from collections.abc import Callable, Iterator
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import optax

from skeljax import models
from skeljax import skeletons
from skeljax.skeletons import graph as graph_lib
from skeljax.training import losses
from skeljax.training import optim

NUM_CLASSES = 60
LAYOUT = skeletons.LAYOUTS['nturgb+d']
# Name -> model, options, graph mode.
NETWORKS = {
  'stgcn': ('stgcn', {}, 'stgcn_spatial'),
  'stgcn++': (
    'stgcn',
    {'adaptive': 'init', 'gcn_with_res': True, 'tcn_type': 'mstcn'},
    'spatial',
  ),
  '2s-agcn': ('agcn', {'variant': 'tanh'}, 'spatial'),
  'aagcn': ('agcn', {'variant': 'tanh', 'attention': True}, 'spatial'),
  'posec3d': ('slowonly', {}, ''),
}
NUM_HEATMAPS = 17
PRECISIONS = ('float32', 'tf32', 'bfloat16')
HEADER = """# Step times of the models, compared with mmaction2

Clips per second of the median step; skeljax and mmaction2 (PyTorch) take turns
in one run, see `python -m benchmarks.steps --help`. The ratio is their time over
ours: above 1 skeljax is faster. Compiling is the first step minus a median one,
in seconds.
"""


def input_shape(
  settings: argparse.Namespace, takes_heatmaps: bool
) -> tuple[int, ...]:
  """Return [B, M, T, V, C] for joints, [B, T, H, W, C] for heatmaps."""
  if takes_heatmaps:
    pixels = (settings.size, settings.size)
    return settings.batch, settings.frames, *pixels, NUM_HEATMAPS
  clip = (settings.persons, settings.frames, LAYOUT.num_joints)
  return settings.batch, *clip, 3


class Ours:
  """Steps of one of our models on one random batch."""

  def __init__(self, settings: argparse.Namespace, name: str, precision: str):
    family, options, mode = NETWORKS[name]
    dtype = jnp.bfloat16 if precision == 'bfloat16' else None
    takes_heatmaps = models.input_kind(family) == 'heatmaps'
    model = models.build_model(
      family,
      graph=None if takes_heatmaps else graph_lib.Graph(LAYOUT, mode),
      num_classes=NUM_CLASSES,
      base_channels=settings.base_channels // (1 + takes_heatmaps),
      dtype=dtype,
      **options,
    )
    optimizer = optim.make_optimizer(
      optax.constant_schedule(0.01),
      momentum=0.9,
      nesterov=True,
      weight_decay=5e-4,
    )
    key = jax.random.key(0, impl='rbg')
    x = jax.random.normal(key, input_shape(settings, takes_heatmaps))
    labels = jax.random.randint(key, (settings.batch,), 0, NUM_CLASSES)

    @jax.jit
    def create():
      variables = model.init(key, x)
      return variables, optimizer.init(variables['params'])

    def train(variables, opt_state, x):
      def loss(params):
        logits, updates = model.apply(
          variables | {'params': params},
          x,
          train=True,
          mutable=['batch_stats'],
          rngs={'dropout': key},
        )
        return losses.cross_entropy(logits, labels)[0].mean(), updates

      params = variables['params']
      gradient, batch_stats = jax.grad(loss, has_aux=True)(params)
      updates, opt_state = optimizer.update(gradient, opt_state, params)
      params = optax.apply_updates(params, updates)
      return variables | batch_stats | {'params': params}, opt_state

    self._state = create()
    self._x = x
    self._train = jax.jit(train, donate_argnums=(0, 1))
    self._infer = jax.jit(lambda variables, x: model.apply(variables, x))
    self._matmul = 'highest' if precision == 'float32' else 'default'

  def seconds(self, is_training: bool) -> float:
    """Make one step, wait for it and return its seconds."""
    start = time.perf_counter()
    with jax.default_matmul_precision(self._matmul):
      if is_training:
        self._state = jax.block_until_ready(self._train(*self._state, self._x))
      else:
        jax.block_until_ready(self._infer(self._state[0], self._x))
    return time.perf_counter() - start

  def close(self) -> None:
    self._state = self._x = None


class Peer:
  """mmaction2's steps, in a separate interpreter."""

  def __init__(
    self,
    settings: argparse.Namespace,
    name: str,
    precision: str,
    is_compiled: bool,
  ):
    peer_settings = dict(
      vars(settings),
      model=name,
      precision=precision,
      compile=is_compiled,
      num_classes=NUM_CLASSES,
      mode=NETWORKS[name][2],
      num_joints=LAYOUT.num_joints,
      num_heatmaps=NUM_HEATMAPS,
      edges=LAYOUT.edges,
      center=LAYOUT.center,
      device='cuda' if jax.default_backend() == 'gpu' else 'cpu',
    )
    script = pathlib.Path(__file__).with_name('torch_steps.py')
    self._process = subprocess.Popen(
      [settings.peer, str(script), json.dumps(peer_settings)],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
    )
    self.version = self._answer()

  def seconds(self, is_training: bool) -> float:
    """Make one step, wait for it and return its seconds."""
    self._process.stdin.write(json.dumps({'train': is_training}) + '\n')
    self._process.stdin.flush()
    return float(self._answer())

  def _answer(self) -> str:
    answer = self._process.stdout.readline()
    if not answer:
      raise SystemExit(f'the peer ended with status {self._process.wait()}')
    return answer.strip()

  def close(self) -> None:
    self._process.stdin.close()
    self._process.wait()


def measure(
  settings: argparse.Namespace,
  ours: Ours,
  peers: dict[str, Peer],
  is_training: bool,
) -> dict[str, tuple[float, float]]:
  """Return median and compile seconds by name ('skeljax' and the peers)."""
  runners: dict[str, Callable[[bool], float]] = {'skeljax': ours.seconds}
  runners |= {name: peer.seconds for name, peer in peers.items()}
  first = {name: run(is_training) for name, run in runners.items()}
  for run in runners.values():
    run(is_training)  # Libraries may still select algorithms here.
  times: dict[str, list[float]] = {name: [] for name in runners}
  for _ in range(settings.steps):
    for name, run in runners.items():
      times[name].append(run(is_training))
  medians = {name: statistics.median(t) for name, t in times.items()}
  return {
    name: (medians[name], max(first[name] - medians[name], 0.0))
    for name in runners
  }


def rows(settings: argparse.Namespace) -> Iterator[str]:
  """Yield lines of the table, each as soon as it is measured."""
  for precision in settings.precisions:
    for name in settings.models:
      ours = Ours(settings, name, precision)
      kinds = {'eager': False} | (
        {'compiled': True} if settings.compile else {}
      )
      peers = {
        kind: Peer(settings, name, precision, is_compiled)
        for kind, is_compiled in kinds.items()
      }
      settings.torch = peers['eager'].version
      for step in ('train', 'infer'):
        found = measure(settings, ours, peers, step == 'train')
        median, compiling = found.pop('skeljax')
        for kind, (theirs, their_compiling) in found.items():
          yield (
            f'| {name} | {step} | {precision} | {settings.batch / median:.1f} |'
            f' {kind} | {settings.batch / theirs:.1f} |'
            f' **{theirs / median:.2f}** | {compiling:.0f} |'
            f' {their_compiling:.0f} |'
          )
      for runner in (ours, *peers.values()):
        runner.close()


def machine() -> str:
  """Return the device, and for the CPU the number of cores."""
  device = jax.devices()[0]
  if device.platform != 'cpu':
    return device.device_kind
  names = []
  if os.path.exists('/proc/cpuinfo'):
    with open('/proc/cpuinfo', encoding='utf-8') as file:
      names = re.findall(r'model name\s*: (.*)', file.read())
  count = len(os.sched_getaffinity(0))
  return f'{count} cores of {names[0] if names else platform.machine()}'


def write_section(
  path: str, title: str, lines: list[str], header: str = HEADER
) -> None:
  """Write a section to a file, replacing one with the same title."""
  text = header
  if os.path.exists(path):
    text = pathlib.Path(path).read_text(encoding='utf-8')
  sections = re.split(r'\n(?=## )', text.rstrip())
  body = f'## {title}\n\n' + '\n'.join(lines)
  kept = [s.rstrip() for s in sections if not s.startswith(f'## {title}\n')]
  pathlib.Path(path).write_text(
    '\n\n'.join([*kept, body]) + '\n', encoding='utf-8'
  )


def _names(text: str) -> tuple[str, ...]:
  return tuple(text.split(','))


def main() -> None:
  """Measure and write the section."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  on_gpu = jax.default_backend() == 'gpu'
  parser.add_argument('--models', type=_names, default=tuple(NETWORKS))
  parser.add_argument(
    '--precisions', type=_names, default=PRECISIONS if on_gpu else ('float32',)
  )
  for name, default in (
    ('batch', 128 if on_gpu else 16),
    ('persons', 2 if on_gpu else 1),
    ('frames', 100 if on_gpu else 32),
    ('size', 56 if on_gpu else 28),
    ('base_channels', 64),
    ('threads', 0 if on_gpu else len(os.sched_getaffinity(0))),
    ('steps', 30 if on_gpu else 9),
  ):
    parser.add_argument(f'--{name}', type=int, default=default)
  parser.add_argument('--peer', default=sys.executable)
  parser.add_argument('--compile', action='store_true')
  parser.add_argument('--output', default='benchmarks/steps.md')
  settings = parser.parse_args()
  shape = (
    f'batch {settings.batch}, {settings.persons} persons, {settings.frames}'
    f' frames, {LAYOUT.num_joints} joints, {settings.size} x {settings.size} pixels,'
    f' {settings.base_channels} channels'
  )
  print(f'{machine()}: {shape}', flush=True)
  lines = [
    '| network | step | precision | skeljax clips/s | PyTorch | clips/s | ratio'
    ' | compiling | PyTorch compiling |',
    '|---|---|---|---|---|---|---|---|---|',
  ]
  load = os.getloadavg()[0]
  for row in rows(settings):
    print(row, flush=True)
    lines.append(row)
  lines = [
    f'{shape[0].upper()}{shape[1:]}; medians of {settings.steps} steps. jax'
    f' {jax.__version__}, torch {settings.torch}, load average {load:.1f} at the start.',
    '',
    *lines,
  ]
  write_section(settings.output, machine(), lines)


if __name__ == '__main__':
  main()
