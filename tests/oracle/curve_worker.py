"""Train both networks step by step on the same batches.

Ours uses steps.train_step, optim.make_optimizer and the losses, on the joint
stream; theirs torch.optim.SGD and mmengine's cosine. As a program it trains in
float64, which is a setting of the whole process:

  python curve_worker.py --families=agcn --seed=1 --output=losses.json
"""

import argparse
from collections.abc import Iterator, Mapping
import copy
import functools
import json
import os
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tests import compiling
from tests import specs

NUM_STEPS, BATCH, FRAMES = 100, 4, 16
FAMILIES = ('stgcn', 'stgcnpp', 'agcn', 'aagcn', 'agcn_0x')
# From the published configs of mmaction2 1.x.
LR, MOMENTUM, WEIGHT_DECAY = 0.1, 0.9, 5e-4


class Clips(NamedTuple):
  """Training data.

  Attributes:
    layout: name of the joints' layout.
    keypoint: [N, M, T, V, 3] float32, metres from the first frame's center.
    label: [N].
  """

  layout: str
  keypoint: np.ndarray
  label: np.ndarray


def load_clips(family: str, seed: int) -> Clips:
  """Load NW-UCLA from $SKELJAX_TEST_DATA if it is there, or demo motions."""
  import networks

  folder = os.environ.get('SKELJAX_TEST_DATA')
  path = pathlib.Path(folder or '.') / 'nw_ucla_3d.pkl'
  if folder and path.is_file():
    from skeljax.readers import annotation_pickle

    layout = 'ucla'
    items = [
      (item['keypoint'], item['label'])
      for item in annotation_pickle.read_dataset(str(path)).items
      if item['label'] < networks.NUM_CLASSES
    ]
  else:
    from data_prep.demo import actions
    from data_prep.demo import body as body_lib
    from data_prep.demo import motion as motion_lib

    layout = 'nturgb+d'
    rng = np.random.default_rng([seed, 3])
    names = sorted(actions.MOTIONS)[: networks.NUM_CLASSES]
    items = []
    for i in range(8 * networks.NUM_CLASSES):
      label = i % networks.NUM_CLASSES
      bodies = [body_lib.draw_body(rng) for _ in range(2)]
      motion = motion_lib.perform(names[label], bodies, rng)
      motion = motion[:, :, : body_lib.KINECT_JOINTS]
      # Joints at rest would tie in a max-pooling; Kinect's noise is 7 mm.
      motion = motion + rng.normal(scale=0.007, size=motion.shape)
      items.append((motion, label))
  persons = max(len(keypoint) for keypoint, _ in items)
  clips = []
  for keypoint, _ in items:
    keypoint = np.asarray(keypoint, np.float32)
    chosen = np.linspace(0, keypoint.shape[1] - 1, FRAMES).round().astype(int)
    keypoint = keypoint[:, chosen] - keypoint[:1, :1].mean(2, keepdims=True)
    clip = np.zeros((persons, *keypoint.shape[1:]), np.float32)
    clip[: len(keypoint)] = keypoint
    clips.append(clip)
  keypoint, label = np.stack(clips), np.array([label for _, label in items])
  if family == 'stgcnpp':
    # An absent person is equal in all frames, which makes the gradient of a
    # max-pooling ambiguous: use the person of the next clip.
    is_absent = ~keypoint.any((2, 3, 4), keepdims=True)
    keypoint = np.where(is_absent, np.roll(keypoint[:, :1], 1, 0), keypoint)
  return Clips(layout, keypoint, label)


def make_pair(family: str, clips: Clips, seed: int):
  """Return a Pair of three narrow stages with the published initial weights."""
  import networks
  import published_0x
  import torch

  from skeljax import skeletons
  from skeljax.skeletons import graph as graph_lib

  width = 12 if family == 'stgcnpp' else 8
  options: dict[str, Any] = dict(
    base_channels=width, num_stages=3, inflate_stages=(2,), down_stages=(3,)
  )
  if family == 'stgcnpp':
    options.update(adaptive='init', gcn_with_res=True, tcn_type='mstcn')
  elif family == 'agcn_0x':
    options.update(variant='softmax_0x')
  elif family != 'stgcn':
    options.update(variant='tanh', attention=family == 'aagcn')
  graph = graph_lib.Graph(
    skeletons.get_layout(clips.layout),
    'stgcn_spatial' if family == 'stgcn' else 'spatial',
    edges='0x' if family == 'agcn_0x' else '1x',
  )
  config = networks.Config(
    family,
    graph,
    tuple(options.items()),
    (BATCH, *clips.keypoint.shape[1:]),
    seed=seed,
  )
  torch.manual_seed(seed)
  if family == 'agcn_0x':
    theirs = published_0x.AGCN(
      torch.from_numpy(graph.adjacency()),
      [(width, 1), (2 * width, 1), (2 * width, 2)],
      networks.NUM_CLASSES,
    )
    return networks.join(config, theirs, 'mmaction0x')
  theirs = networks.make_theirs(config)
  theirs.backbone.init_weights()
  theirs.cls_head.init_weights()
  return networks.join(config, theirs, 'mmaction1x')


