"""The notebooks of colabs/ as files; tests/colabs runs them."""

import importlib
import importlib.util
import pathlib
import re

from IPython.core import inputtransformer2
import nbformat
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
NAMES = [path.stem for path in sorted((ROOT / 'colabs').glob('*.ipynb'))]


def read(name: str) -> nbformat.NotebookNode:
  return nbformat.read(ROOT / 'colabs' / f'{name}.ipynb', as_version=4)


def code_cells(notebook) -> list[nbformat.NotebookNode]:
  return [cell for cell in notebook.cells if cell.cell_type == 'code']


@pytest.mark.parametrize('name', NAMES)
def test_notebook_is_valid_and_has_no_outputs(name):
  notebook = read(name)
  nbformat.validate(notebook)
  for cell in code_cells(notebook):
    assert not cell.outputs and cell.execution_count is None
    assert not cell.metadata


@pytest.mark.parametrize('name', NAMES)
def test_notebook_is_formatted_as_nbformat_writes_it(name):
  # Keeps diffs small.
  text = (ROOT / 'colabs' / f'{name}.ipynb').read_text(encoding='utf-8')
  assert text == nbformat.writes(read(name)) + '\n'


@pytest.mark.parametrize('name', NAMES)
def test_notebook_calls_the_library_and_defines_nothing(name):
  for cell in code_cells(read(name)):
    found = re.search(
      r'^\s*(def|class|async def)\b|\blambda\b', cell.source, re.M
    )
    assert not found, cell.source


@pytest.mark.parametrize('name', NAMES)
def test_notebook_installs_extras_that_exist(name):
  setup = (ROOT / 'setup.cfg').read_text(encoding='utf-8')
  source = '\n'.join(cell.source for cell in code_cells(read(name)))
  (extras,) = re.findall(r"%pip install -q -e '\.\[([\w,]+)\]'", source)
  for extra in extras.split(','):
    assert f'\n{extra} =\n' in setup


@pytest.mark.parametrize('name', NAMES)
def test_notebook_without_a_clone_needs_the_repository(
  name, tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  (setup,) = (cell for cell in code_cells(read(name)) if cell.id == 'setup')
  source = inputtransformer2.TransformerManager().transform_cell(setup.source)
  with pytest.raises(ValueError, match='Set REPOSITORY'):
    exec(source, {})


@pytest.mark.parametrize('name', NAMES)
def test_notebook_imports_exist(name):
  source = '\n'.join(cell.source for cell in code_cells(read(name)))
  imports = re.findall(
    r'^from ((?:skeljax|data_prep)[\w.]*) import (.+)$', source, re.MULTILINE
  )
  for package, names in imports:
    for imported in names.split(', '):
      module = importlib.import_module(package)
      assert hasattr(module, imported) or importlib.util.find_spec(
        f'{package}.{imported}'
      ), f'{package}.{imported}'


def test_every_notebook_is_run():
  runs = ROOT / 'tests' / 'colabs' / 'test_notebooks.py'
  assert set(NAMES) == set(
    re.findall(r"run\('(\w+)'\)", runs.read_text(encoding='utf-8'))
  )
