"""Every configuration, recipe and stream builds its parts."""

import pathlib

import jax
import pytest

from skeljax import cli
from skeljax import recipe
from skeljax import skeletons
from skeljax import train_state
from skeljax import training_plan

_FOLDER = pathlib.Path(__file__).resolve().parents[2] / 'configs'
_SHARED = ('common', 'gcn', 'posec3d')
_FILES = sorted(p.name for p in _FOLDER.glob('*.py') if p.stem not in _SHARED)
# Training clips: NW-UCLA, FineGYM, and for the rest NTU60 xsub.
_CLIPS = {'ucla': 1020, 'gym': 20484, 'ntu60': 40091}
# (file, recipe): optimiser steps of the published schedule on them.
_STEPS = {
  ('agcn_bone.py', 'published'): 133637,
  ('agcn_bone.py', 'u100'): 25057,
  ('agcn_bone.py', 'ucla'): 20719,
  ('agcn_joint.py', 'published'): 267273,
  ('agcn_joint.py', 'u100'): 25057,
  ('agcn_joint.py', 'ucla'): 20719,
  ('stgcn_joint_2d.py', 'published'): 100228,
  ('stgcn_joint_2d.py', 'u100'): 25057,
  ('stgcn_joint_3d.py', 'published'): 100228,
  ('stgcn_joint_3d.py', 'u100'): 25057,
  ('stgcn_joint_3d.py', 'ucla'): 20719,
  ('posec3d_gym_keypoint.py', 'published'): 19204,
  ('posec3d_gym_keypoint.py', 'mmaction1x'): 38408,
  ('posec3d_gym_limb.py', 'published'): 19204,
  ('posec3d_gym_limb.py', 'mmaction1x'): 38408,
  ('posec3d_hmdb51_keypoint.py', 'published'): 37585,
  ('posec3d_hmdb51_keypoint.py', 'mmaction1x'): 37585,
  ('posec3d_k400_keypoint.py', 'mmaction1x'): 37585,
  ('posec3d_ntu60_keypoint.py', 'published'): 37585,
  ('posec3d_ntu60_keypoint.py', 'mmaction1x'): 75171,
  ('posec3d_ntu60_limb.py', 'published'): 37585,
  ('posec3d_ntu60_limb.py', 'mmaction1x'): 75171,
  ('posec3d_ucf101_keypoint.py', 'published'): 37585,
  ('posec3d_ucf101_keypoint.py', 'mmaction1x'): 37585,
}
# Parameters at the classes of the dataset.
_PARAMETERS = {
  ('agcn_bone.py', 'published'): 3469360,
  ('agcn_bone.py', 'u100'): 3469520,
  ('stgcn_joint_2d.py', 'u100'): 3088704,
  ('stgcn_joint_2d.py', 'published'): 3088704,
  ('stgcn_joint_3d.py', 'published'): 3098832,
  ('posec3d_ntu60_keypoint.py', 'published'): 2024860,
  ('posec3d_ntu60_limb.py', 'mmaction1x'): 2024860,
  ('posec3d_gym_keypoint.py', 'published'): 2044867,
  ('posec3d_gym_limb.py', 'mmaction1x'): 2044867,
  ('posec3d_ucf101_keypoint.py', 'published'): 3055173,
  ('posec3d_hmdb51_keypoint.py', 'published'): 3029523,
  ('posec3d_k400_keypoint.py', 'mmaction1x'): 3208560,
}
_CLASSES = {'gym': 99, 'ucf101': 101, 'hmdb51': 51, 'k400': 400}
_GCN_STREAMS = ('joint', 'bone', 'joint_motion', 'bone_motion')
_POSEC3D_STREAMS = ('keypoint', 'limb', 'keypoint_limb')


def _load(file, words):
  return cli.load_config(f'{_FOLDER / file}:{words}')


def _facts(config):
  if config.recipe == 'ucla':
    layout, classes, persons = 'ucla', 10, 1
  else:
    layout = 'nturgb+d' if config.data.dims == 3 else 'coco'
    classes, persons = _CLASSES.get(config.name.split('_')[1], 60), 2
  return recipe.Facts(
    layout=skeletons.get_layout(layout),
    class_names=tuple(map(str, range(classes))),
    num_channels=config.data.dims,
    has_score=config.data.dims == 2,
    num_persons=persons,
    normalize=config.data.normalize,
    keypoint_dtype='float16' if config.data.dims == 2 else 'float32',
    max_frames=300,
  )


def test_every_file_is_covered():
  assert {file for file, _ in _STEPS} == set(_FILES)


@pytest.mark.parametrize('file, name', _STEPS)
def test_recipe_builds_its_model_and_counts_its_steps(file, name):
  config = _load(file, name)
  facts = _facts(config)
  model = recipe.build_model(config, facts)
  shape = recipe.input_shape(config, facts, 1)
  variables = jax.eval_shape(
    lambda: train_state.init_variables(model, shape, seed=0)
  )
  count = sum(leaf.size for leaf in jax.tree.leaves(variables['params']))
  assert count == _PARAMETERS.get((file, name), count)
  dataset = 'ucla' if name == 'ucla' else config.name.split('_')[1]
  clips = _CLIPS.get(dataset, _CLIPS['ntu60'])
  training = training_plan.build(config, clips)
  assert training.total_steps == _STEPS[file, name]


@pytest.mark.parametrize(
  'file, stream',
  [
    (file, stream)
    for file in _FILES
    for stream in (
      _POSEC3D_STREAMS if file.startswith('posec3d') else _GCN_STREAMS
    )
  ],
)
def test_stream_word_sets_the_stream_and_nothing_else(file, stream):
  config, plain = _load(file, stream), _load(file, '')
  assert config.features.stream == stream
  recipe.feature_options(config, _facts(config))
  config.features.stream, config.words = plain.features.stream, plain.words
  assert config.to_dict() == plain.to_dict()


@pytest.mark.parametrize('file', _FILES)
def test_demo_preset_names_only_fields_that_exist(file):
  config = _load(file, '')
  for section, fields in config.demo.items():
    for field, value in fields.items():
      assert isinstance(value, type(config[section][field])), (section, field)


def test_milestones_fall_where_the_published_epochs_begin():
  config = _load('agcn_joint.py', '')
  training = training_plan.build(config, 40091)
  first = round(30 * 40091 / 12)
  rates = [float(training.schedule(s)) for s in (0, first - 1, first)]
  assert rates == pytest.approx([0.1, 0.1, 0.01])
