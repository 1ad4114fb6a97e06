"""Starting PoseC3D from pretrained weights."""

import dataclasses
import logging as python_logging

import jax
from ml_collections import config_dict
import numpy as np
import pytest

from skeljax import errors
from skeljax import initial_weights
from skeljax import pretrained
from skeljax import run as run_lib
from skeljax import skeletons
from skeljax.datasets import spec as spec_lib
from skeljax.datasets.spec import DataSpec
from skeljax.training import sharding
from skeljax.training import train_state

COCO = skeletons.get_layout('coco')
SPEC = DataSpec(
  layout=COCO,
  class_names=('sit', 'stand', 'walk'),
  num_channels=2,
  score_dtype='float32',
  num_persons=2,
  normalize='none',
  keypoint_dtype='float32',
  max_frames=0,
)
# As a published file is read: classes are numbered.
KINETICS = dataclasses.replace(SPEC, class_names=spec_lib.numbered_classes(5))


def make_config(heatmap='keypoint', **model):
  """Return the UCF101 config with a narrow network."""
  from configs import posec3d_ucf101_keypoint

  config = posec3d_ucf101_keypoint.get_config()
  config.input.update(heatmap=heatmap, size=16, test_size=16)
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


def fill(config, spec, seed):
  """Return random variables, without compiling the network."""
  rng = np.random.default_rng(seed)
  return jax.tree.map(
    lambda a: rng.random(a.shape, np.float32),
    run_lib.Run(config, spec).abstract_variables(),
  )


def make_pretrained(config, spec, **kwargs):
  usual = dict(
    source='k400.pth',
    config=config_dict.ConfigDict(config.to_dict()),
    spec=spec,
    variables=fill(config, spec, seed=2),
    is_assumed=True,
    meta={},
  )
  return pretrained.Pretrained(**usual | kwargs)


@pytest.fixture
def log(caplog):
  """Return the text logged at INFO."""
  with caplog.at_level(python_logging.INFO, logger='absl'):
    yield lambda: caplog.text


def test_other_classes_replace_the_classifier_and_nothing_else(log):
  config, old = make_config(), make_pretrained(make_config(), KINETICS)
  training = run_lib.Run(config, SPEC).plan(100)
  variables = fill(config, SPEC, seed=1)
  fresh = train_state.TrainState(
    step=np.int32(0),
    opt_state=training.optimizer.init(variables['params']),
    **({'graph': {}} | variables),
  )
  fresh = jax.device_put(fresh, sharding.replicated(sharding.make_mesh()))
  state = initial_weights.initialize(fresh, old, run_lib.Run(config, SPEC))
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
  assert '5 classes, expected 3: training a new classifier' in log()


def test_another_stride_or_pooling_is_refused_although_shapes_agree():
  for field, theirs, ours in (
    ('temporal_strides', (1, 1, 1), (1, 1, 2)),
    ('spatial_strides', (2, 2, 1), (2, 2, 2)),
    ('dilations', (1, 1, 2), (1, 1, 1)),
    ('conv1_stride', (1, 2), (1, 1)),
    ('pool1_stride', (1, 2), (1, 1)),
    ('with_pool1', False, True),
    ('with_pool2', True, False),
  ):
    old = make_pretrained(make_config(**{field: theirs}), SPEC)
    with pytest.raises(errors.UserError) as error:
      initial_weights.check(old, run_lib.Run(make_config(), SPEC))
    text = str(error.value)
    assert f'model.{field} is {theirs}, expected {ours}' in text
    assert text.count(', expected') == 1


def test_other_number_of_blocks_is_refused():
  old = make_pretrained(make_config(stage_blocks=(1, 2, 1)), SPEC)
  with pytest.raises(errors.UserError) as error:
    initial_weights.check(old, run_lib.Run(make_config(), SPEC))
  assert 'model.stage_blocks is (1, 2, 1), expected (1, 1, 1)' in str(
    error.value
  )


@pytest.mark.parametrize('is_volume_run', [True, False])
def test_weights_for_another_kind_of_input_are_refused(is_volume_run):
  volumes, graph = make_config(), graph_config()
  ours, theirs = (volumes, graph) if is_volume_run else (graph, volumes)
  old = make_pretrained(theirs, SPEC)
  with pytest.raises(errors.UserError) as error:
    initial_weights.check(old, run_lib.Run(ours, SPEC))
  text = str(error.value)
  assert text.startswith(f'k400.pth contains {theirs.model.name}, which takes')
  assert f'is {ours.name}, whose model {ours.model.name} takes' in text
  assert 'heatmaps' in text and 'joints' in text
  # The configuration that evaluation is given is looked at in the same way.
  with pytest.raises(errors.UserError, match='but --config is'):
    old.check_input_kind(ours, '--config')
  old.check_input_kind(theirs, '--config')


def test_joint_and_limb_channels_of_equal_number_differ(log):
  limb = make_config('limb')
  known = make_pretrained(make_config(), SPEC, is_assumed=False)
  with pytest.raises(errors.UserError) as error:
    initial_weights.check(known, run_lib.Run(limb, SPEC))
  assert 'the input is keypoint heatmaps, expected limb heatmaps' in str(
    error.value
  )
  known = make_pretrained(
    make_config(), SPEC, meta={'torch': {'is_stream_known': True}}
  )
  with pytest.raises(errors.UserError, match='the input is'):
    initial_weights.check(known, run_lib.Run(limb, SPEC))
  # The weights alone do not say which they are for.
  initial_weights.check(
    make_pretrained(make_config(), SPEC), run_lib.Run(limb, SPEC)
  )
  assert 'k400.pth: assumed to take limb heatmaps' in log()


def test_other_limbs_are_other_channels():
  turned = dataclasses.replace(COCO, limbs=COCO.limbs[::-1])
  spec = dataclasses.replace(SPEC, layout=turned)
  config = make_config('limb')
  with pytest.raises(errors.UserError, match='channel 0 is'):
    initial_weights.check(
      make_pretrained(config, SPEC), run_lib.Run(config, spec)
    )
  # To joints they do not matter.
  config = make_config()
  initial_weights.check(
    make_pretrained(config, SPEC), run_lib.Run(config, spec)
  )


def test_another_number_of_channels_is_refused_by_shape():
  both = make_config('keypoint_limb')
  old = make_pretrained(make_config(), SPEC)
  with pytest.raises(errors.UserError, match='17, 2., expected .*34, 2'):
    initial_weights.check(old, run_lib.Run(both, SPEC))


class Dataset:
  """The attributes of a prepared dataset that spec_for uses."""

  directory = '/data/own'
  spec = dataclasses.replace(SPEC, score_dtype='', num_persons=5, max_frames=77)


def test_heatmaps_accept_any_number_of_persons_but_known_scores_must_agree():
  assumed = make_pretrained(make_config(), SPEC)
  spec = assumed.spec_for(Dataset())
  assert (spec.num_persons, spec.has_score) == (5, False)
  known = make_pretrained(make_config(), SPEC, is_assumed=False)
  with pytest.raises(
    errors.UserError, match='has_score is False, expected True'
  ):
    known.spec_for(Dataset())


def test_clips_without_image_size_are_refused():
  dataset = Dataset()
  dataset.spec = dataclasses.replace(dataset.spec, has_img_shape=False)
  with pytest.raises(errors.UserError, match='without an image size'):
    make_pretrained(make_config(), SPEC).spec_for(dataset)
