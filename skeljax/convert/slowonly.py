"""Conversion of SlowOnly, the network of PoseC3D.

mmaction2 1.x, 0.x and pyskl use the same tensor names. A convolution and its
BatchNorm are one module there: our `conv1` and `bn1` are `conv1.conv` and
`conv1.bn`.

Width, blocks, kernels, channels and classes are in the tensors. Strides,
dilations and poolings are not: they come from a config, or are assumed to be as
published.
"""

from collections.abc import Collection, Mapping
import re
from typing import Any

from flax import linen as nn
from ml_collections import config_dict

from skeljax import errors
from skeljax import run as run_lib
from skeljax.convert import family
from skeljax.convert import heatmap_input
from skeljax.convert import published_config
from skeljax.convert import tensors
from skeljax.convert import torch_file
from skeljax.models import slowonly

_BLOCK = re.compile(r'backbone\.layer(\d+)\.(\d+)\.')
_STEM = 'backbone.conv1.conv'
_HEAD = 'cls_head.fc_cls'
# Defaults of ResNet3dSlowOnly for its four stages.
_STAGE_DEFAULTS = {
  'spatial_strides': (1, 2, 2, 2),
  'temporal_strides': (1, 1, 1, 1),
  'dilations': (1, 1, 1, 1),
}
# Options that no tensor defines, with the published values; None: per stage.
_UNDEFINED = {
  **dict.fromkeys(_STAGE_DEFAULTS),
  'conv1_stride': (1, 1),
  'pool1_stride': (1, 1),
  'with_pool1': True,
  'with_pool2': False,
}
# Kernels of the first two convolutions of a bottleneck -> inflate_style.
_STYLES = {
  ((1, 1, 1), (1, 3, 3)): '',
  ((3, 1, 1), (1, 3, 3)): '3x1x1',
  ((1, 1, 1), (3, 3, 3)): '3x3x3',
}


def _naming(code_base: str) -> tensors.Naming:
  return tensors.Naming(
    code_base=code_base,
    block='backbone.layer{}.{}.',
    modules={
      **{f'conv{i}': f'conv{i}.conv' for i in (1, 2, 3)},
      **{f'bn{i}': f'conv{i}.bn' for i in (1, 2, 3)},
      'downsample': 'downsample.conv',
      'downsample_bn': 'downsample.bn',
    },
    outside={
      'stem.conv': _STEM, 'stem.bn': 'backbone.conv1.bn', 'head.fc': _HEAD,
    },
  )  # fmt: skip


