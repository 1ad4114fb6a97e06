"""Claims about PyTorch files as untrusted input, and what the command says."""

import collections
import functools
import json
import os
import pathlib
import pickle
import subprocess
import sys
import zipfile

from mmengine.logging import HistoryBuffer
import networks
import numpy as np
import pytest
import torch

from skeljax import errors
from skeljax import graph as graph_lib
from skeljax import skeletons
from skeljax.convert import commands
from skeljax.convert import skeljax_to_torch
from skeljax.convert import torch_checkpoint
from skeljax.convert import torch_to_skeljax

_REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
CONFIG = networks.Config(
  'stgcn',
  graph_lib.Graph(skeletons.get_layout('coco'), 'stgcn_spatial'),
  (
    ('base_channels', 8),
    ('num_stages', 3),
    ('inflate_stages', (3,)),
    ('down_stages', (3,)),
  ),
  (1, 2, 8, 17, 3),
)


@functools.cache
def pair():
  return networks.build(CONFIG)


@pytest.fixture
def state():
  """A state_dict of mmaction2's ST-GCN, three narrow stages."""
  return collections.OrderedDict(pair().theirs.state_dict())


@pytest.fixture
def save(tmp_path):
  """save(content) -> path of a file of torch.save."""

  def function(content, name='file.pth', **kwargs):
    path = str(tmp_path / name)
    torch.save(content, path, **kwargs)
    return path

  return function


def convert(path, tmp_path, **given):
  """The folder that the command writes, and what it says."""
  output = str(tmp_path / 'written' / 'workdir')
  said = commands.to_workdir(path, output, torch_to_skeljax.Given(**given))
  return output, '\n'.join(said)


def refusal(path, tmp_path, **given):
  """What the command says when it refuses; it must leave nothing behind."""
  before = sorted(os.listdir(tmp_path))
  with pytest.raises(errors.UserError) as error:
    convert(path, tmp_path, **given)
  assert sorted(os.listdir(tmp_path)) == before
  return str(error.value)


def assert_holds(file, state):
  """A TorchCheckpoint has exactly these tensors."""
  assert list(file.state_dict) == list(state)
  for name, tensor in state.items():
    np.testing.assert_array_equal(file.state_dict[name], tensor.numpy())


# What is no checkpoint.


@pytest.mark.parametrize(
  'content,said',
  [
    (b'weights\n', 'no file of torch.save'),
    (b'', 'is empty'),
    (pickle.dumps({'state_dict': {}}), 'no file of torch.save'),
    (bytes(range(256)) * 40, 'no file of torch.save'),
    (b'PK\x03\x04' + bytes(500), 'damaged, cut short or of another kind'),
  ],
)
def test_other_kinds_of_files_are_refused(content, said, tmp_path):
  path = tmp_path / 'file.pth'
  path.write_bytes(content)
  text = refusal(str(path), tmp_path)
  assert str(path) in text
  assert said in text


def test_other_zip_files_are_refused(tmp_path):
  path = str(tmp_path / 'scores.npz')
  np.savez(path, a=np.zeros(3))
  assert 'of another kind' in refusal(path, tmp_path)
  path = str(tmp_path / 'empty.pth')
  zipfile.ZipFile(path, 'w').close()
  assert path in refusal(path, tmp_path)


def test_folders_and_missing_files_are_said(tmp_path):
  assert 'no such file' in refusal(str(tmp_path / 'absent.pth'), tmp_path)
  folder = tmp_path / 'folder.pth'
  folder.mkdir()
  assert 'is a folder' in refusal(str(folder), tmp_path)


