"""Networks with random weights, and their PyTorch tensors.

Nothing is compiled: shapes come from eval_shape, values from NumPy. PyTorch is
not needed: a state_dict is a dictionary of arrays here.
"""

from collections.abc import Mapping
import dataclasses
import functools
from typing import Any

from flax import linen as nn
from flax import traverse_util
import jax
import numpy as np
import pytest

from skeljax import models
from skeljax import skeletons
from skeljax.convert import checkpoint
from skeljax.convert import tensors
from skeljax.skeletons import graph as graph_lib


@dataclasses.dataclass(frozen=True)
class Network:
  """A skeljax network with weights.

  Attributes:
    family: 'stgcn', 'agcn' or 'slowonly'.
    model: the module.
    variables: the collections params, batch_stats and graph; NumPy arrays.
  """

  family: str
  model: nn.Module
  variables: Mapping[str, Any]

  @property
  def adjacency(self) -> np.ndarray | None:
    graph = getattr(self.model, 'graph', None)
    return None if graph is None else graph.adjacency()

  def state_dict(self, naming: str) -> dict[str, np.ndarray]:
    """Return the tensors of a file of a code base."""
    return tensors.to_torch(
      self.variables,
      checkpoint.FAMILIES[self.family].get_naming(naming),
      adjacency=self.adjacency,
      counters=7,
    )


def _make(
  family: str,
  *,
  graph: graph_lib.Graph,
  num_classes: int = 4,
  channels: int = 3,
  persons: int = 2,
  seed: int = 0,
  **options,
) -> Network:
  model = models.build_model(
    family, graph=graph, num_classes=num_classes, **options
  )
  shape = (1, persons, 8, graph.layout.num_joints, channels)
  rng = np.random.default_rng(seed)
  filled = {
    path: _fill(path, array, graph, rng)
    for path, array in _abstract(model, shape).items()
  }
  return Network(family, model, traverse_util.unflatten_dict(filled))


def _make_slowonly(
  *, channels: int = 17, num_classes: int = 4, seed: int = 0, **options
) -> Network:
  """SlowOnly; no array depends on the size of the heatmaps."""
  options = dict(base_channels=2, stage_blocks=(1, 2, 1)) | options
  model = models.build_model('slowonly', num_classes=num_classes, **options)
  rng = np.random.default_rng(seed)
  filled = {
    path: _fill(path, array, None, rng)
    for path, array in _abstract(model, (1, 8, 16, 16, channels)).items()
  }
  return Network('slowonly', model, traverse_util.unflatten_dict(filled))


@functools.cache
def _abstract(model: nn.Module, shape: tuple[int, ...]):
  like = jax.eval_shape(
    model.init, jax.random.key(0), np.zeros(shape, np.float32)
  )
  return traverse_util.flatten_dict(dict(like))


def _fill(path, array, graph, rng):
  """Return values as after training; a fixed graph is kept."""
  noise = rng.normal(size=array.shape)
  if path[-1] == 'adjacency':
    learned = path[0] == 'params'
    values = graph.adjacency() + (0.05 * noise if learned else 0)
  elif path[-1] == 'importance':
    values = 1 + 0.1 * noise
  elif path[-1] == 'offset':
    values = 0.01 * noise
  elif path[-1] == 'var':
    values = 1 + abs(noise)
  else:
    values = noise
  return np.asarray(values, np.float32)


@pytest.fixture(scope='session')
def make_network():
  """make_network(family, graph=..., **options) -> Network."""
  return _make


@pytest.fixture(scope='session')
def make_slowonly():
  """make_slowonly(channels=..., num_classes=..., **options) -> Network."""
  return _make_slowonly


@pytest.fixture(scope='session')
def coco_network():
  """A narrow ST-GCN of three stages."""
  return _make(
    'stgcn',
    graph=graph_lib.Graph(skeletons.get_layout('coco'), 'stgcn_spatial'),
    base_channels=8,
    num_stages=3,
    inflate_stages=(3,),
    down_stages=(3,),
  )