def batches(clips: Clips, seed: int) -> Iterator[np.ndarray]:
  """Yield the rows of `clips` of each of NUM_STEPS batches."""
  rng = np.random.default_rng([seed, 4])
  for _ in range(NUM_STEPS):
    yield rng.choice(len(clips.label), BATCH, replace=False)


def make_optimizer() -> optax.GradientTransformation:
  """Return the published optimizer for this number of steps."""
  from skeljax.training import optim

  schedule = optim.learning_rate('cosine', base_lr=LR, total_steps=NUM_STEPS)
  return optim.make_optimizer(
    schedule, momentum=MOMENTUM, nesterov=True, weight_decay=WEIGHT_DECAY
  )


def our_batch(clips: Clips, rows: np.ndarray) -> Mapping[str, np.ndarray]:
  """Return a batch as the input pipeline does, with one view and no padding."""
  keypoint = clips.keypoint[rows][:, None]
  _, _, persons, frames, _, _ = keypoint.shape
  return dict(
    keypoint=keypoint,
    frame_index=np.tile(np.arange(frames, dtype=np.int32), (BATCH, 1, 1)),
    total_frames=np.full(BATCH, frames, np.int32),
    num_valid_persons=np.full(BATCH, persons, np.int32),
    label=clips.label[rows].astype(np.int32),
    mask=np.ones(BATCH, np.float32),
    index=rows.astype(np.int32),
  )


def our_step(pair, optimizer: optax.GradientTransformation, dtype):
  """Return the compiled training step."""

  from skeljax.training import steps

  layout = pair.config.graph.layout
  step = functools.partial(
    steps.train_step,
    model=pair.model.clone(dtype=dtype),
    optimizer=optimizer,
    input=specs.joints(layout, stream='joint', num_channels=3, has_score=False),
    seed=0,
  )
  return jax.jit(step, compiler_options=compiling.FAST_COMPILE)


def our_state(variables: Mapping[str, Any], optimizer, dtype):
  """Return the TrainState at step 0."""
  from skeljax.training import train_state

  variables = jax.tree.map(lambda a: jnp.asarray(a, dtype), dict(variables))
  return train_state.TrainState(
    step=jnp.zeros((), jnp.int32),
    params=variables['params'],
    batch_stats=variables['batch_stats'],
    graph=variables.get('graph', {}),
    opt_state=optimizer.init(variables['params']),
  )


class TheirTraining:
  """The published training loop of a PyTorch network."""

  def __init__(self, network):
    from mmengine import optim
    import torch

    self.network = network.train()
    self.optimizer = torch.optim.SGD(
      network.parameters(),
      lr=LR,
      momentum=MOMENTUM,
      nesterov=True,
      weight_decay=WEIGHT_DECAY,
    )
    self._scheduler = optim.CosineAnnealingLR(
      self.optimizer, T_max=NUM_STEPS, eta_min=0, by_epoch=False
    )
    self._dtype = next(network.parameters()).dtype

  def step(self, clips: Clips, rows: np.ndarray) -> float:
    """Make one update and return the loss before it."""
    import torch

    x = torch.from_numpy(clips.keypoint[rows]).to(self._dtype)
    label = torch.from_numpy(clips.label[rows])
    self.optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(self.network(x), label)
    loss.backward()
    self.optimizer.step()
    self._scheduler.step()
    return loss.item()

  def snapshot(self) -> list[Any]:
    """Return everything that a step changes."""
    return [copy.deepcopy(part.state_dict()) for part in self._parts()]

  def restore(self, snapshot: list[Any]) -> None:
    """Restore a snapshot."""
    for part, state in zip(self._parts(), snapshot, strict=True):
      part.load_state_dict(copy.deepcopy(state))

  def _parts(self):
    return self.network, self.optimizer, self._scheduler


def train_both(family: str, seed: int) -> dict[str, list[float]]:
  """Return the losses of both in float64."""
  import torch

  clips = load_clips(family, seed)
  pair = make_pair(family, clips, seed)
  optimizer = make_optimizer()
  state = our_state(pair.variables, optimizer, jnp.float64)
  step = our_step(pair, optimizer, jnp.float64)
  training = TheirTraining(pair.theirs.to(torch.float64))
  ours, theirs = [], []
  for rows in batches(clips, seed):
    state, sums = step(state, our_batch(clips, rows))
    ours.append(float(sums['loss']) / BATCH)
    theirs.append(training.step(clips, rows))
  return dict(ours=ours, theirs=theirs)


if __name__ == '__main__':
  parser = argparse.ArgumentParser()
  parser.add_argument('--families', help='comma-separated, of ' + str(FAMILIES))
  parser.add_argument('--seed', type=int)
  parser.add_argument('--output')
  args = parser.parse_args()
  import conftest

  conftest.make_importable()
  jax.config.update('jax_platforms', 'cpu')
  jax.config.update('jax_enable_x64', True)
  jax.config.update('jax_default_matmul_precision', 'highest')
  losses = {f: train_both(f, args.seed) for f in args.families.split(',')}
  with open(args.output, 'w') as output:
    json.dump(losses, output)
