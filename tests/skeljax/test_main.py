"""Which data a command line means, and what is said when it means none."""

import pytest

from configs import agcn_bone
from configs import stgcn_joint_2d
from skeljax import demo
from skeljax import errors
from skeljax import main
from skeljax.training import workdir


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


def test_without_data_the_demo_preset_spares_what_the_user_set(demo_root):
  config = agcn_bone.get_config('')
  config.train.epochs = 1.0
  main.choose_data(config, {'train.epochs': 1.0})
  assert config.use_demo
  assert config.train.epochs == 1.0
  assert config.model.base_channels == 16
  assert config.data.clip_len == 24
  assert demo_root == [('demo_3d_mmaction0x', 3, 'mmaction0x')]


def test_demo_word_wins_over_a_data_directory(demo_root):
  config = stgcn_joint_2d.get_config('demo')
  config.data.dir = '/somewhere'
  main.choose_data(config, {'data.dir': '/somewhere'})
  assert config.use_demo
  assert demo_root == [('demo_2d_none', 2, 'none')]


def test_environment_names_the_root(monkeypatch, tiny_root):
  monkeypatch.setenv('SKELJAX_DATA', tiny_root)
  config = agcn_bone.get_config('tiny')
  main.choose_data(config, {})
  assert config.data.dir == tiny_root
  assert config.data.dataset == 'tiny'
  assert not config.use_demo


def test_dataset_without_directory_is_an_error():
  with pytest.raises(errors.UserError, match='no data directory'):
    main.choose_data(agcn_bone.get_config('my_dataset'), {})


def test_unknown_word_lists_words_and_datasets(tiny_root):
  config = agcn_bone.get_config('bonne')
  config.data.dir = tiny_root
  with pytest.raises(errors.UserError) as caught:
    main.choose_data(config, {'data.dir': tiny_root})
  text = str(caught.value)
  assert "'bonne'" in text
  assert 'u100' in text and 'bone_motion' in text
  assert '(tiny)' in text


def test_two_words_of_a_kind_are_an_error():
  with pytest.raises(errors.UserError, match='u100, ucla'):
    agcn_bone.get_config('u100,ucla')


def test_help_word_prints_the_fields_and_exits_0(capsys):
  with pytest.raises(SystemExit) as caught:
    agcn_bone.get_config('help')
  assert caught.value.code in (0, None)
  printed = capsys.readouterr().out
  assert 'base_lr' in printed
  assert 'bone_motion' in printed


def test_workdir_is_named_after_config_words_and_dataset():
  config = agcn_bone.get_config('u100,nw_ucla,joint')
  path = workdir.default_path(config)
  assert path.replace('\\', '/') == 'runs/agcn_bone-u100-joint-nw_ucla'


def test_a_directory_that_is_no_run_is_left_alone(tmp_path):
  (tmp_path / 'thesis.tex').write_text('years of work')
  with pytest.raises(errors.UserError, match='holds no run'):
    workdir.open_workdir(str(tmp_path), agcn_bone.get_config(''), {})
