"""Imports point one way; see the comments for what each rule protects."""

import ast
import functools
import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
COMMANDS = {
  'main',
  'train',
  'evaluate',
  'predict',
  'fuse',
  'export',
}
# What a room may use of skeljax, besides itself.
MAY_USE = {
  'skeljax.errors': set(),
  'skeljax.training.losses': {'errors', 'option'},
  'skeljax.training.metrics': set(),
  'skeljax.training.optim': {'errors'},
  'skeljax.training.sharding': {'errors'},
  'skeljax.skeletons': {'errors'},
  'skeljax.models': {'errors', 'skeletons'},
  'skeljax.inputs': {'errors', 'option', 'skeletons', 'datasets'},
  'skeljax.datasets': {'errors', 'option', 'skeletons'},
  'skeljax.readers': {'errors', 'skeletons'},
  'data_prep': {
    'errors',
    'skeletons',
    'datasets',
    'readers',
    'cli',
    'atomic_file',
  },
}
# Rooms that must not see these packages, at the top or inside a function.
MUST_NOT_USE = {
  'skeljax': {'data_prep', 'apache_beam', 'tensorflow', 'configs', 'clu'},
  'data_prep': {'tensorflow', 'torch', 'configs'},
  # The host's part of the work is numpy: a JAX array there would start an
  # accelerator in every data worker.
  'skeljax.datasets': {'jax', 'flax', 'optax', 'ml_collections'},
  'skeljax.readers': {'jax', 'flax', 'optax', 'ml_collections'},
  'skeljax.skeletons': {'jax', 'flax', 'ml_collections'},
  'skeljax.skeletons.graph': {'jax', 'flax', 'ml_collections'},
  # Pure rooms take options as arguments.
  'skeljax.models': {'ml_collections'},
  'skeljax.inputs': {'ml_collections', 'grain', 'tensorflow_datasets'},
  'skeljax.training.steps': {'ml_collections', 'grain', 'tensorflow_datasets'},
  'skeljax.training.losses': {'ml_collections'},
  'skeljax.training.metrics': {'ml_collections'},
  'skeljax.training.optim': {'ml_collections'},
}
# Optional packages: imported where they are used, and only in these rooms.
ONLY_INSIDE_FUNCTIONS = {
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
  """Dotted names that are imported; without `nested`, on import already."""
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


def _users(room: str) -> list[tuple[str, str]]:
  return [
    (module, used)
    for module, tree in _modules().items()
    if _is_in(module, room)
    for used in sorted(_imports(tree))
  ]


@pytest.mark.parametrize('room', MAY_USE)
def test_rooms_know_only_what_is_below_them(room):
  allowed = {f'skeljax.{name}' for name in MAY_USE[room]} | {room}
  wrong = [
    f'{module} imports {used}'
    for module, used in _users(room)
    if used.startswith('skeljax.')
    and not any(_is_in(used, name) for name in allowed)
  ]
  assert not wrong


@pytest.mark.parametrize('room', MUST_NOT_USE)
def test_rooms_do_not_see(room):
  wrong = [
    f'{module} imports {used}'
    for module, used in _users(room)
    if used.split('.')[0] in MUST_NOT_USE[room]
  ]
  assert not wrong


@pytest.mark.parametrize('package', ONLY_INSIDE_FUNCTIONS)
def test_optional_packages_are_imported_where_they_are_used(package):
  for module, tree in _modules().items():
    if any(_is_in(used, package) for used in _imports(tree)):
      assert _is_in(module, ONLY_INSIDE_FUNCTIONS[package])
    assert not any(_is_in(u, package) for u in _imports(tree, nested=False))


def test_only_checkpoints_knows_orbax():
  for module, used in _users('skeljax'):
    assert module == 'skeljax.training.checkpoints' or not _is_in(used, 'orbax')


def test_only_commands_use_commands_and_nobody_uses_main():
  for module, used in _users('skeljax'):
    rooms = used.split('.')
    if rooms[0] != 'skeljax' or len(rooms) < 2 or rooms[1] not in COMMANDS:
      continue
    assert module.split('.')[1] in COMMANDS, f'{module} imports {used}'
    assert rooms[1] != 'main' or module == 'skeljax.main'


def test_only_the_command_of_convert_loads_any_checkpoint():
  # pretrained.py uses the rest of convert as a library.
  for module, used in _users('skeljax.convert'):
    if _is_in(used, 'skeljax.pretrained'):
      assert module == 'skeljax.convert.__main__'


def test_no_module_needs_itself():
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


def test_importing_the_trainer_is_light_and_touches_no_device():
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
  facts = json.loads(done.stdout)
  unwanted = {
    'apache_beam',
    'data_prep',
    'matplotlib',
    'tensorboardX',
    'tensorflow',
    'torch',
  }
  assert not unwanted & set(facts['packages'])
  # jax.distributed.initialize comes too late once there is a backend.
  assert not facts['has_backend']
