"""A PyTorch file has the scores of the folder that it is converted to."""

import pickle
import types

import jax
import networks
import numpy as np
import pytest
import torch

from configs import agcn_mmaction1x
from data_prep import options as options_lib
from data_prep import prepare
from skeljax import errors
from skeljax import evaluate
from skeljax import score_file
from skeljax import skeletons
from skeljax.convert import __main__ as command
from skeljax.convert import family as family_lib
from skeljax.skeletons import graph as graph_lib


@pytest.fixture(scope='module')
def prepared_root(tmp_path_factory):
  """Root of `tiny`: eleven clips of 25 joints, not normalised."""
  folder = tmp_path_factory.mktemp('evaluated')
  rng = np.random.default_rng(0)
  items = [
    dict(
      frame_dir=f'clip{i:02d}',
      label=i % networks.NUM_CLASSES,
      total_frames=int(frames),
      keypoint=rng.normal(size=(1 + i % 2, frames, 25, 3)).astype(np.float16),
    )
    for i, frames in enumerate(rng.integers(5, 30, size=11))
  ]
  names = [item['frame_dir'] for item in items]
  with open(folder / 'tiny.pkl', 'wb') as f:
    split = {'train': names[:4], 'val': names[4:]}
    pickle.dump({'split': split, 'annotations': items}, f)
  (folder / 'names.txt').write_text(
    '\n'.join(f'class{i}' for i in range(networks.NUM_CLASSES)) + '\n'
  )
  options = options_lib.Options(
    source='pickle',
    input=str(folder / 'tiny.pkl'),
    layout='nturgb+d',
    name='tiny',
    output=str(folder),
    class_names=str(folder / 'names.txt'),
  )
  prepare.prepare(options, ['--runner=FnApiRunner'])
  return str(folder)


@pytest.fixture(scope='module')
def aagcn_file(tmp_path_factory, oracle_seed):
  """A file of 2s-AGCN of mmaction2 with three stages."""
  options = dict(
    variant='tanh',
    attention=False,
    base_channels=8,
    num_stages=3,
    inflate_stages=(3,),
    down_stages=(3,),
  )
  graph = graph_lib.Graph(skeletons.get_layout('nturgb+d'), 'spatial')
  config = networks.Config(
    'agcn', graph, tuple(options.items()), (1, 2, 8, 25, 3), seed=oracle_seed
  )
  network = networks.build(config).theirs
  networks.settle(network, 0)
  path = tmp_path_factory.mktemp('files') / 'agcn.pth'
  torch.save({'state_dict': network.state_dict()}, path)
  return str(path)


def bone_config(frames):
  """Return a config for 3D data without normalization."""
  config = agcn_mmaction1x.get_config('stream=bone')
  config.data.update(normalize='none', clip_len=frames, num_clips=2)
  config.eval.batch_size = 4
  return config


@pytest.fixture
def score(monkeypatch, tmp_path, prepared_root):
  """score(checkpoint, config) -> the scores written by skeljax.evaluate."""

  def function(checkpoint, config=None, **flags):
    output = str(tmp_path / 'scores.npz')
    usual = dict(
      checkpoint=checkpoint, step='last', output=output, split='val',
      data_dir=prepared_root, dataset='tiny', num_clips=0, average='',
      batch_size=0, mirrored=None, distributed='off', config=config,
    )  # fmt: skip
    args = types.SimpleNamespace(**usual | flags)
    monkeypatch.setattr(evaluate, 'flags', types.SimpleNamespace(FLAGS=args))
    assert evaluate.main([]) == 0
    return score_file.read(output)

  return function


def assert_equal_scores(a, b):
  assert a.ids == b.ids
  np.testing.assert_array_equal(a.scores, b.scores)


def test_a_file_and_its_conversion_have_equal_scores(
  aagcn_file, score, tmp_path
):
  config = bone_config(8)
  from_file = score(aagcn_file, config)
  assert len(from_file.ids) == 7
  # Converted with the configuration it needs no flag.
  folder = str(tmp_path / 'with_config')
  given = family_lib.Overrides(config=config)
  command.to_workdir(aagcn_file, folder, given)
  assert_equal_scores(score(folder), from_file)
  # A file written from it has the same scores.
  back = str(tmp_path / 'back.pth')
  command.to_torch_file(folder, back, 'last', '')
  assert_equal_scores(score(back), from_file)
  # Another config has other scores.
  folder = str(tmp_path / 'folder')
  command.to_workdir(aagcn_file, folder, family_lib.Overrides())
  config.input.stream = 'joint'
  assert not np.array_equal(score(folder, config).scores, from_file.scores)


def test_a_dataset_that_does_not_fit_is_an_error(aagcn_file, score, tmp_path):
  # Without a config the normalization of mmaction2 is assumed.
  with pytest.raises(errors.UserError, match='normalize is none'):
    score(aagcn_file)
  file = torch.load(aagcn_file, weights_only=True)
  state = file['state_dict']
  for leaf in ('weight', 'bias'):
    state[f'cls_head.fc.{leaf}'] = state[f'cls_head.fc.{leaf}'][:5]
  path = str(tmp_path / 'five.pth')
  torch.save(file, path)
  with pytest.raises(
    errors.UserError, match='number of classes is 7, expected 5'
  ) as error:
    score(path, bone_config(8))
  assert path in str(error.value)


def test_meta_of_the_written_file_is_plain(aagcn_file, tmp_path):
  folder, back = str(tmp_path / 'folder'), str(tmp_path / 'back.pth')
  command.to_workdir(aagcn_file, folder, family_lib.Overrides())
  command.to_torch_file(folder, back, 'last', '')
  # Other code also loads with weights_only.
  file = torch.load(back, weights_only=True)
  assert set(file) == {'meta', 'state_dict'}
  leaves = jax.tree.leaves(file['meta'])
  assert {type(leaf) for leaf in leaves} <= {str, int, float, bool}
