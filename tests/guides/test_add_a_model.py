"""Follow docs/add_a_model.md literally in a copy of the repository."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
GUIDE = (ROOT / 'docs' / 'add_a_model.md').read_text(encoding='utf-8')
# A block of Python after the path of its file.
FILES = re.findall(
  r'`([\w/]+\.py)`:\n\n```python\n(.*?)^```', GUIDE, re.M | re.S
)
[PATCH] = re.findall(r'^```diff\n(.*?)^```', GUIDE, re.M | re.S)
[COMMAND] = re.findall(r'^```bash\n(.*?)^```', GUIDE, re.M | re.S)


@pytest.fixture(scope='module')
def clone(tmp_path_factory) -> pathlib.Path:
  """A copy of the repository with the files of the guide."""
  clone = tmp_path_factory.mktemp('clone')
  for package in ('skeljax', 'configs', 'data_prep'):
    ignore = shutil.ignore_patterns('__pycache__')
    shutil.copytree(ROOT / package, clone / package, ignore=ignore)
  for path, content in FILES:
    (clone / path).parent.mkdir(parents=True, exist_ok=True)
    (clone / path).write_text(content, encoding='utf-8')
  _run(['git', 'apply', '-'], clone, input=PATCH)
  return clone


def _run(command: list[str], folder: pathlib.Path, **options) -> str:
  environment = dict(
    os.environ,
    PATH=os.path.dirname(sys.executable) + os.pathsep + os.environ['PATH'],
    PYTHONPATH=str(folder),
  )
  environment.pop('SKELJAX_DATA', None)
  done = subprocess.run(
    command, cwd=folder, env=environment, capture_output=True, text=True,
    check=False, **options,
  )  # fmt: skip
  assert done.returncode == 0, done.stdout + done.stderr
  return done.stdout + done.stderr


def test_the_model_trains_on_the_demo(clone):
  assert {path for path, _ in FILES} == {
    'skeljax/models/my_gcn.py',
    'configs/my_gcn.py',
    'tests/skeljax/models/test_my_gcn.py',
  }
  _run(['bash', '-euc', COMMAND], clone)
  assert (clone / 'runs' / 'my_gcn' / 'results.json').is_file()


def test_the_test_of_the_guide_passes(clone):
  command = [sys.executable, '-m', 'pytest', '-q', 'tests']
  assert '1 passed' in _run(command, clone)
