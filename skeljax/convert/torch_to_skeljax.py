"""A PyTorch file as variables of ours, with the meta of a checkpoint."""

from collections.abc import Mapping
import dataclasses
from typing import Any

from ml_collections import config_dict
import numpy as np

from skeljax import errors
from skeljax import models
from skeljax import run as run_lib
from skeljax import skeletons
from skeljax.convert import own_files
from skeljax.convert import preprocessing
from skeljax.convert import published_config
from skeljax.convert import recognize
from skeljax.convert import tensors
from skeljax.convert import torch_checkpoint
from skeljax.convert import volume_files
from skeljax.datasets import spec as spec_lib
from skeljax.datasets.spec import DataSpec
from skeljax.skeletons import graph as graph_lib

# What the published data sets of PoseC3D have at most in most clips.
_PERSONS = 2


@dataclasses.dataclass(frozen=True)
class Given:
  """What the user knows of a file; the defaults leave it to the file.

  Attributes:
    weights: 'model' or 'ema' where a file has both.
    layout: of its skeletons; None to find it among the known ones.
    down_stages: stages with temporal stride 2; None for those whose residual is
      a convolution.
    num_persons: M; 0 to find it.
    class_names: one a class; () names them 0, 1, ...
    stream: of PoseC3D, what its channels are; '' to assume it.
    sections: of a configuration, data, features and eval; None to find them.
    pipeline: the same as a test pipeline of mmaction2 or pyskl.
    takes_volumes: whether that configuration is for heatmaps; None where there
      is none.
    options: of PoseC3D, what no tensor tells, as that configuration says it;
      None where there is none.
  """

  weights: str = ''
  layout: skeletons.Layout | None = None
  down_stages: tuple[int, ...] | None = None
  num_persons: int = 0
  class_names: tuple[str, ...] = ()
  stream: str = ''
  sections: preprocessing.Sections | None = None
  pipeline: preprocessing.Pipeline | None = None
  takes_volumes: bool | None = None
  options: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class Converted:
  """A PyTorch file in our terms.

  Attributes:
    variables: the collections params, batch_stats and graph, float32.
    meta: of a checkpoint (recipe.checkpoint_meta), and under 'torch' what only
      PyTorch keeps, so that writing back gives the same tensors.
    naming: whose names the file has, one of tensors.NAMINGS.
    notes: sentences on what was assumed, changed or left out.
  """

  variables: Mapping[str, Any]
  meta: Mapping[str, Any]
  naming: str
  notes: tuple[str, ...]


def load(path: str, given: Given = Given()) -> Converted:
  """Reads a file of ST-GCN, ST-GCN++, 2s-AGCN, AAGCN or PoseC3D.

  Args:
    path: the .pth file.
    given: what the user knows of it.

  Raises:
    UserError: a file that cannot be read, or holds another network; every
      tensor that does not fit is listed.
  """
  file = torch_checkpoint.read(path, given.weights)
  family, naming = recognize.tell_code_base(file.state_dict, path)
  notes = list(file.notes)
  if own_files.META_KEY in file.meta:
    _check_nothing_given(path, given)
    config, spec, own_naming, kept = own_files.read_meta(file, family)
    naming = naming or own_naming
    notes.append('written by skeljax, with configuration and class names')
  elif models.input_kind(family) == 'joints':
    config, spec, assumed = _told(file, given)
    kept = {'is_assumed': True}
    notes += assumed
  else:
    config, spec, told = _told_volumes(file, given)
    naming = told.naming
    kept = {'is_assumed': True, 'is_stream_told': told.is_stream_told}
    notes += told.notes
  adjacency = None
  if models.input_kind(family) == 'joints':
    adjacency = run_lib.Run(config, spec).graph.adjacency()
  like = run_lib.Run(config, spec).abstract_variables()
  variables = tensors.from_torch(
    file.state_dict, like, family, naming, adjacency=adjacency, source=path
  )
  meta = run_lib.Run(config, spec).checkpoint_meta()
  meta['torch'] = {
    'naming': naming,
    **kept,
    **_leftovers(file.state_dict, family, naming, adjacency),
  }
  return Converted(
    {name: variables.get(name, {}) for name in like},
    meta,
    naming,
    tuple(notes),
  )


def _told(
  file: torch_checkpoint.TorchCheckpoint, given: Given
) -> tuple[config_dict.ConfigDict, DataSpec, list[str]]:
  """Configuration, spec and what was assumed, of a published graph network."""
  if given.stream:
    raise errors.UserError(
      f'--stream={given.stream}: {file.path} holds a graph network, whose stream'
      ' a configuration says: --config=configs/FILE.py.'
    )
  if given.takes_volumes:
    raise errors.UserError(
      f'{file.path} holds a graph network, which takes keypoints, but --config'
      ' is one of PoseC3D, which takes heatmaps. Give the configuration that it'
      ' was trained with.'
    )
  pipeline = given.pipeline
  if pipeline is None:
    pipeline = preprocessing.pipeline_of(file.meta)
  architecture = recognize.recognize(
    file.state_dict,
    source=file.path,
    layout=given.layout,
    down_stages=given.down_stages,
    num_persons=given.num_persons or published_config.num_persons(pipeline),
  )
  found = preprocessing.find(
    architecture,
    sections=given.sections,
    pipeline=pipeline,
    num_persons=given.num_persons,
    source=file.path,
  )
  config = _config(
    architecture.family,
    architecture.naming,
    architecture.options,
    found.sections
    | {own_files.GRAPH_SECTION: _graph_section(architecture.graph)},
  )
  return (
    config,
    _facts(architecture, found, given.class_names, file.path),
    [*architecture.notes, *found.notes],
  )


