"""What the command does with files that do not fit or are its own."""

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
from skeljax.convert import commands
from skeljax.convert import skeljax_to_torch
from skeljax.convert import torch_to_skeljax

_REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def test_tensors_that_do_not_fit_are_all_listed(state, save, tmp_path):
  del state['backbone.gcn.1.gcn.bn.bias']
  state['backbone.gcn.2.tcn.bn.weight'] = torch.zeros(3)
  state['extra.weight'] = torch.zeros(2, 2)
  text = torch_files.refusal(save(state), tmp_path)
  for line in (
    '3 tensors do not fit',
    'missing: backbone.gcn.1.gcn.bn.bias [8]',
    'misshapen: backbone.gcn.2.tcn.bn.weight is [3], not [16]',
    'unknown: extra.weight [2, 2]',
  ):
    assert line in text


@pytest.mark.parametrize(
  'given,said',
  [
    (
      dict(layout=skeletons.get_layout('nturgb+d')),
      "for 17 joints, but layout 'nturgb+d' has 25",
    ),
    (dict(class_names=('a', 'b')), 'tells 7 classes apart, but --class_names'),
    (dict(down_stages=(2,)), '--down_stages=2'),
  ],
)
def test_what_is_given_has_to_fit(given, said, state, save, tmp_path):
  assert said in torch_files.refusal(save(state), tmp_path, **given)


@pytest.mark.parametrize(
  'own',
  [
    3,
    {},
    {'config': {}, 'spec': {}},
    {'config': 3, 'spec': 4, 'is_assumed': False},
    {'config': {}, 'spec': [], 'is_assumed': False},
  ],
)
def test_a_forged_entry_of_ours_is_an_error(own, state, save, tmp_path):
  path = save({'state_dict': state, 'meta': {'skeljax': own}})
  text = torch_files.refusal(path, tmp_path)
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
def test_an_entry_of_ours_cannot_ask_for_another_network(
  section, field, value, state, save, tmp_path
):
  path = written_by_us(state, save, tmp_path)
  meta = torch.load(path, weights_only=True)['meta']
  meta['skeljax']['config'][section][field] = value
  other = save({'state_dict': state, 'meta': meta})
  assert other in torch_files.refusal(other, tmp_path)


def written_by_us(state, save, tmp_path):
  """A file that came, was converted and written again."""
  folder, _ = torch_files.convert(save(state), tmp_path / 'first')
  path = str(tmp_path / 'back.pth')
  commands.to_torch_file(folder, path, 'last', '')
  return path


def test_what_we_wrote_needs_no_flags_and_takes_none(state, save, tmp_path):
  path = written_by_us(state, save, tmp_path)
  own = torch_to_skeljax.load(path)
  first = torch_to_skeljax.load(save(state))
  for name in ('config', 'spec'):
    assert json.dumps(own.meta[name]) == json.dumps(first.meta[name])
  # What was not known when it came is not known now.
  assert own.meta['torch']['is_assumed']
  for given, flag in (
    (dict(num_persons=1), '--num_persons'),
    (dict(down_stages=(3,)), '--down_stages'),
    (dict(class_names=('x',) * 7), '--class_names'),
    (dict(layout=skeletons.get_layout('coco')), '--layout'),
    (dict(pipeline=[]), '--config'),
  ):
    text = torch_files.refusal(path, tmp_path, **given)
    assert flag in text and 'written by skeljax' in text


# Where it is written.


def test_nothing_is_overwritten(state, save, tmp_path):
  path = save(state)
  folder, _ = torch_files.convert(path, tmp_path)
  files = sorted(pathlib.Path(folder).rglob('*'))
  assert 'exists already' in torch_files.refusal(path, tmp_path)
  assert sorted(pathlib.Path(folder).rglob('*')) == files
  assert os.listdir(os.path.dirname(folder)) == ['workdir']
  with pytest.raises(errors.UserError, match='must be a new folder'):
    commands.to_workdir(path, 'a.pth', torch_to_skeljax.Given())
  with pytest.raises(errors.UserError, match='must be a PyTorch file'):
    commands.to_torch_file(folder, str(tmp_path / 'other'), 'last', '')


def test_a_network_that_a_code_base_has_not_is_not_written(
  state, save, tmp_path
):
  state_1x = torch_files.pair().theirs.state_dict()
  folder, _ = torch_files.convert(save(state_1x), tmp_path)
  output = tmp_path / 'out.pth'
  for step in ('5', 'best'):
    with pytest.raises(errors.UserError):
      commands.to_torch_file(folder, str(output), step, '')
  loaded = torch_to_skeljax.load(save(state))
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
    skeljax_to_torch.save(
      str(output), {**loaded.variables, 'params': gcn}, meta, 'mmaction0x'
    )
  assert not output.exists()
  assert not [p for p in os.listdir(tmp_path) if p.startswith('.')]


def test_an_output_that_is_a_folder_is_said(state, save, tmp_path):
  folder, _ = torch_files.convert(save(state), tmp_path)
  (tmp_path / 'taken.pth').mkdir()
  with pytest.raises(errors.UserError, match='is a folder'):
    commands.to_torch_file(folder, str(tmp_path / 'taken.pth'), 'last', '')


def test_the_command_ends_with_one_paragraph_and_status_2(
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
