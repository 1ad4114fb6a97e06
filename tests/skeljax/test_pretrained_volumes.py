"""Claims about starting PoseC3D from weights that are already there."""

import dataclasses
import logging as python_logging

import jax
from ml_collections import config_dict
import numpy as np
import pytest

from skeljax import errors
from skeljax import pretrained
from skeljax import recipe
from skeljax import skeletons
from skeljax import training_plan
from skeljax import warm_start
from skeljax.training import sharding
from skeljax.training import train_state

COCO = skeletons.get_layout('coco')
FACTS = recipe.Facts(
  layout=COCO,
  class_names=('sit', 'stand', 'walk'),
  num_channels=2,
  has_score=True,
  num_persons=2,
  normalize='none',
  keypoint_dtype='float32',
  max_frames=0,
)
# As a published file is read: classes are numbered.
KINETICS = dataclasses.replace(FACTS, class_names=recipe.numbered_classes(5))


def make_config(stream='keypoint', **model):
  """The configuration of UCF101, narrow and small; nothing is trained."""
  from configs import posec3d_ucf101_keypoint

  config = posec3d_ucf101_keypoint.get_config()
  config.input.update(stream=stream, size=16, test_size=16)
  config.data.clip_len = 4
  config.model.update(
    dict(base_channels=2, stage_blocks=(1, 1, 1), norm_group=0) | model
  )
  return config


def graph_config():
  from configs import stgcn_joint_2d

  config = stgcn_joint_2d.get_config()
  config.model.update(
    base_channels=4, num_stages=1, inflate_stages=(), down_stages=()
  )
  return config


def fill(config, facts, seed):
  """Variables of random numbers; no function of a network is compiled."""
  rng = np.random.default_rng(seed)
  return jax.tree.map(
    lambda a: rng.random(a.shape, np.float32),
    recipe.abstract_variables(config, facts),
  )


def make_pretrained(config, facts, **kwargs):
  usual = dict(
    source='k400.pth',
    config=config_dict.ConfigDict(config.to_dict()),
    facts=facts,
    variables=fill(config, facts, seed=2),
    is_assumed=True,
    meta={},
  )
  return pretrained.Pretrained(**usual | kwargs)


@pytest.fixture
def log(caplog):
  """Text of what was logged at INFO."""
  with caplog.at_level(python_logging.INFO, logger='absl'):
    yield lambda: caplog.text


def test_other_classes_replace_the_classifier_and_nothing_else(log):
  config, old = make_config(), make_pretrained(make_config(), KINETICS)
  training = training_plan.build(config, num_train_clips=100)
  variables = fill(config, FACTS, seed=1)
  fresh = train_state.TrainState(
    step=np.int32(0),
    opt_state=training.optimizer.init(variables['params']),
    **({'graph': {}} | variables),
  )
  fresh = jax.device_put(fresh, sharding.replicated(sharding.make_mesh()))
  state = warm_start.initialize(fresh, old, config, FACTS)
  now = jax.tree_util.tree_leaves_with_path(dict(state.variables))
  expected = {
    jax.tree_util.keystr(path): leaf
    for path, leaf in jax.tree_util.tree_leaves_with_path(dict(old.variables))
  }
  for path, leaf in jax.tree_util.tree_leaves_with_path(variables):
    if "['head']" in jax.tree_util.keystr(path):
      expected[jax.tree_util.keystr(path)] = leaf
  assert len(now) == len(expected)
  for path, leaf in now:
    name = jax.tree_util.keystr(path)
    np.testing.assert_array_equal(leaf, expected[name], err_msg=name)
  assert '5 classes there, 3 here: a new classifier is trained' in log()


def test_a_stride_or_a_pooling_counts_though_it_changes_no_array():
  for field, there, here in (
    ('temporal_strides', (1, 1, 1), (1, 1, 2)),
    ('spatial_strides', (2, 2, 1), (2, 2, 2)),
    ('dilations', (1, 1, 2), (1, 1, 1)),
    ('conv1_stride', (1, 2), (1, 1)),
    ('pool1_stride', (1, 2), (1, 1)),
    ('with_pool1', False, True),
    ('with_pool2', True, False),
  ):
    old = make_pretrained(make_config(**{field: there}), FACTS)
    with pytest.raises(errors.UserError) as error:
      warm_start.check(old, make_config(), FACTS)
    text = str(error.value)
    assert f'model.{field} is {there} there and {here} here' in text
    assert text.count('there and') == 1


