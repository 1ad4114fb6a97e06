"""Score dumps that are damaged, of another kind, or that try to run code."""

import collections
import io
import os
import pickle

import numpy as np
import pytest
import score_dumps
import torch

from skeljax import errors
from skeljax.convert import score_dump


@pytest.mark.parametrize(
  'content, words',
  [
    (None, 'cannot be read: No such file'),
    (b'', 'is empty'),
    (b'PK\x03\x04 scores', 'Expected a score dump of mmaction2'),
    (b'{"acc": 1}', 'looks like JSON text. Expected a score dump'),
    (b'\x80\x04K', 'cut short'),
  ],
)
def test_other_files_are_an_error(content, words, tmp_path):
  path = tmp_path / 'joint.pkl'
  if content is not None:
    path.write_bytes(content)
  with pytest.raises(errors.UserError, match=words):
    score_dump.read(path, score_dumps.SOURCE)


class Calls:
  """Pickles as a call of a function."""

  def __init__(self, function, *arguments):
    self._call = (function, arguments)

  def __reduce__(self):
    return self._call


def hidden_in_a_tensor(attack):
  """Return an attack in the bytes of a tensor."""
  parts = (
    0x1950A86A20F9469CFC6C,  # The magic number of torch's older format.
    1001,
    {'protocol_version': 1001, 'little_endian': True, 'type_sizes': {}},
    attack,
    [],
  )
  data = b''.join(pickle.dumps(part, 2) for part in parts)
  return Calls(torch.storage._load_from_bytes, data)


def huge_tensor():
  """Return a tensor of 2^50 values in a storage of one."""
  storage = torch.ones(1)._typed_storage()
  arguments = (storage, 0, (2**50,), (0,), False, collections.OrderedDict())
  return Calls(torch._utils._rebuild_tensor_v2, *arguments)


def beyond_its_storage():
  storage = torch.ones(4)._typed_storage()
  arguments = (storage, 2, (4,), (1,), False, collections.OrderedDict())
  return Calls(torch._utils._rebuild_tensor_v2, *arguments)


def tensor_for_a_storage():
  """Return a tensor in place of its storage: 4000 values in the memory of one."""
  inside = io.BytesIO()
  torch.save(torch.zeros(1).expand(4000), inside)
  storage = Calls(torch.storage._load_from_bytes, inside.getvalue())
  arguments = (storage, 0, (4000,), (1,), False, collections.OrderedDict())
  return Calls(torch._utils._rebuild_tensor_v2, *arguments)


def attacks(marker):
  command = f'touch {marker}'
  system = Calls(os.system, command)
  return {
    'os.system': system,
    'eval': Calls(eval, f'open({str(marker)!r}, "w")'),
    'inside a tensor': hidden_in_a_tensor(system),
    'torch.load': Calls(torch.load, str(marker)),
    'beside a tensor': [torch.ones(7), system],
    'huge': huge_tensor(),
    'beyond': beyond_its_storage(),
    'invalid storage': Calls(
      torch._utils._rebuild_tensor_v2, [1.0], 0, (1,), (1,), False, {}
    ),
  }


@pytest.mark.filterwarnings('ignore:TypedStorage')
@pytest.mark.parametrize('name', attacks(''))
def test_hostile_dump_runs_nothing(name, tmp_path):
  marker = tmp_path / 'was_here'
  samples = score_dumps.samples_of()
  samples[3]['pred_score'] = attacks(marker)[name]
  path = tmp_path / 'joint.pkl'
  path.write_bytes(pickle.dumps(samples, 2))
  with pytest.raises(errors.UserError) as raised:
    score_dump.read(path, score_dumps.SOURCE)
  assert not marker.exists()
  assert str(path) in str(raised.value)


def test_a_tensor_cannot_exceed_its_storage(tmp_path):
  path = tmp_path / 'joint.pkl'
  path.write_bytes(pickle.dumps([tensor_for_a_storage()], 2))
  with pytest.raises(errors.UserError, match='contains more than numbers'):
    score_dump.read(path, score_dumps.SOURCE)


@pytest.mark.filterwarnings('ignore:TypedStorage')
@pytest.mark.parametrize('name', ['os.system', 'inside a tensor'])
def test_the_attacks_would_work_on_pickle(name, tmp_path):
  marker = tmp_path / 'was_here'
  data = pickle.dumps([attacks(marker)[name]], 2)
  with pytest.MonkeyPatch.context() as patch:
    # torch.load reads on after the attack and finds nothing.
    patch.chdir(tmp_path)
    try:
      pickle.loads(data)
    except (RuntimeError, EOFError):
      pass
  assert marker.exists()


@pytest.mark.filterwarnings('ignore:Detected pickle protocol')
def test_damaged_dump_is_a_user_error(tmp_path, oracle_seed):
  """Damaged bytes lead to a UserError, or to scores of the right shape."""
  whole = pickle.dumps(score_dumps.samples_of()[:3], 2)
  source = score_dump.Source(
    'a', ('x', 'y', 'z'), score_dumps.LABELS[:3], score_dumps.SOURCE.class_names
  )
  # NOTE: no byte becomes LONG_BINPUT: Python's unpickler takes the memory for
  # as many objects as that operation claims, which is slow, not wrong.
  assert 'LONG_BINPUT' not in {
    name for name, _ in score_dumps.operations_of(whole)
  }
  values = [value for value in range(256) if value != ord('r')]
  rng = np.random.RandomState(oracle_seed % 2**32)
  path = tmp_path / 'a.pkl'
  for _ in range(400):
    data = bytearray(whole)
    if rng.rand() < 0.2:
      del data[rng.randint(len(data)) :]
    else:
      for place in rng.randint(len(data), size=rng.randint(1, 4)):
        data[place] = rng.choice(values)
    path.write_bytes(data)
    try:
      scores = score_dump.read(path, source)
    except errors.UserError:
      continue
    assert scores.scores.shape == (3, score_dumps.NUM_CLASSES)
