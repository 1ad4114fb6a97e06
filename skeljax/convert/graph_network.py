"""What the conversion of ST-GCN and AGCN has in common.

Widths, joints, channels, persons, classes and the graph are inferred from the
tensors. Not in the tensors, and assumed: temporal strides (where the residual
is a convolution, as in every published network), the number of persons where
the input BatchNorm does not depend on it, and all preprocessing.
"""

import abc
from collections.abc import Collection, Mapping
import dataclasses
import math
from typing import Any

from flax import linen as nn
import numpy as np

from skeljax import errors
from skeljax import run as run_lib
from skeljax.convert import blocks as blocks_lib
from skeljax.convert import family
from skeljax.convert import joint_input
from skeljax.convert import known_graphs
from skeljax.convert import published_config
from skeljax.convert import recognizer_gcn
from skeljax.convert import torch_file
from skeljax.datasets import spec as spec_lib
from skeljax.skeletons import graph as graph_lib


@dataclasses.dataclass(frozen=True)
class Inferred:
  """What one family infers from its blocks.

  Attributes:
    options: of the model, without widths and strides.
    num_channels: C of the input.
    adjacency: [K, V, V], fixed, or the mean over blocks; None if not stored.
    is_fixed: whether the adjacency is the graph, not learned weights.
  """

  options: Mapping[str, Any]
  num_channels: int
  adjacency: np.ndarray | None
  is_fixed: bool


@dataclasses.dataclass(frozen=True)
class Architecture:
  """A graph network, as far as its weights define it.

  Attributes:
    options: of models.build_model.
    graph: layout and adjacency.
    num_classes: logits per clip.
    num_channels: C of the input, including scores.
    num_persons: M; None if the weights do not depend on it.
  """

  options: Mapping[str, Any]
  graph: graph_lib.Graph
  num_classes: int
  num_channels: int
  num_persons: int | None


class GraphFamily(family.Family):
  """A family of graph networks.

  Attributes:
    old_prefixes: code base by a tensor name prefix that only it has.
    has_conv_d: whether mmaction2 1.x and pyskl have convolutions conv_d.
    backbone: type of the published backbone.
  """

  old_prefixes: Mapping[str, str]
  has_conv_d: bool
  backbone: str

  def find_code_base(self, names: Collection[str]) -> str | None:
    for prefix, code_base in self.old_prefixes.items():
      if any(name.startswith(prefix) for name in names):
        return code_base
    has_conv_d = any('.gcn.conv_d.' in name for name in names)
    is_new = any(name.startswith('backbone.gcn.') for name in names)
    if not is_new or has_conv_d != self.has_conv_d:
      return None
    is_pyskl = any(name.startswith('cls_head.fc_cls.') for name in names)
    return 'pyskl' if is_pyskl else 'mmaction1x'

  @abc.abstractmethod
  def infer(self, blocks: blocks_lib.Blocks) -> Inferred:
    """Infer what is specific to the family."""

  @abc.abstractmethod
  def default_data_bn(self, code_base: str) -> str:
    """Return the published kind of input BatchNorm, 'VC' or 'MVC'."""

  def architecture(
    self,
    file: torch_file.TorchFile,
    code_base: str,
    overrides: family.Overrides = family.NO_OVERRIDES,
    num_persons: int = 0,
  ) -> Architecture:
    """Infer the network.

    Args:
      file: the tensors.
      code_base: of the tensor names.
      overrides: layout and down_stages are used.
      num_persons: M, or 0; resolves input BatchNorms of one person.
    """
    naming = self.get_naming(code_base)
    blocks = blocks_lib.Blocks(file, naming)
    options = _stages(blocks, overrides.down_stages)
    inferred = self.infer(blocks)
    num_joints = _num_joints(blocks, inferred)
    default_bn = self.default_data_bn(code_base) if num_persons < 2 else 'VC'
    data_bn, trained_persons = _data_bn(
      blocks, num_joints * inferred.num_channels, default_bn
    )
    graph = known_graphs.find(
      inferred.adjacency,
      num_joints=num_joints,
      is_fixed=inferred.is_fixed,
      prefer_0x=code_base in ('mmaction0x', 'original'),
      layout=overrides.layout,
      file=file,
    )
    head_dims = 4 if naming.head_is_conv else 2
    return Architecture(
      options={**options, **inferred.options, 'data_bn': data_bn},
      graph=graph,
      num_classes=len(file.tensor(f'{naming.head}.weight', head_dims)),
      num_channels=inferred.num_channels,
      num_persons=trained_persons,
    )

  def recognize(
    self,
    file: torch_file.TorchFile,
    code_base: str,
    overrides: family.Overrides,
  ) -> family.Recognized:
    if overrides.heatmap:
      raise errors.UserError(
        f'--heatmap is for PoseC3D; {file.path} contains a graph network.'
      )
    overrides.check_input_kind(self.model, file)
    pipeline = published_config.test_pipeline(overrides.published(file))
    found = self.architecture(
      file,
      code_base,
      overrides,
      overrides.num_persons or joint_input.num_persons(pipeline),
    )
    if overrides.own_config is not None:
      pipeline = []
    sections = joint_input.infer(
      file,
      code_base,
      model=self.model,
      layout=found.graph.layout,
      num_channels=found.num_channels,
      own_config=overrides.own_config,
      pipeline=pipeline,
    )
    persons = joint_input.infer_persons(
      file, found.num_persons, overrides.num_persons, pipeline
    )
    graph = dataclasses.asdict(found.graph)
    del graph['layout']
    data = sections['data']
    spec = spec_lib.DataSpec(
      layout=found.graph.layout,
      class_names=family.choose_class_names(
        found.num_classes, overrides, file.path
      ),
      num_channels=data['dims'],
      num_persons=persons,
      # As mmaction2 publishes its annotations.
      keypoint_dtype='float16',
      score_dtype='float16' if found.num_channels > data['dims'] else '',
      normalize=data['normalize'],
    )
    return family.Recognized(
      code_base,
      family.make_config(self.model, found.options, graph=graph, **sections),
      spec,
      is_stream_known=False,
    )

  @abc.abstractmethod
  def variant(self, model: nn.Module) -> str:
    """Return the variant of a network."""

  def describe(self, model: nn.Module) -> str:
    return (
      f'{self.model} ({self.variant(model)}), {model.num_stages} stages from'
      f' {model.base_channels} channels, graph {model.graph.mode!r}'
    )

  @abc.abstractmethod
  def backbone_options(self, model: nn.Module) -> dict[str, tuple[Any, Any]]:
    """Return (value, default) of arguments that only this backbone has."""

  def published_model(
    self, run: run_lib.Run, code_base: str
  ) -> dict[str, Any] | None:
    model = run.model
    if code_base not in recognizer_gcn.LAYOUTS:
      self.check_old_code_base(model, code_base)
      return None
    return recognizer_gcn.build(
      model,
      run.spec,
      code_base,
      backbone=self.backbone,
      options=self.backbone_options(model),
      default_data_bn=self.default_data_bn(code_base),
    )

  def check_old_code_base(self, model: nn.Module, code_base: str) -> None:
    """Raise UserError for options that came with mmaction2 1.x.

    They change neither names nor shapes, only the function.
    """
    fixed = {'data_bn': self.default_data_bn(code_base), 'conv_pos': 'pre'}
    for name, value in fixed.items():
      if getattr(model, name, value) not in ('', value):
        raise errors.UserError(
          f'--naming={code_base}: that code base has {name}={value} only, and'
          f' this network has {getattr(model, name)!r}. Give'
          ' --naming=mmaction1x.'
        )


