"""Kill, stop and resume `python -m skeljax.main` in a subprocess."""

import dataclasses
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import textwrap
import time

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

_REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
_CONFIG = """
  from tests.skeljax import conftest

  def get_config(arguments=''):
    config = conftest.make_tiny_config({root!r})
    config.train.update(epochs=6.0, log_every_steps=1)
    config.input.rotate = (30.0, 30.0, 30.0)
    return config
"""


@pytest.fixture(scope='module')
def start(tiny_root, tmp_path_factory):
  """Return a function that starts training on the tiny dataset."""
  folder = tmp_path_factory.mktemp('command')
  config = folder / 'tiny.py'
  config.write_text(textwrap.dedent(_CONFIG.format(root=tiny_root)))
  environment = dict(
    os.environ,
    JAX_PLATFORMS='cpu',
    PYTHONPATH=str(_REPOSITORY),
    PYTHONFAULTHANDLER='1',
  )

  def run(workdir):
    # A file, because writing to a full pipe blocks.
    with open(folder / f'{workdir.name}.log', 'a') as log:
      process = subprocess.Popen(
        [sys.executable, '-m', 'skeljax.main', f'--config={config}',
         f'--workdir={workdir}'],
        cwd=_REPOSITORY, env=environment, stdout=log, stderr=log,
      )  # fmt: skip
    return Command(process, pathlib.Path(log.name))

  return run


@dataclasses.dataclass(frozen=True)
class Command:
  """A running command and its log file."""

  process: subprocess.Popen
  log: pathlib.Path

  def finish(self, timeout: float) -> str:
    """Wait for the command to exit and return its output."""
    try:
      self.process.wait(timeout)
    except subprocess.TimeoutExpired:
      self.abort(f'still running after {timeout} s')
    return self.log.read_text()

  def abort(self, reason: str) -> None:
    """Fail with the stack traces of all threads of the command."""
    self.process.send_signal(signal.SIGABRT)
    self.process.wait()
    raise AssertionError(f'{reason}:\n{self.log.read_text()}')


@pytest.fixture(scope='module')
def uninterrupted_run(start, tmp_path_factory):
  workdir = tmp_path_factory.mktemp('runs') / 'uninterrupted'
  command = start(workdir)
  text = command.finish(timeout=300)
  assert command.process.returncode == 0, text
  return workdir


def _wait_for_step(command, workdir, step) -> None:
  path = workdir / 'metrics.jsonl'
  deadline = time.monotonic() + 240
  while time.monotonic() < deadline:
    assert command.process.poll() is None, command.log.read_text()
    lines = path.read_text().splitlines() if path.exists() else []
    if lines and json.loads(lines[-1])['step'] >= step:
      return
    time.sleep(0.02)
  command.abort(f'step {step} not reached')


def _final_state(workdir) -> list[np.ndarray]:
  last = max(
    (p for p in (workdir / 'checkpoints').iterdir() if p.name.isdigit()),
    key=lambda p: int(p.name),
  )
  restored = []
  for item in ('variables', 'optimizer'):
    with ocp.StandardCheckpointer() as reader:
      restored.append(reader.restore(last / item))
  return [np.asarray(leaf) for leaf in jax.tree.leaves(restored)]


def _assert_same_final_state(workdir, uninterrupted) -> None:
  for a, b in zip(
    _final_state(workdir), _final_state(uninterrupted), strict=True
  ):
    np.testing.assert_array_equal(a, b)


def test_killed_run_resumes_bit_identically(start, uninterrupted_run, tmp_path):
  step = random.randint(2, 13)
  print('killed after step', step)
  workdir = tmp_path / 'killed'
  killed = start(workdir)
  _wait_for_step(killed, workdir, step)
  killed.process.send_signal(signal.SIGKILL)
  killed.process.wait()
  resumed = start(workdir)
  text = resumed.finish(timeout=300)
  assert resumed.process.returncode == 0, text
  _assert_same_final_state(workdir, uninterrupted_run)


def test_sigterm_saves_exits_with_143_and_the_run_resumes(
  start, uninterrupted_run, tmp_path
):
  workdir = tmp_path / 'stopped'
  stopped = start(workdir)
  _wait_for_step(stopped, workdir, 3)
  stopped.process.send_signal(signal.SIGTERM)
  text = stopped.finish(timeout=120)
  assert stopped.process.returncode == 143, text
  assert 'the same command continues' in text
  resumed = start(workdir)
  text = resumed.finish(timeout=300)
  assert resumed.process.returncode == 0, text
  assert 'continuing from step' in text
  _assert_same_final_state(workdir, uninterrupted_run)


def test_finished_run_exits_with_0(start, uninterrupted_run):
  command = start(uninterrupted_run)
  text = command.finish(timeout=120)
  assert command.process.returncode == 0, text
  assert 'is complete' in text
  assert 'top-1' in text
