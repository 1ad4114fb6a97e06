"""Which PoseC3D a PyTorch file holds, told from its names and shapes alone.

Width, blocks, kernels, channels of the input and classes are in the tensors.
Not in them: strides, dilations and poolings, which are taken to be as published
where nothing else says them.
"""

from collections.abc import Mapping
import dataclasses
import re
from typing import Any

import numpy as np

from skeljax import errors
from skeljax.convert import blocks as blocks_lib
from skeljax.convert import slowonly_names
from skeljax.models import slowonly

StateDict = Mapping[str, np.ndarray]

_BLOCK = re.compile(r'backbone\.layer(\d+)\.(\d+)\.')
_CONVS = tuple(f'conv{i}' for i in (1, 2, 3))


@dataclasses.dataclass(frozen=True)
class Network:
  """A network, as far as a file of its weights tells.

  Attributes:
    options: of models.build_model.
    num_channels: of the input, joints or limbs.
    num_classes: logits per clip.
    notes: sentences on what was assumed.
  """

  options: Mapping[str, Any]
  num_channels: int
  num_classes: int
  notes: tuple[str, ...] = ()


def recognize(
  state_dict: StateDict, told: Mapping[str, Any], *, source: str
) -> Network:
  """Tells the network from the tensors of a file.

  Args:
    state_dict: name -> array in PyTorch's layout.
    told: options that a configuration says, or {}; of those that are in the
      tensors the tensors are believed.
    source: names the file in errors.

  Raises:
    UserError: a network of a form that skeljax has not.
  """
  stage_blocks = _stage_blocks(state_dict, source)
  stem = blocks_lib.tensor(
    state_dict, slowonly_names.STEM_KERNEL, source, dims=5
  )
  head = blocks_lib.tensor(
    state_dict, slowonly_names.HEAD + '.weight', source, dims=2
  )
  kernels = [
    _kernels(state_dict, s + 1, source) for s in range(len(stage_blocks))
  ]
  _check_widths(kernels, stem.shape[0], source)
  inflate, style = _inflation(kernels, source)
  options = {
    'base_channels': stem.shape[0],
    'stage_blocks': stage_blocks,
    'inflate': inflate,
    'inflate_style': style,
    'conv1_kernel': stem.shape[2:],
  }
  if any(size % 2 == 0 for size in stem.shape[2:]):
    raise errors.UserError(
      f'{source}: {slowonly_names.STEM_KERNEL} has shape {list(stem.shape)};'
      ' skeljax has kernels of odd sizes only.'
    )
  untold, notes = _untold(len(stage_blocks), told, source)
  return Network(options | untold, stem.shape[1], head.shape[0], tuple(notes))


def _stage_blocks(state_dict: StateDict, source: str) -> tuple[int, ...]:
  """Bottlenecks of each stage; every one must have its three convolutions."""
  found: dict[int, set[int]] = {}
  for match in filter(None, map(_BLOCK.match, state_dict)):
    found.setdefault(int(match[1]), set()).add(int(match[2]))
  stages = range(1, len(found) + 1)
  if set(found) != set(stages) or any(
    blocks != set(range(len(blocks))) for blocks in found.values()
  ):
    listed = '; '.join(
      f'layer{s}: {sorted(b)}' for s, b in sorted(found.items())
    )
    raise errors.UserError(
      f'{source}: its blocks are numbered {listed}, with a gap. Is the file'
      ' whole?'
    )
  needed = [slowonly_names.STEM_KERNEL, slowonly_names.HEAD + '.weight']
  needed += [
    f'backbone.layer{s}.{b}.{conv}.conv.weight'
    for s in stages
    for b in sorted(found[s])
    for conv in _CONVS
  ]
  missing = [name for name in needed if name not in state_dict]
  if missing:
    lines = '\n'.join(f'  missing: {name}' for name in missing)
    raise errors.UserError(
      f'{source}: {len(missing)} tensors are missing without which the network'
      f' cannot be told:\n{lines}\nThe file is not whole, or holds another'
      ' network than SlowOnly with bottlenecks, which PoseC3D is.'
    )
  return tuple(len(found[s]) for s in stages)


