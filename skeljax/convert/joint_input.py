"""Infer the joint input of a graph network: pipeline, persons, dimensions.

The weights do not specify the stream, the frames and the normalization that
they were trained with. Sources, in this order: a config given by the user; the
config in a training checkpoint; the published test pipeline of the code base.
"""

from collections.abc import Mapping
from typing import Any

from ml_collections import config_dict

from skeljax import errors
from skeljax import skeletons
from skeljax.convert import family
from skeljax.convert import published_config as published
from skeljax.convert import torch_file

Sections = dict[str, dict[str, Any]]

# Abbreviations of GenSkeFeat.
_STREAMS = {
  'j': 'joint',
  'b': 'bone',
  'jm': 'joint_motion',
  'bm': 'bone_motion',
}
_TRANSFORMS: Mapping[str, Mapping[str, Any]] = {
  **published.COMMON_TRANSFORMS,
  'PreNormalize3D': {
    'zaxis': [0, 1], 'xaxis': [8, 4], 'align_spine': True,
    'align_shoulder': True, 'align_center': True,
  },
  'PreNormalize2D': {
    'img_shape': [1080, 1920], 'mode': published.one_of('fix', 'auto'),
    'threshold': published.NUMBER,
  },
  'PoseNormalize': {
    'mean': [960, 540, 0.5], 'min_value': [0, 0, 0],
    'max_value': [1920, 1080, 1],
  },
  # No published checkpoint has several streams in one input.
  'GenSkeFeat': {
    'dataset': published.ANY, 'axis': -1,
    'feats': published.one_of(*([name] for name in _STREAMS)),
  },
  'JointToBone': {'dataset': published.ANY, 'target': 'keypoint'},
  'ToMotion': {
    'dataset': published.ANY, 'source': 'keypoint', 'target': 'keypoint',
  },
  'PaddingWithLoop': {'clip_len': published.COUNT, 'num_clips': 1},
  'PadTo': {
    'length': published.COUNT, 'mode': published.one_of('loop', 'zero'),
  },
  'FormatGCNInput': {
    'num_person': published.COUNT, 'mode': 'zero', 'input_format': 'NCTVM',
  },
}  # fmt: skip
# Clips of BABEL have the same length, so its configs do not sample frames.
_BABEL_FRAMES = 150


def infer(
  file: torch_file.TorchFile,
  code_base: str,
  *,
  model: str,
  layout: skeletons.Layout,
  num_channels: int,
  own_config: config_dict.ConfigDict | None,
  pipeline: published.Pipeline,
) -> Sections:
  """Return the config sections data, input and eval.

  Args:
    file: takes notes on what is assumed.
    code_base: of the file.
    model: 'stgcn' or 'agcn'.
    layout: of the skeletons.
    num_channels: C of the network's input, including scores.
    own_config: a skeljax config given by the user.
    pipeline: a published test pipeline, or [].

  Raises:
    UserError: unsupported channels, transforms or arguments.
  """
  if own_config is not None:
    names = ('data', 'input', 'eval')
    return {name: own_config[name].to_dict() for name in names}
  dims = _dims(file, layout, num_channels, pipeline)
  sections = _published(code_base, model, dims)
  if not pipeline:
    file.notes.append(
      'the file does not specify its input: assumed the joint stream and the'
      f' test pipeline of {code_base} (--config=FILE overrides)'
    )
    return sections
  data, fields = translate(pipeline, code_base)
  # 3D annotations of 0.x are normalized before training, except those of
  # BABEL, which are the only ones without padding.
  is_normalized = code_base == 'mmaction0x' and 'frames' in data and dims == 3
  sections['data'] |= {
    'normalize': 'mmaction0x' if is_normalized else 'none', **data,
  }  # fmt: skip
  sections['input'] |= {'normalize_2d': 'none', **fields}
  file.notes.append('input as in the published config')
  if 'frames' not in data:
    if code_base == 'mmaction0x':
      sections['data']['clip_len'] = _BABEL_FRAMES
    file.notes.append(
      'its config does not sample frames: assumed'
      f' {sections["data"]["clip_len"]} frames'
      f' ({sections["data"]["frames"]}, --config=FILE overrides)'
    )
  return sections


def infer_persons(
  file: torch_file.TorchFile,
  trained: int | None,
  given: int,
  pipeline: published.Pipeline,
) -> int:
  """Return the number of persons per clip.

  Args:
    file: takes a note if the number is assumed.
    trained: M of the weights, None if they do not depend on it.
    given: --num_persons, or 0.
    pipeline: a published test pipeline, or [].
  """
  persons = given or trained or num_persons(pipeline)
  if trained not in (None, persons):
    raise errors.UserError(
      f'--num_persons={given}: the input BatchNorm of {file.path} is for'
      f' {trained} persons.'
    )
  if not persons:
    file.notes.append(
      'the file does not specify the number of persons: assumed 2'
      ' (--num_persons overrides)'
    )
  return persons or 2


