"""The test pipeline of a published configuration, out of its text.

Checkpoints of mmaction2 and pyskl carry the configuration they were trained
with, as Python source. It is parsed, never run: only literals, lists, calls of
`dict` and names of earlier values are understood, all else reads as UNREADABLE,
which is no value that any argument may have.
"""

import ast
from collections.abc import Mapping
import os
from typing import Any

from skeljax import errors

# GenSkeFeat's abbreviations.
_STREAMS = {
  'j': 'joint',
  'b': 'bone',
  'jm': 'joint_motion',
  'bm': 'bone_motion',
}


class _Unreadable:
  """What is left of an expression that would have to be run."""

  def __repr__(self) -> str:
    return '<an expression>'


UNREADABLE = _Unreadable()
# An argument that is read, whatever it is.
READ = object()
SAMPLING = {
  'type': READ, 'clip_len': READ, 'num_clips': READ, 'test_mode': True,
  'seed': 255, 'p_interval': 1,
}  # fmt: skip
# The transforms that skeljax has, or that change nothing in a test, with their
# arguments; where these are not read they must be what skeljax does.
TRANSFORMS = {
  'PreNormalize3D': {
    'type': READ, 'zaxis': [0, 1], 'xaxis': [8, 4], 'align_spine': True,
    'align_shoulder': True, 'align_center': True,
  },
  'PreNormalize2D': {
    'type': READ, 'img_shape': [1080, 1920], 'mode': READ,
    'threshold': READ,
  },
  'PoseNormalize': {
    'type': READ, 'mean': [960, 540, 0.5], 'min_value': [0, 0, 0],
    'max_value': [1920, 1080, 1],
  },
  'GenSkeFeat': {
    'type': READ, 'dataset': READ, 'feats': READ, 'axis': -1,
  },
  'JointToBone': {'type': READ, 'dataset': READ, 'target': 'keypoint'},
  'ToMotion': {
    'type': READ, 'dataset': READ, 'source': 'keypoint', 'target': 'keypoint',
  },
  'UniformSampleFrames': SAMPLING,
  'UniformSample': SAMPLING,
  'PaddingWithLoop': {'type': READ, 'clip_len': READ, 'num_clips': 1},
  'PadTo': {'type': READ, 'length': READ, 'mode': READ},
  'FormatGCNInput': {
    'type': READ, 'num_person': READ, 'mode': 'zero', 'input_format': 'NCTVM',
  },
  'PoseDecode': {'type': READ},
  'Collect': {'type': READ, 'keys': READ, 'meta_keys': READ},
  'ToTensor': {'type': READ, 'keys': READ},
  'PackActionInputs': {
    'type': READ, 'collect_keys': READ, 'meta_keys': READ,
  },
}  # fmt: skip


def text_of(meta: Mapping[str, Any]) -> str:
  """The configuration in a checkpoint's meta (mmengine, then mmcv), or ''."""
  for key in ('cfg', 'config'):
    text = meta.get(key)
    if isinstance(text, str):
      return text
  return ''


def read(path: str) -> dict[str, Any]:
  """The values of a configuration file and of those it is based on.

  Raises:
    UserError: no such file, or no test pipeline in it.
  """
  values = _read_with_bases(path)
  if not test_pipeline(values):
    raise errors.UserError(
      f'{path} is neither a configuration of skeljax (it has no get_config) nor'
      ' one of mmaction2 or pyskl (it has no test_pipeline).'
    )
  return values


def read_text(path: str) -> str:
  """The text of a configuration file; UserError if it is none."""
  if not os.path.isfile(path):
    raise errors.UserError(f'{path}: no such configuration file.')
  try:
    with open(path, encoding='utf-8') as file:
      return file.read()
  except UnicodeDecodeError as error:
    raise errors.UserError(
      f'{path} is no text, so it is no configuration.'
    ) from error


def _read_with_bases(path: str, above: tuple[str, ...] = ()) -> dict[str, Any]:
  if os.path.realpath(path) in above:
    raise errors.UserError(f'{path} is based on itself by its _base_.')
  above += (os.path.realpath(path),)
  values = parse(read_text(path))
  bases = values.pop('_base_', None) or []
  merged: dict[str, Any] = {}
  for base in bases if isinstance(bases, list) else [bases]:
    base_path = os.path.join(os.path.dirname(path), str(base))
    # A base that was not copied along holds the run-time settings.
    if os.path.isfile(base_path):
      merged |= _read_with_bases(base_path, above)
  return merged | values


def parse(text: str) -> dict[str, Any]:
  """The values that a configuration assigns, by name; {} if it is no Python."""
  values: dict[str, Any] = {}
  try:
    for statement in ast.parse(text).body:
      if not isinstance(statement, ast.Assign):
        continue
      value = _value(statement.value, values)
      names = [t.id for t in statement.targets if isinstance(t, ast.Name)]
      values |= dict.fromkeys(names, value)
  except (SyntaxError, ValueError, RecursionError, MemoryError):
    # The last two are what Python says of absurdly nested brackets.
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