def _stages(
  blocks: blocks_lib.Blocks, down_stages: tuple[int, ...] | None
) -> dict[str, Any]:
  """Return number, widths and strides of the stages."""
  file = blocks.file
  widths = [
    len(blocks.get(i, 'tcn', 'bn', 'bias', dims=1))
    for i in range(blocks.num_blocks)
  ]
  later = range(1, len(widths))
  wider = [i for i in later if widths[i] != widths[i - 1]]
  convolved = tuple(
    i + 1 for i in later if blocks.has(i, 'residual', 'bn', 'bias')
  )
  if down_stages is None:
    down_stages = convolved
    if convolved:
      file.notes.append(
        f'assumed temporal stride 2 in stage {", ".join(map(str, convolved))},'
        ' as published (--down_stages overrides)'
      )
  ratio = _ratio(widths, wider)
  expected = [
    int(widths[0] * ratio ** sum(g <= i for g in wider) + 1e-4)
    for i in range(len(widths))
  ]
  if expected != widths:
    raise errors.UserError(
      f'{file.path}: the blocks have {", ".join(map(str, widths))} channels;'
      ' skeljax supports widths that grow by one factor.'
    )
  if set(convolved) != {*down_stages, *(i + 1 for i in wider)}:
    raise errors.UserError(
      f'{file.path}: --down_stages={",".join(map(str, down_stages))}, but the'
      f' residuals of stages {", ".join(map(str, convolved)) or "none"} are'
      ' convolutions, as in stages that widen or have stride 2.'
    )
  return {
    'base_channels': widths[0],
    'ch_ratio': ratio,
    'num_stages': len(widths),
    'inflate_stages': tuple(i + 1 for i in wider),
    'down_stages': tuple(down_stages),
  }


def _ratio(widths: list[int], wider: list[int]) -> int | float:
  """Return the simplest factor that gives these widths; 2 if none grows.

  Widths are rounded down, so an interval of factors gives the same widths.
  """
  low, high = 0.0, math.inf
  for power, i in enumerate(wider, start=1):
    low = max(low, ((widths[i] - 1e-4) / widths[0]) ** (1 / power))
    high = min(high, ((widths[i] + 1 - 1e-4) / widths[0]) ** (1 / power))
  if not wider or low >= high:
    return 2
  digits = 0
  while math.ceil(low * 10**digits) / 10**digits >= high:
    digits += 1
  ratio = math.ceil(low * 10**digits) / 10**digits
  return ratio if digits else int(ratio)


def _num_joints(blocks: blocks_lib.Blocks, inferred: Inferred) -> int:
  """Return V, from any [K, V, V] parameter."""
  for leaf in ('adjacency', 'importance', 'offset'):
    if blocks.has(0, 'gcn', leaf):
      return blocks.get(0, 'gcn', leaf, dims=3).shape[-1]
  if inferred.adjacency is None:
    raise errors.UserError(f'{blocks.file.path} contains no adjacency matrix.')
  return inferred.adjacency.shape[-1]


def _data_bn(
  blocks: blocks_lib.Blocks, num_features: int, default: str
) -> tuple[str, int | None]:
  """Return the kind of the input BatchNorm, and the persons it is for."""
  name = f'{blocks.naming.outside["data_bn"]}.weight'
  if name not in blocks.file.state_dict:
    return 'none', None
  size = len(blocks.file.tensor(name, dims=1))
  if size % num_features:
    raise errors.UserError(
      f'{blocks.file.path}: {name} has {size} features, which is not a multiple'
      f' of the {num_features} of joints and channels.'
    )
  persons = size // num_features
  if persons > 1:
    return 'MVC', persons
  # For one person both kinds have the same tensors; VC takes any number.
  return ('MVC', 1) if default == 'MVC' else ('VC', None)