def _dims(
  file: torch_file.TorchFile,
  layout: skeletons.Layout,
  num_channels: int,
  pipeline: published.Pipeline,
) -> int:
  """Return the coordinates per joint: the third channel may be a score."""
  if num_channels not in (2, 3):
    raise errors.UserError(
      f'{file.path} takes {num_channels} channels per joint; skeljax supports 2'
      ' (pixels) and 3 (metres, or pixels and score).'
    )
  if num_channels == 2:
    return 2
  kinds = {transform['type'] for transform in pipeline}
  if 'PreNormalize3D' in kinds:
    return 3
  if kinds & {'PreNormalize2D', 'PoseNormalize'}:
    return 2
  # Layouts without a spine come from pose estimation in videos.
  dims, what = (3, 'x, y, z') if layout.spine else (2, 'pixels and a score')
  file.notes.append(
    f'assumed that the 3 channels are {what}, as usual for layout'
    f' {layout.name!r} (--config=FILE overrides)'
  )
  return dims


def _published(code_base: str, model: str, dims: int) -> Sections:
  """Return the test pipeline of the published checkpoints of a code base."""
  data: dict[str, Any] = {'dims': dims, 'normalize': 'none'}
  normalize_2d = 'none'
  is_new = code_base in ('mmaction1x', 'pyskl')
  if is_new:
    is_pyskl = code_base == 'pyskl'
    data |= {
      'frames': 'uniform_pyskl' if is_pyskl else 'uniform', 'clip_len': 100,
      'num_clips': 10,
    }  # fmt: skip
    if dims == 3:
      data['normalize'] = 'mmaction1x'
    else:
      normalize_2d = 'pyskl_fix' if is_pyskl else 'mmaction1x'
  else:
    data |= {'frames': 'loop', 'clip_len': 300, 'num_clips': 1}
    if code_base == 'original' and model == 'stgcn':
      data['frames'] = 'zero'
    elif dims == 3:
      data['normalize'] = 'mmaction0x'
    else:
      normalize_2d = 'mmaction0x'
  return {
    'data': family.data_section(**data),
    'input': family.input_section(
      'joints', normalize_2d=normalize_2d, published_rounding=True
    ),
    'eval': family.eval_section('prob' if is_new else 'score'),
  }


def num_persons(pipeline: published.Pipeline) -> int:
  """Return the persons per clip of FormatGCNInput; 0 without it."""
  for transform in pipeline:
    if transform['type'] == 'FormatGCNInput':
      arguments = published.arguments(transform, _TRANSFORMS)
      return arguments.get('num_person', 2)
  return 0


def translate(
  pipeline: published.Pipeline, code_base: str
) -> tuple[dict[str, Any], dict[str, Any]]:
  """Translate a published test pipeline to fields of config.data and .input."""
  data: dict[str, Any] = {}
  fields: dict[str, Any] = {}
  kinds = [transform['type'] for transform in pipeline]
  for transform in pipeline:
    arguments = published.arguments(transform, _TRANSFORMS)
    match transform['type']:
      case 'PreNormalize3D':
        data['normalize'] = 'mmaction1x'
      case 'PreNormalize2D' if code_base == 'pyskl':
        fields['normalize_2d'] = f'pyskl_{arguments.get("mode", "fix")}'
        threshold = float(arguments.get('threshold', 0.01))
        fields['normalize_2d_threshold'] = threshold
      case 'PreNormalize2D':
        fields['normalize_2d'] = 'mmaction1x'
      case 'PoseNormalize':
        fields['normalize_2d'] = 'mmaction0x'
      case 'GenSkeFeat':
        fields['stream'] = _STREAMS[arguments.get('feats', ['j'])[0]]
      case 'JointToBone' | 'ToMotion':
        stream = 'bone' if 'JointToBone' in kinds else 'joint'
        motion = '_motion' if 'ToMotion' in kinds else ''
        fields['stream'] = stream + motion
      case 'UniformSampleFrames' | 'UniformSample':
        data |= published.sampling(arguments, code_base, 100)
      case 'PaddingWithLoop':
        length = arguments.get('clip_len', 300)
        data |= {'frames': 'loop', 'clip_len': length, 'num_clips': 1}
      case 'PadTo':
        mode, length = (
          arguments.get('mode', 'loop'),
          arguments.get('length', 300),
        )
        data |= {'frames': mode, 'clip_len': length, 'num_clips': 1}
  return data, fields
