"""What skeljax writes into a PyTorch file beside the weights, and reads again."""

from ml_collections import config_dict

from skeljax import errors
from skeljax import models
from skeljax import run as run_lib
from skeljax.convert import tensors
from skeljax.convert import torch_checkpoint
from skeljax.datasets.spec import DataSpec

# Where a file that skeljax wrote keeps the meta of its checkpoint.
META_KEY = 'skeljax'
# What shapes a network and its input; a file carries no more of a run. A
# network without a graph has no section of it.
SECTIONS = ('name', 'model', 'data', 'input', 'eval')
GRAPH_SECTION = 'graph'


def read_meta(
  file: torch_checkpoint.TorchCheckpoint, family: str
) -> tuple[config_dict.ConfigDict, DataSpec, str, dict[str, bool]]:
  """Configuration, spec, naming of a file of ours, and what is assumed.

  Args:
    file: with META_KEY in its meta.
    family: the network that its tensors are of.

  Raises:
    UserError: the entry is not what skeljax writes.
  """
  own, source = file.meta[META_KEY], file.path
  try:
    config = config_dict.ConfigDict(own['config'])
    spec = DataSpec.from_dict(own['spec'], source=source)
    if config.model.name != family:
      raise ValueError(f'it is for {config.model.name}, the tensors {family}')
    needed = {*SECTIONS}
    counts = [*config.model.get('stage_blocks', ())]
    if models.input_kind(family) == 'joints':
      needed.add(GRAPH_SECTION)
      counts = [config.model.get('num_stages', 0), config.graph.max_hop]
    # NOTE: a forged entry could ask for a network that takes hours to build.
    largest = max(array.size for array in file.state_dict.values())
    if (
      max(counts, default=0) > len(file.state_dict)
      or config.model.base_channels > largest
    ):
      raise ValueError('it has more stages, hops or channels than the tensors')
    naming = own.get('naming', '')
    kept = {
      'is_assumed': bool(own['is_assumed']),
      'is_stream_told': bool(own.get('is_stream_told', False)),
    }
    if (
      models.input_kind(family) != 'joints'
      and naming not in tensors.FAMILIES[family]
    ):
      raise ValueError(f'it says naming={naming!r}')
    # Whatever else is wrong with it shows when the network is built.
    run_lib.Run(config, spec).abstract_variables()
    if needed <= {*config}:
      return config, spec, naming, kept
    problem = f'it lacks {", ".join(sorted(needed - {*config}))}'
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    problem = f'{type(error).__name__}: {error}'
  raise errors.UserError(
    f"{source}: its entry meta['{META_KEY}'] is not what skeljax writes"
    f' ({problem}). Delete the entry, and the network is told from the tensors.'
  )