@pytest.mark.parametrize('is_zip', [True, False], ids=['zip', 'legacy'])
def test_a_file_cut_anywhere_is_refused(is_zip, state, save, tmp_path):
  path = save(state, _use_new_zipfile_serialization=is_zip)
  whole = pathlib.Path(path).read_bytes()
  for tenths in range(10):
    pathlib.Path(path).write_bytes(whole[: len(whole) * tenths // 10])
    text = refusal(path, tmp_path)
    assert path in text, tenths
  pathlib.Path(path).write_bytes(whole[:-1])
  assert path in refusal(path, tmp_path)


@pytest.mark.parametrize('is_zip', [True, False], ids=['zip', 'legacy'])
def test_damage_anywhere_is_at_worst_an_error(is_zip, state, save):
  small = collections.OrderedDict(list(state.items())[:4])
  path = save({'state_dict': small}, _use_new_zipfile_serialization=is_zip)
  whole = bytearray(pathlib.Path(path).read_bytes())
  rng = np.random.default_rng(0)
  for _ in range(200):
    damaged = bytearray(whole)
    for place in rng.integers(20, len(whole), size=rng.integers(1, 4)):
      damaged[place] = rng.integers(256)
    pathlib.Path(path).write_bytes(damaged)
    try:
      torch_checkpoint.read(path)
    except errors.UserError as error:
      assert path in str(error)


# Files that want something run.


class Hostile:
  """Pickles to a call of anything."""

  def __init__(self, function, *args):
    self._call = (function, args)

  def __reduce__(self):
    return self._call

  def __call__(self):
    """Never called: pickle wants what a call is made of to be callable."""


def attacks(marker):
  """Objects that make the file `marker` when they are loaded."""
  touch = f'touch {marker}'
  return {
    'os.system': Hostile(os.system, touch),
    'exec': Hostile(exec, f"open({str(marker)!r}, 'w')"),
    'open': Hostile(open, str(marker), 'w'),
    # What mmengine's files call to name a method, used to reach another.
    'getattr': Hostile(
      Hostile(getattr, Hostile(__import__, 'os'), 'system'), touch
    ),
    'getattr of numpy': Hostile(
      Hostile(getattr, np.ndarray, 'tofile'), np.zeros(3), str(marker)
    ),
    'numpy': Hostile(np.savetxt, str(marker), [1.0]),
    'numpy runs it': Hostile(np.vectorize, os.system),
    'subprocess': Hostile(subprocess.check_call, ['touch', str(marker)]),
  }


@pytest.mark.parametrize('name', attacks(''))
@pytest.mark.parametrize('place', ['whole', 'weight', 'meta', 'beside', 'name'])
@pytest.mark.parametrize('is_zip', [True, False], ids=['zip', 'legacy'])
def test_a_hostile_file_runs_nothing(
  name, place, is_zip, state, save, tmp_path
):
  marker = tmp_path / 'marker'
  attack = attacks(marker)[name]
  content = {'state_dict': state, 'meta': {}}
  if place == 'whole':
    content = attack
  elif place == 'weight':
    state['backbone.gcn.0.gcn.PA'] = attack
  elif place == 'meta':
    content['meta'] = {'cfg': attack, 'skeljax': attack}
  elif place == 'name':
    content = {'state_dict': {(attack,): state['cls_head.fc.bias']}}
  else:
    content['message_hub'] = [attack]
  path = save(content, _use_new_zipfile_serialization=is_zip)
  try:
    torch_to_skeljax.load(path)
  except errors.UserError as error:
    assert path in str(error)
  else:
    # Skipped like the histories of mmengine, in a place that is not used.
    assert name in ('numpy', 'getattr of numpy')
    assert place in ('beside', 'meta')
  assert not marker.exists()


def test_a_call_by_an_innocent_name_is_not_made(save, state, tmp_path):
  marker = tmp_path / 'marker'
  path = save({'state_dict': state, 'x': Hostile(print, 'y')})
  targets = (
    b'builtins\nexec',
    b'builtins\ngetattr',
    # A function of NumPy that evaluates text.
    b'numpy.f2py.crackfortran\nmyeval',
    b'mmengine.utils\ninstall_package',
  )
  with zipfile.ZipFile(path) as archive:
    entries = {n: archive.read(n) for n in archive.namelist()}
  data = next(n for n in entries if n.endswith('data.pkl'))
  assert b'builtins\nprint\n' in entries[data].replace(
    b'__builtin__', b'builtins'
  )
  argument = f"open({str(marker)!r}, 'w')".encode()
  for target in targets:
    changed = dict(entries)
    changed[data] = (
      entries[data]
      .replace(b'__builtin__\nprint', target)
      .replace(b'builtins\nprint', target)
      .replace(
        b'X\x01\x00\x00\x00y',
        b'X' + len(argument).to_bytes(4, 'little') + argument,
      )
    )
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_STORED) as archive:
      for entry, content in changed.items():
        archive.writestr(entry, content)
    try:
      torch_checkpoint.read(path)
    except errors.UserError:
      pass
    assert not marker.exists(), target


def test_what_was_asked_for_is_named(state, save, tmp_path):
  path = save({'state_dict': state, 'meta': {'x': Hostile(os.system, 'true')}})
  text = refusal(path, tmp_path)
  assert 'posix.system' in text
  assert 'Nothing of it was run' in text
  path = save(
    {'state_dict': state, 'meta': {'x': Hostile(os.system, 'true')}},
    _use_new_zipfile_serialization=False,
  )
  assert 'posix.system' in refusal(path, tmp_path)


def test_attributes_of_a_dictionary_are_not_its_content(state, save, tmp_path):
  class Odd:
    def __init__(self, items):
      self._items = items

    def __reduce__(self):
      attributes = dict.fromkeys(('get', 'items', 'keys', '__iter__'), 3)
      items = iter(self._items.items())
      return collections.OrderedDict, (), attributes, None, items

  path = save(Odd({'state_dict': Odd(state), 'meta': Odd({'cfg': ''})}))
  assert_holds(torch_checkpoint.read(path), state)


# Files as they are met with.


def test_a_training_checkpoint_of_mmengine_is_read(state, save, tmp_path):
  history = HistoryBuffer([1.0, 2.0], [1, 1])
  weight = torch.nn.Parameter(torch.zeros(3))
  optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
  weight.grad = torch.ones(3)
  optimizer.step()
  content = {
    'meta': {'epoch': 3, 'cfg': 'x = 1', 'seed': np.int64(3)},
    'state_dict': state,
    'optimizer': optimizer.state_dict(),
    'param_schedulers': [{'last_step': 3, '_global_step': 4}],
    'message_hub': {
      'log_scalars': collections.OrderedDict({'train/loss': history}),
      'runtime_info': collections.OrderedDict(
        best=np.float64(0.5), history=np.zeros(4)
      ),
      'resumed_keys': {},
    },
  }
  path = save(content)
  file = torch_checkpoint.read(path)
  assert_holds(file, state)
  assert file.meta['cfg'] == 'x = 1'
  assert 'left out message_hub, optimizer, param_schedulers' in file.notes[0]
  _, said = convert(path, tmp_path)
  assert "the optimiser's state is not converted" in said


def test_a_bare_state_dict_and_the_old_format_are_read(state, save):
  for is_zip in (True, False):
    for content in (state, {'state_dict': state}):
      path = save(content, _use_new_zipfile_serialization=is_zip)
      assert_holds(torch_checkpoint.read(path), state)


def test_parameters_and_views_are_read(state, save):
  name = 'backbone.gcn.1.tcn.conv.weight'
  state[name] = torch.nn.Parameter(state[name])
  big = torch.randn(2, *state[name].shape)
  state['cls_head.fc.weight'] = state['cls_head.fc.weight'].t().contiguous().t()
  file = torch_checkpoint.read(save(state))
  assert_holds(file, {n: t.detach() for n, t in state.items()})
  del big


def test_prefixes_of_data_parallel_are_removed(state, save):
  wrapped = {f'module.module.{n}': t for n, t in state.items()}
  file = torch_checkpoint.read(save({'state_dict': wrapped}))
  assert_holds(file, state)
  assert any("prefix 'module.'" in note for note in file.notes)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_widened_exactly_and_said(
  dtype, state, save, tmp_path
):
  half = {
    n: t.to(dtype) if t.is_floating_point() else t for n, t in state.items()
  }
  path = save(half)
  file = torch_checkpoint.read(path)
  for name, tensor in half.items():
    if tensor.is_floating_point():
      assert file.state_dict[name].dtype == np.float32
    assert torch.equal(
      torch.from_numpy(file.state_dict[name]).to(tensor.dtype), tensor
    )
    np.testing.assert_array_equal(
      file.state_dict[name], tensor.double().numpy()
    )
  _, said = convert(path, tmp_path)
  count = sum(t.is_floating_point() for t in state.values())
  assert f'widened {count} half-precision tensors' in said


def test_other_types_are_listed_in_full(state, save, tmp_path):
  weight = state['cls_head.fc.weight']
  state['cls_head.fc.weight'] = weight.double()
  state['backbone.gcn.0.gcn.PA'] = torch.quantize_per_tensor(
    state['backbone.gcn.0.gcn.PA'], 0.1, 0, torch.qint8
  )
  state['backbone.gcn.1.gcn.PA'] = state['backbone.gcn.1.gcn.PA'].to_sparse()
  state['backbone.gcn.2.gcn.PA'] = torch.zeros(3, 17, 17, device='meta')
  state['backbone.gcn.0.tcn.conv.bias'] = torch.zeros(8, dtype=torch.complex64)
  state['backbone.gcn.1.tcn.conv.bias'] = 3
  text = refusal(save({'state_dict': state}), tmp_path)
  assert '6 tensors' in text
  for line in (
    'cls_head.fc.weight: torch.float64',
    'backbone.gcn.0.gcn.PA: torch.qint8',
    'backbone.gcn.1.gcn.PA: torch.float32, torch.sparse_coo',
    'backbone.gcn.2.gcn.PA: without values (meta)',
    'backbone.gcn.0.tcn.conv.bias: torch.complex64',
    'backbone.gcn.1.tcn.conv.bias: int, not a tensor',
  ):
    assert line in text, line


@pytest.mark.parametrize(
  'content,said',
  [
    ([1, 2], 'holds a list'),
    (torch.zeros(3), 'holds a Tensor'),
    ({}, "'state_dict' holds no weights"),
    ({'state_dict': None}, "'state_dict' holds no weights"),
    ({'state_dict': {}}, "'state_dict' holds no weights"),
    ({'epoch': 3, 'arch': 'x'}, 'its entries are epoch, arch'),
    ({'state_dict': {0: torch.zeros(3)}}, 'no names but 0'),
    ({'state': {}, 'param_groups': []}, 'optimiser and no weights'),
    ({'optimizer': {'state': {}}, 'epoch': 3}, 'optimiser and no weights'),
    ({'fc.weight': torch.zeros(3)}, 'no graph network'),
  ],
)
def test_files_without_our_weights_say_what_they_hold(
  content, said, save, tmp_path
):
  path = save(content)
  text = refusal(path, tmp_path)
  assert said in text
  assert path in text


def test_a_file_of_an_optimizer_says_so(save, tmp_path):
  optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(3))], lr=0.1)
  text = refusal(save(optimizer.state_dict()), tmp_path)
  assert 'Optimiser state is not converted' in text


