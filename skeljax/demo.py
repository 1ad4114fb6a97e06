"""The procedural demo motions, prepared once under the cache directory.

data_prep makes them in a process of its own, because nothing here imports it:
neither training nor pictures need Beam once the data is prepared.
"""

import importlib.util
import os
import subprocess
import sys

from skeljax import errors


def build(name: str, dims: int, normalize: str) -> str:
  """Root of the prepared demo motions, which are made on the first call.

  Args:
    name: of the dataset.
    dims: 3 for 25 joints in metres, 2 for 17 joints in pixels with scores.
    normalize: as data_prep.main takes it; 'none' for 2D.

  Raises:
    UserError: Beam is not installed, or the preparation failed.
  """
  if importlib.util.find_spec('apache_beam') is None:
    raise errors.UserError(
      'The demo motions are prepared by Apache Beam, which is not installed:'
      " pip install 'skeljax[prep]'. (From the clone: pip install"
      " '.[prep]'.) Prepared data of your own does not need it."
    )
  cache = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
  root = os.path.join(cache, 'skeljax', 'demo')
  os.makedirs(root, exist_ok=True)
  command = [
    sys.executable,
    '-m',
    'data_prep.main',
    '--source=demo',
    f'--layout={"nturgb+d" if dims == 3 else "coco"}',
    f'--normalize={normalize}',
    f'--name={name}',
    f'--output={root}',
    # A newer version of the demo replaces the cached one.
    '--overwrite',
  ]
  done = subprocess.run(command, env=_environment(), check=False)
  if done.returncode:
    raise errors.UserError(
      f'The demo motions could not be prepared (status {done.returncode}, see'
      f' above). The command was: {" ".join(command)}'
    )
  return root


def _environment() -> dict[str, str]:
  """The child must find data_prep where this process found skeljax."""
  environment = dict(os.environ)
  here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
  paths = [here, environment.get('PYTHONPATH', '')]
  environment['PYTHONPATH'] = os.pathsep.join(p for p in paths if p)
  return environment
