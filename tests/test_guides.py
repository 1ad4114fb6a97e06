"""The commands in README and docs parse: flags, choices and config fields.

tests/guides runs those that need no download.
"""

import json
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
# tests/guides/test_add_a_model.py runs the command of the remaining guide.
GUIDES = [
  ROOT / 'README.md',
  *sorted(set((ROOT / 'docs').glob('*.md')) - {ROOT / 'docs/add_a_model.md'}),
]
# Print the arguments of each python command instead of running it.
_STAND_INS = """
python() { printf '%s\\0' "$@"; printf '\\n'; }
pip() { :; }; wget() { :; }; tar() { :; }; cat() { :; }
"""


def command_lines(guide: pathlib.Path) -> list[list[str]]:
  """Return [[module, argument, ...], ...] as the shell parses the blocks."""
  text = guide.read_text(encoding='utf-8')
  blocks = re.findall(r'^ *```bash\n(.*?)^ *```', text, re.M | re.S)
  # Variables are shared by all blocks; the one that creates a venv is left out.
  script = '\n'.join([_STAND_INS, *(b for b in blocks if 'venv' not in b)])
  done = subprocess.run(
    ['bash', '-euc', script], capture_output=True, text=True, check=False
  )
  assert not done.returncode, f'{guide.name}:\n{done.stderr}'
  lines = [line.split('\0')[:-1] for line in done.stdout.split('\n')]
  found = [line[1:] for line in lines if line[:1] == ['-m']]
  return [
    line for line in found if line[0].split('.')[0] in ('skeljax', 'data_prep')
  ]


@pytest.fixture(scope='module')
def refused():
  """Errors of the commands of all guides that do not parse."""
  lines = [line for guide in GUIDES for line in command_lines(guide)]
  assert len(lines) > 40
  done = subprocess.run(
    [sys.executable, str(ROOT / 'tests' / 'command_lines_worker.py')],
    input=json.dumps(lines), cwd=ROOT, capture_output=True, text=True,
    check=False, env={'PYTHONPATH': str(ROOT), 'JAX_PLATFORMS': 'cpu'},
  )  # fmt: skip
  assert not done.returncode, done.stderr
  return json.loads(done.stdout)


def test_commands_of_the_guides_parse(refused):
  assert not refused, '\n'.join(refused)


def test_every_published_dataset_has_its_command():
  commands = {line[0] for line in command_lines(ROOT / 'docs' / 'datasets.md')}
  assert commands == {'data_prep.main', 'skeljax.evaluate'}
  text = (ROOT / 'docs' / 'datasets.md').read_text(encoding='utf-8')
  sources = {'pickle', 'ntu', 'kinetics_skeleton', 'ucla', 'npy', 'npz'}
  assert set(re.findall(r'--source=(\w+)', text)) == sources
