"""Bones and motions by hand and by their symmetries."""

import jax
import numpy as np
import pytest

from skeljax import skeletons
from skeljax.inputs import streams

COCO = skeletons.LAYOUTS['coco']


def random_joints(shape, seed=0):
  return np.random.RandomState(seed).randn(*shape).astype(np.float32)


def test_take_joints_is_indexing():
  x = random_joints((2, 5, 3))
  for index in ((0, 1, 2, 3, 4), (4, 3, 3, 0, 1), (2,), (1, 2, 1, 2)):
    np.testing.assert_array_equal(
      streams.take_joints(x, index), x[:, list(index)]
    )


def test_bones_by_hand():
  # Joint 1 hangs from the root 0, joint 2 from 1; the last channel is a score.
  x = np.array([[1, 2, 0.5], [4, 6, 1.0], [4, 7, 0.25]], np.float32)
  expected = [[0, 0, 0.5], [3, 4, 0.75], [0, 1, 0.625]]
  got = streams.bone(x, (0, 0, 1), has_score=True)
  np.testing.assert_array_equal(got, np.array(expected, np.float32))


def test_third_channel_is_a_coordinate_without_scores():
  x = np.array([[1, 2, 0.5], [4, 6, 1.0]], np.float32)
  got = streams.bone(x, (0, 0), has_score=False)
  np.testing.assert_array_equal(got[1], np.array([3, 4, 0.5], np.float32))


def test_motion_by_hand():
  x = np.array([[[1, 2, 0.5]], [[4, 6, 1.0]]], np.float32)
  x_next = np.array([[[4, 6, 1.0]], [[4, 6, 1.0]]], np.float32)
  is_last = np.array([[[False]], [[True]]])
  got = streams.motion(x, x_next, is_last, has_score=True)
  expected = [[[3, 4, 0.75]], [[0, 0, 0]]]
  np.testing.assert_array_equal(got, np.array(expected, np.float32))


@pytest.mark.parametrize('name', skeletons.LAYOUTS)
def test_bone_of_root_is_zero_and_bones_add_up_to_the_joint(name):
  layout = skeletons.LAYOUTS[name]
  x = random_joints((layout.num_joints, 3))
  bones = np.asarray(streams.bone(x, layout.parents, has_score=False))
  for joint in range(layout.num_joints):
    total, v = np.zeros(3, np.float32), joint
    while layout.parents[v] != v:
      total, v = total + bones[v], layout.parents[v]
    assert not bones[v].any()
    np.testing.assert_allclose(total, x[joint] - x[v], atol=1e-5)


def test_bones_commute_with_a_permutation_of_the_joints():
  order = np.random.RandomState(1).permutation(17)
  place = np.argsort(order)
  parents = tuple(int(place[COCO.parents[v]]) for v in order)
  x = random_joints((4, 17, 3))
  np.testing.assert_array_equal(
    streams.bone(x[:, order], parents, has_score=True),
    np.asarray(streams.bone(x, COCO.parents, has_score=True))[:, order],
  )


def test_streams_compile_without_a_gather():
  text = (
    jax.jit(lambda x: streams.bone(x, COCO.parents, has_score=True))
    .lower(random_joints((4, 17, 3)))
    .as_text()
  )
  assert 'gather' not in text
