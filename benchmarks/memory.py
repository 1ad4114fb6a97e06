"""Memory of a training step of PoseC3D, as compiled, with and without remat.

  python -m benchmarks.memory [--batch=16] [--frames=48] [--size=56] \
      [--base_channels=32] [--output=benchmarks/memory.md]

Compiles the whole step (heatmaps of the keypoints, model, loss, gradient,
update) for the device of this machine, without running it, and reads the memory
plan of the compiler: `state` is weights, statistics and momentum, `batch` what
the host sends, `working` the temporary memory of the step. `kept` is what
automatic differentiation keeps from the forward to the backward pass, on any
device. Writes a section of a Markdown file for the device.
"""

import argparse
from collections.abc import Iterator
import functools
import itertools
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks import steps as other
from skeljax import inputs
from skeljax import models
from skeljax import skeletons
from skeljax.datasets.spec import DataSpec
from skeljax.training import optim
from skeljax.training import steps
from skeljax.training import train_state

LAYOUT = skeletons.LAYOUTS['coco']
NUM_CLASSES, NUM_PERSONS = 60, 2
HEADER = """# Memory of a training step of PoseC3D

As planned by the compiler (`compiled.memory_analysis()`); made by
`python -m benchmarks.memory`. remat recomputes each bottleneck in the backward
pass instead of keeping its activations. On a CPU the column `working` does not
show what remat and bfloat16 save: XLA removes the barriers there that delay the
recomputation, and computes bfloat16 partly in float32. `kept` counts what the
model keeps for its gradient on any device.
"""


def abstract_batch(settings: argparse.Namespace) -> dict:
  """Return shapes and dtypes of what the host sends."""
  clip = (settings.batch, 1, NUM_PERSONS, settings.frames, LAYOUT.num_joints)
  shapes = {
    'keypoint': ((*clip, 2), np.float16),
    'score': (clip, np.float16),
    'img_shape': ((settings.batch, 2), np.int32),
    'num_valid_persons': ((settings.batch,), np.int32),
    'frame_index': ((settings.batch, 1, settings.frames), np.int32),
    'total_frames': ((settings.batch,), np.int32),
    'index': ((settings.batch,), np.int32),
    'label': ((settings.batch,), np.int32),
    'mask': ((settings.batch,), np.float32),
  }
  return {name: jax.ShapeDtypeStruct(*entry) for name, entry in shapes.items()}


def num_bytes(tree) -> int:
  """Return the bytes of all arrays (or shapes) of a tree."""
  return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def kept_bytes(settings: argparse.Namespace, model) -> int:
  """Return the bytes that the model keeps for its gradient, without weights."""
  shape = (settings.batch, settings.frames, settings.size, settings.size)
  x = jax.ShapeDtypeStruct(
    (*shape, LAYOUT.num_joints), model.dtype or 'float32'
  )
  variables = jax.eval_shape(model.init, jax.random.key(0), x)

  def keep(params, others, x):
    def forward(params):
      return model.apply(
        others | {'params': params},
        x,
        train=True,
        mutable=['batch_stats'],
        rngs={'dropout': jax.random.key(0)},
      )

    # The pullback is a tree of its residuals.
    return jax.vjp(forward, params, has_aux=True)[1]

  params = variables.pop('params')
  return num_bytes(jax.eval_shape(keep, params, variables, x)) - num_bytes(
    params
  )


def build_model(settings: argparse.Namespace, dtype, remat: bool):
  """Return SlowOnly with the width of the flags."""
  return models.build_model(
    'slowonly',
    graph=None,
    num_classes=NUM_CLASSES,
    base_channels=settings.base_channels,
    dtype=dtype,
    remat=remat,
  )


def compile_step(settings: argparse.Namespace, model):
  """Return the compiled step, and the bytes of its state and batch."""
  options = inputs.Heatmaps(
    DataSpec(LAYOUT, ('a',), 2, num_persons=1, score_dtype='float16'),
    size=settings.size,
  )
  optimizer = optim.make_optimizer(
    optax.constant_schedule(0.2),
    momentum=0.9,
    nesterov=False,
    weight_decay=3e-4,
    clip_norm=40.0,
  )
  shape = (1, settings.frames, settings.size, settings.size)

  def create():
    variables = train_state.init_variables(
      model, (*shape, options.num_channels), 0
    )
    return train_state.TrainState(
      step=jnp.zeros((), jnp.int32),
      opt_state=optimizer.init(variables['params']),
      **variables,
    )

  state, batch = jax.eval_shape(create), abstract_batch(settings)
  step = functools.partial(
    steps.train_step,
    model=model,
    optimizer=optimizer,
    input=options,
    seed=0,
  )
  compiled = jax.jit(step, donate_argnums=0).lower(state, batch).compile()
  return compiled, num_bytes(state), num_bytes(batch)


def rows(settings: argparse.Namespace) -> Iterator[str]:
  """Yield lines of the table, each as soon as it is compiled."""
  for dtype, remat in itertools.product((None, jnp.bfloat16), (False, True)):
    model = build_model(settings, dtype, remat)
    kept = kept_bytes(settings, model)
    start = time.perf_counter()
    compiled, state, batch = compile_step(settings, model)
    seconds = time.perf_counter() - start
    working = compiled.memory_analysis().temp_size_in_bytes
    yield (
      f'| {jnp.dtype(dtype or "float32").name} | {"yes" if remat else "no"} |'
      f' {kept / 2**30:.2f} GiB | {working / 2**30:.2f} GiB | {state / 2**20:.0f} MiB |'
      f' {batch / 2**10:.0f} KiB | {seconds:.0f} s |'
    )


def main() -> None:
  """Compile the steps and write the section."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  for name, default in (
    ('batch', 16),
    ('frames', 48),
    ('size', 56),
    ('base_channels', 32),
  ):
    parser.add_argument(f'--{name}', type=int, default=default)
  parser.add_argument('--output', default='benchmarks/memory.md')
  settings = parser.parse_args()
  lines = [
    f'Batch {settings.batch}, {settings.frames} frames of {settings.size} x'
    f' {settings.size} pixels, {LAYOUT.num_joints} joints, stages (4, 6, 3) of'
    f' {settings.base_channels} channels and up. jax {jax.__version__}.',
    '',
    '| dtype | remat | kept | working | state | batch | compiling |',
    '|---|---|---|---|---|---|---|',
  ]
  for row in rows(settings):
    print(row, flush=True)
    lines.append(row)
  other.write_section(settings.output, other.machine(), lines, HEADER)


if __name__ == '__main__':
  main()
