"""Makes the published PyTorch code importable beside skeljax, or says it is not.

The tests of this folder compare with mmaction2 itself. They need the packages
of requirements.txt besides skeljax[test]; without them the folder is not
collected, as the last lines of the run say. With SKELJAX_REQUIRE_ORACLE=1 (as
in .ci/run) their absence is an error.
"""

import importlib.util
import json
import os
import pathlib
import sys
import types
import warnings

import numpy as np
import pytest

_HERE = pathlib.Path(__file__).resolve().parent
_MISSING = tuple(
  name
  for name in ('torch', 'mmengine', 'mmcv', 'mmaction')
  if importlib.util.find_spec(name) is None
)
_HINT = (
  f'tests/oracle compares with PyTorch and mmaction2, but '
  f'{", ".join(_MISSING)} cannot be imported: pip install -e ".[test]" '
  '-r tests/oracle/requirements.txt'
)
_IS_REQUIRED = os.environ.get('SKELJAX_REQUIRE_ORACLE', '') not in ('', '0')
DEFAULT_SEED = 20260101


def make_importable() -> None:
  """Supplies what mmaction2 1.2.0 lacks and stops it from talking."""
  # The published package left one folder out; nothing here uses it.
  package = 'mmaction.models.localizers.drn'
  for name in (package, f'{package}.drn'):
    sys.modules.setdefault(name, types.ModuleType(name))
  sys.modules[f'{package}.drn'].DRN = None
  # It was written for NumPy 1.
  if not hasattr(np, 'Inf'):
    np.Inf = np.inf
  with warnings.catch_warnings():
    # Of deprecated calls, and of CUDA operators that nothing here uses.
    warnings.simplefilter('ignore')
    import mmaction.engine  # registers the initialisers  # noqa: F401
    import mmaction.models  # noqa: F401
    from mmengine.logging import MMLogger
    from mmengine.registry import init_default_scope
    import torch

    init_default_scope('mmaction')
    # `init_weights` logs every tensor. (A second call warns.)
    MMLogger.get_instance('oracle', log_level='ERROR')
  torch.set_num_threads(1)


if _MISSING:
  # Every file but this one: all of them import the oracle.
  collect_ignore_glob = ['*']
else:
  make_importable()
  # Test files share helper modules that lie beside them.
  if str(_HERE) not in sys.path:
    sys.path.insert(0, str(_HERE))


def pytest_configure(config):
  del config
  if _MISSING and _IS_REQUIRED:
    raise pytest.UsageError(f'SKELJAX_REQUIRE_ORACLE is set. {_HINT}')


@pytest.fixture(scope='session')
def oracle_seed() -> int:
  """Seed of everything drawn at random: $SKELJAX_ORACLE_SEED or a fixed one."""
  return int(os.environ.get('SKELJAX_ORACLE_SEED') or DEFAULT_SEED)


@pytest.fixture(scope='session')
def record_difference():
  """record_difference(model, kind, value): for the table of docs/equality.md.

  Where $SKELJAX_ORACLE_REPORT names a file, every call appends one JSON line
  to it; report.py keeps the largest value of each (model, kind).
  """
  path = os.environ.get('SKELJAX_ORACLE_REPORT')

  def record(model: str, kind: str, value: float) -> None:
    if not path:
      return
    line = json.dumps(dict(model=model, kind=kind, value=float(value)))
    # One short write in append mode: workers do not interleave.
    with open(path, 'a') as f:
      f.write(line + '\n')

  return record


@pytest.fixture
def state():
  """The tensors of a small network of mmaction2, to be changed at will."""
  import torch_files

  return torch_files.make_state()


@pytest.fixture
def save(tmp_path):
  """save(content) -> path of a file of torch.save."""
  import torch

  def function(content, name='file.pth', **kwargs):
    path = str(tmp_path / name)
    torch.save(content, path, **kwargs)
    return path

  return function
