"""Settings for all tests."""

import importlib.util
import os
import pathlib
import shutil
import tempfile

# Set before JAX starts a backend, because the tests check numbers of the CPU.
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
# Many tests and their subprocesses train the same small networks, so they share
# compiled programs, in a new folder per run.
_CACHE_DIR = 'JAX_COMPILATION_CACHE_DIR'
_own_cache = None
if _CACHE_DIR not in os.environ:
  _own_cache = os.environ[_CACHE_DIR] = tempfile.mkdtemp(prefix='compiled-')
  os.environ['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0.2'

from absl import flags  # noqa: E402
import jax  # noqa: E402

jax.config.update('jax_num_cpu_devices', 4)
jax.config.update('jax_numpy_rank_promotion', 'raise')
jax.config.update('jax_default_matmul_precision', 'highest')

# Grain's worker processes read absl flags, which only app.run() parses.
flags.FLAGS.mark_as_parsed()

_ORACLE = pathlib.Path(__file__).resolve().parent / 'oracle'


def pytest_unconfigure():
  """Remove the cache if this process created it."""
  if _own_cache is not None:
    shutil.rmtree(_own_cache, ignore_errors=True)


def pytest_terminal_summary(terminalreporter, config):
  """Report that tests/oracle was not collected."""
  if importlib.util.find_spec('torch') and importlib.util.find_spec('mmaction'):
    return
  paths = [pathlib.Path(arg.split('::')[0]).resolve() for arg in config.args]
  if any(path in (_ORACLE, *_ORACLE.parents) for path in paths):
    terminalreporter.write_line(
      'not collected: tests/oracle, which compares with PyTorch and mmaction2; '
      "pip install -e '.[test]' -r tests/oracle/requirements.txt"
    )
