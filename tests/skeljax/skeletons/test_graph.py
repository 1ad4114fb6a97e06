"""Adjacency matrices against the check values of the published code."""

import jax
import numpy as np
import pytest

from skeljax import errors
from skeljax import models
from skeljax import skeletons
from skeljax.skeletons import graph

LAYOUTS = skeletons.LAYOUTS


@pytest.mark.parametrize(
  'name, edges, sums, nonzeros',
  [
    ('coco', '1x', (6.36667, 7.13333, 3.5), (17, 22, 10)),
    ('nturgb+d', '1x', (9.11667, 13.13333, 2.75), (25, 40, 8)),
    ('openpose-18', '1x', (6.66667, 8.58333, 2.75), (18, 25, 9)),
    ('coco', '0x', (5.73333, 10.1, 1.16667), (17, 34, 4)),
    ('nturgb+d', '0x', (8.95, 13.3, 2.75), (25, 40, 8)),
  ],
)
def test_stgcn_spatial_has_the_published_sums(name, edges, sums, nonzeros):
  a = graph.Graph(LAYOUTS[name], 'stgcn_spatial', edges=edges).adjacency()
  np.testing.assert_allclose(a.sum((1, 2)), sums, atol=1e-5)
  assert tuple((a != 0).sum((1, 2))) == nonzeros


@pytest.mark.parametrize(
  'name, edges, sums',
  [
    ('coco', '1x', (17, 16, 11)),
    ('nturgb+d', '1x', (25, 24, 18)),
    ('openpose-18', '1x', (18, 17, 12)),
    ('nturgb+d', '0x', (25, 24, 20)),
  ],
)
def test_spatial_has_the_published_sums(name, edges, sums):
  a = graph.Graph(LAYOUTS[name], 'spatial', edges=edges).adjacency()
  np.testing.assert_allclose(a.sum((1, 2)), sums, rtol=1e-6)


@pytest.mark.parametrize(
  'name, entries',
  [
    (
      'nturgb+d',
      {
        (1, 0): 0.25,
        (2, 3): 0.5,
        (4, 5): 1 / 3,
        (8, 9): 1 / 3,
        (20, 1): 1 / 3,
        (20, 2): 1 / 3,
        (20, 4): 1 / 3,
        (20, 8): 1 / 3,
      },
    ),
    (
      'coco',
      {
        (0, 1): 1 / 3,
        (0, 2): 1 / 3,
        (0, 5): 0.25,
        (0, 6): 0.25,
        (1, 3): 0.5,
        (2, 4): 0.5,
        (5, 7): 1 / 3,
        (5, 11): 1 / 3,
        (6, 8): 1 / 3,
        (6, 12): 1 / 3,
      },
    ),
  ],
)
def test_further_subset_has_the_published_entries(name, entries):
  """The truncation of distances at max_hop decides which entries these are."""
  a = graph.Graph(LAYOUTS[name], 'stgcn_spatial').adjacency()[2]
  expected = np.zeros_like(a)
  for (row, column), value in entries.items():
    expected[row, column] = value
  np.testing.assert_allclose(a, expected, rtol=1e-6)


def test_two_hops_have_the_published_sums():
  g = graph.Graph(LAYOUTS['nturgb+d'], 'stgcn_spatial', max_hop=2)
  assert g.num_subsets == 5
  np.testing.assert_allclose(
    g.adjacency().sum((1, 2)),
    (5.198, 7.0409, 2.1202, 8.298, 2.3429),
    atol=5e-5,
  )


@pytest.mark.parametrize('name', LAYOUTS)
@pytest.mark.parametrize('max_hop', [1, 2, 4])
def test_subsets_of_stgcn_spatial_partition_one_normalised_matrix(
  name, max_hop
):
  g = graph.Graph(LAYOUTS[name], 'stgcn_spatial', max_hop)
  a = g.adjacency()
  num_joints = g.layout.num_joints
  assert a.shape == (2 * max_hop + 1, num_joints, num_joints)
  assert a.dtype == np.float32
  assert ((a != 0).sum(0) <= 1).all()
  np.testing.assert_allclose(a.sum((0, 1)), 1, rtol=1e-6)


