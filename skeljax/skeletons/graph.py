"""Adjacency matrices of a layout, for graph convolutions.

Conventions of the published code: an edge (child, parent) sets the entry
[parent, child]; matrices are normalized by column; a graph convolution computes
out[w] = sum over v of x[v] * A[k, v, w], so column w holds the weights of the
neighbours of joint w.

Source: Yan et al., "Spatial Temporal Graph Convolutional Networks" (AAAI 2018),
section 3.3, and Shi et al., "Two-Stream Adaptive Graph Convolutional Networks"
(CVPR 2019), as in mmaction2 1.x ('spatial', 'stgcn_spatial', 'binary') and in
the original ST-GCN and mmaction2 0.x ('uniform', 'distance', dilation; their
strategy 'spatial' is 'stgcn_spatial' here).
"""

import dataclasses

import numpy as np

from skeljax import errors
from skeljax import skeletons

MODES = ('spatial', 'stgcn_spatial', 'uniform', 'distance', 'binary')
# The modes that depend on the number of steps between two joints.
HOP_MODES = ('stgcn_spatial', 'uniform', 'distance')


@dataclasses.dataclass(frozen=True)
class Graph:
  """A layout and how it becomes K adjacency matrices; hashable.

  Attributes:
    layout: the joints and their edges.
    mode: how the neighbours are divided into K matrices.
      'spatial' (K=3): identity, inward and outward edges (AGCN, ST-GCN++).
      'stgcn_spatial' (K=2 hops-1): neighbours of each distance, split by
      whether they are closer to the center.
      'uniform' (K=1): all neighbours and the joint itself, equally.
      'distance' (K=hops): neighbours of each distance.
      'binary' (K=1): 1 for every edge in either direction, without the joint
      itself and not normalized.
    max_hop: largest distance of a neighbour, for HOP_MODES.
    edges: '1x' or '0x', the edge list of mmaction2 1.x or 0.x.
    dilation: only distances 0, dilation, 2 dilation ... count, for HOP_MODES;
      hops is their number.

  Raises:
    UserError: an unknown mode or edge list, a max_hop or dilation that the mode
      does not use or that reaches no neighbour.
  """

  layout: skeletons.Layout
  mode: str = 'spatial'
  max_hop: int = 1
  edges: str = '1x'
  dilation: int = 1

  def __post_init__(self):
    if self.mode not in MODES:
      raise errors.UserError(
        f'Graph mode {self.mode!r} must be one of {", ".join(MODES)}.'
      )
    for name in ('max_hop', 'dilation'):
      value = getattr(self, name)
      if value < 1:
        raise errors.UserError(
          f'Graph option {name} is {value}; it must be at least 1.'
        )
      if value != 1 and self.mode not in HOP_MODES:
        raise errors.UserError(
          f'Graph option {name} is {value}, but mode {self.mode!r} uses direct '
          f'neighbours only: set {name} to 1 or use one of the modes '
          f'{", ".join(HOP_MODES)}.'
        )
    if self.dilation > self.max_hop:
      raise errors.UserError(
        f'Graph option dilation is {self.dilation} and max_hop is '
        f'{self.max_hop}: no joint would have a neighbour. Set max_hop to at '
        'least the dilation.'
      )
    self.layout.graph_edges(self.edges)

  @property
  def hops(self) -> range:
    """The distances that count."""
    return range(0, self.max_hop + 1, self.dilation)

  @property
  def num_subsets(self) -> int:
    """K, the number of adjacency matrices."""
    return {
      'spatial': 3,
      'stgcn_spatial': 2 * len(self.hops) - 1,
      'uniform': 1,
      'distance': len(self.hops),
      'binary': 1,
    }[self.mode]

  def adjacency(self) -> np.ndarray:
    """Return the matrices, [K, V, V] float32."""
    edges = self.layout.graph_edges(self.edges)
    num_joints = self.layout.num_joints
    inward = _edge_matrix(edges, num_joints)
    if self.mode == 'spatial':
      matrices = [
        np.eye(num_joints),
        _normalize_columns(inward),
        _normalize_columns(inward.T),
      ]
    elif self.mode == 'binary':
      matrices = [np.maximum(inward, inward.T)]
    else:
      matrices = self._by_distance(inward)
    return np.stack(matrices).astype(np.float32)

  def _by_distance(self, inward: np.ndarray) -> list[np.ndarray]:
    distance = _hop_distance(inward, self.max_hop)
    weights = _normalize_columns(np.isin(distance, self.hops).astype(float))
    if self.mode == 'uniform':
      return [weights]
    at_hops = [weights * (distance == hop) for hop in self.hops]
    if self.mode == 'distance':
      return at_hops
    to_center = distance[:, self.layout.center]
    # Entry [j, i] moves data from j to i.
    is_close = to_center[:, None] >= to_center[None, :]
    matrices = at_hops[:1]
    for at_hop in at_hops[1:]:
      matrices += [at_hop * is_close, at_hop * ~is_close]
    return matrices


def _edge_matrix(edges: skeletons.Pairs, num_joints: int) -> np.ndarray:
  matrix = np.zeros((num_joints, num_joints))
  for i, j in edges:
    matrix[j, i] = 1
  return matrix


def _normalize_columns(matrix: np.ndarray) -> np.ndarray:
  """Divide each column by its sum; a zero column stays zero."""
  sums = matrix.sum(axis=0)
  return matrix / np.where(sums > 0, sums, 1)


def _hop_distance(inward: np.ndarray, max_hop: int) -> np.ndarray:
  """Return the steps between joints, [V, V]; infinite beyond max_hop.

  NOTE: the truncation is part of the published result. Distances to the center
  beyond max_hop compare as equal, so far from the center both directions of an
  edge are in the same subset.
  """
  num_joints = inward.shape[0]
  one_hop = (inward + inward.T + np.eye(num_joints)) > 0
  distance = np.full((num_joints, num_joints), np.inf)
  reached = np.eye(num_joints, dtype=bool)
  for hop in range(max_hop + 1):
    distance[reached & np.isinf(distance)] = hop
    reached = (reached.astype(int) @ one_hop.astype(int)) > 0
  return distance
