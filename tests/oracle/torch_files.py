"""A small PyTorch file to damage, and helpers that convert it."""

import collections
import functools
import os

import networks
import numpy as np
import pytest
import torch

from skeljax import errors
from skeljax import skeletons
from skeljax.convert import __main__ as command
from skeljax.convert import family
from skeljax.skeletons import graph as graph_lib

CONFIG = networks.Config(
  'stgcn',
  graph_lib.Graph(skeletons.get_layout('coco'), 'stgcn_spatial'),
  (
    ('base_channels', 8),
    ('num_stages', 3),
    ('inflate_stages', (3,)),
    ('down_stages', (3,)),
  ),
  (1, 2, 8, 17, 3),
)


@functools.cache
def pair() -> networks.Pair:
  """ST-GCN of three narrow stages in mmaction2 and in skeljax."""
  return networks.build(CONFIG)


def make_state() -> dict[str, torch.Tensor]:
  """Return its state_dict, which tests may change."""
  return collections.OrderedDict(pair().theirs.state_dict())


class Hostile:
  """Unpickling calls a function."""

  def __init__(self, function, *args):
    self._call = (function, args)

  def __reduce__(self):
    return self._call

  def __call__(self):
    """Never called, but pickle requires a callable."""


def convert(path, tmp_path, **overrides):
  """Return the folder that the command writes, and its notes."""
  output = str(tmp_path / 'written' / 'workdir')
  notes = command.to_workdir(path, output, family.Overrides(**overrides))
  return output, '\n'.join(notes)


def error_of(path, tmp_path, **overrides):
  """Return the error of a conversion, which must leave no file behind."""
  before = sorted(os.listdir(tmp_path))
  with pytest.raises(errors.UserError) as error:
    convert(path, tmp_path, **overrides)
  assert sorted(os.listdir(tmp_path)) == before
  return str(error.value)


def assert_contains(file, state):
  """Assert that a TorchFile has exactly these tensors."""
  assert list(file.state_dict) == list(state)
  for name, tensor in state.items():
    np.testing.assert_array_equal(file.state_dict[name], tensor.numpy())
