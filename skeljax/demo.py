"""The procedural demo motions, prepared in a cache directory.

data_prep runs in a process of its own, so that skeljax does not import Beam.
"""

import importlib.util
import os
import subprocess
import sys

from skeljax import errors


def build(name: str, dims: int, normalize: str) -> str:
  """Return the root of the prepared demo motions; prepare them if necessary.

  Args:
    name: of the dataset.
    dims: 3 for 25 joints in metres, 2 for 17 joints in pixels with scores.
    normalize: --normalize of data_prep.main; 'none' for 2D.

  Raises:
    UserError: Beam is not installed, or the preparation failed.
  """
  if importlib.util.find_spec('apache_beam') is None:
    raise errors.UserError(
      'Preparing the demo motions needs Apache Beam: pip install'
      " 'skeljax[prep]', or from the clone pip install '.[prep]'."
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
    '--overwrite',  # A newer version of the demo replaces the cached one.
  ]
  # The subprocess must find data_prep where this process found skeljax.
  repository = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
  paths = [repository, os.environ.get('PYTHONPATH', '')]
  environment = dict(
    os.environ, PYTHONPATH=os.pathsep.join(filter(None, paths))
  )
  done = subprocess.run(command, env=environment, check=False)
  if done.returncode:
    raise errors.UserError(
      f'Preparing the demo motions failed with status {done.returncode}, see'
      f' above. The command was: {" ".join(command)}'
    )
  return root
