"""Load PyTorch files as skeljax checkpoints, and save them as PyTorch files."""

from collections.abc import Mapping
import dataclasses
import json
from typing import Any

from ml_collections import config_dict
import numpy as np

from skeljax import errors
from skeljax import run as run_lib
from skeljax.convert import agcn
from skeljax.convert import family as family_lib
from skeljax.convert import slowonly
from skeljax.convert import stgcn
from skeljax.convert import tensors
from skeljax.convert import torch_file
from skeljax.datasets import spec as spec_lib

FAMILIES: Mapping[str, family_lib.Family] = {
  family.model: family
  for family in (stgcn.STGCN(), agcn.AGCN(), slowonly.SlowOnly())
}
CODE_BASES = ('mmaction1x', 'pyskl', 'mmaction0x', 'original')
# Key in the meta of files written by skeljax.
META_KEY = 'skeljax'
# Sections that shape a network and its input; graph networks also have `graph`.
_SECTIONS = ('name', 'model', 'data', 'input', 'eval', 'graph')


@dataclasses.dataclass(frozen=True)
class Converted:
  """A PyTorch file as a skeljax checkpoint.

  Attributes:
    variables: the collections params, batch_stats and graph, float32.
    meta: of the checkpoint (Run.checkpoint_meta), and under 'torch' what is
      needed to write the same file again: code_base, is_assumed (the file does
      not specify everything), is_stream_known, counters, unused_adjacency.
    notes: on what was assumed, changed or left out.
  """

  variables: Mapping[str, Any]
  meta: Mapping[str, Any]
  notes: tuple[str, ...]


def find_family(
  names: Mapping[str, Any], source: str
) -> tuple[family_lib.Family, str]:
  """Return the family and code base of tensor names; '' if several share them.

  Raises:
    UserError: not a network that skeljax has.
  """
  for family in FAMILIES.values():
    code_base = family.find_code_base(names)
    if code_base is not None:
      return family, code_base
  if any(name.startswith('backbone.pose_path.') for name in names):
    raise errors.UserError(
      f'{source} contains RGBPoseConv3D, which also takes images; skeljax has'
      ' networks of skeletons only.'
    )
  first = ', '.join(list(names)[:4])
  raise errors.UserError(
    f'{source} contains no network that skeljax has: ST-GCN, ST-GCN++, 2s-AGCN,'
    ' AAGCN or PoseC3D of mmaction2, pyskl or their authors. Its'
    f' {len(names)} tensors begin with {first or "none"}.'
  )


def load(
  path: str, overrides: family_lib.Overrides = family_lib.NO_OVERRIDES
) -> Converted:
  """Load a file of ST-GCN, ST-GCN++, 2s-AGCN, AAGCN or PoseC3D.

  Args:
    path: the .pth file.
    overrides: what the user specifies about it.

  Raises:
    UserError: the file cannot be read or contains another network; lists every
      tensor that does not fit.
  """
  file = torch_file.read(path, overrides.weights)
  family, code_base = find_family(file.state_dict, path)
  if META_KEY in file.meta:
    _check_no_overrides(path, overrides)
    run, torch_meta = _read_meta(file, family)
    code_base = code_base or torch_meta['code_base']
    file.notes.append('written by skeljax, with config and class names')
  else:
    found = family.recognize(file, code_base, overrides)
    run = run_lib.Run(found.config, found.spec)
    code_base = found.code_base
    torch_meta = {
      'is_assumed': True, 'is_stream_known': found.is_stream_known,
    }  # fmt: skip
  naming = family.get_naming(code_base)
  adjacency = run.graph.adjacency() if 'graph' in run.config else None
  like = run.abstract_variables()
  variables = tensors.from_torch(
    file.state_dict, like, naming, adjacency=adjacency, source=path
  )
  meta = run.checkpoint_meta()
  meta['torch'] = {
    **torch_meta,
    'code_base': code_base,
    **_leftovers(file.state_dict, naming, adjacency),
  }
  variables = {name: variables.get(name, {}) for name in like}
  return Converted(variables, meta, tuple(file.notes))


