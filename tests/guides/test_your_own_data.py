"""Run the commands of docs/your_own_data.md.

The number of clips and of epochs is reduced, the download is omitted, and a
newly initialized network of mmaction2 replaces the published weights.
"""

import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

from skeljax import score_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
GUIDE = (ROOT / 'docs' / 'your_own_data.md').read_text(encoding='utf-8')
COMMANDS = re.findall(r'^```bash\n(.*?)^```', GUIDE, flags=re.M | re.S)
PUBLISHED = re.search(r'init_from=(\S+\.pth)', GUIDE)[1]
NEEDS_ORACLE = pytest.mark.skipif(
  importlib.util.find_spec('mmaction') is None
  and not os.environ.get('SKELJAX_REQUIRE_ORACLE'),
  reason='needs PyTorch and mmaction2, as the second environment of .ci/run',
)


def run_commands(commands: list[str], folder: pathlib.Path) -> str:
  """Run the commands in one shell and return their output."""
  script = '\n'.join(commands)
  for text, replacement in (
    ('demo.clips --output=my_clips', '{} --clips_per_action=3'),
    ('EPOCHS=30', 'EPOCHS=1'),
  ):
    assert script.count(text) <= 1
    script = script.replace(text, replacement.format(text))
  environment = dict(
    os.environ,
    PATH=os.path.dirname(sys.executable) + os.pathsep + os.environ['PATH'],
    PYTHONPATH=str(ROOT),
  )
  environment.pop('SKELJAX_DATA', None)
  done = subprocess.run(
    ['bash', '-euo', 'pipefail', '-c', script],
    cwd=folder, env=environment, capture_output=True, text=True, check=False,
  )  # fmt: skip
  assert done.returncode == 0, done.stdout + done.stderr
  return done.stdout + done.stderr


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  path = tmp_path_factory.mktemp('clone')
  (path / 'configs').symlink_to(ROOT / 'configs')
  return path


@pytest.fixture(scope='module')
def printed(folder):
  """Return the output of all commands that use no published weights."""
  return run_commands([c for c in COMMANDS if PUBLISHED not in c], folder)


def test_replaced_text_is_in_the_guide():
  script = '\n'.join(COMMANDS)
  assert script.count('demo.clips --output=my_clips') == 1
  assert script.count('EPOCHS=30') == 1
  assert sum(PUBLISHED in c for c in COMMANDS) == 1


def test_report_contains_classes_and_split(printed):
  assert 'layout coco, 13 classes' in printed
  (train, val) = re.search(r'^ +all +(\d+) +(\d+)$', printed, re.M).groups()
  assert int(train) + int(val) == 39
  assert int(train) > int(val) > 0


def test_run_is_evaluated_and_plotted(printed, folder):
  assert re.search(r'top-1 \d+\.\d+ %', printed)
  assert (folder / 'runs' / 'first' / 'confusion_matrix.png').exists()
  assert (folder / 'figures' / 'first.png').exists()
  assert (folder / 'figures' / 'first.gif').exists()
  assert len(score_file.read(folder / 'first.npz').class_names) == 13


def test_predicted_labels_are_in_the_table(printed, folder):
  table = (folder / 'my_clips' / 'labels.csv').read_text(encoding='utf-8')
  names = {line.split(',')[1] for line in table.splitlines()[1:]}
  text = (folder / 'predictions.json').read_text(encoding='utf-8')
  assert len(json.loads(text)) > 0
  found = sorted(n for n in names if json.dumps(n) in text)
  assert len(found) >= 5
  for clip in (folder / 'my_clips').glob('*A001.json'):
    assert clip.stem in text


@NEEDS_ORACLE
def test_published_weights_are_fine_tuned(printed, folder):
  # Makes mmaction2 importable.
  import tests.oracle.conftest  # noqa: F401, I001
  from mmaction.models import GCNHead
  from mmaction.models import STGCN
  import torch

  parts = {
    'backbone': STGCN(graph_cfg=dict(layout='coco', mode='stgcn_spatial')),
    'cls_head': GCNHead(num_classes=60, in_channels=256),
  }
  state = {
    f'{part}.{name}': tensor
    for part, module in parts.items()
    for name, tensor in module.state_dict().items()
  }
  torch.save({'meta': {}, 'state_dict': state}, folder / PUBLISHED)
  variables = [c.split('\n')[0] for c in COMMANDS if c.startswith('EPOCHS')]
  commands = [c for c in COMMANDS if PUBLISHED in c]
  text = run_commands(variables + commands, folder)
  assert re.search(r'classifier', text)
  assert re.search(r'top-1 \d+\.\d+ %', text)
  results = folder / 'runs' / 'finetuned' / 'results.json'
  assert json.loads(results.read_text())['num_clips'] > 0
