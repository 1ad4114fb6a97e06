"""One device, four devices and two processes train the same model.

Float32 trajectories of these networks diverge by nature, so the claims are:
one step's gradients and BatchNorm statistics in float32, with the statistics in
groups as the published recipes have them, and twenty steps in float64, with
statistics over the whole batch. (Float32 gradients of the whole-batch form
differ from exact ones by up to 1e-6 on any topology.)
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
      # What one run of a topology has compiled its next run loads.
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
  """Arrays by topology, and the workdir that two processes left at step 4."""
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
  """Whether a gradient vanishes in exact arithmetic, as float64 shows.

  So does that of a bias before a BatchNorm: what float32 gives is rounding,
  and has no digits to agree in.
  """
  return np.linalg.norm(arrays[name.replace('one', 'twenty', 1)]) < 1e-12


def _differences(a, b, prefix: str) -> dict[str, float]:
  """Norm of the difference by tensor, in units of the tensor's norm."""
  assert sorted(a.files) == sorted(b.files)
  result = {}
  for name in a.files:
    if name.startswith(prefix):
      x, y = a[name].astype(np.float64), b[name].astype(np.float64)
      result[name] = np.linalg.norm(x - y) / max(np.linalg.norm(x), 1e-12)
  assert result
  return result


@pytest.mark.parametrize('other', ['four', 'two_processes'])
def test_one_steps_gradients_agree_to_1e_6_of_each_tensors_norm(runs, other):
  one, other = runs[0]['one'], runs[0][other]
  for name, difference in _differences(one, other, "one['gradient']").items():
    if _is_zero(one, name):
      assert np.linalg.norm(one[name]) < 1e-7, name
    else:
      assert difference <= 1e-6, name


@pytest.mark.parametrize('other', ['four', 'two_processes'])
def test_one_steps_statistics_agree_to_1e_6_of_each_tensors_norm(runs, other):
  one, other = runs[0]['one'], runs[0][other]
  for name, difference in _differences(one, other, "one['batch_stat").items():
    assert difference <= 1e-6, name


@pytest.mark.parametrize('other', ['four', 'two_processes'])
def test_twenty_float64_steps_agree_to_1e_10(runs, other):
  one, other = runs[0]['one'], runs[0][other]
  for name, difference in _differences(one, other, "twenty['params']").items():
    assert difference <= 1e-10, name


def test_run_of_two_processes_resumes_on_one(runs, tiny_config):
  result = train.train(tiny_config, runs[1])
  assert not result.interrupted
  assert int(result.state.step) == 8
  assert 0 <= result.summary['top1'] <= 1