def test_pipeline(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
  """The transforms of the test pipeline in order; [] where there is none."""
  pipeline = config.get('test_pipeline')
  for keys in (('test_dataloader', 'dataset'), ('data', 'test')):
    if isinstance(pipeline, list):
      break
    section = config
    for key in keys:
      section = section.get(key) if isinstance(section, Mapping) else None
    pipeline = section.get('pipeline') if isinstance(section, Mapping) else None
  if not isinstance(pipeline, list):
    return []
  return [t for t in pipeline if isinstance(t, Mapping) and 'type' in t]


def takes_volumes(pipeline: list[Mapping[str, Any]]) -> bool:
  """Whether a test pipeline draws heatmaps, as for PoseC3D."""
  return any(t['type'] == 'GeneratePoseTarget' for t in pipeline)


def num_persons(pipeline: list[Mapping[str, Any]]) -> int:
  """The persons that a test pipeline makes of every clip; 0 if it is silent."""
  for transform in pipeline:
    if transform['type'] == 'FormatGCNInput':
      return count(transform, 'num_person', 2)
  return 0


def preprocessing(
  pipeline: list[Mapping[str, Any]], is_pyskl: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
  """What a test pipeline says, in our words.

  Args:
    pipeline: of `test_pipeline`.
    is_pyskl: whose transforms it names.

  Returns:
    Fields of the sections data and features.

  Raises:
    UserError: a transform or an argument that skeljax has not.
  """
  data: dict[str, Any] = {}
  features: dict[str, Any] = {}
  is_bone = is_motion = False
  for transform in pipeline:
    check_arguments(transform, TRANSFORMS)
    kind = transform['type']
    if kind == 'PreNormalize3D':
      data['normalize'] = 'mmaction1x'
    elif kind == 'PreNormalize2D':
      features |= _normalize_2d(transform, is_pyskl)
    elif kind == 'PoseNormalize':
      features['normalize_2d'] = 'mmaction0x'
    elif kind == 'GenSkeFeat':
      features['stream'] = _stream(transform)
    elif kind in ('JointToBone', 'ToMotion'):
      is_bone |= kind == 'JointToBone'
      is_motion |= kind == 'ToMotion'
      stream = 'bone' if is_bone else 'joint'
      features['stream'] = f'{stream}_motion' if is_motion else stream
    elif kind in ('UniformSampleFrames', 'UniformSample'):
      data['frames'] = 'uniform_pyskl' if is_pyskl else 'uniform'
      data['clip_len'] = count(transform, 'clip_len', 100)
      data['num_clips'] = count(transform, 'num_clips', 1)
    elif kind == 'PaddingWithLoop':
      length = count(transform, 'clip_len', 300)
      data.update(frames='loop', clip_len=length, num_clips=1)
    elif kind == 'PadTo':
      mode = transform.get('mode', 'loop')
      if mode not in ('loop', 'zero'):
        raise unknown_argument(transform, 'mode', "'loop' or 'zero'")
      length = count(transform, 'length', 300)
      data.update(frames=mode, clip_len=length, num_clips=1)
  return data, features


def check_arguments(
  transform: Mapping[str, Any], transforms: Mapping[str, Mapping[str, Any]]
) -> None:
  """Raises UserError for what would be left out of the input otherwise.

  Args:
    transform: of a test pipeline.
    transforms: a table like TRANSFORMS.
  """
  kind = transform['type']
  known = transforms.get(kind) if isinstance(kind, str) else None
  if known is None:
    raise errors.UserError(
      f'The configuration that the checkpoint was trained with has the'
      f' transform {kind!r} in its test_pipeline, which skeljax has not. Give'
      ' one without it by --config=FILE of skeljax.convert.'
    )
  for name, value in transform.items():
    expected = known.get(name)
    if expected is not READ and value != expected:
      what = 'nothing' if name not in known else repr(expected)
      raise unknown_argument(transform, name, what)


def _normalize_2d(
  transform: Mapping[str, Any], is_pyskl: bool
) -> dict[str, Any]:
  if not is_pyskl:
    return {'normalize_2d': 'mmaction1x'}
  mode = transform.get('mode', 'fix')
  threshold = transform.get('threshold', 0.01)
  if mode not in ('fix', 'auto'):
    raise unknown_argument(transform, 'mode', "'fix' or 'auto'")
  if not isinstance(threshold, (int, float)):
    raise unknown_argument(transform, 'threshold', 'a number')
  return {
    'normalize_2d': f'pyskl_{mode}',
    'normalize_2d_threshold': float(threshold),
  }


def _stream(transform: Mapping[str, Any]) -> str:
  streams = transform.get('feats', ['j'])
  # Several streams in one input are published for no checkpoint.
  if streams not in [[name] for name in _STREAMS]:
    raise unknown_argument(
      transform, 'feats', f'one of {", ".join(_STREAMS)}, in a list'
    )
  return _STREAMS[streams[0]]


def count(transform: Mapping[str, Any], name: str, default: int) -> int:
  """A number of at least 1 among the arguments."""
  value = transform.get(name, default)
  if not isinstance(value, int) or value < 1:
    raise unknown_argument(transform, name, 'a number of at least 1')
  return value


def unknown_argument(
  transform: Mapping[str, Any], name: str, expected: str
) -> errors.UserError:
  """The error of an argument that skeljax cannot follow."""
  return errors.UserError(
    f'The configuration that the checkpoint was trained with says'
    f' {transform["type"]}({name}={transform.get(name)!r}) in its test_pipeline,'
    f' where skeljax has {expected}. Give another one by --config=FILE of'
    ' skeljax.convert.'
  )