def save(
  path: str,
  variables: Mapping[str, Any],
  meta: Mapping[str, Any],
  code_base: str = '',
) -> tuple[str, dict[str, Any] | None]:
  """Write weights and BatchNorm statistics as a PyTorch file.

  Args:
    path: of the file, replaced if it exists.
    variables: the collections params, batch_stats and graph.
    meta: of the checkpoint. Config and spec are stored in the file, so that
      skeljax reads it back completely.
    code_base: whose names to use; '' for those that the weights came with, else
      the first code base that has the network.

  Returns:
    (code base, the `model` of a published config that builds the network or
    None).

  Raises:
    UserError: the code base does not have the network.
  """
  run = run_lib.Run(
    config_dict.ConfigDict(meta['config']),
    spec_lib.DataSpec.from_dict(meta['spec'], source='the checkpoint'),
  )
  family = FAMILIES[run.config.model.name]
  torch_meta = dict(meta.get('torch', {}))
  # A checkpoint that was trained with skeljax assumes nothing.
  flags = {
    'is_assumed': torch_meta.get('is_assumed', False),
    'is_stream_known': torch_meta.get('is_stream_known', True),
  }
  previous = torch_meta.get('code_base', '')
  code_base = code_base or previous or family.default_code_base(run.model)
  if code_base != previous:
    torch_meta = {}
  naming = family.get_naming(code_base)
  published = family.published_model(run, code_base)
  adjacency = None
  if 'graph' in run.config:
    adjacency = run.graph.adjacency()
    _check_graph(variables, naming, run.graph)
    adjacency = np.asarray(
      torch_meta.get('unused_adjacency', adjacency), np.float32
    )
  state_dict = tensors.to_torch(
    variables,
    naming,
    adjacency=adjacency,
    counters=torch_meta.get('counters', 0),
  )
  # Training settings and folders are private.
  config = {k: v for k, v in run.config.to_dict().items() if k in _SECTIONS}
  config['data']['dir'] = ''
  own = {
    'config': config,
    'spec': meta['spec'],
    'code_version': meta['code_version'],
    'torch': {**flags, 'code_base': code_base},
  }
  # JSON leaves plain values only, whatever the config contains.
  torch_file.write(path, state_dict, json.loads(json.dumps({META_KEY: own})))
  return code_base, published


def _read_meta(
  file: torch_file.TorchFile, family: family_lib.Family
) -> tuple[run_lib.Run, dict[str, Any]]:
  """Return the run and the 'torch' entry of a file written by skeljax."""
  own = file.meta[META_KEY]
  try:
    config = config_dict.ConfigDict(own['config'])
    spec = spec_lib.DataSpec.from_dict(own['spec'], source=file.path)
    model, missing = config.model, set(_SECTIONS) - {'graph', *config}
    if model.name != family.model:
      raise ValueError(f'it is for {model.name}, the tensors {family.model}')
    if missing:
      raise ValueError(f'it lacks {", ".join(sorted(missing))}')
    counts = [*model.get('stage_blocks', ()), model.get('num_stages', 0)]
    if 'graph' in config:
      counts.append(config.graph.max_hop)
    # NOTE: a forged entry could ask for a network that takes hours to build.
    largest = max(array.size for array in file.state_dict.values())
    if max(counts) > len(file.state_dict) or model.base_channels > largest:
      raise ValueError('it has more stages, hops or channels than the tensors')
    torch_meta = {
      name: bool(own['torch'][name])
      for name in ('is_assumed', 'is_stream_known')
    }
    code_base = own['torch']['code_base']
    if code_base not in family.namings:
      raise ValueError(f'code_base={code_base!r}')
    run = run_lib.Run(config, spec)
    run.abstract_variables()
    return run, {**torch_meta, 'code_base': code_base}
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    raise errors.UserError(
      f"{file.path}: meta['{META_KEY}'] was not written by skeljax"
      f' ({type(error).__name__}: {error}). Delete the entry to infer the network'
      ' from the tensors.'
    ) from error


def _check_no_overrides(source: str, overrides: family_lib.Overrides) -> None:
  """Raise UserError for overrides of what a file of skeljax specifies."""
  useless = [
    f'--{field.name}'
    for field in dataclasses.fields(overrides)
    if field.name != 'weights'
    and getattr(overrides, field.name) != field.default
  ]
  if useless:
    raise errors.UserError(
      f'{source} was written by skeljax and specifies everything: remove'
      f' {", ".join(useless)}.'
    )


def _check_graph(
  variables: Mapping[str, Any], naming: tensors.Naming, graph: Any
) -> None:
  """Raise UserError if a fixed graph would be lost.

  agcn.py of the authors builds its graph from its own edges.
  """
  fixed = variables.get('graph', {}).get('adjacency')
  if fixed is None or naming.adjacency:
    return
  original = dataclasses.replace(
    graph, max_hop=1, edges='0x', dilation=1
  ).adjacency()
  if not np.array_equal(np.asarray(fixed), original):
    raise errors.UserError(
      f'--naming={naming.code_base}: files of that code base contain no graph,'
      f' and that of this checkpoint is not the one of layout'
      f' {graph.layout.name!r}, so it would be lost.'
    )


def _leftovers(
  state_dict: Mapping[str, np.ndarray],
  naming: tensors.Naming,
  adjacency: np.ndarray | None,
) -> dict[str, Any]:
  """Return tensors of a file that the network does not have."""
  counters: Any = {
    name: int(array)
    for name, array in state_dict.items()
    if name.endswith(tensors.COUNTER)
  }
  if len(set(counters.values())) == 1:
    counters = next(iter(counters.values()))
  result = {'counters': counters}
  unused = state_dict.get(naming.unused_adjacency)
  if unused is not None and not np.array_equal(unused, adjacency):
    # A float32 survives JSON: its shortest decimal is exact.
    result['unused_adjacency'] = np.asarray(unused, np.float64).tolist()
  return result
