"""Every Beam runner writes the same bytes, with workers in other processes.

Beam reaches Flink, Spark and Dataflow through the portable runner, here with a
job server and a pool of workers in separate processes.
"""

import dataclasses
import os
import pathlib
import pickle
import re
import signal
import socket
import subprocess
import sys
import time

from array_record.python import array_record_module
import numpy as np
import pytest

from data_prep import jobs
from data_prep import shards

_SECONDS_TO_START = 60


@pytest.fixture
def folder(tmp_path):
  """Clips with one to three persons, one of them empty, in two classes."""
  rng = np.random.default_rng(0)
  for i in range(24):
    path = tmp_path / 'clips' / ('sit', 'wave')[i % 2] / f'{i:02d}.npy'
    path.parent.mkdir(parents=True, exist_ok=True)
    keypoint = rng.normal(size=(1 + i % 3, 3 + i, 25, 3)).astype(np.float16)
    np.save(path, keypoint * (i != 7))
  return tmp_path / 'clips'


def _environment():
  # The pool starts its workers as `python`.
  return {
    **os.environ,
    'PATH': f'{pathlib.Path(sys.executable).parent}:{os.environ["PATH"]}',
  }


def _wait_for(is_ready):
  for _ in range(_SECONDS_TO_START * 10):
    if is_ready():
      return
    time.sleep(0.1)
  pytest.fail('the job server or the pool of workers did not start')


def _answers(port):
  with socket.socket() as probe:
    return probe.connect_ex(('localhost', port)) == 0


def _free_port():
  with socket.socket() as probe:
    probe.bind(('localhost', 0))
    return probe.getsockname()[1]


@pytest.fixture
def cluster(tmp_path):
  """Flags for a running job server and worker pool."""
  pool_port, port_file = _free_port(), tmp_path / 'port'
  commands = [
    [
      'apache_beam.runners.portability.local_job_service_main',
      f'--port_file={port_file}',
      f'--staging_dir={tmp_path / "staging"}',
    ],
    [
      'apache_beam.runners.worker.worker_pool_main',
      f'--service_port={pool_port}',
    ],
  ]
  logs = [(tmp_path / name).open('w+') for name in ('server.log', 'pool.log')]
  processes = [
    subprocess.Popen(
      [sys.executable, '-m', *command],
      stdout=log,
      stderr=log,
      env=_environment(),
      start_new_session=True,
    )
    for command, log in zip(commands, logs, strict=True)
  ]
  try:
    _wait_for(lambda: port_file.exists() and _answers(pool_port))
    yield [
      '--runner=PortableRunner',
      f'--job_endpoint=localhost:{port_file.read_text()}',
      '--environment_type=EXTERNAL',
      f'--environment_config=localhost:{pool_port}',
    ]
  finally:
    for process in processes:
      # Also kills the workers of the pool, which would survive SIGTERM.
      os.killpg(process.pid, signal.SIGKILL)
      process.wait()
  # The work was done by a process that the pool started.
  logs[1].seek(0)
  assert 'Starting worker with command' in logs[1].read()


def _files(directory) -> dict[str, bytes]:
  return {
    str(path.relative_to(directory)): path.read_bytes()
    for path in pathlib.Path(directory).rglob('*')
    if path.is_file()
  }


def test_every_runner_writes_the_same_bytes(
  folder, make_options, run, cluster, tmp_path
):
  runners = {
    'here': ['--runner=FnApiRunner'],
    'processes': [
      '--runner=FnApiRunner',
      '--direct_num_workers=2',
      '--direct_running_mode=multi_processing',
    ],
    'cluster': cluster,
    # A runner that loses a worker repeats its tasks.
    'repeated': [
      '--runner=FnApiRunner',
      '--direct_runner_bundle_repeat=1',
    ],
  }
  for name, flags in runners.items():
    options = make_options(
      folder,
      source='clips',
      normalize='mmaction0x',
      drop_empty=True,
      num_shards=3,
      output=str(tmp_path / name),
    )
    run(options, *flags)

  first = _files(tmp_path / 'here')
  assert sum('array_record' in name for name in first) == 6
  for name in runners:
    assert _files(tmp_path / name) == first, name


def test_workers_import_nothing_of_jax(
  folder, make_options, run, tmp_path, monkeypatch
):
  """A worker would otherwise occupy an accelerator, or fail without one."""
  tasks = []

  def keep_tasks(function, all_tasks, **options):
    tasks.extend(all_tasks)
    # The scratch file is removed when the dataset is published.
    kept = tmp_path / 'kept'
    kept.write_bytes(pathlib.Path(tasks[0].scratch).read_bytes())
    return run_jobs(function, all_tasks, **options)

  run_jobs = jobs.run
  monkeypatch.setattr(jobs, 'run', keep_tasks)
  run(make_options(folder, source='clips', drop_empty=True))
  task = dataclasses.replace(
    tasks[0], path=str(tmp_path / 'shard'), scratch=str(tmp_path / 'kept')
  )
  (tmp_path / 'task').write_bytes(pickle.dumps((shards.write_shard, task)))
  code = """
import pickle, sys
function, task = pickle.load(open(sys.argv[1], 'rb'))
result = function(task)
assert result['value'].num_clips, result
found = {name.split('.')[0] for name in sys.modules}
print(found & {'jax', 'jaxlib', 'flax', 'torch', 'tensorflow', 'grain'})
"""
  done = subprocess.run(
    [sys.executable, '-c', code, str(tmp_path / 'task')],
    capture_output=True,
    text=True,
    check=True,
  )
  assert done.stdout.strip() == 'set()'
  reader = array_record_module.ArrayRecordReader(str(tmp_path / 'shard'))
  assert reader.num_records() > 0
  reader.close()


def test_flags_in_the_docs_exist():
  docs = pathlib.Path(__file__).resolve().parents[2] / 'docs'
  text = ''.join((docs / name).read_text() for name in ('beam.md', 'data.md'))
  blocks = re.findall(r'```(?:ba)?sh\n(.*?)```', text, re.DOTALL)
  code = """
import sys
from data_prep import main
from absl import flags
main.define_flags()
rest = flags.FLAGS(sys.argv, known_only=True)
main.reject_unknown(rest[1:], list(flags.FLAGS))
"""
  arguments = [
    word
    for block in blocks
    for line in block.replace('\\\n', ' ').splitlines()
    if 'data_prep.main' in line or line.startswith('$P')
    for word in line.replace('"', ' ').split()
    if word.startswith('--')
  ]
  assert len(arguments) > 50
  done = subprocess.run(
    [sys.executable, '-c', code, *arguments], capture_output=True, text=True
  )
  assert done.returncode == 0, done.stderr
