"""Choice between a data directory and the demo, and its errors."""

import pathlib
import subprocess
import sys

import pytest

from configs import agcn_bone
from configs import agcn_ctrgcn
from configs import stgcn_joint_2d
from skeljax import demo
from skeljax import errors
from skeljax import main
from skeljax import run as run_lib
from skeljax.training import workdir

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_CONFIG = f'--config={_ROOT}/configs/agcn_bone.py'


@pytest.fixture(autouse=True)
def no_data_directory(monkeypatch):
  monkeypatch.delenv('SKELJAX_DATA', raising=False)


@pytest.fixture
def demo_root(monkeypatch, tmp_path):
  built = []

  def build(name, dims, normalize):
    built.append((name, dims, normalize))
    return str(tmp_path)

  monkeypatch.setattr(demo, 'build', build)
  return built


def test_without_data_the_demo_preset_keeps_what_the_user_set(demo_root):
  config = agcn_bone.get_config()
  config.train.epochs = 1.0
  main.choose_data(config, {'train.epochs'})
  assert config.data.demo
  assert config.train.epochs == 1.0
  assert config.model.base_channels == 16
  assert config.data.clip_len == 24
  assert demo_root == [('demo_3d_mmaction0x', 3, 'mmaction0x')]


def test_demo_argument_wins_over_a_data_directory(demo_root):
  config = stgcn_joint_2d.get_config('demo=True')
  config.data.dir = '/somewhere'
  main.choose_data(config, {'data.dir'})
  assert config.data.demo
  assert demo_root == [('demo_2d_none', 2, 'none')]


def test_environment_variable_sets_the_root(monkeypatch, tiny_root):
  monkeypatch.setenv('SKELJAX_DATA', tiny_root)
  config = agcn_bone.get_config('dataset=tiny')
  main.choose_data(config, {'data.dataset'})
  assert config.data.dir == tiny_root
  assert config.data.dataset == 'tiny'
  assert not config.data.demo


@pytest.mark.parametrize('argument', ['', 'demo=True,'])
def test_dataset_without_directory_is_an_error(argument):
  config = agcn_bone.get_config(f'{argument}dataset=mine')
  with pytest.raises(errors.UserError, match="No data directory .* 'mine'"):
    main.choose_data(config, {'data.dataset'})


def test_command_with_a_dataset_and_no_directory_exits_with_2():
  done = subprocess.run(
    [sys.executable, '-m', 'skeljax.main', f'{_CONFIG}:dataset=mine'],
    env={'PYTHONPATH': str(_ROOT), 'JAX_PLATFORMS': 'cpu'},
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 2, done.stderr
  assert "No data directory for the dataset 'mine'" in done.stderr


def test_unknown_dataset_lists_the_prepared_ones(tiny_root):
  config = agcn_bone.get_config('dataset=bonne')
  config.data.dir = tiny_root
  main.choose_data(config, {'data.dir', 'data.dataset'})
  with pytest.raises(errors.UserError, match='bonne.*tiny'):
    run_lib.open_dataset(config)


def test_default_workdir_is_config_stream_and_dataset():
  path = workdir.default_path(agcn_ctrgcn.get_config('stream=bone'))
  assert path == 'runs/agcn_ctrgcn-bone-nw_ucla'
  path = workdir.default_path(agcn_bone.get_config())
  assert path == 'runs/agcn_bone-ntu60_xsub_3d'
  path = workdir.default_path(agcn_bone.get_config('stream=bone_motion'))
  assert path == 'runs/agcn_bone-bone_motion-ntu60_xsub_3d'


def test_a_directory_without_a_run_is_not_changed(tmp_path):
  (tmp_path / 'thesis.tex').write_text('years of work')
  with pytest.raises(errors.UserError, match='not a workdir'):
    workdir.open_workdir(str(tmp_path), agcn_bone.get_config(), {})
