"""The notebooks of colabs/ run from top to bottom and show what they promise.

Each is run as its user would, with one change: the number of EPOCHS. What a
notebook shows is looked at in its outputs, what it makes in its folder.
"""

import importlib.util
import os
import pathlib
import re

import nbclient
import nbformat
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Two steps of the demo's training clips.
EPOCHS = '0.05'


def code_cells(notebook) -> list[nbformat.NotebookNode]:
  return [cell for cell in notebook.cells if cell.cell_type == 'code']


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
  """Where a notebook finds the demo motions that another has prepared."""
  shared = tmp_path_factory.getbasetemp()
  if os.environ.get('PYTEST_XDIST_WORKER'):
    shared = shared.parent
  return shared / 'notebooks_cache'


@pytest.fixture
def run(cache, tmp_path, monkeypatch):
  """run(name): what all cells of a notebook wrote, by cell id."""

  def function(name: str) -> dict[str, str]:
    # A checkout as far as a notebook can tell, but not the one under test.
    (tmp_path / 'configs').symlink_to(ROOT / 'configs')
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    monkeypatch.setenv('XDG_CACHE_HOME', str(cache))
    monkeypatch.delenv('SKELJAX_DATA', raising=False)
    path = ROOT / 'colabs' / f'{name}.ipynb'
    notebook = nbformat.read(path, as_version=4)
    shortened = 0
    for cell in code_cells(notebook):
      cell.source, count = re.subn(
        r'^EPOCHS = \d+$', f'EPOCHS = {EPOCHS}', cell.source, flags=re.M
      )
      shortened += count
    assert shortened == 1
    client = nbclient.NotebookClient(
      notebook,
      timeout=600,
      kernel_name='python3',
      resources={'metadata': {'path': str(tmp_path)}},
    )
    try:
      client.execute()
    except nbclient.exceptions.CellExecutionError:
      # The cause is in what an earlier command wrote.
      for cell in code_cells(notebook):
        _text(cell)
      raise
    return {cell.id: _text(cell) for cell in code_cells(notebook)}

  return function


def _text(cell) -> str:
  """What a cell wrote; a command that failed does not stop a notebook."""
  parts = []
  for output in cell.outputs:
    assert output.output_type != 'error', output
    parts.append(output.get('text', ''))
    data = output.get('data', {})
    parts += [f'<{kind}>' for kind in data if kind.startswith('image/')]
  text = ''.join(parts)
  assert 'Traceback' not in text, text
  assert not re.search(r'^error: ', text, flags=re.M), text
  return text


def _has_accuracy(text: str) -> bool:
  return re.search(r'top-1 \d+\.\d+ %', text) is not None


def test_agcn_is_trained_on_two_streams_which_are_fused(run, tmp_path):
  said = run('train_agcn')
  assert 'CpuDevice' in said['setup']
  assert _has_accuracy(said['joint']) and _has_accuracy(said['bone'])
  assert 'label,name,clips,correct,accuracy' in said['classes']
  assert 'fused' in said['fuse'] and '260 samples, 13 classes' in said['fuse']
  assert '<image/png>' in said['confusion'] and '<image/png>' in said['fused']
  runs = tmp_path / 'runs'
  assert (runs / f'both_{EPOCHS}.npz').exists()
  assert (runs / f'joint_{EPOCHS}' / 'checkpoints').exists()


def test_posec3d_shows_volumes_and_learns_from_them(run, tmp_path):
  said = run('posec3d')
  assert '<image/png>' in said['sheet'] and '<image/gif>' in said['gif']
  assert '<image/png>' in said['channel-sheet']
  assert _has_accuracy(said['keypoint']) and _has_accuracy(said['limb'])
  assert '260 samples, 13 classes' in said['fuse']
  assert '<image/png>' in said['confusion']
  assert (tmp_path / 'runs' / 'figures' / 'heat.gif').exists()


def test_own_clips_are_prepared_learned_and_labelled(run, tmp_path):
  said = run('your_own_data')
  assert 'file,label,subject' in said['clips']
  assert _has_accuracy(said['train']) and _has_accuracy(said['evaluate'])
  assert '<image/png>' in said['confusion']
  assert (tmp_path / 'runs' / 'predictions.json').exists()


@pytest.mark.skipif(
  importlib.util.find_spec('torch') is None
  and not os.environ.get('SKELJAX_REQUIRE_ORACLE'),
  reason='needs PyTorch, which the second environment of .ci/run has',
)
def test_pytorch_checkpoint_comes_back_bit_for_bit(run, tmp_path):
  said = run('pytorch_checkpoints')
  assert _has_accuracy(said['evaluate'])
  same, total = re.search(r'(\d+) of (\d+) tensors', said['same']).groups()
  assert same == total
  returned = tmp_path / 'runs' / 'pytorch' / 'returned.pth'
  assert returned.exists()