class SlowOnly(family.Family):
  """The network of PoseC3D."""

  model = 'slowonly'
  namings = {
    name: _naming(name) for name in ('mmaction1x', 'pyskl', 'mmaction0x')
  }

  def find_code_base(self, names: Collection[str]) -> str | None:
    is_slowonly = any(name.startswith('backbone.layer1.') for name in names)
    return '' if is_slowonly else None

  def recognize(
    self,
    file: torch_file.TorchFile,
    code_base: str,
    overrides: family.Overrides,
  ) -> family.Recognized:
    del code_base  # The names do not define it.
    if overrides.down_stages is not None:
      raise errors.UserError(
        f'--down_stages is for graph networks; {file.path} contains PoseC3D,'
        ' whose strides are in a config: --config=FILE.'
      )
    overrides.check_input_kind(self.model, file)
    own = overrides.own_config
    given = (
      own_options(own) if own else backbone_options(overrides.published(file))
    )
    return heatmap_input.infer(
      file,
      overrides,
      num_channels=file.tensor(f'{_STEM}.weight', 5).shape[1],
      num_classes=len(file.tensor(f'{_HEAD}.weight', 2)),
      options=infer(file, given),
    )

  def describe(self, model: nn.Module) -> str:
    blocks = '-'.join(map(str, model.stage_blocks))
    return (
      f'slowonly ({model.inflate_style}), {blocks} blocks from'
      f' {model.base_channels} channels'
    )

  def test_differences(
    self, config: config_dict.ConfigDict, code_base: str
  ) -> list[str]:
    """See the base class.

    input.resize is not among them: it is a setting in all code bases.
    """
    theirs = heatmap_input.testing(code_base)
    ours = {'frames': config.data.frames, 'min_score': config.input.min_score}
    if config.eval.mirrored:
      ours['mirror'] = config.input.mirror
    return [
      f'it was tested with {name}={value!r}, but {code_base} tests with'
      f' {theirs[name]!r}: its scores differ slightly'
      for name, value in ours.items()
      if value != theirs[name]
    ]

  def published_model(
    self, run: run_lib.Run, code_base: str
  ) -> dict[str, Any] | None:
    model, is_pyskl = run.model, code_base == 'pyskl'
    num_stages = len(model.stage_blocks)
    fixed = {
      'dilations': (1,) * num_stages, 'with_pool1': True, 'with_pool2': False,
    }  # fmt: skip
    for name, value in fixed.items():
      if is_pyskl and getattr(model, name) != value:
        raise errors.UserError(
          f'--naming=pyskl: pyskl has SlowOnly with {name}={value} only, and'
          f' this network has {getattr(model, name)}. Give'
          ' --naming=mmaction1x.'
        )
    if num_stages > 4:
      raise errors.UserError(
        'mmaction2 and pyskl have SlowOnly of up to 4 stages only, and this'
        f' network has {num_stages}.'
      )
    fields = ['conv1_kernel', 'stage_blocks', 'inflate']
    fields += ['spatial_strides', 'temporal_strides']
    fields += ['conv1_stride', 'pool1_stride'] if is_pyskl else ['dilations']
    backbone = {
      'type': 'ResNet3dSlowOnly',
      'depth': 50,
      'pretrained': None,
      'in_channels': run.input.num_channels,
      'base_channels': model.base_channels,
      'num_stages': num_stages,
      'out_indices': [num_stages - 1],
      'inflate_style': model.inflate_style,
      **{name: list(getattr(model, name)) for name in fields},
    }
    if not is_pyskl:
      for name in ('conv1_stride', 'pool1_stride'):
        backbone[f'{name}_t'], backbone[f'{name}_s'] = getattr(model, name)
      backbone |= {
        'with_pool1': model.with_pool1, 'with_pool2': model.with_pool2,
      }  # fmt: skip
    width = model.base_channels * 2 ** (num_stages - 1)
    head = {
      'type': 'I3DHead',
      'num_classes': model.num_classes,
      'in_channels': width * slowonly.EXPANSION,
      'dropout' if is_pyskl else 'dropout_ratio': model.dropout,
    }
    result = {'type': 'Recognizer3D', 'backbone': backbone, 'cls_head': head}
    average = {'average_clips': run.config.eval.average}
    if code_base == 'mmaction1x':
      head |= average
    else:
      result['test_cfg'] = average
    return result


def infer(
  file: torch_file.TorchFile, given: Mapping[str, Any]
) -> dict[str, Any]:
  """Infer the options of the model.

  Args:
    file: the tensors; takes a note if options are assumed.
    given: options of a config, or {}; only those that are not in the tensors
      are used.
  """
  stem = file.tensor(f'{_STEM}.weight', 5)
  if any(size % 2 == 0 for size in stem.shape[2:]):
    raise errors.UserError(
      f'{file.path}: {_STEM}.weight has shape {list(stem.shape)}; skeljax'
      ' supports kernels of odd size.'
    )
  stage_blocks = _stage_blocks(file)
  styles = [_style(file, s) for s in range(1, len(stage_blocks) + 1)]
  used = sorted({*styles} - {''})
  if len(used) > 1:
    raise errors.UserError(
      f'{file.path}: stages have different inflate_style, {" and ".join(used)};'
      ' skeljax supports one per network.'
    )
  return {
    'base_channels': len(stem),
    'stage_blocks': stage_blocks,
    'inflate': tuple(int(bool(style)) for style in styles),
    # Without inflated stages both styles are the same network.
    'inflate_style': used[0] if used else '3x1x1',
    'conv1_kernel': stem.shape[2:],
    **_undefined(file, len(stage_blocks), given),
  }


def _stage_blocks(file: torch_file.TorchFile) -> tuple[int, ...]:
  """Return the number of bottlenecks per stage."""
  found: dict[int, set[int]] = {}
  for match in filter(None, map(_BLOCK.match, file.state_dict)):
    found.setdefault(int(match[1]), set()).add(int(match[2]))
  numbers = {stage: sorted(found[stage]) for stage in sorted(found)}
  expected = {s: [*range(len(b))] for s, b in enumerate(numbers.values(), 1)}
  if numbers != expected:
    listed = '; '.join(f'layer{s}: {b}' for s, b in numbers.items())
    raise errors.UserError(
      f'{file.path}: gap in the numbers of the blocks, {listed}.'
    )
  return tuple(map(len, numbers.values()))