def _told_volumes(
  file: torch_checkpoint.TorchCheckpoint, given: Given
) -> tuple[config_dict.ConfigDict, DataSpec, volume_files.Told]:
  """Configuration, spec and all that was told of a published PoseC3D."""
  if given.down_stages is not None:
    raise errors.UserError(
      f'--down_stages is for graph networks; {file.path} holds PoseC3D, whose'
      ' strides a configuration says: --config=FILE.'
    )
  if given.takes_volumes is False:
    raise errors.UserError(
      f'{file.path} holds PoseC3D, which takes heatmaps, but --config is one of'
      ' a graph network, which takes keypoints. Give the configuration that it'
      ' was trained with.'
    )
  told = volume_files.tell(
    file.state_dict,
    file.meta,
    source=file.path,
    layout=given.layout,
    stream=given.stream,
    options=given.options,
    sections=given.sections,
    pipeline=given.pipeline,
  )
  config = _config('slowonly', told.naming, told.options, told.sections)
  spec = DataSpec(
    layout=told.layout,
    class_names=_class_names(told.num_classes, given.class_names, file.path),
    num_channels=2,
    # As in all published annotations; without, every score is 1.
    score_dtype='float16',
    # The weights do not depend on it, data sets bring their own.
    num_persons=given.num_persons or _PERSONS,
    normalize='none',
    keypoint_dtype='float16',
    max_frames=0,
  )
  return config, spec, told


def _check_nothing_given(source: str, given: Given) -> None:
  """Raises UserError where the user says what a file of ours says itself."""
  ignored = [
    f'--{flag}'
    for flag, is_given in (
      ('config', given.sections is not None or given.pipeline is not None),
      ('layout', given.layout is not None),
      ('stream', given.stream),
      ('num_persons', given.num_persons),
      ('class_names', given.class_names),
      ('down_stages', given.down_stages is not None),
    )
    if is_given
  ]
  if ignored:
    raise errors.UserError(
      f'{source} was written by skeljax and says itself what'
      f' {", ".join(ignored)} would say. Leave the flag out.'
    )


def _config(
  family: str,
  naming: str,
  options: Mapping[str, Any],
  sections: preprocessing.Sections,
) -> config_dict.ConfigDict:
  """The sections that shape the network and its input, but for a graph."""
  return config_dict.ConfigDict(
    {
      'name': family,
      'recipe': naming,
      'model': {
        'name': family,
        'norm_group': 0,
        'dtype': 'float32',
        'remat': False,
        **options,
      },
      **sections,
    }
  )


def _graph_section(graph: graph_lib.Graph) -> dict[str, Any]:
  return {
    'mode': graph.mode,
    'max_hop': graph.max_hop,
    'dilation': graph.dilation,
    'edges': graph.edges,
  }


def _class_names(
  num_classes: int, given: tuple[str, ...], source: str
) -> tuple[str, ...]:
  if given and len(given) != num_classes:
    raise errors.UserError(
      f'{source} tells {num_classes} classes apart, but --class_names has'
      f' {len(given)}.'
    )
  return given or spec_lib.numbered_classes(num_classes)


def _facts(
  architecture: recognize.Architecture,
  found: preprocessing.Preprocessing,
  class_names: tuple[str, ...],
  source: str,
) -> DataSpec:
  data = found.sections['data']
  return DataSpec(
    layout=architecture.graph.layout,
    class_names=_class_names(architecture.num_classes, class_names, source),
    num_channels=data['dims'],
    score_dtype='float16' if architecture.num_channels > data['dims'] else '',
    num_persons=found.num_persons,
    normalize=data['normalize'],
    # The type that mmaction2 publishes its annotations in.
    keypoint_dtype='float16',
    max_frames=0,
  )


def _leftovers(
  state_dict: Mapping[str, np.ndarray],
  family: str,
  naming: str,
  adjacency: np.ndarray | None,
) -> dict[str, Any]:
  """What the file holds that the network does not, for writing it back."""
  counters: Any = {
    name: int(array)
    for name, array in state_dict.items()
    if name.endswith(tensors.COUNTER)
  }
  if len(set(counters.values())) == 1:
    counters = next(iter(counters.values()))
  result = {'counters': counters}
  unused = tensors.unused_adjacency(state_dict, family, naming)
  if unused is not None and not np.array_equal(unused, adjacency):
    # A float32 survives JSON: its shortest decimal is exact.
    result['unused_adjacency'] = np.asarray(unused, np.float64).tolist()
  return result