def test_other_blocks_are_refused_by_what_they_are():
  old = make_pretrained(make_config(stage_blocks=(1, 2, 1)), FACTS)
  with pytest.raises(errors.UserError) as error:
    warm_start.check(old, make_config(), FACTS)
  assert 'model.stage_blocks is (1, 2, 1) there and (1, 1, 1) here' in str(
    error.value
  )


@pytest.mark.parametrize('is_volume_run', [True, False])
def test_weights_for_keypoints_and_for_heatmaps_are_told_apart(is_volume_run):
  volumes, graph = make_config(), graph_config()
  ours, theirs = (volumes, graph) if is_volume_run else (graph, volumes)
  old = make_pretrained(theirs, FACTS)
  with pytest.raises(errors.UserError) as error:
    warm_start.check(old, ours, FACTS)
  text = str(error.value)
  assert text.startswith(f'k400.pth holds {theirs.model.name}, which takes')
  assert f'is {ours.name} of {ours.model.name}, which takes' in text
  assert 'heatmaps, as configs/posec3d_*.py' in text
  assert 'keypoints, as configs/stgcn_*.py' in text
  # The configuration that evaluation is given is looked at in the same way.
  with pytest.raises(errors.UserError, match='but --config is'):
    old.check_takes(ours, '--config')
  old.check_takes(theirs, '--config')


def test_joints_and_limbs_are_other_channels_though_there_are_as_many(log):
  limb = make_config('limb')
  known = make_pretrained(make_config(), FACTS, is_assumed=False)
  with pytest.raises(errors.UserError) as error:
    warm_start.check(known, limb, FACTS)
  assert "input.stream is 'keypoint' there and 'limb' here" in str(error.value)
  told = make_pretrained(
    make_config(), FACTS, meta={'torch': {'is_stream_told': True}}
  )
  with pytest.raises(errors.UserError, match='input.stream is'):
    warm_start.check(told, limb, FACTS)
  # The weights alone do not say which they are for.
  warm_start.check(make_pretrained(make_config(), FACTS), limb, FACTS)
  assert 'k400.pth: taken for limb heatmaps' in log()


def test_other_limbs_are_other_channels():
  turned = dataclasses.replace(COCO, limbs=COCO.limbs[::-1])
  facts = dataclasses.replace(FACTS, layout=turned)
  config = make_config('limb')
  with pytest.raises(errors.UserError, match='draws the limbs'):
    warm_start.check(make_pretrained(config, FACTS), config, facts)
  # To joints they do not matter.
  config = make_config()
  warm_start.check(make_pretrained(config, FACTS), config, facts)


def test_another_number_of_channels_is_refused_by_its_arrays():
  both = make_config('keypoint_limb')
  old = make_pretrained(make_config(), FACTS)
  with pytest.raises(errors.UserError, match='17, 2. there, here .*34, 2'):
    warm_start.check(old, both, FACTS)


class Dataset:
  """As much of a prepared dataset as facts_for asks for."""

  directory = '/data/own'
  layout = COCO
  num_channels, has_score, num_persons = 2, False, 5
  normalize = 'none'
  keypoint_dtype, max_frames = 'float32', 77
  class_names = FACTS.class_names
  num_classes = 3
  has_img_shape = True


def test_persons_are_no_matter_and_scores_only_to_who_knows_of_them():
  assumed = make_pretrained(make_config(), FACTS)
  facts = assumed.facts_for(Dataset())
  assert (facts.num_persons, facts.has_score) == (5, False)
  known = make_pretrained(make_config(), FACTS, is_assumed=False)
  with pytest.raises(errors.UserError, match='scores False'):
    known.facts_for(Dataset())


def test_clips_without_the_size_of_their_picture_are_not_scored():
  dataset = Dataset()
  dataset.has_img_shape = False
  with pytest.raises(errors.UserError, match='without the size of their pict'):
    make_pretrained(make_config(), FACTS).facts_for(dataset)
