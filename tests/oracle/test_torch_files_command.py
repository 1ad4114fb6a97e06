"""Files that do not fit, and files written by skeljax."""

import functools
import json
import os
import pathlib
import subprocess
import sys

import pytest
import torch
import torch_files

from skeljax import errors
from skeljax import skeletons
from skeljax.convert import __main__ as command
from skeljax.convert import checkpoint
from skeljax.convert import family as family_lib

_REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def test_tensors_that_do_not_fit_are_all_listed(state, save, tmp_path):
  del state['backbone.gcn.1.gcn.bn.bias']
  state['backbone.gcn.2.tcn.bn.weight'] = torch.zeros(3)
  state['extra.weight'] = torch.zeros(2, 2)
  text = torch_files.error_of(save(state), tmp_path)
  for line in (
    '3 tensors do not fit',
    'missing: backbone.gcn.1.gcn.bn.bias [8]',
    'misshapen: backbone.gcn.2.tcn.bn.weight is [3], not [16]',
    'unknown: extra.weight [2, 2]',
  ):
    assert line in text


@pytest.mark.parametrize(
  'overrides,expected',
  [
    (
      dict(layout=skeletons.get_layout('nturgb+d')),
      'has 17 joints, which does not fit nturgb+d (25)',
    ),
    (dict(class_names=('a', 'b')), 'has 7 classes, but --class_names has 2'),
    (dict(down_stages=(2,)), '--down_stages=2'),
  ],
)
def test_overrides_must_fit(overrides, expected, state, save, tmp_path):
  assert expected in torch_files.error_of(save(state), tmp_path, **overrides)


@pytest.mark.parametrize(
  'own',
  [
    3,
    {},
    {'config': {}, 'spec': {}},
    {'config': 3, 'spec': 4, 'torch': {'is_assumed': False}},
    {'config': {}, 'spec': [], 'torch': {'is_assumed': False}},
  ],
)
def test_a_forged_skeljax_entry_is_an_error(own, state, save, tmp_path):
  path = save({'state_dict': state, 'meta': {'skeljax': own}})
  text = torch_files.error_of(path, tmp_path)
  assert path in text


@pytest.mark.parametrize(
  'section,field,value',
  [
    ('model', 'num_stages', 10**9),
    ('graph', 'max_hop', 10**9),
    ('model', 'num_stages', '3'),
    ('model', 'base_channels', 10**9),
    ('model', 'name', 'agcn'),
    ('graph', 'mode', 3),
  ],
)
def test_a_forged_entry_cannot_ask_for_another_network(
  section, field, value, state, save, tmp_path
):
  path = written_by_us(state, save, tmp_path)
  meta = torch.load(path, weights_only=True)['meta']
  meta['skeljax']['config'][section][field] = value
  other = save({'state_dict': state, 'meta': meta})
  assert other in torch_files.error_of(other, tmp_path)


def written_by_us(state, save, tmp_path):
  """Convert a file and write it again."""
  folder, _ = torch_files.convert(save(state), tmp_path / 'first')
  path = str(tmp_path / 'back.pth')
  command.to_torch_file(folder, path, 'last', '')
  return path


def test_a_file_of_skeljax_needs_no_flags_and_takes_none(state, save, tmp_path):
  path = written_by_us(state, save, tmp_path)
  own = checkpoint.load(path)
  first = checkpoint.load(save(state))
  for name in ('config', 'spec'):
    assert json.dumps(own.meta[name]) == json.dumps(first.meta[name])
  # What was assumed before is still assumed.
  assert own.meta['torch']['is_assumed']
  for overrides, flag in (
    (dict(num_persons=1), '--num_persons'),
    (dict(down_stages=(3,)), '--down_stages'),
    (dict(class_names=('x',) * 7), '--class_names'),
    (dict(layout=skeletons.get_layout('coco')), '--layout'),
    (dict(config={'test_pipeline': []}), '--config'),
  ):
    text = torch_files.error_of(path, tmp_path, **overrides)
    assert flag in text and 'written by skeljax' in text


def test_nothing_is_overwritten(state, save, tmp_path):
  path = save(state)
  folder, _ = torch_files.convert(path, tmp_path)
  files = sorted(pathlib.Path(folder).rglob('*'))
  assert 'exists already' in torch_files.error_of(path, tmp_path)
  assert sorted(pathlib.Path(folder).rglob('*')) == files
  assert os.listdir(os.path.dirname(folder)) == ['workdir']
  with pytest.raises(errors.UserError, match='must be a new folder'):
    command.to_workdir(path, 'a.pth', family_lib.Overrides())
  with pytest.raises(errors.UserError, match='must be a PyTorch file'):
    command.to_torch_file(folder, str(tmp_path / 'other'), 'last', '')


def test_a_network_that_a_code_base_does_not_have_is_an_error(
  state, save, tmp_path
):
  state_1x = torch_files.pair().theirs.state_dict()
  folder, _ = torch_files.convert(save(state_1x), tmp_path)
  output = tmp_path / 'out.pth'
  for step in ('5', 'best'):
    with pytest.raises(errors.UserError):
      command.to_torch_file(folder, str(output), step, '')
  loaded = checkpoint.load(save(state))
  meta = dict(loaded.meta)
  meta['config'] = {**meta['config'], 'model': dict(meta['config']['model'])}
  meta['config']['model']['adaptive'] = 'offset'
  gcn = {
    name: dict(block) for name, block in loaded.variables['params'].items()
  }
  for name in gcn:
    if name.startswith('block'):
      unit = dict(gcn[name]['gcn'])
      unit['offset'] = unit.pop('importance')
      gcn[name]['gcn'] = unit
  with pytest.raises(errors.UserError, match='mmaction0x.*offset'):
    checkpoint.save(
      str(output), {**loaded.variables, 'params': gcn}, meta, 'mmaction0x'
    )
  assert not output.exists()
  assert not [p for p in os.listdir(tmp_path) if p.startswith('.')]


def test_an_output_that_is_a_folder_is_an_error(state, save, tmp_path):
  folder, _ = torch_files.convert(save(state), tmp_path)
  (tmp_path / 'taken.pth').mkdir()
  with pytest.raises(errors.UserError, match='is a folder'):
    command.to_torch_file(folder, str(tmp_path / 'taken.pth'), 'last', '')


def test_an_error_of_the_command_is_one_paragraph_with_status_2(
  state, save, tmp_path
):
  run = functools.partial(
    subprocess.run,
    cwd=_REPOSITORY,
    capture_output=True,
    text=True,
    env={**os.environ, 'JAX_PLATFORMS': 'cpu'},
  )
  command = [sys.executable, '-m', 'skeljax.convert']
  path = save(
    {'state_dict': state, 'meta': {'x': torch_files.Hostile(os.system, 'true')}}
  )
  done = run([*command, f'--checkpoint={path}', f'--output={tmp_path}/out'])
  assert done.returncode == 2
  assert done.stdout == ''
  assert done.stderr.startswith('error: ')
  assert 'Traceback' not in done.stderr
  assert '\n\n' not in done.stderr
  path = save(state)
  done = run([*command, f'--checkpoint={path}', f'--output={tmp_path}/out'])
  assert done.returncode == 0, done.stderr
  assert done.stdout == f'written to {tmp_path}/out\n'
  assert '--num_persons overrides' in done.stderr
  assert (tmp_path / 'out' / 'checkpoints').is_dir()
