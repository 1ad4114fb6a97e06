"""The published layouts, and errors of layout files."""

import json
import pickle

import pytest

from skeljax import errors
from skeljax import skeletons

# Lists of mmaction2 and pyskl, 0-based (joint, parent), roots paired with
# themselves.
NTU_BONES = (
  '0-1 1-20 2-20 3-2 4-20 5-4 6-5 7-6 8-20 9-8 10-9 11-10 12-0 13-12 14-13 '
  '15-14 16-0 17-16 18-17 19-18 20-20 21-22 22-7 23-24 24-11'
)
COCO_BONES = (
  '0-0 1-0 2-0 3-1 4-2 5-0 6-0 7-5 8-6 9-7 10-8 11-0 12-0 13-11 14-12 15-13 '
  '16-14'
)
OPENPOSE_BONES = (
  '0-0 1-0 2-1 3-2 4-3 5-1 6-5 7-6 8-2 9-8 10-9 11-5 12-11 13-12 14-0 15-0 '
  '16-14 17-15'
)


def toy_layout(**changes):
  """Return the content of a small, valid layout file with changes."""
  content = {
    'name': 'toy',
    'joints': ['root', 'left', 'right', 'top'],
    'bones': [['left', 'root'], ['right', 'root'], ['top', 0]],
    'center': 'root',
    'left_right': [['left', 'right']],
    'limbs': [['root', 'left'], ['root', 'right'], ['root', 'top']],
  }
  content.update(changes)
  return {k: v for k, v in content.items() if v != 'absent'}


@pytest.mark.parametrize(
  'name, num_joints, num_edges, num_edges_0x, center',
  [
    ('nturgb+d', 25, 24, 24, 20),
    ('coco', 17, 16, 19, 0),
    ('openpose-18', 18, 17, 17, 1),
    ('handmp', 21, 20, 20, 0),
    ('ucla', 20, 19, 19, 2),
    ('openpose-25', 25, 24, 24, 1),
    ('mediapipe', 33, 32, 32, 0),
  ],
)
def test_sizes_of_the_published_layouts(
  name, num_joints, num_edges, num_edges_0x, center
):
  layout = skeletons.get_layout(name)
  assert layout.num_joints == num_joints
  assert len(layout.graph_edges('1x')) == num_edges
  assert len(layout.graph_edges('0x')) == num_edges_0x
  assert layout.center == center


@pytest.mark.parametrize(
  'name, bones',
  [
    ('nturgb+d', NTU_BONES),
    ('coco', COCO_BONES),
    ('openpose-18', OPENPOSE_BONES),
  ],
)
def test_parents_are_the_published_bone_pairs(name, bones):
  parents = skeletons.LAYOUTS[name].parents
  assert ' '.join(f'{v}-{p}' for v, p in enumerate(parents)) == bones


def test_ntu_hand_edges_differ_between_versions_and_from_bones():
  layout = skeletons.LAYOUTS['nturgb+d']
  only_1x = set(layout.graph_edges('1x')) - set(layout.graph_edges('0x'))
  assert only_1x == {(21, 7), (23, 11)}
  only_0x = set(layout.graph_edges('0x')) - set(layout.graph_edges('1x'))
  assert only_0x == {(21, 22), (23, 24)}
  assert layout.parents[21] == 22 and layout.parents[23] == 24


def test_joints_of_3d_normalization():
  layout = skeletons.LAYOUTS['nturgb+d']
  assert (layout.origin, layout.spine, layout.shoulders) == (1, (0, 1), (8, 4))
  assert skeletons.LAYOUTS['ucla'].shoulders == (8, 4)
  assert skeletons.LAYOUTS['coco'].spine is None


def test_coco_flip_exchanges_the_published_channels():
  layout = skeletons.LAYOUTS['coco']
  # PoseC3D configs: left limbs 0 2 3 6 7 8 12 14, right 1 4 5 9 10 11 13 15.
  flip = dict(enumerate(layout.limb_flip_index))
  for left, right in zip(
    (0, 2, 3, 6, 7, 8, 12, 14), (1, 4, 5, 9, 10, 11, 13, 15)
  ):
    assert flip[left] == right and flip[right] == left
  assert flip[16] == 16
  assert layout.flip_index[:3] == (0, 2, 1)


@pytest.mark.parametrize('name', skeletons.LAYOUTS)
def test_flip_is_its_own_inverse_and_respects_names(name):
  layout = skeletons.LAYOUTS[name]
  assert all(
    layout.flip_index[layout.flip_index[v]] == v for v in layout.flip_index
  )
  for v, twin in enumerate(layout.flip_index):
    swapped = layout.joints[v]
    if swapped.startswith('left'):
      swapped = 'right' + swapped[4:]
    elif swapped.startswith('right'):
      swapped = 'left' + swapped[5:]
    assert layout.joints[twin] == swapped


def test_joints_of_openpose_25():
  layout = skeletons.LAYOUTS['openpose-25']
  names = 'nose, neck, right shoulder, left shoulder, middle of hips, left heel'
  index = [layout.joints.index(name) for name in names.split(', ')]
  assert index == [0, 1, 2, 5, 8, 21]
  # mmaction2 0.x, as (child, parent).
  assert set(layout.edges) == {
    *((4, 3), (3, 2), (7, 6), (6, 5), (23, 22), (22, 11), (24, 11), (11, 10)),
    *((10, 9), (9, 8), (20, 19), (19, 14), (21, 14), (14, 13), (13, 12)),
    *((12, 8), (8, 1), (5, 1), (2, 1), (0, 1), (15, 0), (16, 0), (17, 15)),
    (18, 16),
  }


