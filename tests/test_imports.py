"""Imports run one way, between files and between folders."""

import ast
import functools
import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
# A folder or top-level file of skeljax imports only from earlier layers, so
# folders have no cycle. A folder's __main__.py is a command, its other files a
# library.
LAYERS = (
  {'errors'},
  {'option', 'atomic_file', 'cli', 'demo', 'skeletons'},
  {'datasets', 'readers', 'score_file'},
  # Models know neither data nor configs.
  {'inputs', 'models'},
  {'training'},
  {'run'},
  {'convert', 'scoring'},
  {'pretrained', 'visualize'},
  {'initial_weights', 'predict'},
  {
    'convert.__main__',
    'evaluate',
    'fuse',
    'predict.__main__',
    'visualize.__main__',
  },
  {'train'},
  {'main'},
)
USED_BY_DATA_PREP = {
  'atomic_file', 'cli', 'datasets', 'errors', 'option', 'readers', 'skeletons',
}  # fmt: skip
# Packages that these modules do not import, even inside functions.
FORBIDDEN = {
  'skeljax': {'data_prep', 'apache_beam', 'tensorflow', 'configs', 'clu'},
  'data_prep': {'tensorflow', 'torch', 'configs'},
  # A JAX array would start an accelerator in every data worker.
  'skeljax.datasets': {'jax', 'flax', 'optax', 'ml_collections'},
  'skeljax.readers': {'jax', 'flax', 'optax', 'ml_collections'},
  'skeljax.skeletons': {'jax', 'flax', 'ml_collections'},
  'skeljax.models': {'ml_collections'},
  'skeljax.inputs': {'ml_collections', 'grain', 'tensorflow_datasets'},
  'skeljax.training.steps': {'ml_collections', 'grain', 'tensorflow_datasets'},
}
# Optional packages are imported inside functions of one folder.
OPTIONAL = {
  'torch': 'skeljax.convert',
  'matplotlib': 'skeljax.visualize',
  'PIL': 'skeljax.visualize',
  'tensorboardX': 'skeljax.training.metric_writer',
}


@functools.cache
def _modules() -> dict[str, ast.Module]:
  modules = {}
  for package in ('skeljax', 'data_prep'):
    for path in sorted((ROOT / package).rglob('*.py')):
      parts = path.relative_to(ROOT).with_suffix('').parts
      name = '.'.join(parts).removesuffix('.__init__')
      modules[name] = ast.parse(path.read_text(encoding='utf-8'))
  return modules


def _imports(node: ast.AST, nested: bool = True) -> set[str]:
  """Return imported dotted names; without `nested`, those at module level."""
  found = set()
  for child in ast.iter_child_nodes(node):
    if isinstance(child, ast.Import):
      found |= {alias.name for alias in child.names}
    elif isinstance(child, ast.ImportFrom):
      assert not child.level, 'relative import'
      found |= {f'{child.module}.{alias.name}' for alias in child.names}
    elif nested or not isinstance(child, ast.FunctionDef):
      found |= _imports(child, nested)
  return found


def _is_in(name: str, package: str) -> bool:
  return name == package or name.startswith(package + '.')


def _unit(module: str) -> str:
  """Return the folder, top-level file or command that a module belongs to."""
  parts = module.split('.')
  if parts[0] != 'skeljax':
    return parts[0]
  is_command = len(parts) > 2 and parts[2] == '__main__'
  return '.'.join(parts[1 : 3 if is_command else 2])


def _internal_imports(module: str) -> list[str]:
  return [
    used
    for used in sorted(_imports(_modules()[module]))
    if used.startswith('skeljax.') and used != 'skeljax.__version__'
  ]


def test_every_folder_and_file_has_a_layer():
  units = {_unit(m) for m in _modules() if m.startswith('skeljax.')}
  assert units == set().union(*LAYERS)


@pytest.mark.parametrize('layer', range(len(LAYERS)))
def test_layers_import_only_earlier_layers(layer):
  below = set().union(*LAYERS[:layer])
  wrong = [
    f'{module} imports {used}'
    for module in _modules()
    if module.startswith('skeljax.') and _unit(module) in LAYERS[layer]
    for used in _internal_imports(module)
    if _unit(used) not in below | {_unit(module)}
    # A command uses the library of its own folder.
    and f'{_unit(used)}.__main__' != _unit(module)
  ]
  assert not wrong


def test_data_prep_uses_only_what_it_may():
  wrong = [
    f'{module} imports {used}'
    for module in _modules()
    if _is_in(module, 'data_prep')
    for used in _internal_imports(module)
    if _unit(used) not in USED_BY_DATA_PREP
  ]
  assert not wrong


@pytest.mark.parametrize('package', FORBIDDEN)
def test_packages_do_not_import(package):
  wrong = [
    f'{module} imports {used}'
    for module, tree in _modules().items()
    if _is_in(module, package)
    for used in sorted(_imports(tree))
    if used.split('.')[0] in FORBIDDEN[package]
  ]
  assert not wrong


@pytest.mark.parametrize('package', OPTIONAL)
def test_optional_packages_are_imported_where_they_are_used(package):
  for module, tree in _modules().items():
    if any(_is_in(used, package) for used in _imports(tree)):
      assert _is_in(module, OPTIONAL[package])
    assert not any(_is_in(u, package) for u in _imports(tree, nested=False))


def test_only_checkpoints_imports_orbax():
  users = {
    module
    for module, tree in _modules().items()
    if any(_is_in(used, 'orbax') for used in _imports(tree))
  }
  assert users == {'skeljax.training.checkpoints'}


def test_files_have_no_import_cycle():
  modules = _modules()
  needs = {
    module: {
      max((m for m in modules if _is_in(used, m)), key=len)
      for used in _imports(tree, nested=False)
      if used.split('.')[0] in ('skeljax', 'data_prep')
    }
    for module, tree in modules.items()
  }
  done = set()

  def visit(module, above):
    assert module not in above, ' -> '.join([*above, module])
    if module not in done:
      for needed in sorted(needs[module]):
        visit(needed, [*above, module])
      done.add(module)

  for module in modules:
    visit(module, [])


def test_importing_the_trainer_is_light_and_starts_no_device():
  program = """
import importlib, json, pkgutil, sys
import skeljax.datasets
for module in pkgutil.walk_packages(skeljax.datasets.__path__, 'skeljax.datasets.'):
  importlib.import_module(module.name)
import skeljax.evaluate, skeljax.fuse, skeljax.main, skeljax.train
from jax._src import xla_bridge
print(json.dumps({
  'packages': sorted({name.split('.')[0] for name in sys.modules}),
  'has_backend': xla_bridge.backends_are_initialized(),
}))
"""
  done = subprocess.run(
    [sys.executable, '-c', program], cwd=ROOT, capture_output=True, text=True
  )
  assert done.returncode == 0, done.stderr
  result = json.loads(done.stdout)
  unwanted = {
    'apache_beam',
    'data_prep',
    'matplotlib',
    'tensorboardX',
    'tensorflow',
    'torch',
  }
  assert not unwanted & set(result['packages'])
  # jax.distributed.initialize must run before there is a backend.
  assert not result['has_backend']
