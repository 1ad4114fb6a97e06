"""Package metadata, constraints, README and docs agree with the repository."""

import configparser
import pathlib
import re
import tomllib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
GUIDES = [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]


def _setup() -> configparser.ConfigParser:
  setup = configparser.ConfigParser()
  setup.read(ROOT / 'setup.cfg', encoding='utf-8')
  return setup


def _names(requirements: str) -> set[str]:
  lines = [line.strip() for line in requirements.splitlines()]
  names = {
    re.match(r'[\w.-]+', line)[0]
    for line in lines
    if line and not line.startswith('#')
  }
  return {name.lower().replace('-', '_') for name in names}


def test_ci_pins_every_requirement():
  setup = _setup()
  required = _names(setup['options']['install_requires'])
  for extra, requirements in setup['options.extras_require'].items():
    if extra not in ('torch', 'all'):
      required |= _names(requirements)
  pinned = _names((ROOT / '.ci' / 'constraints.txt').read_text())
  assert required - pinned == {'skeljax'}


def test_readme_names_every_extra():
  readme = (ROOT / 'README.md').read_text(encoding='utf-8')
  for extra in _setup()['options.extras_require']:
    assert f'`{extra}`' in readme


@pytest.mark.parametrize('guide', GUIDES, ids=lambda path: path.name)
def test_linked_files_exist(guide):
  text = guide.read_text(encoding='utf-8')
  links = re.findall(r'\]\(([^)#:]+)\)', text)
  configs = re.findall(r'configs/(?!my_)\w+\.py', text)
  for path in [guide.parent / link for link in links] + [
    ROOT / config for config in configs
  ]:
    assert path.exists(), f'{guide.name} names {path}'


@pytest.mark.parametrize('guide', GUIDES, ids=lambda path: path.name)
def test_commands_in_the_docs_exist(guide):
  text = guide.read_text(encoding='utf-8')
  for module in set(
    re.findall(r'python -m ((?:skeljax|data_prep)[\w.]*)', text)
  ):
    path = ROOT.joinpath(*module.split('.'))
    is_command = path.with_suffix('.py').exists()
    is_command |= (path / '__main__.py').exists()
    assert is_command, f'{guide.name} names python -m {module}'


def test_ci_runs_every_folder_of_tests():
  settings = tomllib.loads((ROOT / 'pyproject.toml').read_text())
  paths = settings['tool']['pytest']['ini_options']['testpaths']
  ci = (ROOT / '.ci' / 'run').read_text(encoding='utf-8')
  for path in (ROOT / 'tests').iterdir():
    if path.is_dir() and any(path.rglob('test_*.py')):
      name = f'tests/{path.name}'
      assert name in paths or re.search(rf'pytest .*\b{name}\b', ci), name
