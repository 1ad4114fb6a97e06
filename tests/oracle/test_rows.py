"""Our configs have the values of those of mmaction2 1.x, which are read live.

mmengine opens every config of mmaction2's skeleton networks; missing arguments
come from the signatures of its classes. Translated to our fields, they must equal
our config of the same row. Published accuracies come from its metafile.yml.
"""

import pathlib

import configurations_1x
import jax.numpy as jnp
import mmaction
from mmaction.models import losses as published
import mmengine
import numpy as np
import pytest
import torch

from skeljax import cli
from skeljax import skeletons
from skeljax.models import agcn
from skeljax.training import losses
from tests import published_rows

_CONFIGS = pathlib.Path(__file__).resolve().parents[2] / 'configs'
_SKELETON = pathlib.Path(mmaction.__file__).parent / '.mim/configs/skeleton'
_FOLDERS = ('stgcn', '2s-agcn', 'stgcnpp', 'posec3d')
_FILES = sorted(
  path for folder in _FOLDERS for path in (_SKELETON / folder).glob('*.py')
)
_LOSSES = {'cross_entropy': 'CrossEntropyLoss', 'cb_focal': 'CBFocalLoss'}
# Name of the prepared dataset -> annotation file and training split.
_DATASETS = {
  'gym': ('gym_2d', 'train'),
  'k400': ('k400_2d', 'train'),
  'ucf101_split1': ('ucf101_2d', 'train1'),
  'hmdb51_split1': ('hmdb51_2d', 'train1'),
}
_ROWS = {row.published: row for row in published_rows.ROWS}


def _our_training(config, row):
  optim, name = config.optim, config.data.dataset
  assert not optim.scale_lr
  if name in _DATASETS:
    dataset = _DATASETS[name]
  else:  # Such as ntu60_xsub_3d.
    data, benchmark, dims = name.split('_')
    dataset = (f'{data}_{dims}', f'{benchmark}_train')
  is_step = optim.schedule == 'step'
  return {
    'classes': published_rows.CLASSES[row.data],
    'dataset': dataset,
    'loss': _LOSSES[config.loss.name],
    'label_smoothing': optim.label_smoothing,
    'warmup': optim.warmup_steps + optim.warmup_epochs,
    'frames': config.data.frames,
    'repeat': config.data.repeat,
    'norm_group': config.model.norm_group,
    'batch_size': config.train.batch_size,
    'reference_batch': optim.reference_batch,
    'epochs': config.train.epochs,
    'val_interval': config.eval.every_epochs,
    'lr': optim.base_lr,
    'momentum': optim.momentum,
    'weight_decay': optim.weight_decay,
    'nesterov': optim.nesterov,
    'clip_norm': optim.clip_norm,
    'schedule': (
      optim.schedule, optim.milestones if is_step else (), optim.gamma,
    ),
    'clip_len': config.data.clip_len,
    'num_clips': config.data.num_clips,
    'has_pretrained': bool(config.train.pretrained),
  }  # fmt: skip


def _our_gcn(config, row):
  model = config.model
  fields = {
    'dims': config.data.dims,
    'augmentation': tuple(
      config.input[field] for field in ('rotate', 'scale', 'shift', 'flip')
    ),
    'scaled': (config.input.centre_first_frame, config.input.min_max),
    'mirrored': config.eval.mirrored,
    'normalize': config.data.normalize,
    'normalize_2d': config.input.normalize_2d,
    'stream': config.input.stream,
    'num_persons': row.shape[1],
    'graph': (config.graph.mode, config.graph.max_hop),
    'average': config.eval.average,
    **{
      field: model[field]
      for field in (
        'base_channels', 'num_stages', 'inflate_stages', 'down_stages',
        'ch_ratio', 'data_bn', 'dropout', 'tcn_dropout', 'name', 'adaptive',
      )
    },
  }  # fmt: skip
  assert config.graph.edges == '1x'
  if model.name == 'stgcn':
    assert model.weight_init == 'mmaction1x'
    more = ('conv_pos', 'gcn_with_res', 'tcn_type')
    return fields | {field: model[field] for field in more}
  fields['data_bn'] = model.data_bn or agcn.VARIANTS[model.variant].data_bn
  assert model.variant == 'tanh'
  return fields | {'attention': model.attention}


