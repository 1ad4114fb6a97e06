"""Loading pretrained weights and starting a run from them."""

import dataclasses
import logging as python_logging
import os
import shutil

import jax
from ml_collections import config_dict
import numpy as np
import pytest

from configs import agcn_joint
from configs import agcn_mmaction1x
from configs import stgcn_joint_3d
from skeljax import errors
from skeljax import initial_weights
from skeljax import pretrained
from skeljax import run as run_lib
from skeljax import skeletons
from skeljax import train
from skeljax.datasets import spec as spec_lib
from skeljax.datasets.spec import DataSpec
from skeljax.models import agcn
from skeljax.training import checkpoints
from skeljax.training import sharding
from skeljax.training import train_state

SPEC = DataSpec(
  layout=skeletons.get_layout('nturgb+d'),
  class_names=('sit', 'stand', 'walk'),
  num_channels=3,
  num_persons=2,
  normalize='none',
  keypoint_dtype='float32',
  max_frames=0,
)
OTHER_CLASSES = dataclasses.replace(
  SPEC, class_names=('sit', 'stand', 'walk', 'run')
)


@pytest.fixture(scope='module')
def config():
  """Return the config of an untrained ST-GCN with two narrow stages."""
  config = stgcn_joint_3d.get_config()
  config.model.update(
    base_channels=8,
    num_stages=2,
    inflate_stages=(2,),
    down_stages=(2,),
    norm_group=0,
  )
  config.data.update(clip_len=4, normalize='none')
  return config


def fill(config, spec, seed):
  """Return random variables, without compiling the network."""
  rng = np.random.default_rng(seed)
  return jax.tree.map(
    lambda a: rng.random(a.shape, np.float32),
    run_lib.Run(config, spec).abstract_variables(),
  )


def make_state(config, spec):
  """Return a newly initialized state, replicated as in a run."""
  replicated = sharding.replicated(sharding.make_mesh())
  training = run_lib.Run(config, spec).plan(100)
  variables = fill(config, spec, seed=1)
  state = train_state.TrainState(
    step=np.int32(0),
    opt_state=training.optimizer.init(variables['params']),
    **variables,
  )
  return jax.device_put(state, replicated)


def make_pretrained(config, spec, **kwargs):
  usual = dict(
    source='old step 5',
    config=config_dict.ConfigDict(config.to_dict()),
    spec=spec,
    variables=fill(config, spec, seed=2),
    is_assumed=False,
    meta={},
  )
  return pretrained.Pretrained(**usual | kwargs)


def leaves(tree):
  """Arrays by path."""
  return {
    jax.tree_util.keystr(path): np.asarray(leaf)
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
  }


def assert_taken(state, old, fresh, replaced=()):
  """Check that all weights are the old ones, except replaced ones."""
  now, old, fresh = (
    leaves(dict(t)) for t in (state.variables, old.variables, fresh.variables)
  )
  assert sorted(now) == sorted(old)
  assert replaced == () or any(
    part in path for path in now for part in replaced
  )
  for path, array in now.items():
    is_new = any(part in path for part in replaced)
    np.testing.assert_array_equal(
      array, (fresh if is_new else old)[path], err_msg=path
    )


@pytest.fixture
def log(caplog):
  """Return the text logged at INFO."""
  with caplog.at_level(python_logging.INFO, logger='absl'):
    yield lambda: caplog.text


def test_equal_classes_keep_the_classifier(config, log):
  fresh, old = make_state(config, SPEC), make_pretrained(config, SPEC)
  state = initial_weights.initialize(fresh, old, run_lib.Run(config, SPEC))
  assert_taken(state, old, fresh)
  assert 'old step 5: keeping the classifier of 3 classes' in log()
  # What was saved of the optimiser is not asked for: it starts anew.
  assert int(state.step) == 0
  for path, array in leaves(state.opt_state).items():
    np.testing.assert_array_equal(
      array, leaves(fresh.opt_state)[path], err_msg=path
    )
  assert {a.sharding for a in jax.tree.leaves(state.variables)} == {
    a.sharding for a in jax.tree.leaves(fresh.variables)
  }


