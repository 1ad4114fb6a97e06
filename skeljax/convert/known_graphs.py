"""Find the layout and graph of the adjacency in a checkpoint."""

from collections.abc import Iterator, Sequence

import numpy as np

from skeljax import errors
from skeljax import skeletons
from skeljax.convert import torch_file
from skeljax.skeletons import graph as graph_lib

# The largest distance that was published; a larger K needs a larger one.
_MAX_HOP = 4


def find(
  adjacency: np.ndarray | None,
  *,
  num_joints: int,
  is_fixed: bool,
  prefer_0x: bool,
  layout: skeletons.Layout | None,
  file: torch_file.TorchFile,
) -> graph_lib.Graph:
  """Return the graph of an adjacency, or the one it was learned from.

  Args:
    adjacency: [K, V, V]; None for files of agcn.py of the authors, which do not
      contain it. Their graph has mode 'spatial'.
    num_joints: V.
    is_fixed: whether the adjacency is the graph, not learned weights.
    prefer_0x: prefer the edges of mmaction2 0.x, those of the first papers,
      among equal candidates.
    layout: the only candidate; None for all known layouts.
    file: takes notes on what is assumed.

  Returns:
    The graph. It only initializes new networks; the adjacency of a checkpoint
    is used as it is.

  Raises:
    UserError: no layout has V joints, or the given one does not.
  """
  if adjacency is not None and adjacency.shape[1:] != (num_joints, num_joints):
    raise errors.UserError(
      f'{file.path}: the adjacency has shape {list(adjacency.shape)}, not'
      f' [K, {num_joints}, {num_joints}].'
    )
  layouts = _layouts(num_joints, layout, file.path)
  num_subsets = 3 if adjacency is None else len(adjacency)
  edges = ('0x', '1x') if prefer_0x else ('1x', '0x')
  candidates = list(_candidates(layouts, num_subsets, edges))
  if not candidates:
    raise errors.UserError(
      f'{file.path} has {num_subsets} adjacency matrices, which no graph'
      f' mode has ({", ".join(graph_lib.MODES)}).'
    )
  graph = candidates[0]
  if adjacency is None:
    file.notes.append(
      f'the file has no graph: assumed that of layout {graph.layout.name!r}'
      ' (--layout overrides)'
    )
    return graph
  known = [graph.adjacency() for graph in candidates]
  if is_fixed:
    distances = [float(np.abs(adjacency - a).max()) for a in known]
    graph = candidates[int(np.argmin(distances))]
    if min(distances) >= 1e-5:
      file.notes.append(
        f'no known graph of layout {graph.layout.name!r} has this adjacency; it'
        ' is used as it is'
      )
    return graph
  similarities = [
    float(np.sum(adjacency * a)) / float(np.linalg.norm(a)) for a in known
  ]
  if max(similarities) > 0.5 * float(np.linalg.norm(adjacency)):
    return candidates[int(np.argmax(similarities))]
  file.notes.append(
    'the learned adjacency resembles no known graph; assumed layout'
    f' {graph.layout.name!r} with mode {graph.mode!r} (--layout overrides), and'
    ' it is used as it is'
  )
  return graph


def _layouts(
  num_joints: int, layout: skeletons.Layout | None, source: str
) -> Sequence[skeletons.Layout]:
  known = tuple(skeletons.LAYOUTS.values()) if layout is None else (layout,)
  found = [layout for layout in known if layout.num_joints == num_joints]
  if not found:
    listed = ', '.join(f'{c.name} ({c.num_joints})' for c in known)
    raise errors.UserError(
      f'{source} has {num_joints} joints, which does not fit {listed}. Give the'
      ' layout it was trained with: --layout=FILE.json.'
    )
  return found


def _candidates(
  layouts: Sequence[skeletons.Layout], num_subsets: int, edges: Sequence[str]
) -> Iterator[graph_lib.Graph]:
  """Yield every graph with K matrices, the likelier of equal ones first."""
  for layout in layouts:
    for version in edges:
      for mode in graph_lib.MODES:
        hops = range(1, _MAX_HOP + 1) if mode in graph_lib.HOP_MODES else (1,)
        for max_hop in hops:
          for dilation in range(1, max_hop + 1):
            graph = graph_lib.Graph(layout, mode, max_hop, version, dilation)
            if graph.num_subsets == num_subsets:
              yield graph
