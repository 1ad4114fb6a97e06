"""Every published row has a config with its values."""

import dataclasses
import pathlib
import types

import jax
import jax.numpy as jnp
import pytest

from skeljax import cli
from skeljax import errors
from skeljax import run as run_lib
from skeljax import skeletons
from skeljax.datasets.spec import DataSpec
from skeljax.training import train_state
from tests import published_rows

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_ROWS = published_rows.ROWS
_NUM_PERSONS = {'babel60': 1, 'babel120': 1}


def _load(command):
  return cli.load_config(f'{_ROOT}/configs/{command}')


def _spec(config, data):
  dims = config.data.dims
  return DataSpec(
    layout=skeletons.get_layout('coco' if dims == 2 else 'nturgb+d'),
    class_names=tuple(map(str, range(published_rows.CLASSES[data]))),
    num_channels=dims,
    score_dtype='float16' if dims == 2 else '',
    num_persons=_NUM_PERSONS.get(data, 2),
    normalize=config.data.normalize,
    keypoint_dtype='float16' if dims == 2 else 'float32',
    max_frames=300,
  )


def _network(row):
  """Equal for rows with the same network."""
  config = _load(row.command)
  # The stream changes the values of the input, not its shape.
  graph = config.graph.to_dict() if 'graph' in config else {}
  return repr((config.model.to_dict(), graph, row.shape, row.data))


def _by_network():
  groups = {}
  for row in _ROWS:
    groups.setdefault(_network(row), []).append(row)
  return list(groups.values())


@pytest.mark.parametrize('row', _ROWS, ids=lambda row: row.published)
def test_row_has_the_published_schedule(row):
  config = _load(row.command)
  run = run_lib.Run(config, _spec(config, row.data))
  assert run.input_shape(1) == row.shape
  assert config.data.dataset.split('_')[0] == row.data
  assert (run.loss.name == 'cb_focal') == row.published.endswith('wfl')
  plan = run.plan(published_rows.CLIPS[row.data])
  assert plan.total_steps == row.steps
  for step, rate in row.rates.items():
    assert float(plan.schedule(step)) == pytest.approx(
      rate, rel=1e-4, abs=1e-7
    ), step


@pytest.mark.parametrize(
  'rows', _by_network(), ids=lambda rows: rows[0].published
)
def test_network_has_the_published_number_of_parameters(rows):
  row = rows[0]
  assert {other.parameters for other in rows} == {row.parameters}
  config = _load(row.command)
  spec = _spec(config, row.data)
  model = run_lib.Run(config, spec).model
  variables = jax.eval_shape(
    lambda: train_state.init_variables(model, row.shape, seed=0)
  )
  found = sum(leaf.size for leaf in jax.tree.leaves(variables['params']))
  assert found == row.parameters


def test_babel_configs_require_one_person():
  config = _load('stgcn_babel60_wfl.py')
  one = types.SimpleNamespace(
    directory='DIR/one', spec=_spec(config, 'babel60'), metadata={}
  )
  spec = dataclasses.replace(one.spec, num_persons=2)
  two = types.SimpleNamespace(directory='DIR/two', spec=spec, metadata={})
  with pytest.raises(errors.UserError, match='DIR/two .* --max_persons=1'):
    run_lib.check_dataset(two, config)
  run_lib.check_dataset(one, config)
  config.data.max_persons = 0
  run_lib.check_dataset(two, config)


@pytest.mark.parametrize(
  'data, clips', [('babel60', 45473), ('babel120', 48978)]
)
def test_class_weights_of_babel_use_its_clips(data, clips):
  config = _load(f'stgcn_{data}_wfl.py')
  samples = config.loss.samples_per_class
  assert len(samples) == published_rows.CLASSES[data]
  assert sum(samples) == clips == published_rows.CLIPS[data]


def test_loss_of_babel60_is_the_published_number():
  config = _load('stgcn_babel60_wfl.py')
  loss = run_lib.Run(config, _spec(config, 'babel60')).loss
  logits = jnp.linspace(-2, 3, 120).reshape(2, 60)
  per_sample, _ = loss(logits, jnp.array([3, 41]))
  # Computed by CBFocalLoss of mmaction2.
  assert float(per_sample.mean()) == pytest.approx(76.91005, rel=1e-6)


# Of the graph networks of mmaction2 0.x: GPUs, clips per GPU, epochs between
# evaluations, passes per epoch, normalisation of 3D and 2D coordinates.
_MMACTION_0X = {
  'agcn_joint.py': (1, 12, 3, 1, 'mmaction0x', 'none'),
  'agcn_bone.py': (2, 12, 3, 1, 'mmaction0x', 'none'),
  'stgcn_joint_2d.py': (2, 16, 5, 1, 'none', 'mmaction0x'),
  'stgcn_joint_3d.py': (1, 32, 3, 1, 'mmaction0x', 'none'),
  'stgcn_babel60.py': (8, 16, 1, 5, 'none', 'none'),
  'stgcn_babel60_wfl.py': (8, 16, 1, 5, 'none', 'none'),
  'stgcn_babel120.py': (8, 16, 1, 5, 'none', 'none'),
  'stgcn_babel120_wfl.py': (8, 16, 1, 5, 'none', 'none'),
}


@pytest.mark.parametrize('file', _MMACTION_0X)
def test_graph_networks_are_trained_as_in_mmaction2_0x(file):
  config = _load(file)
  gpus, clips, every, repeat, normalize, normalize_2d = _MMACTION_0X[file]
  assert config.model.norm_group == clips
  assert config.train.batch_size == config.optim.reference_batch == gpus * clips
  assert (config.eval.every_epochs, config.data.repeat) == (every, repeat)
  assert config.data.normalize == normalize
  assert config.input.normalize_2d == normalize_2d
  assert config.train.epochs * repeat == 80
  optim = config.optim
  assert (optim.momentum, optim.nesterov, optim.clip_norm) == (0.9, True, 0)
  assert (optim.weight_decay, optim.gamma) == (1e-4, 0.1)
  # One view of all frames, looped; logits are the scores.
  assert (config.data.frames, config.data.num_clips) == ('loop', 1)
  assert config.eval.average == 'score'
  assert config.graph.edges == '0x'
  if file.startswith('agcn'):
    network = (config.graph.mode, config.model.variant)
    assert network == ('spatial', 'softmax_0x')
  else:
    network = (config.graph.mode, config.model.adaptive, config.model.data_bn)
    assert network == ('stgcn_spatial', 'importance', 'VC')
    assert config.model.weight_init == 'mmaction0x'
