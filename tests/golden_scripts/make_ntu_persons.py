"""Make tests/skeljax/readers/golden/ntu_persons.npz with pyskl and mmaction2 0.x.

Neither can be installed together with what the tests need, but both scripts only
use numpy and run from a checkout. From the root of the repository, with skeljax
installed:

    python -m tests.golden_scripts.make_ntu_persons PYSKL MMACTION2

PYSKL is a checkout of kennymckormick/pyskl, MMACTION2 one of
open-mmlab/mmaction2 at v0.24.1. Contains their outputs for the recordings of
tests/recordings.py: 'pyskl_KIND' float16 [M, T, 25, 3], and 'mmaction0x_KIND'
float32 [2, T, 25, 3], normalized; of length zero where the published script
fails.
"""

import contextlib
import io
import pathlib
import sys
import tempfile
import types

import numpy as np

from tests import recordings

OUTPUT = pathlib.Path(__file__).parents[1] / 'skeljax/readers/golden'
SEED = 5
PYSKL_SCRIPT = 'tools/data/ntu_preproc.py'
MMACTION_SCRIPT = 'tools/data/skeleton/gen_ntu_rgbd_raw.py'
MAX_FRAMES = 300


class NoProgressBar:
  def __init__(self, total):
    del total

  def update(self):
    pass


def read_lines(path):
  """Return what pyskl.smp.mrlines returns."""
  lines = pathlib.Path(path).read_text().split('\n')
  while lines and not lines[-1]:
    lines.pop()
  return lines


def functions_of(path, end=None):
  """Return what a script defines before the line that starts with `end`."""
  stubs = {
    'mmcv': {'ProgressBar': NoProgressBar, 'dump': None},
    'tqdm': {'tqdm': None},
    'pyskl': {},
    'pyskl.smp': {'mrlines': read_lines},
  }
  for name, members in stubs.items():
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(members)
  source = pathlib.Path(path).read_text()
  if end is not None:
    source = source[: source.index(f'\n{end}')]
  names = {'__name__': 'published'}
  exec(compile(source, path, 'exec'), names)
  return types.SimpleNamespace(**names)


def pyskl_persons(script, folder, name):
  bodies = script.parse_skeleton_file(name, folder)
  try:
    return script.gen_keypoint_array(bodies).astype(np.float16)
  except (AssertionError, IndexError):
    return np.zeros((0, 0, 25, 3), np.float16)


def mmaction0x_persons(script, folder, name):
  data = script.read_xyz(f'{folder}/{name}.skeleton', 4, 25)
  clip = np.zeros((1, 3, MAX_FRAMES, 25, 2), np.float32)
  clip[0, :, : data.shape[1]] = data.astype(np.float32)
  with contextlib.redirect_stdout(io.StringIO()):
    clip = script.pre_normalization(clip)
  return clip[0, :, : data.shape[1]].transpose(3, 1, 2, 0)


def main(pyskl, mmaction):
  pyskl = functions_of(f'{pyskl}/{PYSKL_SCRIPT}', "root = 'nturgb+d_skeletons'")
  mmaction = functions_of(f'{mmaction}/{MMACTION_SCRIPT}')
  made = {}
  with tempfile.TemporaryDirectory() as folder:
    for kind in recordings.KINDS:
      text = recordings.text(recordings.draw(kind, SEED))
      pathlib.Path(folder, f'{kind}.skeleton').write_text(text)
      made[f'pyskl_{kind}'] = pyskl_persons(pyskl, folder, kind)
      made[f'mmaction0x_{kind}'] = mmaction0x_persons(mmaction, folder, kind)
  for name, array in made.items():
    print(name, array.dtype, array.shape)
  OUTPUT.mkdir(exist_ok=True)
  np.savez_compressed(OUTPUT / 'ntu_persons.npz', **made)


if __name__ == '__main__':
  main(*sys.argv[1:])
