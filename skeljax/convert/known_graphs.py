"""Which layout and which graph lie behind the adjacency of a checkpoint."""

from collections.abc import Iterator, Sequence

import numpy as np

from skeljax import errors
from skeljax import skeletons
from skeljax.skeletons import graph as graph_lib

# Distances that were ever published; a larger K has a larger one.
_MAX_HOP = 4


def find(
  adjacency: np.ndarray | None,
  *,
  num_joints: int,
  is_fixed: bool,
  prefer_0x: bool,
  layout: skeletons.Layout | None,
  source: str,
) -> tuple[graph_lib.Graph, tuple[str, ...]]:
  """The graph that an adjacency is, or that it was learned from.

  Args:
    adjacency: [K, V, V]; None where the file has none, as 2s-AGCN of the
      authors, whose graph has mode 'spatial'.
    num_joints: V.
    is_fixed: the adjacency is the graph itself, not weights that began as it.
    prefer_0x: of equal candidates take the edges of mmaction2 0.x, which are
      those of the first papers.
    layout: the only one to look at; None for all known ones.
    source: names the file in errors.

  Returns:
    The graph, and sentences on what was assumed. Its adjacency only starts a
    new network; a checkpoint brings its own.

  Raises:
    UserError: no layout has V joints, or the given one has not.
  """
  if adjacency is not None and adjacency.shape[1:] != (num_joints, num_joints):
    raise errors.UserError(
      f'{source}: the adjacency has shape {list(adjacency.shape)}, not'
      f' [K, {num_joints}, {num_joints}].'
    )
  layouts = _layouts(num_joints, layout, source)
  num_subsets = 3 if adjacency is None else len(adjacency)
  edges = ('0x', '1x') if prefer_0x else ('1x', '0x')
  candidates = list(_candidates(layouts, num_subsets, edges))
  if not candidates:
    raise errors.UserError(
      f'{source}: no graph of {num_subsets} matrices is known; the modes are'
      f' {", ".join(graph_lib.MODES)}.'
    )
  if adjacency is None:
    return candidates[0], (
      f'the file has no graph: that of layout {candidates[0].layout.name!r} was'
      ' taken (--layout overrides)',
    )
  if is_fixed:
    return _nearest(adjacency, candidates)
  return _most_similar(adjacency, candidates)


def _nearest(
  adjacency: np.ndarray, candidates: Sequence[graph_lib.Graph]
) -> tuple[graph_lib.Graph, tuple[str, ...]]:
  """The candidate that the adjacency is, or that it is least far from."""
  distances = [
    float(np.abs(adjacency - graph.adjacency()).max()) for graph in candidates
  ]
  graph = candidates[int(np.argmin(distances))]
  if min(distances) < 1e-5:
    return graph, ()
  return graph, (
    f'the adjacency of the file is none of the known graphs of layout'
    f' {graph.layout.name!r}; the one of the file is used',
  )


def _most_similar(
  adjacency: np.ndarray, candidates: Sequence[graph_lib.Graph]
) -> tuple[graph_lib.Graph, tuple[str, ...]]:
  """The candidate that learned weights still resemble, else the first."""
  similarities = [
    float(np.sum(adjacency * other)) / float(np.linalg.norm(other))
    for other in (graph.adjacency() for graph in candidates)
  ]
  norm = float(np.linalg.norm(adjacency))
  if max(similarities) > 0.5 * norm:
    return candidates[int(np.argmax(similarities))], ()
  return candidates[0], (
    'the learned adjacency resembles no graph any more; layout'
    f' {candidates[0].layout.name!r} with mode {candidates[0].mode!r} was noted'
    ' (--layout overrides); the learned one is used',
  )


def _layouts(
  num_joints: int, layout: skeletons.Layout | None, source: str
) -> Sequence[skeletons.Layout]:
  known = tuple(skeletons.LAYOUTS.values())
  if layout is not None and layout.num_joints != num_joints:
    raise errors.UserError(
      f'{source} is for {num_joints} joints, but layout {layout.name!r} has'
      f' {layout.num_joints}. Give the layout that it was trained with.'
    )
  found = [
    candidate
    for candidate in (known if layout is None else (layout,))
    if candidate.num_joints == num_joints
  ]
  if not found:
    listed = ', '.join(f'{c.name} ({c.num_joints})' for c in known)
    raise errors.UserError(
      f'{source} is for {num_joints} joints, and no known layout has as many:'
      f' {listed}. Describe its skeleton in a layout file and give'
      ' --layout=FILE.json.'
    )
  return found


def _candidates(
  layouts: Sequence[skeletons.Layout], num_subsets: int, edges: Sequence[str]
) -> Iterator[graph_lib.Graph]:
  """Every graph with K matrices; of equal ones the likelier first."""
  for layout in layouts:
    for version in edges:
      for mode in graph_lib.MODES:
        hops = range(1, _MAX_HOP + 1) if mode in graph_lib.HOP_MODES else (1,)
        for max_hop in hops:
          for dilation in range(1, max_hop + 1):
            graph = graph_lib.Graph(layout, mode, max_hop, version, dilation)
            if graph.num_subsets == num_subsets:
              yield graph
