"""Writing PyTorch files."""

import jax
from ml_collections import config_dict
import numpy as np
import pytest
import torch

from configs import agcn_joint
from configs import posec3d_ntu60_keypoint
from configs import stgcn_joint_3d
from configs import stgcn_mmaction1x
from skeljax import errors
from skeljax import models
from skeljax import run as run_lib
from skeljax import skeletons
from skeljax.convert import checkpoint
from skeljax.datasets import spec as spec_lib

_NARROW = {
  'base_channels': 8,
  'num_stages': 2,
  'inflate_stages': (2,),
  'down_stages': (2,),
}


_NARROW_SLOWONLY = {'base_channels': 2, 'stage_blocks': (1, 1, 1)}


def _save(path, config, naming='', layout='nturgb+d', **model):
  """Write random weights of a narrow network; return the code base."""
  is_slowonly = models.input_kind(config.model.name) == 'heatmaps'
  narrow = _NARROW_SLOWONLY if is_slowonly else _NARROW
  config.model.update(narrow | model)
  config.data.update(dir='/home/me/data', clip_len=8)
  spec = spec_lib.DataSpec(
    layout=skeletons.get_layout(layout),
    class_names=('sit', 'stand', 'walk'),
    num_channels=2 if is_slowonly else 3,
    num_persons=2,
  )
  run = run_lib.Run(config, spec)
  rng = np.random.default_rng(0)
  variables = jax.tree.map(
    lambda a: rng.random(a.shape, np.float32),
    run.abstract_variables(),
  )
  meta = run.checkpoint_meta()
  return checkpoint.save(str(path), variables, meta, naming)[0]


@pytest.mark.parametrize(
  'config, naming, model, words',
  [
    (stgcn_joint_3d, 'original', {'conv_pos': 'post'}, 'conv_pos=pre only'),
    (stgcn_joint_3d, 'mmaction0x', {'data_bn': 'MVC'}, 'data_bn=VC only'),
    (stgcn_joint_3d, 'mmaction0x', {'tcn_type': 'mstcn'}, 'has no block_0'),
    (agcn_joint, 'mmaction0x', {'data_bn': 'MVC'}, 'data_bn=VC only'),
    (
      agcn_joint,
      'original',
      {'data_bn': ''},
      "no AGCN of variant 'softmax_0x'",
    ),
    (agcn_joint, 'mmaction1x', {}, "no AGCN of variant 'softmax_0x'"),
    (posec3d_ntu60_keypoint, 'original', {}, 'slowonly exists as'),
    (posec3d_ntu60_keypoint, 'pyskl', {'with_pool2': True}, 'with_pool2=False'),
  ],
)
def test_a_network_that_a_code_base_does_not_have_is_an_error(
  config, naming, model, words, tmp_path
):
  path = tmp_path / 'model.pth'
  with pytest.raises(errors.UserError, match=words):
    _save(path, config.get_config(), naming, **model)
  assert not list(tmp_path.iterdir())


def test_a_layout_that_pyskl_does_not_have_is_an_error(tmp_path):
  config = stgcn_mmaction1x.get_config()
  with pytest.raises(errors.UserError, match='pyskl has the layouts'):
    _save(tmp_path / 'model.pth', config, 'pyskl', layout='ucla')


def test_a_written_file_contains_no_folders(tmp_path):
  path = tmp_path / 'model.pth'
  config = stgcn_mmaction1x.get_config()
  config.train.init_from = '/home/me/weights.pth'
  assert _save(path, config) == 'mmaction1x'
  meta = torch.load(path, weights_only=True)['meta']
  assert '/home/me' not in str(meta)
  kept = meta[checkpoint.META_KEY]
  assert kept['spec']['class_names'] == ['sit', 'stand', 'walk']
  found = checkpoint.load(str(path))
  model = config_dict.ConfigDict(found.meta['config']).model
  assert tuple(model.down_stages) == (2,)


@pytest.mark.parametrize('heatmap', ['keypoint', 'limb', 'keypoint_limb'])
def test_config_and_spec_of_posec3d_are_read_back(heatmap, tmp_path):
  path = tmp_path / 'model.pth'
  config = posec3d_ntu60_keypoint.get_config(f'heatmap={heatmap}')
  config.input.sigma = 0.7
  assert _save(path, config, 'pyskl', layout='ucla') == 'pyskl'
  assert '/home/me' not in str(torch.load(path, weights_only=True)['meta'])
  found = checkpoint.load(str(path))
  assert found.meta['torch']['code_base'] == 'pyskl'
  assert found.meta['spec']['layout']['name'] == 'ucla'
  assert not found.meta['torch']['is_assumed']
  assert found.meta['torch']['is_stream_known']
  expected = config.input.to_dict()
  features = found.meta['config']['input']
  assert {k: v for k, v in features.items() if not isinstance(v, list)} == {
    k: v for k, v in expected.items() if not isinstance(v, tuple)
  }
  assert features['sigma'] == 0.7


def test_a_graph_of_many_hops_is_read_back(tmp_path):
  path = tmp_path / 'model.pth'
  config = stgcn_joint_3d.get_config()
  config.graph.update(mode='stgcn_spatial', max_hop=6)
  _save(path, config, 'mmaction0x')
  found = checkpoint.load(str(path))
  assert found.meta['config']['graph']['max_hop'] == 6
  assert found.variables['graph']['adjacency'].shape == (13, 25, 25)
