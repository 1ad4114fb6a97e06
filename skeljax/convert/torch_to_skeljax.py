"""A PyTorch file as variables of ours, with the meta of a checkpoint."""

from collections.abc import Mapping
import dataclasses
from typing import Any

from ml_collections import config_dict
import numpy as np

from skeljax import errors
from skeljax import recipe
from skeljax import skeletons
from skeljax.convert import preprocessing
from skeljax.convert import published_config
from skeljax.convert import recognize
from skeljax.convert import tensors
from skeljax.convert import torch_checkpoint

# Where a file that skeljax wrote keeps the meta of its checkpoint.
META_KEY = 'skeljax'
# What shapes a network and its input; a file carries no more of a run.
SECTIONS = ('name', 'model', 'graph', 'data', 'features', 'eval')


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
    sections: of a configuration, data, features and eval; None to find them.
    pipeline: the same as a test pipeline of mmaction2 or pyskl.
  """

  weights: str = ''
  layout: skeletons.Layout | None = None
  down_stages: tuple[int, ...] | None = None
  num_persons: int = 0
  class_names: tuple[str, ...] = ()
  sections: preprocessing.Sections | None = None
  pipeline: preprocessing.Pipeline | None = None


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
  """Reads a file of ST-GCN, ST-GCN++, 2s-AGCN or AAGCN.

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
  if META_KEY in file.meta:
    config, facts, is_assumed = _own_meta(file, given)
    notes.append('written by skeljax, with configuration and class names')
  else:
    is_assumed = True
    config, facts, assumed = _told(file, given)
    notes += assumed
  graph = recipe.build_graph(config, facts)
  like = recipe.abstract_variables(config, facts)
  variables = tensors.from_torch(
    file.state_dict,
    like,
    family,
    naming,
    adjacency=graph.adjacency(),
    source=path,
  )
  meta = recipe.checkpoint_meta(config, facts)
  meta['torch'] = {
    'naming': naming,
    'is_assumed': is_assumed,
    **_leftovers(file.state_dict, family, naming, graph.adjacency()),
  }
  return Converted(
    {name: variables.get(name, {}) for name in like},
    meta,
    naming,
    tuple(notes),
  )


def _told(
  file: torch_checkpoint.TorchCheckpoint, given: Given
) -> tuple[config_dict.ConfigDict, recipe.Facts, list[str]]:
  """Configuration, facts and what was assumed, of a published file."""
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
  return (
    _config(architecture, found),
    _facts(architecture, found, given.class_names, file.path),
    [*architecture.notes, *found.notes],
  )


def _own_meta(
  file: torch_checkpoint.TorchCheckpoint, given: Given
) -> tuple[config_dict.ConfigDict, recipe.Facts, bool]:
  """Configuration, facts and is_assumed of a file that skeljax wrote."""
  own, source = file.meta[META_KEY], file.path
  ignored = [
    f'--{flag}'
    for flag, is_given in (
      ('config', given.sections is not None or given.pipeline is not None),
      ('layout', given.layout is not None),
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
  try:
    config = config_dict.ConfigDict(own['config'])
    facts = recipe.Facts.from_dict(own['facts'], source=source)
    # NOTE: a forged entry could ask for a network that takes hours to build.
    largest = max(array.size for array in file.state_dict.values())
    counts = (config.model.get('num_stages', 0), config.graph.max_hop)
    if (
      max(counts) > len(file.state_dict) or config.model.base_channels > largest
    ):
      raise ValueError('it has more stages, hops or channels than the tensors')
    # Whatever else is wrong with it shows when the network is built.
    recipe.abstract_variables(config, facts)
    if {*SECTIONS} <= {*config}:
      return config, facts, bool(own['is_assumed'])
    problem = f'it lacks {", ".join(sorted({*SECTIONS} - {*config}))}'
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    problem = f'{type(error).__name__}: {error}'
  raise errors.UserError(
    f"{source}: its entry meta['{META_KEY}'] is not what skeljax writes"
    f' ({problem}). Delete the entry, and the network is told from the tensors.'
  )


def _config(
  architecture: recognize.Architecture, found: preprocessing.Preprocessing
) -> config_dict.ConfigDict:
  """The sections that shape the network and its input."""
  graph = architecture.graph
  return config_dict.ConfigDict(
    {
      'name': architecture.family,
      'recipe': architecture.naming,
      'model': {
        'name': architecture.family,
        'norm_group': 0,
        'dtype': 'float32',
        'remat': False,
        **architecture.options,
      },
      'graph': {
        'mode': graph.mode,
        'max_hop': graph.max_hop,
        'dilation': graph.dilation,
        'edges': graph.edges,
      },
      **found.sections,
    }
  )


def _facts(
  architecture: recognize.Architecture,
  found: preprocessing.Preprocessing,
  class_names: tuple[str, ...],
  source: str,
) -> recipe.Facts:
  num_classes = architecture.num_classes
  if class_names and len(class_names) != num_classes:
    raise errors.UserError(
      f'{source} tells {num_classes} classes apart, but --class_names has'
      f' {len(class_names)}.'
    )
  data = found.sections['data']
  return recipe.Facts(
    layout=architecture.graph.layout,
    class_names=class_names or recipe.numbered_classes(num_classes),
    num_channels=data['dims'],
    has_score=architecture.num_channels > data['dims'],
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
  adjacency: np.ndarray,
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
