"""Run the notebooks of colabs/ with fewer EPOCHS; check outputs and files."""

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
  """Return the folder in which notebooks share the prepared demo."""
  shared = tmp_path_factory.getbasetemp()
  if os.environ.get('PYTEST_XDIST_WORKER'):
    shared = shared.parent
  return shared / 'notebooks_cache'


@pytest.fixture
def run(cache, tmp_path, monkeypatch):
  """Return run(name), which returns the output of every cell by its id."""

  def function(name: str) -> dict[str, str]:
    # Notebooks require a folder configs/ in a clone.
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
      # An earlier command may have printed the cause.
      for cell in code_cells(notebook):
        _text(cell)
      raise
    return {cell.id: _text(cell) for cell in code_cells(notebook)}

  return function


def _text(cell) -> str:
  """Return the output of a cell; fail if a shell command of it failed."""
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


def test_agcn_trains_on_two_streams_and_fuses_them(run, tmp_path):
  output = run('train_agcn')
  assert 'CpuDevice' in output['setup']
  assert _has_accuracy(output['joint']) and _has_accuracy(output['bone'])
  assert 'label,name,clips,correct,accuracy' in output['classes']
  assert (
    'fused' in output['fuse'] and '260 samples, 13 classes' in output['fuse']
  )
  assert (
    '<image/png>' in output['confusion'] and '<image/png>' in output['fused']
  )
  runs = tmp_path / 'runs'
  assert (runs / f'both_{EPOCHS}.npz').exists()
  assert (runs / f'joint_{EPOCHS}' / 'checkpoints').exists()


def test_posec3d_plots_heatmaps_and_trains_on_them(run, tmp_path):
  output = run('posec3d')
  assert '<image/png>' in output['sheet'] and '<image/gif>' in output['gif']
  assert '<image/png>' in output['channel-sheet']
  assert _has_accuracy(output['keypoint']) and _has_accuracy(output['limb'])
  assert '260 samples, 13 classes' in output['fuse']
  assert '<image/png>' in output['confusion']
  assert (tmp_path / 'runs' / 'figures' / 'heat.gif').exists()


def test_own_clips_are_prepared_trained_on_and_labelled(run, tmp_path):
  output = run('your_own_data')
  assert 'file,label,subject' in output['clips']
  assert _has_accuracy(output['train']) and _has_accuracy(output['evaluate'])
  assert '<image/png>' in output['confusion']
  assert (tmp_path / 'runs' / 'predictions.json').exists()


@pytest.mark.skipif(
  importlib.util.find_spec('torch') is None
  and not os.environ.get('SKELJAX_REQUIRE_ORACLE'),
  reason='needs PyTorch, which the second environment of .ci/run has',
)
def test_pytorch_checkpoint_round_trip_is_exact(run, tmp_path):
  output = run('pytorch_checkpoints')
  assert _has_accuracy(output['evaluate'])
  same, total = re.search(r'(\d+) of (\d+) tensors', output['same']).groups()
  assert same == total
  returned = tmp_path / 'runs' / 'pytorch' / 'returned.pth'
  assert returned.exists()