def test_spatial_gathers_from_parent_and_from_mean_of_children():
  g = graph.Graph(LAYOUTS['coco'])
  x = np.random.RandomState(0).randn(17).astype(np.float32)
  own, from_parent, from_children = np.einsum('v,kvw->kw', x, g.adjacency())
  np.testing.assert_array_equal(own, x)
  assert from_parent[7] == x[5] and from_parent[0] == 0
  np.testing.assert_allclose(
    from_children[0], x[[1, 2, 5, 6]].mean(), rtol=1e-6
  )


# A path 0 - 1 - 2 - 3 - 4 with its centre at joint 1.
PATH = skeletons.Layout(
  name='path',
  joints=('a', 'b', 'c', 'd', 'e'),
  bones=((0, 1), (2, 1), (3, 2), (4, 3)),
  edges=((0, 1), (2, 1), (3, 2), (4, 3)),
  center=1,
)


def test_binary_marks_every_edge_in_both_directions():
  a = graph.Graph(PATH, 'binary').adjacency()
  expected = [
    [0, 1, 0, 0, 0],
    [1, 0, 1, 0, 0],
    [0, 1, 0, 1, 0],
    [0, 0, 1, 0, 1],
    [0, 0, 0, 1, 0],
  ]
  np.testing.assert_array_equal(a, [expected])


def test_uniform_is_the_mean_over_a_joint_and_its_neighbours():
  (a,) = graph.Graph(PATH, 'uniform').adjacency()
  x = np.array([1, 10, 100, 1000, 10000], np.float32)
  means = [11 / 2, 111 / 3, 1110 / 3, 11100 / 3, 11000 / 2]
  np.testing.assert_allclose(x @ a, means, rtol=1e-6)


def test_distance_has_a_matrix_for_each_hop():
  a = graph.Graph(PATH, 'distance', max_hop=2).adjacency()
  # Joint 2 sees all five within two hops, joint 0 sees 0, 1 and 2.
  np.testing.assert_allclose(a[:, :, 2].sum(1), [1 / 5, 2 / 5, 2 / 5])
  np.testing.assert_allclose(
    a[:, :, 0], [[1 / 3, 0, 0, 0, 0], [0, 1 / 3, 0, 0, 0], [0, 0, 1 / 3, 0, 0]]
  )


def test_dilation_leaves_out_the_hops_between():
  a = graph.Graph(PATH, 'distance', max_hop=2, dilation=2).adjacency()
  # Joint 0 sees 0 and 2; joint 1 sees 1 and 3; joint 2 sees 0, 2 and 4.
  own = np.diag([1 / 2, 1 / 2, 1 / 3, 1 / 2, 1 / 2])
  far = np.zeros((5, 5))
  far[2, 0] = far[3, 1] = far[1, 3] = far[2, 4] = 1 / 2
  far[0, 2] = far[4, 2] = 1 / 3
  np.testing.assert_allclose(a, [own, far], rtol=1e-6)
  (uniform,) = graph.Graph(PATH, 'uniform', max_hop=2, dilation=2).adjacency()
  np.testing.assert_allclose(uniform, own + far, rtol=1e-6)
  close = np.zeros((5, 5))
  # Distances to the centre: 1, 0, 1, 2 and, beyond max_hop, infinite. 0 and 2
  # are equally far, which counts as close.
  close[2, 0] = close[3, 1] = close[4, 2] = 1
  close[0, 2] = 1
  a = graph.Graph(PATH, 'stgcn_spatial', max_hop=2, dilation=2).adjacency()
  np.testing.assert_allclose(
    a, [own, far * close, far * (1 - close)], rtol=1e-6
  )


