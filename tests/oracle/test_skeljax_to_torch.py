"""What is written into a PyTorch file, and what is refused."""

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
from skeljax.convert import own_files
from skeljax.convert import skeljax_to_torch
from skeljax.convert import torch_to_skeljax
from skeljax.datasets.spec import DataSpec

_NARROW = {
  'base_channels': 8,
  'num_stages': 2,
  'inflate_stages': (2,),
  'down_stages': (2,),
}


_NARROW_VOLUMES = {'base_channels': 2, 'stage_blocks': (1, 1, 1)}


def _save(path, config, naming='', layout='nturgb+d', **model):
  """Writes random weights of a configuration, narrowed."""
  is_volume = models.input_kind(config.model.name) == 'heatmaps'
  narrow = _NARROW_VOLUMES if is_volume else _NARROW
  config.model.update(narrow | model)
  config.data.update(dir='/home/somebody/data', clip_len=8)
  spec = DataSpec(
    layout=skeletons.get_layout(layout),
    class_names=('sit', 'stand', 'walk'),
    num_channels=2 if is_volume else 3,
    num_persons=2,
    normalize='none',
    keypoint_dtype='float32',
    max_frames=0,
  )
  rng = np.random.default_rng(0)
  variables = jax.tree.map(
    lambda a: rng.random(a.shape, np.float32),
    run_lib.Run(config, spec).abstract_variables(),
  )
  meta = run_lib.Run(config, spec).checkpoint_meta()
  return skeljax_to_torch.save(str(path), variables, meta, naming)


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
      "no AGCN of the form 'softmax_0x'",
    ),
    (agcn_joint, 'mmaction1x', {}, "no AGCN of the form 'softmax_0x'"),
    (posec3d_ntu60_keypoint, 'original', {}, 'not known for slowonly'),
    (posec3d_ntu60_keypoint, 'pyskl', {'with_pool2': True}, 'with_pool2=False'),
  ],
)
def test_a_code_base_gets_no_network_that_it_has_not(
  config, naming, model, words, tmp_path
):
  path = tmp_path / 'model.pth'
  with pytest.raises(errors.UserError, match=words):
    _save(path, config.get_config(), naming, **model)
  assert not list(tmp_path.iterdir())


def test_pyskl_gets_no_layout_that_it_has_no_name_for(tmp_path):
  config = stgcn_mmaction1x.get_config()
  with pytest.raises(errors.UserError, match='knows layouts by name only'):
    _save(tmp_path / 'model.pth', config, 'pyskl', layout='ucla')


def test_a_file_that_is_given_away_names_no_folder_of_its_maker(tmp_path):
  path = tmp_path / 'model.pth'
  config = stgcn_mmaction1x.get_config()
  config.train.init_from = '/home/somebody/weights.pth'
  assert _save(path, config) == 'mmaction1x'
  meta = torch.load(path, weights_only=True)['meta']
  assert 'somebody' not in str(meta)
  kept = meta[own_files.META_KEY]
  assert kept['spec']['class_names'] == ['sit', 'stand', 'walk']
  found = torch_to_skeljax.load(str(path))
  model = config_dict.ConfigDict(found.meta['config']).model
  assert tuple(model.down_stages) == (2,)


@pytest.mark.parametrize('heatmap', ['keypoint', 'limb', 'keypoint_limb'])
def test_posec3d_of_any_layout_comes_back_with_all_that_it_is(
  heatmap, tmp_path
):
  path = tmp_path / 'model.pth'
  config = posec3d_ntu60_keypoint.get_config(f'heatmap={heatmap}')
  config.input.sigma = 0.7
  assert _save(path, config, 'pyskl', layout='ucla') == 'pyskl'
  assert 'somebody' not in str(torch.load(path, weights_only=True)['meta'])
  found = torch_to_skeljax.load(str(path))
  assert found.naming == 'pyskl'
  assert found.meta['spec']['layout']['name'] == 'ucla'
  assert not found.meta['torch']['is_assumed']
  assert found.meta['torch']['is_stream_told']
  expected = config.input.to_dict()
  features = found.meta['config']['input']
  assert {k: v for k, v in features.items() if not isinstance(v, list)} == {
    k: v for k, v in expected.items() if not isinstance(v, tuple)
  }
  assert features['sigma'] == 0.7


def test_a_graph_of_many_hops_comes_back(tmp_path):
  path = tmp_path / 'model.pth'
  config = stgcn_joint_3d.get_config()
  config.graph.update(mode='stgcn_spatial', max_hop=6)
  _save(path, config, 'mmaction0x')
  found = torch_to_skeljax.load(str(path))
  assert found.meta['config']['graph']['max_hop'] == 6
  assert found.variables['graph']['adjacency'].shape == (13, 25, 25)
