"""The test pipeline of a published configuration, out of its text.

Checkpoints of mmaction2 and pyskl carry the configuration they were trained
with, as Python source. It is parsed, never run: only literals, lists and calls
of `dict` are understood, all else reads as None.
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


def text_of(meta: Mapping[str, Any]) -> str:
  """The configuration in a checkpoint's meta (mmengine, then mmcv), or ''."""
  for key in ('cfg', 'config'):
    if isinstance(meta.get(key), str):
      return meta[key]
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


def _read_with_bases(path: str) -> dict[str, Any]:
  if not os.path.isfile(path):
    raise errors.UserError(f'{path}: no such configuration file.')
  with open(path, encoding='utf-8') as file:
    values = parse(file.read())
  bases = values.pop('_base_', None) or []
  merged: dict[str, Any] = {}
  for base in [bases] if isinstance(bases, str) else bases:
    base_path = os.path.join(os.path.dirname(path), base)
    # A base that was not copied along holds the run-time settings.
    if os.path.isfile(base_path):
      merged |= _read_with_bases(base_path)
  return merged | values


def parse(text: str) -> dict[str, Any]:
  """The values that a configuration assigns, by name; {} if it is no Python."""
  try:
    statements = ast.parse(text).body
  except (SyntaxError, ValueError):
    return {}
  return {
    target.id: _value(statement.value)
    for statement in statements
    if isinstance(statement, ast.Assign)
    for target in statement.targets
    if isinstance(target, ast.Name)
  }


def _value(node: ast.expr) -> Any:
  if isinstance(node, ast.Call):
    if isinstance(node.func, ast.Name) and node.func.id == 'dict':
      return {k.arg: _value(k.value) for k in node.keywords if k.arg}
    return None
  if isinstance(node, ast.Dict):
    return {
      key.value: _value(value)
      for key, value in zip(node.keys, node.values)
      if isinstance(key, ast.Constant)
    }
  if isinstance(node, (ast.List, ast.Tuple)):
    return [_value(item) for item in node.elts]
  try:
    return ast.literal_eval(node)
  except ValueError:
    return None


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


def preprocessing(
  pipeline: list[Mapping[str, Any]], is_pyskl: bool
) -> tuple[dict[str, Any], dict[str, Any], int | None]:
  """What a test pipeline says, in our words.

  Args:
    pipeline: of `test_pipeline`.
    is_pyskl: whose transforms it names.

  Returns:
    Fields of the sections data and features, and the number of persons (None
    where the pipeline does not say).
  """
  data: dict[str, Any] = {}
  features: dict[str, Any] = {}
  num_persons = None
  for transform in pipeline:
    kind, get = transform['type'], transform.get
    if kind == 'PreNormalize3D':
      data['normalize'] = 'mmaction1x'
    elif kind == 'PreNormalize2D':
      features['normalize_2d'] = 'mmaction1x'
      if is_pyskl:
        features['normalize_2d'] = f'pyskl_{get("mode", "fix")}'
        features['normalize_2d_threshold'] = float(get('threshold', 0.01))
    elif kind == 'PoseNormalize':
      features['normalize_2d'] = 'mmaction0x'
    elif kind == 'GenSkeFeat':
      streams = get('feats') or ['j']
      # Several streams in one input are published for no checkpoint.
      features['stream'] = _STREAMS.get(streams[0], 'joint')
    elif kind == 'JointToBone':
      features['stream'] = 'bone'
    elif kind in ('UniformSampleFrames', 'UniformSample'):
      data['frames'] = 'uniform_pyskl' if is_pyskl else 'uniform'
      data['clip_len'] = int(get('clip_len', 100))
      data['num_clips'] = int(get('num_clips', 1))
    elif kind == 'PaddingWithLoop':
      data.update(
        frames='loop', clip_len=int(get('clip_len', 300)), num_clips=1
      )
    elif kind == 'PadTo':
      data['frames'] = 'zero' if get('mode', 'loop') == 'zero' else 'loop'
      data.update(clip_len=int(get('length', 300)), num_clips=1)
    elif kind == 'FormatGCNInput':
      num_persons = int(get('num_person', 2))
  return data, features, num_persons