# Two sets of weights.


def averaged_by_mmengine(state):
  """What EMAHook of mmengine saves: the average is in state_dict."""
  average = {n: t + 1 for n, t in state.items()}
  own = {f'module.{n}': t for n, t in state.items()}
  return {
    'state_dict': average,
    'ema_state_dict': own | {'steps': torch.tensor(7)},
  }


def averaged_by_mmcv(state):
  """What EMAHook of mmcv saves: parameters of the model in buffers."""
  result = {}
  for name, tensor in state.items():
    if name in dict(pair().theirs.named_parameters()):
      result['ema_' + name.replace('.', '_')] = tensor
      tensor = tensor + 1
    result[name] = tensor
  return {'state_dict': result}


@pytest.mark.parametrize('form', [averaged_by_mmengine, averaged_by_mmcv])
def test_of_two_sets_of_weights_one_has_to_be_chosen(
  form, state, save, tmp_path
):
  content = form(state)
  path = save(content)
  text = refusal(path, tmp_path)
  assert '--weights=ema' in text and '--weights=model' in text
  model = torch_checkpoint.read(path, 'model')
  assert 'took the model weights of two sets' in model.notes
  assert {n: a.tobytes() for n, a in model.state_dict.items()} == {
    n: t.numpy().tobytes() for n, t in state.items()
  }
  ema = torch_checkpoint.read(path, 'ema')
  parameters = dict(pair().theirs.named_parameters())
  for name in parameters:
    np.testing.assert_array_equal(ema.state_dict[name], state[name].numpy() + 1)
  assert set(ema.state_dict) == set(state)


