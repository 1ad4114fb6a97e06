"""A small PyTorch file to damage, and how the command takes it."""

import collections
import functools
import os

import networks
import numpy as np
import pytest
import torch

from skeljax import errors
from skeljax import skeletons
from skeljax.convert import commands
from skeljax.convert import torch_to_skeljax
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
  """mmaction2's ST-GCN of three narrow stages, and ours."""
  return networks.build(CONFIG)


def make_state() -> dict[str, torch.Tensor]:
  """Its state_dict, to be changed at will."""
  return collections.OrderedDict(pair().theirs.state_dict())


class Hostile:
  """Pickles to a call of anything."""

  def __init__(self, function, *args):
    self._call = (function, args)

  def __reduce__(self):
    return self._call

  def __call__(self):
    """Never called: pickle wants what a call is made of to be callable."""


def convert(path, tmp_path, **given):
  """The folder that the command writes, and what it says."""
  output = str(tmp_path / 'written' / 'workdir')
  said = commands.to_workdir(path, output, torch_to_skeljax.Given(**given))
  return output, '\n'.join(said)


def refusal(path, tmp_path, **given):
  """What the command says when it refuses; it must leave nothing behind."""
  before = sorted(os.listdir(tmp_path))
  with pytest.raises(errors.UserError) as error:
    convert(path, tmp_path, **given)
  assert sorted(os.listdir(tmp_path)) == before
  return str(error.value)


def assert_holds(file, state):
  """A TorchCheckpoint has exactly these tensors."""
  assert list(file.state_dict) == list(state)
  for name, tensor in state.items():
    np.testing.assert_array_equal(file.state_dict[name], tensor.numpy())
