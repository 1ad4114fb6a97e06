"""Read config files of mmaction2 and pyskl without running them.

Training checkpoints of both contain the config as Python source. It is parsed:
literals, lists, calls of `dict` and names of earlier values are understood;
everything else becomes UNREADABLE, which no argument accepts.

Arguments that a test pipeline leaves out have the defaults of the published
classes. A transform or argument that skeljax does not have is an error: nothing
is dropped silently.
"""

import ast
from collections.abc import Callable, Mapping
import functools
import os
from typing import Any, NamedTuple

from skeljax import errors

Pipeline = list[Mapping[str, Any]]


class Check(NamedTuple):
  """Allowed values of an argument.

  Attributes:
    expected: for errors.
    is_valid: whether a value is allowed.
  """

  expected: str
  is_valid: Callable[[Any], bool]


def is_number(value: Any) -> bool:
  return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_index(value: Any) -> bool:
  return type(value) is int and value >= 0


def is_list_of(is_valid: Callable[[Any], bool], value: Any) -> bool:
  return isinstance(value, list) and all(map(is_valid, value))


def one_of(*values: Any) -> Check:
  return Check(' or '.join(map(repr, values)), lambda v: v in values)


ANY = Check('any value', lambda v: True)
COUNT = Check('an integer from 1', lambda v: isinstance(v, int) and v >= 1)
NUMBER = Check('a number', is_number)
FLAG = Check('True or False', lambda v: isinstance(v, bool))
INDICES = Check('a list of indices', functools.partial(is_list_of, is_index))
_SAMPLING = {
  'clip_len': COUNT, 'num_clips': COUNT, 'test_mode': True, 'seed': 255,
  'p_interval': 1,
}  # fmt: skip
# Transforms of both input kinds: for each argument the allowed values, or the
# only one.
COMMON_TRANSFORMS: Mapping[str, Mapping[str, Any]] = {
  'UniformSampleFrames': _SAMPLING,
  'UniformSample': _SAMPLING,
  'PoseDecode': {},
  'Collect': {'keys': ANY, 'meta_keys': ANY},
  'ToTensor': {'keys': ANY},
  'PackActionInputs': {'collect_keys': ANY, 'meta_keys': ANY},
}


class _Unreadable:
  """The value of an expression that would have to be run."""

  def __repr__(self) -> str:
    return '<an expression>'


UNREADABLE = _Unreadable()


def from_meta(meta: Mapping[str, Any]) -> dict[str, Any]:
  """Parse the config in a checkpoint's meta (mmengine: cfg, mmcv: config)."""
  texts = [meta[k] for k in ('cfg', 'config') if isinstance(meta.get(k), str)]
  return parse(texts[0]) if texts else {}


def read(path: str) -> dict[str, Any]:
  """Return the values of a config file and of its bases.

  Raises:
    UserError: no such file, or it has no test pipeline.
  """
  values = _read_with_bases(path, ())
  if not test_pipeline(values):
    raise errors.UserError(
      f'{path} is not a config of skeljax (no get_config), mmaction2 or pyskl'
      ' (no test_pipeline).'
    )
  return values


def read_text(path: str) -> str:
  """Return the text of a config file."""
  if not os.path.isfile(path):
    raise errors.UserError(f'{path}: no such config file.')
  try:
    with open(path, encoding='utf-8') as file:
      return file.read()
  except UnicodeDecodeError as error:
    raise errors.UserError(f'{path} is not a text file.') from error


def _read_with_bases(path: str, parents: tuple[str, ...]) -> dict[str, Any]:
  if os.path.realpath(path) in parents:
    raise errors.UserError(f'{path}: its _base_ includes the file itself.')
  parents += (os.path.realpath(path),)
  values = parse(read_text(path))
  bases = values.pop('_base_', None) or []
  merged: dict[str, Any] = {}
  for base in bases if isinstance(bases, list) else [bases]:
    base_path = os.path.join(os.path.dirname(path), str(base))
    # A base that is missing contains the run-time settings.
    if os.path.isfile(base_path):
      merged |= _read_with_bases(base_path, parents)
  return merged | values