def test_mmengine_saves_the_average_as_the_model():
  """Why `ema` is the state_dict: the claim behind averaged_by_mmengine."""
  from mmengine.hooks import EMAHook
  from mmengine.model import ExponentialMovingAverage

  model = torch.nn.Linear(2, 1)
  hook = EMAHook()
  hook.ema_model = ExponentialMovingAverage(model)
  hook.src_model = model
  own, average = model.weight.detach().clone(), torch.full((1, 2), 9.0)
  hook.ema_model.module.weight.data.copy_(average)
  checkpoint = {'state_dict': dict(model.state_dict())}
  hook.before_save_checkpoint(None, checkpoint)
  assert torch.equal(checkpoint['state_dict']['weight'], average)
  assert torch.equal(checkpoint['ema_state_dict']['module.weight'], own)


def test_a_plain_file_has_no_average(state, save, tmp_path):
  path = save(state)
  assert 'no averaged weights' in refusal(path, tmp_path, weights='ema')
  assert_holds(torch_checkpoint.read(path, 'model'), state)


# Networks that do not fit.


def test_tensors_that_do_not_fit_are_all_listed(state, save, tmp_path):
  del state['backbone.gcn.1.gcn.bn.bias']
  state['backbone.gcn.2.tcn.bn.weight'] = torch.zeros(3)
  state['extra.weight'] = torch.zeros(2, 2)
  text = refusal(save(state), tmp_path)
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
  assert said in refusal(save(state), tmp_path, **given)


