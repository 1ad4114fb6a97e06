"""Training on one device, four devices and two processes agrees.

Float32 trajectories of these networks diverge, so the tests compare gradients
and BatchNorm statistics of one float32 step, with grouped statistics as in the
published recipes, and parameters after twenty float64 steps, with statistics
over the whole batch. (Float32 gradients with whole-batch statistics differ from
exact ones by up to 1e-6 on any topology.)
"""

import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

from skeljax import train

_HERE = pathlib.Path(__file__).resolve().parent
_REPOSITORY = _HERE.parents[1]


def _start(root, output, **options):
  command = [sys.executable, str(_HERE / 'topology_worker.py')]
  command += [f'--root={root}', f'--output={output}']
  command += [f'--{name}={value}' for name, value in options.items()]
  return subprocess.Popen(
    command,
    cwd=_REPOSITORY,
    env={
      'PYTHONPATH': str(_REPOSITORY),
      'PATH': '',
      # Reuse what an earlier run of the same topology compiled.
      **{k: v for k, v in os.environ.items() if 'COMPILATION_CACHE' in k},
    },
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )


def _finish(processes) -> None:
  try:
    for process in processes:
      text, _ = process.communicate(timeout=600)
      assert process.returncode == 0, text
  finally:
    for process in processes:
      process.kill()


def _free_port() -> int:
  with socket.socket() as s:
    s.bind(('localhost', 0))
    return s.getsockname()[1]


@pytest.fixture(scope='module')
def runs(tiny_root, tmp_path_factory):
  """Return arrays by topology and the workdir of the two-process run."""
  folder = tmp_path_factory.mktemp('topology')
  workdir = folder / 'two_processes'
  port = _free_port()
  output = {n: folder / f'{n}.npz' for n in ('one', 'four', 'two_processes')}
  started = [
    _start(
      tiny_root,
      output['two_processes'],
      devices=2,
      process=i,
      processes=2,
      port=port,
      workdir=workdir,
    )
    for i in range(2)
  ]
  _finish(started)
  for name, devices in (('one', 1), ('four', 4)):
    _finish([_start(tiny_root, output[name], devices=devices)])
  return {n: np.load(p) for n, p in output.items()}, str(workdir)


def _is_zero(arrays, name: str) -> bool:
  """Return whether a gradient is zero in float64.

  The gradient of a bias before a BatchNorm is: in float32 it is only rounding
  error.
  """
  return np.linalg.norm(arrays[name.replace('one', 'twenty', 1)]) < 1e-12


def _differences(a, b, prefix: str) -> dict[str, float]:
  """Return the relative norm of the difference of each tensor."""
  assert sorted(a.files) == sorted(b.files)
  result = {}
  for name in a.files:
    if name.startswith(prefix):
      x, y = a[name].astype(np.float64), b[name].astype(np.float64)
      result[name] = np.linalg.norm(x - y) / max(np.linalg.norm(x), 1e-12)
  assert result
  return result


@pytest.mark.parametrize('other', ['four', 'two_processes'])
def test_gradients_of_one_step_agree_to_1e_6(runs, other):
  one, other = runs[0]['one'], runs[0][other]
  for name, difference in _differences(one, other, "one['gradient']").items():
    if _is_zero(one, name):
      assert np.linalg.norm(one[name]) < 1e-7, name
    else:
      assert difference <= 1e-6, name


@pytest.mark.parametrize('other', ['four', 'two_processes'])
def test_batch_stats_of_one_step_agree_to_1e_6(runs, other):
  one, other = runs[0]['one'], runs[0][other]
  for name, difference in _differences(one, other, "one['batch_stat").items():
    assert difference <= 1e-6, name


@pytest.mark.parametrize('other', ['four', 'two_processes'])
def test_twenty_float64_steps_agree_to_1e_10(runs, other):
  one, other = runs[0]['one'], runs[0][other]
  for name, difference in _differences(one, other, "twenty['params']").items():
    assert difference <= 1e-10, name


def test_run_of_two_processes_resumes_on_one_process(runs, tiny_config):
  result = train.train(tiny_config, runs[1])
  assert not result.interrupted
  assert int(result.state.step) == 8
  assert 0 <= result.summary['top1'] <= 1