def test_joints_of_mediapipe():
  joints = skeletons.LAYOUTS['mediapipe'].joints
  # The indices of its guide.
  for name, number in {
    'left eye inner': 1,
    'right ear': 8,
    'right mouth': 10,
    'left shoulder': 11,
    'right wrist': 16,
    'left thumb': 21,
    'left hip': 23,
    'right foot index': 32,
  }.items():
    assert joints[number] == name


@pytest.mark.parametrize('name', skeletons.LAYOUTS)
def test_the_graph_reaches_every_joint_from_the_center(name):
  layout = skeletons.LAYOUTS[name]
  reached = {layout.center}
  for _ in layout.joints:
    for a, b in layout.edges:
      if {a, b} & reached:
        reached |= {a, b}
  assert len(reached) == layout.num_joints


@pytest.mark.parametrize('name', skeletons.LAYOUTS)
def test_every_left_or_right_joint_has_a_counterpart(name):
  layout = skeletons.LAYOUTS[name]
  for v, joint in enumerate(layout.joints):
    has_side = joint.startswith(('left', 'right'))
    assert has_side == (layout.flip_index[v] != v)


@pytest.mark.parametrize('name', skeletons.LAYOUTS)
def test_round_trip_through_json_and_pickle(name):
  layout = skeletons.LAYOUTS[name]
  content = json.loads(json.dumps(layout.to_dict()))
  assert skeletons.Layout.from_dict(content) == layout
  assert pickle.loads(pickle.dumps(layout)) == layout
  assert hash(pickle.loads(pickle.dumps(layout))) == hash(layout)


def test_layout_file_by_names_and_indices(tmp_path):
  path = tmp_path / 'toy.json'
  path.write_text(json.dumps(toy_layout(spine=['root', 3])))
  layout = skeletons.get_layout(str(path))
  assert layout.bones == ((1, 0), (2, 0), (3, 0))
  assert layout.edges == layout.bones
  assert layout.graph_edges('0x') == layout.edges
  assert layout.flip_index == (0, 2, 1, 3)
  assert layout.limb_flip_index == (1, 0, 2)
  assert layout.spine == (0, 3) and layout.origin is None


@pytest.mark.parametrize(
  'changes, words',
  [
    ({'bnoes': []}, "unknown key 'bnoes'; the keys are name, joints, bones"),
    ({'center': 'absent'}, "the key 'center' is missing"),
    ({'center': None}, "'center' must be a joint"),
    ({'name': ' '}, "'name' must be a non-empty string"),
    ({'joints': 'root'}, "'joints' must be a list of joint names"),
    ({'joints': []}, "'joints' is empty"),
    (
      {'joints': ['root', 'left', 'left', 'top']},
      "the joint name 'left' occurs twice",
    ),
    ({'joints': ['root', 3]}, 'joints[1] must be a name, not 3'),
    (
      {'center': 4},
      'center is joint 4, but the 4 joints have the indices 0 to 3',
    ),
    ({'center': True}, 'center must be a joint name or index, not True'),
    (
      {'bones': [['lefd', 'root']]},
      "bones[0] names 'lefd', which is not in 'joints' (did you mean 'left'?)",
    ),
    ({'bones': [[1, 0, 2]]}, 'bones[0] must be a pair of joints'),
    ({'bones': {'left': 'root'}}, "'bones' must be a list of pairs"),
    (
      {'bones': [[1, 0], [1, 3]]},
      "the joint 'left' has two bones",
    ),
    (
      {'bones': [[0, 1], [1, 2], [2, 0]]},
      "'bones' form a cycle: root -> left -> right -> root",
    ),
    ({'bones': []}, "'edges' is empty"),
    ({'edges': [[0, 1], [1, 0]]}, "'edges' joins 'left' and 'root' twice"),
    ({'edges': [[1, 1]]}, "edges[0] pairs 'left' with itself"),
    (
      {'left_right': [[1, 2], [3, 2]]},
      "the joint 'right' is twice in 'left_right'",
    ),
    (
      {'limbs': [[0, 1]]},
      "'limbs' has 'root' to 'left' but not its flipped limb 'root' to 'right'",
    ),
    ({'shoulders': [1, 1]}, "'shoulders' names 'left' twice"),
  ],
)
def test_errors_of_a_layout_file(tmp_path, changes, words):
  path = tmp_path / 'toy.json'
  path.write_text(json.dumps(toy_layout(**changes)))
  with pytest.raises(errors.UserError) as caught:
    skeletons.get_layout(str(path))
  assert words in str(caught.value)
  assert str(path) in str(caught.value)


@pytest.mark.parametrize(
  'text, words',
  [
    ('{"name": ', 'is not valid JSON'),
    ('{"name": "a", "name": "b"}', "the key 'name' occurs twice"),
    ('[1, 2]', 'an object with the keys'),
  ],
)
def test_errors_of_json(tmp_path, text, words):
  path = tmp_path / 'broken.json'
  path.write_text(text)
  with pytest.raises(errors.UserError, match=words):
    skeletons.get_layout(str(path))


def test_errors_of_a_missing_file_and_an_unknown_name(tmp_path):
  with pytest.raises(errors.UserError, match='cannot be read: No such file'):
    skeletons.get_layout(str(tmp_path / 'none.json'))
  with pytest.raises(errors.UserError) as caught:
    skeletons.get_layout('ntu-rgb+d')
  assert 'nturgb+d, coco, openpose-18, handmp, ucla' in str(caught.value)
  assert "Did you mean 'nturgb+d'?" in str(caught.value)


def test_error_of_an_unknown_edge_list():
  with pytest.raises(errors.UserError, match="must be '1x' or '0x'"):
    skeletons.LAYOUTS['coco'].graph_edges('2x')
