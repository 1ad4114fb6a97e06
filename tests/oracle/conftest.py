"""Make the published PyTorch code importable, or report that it is missing.

The tests in this folder compare with mmaction2 itself. They need skeljax[test]
and the packages of requirements.txt; without them the folder is not collected.
With SKELJAX_REQUIRE_ORACLE=1 (as in .ci/run) their absence is an error.
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
  """Add what mmaction2 1.2.0 lacks and silence its logging."""
  # The published package lacks a folder, which no test uses.
  package = 'mmaction.models.localizers.drn'
  for name in (package, f'{package}.drn'):
    sys.modules.setdefault(name, types.ModuleType(name))
  sys.modules[f'{package}.drn'].DRN = None
  # mmaction2 was written for NumPy 1.
  if not hasattr(np, 'Inf'):
    np.Inf = np.inf
  with warnings.catch_warnings():
    # Deprecated calls and missing CUDA operators.
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
  # All files except this one: all of them import the oracle.
  collect_ignore_glob = ['*']
else:
  make_importable()
  # Test files import helper modules of this folder.
  if str(_HERE) not in sys.path:
    sys.path.insert(0, str(_HERE))


def pytest_configure(config):
  del config
  if _MISSING and _IS_REQUIRED:
    raise pytest.UsageError(f'SKELJAX_REQUIRE_ORACLE is set. {_HINT}')


@pytest.fixture(scope='session')
def oracle_seed() -> int:
  """Seed of all random configurations: $SKELJAX_ORACLE_SEED or a fixed one."""
  return int(os.environ.get('SKELJAX_ORACLE_SEED') or DEFAULT_SEED)


@pytest.fixture(scope='session')
def record_difference():
  """record_difference(model, kind, value), for the table of docs/equality.md.

  If $SKELJAX_ORACLE_REPORT is a file, each call appends a JSON line to it;
  report.py takes the largest value of each (model, kind).
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
  """The tensors of a small network of mmaction2, for tests to change."""
  import torch_files

  return torch_files.make_state()


@pytest.fixture
def save(tmp_path):
  """save(content) -> path of a file written by torch.save."""
  import torch

  def function(content, name='file.pth', **kwargs):
    path = str(tmp_path / name)
    torch.save(content, path, **kwargs)
    return path

  return function
