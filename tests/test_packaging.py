"""What the package says about itself agrees with what is in the tree."""

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


def test_ci_pins_everything_that_is_asked_for():
  setup = _setup()
  asked = _names(setup['options']['install_requires'])
  for extra, requirements in setup['options.extras_require'].items():
    if extra not in ('torch', 'all'):
      asked |= _names(requirements)
  pinned = _names((ROOT / '.ci' / 'constraints.txt').read_text())
  assert asked - pinned == {'skeljax'}


def test_extras_are_those_that_the_readme_names():
  readme = (ROOT / 'README.md').read_text(encoding='utf-8')
  for extra in _setup()['options.extras_require']:
    assert f'`{extra}`' in readme


@pytest.mark.parametrize('guide', GUIDES, ids=lambda path: path.name)
def test_guides_name_files_that_exist(guide):
  text = guide.read_text(encoding='utf-8')
  links = re.findall(r'\]\(([^)#:]+)\)', text)
  configs = re.findall(r'configs/(?!my_)\w+\.py', text)
  for path in [guide.parent / link for link in links] + [
    ROOT / config for config in configs
  ]:
    assert path.exists(), f'{guide.name} names {path}'


@pytest.mark.parametrize('guide', GUIDES, ids=lambda path: path.name)
def test_guides_name_commands_that_exist(guide):
  text = guide.read_text(encoding='utf-8')
  for module in set(
    re.findall(r'python -m ((?:skeljax|data_prep)[\w.]*)', text)
  ):
    path = ROOT.joinpath(*module.split('.'))
    is_command = path.with_suffix('.py').exists()
    is_command |= (path / '__main__.py').exists()
    assert is_command, f'{guide.name} names python -m {module}'


def test_every_folder_of_tests_is_run():
  settings = tomllib.loads((ROOT / 'pyproject.toml').read_text())
  paths = settings['tool']['pytest']['ini_options']['testpaths']
  ci = (ROOT / '.ci' / 'run').read_text(encoding='utf-8')
  for path in (ROOT / 'tests').iterdir():
    if path.is_dir() and any(path.rglob('test_*.py')):
      name = f'tests/{path.name}'
      assert name in paths or re.search(rf'pytest .*\b{name}\b', ci), name
