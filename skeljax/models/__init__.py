"""Networks that map keypoints [B, M, T, V, C] to logits [B, classes]."""

import dataclasses

from flax import linen as nn

from skeljax import errors
from skeljax import graph as graph_lib
from skeljax.models import agcn
from skeljax.models import stgcn

MODELS = {'stgcn': stgcn.STGCN, 'agcn': agcn.AGCN}


def build_model(
  name: str, *, graph: graph_lib.Graph, num_classes: int, **options
) -> nn.Module:
  """The network of a name, with options checked against what it knows.

  Args:
    name: 'stgcn' or 'agcn'.
    graph: layout and adjacency.
    num_classes: logits per clip.
    **options: attributes of the network's class; lists become tuples.

  Returns:
    A flax module.

  Raises:
    UserError: for an unknown name or option; the message lists the known ones.
  """
  if name not in MODELS:
    raise errors.UserError(
      f'There is no model {name!r}; the models are {", ".join(MODELS)}.'
    )
  known = {field.name for field in dataclasses.fields(MODELS[name])}
  known -= {'graph', 'num_classes', 'name', 'parent'}
  unknown = sorted(set(options) - known)
  if unknown:
    raise errors.UserError(
      f'Model {name!r} has no option {", ".join(unknown)}; its options are '
      f'{", ".join(sorted(known))}.'
    )
  # Flax modules must be hashable.
  options = {
    key: tuple(value) if isinstance(value, list) else value
    for key, value in options.items()
  }
  return MODELS[name](graph=graph, num_classes=num_classes, **options)