def _kernels(
  state_dict: StateDict, stage: int, source: str
) -> tuple[np.ndarray, ...]:
  """The three convolutions of the first block of a stage."""
  return tuple(
    blocks_lib.tensor(
      state_dict, f'backbone.layer{stage}.0.{conv}.conv.weight', source, dims=5
    )
    for conv in _CONVS
  )


def _check_widths(
  kernels: list[tuple[np.ndarray, ...]], base: int, source: str
) -> None:
  """Raises UserError where a stage is not twice as wide as the one before."""
  widths = [tuple(k.shape[0] for k in stage) for stage in kernels]
  planned = [
    (base * 2**s, base * 2**s, base * 2**s * slowonly.EXPANSION)
    for s in range(len(kernels))
  ]
  if widths != planned:
    listed = ', '.join('-'.join(map(str, stage)) for stage in widths)
    raise errors.UserError(
      f'{source}: the stages have {listed} channels after a stem of {base};'
      ' skeljax builds bottlenecks that double their width from stage to stage'
      f' and widen {slowonly.EXPANSION} times at their end.'
    )


def _inflation(
  kernels: list[tuple[np.ndarray, ...]], source: str
) -> tuple[tuple[int, ...], str]:
  """Which stages look at neighbouring frames, and in which convolution."""
  forms = {
    ((1, 1, 1), (1, 3, 3)): '',
    ((3, 1, 1), (1, 3, 3)): '3x1x1',
    ((1, 1, 1), (3, 3, 3)): '3x3x3',
  }
  found = []
  for stage, (conv1, conv2, _) in enumerate(kernels, start=1):
    shapes = (conv1.shape[2:], conv2.shape[2:])
    if shapes not in forms:
      raise errors.UserError(
        f'{source}: layer{stage} has kernels of {list(shapes[0])} and'
        f' {list(shapes[1])}; skeljax has 1x1x1 or 3x1x1, then 1x3x3, and 1x1x1,'
        ' then 3x3x3.'
      )
    found.append(forms[shapes])
  styles = sorted(set(found) - {''})
  if len(styles) > 1:
    raise errors.UserError(
      f'{source}: its stages look at neighbouring frames in both ways,'
      f' {" and ".join(styles)}; skeljax has one way a network.'
    )
  # Where no stage does, both ways are the same.
  style = styles[0] if styles else '3x1x1'
  return tuple(int(bool(form)) for form in found), style


def _untold(
  num_stages: int, told: Mapping[str, Any], source: str
) -> tuple[dict[str, Any], list[str]]:
  """Strides, dilations and poolings, and a note where they are assumed."""
  # As published: frames are halved in the last of three stages.
  halves = num_stages == 3
  options: dict[str, Any] = {
    'spatial_strides': (2,) * num_stages,
    'temporal_strides': (*(1,) * (num_stages - 1), 2 if halves else 1),
    'dilations': (1,) * num_stages,
    'conv1_stride': (1, 1),
    'pool1_stride': (1, 1),
    'with_pool1': True,
    'with_pool2': False,
  }
  if not told:
    frames = ', '.join(map(str, options['temporal_strides']))
    space = ', '.join(map(str, options['spatial_strides']))
    return options, [
      f'strides of {space} in space and {frames} over frames, after a stem and'
      ' a max-pooling of stride 1, were taken for the stages, as published; the'
      ' file does not say (--config=FILE overrides)'
    ]
  options |= {name: told[name] for name in options if name in told}
  for name in ('spatial_strides', 'temporal_strides', 'dilations'):
    if len(options[name]) != num_stages:
      raise errors.UserError(
        f'{source} has {num_stages} stages, but the configuration says'
        f' {name}={tuple(options[name])}. Give the one that it was trained with'
        ' by --config=FILE of skeljax.convert.'
      )
  return options, []
