"""The printed config builds the network that loads the written file."""

import ast

import jax
from ml_collections import config_dict
from mmaction.registry import MODELS
import numpy as np
import pytest
import torch

from skeljax import errors
from skeljax import run as run_lib
from skeljax import skeletons
from skeljax.convert import checkpoint
from skeljax.convert import tensors
from skeljax.datasets import spec as spec_lib

_SECTIONS = {
  'data': {'clip_len': 8},
  'input': {
    'stream': 'joint',
    'rotate': (),
    'centre_first_frame': False,
    'min_max': False,
  },
}
_NARROW = {
  'base_channels': 8,
  'num_stages': 3,
  'inflate_stages': (2,),
  'down_stages': (3,),
}
# Model options and graph section of each case.
CASES = {
  'stgcn': ({'name': 'stgcn'}, {'mode': 'stgcn_spatial'}),
  'two hops': ({'name': 'stgcn'}, {'mode': 'stgcn_spatial', 'max_hop': 2}),
  'uniform': ({'name': 'stgcn', 'adaptive': 'offset'}, {'mode': 'uniform'}),
  'fixed': ({'name': 'stgcn', 'adaptive': 'none'}, {'mode': 'binary'}),
  'stgcn++': (
    {
      'name': 'stgcn',
      'adaptive': 'init',
      'gcn_with_res': True,
      'tcn_type': 'mstcn',
      'ch_ratio': 1.5,
    },
    {'mode': 'spatial'},
  ),
  '2s-agcn': ({'name': 'agcn', 'variant': 'tanh'}, {'mode': 'spatial'}),
  'aagcn': (
    {'name': 'agcn', 'variant': 'tanh', 'attention': True, 'data_bn': 'VC'},
    {'mode': 'spatial'},
  ),
  'no input norm': (
    {'name': 'agcn', 'variant': 'tanh', 'adaptive': False, 'data_bn': 'none'},
    {'mode': 'spatial'},
  ),
}


def _run(case, layout):
  model, graph = CASES[case]
  config = config_dict.ConfigDict(
    {
      'model': {'dtype': 'float32', **_NARROW, **model},
      'graph': graph,
      **_SECTIONS,
    }
  )
  spec = spec_lib.DataSpec(
    layout=skeletons.get_layout(layout),
    class_names=('a', 'b', 'c'),
    num_channels=2,
    num_persons=1,
    score_dtype='float32' if layout == 'coco' else '',
  )
  return run_lib.Run(config, spec)


def _published_model(run):
  family = checkpoint.FAMILIES[run.config.model.name]
  return family.published_model(run, 'mmaction1x')


@pytest.mark.parametrize('layout', ['coco', 'handmp'])
@pytest.mark.parametrize('case', CASES)
def test_mmaction2_builds_the_network_and_loads_it_strictly(case, layout):
  run = _run(case, layout)
  printed = str(_published_model(run))
  theirs = MODELS.build(ast.literal_eval(printed) | {'data_preprocessor': None})
  abstract = run.abstract_variables()
  rng = np.random.default_rng(0)
  variables = jax.tree.map(
    lambda a: rng.uniform(0.5, 1, a.shape).astype(np.float32), abstract
  )
  state_dict = tensors.to_torch(
    variables,
    checkpoint.FAMILIES[run.config.model.name].get_naming('mmaction1x'),
    adjacency=run.graph.adjacency(),
  )
  theirs.load_state_dict(
    {name: torch.from_numpy(array) for name, array in state_dict.items()},
    strict=True,
  )
  theirs.eval()
  x = rng.normal(size=run.input_shape(2)).astype(np.float32)
  with torch.no_grad():
    expected = theirs.cls_head(theirs.backbone(torch.from_numpy(x))).numpy()
  found = np.asarray(run.model.apply(variables, x))
  assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


def test_what_mmaction2_cannot_build_is_an_error():
  run = _run('stgcn', 'coco')
  run.config.graph.mode = 'distance'
  with pytest.raises(errors.UserError, match='no graph of 2 matrices'):
    _published_model(run)
  run = _run('2s-agcn', 'coco')
  run.config.model.ch_ratio = 1.5
  with pytest.raises(errors.UserError, match='has ch_ratio=2 only'):
    _published_model(run)
