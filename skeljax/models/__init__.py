"""Models that map clips to logits [B, classes].

Graph networks (stgcn, agcn) take keypoints [B, M, T, V, C], convolutional ones
(slowonly) heatmap volumes [B, T, H, W, C]: the class attribute `input_kind` is
'joints' or 'heatmaps'.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

from flax import linen as nn

from skeljax import errors
from skeljax.models import agcn
from skeljax.models import slowonly
from skeljax.models import stgcn
from skeljax.skeletons import graph as graph_lib

MODELS: Mapping[str, Any] = {
  'stgcn': stgcn.STGCN,
  'agcn': agcn.AGCN,
  'slowonly': slowonly.SlowOnly,
}


def input_kind(name: str) -> str:
  """Return the kind of input that a model takes: 'joints' or 'heatmaps'.

  Raises:
    UserError: the model is unknown.
  """
  if name not in MODELS:
    raise errors.UserError(
      f'Unknown model {name!r}: expected one of {", ".join(MODELS)}.'
    )
  return MODELS[name].input_kind


def build_model(
  name: str,
  *,
  num_classes: int,
  graph: graph_lib.Graph | None = None,
  **options: Any,
) -> nn.Module:
  """Create a model, with its options checked.

  Args:
    name: key of MODELS.
    num_classes: logits per clip.
    graph: layout and adjacency, for graph networks.
    **options: attributes of the class; lists become tuples.

  Raises:
    UserError: the name or an option is unknown.
  """
  input_kind(name)  # Checks the name.
  if graph is not None:
    options['graph'] = graph
  known = {field.name for field in dataclasses.fields(MODELS[name])}
  known -= {'num_classes', 'name', 'parent'}
  if unknown := sorted(set(options) - known):
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
