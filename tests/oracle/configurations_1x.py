"""Read configs of mmaction2 1.x and translate them to the fields of ours.

Missing arguments come from the signatures of the classes.
"""

import inspect
import pathlib
import re

from mmaction.datasets import transforms
from mmaction.models import backbones
from mmaction.models import heads
from mmaction.models import utils
from mmaction.models.heads import base as base_head

_STREAMS = {
  'j': 'joint', 'b': 'bone', 'jm': 'joint_motion', 'bm': 'bone_motion',
}  # fmt: skip
_DIMS = {'coco': 2, 'nturgb+d': 3}


def _defaults(*functions):
  """Arguments with their defaults; the first function that has one wins."""
  found = {}
  for function in functions:
    for name, parameter in inspect.signature(function).parameters.items():
      found.setdefault(name, parameter.default)
  return found


def _plain(value):
  """Convert lists to tuples, so that they compare equal."""
  if isinstance(value, list | tuple):
    return tuple(map(_plain, value))
  return value


def _loader(cfg, name):
  # NOTE: for FineGYM limbs it is a tuple of one, by a stray comma.
  loader = cfg[f'{name}_dataloader']
  return loader[0] if isinstance(loader, list | tuple) else loader


def _dataset(cfg, name):
  """Return the dataset of a split and its passes per epoch."""
  dataset = _loader(cfg, name)['dataset']
  if dataset['type'] == 'RepeatDataset':
    return dataset['dataset'], dataset['times']
  return dataset, 1


def _pipeline(cfg, name):
  """Return the transforms of a split as type -> list."""
  dataset, _ = _dataset(cfg, name)
  found = {}
  for transform in dataset['pipeline']:
    found.setdefault(transform['type'], []).append(transform)
  return found


def _schedule(cfg):
  (scheduler,) = cfg.param_scheduler
  epochs = cfg.train_cfg['max_epochs']
  assert scheduler['by_epoch']
  if scheduler['type'] == 'CosineAnnealingLR':
    assert scheduler['convert_to_iter_based'] and scheduler['eta_min'] == 0
    assert scheduler['T_max'] == epochs
    return 'cosine', (), 0.1
  assert scheduler['type'] == 'MultiStepLR' and scheduler['end'] == epochs
  return 'step', _plain(scheduler['milestones']), scheduler['gamma']


def training(cfg, path):
  """Return the fields that both families have."""
  dataset, repeat = _dataset(cfg, 'train')
  per_gpu = _loader(cfg, 'train')['batch_size']
  gpus = int(re.search(r'_(\d)xb(\d+)-', path.stem)[1])
  wrapper = cfg.optim_wrapper
  optimizer = wrapper['optimizer']
  clip = wrapper.get('clip_grad') or {'max_norm': 0, 'norm_type': 2}
  assert optimizer['type'] == 'SGD' and clip['norm_type'] == 2
  assert cfg.train_cfg['val_begin'] == 1
  lengths = {
    name: _pipeline(cfg, name)['UniformSampleFrames'][0]['clip_len']
    for name in ('train', 'val', 'test')
  }
  assert len(set(lengths.values())) == 1
  views = {
    name: _pipeline(cfg, name)['UniformSampleFrames'][0].get('num_clips', 1)
    for name in lengths
  }
  assert (views['train'], views['val']) == (1, 1)
  scale = cfg.get('auto_scale_lr') or {'base_batch_size': gpus * per_gpu}
  head = dict(cfg.model['cls_head'])
  found = _defaults(getattr(heads, head['type']), base_head.BaseHead) | head
  return {
    'loss': found['loss_cls']['type'],
    'label_smoothing': found['label_smooth_eps'],
    'warmup': 0,  # One scheduler, see below.
    'frames': 'uniform',  # UniformSampleFrames.
    'classes': cfg.model['cls_head']['num_classes'],
    'dataset': (pathlib.Path(dataset['ann_file']).stem, dataset['split']),
    'repeat': repeat,
    'norm_group': per_gpu,
    'batch_size': gpus * per_gpu,
    'reference_batch': scale['base_batch_size'],
    'epochs': cfg.train_cfg['max_epochs'],
    'val_interval': cfg.train_cfg['val_interval'],
    'lr': optimizer['lr'],
    'momentum': optimizer['momentum'],
    'weight_decay': optimizer['weight_decay'],
    'nesterov': optimizer.get('nesterov', False),
    'clip_norm': clip['max_norm'],
    'schedule': _schedule(cfg),
    'clip_len': lengths['train'],
    'num_clips': views['test'],
    'has_pretrained': cfg.get('load_from') is not None,
  }