def parse(text: str) -> dict[str, Any]:
  """Return the values that a config assigns; {} if it is not Python."""
  values: dict[str, Any] = {}
  try:
    for statement in ast.parse(text).body:
      if isinstance(statement, ast.Assign):
        value = _value(statement.value, values)
        names = [t.id for t in statement.targets if isinstance(t, ast.Name)]
        values |= dict.fromkeys(names, value)
  except (SyntaxError, ValueError, RecursionError, MemoryError):
    # Python raises the last two for thousands of nested brackets.
    return {}
  return values


def _value(node: ast.expr, known: Mapping[str, Any]) -> Any:
  if isinstance(node, ast.Name):
    return known.get(node.id, UNREADABLE)
  if isinstance(node, ast.Call):
    if isinstance(node.func, ast.Name) and node.func.id == 'dict':
      return {k.arg: _value(k.value, known) for k in node.keywords if k.arg}
    return UNREADABLE
  if isinstance(node, ast.Dict):
    return {
      key.value: _value(value, known)
      for key, value in zip(node.keys, node.values)
      if isinstance(key, ast.Constant)
    }
  if isinstance(node, (ast.List, ast.Tuple)):
    return [_value(item, known) for item in node.elts]
  try:
    return ast.literal_eval(node)
  except (ValueError, TypeError):
    return UNREADABLE


def get(values: Any, *keys: str) -> Any:
  """Return a nested value; None if it, or a mapping on the way, is missing."""
  for key in keys:
    values = values.get(key) if isinstance(values, Mapping) else None
  return values


def test_pipeline(values: Mapping[str, Any]) -> Pipeline:
  """Return the transforms of the test pipeline; [] if it has none."""
  for keys in (
    ('test_pipeline',),
    ('test_dataloader', 'dataset', 'pipeline'),
    ('data', 'test', 'pipeline'),
  ):
    pipeline = get(values, *keys)
    if isinstance(pipeline, list):
      return [t for t in pipeline if isinstance(t, Mapping) and 'type' in t]
  return []


def input_kind(pipeline: Pipeline) -> str:
  """Return 'joints' or 'heatmaps', or '' for an empty pipeline."""
  if any(t['type'] == 'GeneratePoseTarget' for t in pipeline):
    return 'heatmaps'
  return 'joints' if pipeline else ''


def pipeline_error(problem: str) -> errors.UserError:
  return errors.UserError(
    f'The test_pipeline of the published config {problem}. Give another config:'
    ' --config=FILE of skeljax.convert.'
  )


def unsupported(
  kind: str, name: str, value: Any, expected: str
) -> errors.UserError:
  """Return the error for an argument that skeljax does not support."""
  return pipeline_error(
    f'has {kind}({name}={value!r}); skeljax supports {expected}'
  )


def arguments(
  transform: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
  """Return the arguments of a transform.

  Args:
    transform: of a test pipeline.
    known: like COMMON_TRANSFORMS.

  Raises:
    UserError: a transform, argument or value that skeljax does not support.
  """
  kind = transform['type']
  if not isinstance(kind, str) or kind not in known:
    raise pipeline_error(f'has the transform {kind!r}, which skeljax does not')
  result = {name: v for name, v in transform.items() if name != 'type'}
  for name, value in result.items():
    allowed = known[kind].get(name)
    if isinstance(allowed, Check):
      is_valid, expected = allowed.is_valid(value), allowed.expected
    else:
      is_valid = value == allowed
      expected = repr(allowed) if name in known[kind] else 'no such argument'
    if not is_valid:
      raise unsupported(kind, name, value, expected)
  return result


def sampling(
  arguments: Mapping[str, Any], code_base: str, default_len: int
) -> dict[str, Any]:
  """Return the fields of config.data for UniformSampleFrames."""
  return {
    'frames': 'uniform_pyskl' if code_base == 'pyskl' else 'uniform',
    'clip_len': arguments.get('clip_len', default_len),
    'num_clips': arguments.get('num_clips', 1),
  }
