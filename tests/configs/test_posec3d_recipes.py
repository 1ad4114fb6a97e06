"""The configs of PoseC3D have the values of the published ones."""

import importlib

import pytest

# Of each recipe: clips per GPU and in total, epochs, passes per epoch, rate,
# weight decay, schedule, training and test size, blocks, flip of test views.
_FROM_SCRATCH = {
  'mmaction0x': (
    16, 256, 240, 1, 0.2, 3e-4, 'cosine', 56, 64, (4, 6, 3), '0x',
  ),
  'rc0': (16, 128, 240, 1, 0.2, 3e-4, 'cosine', 56, 64, (4, 6, 3), '0x'),
  'mmaction1x': (
    16, 128, 24, 10, 0.2, 3e-4, 'cosine', 56, 64, (4, 6, 3), '1x',
  ),
}  # fmt: skip
_FINE_TUNED = {
  'mmaction0x': (16, 128, 12, 10, 0.01, 3e-4, 'step', 48, 56, (3, 4, 6), '0x'),
  'rc0': (16, 128, 12, 10, 0.01, 3e-4, 'step', 48, 56, (3, 4, 6), '0x'),
  'mmaction1x': (16, 128, 12, 10, 0.01, 3e-4, 'step', 48, 56, (3, 4, 6), '1x'),
}
_RECIPES = {
  'gym_keypoint': _FROM_SCRATCH,
  'gym_limb': _FROM_SCRATCH,
  'ntu60_keypoint': _FROM_SCRATCH,
  'ntu60_limb': _FROM_SCRATCH,
  'ntu120_keypoint': {'mmaction0x': _FROM_SCRATCH['mmaction0x']},
  'ntu120_limb': {'mmaction0x': _FROM_SCRATCH['mmaction0x']},
  'ucf101_keypoint': _FINE_TUNED,
  'hmdb51_keypoint': _FINE_TUNED
  | {
    'mmaction0x': (16, 128, 12, 10, 0.01, 1e-4, 'step', 48, 56, (3, 4, 6), '0x')
  },
  'k400_keypoint': {
    'mmaction1x': (
      32, 256, 24, 10, 0.4, 1e-4, 'cosine', 56, 64, (3, 4, 6), '1x',
    ),
  },
}  # fmt: skip
_CASES = [(name, recipe) for name in _RECIPES for recipe in _RECIPES[name]]
_DATASETS = {
  'gym': 'gym',
  'ntu60': 'ntu60_xsub_2d',
  'ntu120': 'ntu120_xsub_2d',
  'ucf101': 'ucf101_split1',
  'hmdb51': 'hmdb51_split1',
  'k400': 'k400',
}


def _load(name, recipe):
  """The zoo has a file per row of 1.0.0rc0, the other recipes one for all."""
  data, heatmap = name.split('_')
  if recipe == 'rc0':
    return importlib.import_module(f'configs.posec3d_{name}').get_config()
  module = importlib.import_module(f'configs.posec3d_{recipe}')
  return module.get_config(f'heatmap={heatmap},dataset={_DATASETS[data]}')


@pytest.mark.parametrize('name, recipe', _CASES)
def test_recipe_is_the_published_one(name, recipe):
  config = _load(name, recipe)
  optim, features, model = config.optim, config.input, config.model
  found = (
    model.norm_group, config.train.batch_size, config.train.epochs,
    config.data.repeat, optim.base_lr, optim.weight_decay, optim.schedule,
    features.size, features.test_size, tuple(model.stage_blocks),
    features.mirror,
  )  # fmt: skip
  assert found == _RECIPES[name][recipe]
  assert optim.reference_batch == config.train.batch_size
  assert (optim.momentum, optim.nesterov, optim.clip_norm) == (0.9, False, 40)
  if optim.schedule == 'step':
    assert optim.milestones == (9, 11)
  assert (config.data.frames, config.data.clip_len) == ('uniform', 48)
  assert (config.data.num_clips, config.eval.mirrored) == (10, True)
  assert config.eval.average == 'prob'
  is_stretched = name == 'k400_keypoint'
  assert features.resize == ('stretch' if is_stretched else 'short_side')
  assert features.heatmap == name.split('_')[1]
  assert config.data.dataset == _DATASETS[name.split('_')[0]]
  assert bool(config.train.pretrained) == (optim.schedule == 'step')