def graph_network(cfg):
  """Return input and network of a graph network."""
  pipeline = _pipeline(cfg, 'test')
  for name in ('train', 'val'):
    other = _pipeline(cfg, name)
    assert set(other) == set(pipeline)
    assert other['GenSkeFeat'] == pipeline['GenSkeFeat']
  # Only frames are random.
  assert set(pipeline) <= {
    'PreNormalize2D', 'PreNormalize3D', 'GenSkeFeat', 'UniformSampleFrames',
    'PoseDecode', 'FormatGCNInput', 'PackActionInputs',
  }  # fmt: skip
  (feature,) = pipeline['GenSkeFeat']
  (stream,) = feature['feats']
  backbone = dict(cfg.model['backbone'])
  kind = backbone.pop('type')
  found = _defaults(getattr(backbones, kind)) | backbone
  graph = _defaults(utils.Graph) | dict(backbone['graph_cfg'])
  assert graph['layout'] == feature['dataset']
  head = _defaults(heads.GCNHead) | dict(cfg.model['cls_head'])
  fields = {
    'dims': _DIMS[feature['dataset']],
    'augmentation': ((), 0, 0, 0),
    'scaled': (False, False),
    'mirrored': False,
    'normalize': 'mmaction1x' if 'PreNormalize3D' in pipeline else 'none',
    'normalize_2d': 'mmaction1x' if 'PreNormalize2D' in pipeline else 'none',
    'stream': _STREAMS[stream],
    'num_persons': pipeline['FormatGCNInput'][0]['num_person'],
    'graph': (graph['mode'], graph['max_hop']),
    'base_channels': found['base_channels'],
    'num_stages': found['num_stages'],
    'inflate_stages': _plain(found['inflate_stages']),
    'down_stages': _plain(found['down_stages']),
    'ch_ratio': found.get('ch_ratio', 2),
    'data_bn': found['data_bn_type'],
    'dropout': head['dropout'],
    'tcn_dropout': _defaults(utils.unit_tcn)['dropout'],
    'average': head['average_clips'],
  }
  if kind == 'STGCN':
    unit = _defaults(utils.unit_gcn)
    return fields | {
      'name': 'stgcn',
      'adaptive': backbone.get('gcn_adaptive', unit['adaptive']),
      'conv_pos': backbone.get('gcn_conv_pos', unit['conv_pos']),
      'gcn_with_res': backbone.get('gcn_with_res', unit['with_res']),
      'tcn_type': backbone.get('tcn_type', 'unit_tcn'),
    }
  unit = _defaults(utils.unit_aagcn)
  return fields | {
    'name': 'agcn',
    'adaptive': backbone.get('gcn_adaptive', unit['adaptive']),
    'attention': backbone.get('gcn_attention', unit['attention']),
  }


def _test_size(pipeline):
  """Return the image size outside training and how it is resized."""
  (resize,) = pipeline['Resize']
  if 'CenterCrop' in pipeline:
    assert resize['scale'] == (-1, pipeline['CenterCrop'][0]['crop_size'])
    return resize['scale'][1], 'short_side'
  assert resize['scale'][0] == resize['scale'][1] and not resize['keep_ratio']
  return resize['scale'][0], 'stretch'


def heatmap_network(cfg):
  """Return input and network of PoseC3D."""
  train, val, test = (_pipeline(cfg, n) for n in ('train', 'val', 'test'))
  assert _test_size(val) == _test_size(test)
  size, resize = _test_size(test)
  short, square = train['Resize']
  assert short['scale'][0] == -1 and square['scale'][0] == square['scale'][1]
  compact = _defaults(transforms.PoseCompact) | train['PoseCompact'][0]
  crop = _defaults(transforms.RandomResizedCrop)
  crop |= train['RandomResizedCrop'][0]
  target = _defaults(transforms.GeneratePoseTarget)
  target |= test['GeneratePoseTarget'][0]
  flip = train['Flip'][0]
  backbone = _defaults(backbones.ResNet3dSlowOnly, backbones.ResNet3d) | dict(
    cfg.model['backbone']
  )
  assert (backbone['type'], backbone['depth']) == ('ResNet3dSlowOnly', 50)
  head = dict(cfg.model['cls_head'])
  ratio = compact['hw_ratio']
  limbs = target['with_limb']
  kinds = {(True, False): 'keypoint', (False, True): 'limb'}
  fields = (
    'base_channels', 'stage_blocks', 'inflate', 'inflate_style',
    'spatial_strides', 'temporal_strides', 'dilations', 'conv1_kernel',
    'with_pool1', 'with_pool2', 'zero_init_residual',
  )  # fmt: skip
  return {
    'heatmap': kinds[target['with_kp'], target['with_limb']],
    'channels': backbone['in_channels'],
    'sigma': target['sigma'],
    'use_score': target['use_score'],
    'scaling': target['scaling'],
    'limbs': _plain(target['skeletons']) if limbs else (),
    'mirror_limbs': _pairs(target, 'limb') if limbs else (),
    'mirror': _pairs(target, 'kp'),
    'mirror_training': _pairs(flip, 'kp'),
    'mirrored': target['double'],
    'flip': flip['flip_ratio'],
    'sizes': (short['scale'][1], square['scale'][0], size, resize),
    'compact': (
      compact['padding'], compact['threshold'], (ratio, 1 / ratio),
      compact['allow_imgpad'],
    ),
    'crop': (_plain(crop['area_range']), _plain(crop['aspect_ratio_range'])),
    'dropout': head['dropout_ratio'],
    'average': head['average_clips'],
    **{field: _plain(backbone[field]) for field in fields},
    'conv1_stride': (backbone['conv1_stride_t'], backbone['conv1_stride_s']),
    'pool1_stride': (backbone['pool1_stride_t'], backbone['pool1_stride_s']),
  }  # fmt: skip


def _pairs(transform, what):
  pairs = zip(transform[f'left_{what}'], transform[f'right_{what}'])
  return tuple(sorted(pairs))
