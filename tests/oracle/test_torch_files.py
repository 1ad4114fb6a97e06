"""Reading PyTorch files: formats, dtypes, moving averages."""

import collections

from mmengine.logging import HistoryBuffer
import numpy as np
import pytest
import torch
import torch_files

from skeljax.convert import torch_file


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
  file = torch_file.read(path)
  torch_files.assert_contains(file, state)
  assert file.meta['cfg'] == 'x = 1'
  assert 'left out message_hub, optimizer, param_schedulers' in file.notes[0]
  _, notes = torch_files.convert(path, tmp_path)
  assert 'the optimizer state is not converted' in notes


def test_a_bare_state_dict_and_the_old_format_are_read(state, save):
  for is_zip in (True, False):
    for content in (state, {'state_dict': state}):
      path = save(content, _use_new_zipfile_serialization=is_zip)
      torch_files.assert_contains(torch_file.read(path), state)


def test_parameters_and_views_are_read(state, save):
  name = 'backbone.gcn.1.tcn.conv.weight'
  state[name] = torch.nn.Parameter(state[name])
  big = torch.randn(2, *state[name].shape)
  state['cls_head.fc.weight'] = state['cls_head.fc.weight'].t().contiguous().t()
  file = torch_file.read(save(state))
  torch_files.assert_contains(file, {n: t.detach() for n, t in state.items()})
  del big


def test_prefixes_of_data_parallel_are_removed(state, save):
  wrapped = {f'module.module.{n}': t for n, t in state.items()}
  file = torch_file.read(save({'state_dict': wrapped}))
  torch_files.assert_contains(file, state)
  assert any("prefix 'module.'" in note for note in file.notes)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_widened_exactly(dtype, state, save, tmp_path):
  half = {
    n: t.to(dtype) if t.is_floating_point() else t for n, t in state.items()
  }
  path = save(half)
  file = torch_file.read(path)
  for name, tensor in half.items():
    if tensor.is_floating_point():
      assert file.state_dict[name].dtype == np.float32
    assert torch.equal(
      torch.from_numpy(file.state_dict[name]).to(tensor.dtype), tensor
    )
    np.testing.assert_array_equal(
      file.state_dict[name], tensor.double().numpy()
    )
  _, notes = torch_files.convert(path, tmp_path)
  count = sum(t.is_floating_point() for t in state.values())
  assert f'widened {count} half-precision tensors' in notes


def test_other_types_are_listed(state, save, tmp_path):
  weight = state['cls_head.fc.weight']
  state['cls_head.fc.weight'] = weight.double()
  state['backbone.gcn.0.gcn.PA'] = torch.quantize_per_tensor(
    state['backbone.gcn.0.gcn.PA'], 0.1, 0, torch.qint8
  )
  state['backbone.gcn.1.gcn.PA'] = state['backbone.gcn.1.gcn.PA'].to_sparse()
  state['backbone.gcn.2.gcn.PA'] = torch.zeros(3, 17, 17, device='meta')
  state['backbone.gcn.0.tcn.conv.bias'] = torch.zeros(8, dtype=torch.complex64)
  state['backbone.gcn.1.tcn.conv.bias'] = 3
  text = torch_files.error_of(save({'state_dict': state}), tmp_path)
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
  'content,expected',
  [
    ([1, 2], 'contains a list'),
    (torch.zeros(3), 'contains a Tensor'),
    ({}, "'state_dict' contains no weights"),
    ({'state_dict': None}, "'state_dict' contains no weights"),
    ({'state_dict': {}}, "'state_dict' contains no weights"),
    ({'epoch': 3, 'arch': 'x'}, 'its entries are epoch, arch'),
    ({'state_dict': {0: torch.zeros(3)}}, 'has the name 0'),
    ({'state': {}, 'param_groups': []}, 'optimizer state but no weights'),
    (
      {'optimizer': {'state': {}}, 'epoch': 3},
      'optimizer state but no weights',
    ),
    ({'fc.weight': torch.zeros(3)}, 'no network that skeljax has'),
  ],
)
def test_files_without_weights_are_an_error_with_their_content(
  content, expected, save, tmp_path
):
  path = save(content)
  text = torch_files.error_of(path, tmp_path)
  assert expected in text
  assert path in text


def test_a_file_of_an_optimizer_is_an_error(save, tmp_path):
  optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(3))], lr=0.1)
  text = torch_files.error_of(save(optimizer.state_dict()), tmp_path)
  assert 'contains optimizer state but no weights' in text


# Two sets of weights.


def averaged_by_mmengine(state):
  """Return what EMAHook of mmengine saves: state_dict is the average."""
  average = {n: t + 1 for n, t in state.items()}
  own = {f'module.{n}': t for n, t in state.items()}
  return {
    'state_dict': average,
    'ema_state_dict': own | {'steps': torch.tensor(7)},
  }


def averaged_by_mmcv(state):
  """Return what EMAHook of mmcv saves: parameters of the model in buffers."""
  result = {}
  for name, tensor in state.items():
    if name in dict(torch_files.pair().theirs.named_parameters()):
      result['ema_' + name.replace('.', '_')] = tensor
      tensor = tensor + 1
    result[name] = tensor
  return {'state_dict': result}


@pytest.mark.parametrize('average', [averaged_by_mmengine, averaged_by_mmcv])
def test_one_of_two_sets_of_weights_must_be_chosen(
  average, state, save, tmp_path
):
  content = average(state)
  path = save(content)
  text = torch_files.error_of(path, tmp_path)
  assert '--weights=ema' in text and '--weights=model' in text
  model = torch_file.read(path, 'model')
  assert 'took the model weights of two sets' in model.notes
  assert {n: a.tobytes() for n, a in model.state_dict.items()} == {
    n: t.numpy().tobytes() for n, t in state.items()
  }
  ema = torch_file.read(path, 'ema')
  parameters = dict(torch_files.pair().theirs.named_parameters())
  for name in parameters:
    np.testing.assert_array_equal(ema.state_dict[name], state[name].numpy() + 1)
  assert set(ema.state_dict) == set(state)


def test_mmengine_saves_the_average_as_the_model():
  """Verifies what averaged_by_mmengine assumes."""
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
  assert 'no moving average' in torch_files.error_of(
    path, tmp_path, weights='ema'
  )
  torch_files.assert_contains(torch_file.read(path, 'model'), state)
