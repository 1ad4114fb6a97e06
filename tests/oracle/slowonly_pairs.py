"""SlowOnly of mmaction2 and of skeljax with the same weights, for comparison.py.

The networks of volume_networks.py, with odd and even input sizes, all strides
and BatchNorm groups.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

import jax
import networks
import numpy as np
import torch
import volume_networks

from skeljax import models
from skeljax.convert import checkpoint
from skeljax.convert import tensors

# Minimum number of values in a BatchNorm statistic: with two or three the
# output is nearly +-1 whatever the input.
_MIN_VALUES = 12


@dataclasses.dataclass(frozen=True)
class Config(volume_networks.Config):
  """A network and its input, [B, T, H, W, C].

  Attributes:
    norm_group: clips that share BatchNorm statistics; 0 for all.
  """

  norm_group: int = 0

  @property
  def smaller_shapes(self) -> list[tuple[int, ...]]:
    """Only the shape itself, which is small."""
    return [self.shape]


class Pair(networks.Pair):
  """A network in both frameworks; see networks.Pair."""

  def from_torch(self, changed: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Convert the tensors of `theirs`, with some replaced, to our variables."""
    state = self.theirs.state_dict() | dict(changed)
    return tensors.from_torch(
      {name: tensor.numpy().copy() for name, tensor in state.items()},
      self.variables,
      checkpoint.FAMILIES['slowonly'].get_naming(self.naming),
    )

  def to_torch(self, variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return our arrays under their names."""
    return tensors.to_torch(
      variables, checkpoint.FAMILIES['slowonly'].get_naming(self.naming)
    )


def draw(seed: int, index: int) -> Config:
  """Return random configuration `index`."""
  rng = np.random.default_rng([seed, index, 4])
  while True:
    base = volume_networks.draw(seed, int(rng.integers(2**31)))
    options = dict(base.options)
    if index % 2:
      for name in ('conv1_stride', 'pool1_stride'):
        options[name] = tuple(int(s) for s in rng.integers(1, 3, size=2))
    sizes = (int(s) for s in rng.integers((4, 9, 9), (8, 16, 16)))
    shape = (2, *sizes, int(rng.choice((17, 34))))
    # Two of four have the statistics of two published GPUs.
    norm_group = index // 2 % 2
    config = Config(options, shape, base.seed, norm_group)
    if _num_values(config) >= _MIN_VALUES:
      return config


def _num_values(config: Config) -> int:
  """Return the number of values in a statistic of the last stage."""
  options = dict(config.options)

  def strides(name):
    return options.get(name, (1, 1))

  temporal = options.get('temporal_strides', (1, 1, 2))
  spatial = options.get('spatial_strides', (2, 2, 2))
  (t0, s0), (t1, s1) = strides('conv1_stride'), strides('pool1_stride')
  if not options.get('with_pool1', True):
    t1 = s1 = 1
  values = config.norm_group or config.shape[0]
  for size, steps in (
    (config.shape[1], (t0, t1, *temporal)),
    *((size, (s0, s1, *spatial)) for size in config.shape[2:4]),
  ):
    for step in steps:
      size = -(-size // step)
    values *= size
  return values // 2 if options.get('with_pool2') else values


def default(seed: int) -> Config:
  """Return the published network, narrower and with fewer blocks."""
  options = dict(base_channels=4, stage_blocks=(1, 2, 1), inflate=(0, 1, 1))
  return Config(options, (2, 6, 16, 16, 17), seed)


def build(config: Config) -> Pair:
  """Return both networks with the same random weights."""
  theirs = volume_networks.make(config).train()
  theirs.cls_head.dropout = None
  model = models.build_model(
    'slowonly',
    graph=None,
    num_classes=networks.NUM_CLASSES,
    norm_group=config.norm_group,
    dropout=0.0,
    **config.options,
  )
  like = jax.eval_shape(
    model.init, jax.random.key(0), np.zeros(config.shape, np.float32)
  )
  pair = Pair(config, theirs, model, like)
  return dataclasses.replace(pair, variables=pair.from_torch({}))
