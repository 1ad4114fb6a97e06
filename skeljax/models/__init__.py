"""Networks that map clips to logits [B, classes].

Graph networks (stgcn, agcn) take keypoints [B, M, T, V, C], convolutional ones
(slowonly) volumes of heatmaps [B, T, H, W, C].
"""

import dataclasses

from flax import linen as nn

from skeljax import errors
from skeljax.models import agcn
from skeljax.models import slowonly
from skeljax.models import stgcn
from skeljax.skeletons import graph as graph_lib

MODELS = {
  'stgcn': stgcn.STGCN,
  'agcn': agcn.AGCN,
  'slowonly': slowonly.SlowOnly,
}


def input_kind(name: str) -> str:
  """Return the kind of input that a model takes: 'joints' or 'heatmaps'.

  Raises:
    UserError: an unknown model; the message lists the known ones.
  """
  if name not in MODELS:
    raise errors.UserError(
      f'Unknown model {name!r}: expected one of {", ".join(MODELS)}.'
    )
  return MODELS[name].input_kind


def _fields(name: str) -> set[str]:
  return {field.name for field in dataclasses.fields(MODELS[name])}


def build_model(
  name: str,
  *,
  num_classes: int,
  graph: graph_lib.Graph | None = None,
  **options,
) -> nn.Module:
  """The network of a name, with options checked against what it knows.

  Args:
    name: 'stgcn', 'agcn' or 'slowonly'.
    num_classes: logits per clip.
    graph: layout and adjacency, for the networks that take one.
    **options: attributes of the network's class; lists become tuples.

  Returns:
    A flax module.

  Raises:
    UserError: for an unknown name or option; the message lists the known ones.
  """
  if input_kind(name) == 'joints':
    options['graph'] = graph
  known = _fields(name) - {'num_classes', 'name', 'parent'}
  unknown = sorted(set(options) - known)
  if unknown:
    raise errors.UserError(
      f'Model {name!r} has no option {", ".join(unknown)}; its options are '
      f'{", ".join(sorted(known - {"graph"}))}.'
    )
  # Flax modules must be hashable.
  options = {
    key: tuple(value) if isinstance(value, list) else value
    for key, value in options.items()
  }
  return MODELS[name](num_classes=num_classes, **options)
