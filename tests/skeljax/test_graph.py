"""Adjacency matrices against the check values of the published code."""

import numpy as np
import pytest

from skeljax import errors
from skeljax import graph
from skeljax import skeletons

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


def test_graph_is_hashable_and_compares_by_value():
  one = graph.Graph(LAYOUTS['coco'], 'stgcn_spatial')
  two = graph.Graph(
    skeletons.Layout.from_dict(LAYOUTS['coco'].to_dict()), 'stgcn_spatial'
  )
  assert one == two and hash(one) == hash(two)


@pytest.mark.parametrize(
  'options, words',
  [
    ({'mode': 'spatail'}, 'must be one of spatial, stgcn_spatial'),
    ({'mode': 'stgcn_spatial', 'max_hop': 0}, 'must be at least 1'),
    ({'mode': 'spatial', 'max_hop': 2}, 'knows direct neighbours only'),
    ({'edges': '3x'}, "must be '1x' or '0x'"),
  ],
)
def test_wrong_options_are_explained(options, words):
  with pytest.raises(errors.UserError, match=words):
    graph.Graph(LAYOUTS['coco'], **options)