def test_another_number_of_classes_replaces_the_classifier(config, log):
  fresh = make_state(config, OTHER_CLASSES)
  old = make_pretrained(config, SPEC)
  state = initial_weights.initialize(
    fresh, old, run_lib.Run(config, OTHER_CLASSES)
  )
  assert_taken(state, old, fresh, replaced=("['head']['fc']",))
  assert 'old step 5: 3 classes, expected 4' in log()
  assert 'training a new classifier' in log()


def test_other_names_replace_the_classifier(config, log):
  other = dataclasses.replace(SPEC, class_names=('walk', 'stand', 'sit'))
  fresh, old = make_state(config, other), make_pretrained(config, SPEC)
  state = initial_weights.initialize(fresh, old, run_lib.Run(config, other))
  assert_taken(state, old, fresh, replaced=("['head']['fc']",))
  assert 'its 3 classes have other names' in log()


def test_numbered_classes_match_any_names(config, log):
  numbered = dataclasses.replace(SPEC, class_names=spec_lib.numbered_classes(3))
  fresh = make_state(config, SPEC)
  old = make_pretrained(config, numbered, is_assumed=True)
  state = initial_weights.initialize(fresh, old, run_lib.Run(config, SPEC))
  assert_taken(state, old, fresh)
  assert 'of 3 classes (the file does not name them)' in log()


def changed(config, **model):
  result = config_dict.ConfigDict(config.to_dict())
  with result.unlocked():
    result.model.update(model)
  return result


def refusal(config, spec, old):
  """Return the error of starting a run from `old`."""
  fresh = make_state(config, spec)
  with pytest.raises(errors.UserError) as error:
    initial_weights.initialize(fresh, old, run_lib.Run(config, spec))
  text = str(error.value)
  assert text.startswith('--config.train.init_from=old step 5 ')
  return text


def test_refusal_of_another_network_lists_all_differences(config):
  other = changed(
    config, base_channels=12, adaptive='offset', down_stages=(), conv_pos='post'
  )
  text = refusal(config, SPEC, make_pretrained(other, SPEC))
  for line in (
    'model.base_channels is 12, expected 8',
    "model.adaptive is 'offset', expected 'importance'",
    'model.down_stages is (), expected (2,)',
    "model.conv_pos is 'post', expected 'pre'",
    '--config.model.FIELD=VALUE',
  ):
    assert line in text, line
  assert 'inflate_stages' not in text


@pytest.mark.parametrize('recipe', [agcn_joint, agcn_mmaction1x])
def test_input_norm_of_agcn_may_be_implied(recipe):
  """Configs may leave it implied; PyTorch files never do."""
  ours = recipe.get_config()
  ours.model.update(
    base_channels=8,
    num_stages=1,
    inflate_stages=(),
    down_stages=(),
    data_bn='',
  )
  ours.data.clip_len = 4
  implied = agcn.VARIANTS[ours.model.variant].data_bn
  theirs = changed(ours, data_bn=implied)
  initial_weights.check(make_pretrained(theirs, SPEC), run_lib.Run(ours, SPEC))
  other = changed(ours, data_bn={'VC': 'MVC', 'MVC': 'VC'}[implied])
  with pytest.raises(errors.UserError, match='model.data_bn is'):
    initial_weights.check(make_pretrained(other, SPEC), run_lib.Run(ours, SPEC))


def test_another_stride_is_refused_although_shapes_agree(config):
  other = changed(config, down_stages=())
  text = refusal(config, SPEC, make_pretrained(other, SPEC))
  assert text.count(', expected') == 1


def test_another_family_is_refused(config):
  other = agcn_joint.get_config()
  other.data.clip_len = 4
  text = refusal(config, SPEC, make_pretrained(other, SPEC))
  assert 'model.name is agcn, expected stgcn' in text