@pytest.mark.parametrize('name', LAYOUTS)
@pytest.mark.parametrize(
  'mode, max_hop, dilation, num_subsets',
  [
    ('spatial', 1, 1, 3),
    ('binary', 1, 1, 1),
    ('uniform', 1, 1, 1),
    ('uniform', 3, 2, 1),
    ('distance', 1, 1, 2),
    ('distance', 3, 1, 4),
    ('distance', 5, 2, 3),
    ('stgcn_spatial', 3, 1, 7),
    ('stgcn_spatial', 5, 2, 5),
    ('stgcn_spatial', 4, 4, 3),
  ],
)
def test_number_of_subsets(name, mode, max_hop, dilation, num_subsets):
  g = graph.Graph(LAYOUTS[name], mode, max_hop, dilation=dilation)
  a = g.adjacency()
  assert g.num_subsets == num_subsets
  assert a.shape == (num_subsets, g.layout.num_joints, g.layout.num_joints)
  assert a.dtype == np.float32
  if mode in ('uniform', 'distance', 'stgcn_spatial'):
    np.testing.assert_allclose(a.sum((0, 1)), 1, rtol=1e-6)


@pytest.mark.parametrize('name', LAYOUTS)
@pytest.mark.parametrize('max_hop, dilation', [(1, 1), (3, 1), (4, 2)])
def test_finer_modes_add_up_to_coarser_ones(name, max_hop, dilation):
  def adjacency(mode):
    g = graph.Graph(LAYOUTS[name], mode, max_hop, dilation=dilation)
    return g.adjacency()

  finest, finer = adjacency('stgcn_spatial'), adjacency('distance')
  merged = [finest[0], *(finest[1::2] + finest[2::2])]
  np.testing.assert_array_equal(merged, finer)
  np.testing.assert_array_equal(finer.sum(0), adjacency('uniform')[0])


def test_graph_is_hashable_and_compares_by_value():
  one = graph.Graph(LAYOUTS['coco'], 'stgcn_spatial')
  two = graph.Graph(
    skeletons.Layout.from_dict(LAYOUTS['coco'].to_dict()), 'stgcn_spatial'
  )
  assert one == two and hash(one) == hash(two)


@pytest.mark.parametrize(
  'options, words',
  [
    ({'mode': 'spatail'}, 'must be one of spatial, stgcn_spatial, unif'),
    ({'mode': 'stgcn_spatial', 'max_hop': 0}, 'must be at least 1'),
    ({'mode': 'spatial', 'max_hop': 2}, 'uses direct neighbours only'),
    ({'mode': 'binary', 'max_hop': 2}, 'uses direct neighbours only'),
    ({'mode': 'spatial', 'dilation': 2}, 'dilation is 2, but mode'),
    ({'mode': 'distance', 'dilation': 0}, 'dilation is 0; it must be at'),
    ({'mode': 'uniform', 'dilation': 2}, 'would have a neighbour'),
    ({'edges': '3x'}, "must be '1x' or '0x'"),
  ],
)
def test_errors_of_options(options, words):
  with pytest.raises(errors.UserError, match=words):
    graph.Graph(LAYOUTS['coco'], **options)


@pytest.mark.parametrize(
  'mode, max_hop', [('binary', 1), ('uniform', 1), ('distance', 3)]
)
@pytest.mark.parametrize(
  'name, options',
  [
    ('stgcn', {'adaptive': 'importance'}),
    ('agcn', {'variant': 'tanh'}),
    ('agcn', {'variant': 'softmax_0x'}),
  ],
)
def test_networks_take_any_number_of_subsets(name, options, mode, max_hop):
  g = graph.Graph(PATH, mode, max_hop)
  model = models.build_model(
    name, graph=g, num_classes=3, base_channels=8, **options
  )
  x = jax.ShapeDtypeStruct((2, 1, 8, 5, 3), np.float32)
  logits, variables = jax.eval_shape(
    lambda x: model.init_with_output(jax.random.key(0), x, train=False), x
  )
  assert logits.shape == (2, 3)
  shapes = {leaf.shape for leaf in jax.tree.leaves(variables) if leaf.ndim == 3}
  assert (g.num_subsets, 5, 5) in shapes