def _style(file: torch_file.TorchFile, stage: int) -> str:
  """Return the inflate_style of a stage; '' if it has no temporal kernels."""
  conv1, conv2, _ = (
    file.tensor(f'backbone.layer{stage}.0.conv{i}.conv.weight', 5).shape[2:]
    for i in (1, 2, 3)
  )
  if (conv1, conv2) not in _STYLES:
    raise errors.UserError(
      f'{file.path}: layer{stage} has kernels of {list(conv1)} and'
      f' {list(conv2)}; skeljax supports 1x1x1 or 3x1x1 before 1x3x3, and 1x1x1'
      ' before 3x3x3.'
    )
  return _STYLES[conv1, conv2]


def _undefined(
  file: torch_file.TorchFile, num_stages: int, given: Mapping[str, Any]
) -> dict[str, Any]:
  """Return strides, dilations and poolings."""
  # As published: three stages, and the last halves the frames.
  halves = num_stages == 3
  options: dict[str, Any] = _UNDEFINED | {
    'spatial_strides': (2,) * num_stages,
    'temporal_strides': (*(1,) * (num_stages - 1), 2 if halves else 1),
    'dilations': (1,) * num_stages,
  }
  if not given:
    frames = ', '.join(map(str, options['temporal_strides']))
    space = ', '.join(map(str, options['spatial_strides']))
    file.notes.append(
      f'assumed strides {space} in space and {frames} over frames, after a stem'
      ' and a max-pooling of stride 1, as published (--config=FILE overrides)'
    )
    return options
  options |= {name: given[name] for name in options if name in given}
  for name in _STAGE_DEFAULTS:
    if len(options[name]) != num_stages:
      raise errors.UserError(
        f'{file.path} has {num_stages} stages, but its config has'
        f' {name}={tuple(options[name])}. Give the config it was trained with:'
        ' --config=FILE.'
      )
  return options


def backbone_options(values: Mapping[str, Any]) -> dict[str, Any]:
  """Return the options of a published config that no tensor defines.

  Args:
    values: of the config; {} is returned if it has no SlowOnly.

  Raises:
    UserError: a value that is not valid, or not supported.
  """
  backbone = published_config.get(values, 'model', 'backbone') or {}
  if published_config.get(backbone, 'type') != 'ResNet3dSlowOnly':
    return {}

  def read(name, default, length=None):
    value = backbone.get(name, default)
    is_list = isinstance(value, (list, tuple))
    numbers = value if is_list else (value,)
    if is_list != (length is not None) or not all(
      type(v) in (int, bool) and v >= 0 for v in numbers
    ):
      expected = 'a number' if length is None else 'a number per stage'
      raise errors.UserError(
        f'The backbone of the published config has {name}={value!r}; expected'
        f' {expected}. Give another config: --config=FILE.'
      )
    return tuple(value[:length]) if is_list else value

  def stride(name):
    # pyskl has one argument for frames and space.
    if name in backbone:
      return read(name, (), length=2)
    return read(f'{name}_t', 1), read(f'{name}_s', 2)

  for name, expected in (('style', 'pytorch'), ('advanced', False)):
    if backbone.get(name, expected) != expected:
      raise errors.UserError(
        f'The backbone of the published config has {name}={backbone[name]!r};'
        f' skeljax has SlowOnly with {name}={expected!r}.'
      )
  num_stages = read('num_stages', 4)
  return {
    **{k: read(k, v, length=num_stages) for k, v in _STAGE_DEFAULTS.items()},
    'conv1_stride': stride('conv1_stride'),
    'pool1_stride': stride('pool1_stride'),
    'with_pool1': bool(read('with_pool1', True)),
    'with_pool2': bool(read('with_pool2', False)),
  }


def own_options(config: config_dict.ConfigDict) -> dict[str, Any]:
  """Return the same options of a skeljax config."""
  options = {}
  for name in _UNDEFINED:
    value = config.model.get(name, getattr(slowonly.SlowOnly, name))
    options[name] = tuple(value) if isinstance(value, (list, tuple)) else value
  return options
