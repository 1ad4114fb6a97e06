"""Finding the layout and graph of an adjacency."""

import numpy as np
import pytest

from skeljax import errors
from skeljax import skeletons
from skeljax.convert import known_graphs
from skeljax.convert import torch_file
from skeljax.skeletons import graph as graph_lib

MODES = [
  (mode, hop, dilation)
  for mode in graph_lib.MODES
  for hop in ((1, 2, 3) if mode in graph_lib.HOP_MODES else (1,))
  for dilation in range(1, hop + 1)
]


def find(adjacency, **kwargs):
  """Return the graph and the notes."""
  usual = dict(
    num_joints=None if adjacency is None else adjacency.shape[-1],
    is_fixed=True,
    prefer_0x=False,
    layout=None,
    file=torch_file.TorchFile('f.pth', {}),
  )
  graph = known_graphs.find(adjacency, **usual | kwargs)
  return graph, usual['file'].notes


@pytest.mark.parametrize('layout', skeletons.LAYOUTS)
@pytest.mark.parametrize('edges', ['1x', '0x'])
def test_every_known_graph_is_found(layout, edges):
  for mode, hop, dilation in MODES:
    graph = graph_lib.Graph(
      skeletons.get_layout(layout), mode, hop, edges, dilation
    )
    found, notes = find(graph.adjacency(), prefer_0x=edges == '0x')
    assert found.layout == graph.layout
    np.testing.assert_array_equal(found.adjacency(), graph.adjacency())
    assert not notes


def test_of_equal_graphs_the_likelier_is_found():
  layout = skeletons.get_layout('coco')
  for mode in ('spatial', 'stgcn_spatial', 'uniform'):
    found, _ = find(graph_lib.Graph(layout, mode).adjacency())
    assert (found.mode, found.max_hop, found.dilation) == (mode, 1, 1)
  # Both code bases have these edges.
  hands = skeletons.get_layout('handmp')
  adjacency = graph_lib.Graph(hands, 'spatial').adjacency()
  assert find(adjacency)[0].edges == '1x'
  assert find(adjacency, prefer_0x=True)[0].edges == '0x'


def test_rounded_graphs_are_found():
  graph = graph_lib.Graph(skeletons.get_layout('coco'), 'stgcn_spatial')
  found, notes = find(graph.adjacency().astype(np.float16).astype(np.float32))
  # 1/3 has an error of 8e-5 in half precision.
  assert found == graph
  assert notes


def test_an_unknown_graph_is_kept_with_a_note():
  adjacency = np.random.default_rng(0).random((3, 17, 17), np.float32)
  found, notes = find(adjacency)
  assert found.layout.name == 'coco'
  assert 'no known graph of' in notes[0]


@pytest.mark.parametrize('layout', skeletons.LAYOUTS)
@pytest.mark.parametrize('mode', ['spatial', 'stgcn_spatial'])
def test_a_learned_graph_is_recognized_by_its_origin(layout, mode):
  graph = graph_lib.Graph(skeletons.get_layout(layout), mode)
  noise = np.random.default_rng(0).normal(size=graph.adjacency().shape)
  found, notes = find(0.6 * graph.adjacency() + 0.05 * noise, is_fixed=False)
  assert found == graph
  assert not notes
  found, notes = find(noise, is_fixed=False)
  # The likeliest of as many joints.
  layouts = skeletons.LAYOUTS.values()
  joints = graph.layout.num_joints
  assert found.layout == next(k for k in layouts if k.num_joints == joints)
  assert 'resembles no known graph' in notes[0]
  assert find(0 * noise, is_fixed=False)[1]


def test_without_a_graph_it_is_that_of_the_authors():
  found, notes = find(None, num_joints=25, prefer_0x=True)
  assert found == graph_lib.Graph(
    skeletons.get_layout('nturgb+d'), 'spatial', edges='0x'
  )
  assert "layout 'nturgb+d'" in notes[0]


def test_an_unknown_number_of_joints_lists_the_known_layouts():
  with pytest.raises(errors.UserError) as error:
    find(np.zeros((3, 11, 11)))
  text = str(error.value)
  assert 'f.pth has 11 joints' in text
  for layout in skeletons.LAYOUTS.values():
    assert f'{layout.name} ({layout.num_joints})' in text
  assert '--layout=FILE.json' in text


def test_a_given_layout_takes_precedence_and_must_fit():
  own = skeletons.Layout(
    name='own',
    joints=tuple(f'j{i}' for i in range(17)),
    bones=tuple((i, i - 1) for i in range(1, 17)),
    edges=tuple((i, i - 1) for i in range(1, 17)),
    center=0,
  )
  adjacency = graph_lib.Graph(own, 'spatial').adjacency()
  found, notes = find(adjacency, layout=own)
  assert (found.layout, found.mode, notes) == (own, 'spatial', [])
  with pytest.raises(errors.UserError, match=r'own \(17\)'):
    find(np.zeros((3, 25, 25)), layout=own)


def test_an_unknown_number_of_matrices_is_an_error():
  with pytest.raises(errors.UserError, match='11 adjacency matrices'):
    find(np.zeros((11, 17, 17)))


def test_an_adjacency_of_another_size_is_an_error():
  with pytest.raises(errors.UserError, match=r'\[3, 17, 18\]'):
    find(np.zeros((3, 17, 18)), num_joints=17)