def test_another_layout_is_refused(config):
  ucla = dataclasses.replace(SPEC, layout=skeletons.get_layout('ucla'))
  text = refusal(config, SPEC, make_pretrained(config, ucla))
  assert "layout is 'ucla' (20 joints), expected 'nturgb+d' (25 joints)" in text


def test_other_channels_are_refused_by_shape(config):
  scored = dataclasses.replace(SPEC, score_dtype='float32')
  text = refusal(config, SPEC, make_pretrained(config, scored))
  assert 'params.data_bn.scale: shape [100], expected [75]' in text
  assert 'params.block_0.gcn.conv.kernel: shape [4, ' in text


def test_other_number_of_persons_is_refused_if_weights_depend_on_it(config):
  apart = changed(config, data_bn='MVC')
  one = dataclasses.replace(SPEC, num_persons=1)
  text = refusal(apart, SPEC, make_pretrained(apart, one))
  assert 'params.data_bn.bias: shape [75], expected [150]' in text
  assert 'batch_stats.data_bn.mean: shape [75], expected [150]' in text
  # Elsewhere any number will do.
  fresh, old = make_state(config, SPEC), make_pretrained(config, one)
  state = initial_weights.initialize(fresh, old, run_lib.Run(config, SPEC))
  assert_taken(state, old, fresh)


def test_graph_is_copied(config):
  """A fixed adjacency belongs to the weights trained with it."""
  fresh, old = make_state(config, SPEC), make_pretrained(config, SPEC)
  state = initial_weights.initialize(fresh, old, run_lib.Run(config, SPEC))
  np.testing.assert_array_equal(
    state.graph['adjacency'], old.variables['graph']['adjacency']
  )


def save_workdir(path, config, spec, steps=(3,)):
  """Save a workdir; the weights of step s are fill(seed=s)."""
  with checkpoints.Checkpoints(str(path)) as saved:
    for step in steps:
      saved.save_variables(
        step,
        fill(config, spec, seed=step),
        run_lib.Run(config, spec).checkpoint_meta(),
      )
  return str(path)


def test_workdir_yields_weights_config_and_spec(config, tmp_path):
  path = save_workdir(tmp_path / 'run', config, SPEC)
  loaded = pretrained.load(path)
  assert loaded.source == f'{path} step 3'
  assert loaded.spec == SPEC
  assert loaded.config.model.base_channels == 8
  assert not loaded.is_assumed
  now, expected = leaves(loaded.variables), leaves(fill(config, SPEC, seed=3))
  assert sorted(now) == sorted(expected)
  for path, array in expected.items():
    np.testing.assert_array_equal(now[path], array, err_msg=path)


def test_paths_without_a_checkpoint_are_refused(config, tmp_path):
  with pytest.raises(errors.UserError, match='neither the workdir'):
    pretrained.load(str(tmp_path / 'absent'))
  (tmp_path / 'notes.txt').write_text('x')
  with pytest.raises(errors.UserError, match='neither the workdir'):
    pretrained.load(str(tmp_path / 'notes.txt'))
  with pytest.raises(errors.UserError, match='no checkpoints/ folder'):
    pretrained.load(str(tmp_path))
  path = save_workdir(tmp_path / 'run', config, SPEC)
  with pytest.raises(errors.UserError, match='step'):
    pretrained.load(path, '7')


class Dataset:
  """The attributes of a prepared dataset that spec_for uses."""

  directory = '/data/own'
  spec = dataclasses.replace(SPEC, max_frames=77)


def test_dataset_supplies_what_a_pytorch_file_does_not_specify(config):
  numbered = dataclasses.replace(
    SPEC, class_names=spec_lib.numbered_classes(3), keypoint_dtype='float16'
  )
  assumed = make_pretrained(config, numbered, is_assumed=True)
  spec = assumed.spec_for(Dataset())
  assert spec.class_names == SPEC.class_names
  assert (spec.keypoint_dtype, spec.max_frames) == ('float32', 77)
  # A checkpoint of ours knows, and may not be overruled.
  known = make_pretrained(config, numbered)
  with pytest.raises(errors.UserError, match="class 0 is 'sit', expected '0'"):
    known.spec_for(Dataset())