@pytest.mark.parametrize(
  'own',
  [
    3,
    {},
    {'config': {}, 'facts': {}},
    {'config': 3, 'facts': 4, 'is_assumed': False},
    {'config': {}, 'facts': [], 'is_assumed': False},
  ],
)
def test_a_forged_entry_of_ours_is_an_error(own, state, save, tmp_path):
  path = save({'state_dict': state, 'meta': {'skeljax': own}})
  text = refusal(path, tmp_path)
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
  assert other in refusal(other, tmp_path)


def written_by_us(state, save, tmp_path):
  """A file that came, was converted and written again."""
  folder, _ = convert(save(state), tmp_path / 'first')
  path = str(tmp_path / 'back.pth')
  commands.to_torch_file(folder, path, 'last', '')
  return path


def test_what_we_wrote_needs_no_flags_and_takes_none(state, save, tmp_path):
  path = written_by_us(state, save, tmp_path)
  own = torch_to_skeljax.load(path)
  first = torch_to_skeljax.load(save(state))
  for name in ('config', 'facts', 'stream'):
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
    text = refusal(path, tmp_path, **given)
    assert flag in text and 'written by skeljax' in text


# Where it is written.


def test_nothing_is_overwritten(state, save, tmp_path):
  path = save(state)
  folder, _ = convert(path, tmp_path)
  files = sorted(pathlib.Path(folder).rglob('*'))
  assert 'exists already' in refusal(path, tmp_path)
  assert sorted(pathlib.Path(folder).rglob('*')) == files
  assert os.listdir(os.path.dirname(folder)) == ['workdir']
  with pytest.raises(errors.UserError, match='must be a new folder'):
    commands.to_workdir(path, 'a.pth', torch_to_skeljax.Given())
  with pytest.raises(errors.UserError, match='must be a PyTorch file'):
    commands.to_torch_file(folder, str(tmp_path / 'other'), 'last', '')


def test_a_network_that_a_code_base_has_not_is_not_written(
  state, save, tmp_path
):
  state_1x = pair().theirs.state_dict()
  folder, _ = convert(save(state_1x), tmp_path)
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
  folder, _ = convert(save(state), tmp_path)
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
  path = save({'state_dict': state, 'meta': {'x': Hostile(os.system, 'true')}})
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
