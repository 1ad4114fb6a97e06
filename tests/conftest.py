"""Settings that every test runs under."""

import importlib.util
import os
import pathlib

# Set before JAX starts a backend: tests are numeric claims about the CPU.
os.environ.setdefault('JAX_PLATFORMS', 'cpu')

from absl import flags  # noqa: E402
import jax  # noqa: E402

jax.config.update('jax_num_cpu_devices', 4)
jax.config.update('jax_numpy_rank_promotion', 'raise')
jax.config.update('jax_default_matmul_precision', 'highest')

# Grain's worker processes read absl flags, which only app.run() parses.
flags.FLAGS.mark_as_parsed()

_ORACLE = pathlib.Path(__file__).resolve().parent / 'oracle'


def pytest_terminal_summary(terminalreporter, config):
  """Says that tests/oracle is left out; here, as workers print nothing."""
  if importlib.util.find_spec('torch') and importlib.util.find_spec('mmaction'):
    return
  asked = [pathlib.Path(arg.split('::')[0]).resolve() for arg in config.args]
  if any(path in (_ORACLE, *_ORACLE.parents) for path in asked):
    terminalreporter.write_line(
      'not collected: tests/oracle, which compares with PyTorch and mmaction2; '
      "pip install -e '.[test]' -r tests/oracle/requirements.txt"
    )
