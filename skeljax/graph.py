"""From a layout to the adjacency matrices that graph convolutions use.

Conventions of the published code, kept here: an edge (child, parent) sets the
entry [parent, child]; matrices are normalised by column; a convolution gathers
out[w] = sum over v of x[v] * A[k, v, w], so column w lists what joint w sees.

Source: Yan et al., "Spatial Temporal Graph Convolutional Networks" (AAAI 2018),
section 3.3, and Shi et al., "Two-Stream Adaptive Graph Convolutional Networks"
(CVPR 2019), as written in mmaction2.
"""

import dataclasses

import numpy as np

from skeljax import errors
from skeljax import skeletons

MODES = ('spatial', 'stgcn_spatial')


@dataclasses.dataclass(frozen=True)
class Graph:
  """How a layout becomes K adjacency matrices; hashable.

  Attributes:
    layout: the joints and their edges.
    mode: 'spatial' gives identity, inward and outward edges (AGCN, ST-GCN++);
      'stgcn_spatial' splits the neighbours by their distance to the centre.
    max_hop: largest distance of a neighbour, only for 'stgcn_spatial'.
    edges: '1x' or '0x', the edge list of mmaction2 1.x or 0.x.

  Raises:
    UserError: an unknown mode or edge list, or a max_hop that is not used.
  """

  layout: skeletons.Layout
  mode: str = 'spatial'
  max_hop: int = 1
  edges: str = '1x'

  def __post_init__(self):
    if self.mode not in MODES:
      raise errors.UserError(
        f'The graph mode {self.mode!r} is not known: it must be one of '
        f'{", ".join(MODES)}.'
      )
    if self.max_hop < 1:
      raise errors.UserError(
        f'The graph option max_hop is {self.max_hop}; it must be at least 1.'
      )
    if self.mode == 'spatial' and self.max_hop != 1:
      raise errors.UserError(
        f'The graph option max_hop is {self.max_hop}, but mode '
        "'spatial' knows direct neighbours only: leave max_hop at 1 or "
        "choose mode 'stgcn_spatial'."
      )
    self.layout.graph_edges(self.edges)

  @property
  def num_subsets(self) -> int:
    """K, the number of adjacency matrices."""
    return 3 if self.mode == 'spatial' else 2 * self.max_hop + 1

  def adjacency(self) -> np.ndarray:
    """[K, V, V] float32; the columns of the sum over K tell who sees whom."""
    edges = self.layout.graph_edges(self.edges)
    num_joints = self.layout.num_joints
    if self.mode == 'spatial':
      outward = tuple((parent, child) for child, parent in edges)
      matrices = (
        np.eye(num_joints),
        _normalize_columns(_edge_matrix(edges, num_joints)),
        _normalize_columns(_edge_matrix(outward, num_joints)),
      )
    else:
      matrices = _split_by_distance(
        edges, num_joints, self.layout.center, self.max_hop
      )
    return np.stack(matrices).astype(np.float32)


def _edge_matrix(edges: skeletons.Pairs, num_joints: int) -> np.ndarray:
  matrix = np.zeros((num_joints, num_joints))
  for i, j in edges:
    matrix[j, i] = 1
  return matrix


def _normalize_columns(matrix: np.ndarray) -> np.ndarray:
  """Each column divided by its sum; a zero column stays zero."""
  sums = matrix.sum(axis=0)
  return matrix / np.where(sums > 0, sums, 1)


def _hop_distance(
  edges: skeletons.Pairs, num_joints: int, max_hop: int
) -> np.ndarray:
  """[V, V] steps between joints; infinite beyond max_hop.

  NOTE: the truncation is part of the published result. Distances to the centre
  beyond max_hop compare as equal, so far from the centre both directions of an
  edge land in the same subset.
  """
  one_hop = _edge_matrix(edges, num_joints) + np.eye(num_joints)
  one_hop = (one_hop + one_hop.T) > 0
  distance = np.full((num_joints, num_joints), np.inf)
  reached = np.eye(num_joints, dtype=bool)
  for hop in range(max_hop + 1):
    distance[reached & np.isinf(distance)] = hop
    reached = (reached.astype(int) @ one_hop.astype(int)) > 0
  return distance


def _split_by_distance(
  edges: skeletons.Pairs, num_joints: int, center: int, max_hop: int
) -> list[np.ndarray]:
  """2 * max_hop + 1 matrices: self, then closer and further for each hop."""
  distance = _hop_distance(edges, num_joints, max_hop)
  weights = _normalize_columns((distance <= max_hop).astype(float))
  to_center = distance[:, center]
  # Entry [j, i] moves data from j to i.
  is_close = to_center[:, None] >= to_center[None, :]
  matrices = [weights * (distance == 0)]
  for hop in range(1, max_hop + 1):
    at_hop = weights * (distance == hop)
    matrices += [at_hop * is_close, at_hop * ~is_close]
  return matrices