def _our_posec3d(config, row):
  features, model = config.input, config.model
  layout = skeletons.get_layout('coco')
  is_limb = features.heatmap == 'limb'

  def pairs(order):
    return tuple((i, j) for i, j in enumerate(order) if i < j)

  assert features.mirror == '1x'
  fields = (
    'base_channels', 'stage_blocks', 'inflate', 'inflate_style',
    'spatial_strides', 'temporal_strides', 'dilations', 'conv1_kernel',
    'with_pool1', 'with_pool2', 'zero_init_residual', 'conv1_stride',
    'pool1_stride', 'dropout',
  )  # fmt: skip
  return {
    'heatmap': features.heatmap,
    'channels': row.shape[-1],
    'sigma': features.sigma,
    'use_score': features.use_score,
    'scaling': features.scaling,
    'limbs': layout.limbs if is_limb else (),
    'mirror_limbs': pairs(layout.limb_flip_index) if is_limb else (),
    'mirror': pairs(layout.flip_index),
    'mirror_training': pairs(layout.flip_index),
    'mirrored': config.eval.mirrored,
    'flip': features.flip,
    'sizes': (
      features.short_side, features.size, features.test_size, features.resize,
    ),
    'compact': (
      features.compact_padding, features.compact_threshold,
      features.compact_hw_ratio, features.allow_imgpad,
    ),
    'crop': (features.crop_area, features.crop_aspect),
    'average': config.eval.average,
    **{field: model[field] for field in fields},
  }  # fmt: skip


def test_every_published_config_has_a_row():
  assert {path.stem for path in _FILES} <= set(_ROWS)
  assert len(_FILES) == 39


@pytest.mark.parametrize('path', _FILES, ids=lambda path: path.stem)
def test_config_equals_the_published_one(path):
  row = _ROWS[path.stem]
  cfg = mmengine.Config.fromfile(str(path))
  config = cli.load_config(f'{_CONFIGS}/{row.command}')
  theirs = configurations_1x.training(cfg, path)
  ours = _our_training(config, row)
  if row.command.startswith('posec3d'):
    theirs |= configurations_1x.heatmap_network(cfg)
    ours |= _our_posec3d(config, row)
  else:
    theirs |= configurations_1x.graph_network(cfg)
    ours |= _our_gcn(config, row)
  assert ours == theirs


@pytest.mark.parametrize('folder', _FOLDERS)
def test_accuracies_and_sizes_equal_the_metafile(folder):
  models = mmengine.load(_SKELETON / folder / 'metafile.yml')['Models']
  compared = 0
  for model in models:
    row = _ROWS.get(model['Name'])
    if row is None:
      assert model['Config'].split('/')[3] == 'rgbpose_conv3d', model['Name']
      continue
    results = model['Results']
    results = results[0] if isinstance(results, list) else results
    (accuracy,) = results['Metrics'].values()
    assert float(row.accuracy) == accuracy, model['Name']
    # '3.1M' is stated for 120 classes as well.
    millions = float(model['Metadata']['Parameters'].removesuffix('M'))
    assert row.parameters / 1e6 == pytest.approx(millions, abs=0.07)
    compared += 1
  assert compared == sum(path.parent.name == folder for path in _FILES)


@pytest.mark.parametrize('classes', [60, 120])
def test_loss_of_babel_equals_the_published_one(classes, oracle_seed):
  config = cli.load_config(f'{_CONFIGS}/stgcn_babel{classes}_wfl.py')
  options = losses.LossOptions(
    label_smoothing=config.optim.label_smoothing, **config.loss
  )
  rng = np.random.default_rng(oracle_seed)
  logits = rng.normal(scale=3, size=(32, classes)).astype(np.float32)
  labels = rng.integers(0, classes, 32)
  ours, _ = options(jnp.asarray(logits), jnp.asarray(labels))
  oracle = published.CBFocalLoss(
    samples_per_cls=list(config.loss.samples_per_class)
  )
  theirs = oracle(torch.tensor(logits), torch.tensor(labels))
  np.testing.assert_allclose(ours.mean(), theirs.item(), rtol=1e-6)