def test_normalization_of_a_pytorch_file_comes_from_the_config(config):
  other = dataclasses.replace(SPEC, normalize='mmaction1x')
  replaced = config_dict.ConfigDict(config.to_dict())
  replaced.data.normalize = 'none'
  assumed = make_pretrained(replaced, other, is_assumed=True)
  assert assumed.spec_for(Dataset()).normalize == 'none'
  known = make_pretrained(replaced, other)
  with pytest.raises(errors.UserError, match='normalize is'):
    known.spec_for(Dataset())


# A whole run.


@pytest.fixture(scope='module')
def short_config(new_tiny_config):
  """Return a function that builds the config of a run of two steps."""

  def function(**train_fields):
    config = new_tiny_config()
    config.model.update(num_stages=1, inflate_stages=(), down_stages=())
    config.train.update(epochs=0.75, batch_size=8, **train_fields)
    config.eval.every_epochs = 0.0
    config.checkpoint.every_epochs = 0.4
    # Weights that hardly move show where they came from.
    config.optim.base_lr = 1e-6
    return config

  return function


@pytest.fixture(scope='module')
def given_weights(short_config, tmp_path_factory):
  """Return a workdir with random weights of the same network and dataset."""
  config = short_config()
  spec = run_lib.open_dataset(config).spec
  return save_workdir(
    tmp_path_factory.mktemp('given') / 'run', config, spec, steps=(3, 4)
  )


@pytest.fixture(scope='module')
def started_run(short_config, given_weights, tmp_path_factory):
  workdir = str(tmp_path_factory.mktemp('started') / 'run')
  result = train.train(
    short_config(init_from=given_weights, init_step='3'), workdir
  )
  return workdir, result


def test_run_starts_from_given_weights(started_run, given_weights):
  _, result = started_run
  given = leaves(pretrained.load(given_weights, '3').variables['params'])
  other = leaves(pretrained.load(given_weights, '4').variables['params'])
  for path, array in leaves(result.state.params).items():
    assert abs(array - given[path]).max() < 1e-3, path
    assert abs(array - other[path]).max() > 1e-3, path


def test_resumed_run_continues_where_it_stopped(
  started_run, short_config, given_weights, tmp_path
):
  workdir, result = started_run
  again = str(tmp_path / 'run')
  shutil.copytree(workdir, again)
  # As if it had been stopped after its first step.
  os.unlink(os.path.join(again, 'results.json'))
  shutil.rmtree(os.path.join(again, 'checkpoints', '2'))
  config = short_config(init_from=given_weights, init_step='3')
  # The weights that it once started from are no longer needed.
  moved = given_weights + '.moved'
  os.rename(given_weights, moved)
  try:
    resumed = train.train(config, again)
  finally:
    os.rename(moved, given_weights)
  assert int(resumed.state.step) == 2
  for path, array in leaves(resumed.state.variables).items():
    np.testing.assert_array_equal(
      array, leaves(result.state.variables)[path], err_msg=path
    )


@pytest.mark.parametrize(
  'fields', [dict(init_from=''), dict(init_step='4')], ids=str
)
def test_other_initial_weights_are_another_run(
  fields, started_run, short_config, given_weights
):
  workdir, _ = started_run
  usual = dict(init_from=given_weights, init_step='3')
  with pytest.raises(errors.UserError, match='other settings') as error:
    train.train(short_config(**usual | fields), workdir)
  assert next(iter(fields)) in str(error.value)


def test_weights_that_do_not_fit_leave_no_workdir(
  short_config, given_weights, tmp_path
):
  config = short_config(init_from=given_weights)
  config.model.base_channels = 12
  workdir = tmp_path / 'run'
  with pytest.raises(errors.UserError, match='base_channels is 8, expected 12'):
    train.train(config, str(workdir))
  # The corrected command is not blocked.
  assert not workdir.exists()
