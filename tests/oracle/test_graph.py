"""Adjacency matrices equal mmaction2's, for published and random graphs."""

from mmaction.models.utils import graph as published
import numpy as np
import pytest

from skeljax import skeletons
from skeljax.skeletons import graph

# Our name and mmaction2's name of each mode.
MODES = {
  'spatial': 'spatial',
  'stgcn_spatial': 'stgcn_spatial',
  'binary': 'binary_adj',
}
NUM_DRAWN = 40


def draw_layout(rng: np.random.RandomState, is_tree: bool):
  """Return a random layout with shuffled joints, and a description of it.

  A tree has one edge from every joint except the center; otherwise some edges
  are missing (separate parts) and others close cycles.
  """
  num_joints = rng.randint(2, 31)
  order = rng.permutation(num_joints)
  edges = [
    (order[i], order[rng.randint(max(0, i - 4), i)])
    for i in range(1, num_joints)
  ]
  if not is_tree:
    edges = [edge for edge in edges if rng.rand() < 0.8] or edges[:1]
    for a, b in rng.randint(num_joints, size=(rng.randint(0, 8), 2)):
      if a != b and (a, b) not in edges and (b, a) not in edges:
        edges.append((a, b))
  edges = [edges[i] for i in rng.permutation(len(edges))]
  edges = tuple((int(a), int(b)) for a, b in edges)
  center = int(order[0]) if is_tree else int(rng.randint(num_joints))
  layout = skeletons.Layout(
    name='drawn',
    joints=tuple(f'joint {i}' for i in range(num_joints)),
    bones=(),
    edges=edges,
    center=center,
  )
  return layout, f'{num_joints} joints, center {center}, edges {edges}'


@pytest.mark.parametrize('name', ['coco', 'nturgb+d', 'openpose-18'])
@pytest.mark.parametrize('mode', MODES)
def test_published_layouts_are_equal(name, mode):
  oracle = published.Graph(name.removesuffix('-18'), MODES[mode])
  ours = graph.Graph(skeletons.LAYOUTS[name], mode).adjacency()
  np.testing.assert_array_equal(ours, oracle.A.astype(np.float32))


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('is_tree', [True, False], ids=['tree', 'graph'])
def test_drawn_layouts_are_equal(mode, is_tree, oracle_seed):
  rng = np.random.RandomState(oracle_seed % 2**32)
  for _ in range(NUM_DRAWN):
    layout, description = draw_layout(rng, is_tree)
    max_hop = rng.randint(1, 6) if mode == 'stgcn_spatial' else 1
    oracle = published.Graph(
      dict(
        num_node=layout.num_joints,
        inward=list(layout.edges),
        center=layout.center,
      ),
      MODES[mode],
      max_hop,
    )
    g = graph.Graph(layout, mode, int(max_hop))
    assert g.num_subsets == len(oracle.A)
    np.testing.assert_array_equal(
      g.adjacency(),
      oracle.A.astype(np.float32),
      err_msg=f'seed {oracle_seed}, max_hop {max_hop}, {description}',
    )


def strategy_0x(layout, edges, strategy, max_hop, dilation):
  """Compute the strategies of the original ST-GCN and of mmaction2 0.x.

  No package contains that code any more. This computes the same in other steps:
  distances by breadth-first search, column by column.
  """
  num_joints = layout.num_joints
  neighbors = {v: set() for v in range(num_joints)}
  for a, b in edges:
    neighbors[a].add(b)
    neighbors[b].add(a)

  def distances_from(start):
    found, border = {start: 0}, [start]
    for hop in range(1, max_hop + 1):
      border = [w for v in border for w in neighbors[v] if w not in found]
      found |= dict.fromkeys(border, hop)
    return found

  distance = [distances_from(v) for v in range(num_joints)]
  far = float('inf')
  to_center = [distance[layout.center].get(v, far) for v in range(num_joints)]
  hops = list(range(0, max_hop + 1, dilation))
  a_kvw = {}
  for w in range(num_joints):
    seen = [v for v, d in distance[w].items() if d in hops]
    for v in seen:
      hop = distance[w][v]
      if strategy == 'uniform':
        key = 0
      elif strategy == 'distance':
        key = hops.index(hop)
      elif hop == 0:
        key = 0
      else:
        key = 2 * hops.index(hop) - (to_center[v] >= to_center[w])
      a_kvw[key, v, w] = 1 / len(seen)
  num_subsets = {
    'uniform': 1,
    'distance': len(hops),
    'stgcn_spatial': 2 * len(hops) - 1,
  }[strategy]
  a = np.zeros((num_subsets, num_joints, num_joints), np.float32)
  for index, value in a_kvw.items():
    a[index] = value
  return a


@pytest.mark.parametrize('strategy', ['uniform', 'distance', 'stgcn_spatial'])
def test_strategies_of_0x_are_equal(strategy, oracle_seed):
  rng = np.random.RandomState(oracle_seed % 2**32)
  drawn = [draw_layout(rng, is_tree=i % 2 == 0) for i in range(NUM_DRAWN)]
  layouts = [(layout, name) for name, layout in skeletons.LAYOUTS.items()]
  for layout, description in layouts + drawn:
    max_hop = int(rng.randint(1, 6))
    dilation = int(rng.randint(1, max_hop + 1))
    ours = graph.Graph(layout, strategy, max_hop, '0x', dilation)
    expected = strategy_0x(
      layout, layout.graph_edges('0x'), strategy, max_hop, dilation
    )
    assert ours.num_subsets == len(expected)
    np.testing.assert_allclose(
      ours.adjacency(),
      expected,
      rtol=1e-6,
      err_msg=f'seed {oracle_seed}, max_hop {max_hop}, dilation {dilation}, '
      f'{description}',
    )


@pytest.mark.parametrize('name', skeletons.LAYOUTS)
def test_spatial_of_0x_is_stgcn_spatial_of_1x(name):
  """The two published modes are the same, and strategy_0x agrees with them."""
  layout = skeletons.LAYOUTS[name]
  oracle = published.Graph(
    dict(
      num_node=layout.num_joints,
      inward=list(layout.edges),
      center=layout.center,
    ),
    'stgcn_spatial',
    2,
  )
  expected = strategy_0x(layout, layout.edges, 'stgcn_spatial', 2, 1)
  np.testing.assert_allclose(oracle.A, expected, rtol=1e-6)
