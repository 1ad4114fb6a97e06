"""Skeleton layouts as data: joints, bones, graph edges, mirror pairs, limbs.

Everything that depends on which joints a data set has is written here; no
other module may name a joint count or a layout. A layout of one's own comes
from a small JSON file (see `Layout.from_dict` for its keys) and then travels
with the prepared data set and with every checkpoint.

Sources: the published layouts and edge lists of mmaction2 0.x and 1.x, the
hand layout of pyskl, and the 20 joints of Northwestern-UCLA.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import difflib
import functools
import json
import pathlib
import types
from typing import Any

from skeljax import errors

Pairs = tuple[tuple[int, int], ...]

_REQUIRED_KEYS = ('name', 'joints', 'bones', 'center')
_PAIR_LIST_KEYS = ('bones', 'edges', 'left_right', 'limbs', 'edges_0x')
_PAIR_KEYS = ('spine', 'shoulders')
_JOINT_KEYS = ('center', 'origin')
_ALL_KEYS = (
  'name',
  'joints',
  *_PAIR_LIST_KEYS,
  *_PAIR_KEYS,
  *_JOINT_KEYS,
)


@dataclasses.dataclass(frozen=True)
class Layout:
  """One way of placing joints on a body; hashable, so usable under jit.

  Attributes:
    name: what the user types after --layout.
    joints: one name a joint, in the order of the keypoint arrays.
    bones: (joint, parent) pairs, at most one a joint; a joint without a pair,
      or paired with itself, is a root, whose bone is zero.
    edges: (child, parent) pairs of the graph, the parent nearer to the centre.
      Not the bones: in the published layouts the two differ.
    center: joint from which the distances of mode 'stgcn_spatial' are counted.
    left_right: (left, right) joints that change places in a mirror.
    limbs: joint pairs that limb heatmaps draw.
    origin: joint that 3D normalisation moves to the origin.
    spine: (lower, upper) joints that 3D normalisation turns to +z.
    shoulders: (right, left) joints that 3D normalisation turns to +x.
    edges_0x: the edges in mmaction2 0.x where they differ; () when the same.

  Raises:
    UserError: the parts contradict each other.
  """

  name: str
  joints: tuple[str, ...]
  bones: Pairs
  edges: Pairs
  center: int
  left_right: Pairs = ()
  limbs: Pairs = ()
  origin: int | None = None
  spine: tuple[int, int] | None = None
  shoulders: tuple[int, int] | None = None
  edges_0x: Pairs = ()

  def __post_init__(self):
    _check_layout(self)

  @property
  def num_joints(self) -> int:
    return len(self.joints)

  @functools.cached_property
  def parents(self) -> tuple[int, ...]:
    """The parent of each joint; a root is its own parent."""
    parent = dict(self.bones)
    return tuple(parent.get(v, v) for v in range(self.num_joints))

  @functools.cached_property
  def mirror(self) -> tuple[int, ...]:
    """Index permutation of the joints that exchanges left and right."""
    other = {}
    for left, right in self.left_right:
      other[left], other[right] = right, left
    return tuple(other.get(v, v) for v in range(self.num_joints))

  @functools.cached_property
  def mirror_limbs(self) -> tuple[int, ...]:
    """Index permutation of the limbs that exchanges left and right."""
    index = {frozenset(limb): i for i, limb in enumerate(self.limbs)}
    return tuple(
      index[frozenset(self.mirror[v] for v in limb)] for limb in self.limbs
    )

  def graph_edges(self, version: str) -> Pairs:
    """The (child, parent) edges as published by mmaction2 '1x' or '0x'."""
    if version not in ('1x', '0x'):
      raise errors.UserError(
        f'The edge list {version!r} of layout {self.name!r} is not known: it '
        "must be '1x' or '0x' (the lists of mmaction2 1.x and 0.x)."
      )
    return self.edges_0x or self.edges if version == '0x' else self.edges

  def to_dict(self) -> dict[str, Any]:
    """The layout as a layout file holds it; `from_dict` reads it back."""

    def name_pairs(pairs):
      return [[self.joints[v] for v in pair] for pair in pairs]

    result = {'name': self.name, 'joints': list(self.joints)}
    for key in _PAIR_LIST_KEYS:
      if getattr(self, key) or key in ('bones', 'edges'):
        result[key] = name_pairs(getattr(self, key))
    for key in _PAIR_KEYS:
      if getattr(self, key) is not None:
        result[key] = [self.joints[v] for v in getattr(self, key)]
    for key in _JOINT_KEYS:
      if getattr(self, key) is not None:
        result[key] = self.joints[getattr(self, key)]
    return result

  @classmethod
  def from_dict(cls, d: Mapping[str, Any], source: str = 'layout') -> 'Layout':
    """The layout that a layout file describes.

    Args:
      d: keys 'name', 'joints' (names), 'bones' ([[joint, parent], ...]) and
        'center'; optionally 'edges' ([[child, parent], ...]; the bones when
        absent), 'edges_0x', 'left_right' ([[left, right], ...]), 'limbs'
        ([[a, b], ...]), 'origin', 'spine' ([lower, upper]) and 'shoulders'
        ([right, left]). A joint is written as its name or its 0-based index.
      source: where `d` came from, to be named in an error.

    Raises:
      UserError: a key is missing, unknown or of the wrong form, or the parts
        contradict each other.
    """
    if not isinstance(d, Mapping):
      _fail(source, 'an object with the keys of a layout file is expected')
    unknown = sorted(set(d) - set(_ALL_KEYS))
    if unknown:
      _fail(
        source,
        f'unknown key {unknown[0]!r}; the keys are {", ".join(_ALL_KEYS)}',
      )
    for key in _REQUIRED_KEYS:
      if key not in d:
        _fail(source, f'the key {key!r} is missing')
    if not isinstance(d['name'], str):
      _fail(source, f"'name' must be a string, not {d['name']!r}")
    if not _is_list(d['joints']):
      _fail(source, "'joints' must be a list of joint names")

    joints = tuple(d['joints'])
    fields: dict[str, Any] = {'name': d['name'], 'joints': joints}
    # The names are checked first: the other keys refer to them.
    _check_joint_names(joints, source)
    for key in _PAIR_LIST_KEYS:
      if key in d:
        if not _is_list(d[key]):
          _fail(source, f'{key!r} must be a list of pairs of joints')
        fields[key] = tuple(
          _parse_pair(pair, joints, f'{key}[{i}]', source)
          for i, pair in enumerate(d[key])
        )
    for key in _PAIR_KEYS:
      if d.get(key) is not None:
        fields[key] = _parse_pair(d[key], joints, key, source)
    for key in _JOINT_KEYS:
      if d.get(key) is not None or key == 'center':
        fields[key] = _parse_joint(d[key], joints, key, source)
    fields.setdefault(
      'edges', tuple(b for b in fields['bones'] if b[0] != b[1])
    )
    try:
      return cls(**fields)
    except errors.UserError as error:
      raise errors.UserError(f'{source}: {error}') from None


def get_layout(name_or_json_path: str) -> Layout:
  """The layout of that name, or the one described in that JSON file.

  Raises:
    UserError: neither a known name nor a readable, valid layout file.
  """
  if name_or_json_path in LAYOUTS:
    return LAYOUTS[name_or_json_path]
  path = pathlib.Path(name_or_json_path)
  if path.suffix != '.json' and not path.is_file():
    near = difflib.get_close_matches(name_or_json_path, LAYOUTS, n=1)
    hint = f' Did you mean {near[0]!r}?' if near else ''
    raise errors.UserError(
      f'The layout {name_or_json_path!r} is not known: it must be one of '
      f'{", ".join(LAYOUTS)}, or the path of a JSON file that describes '
      f'your own joints.{hint}'
    )
  source = f'Layout file {path}'
  try:
    text = path.read_text(encoding='utf-8')
    content = json.loads(text, object_pairs_hook=_reject_repeated_keys)
  except OSError as error:
    raise errors.UserError(
      f'{source} cannot be read: {error.strerror}.'
    ) from None
  except ValueError as error:
    # json.JSONDecodeError and UnicodeDecodeError both say where.
    raise errors.UserError(f'{source} is not valid JSON: {error}.') from None
  return Layout.from_dict(content, source=source)


def _fail(source: str, mistake: str) -> None:
  raise errors.UserError(f'{source}: {mistake}.')


def _is_list(value: Any) -> bool:
  return isinstance(value, Sequence) and not isinstance(value, str)


def _reject_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
  content = dict(pairs)
  if len(content) < len(pairs):
    names = [key for key, _ in pairs]
    twice = next(key for key in names if names.count(key) > 1)
    raise ValueError(f'the key {twice!r} occurs twice')
  return content


def _parse_joint(
  value: Any, joints: tuple[str, ...], where: str, source: str
) -> int:
  """Index of a joint that was written as a name or as an index."""
  if isinstance(value, str):
    if value in joints:
      return joints.index(value)
    near = difflib.get_close_matches(value, joints, n=1)
    hint = f' (did you mean {near[0]!r}?)' if near else ''
    _fail(source, f"{where} names {value!r}, which is not in 'joints'{hint}")
  if isinstance(value, int) and not isinstance(value, bool):
    if 0 <= value < len(joints):
      return value
    _fail(
      source,
      f'{where} is joint {value}, but the {len(joints)} joints have the '
      f'indices 0 to {len(joints) - 1}',
    )
  _fail(source, f'{where} must be a joint name or index, not {value!r}')


def _parse_pair(
  value: Any, joints: tuple[str, ...], where: str, source: str
) -> tuple[int, int]:
  if not _is_list(value) or len(value) != 2:
    _fail(source, f'{where} must be a pair of joints, not {value!r}')
  first, second = (_parse_joint(v, joints, where, source) for v in value)
  return first, second


def _check_joint_names(joints: tuple[str, ...], source: str) -> None:
  if not joints:
    _fail(source, "'joints' is empty")
  for i, joint in enumerate(joints):
    if not isinstance(joint, str) or not joint:
      _fail(source, f'joints[{i}] must be a name, not {joint!r}')
    if joints.index(joint) < i:
      _fail(source, f'the joint name {joint!r} occurs twice')


def _check_layout(layout: Layout) -> None:
  """Raises UserError for the first contradiction in a layout."""
  source = f'Layout {layout.name!r}'
  if not isinstance(layout.name, str) or not layout.name.strip():
    _fail(source, "'name' is empty")
  _check_joint_names(layout.joints, source)
  for key in _JOINT_KEYS:
    if getattr(layout, key) is not None or key == 'center':
      _parse_joint(getattr(layout, key), layout.joints, key, source)
  for key in _PAIR_LIST_KEYS:
    for i, pair in enumerate(getattr(layout, key)):
      a, b = _parse_pair(pair, layout.joints, f'{key}[{i}]', source)
      if a == b and key != 'bones':
        _fail(source, f'{key}[{i}] pairs {layout.joints[a]!r} with itself')
  for key in _PAIR_KEYS:
    if getattr(layout, key) is not None:
      a, b = _parse_pair(getattr(layout, key), layout.joints, key, source)
      if a == b:
        _fail(source, f'{key} names {layout.joints[a]!r} twice')
  _check_bones(layout, source)
  for key in ('edges', 'edges_0x', 'limbs'):
    _check_no_repeated_pair(layout, key, source)
  if layout.num_joints > 1 and not layout.edges:
    _fail(source, "'edges' is empty, so no joint would see another one")
  _check_mirror(layout, source)


def _check_bones(layout: Layout, source: str) -> None:
  parent = {}
  for joint, other in layout.bones:
    if joint in parent:
      _fail(
        source,
        f'the joint {layout.joints[joint]!r} has two bones; '
        "'bones' holds one (joint, parent) pair a joint",
      )
    parent[joint] = other
  for start in parent:
    path, joint = [start], parent[start]
    while joint != path[-1] and joint in parent:
      if joint in path:
        names = ' -> '.join(layout.joints[v] for v in [*path, joint])
        _fail(source, f"'bones' form a cycle: {names}")
      path.append(joint)
      joint = parent[joint]


def _check_no_repeated_pair(layout: Layout, key: str, source: str) -> None:
  seen = set()
  for pair in getattr(layout, key):
    if frozenset(pair) in seen:
      a, b = (layout.joints[v] for v in pair)
      _fail(source, f'{key!r} joins {a!r} and {b!r} twice')
    seen.add(frozenset(pair))


def _check_mirror(layout: Layout, source: str) -> None:
  seen = set()
  for joint in (v for pair in layout.left_right for v in pair):
    if joint in seen:
      _fail(
        source, f"the joint {layout.joints[joint]!r} is twice in 'left_right'"
      )
    seen.add(joint)
  limbs = {frozenset(limb) for limb in layout.limbs}
  for limb in layout.limbs:
    twin = [layout.mirror[v] for v in limb]
    if frozenset(twin) not in limbs:
      a, b, c, d = (layout.joints[v] for v in (*limb, *twin))
      _fail(
        source,
        f"'limbs' has {a!r} to {b!r} but not its mirror image {c!r} to {d!r}",
      )


def _one_based(*pairs: tuple[int, int]) -> Pairs:
  return tuple((a - 1, b - 1) for a, b in pairs)


# The hand edges are where the two published lists of nturgb+d differ.
_NTU_BODY_EDGES = _one_based(
  *((1, 2), (2, 21), (3, 21), (4, 3)),
  *((5, 21), (6, 5), (7, 6), (8, 7), (9, 21), (10, 9), (11, 10), (12, 11)),
  *((13, 1), (14, 13), (15, 14), (16, 15)),
  *((17, 1), (18, 17), (19, 18), (20, 19)),
)
_NTU_HANDS_1X = _one_based((22, 8), (23, 8), (24, 12), (25, 12))
_NTU_HANDS_0X = _one_based((22, 23), (23, 8), (24, 25), (25, 12))

_NTURGBD = Layout(
  name='nturgb+d',
  joints=(
    *('base of spine', 'middle of spine', 'neck', 'head'),
    *('left shoulder', 'left elbow', 'left wrist', 'left hand'),
    *('right shoulder', 'right elbow', 'right wrist', 'right hand'),
    *('left hip', 'left knee', 'left ankle', 'left foot'),
    *('right hip', 'right knee', 'right ankle', 'right foot'),
    *('top of spine', 'left hand tip', 'left thumb'),
    *('right hand tip', 'right thumb'),
  ),
  # NOTE: the bones follow the 0.x hand edges even where the graph is 1.x.
  bones=_NTU_BODY_EDGES + _NTU_HANDS_0X,
  edges=_NTU_BODY_EDGES + _NTU_HANDS_1X,
  edges_0x=_NTU_BODY_EDGES + _NTU_HANDS_0X,
  center=20,
  left_right=(
    *((4, 8), (5, 9), (6, 10), (7, 11), (21, 23), (22, 24)),
    *((12, 16), (13, 17), (14, 18), (15, 19)),
  ),
  limbs=_NTU_BODY_EDGES + _NTU_HANDS_0X,
  origin=1,
  spine=(0, 1),
  shoulders=(8, 4),
)

_COCO = Layout(
  name='coco',
  joints=(
    *('nose', 'left eye', 'right eye', 'left ear', 'right ear'),
    *('left shoulder', 'right shoulder', 'left elbow', 'right elbow'),
    *('left wrist', 'right wrist', 'left hip', 'right hip'),
    *('left knee', 'right knee', 'left ankle', 'right ankle'),
  ),
  # NOTE: the hips hang from the nose here, from the shoulders in the graph.
  bones=(
    *((1, 0), (2, 0), (3, 1), (4, 2), (5, 0), (6, 0), (7, 5), (8, 6)),
    *((9, 7), (10, 8), (11, 0), (12, 0)),
    *((13, 11), (14, 12), (15, 13), (16, 14)),
  ),
  edges=(
    *((15, 13), (13, 11), (16, 14), (14, 12), (11, 5), (12, 6)),
    *((9, 7), (7, 5), (10, 8), (8, 6), (5, 0), (6, 0)),
    *((1, 0), (3, 1), (2, 0), (4, 2)),
  ),
  edges_0x=(
    *((15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12)),
    *((5, 6), (7, 5), (8, 6), (9, 7), (10, 8), (1, 2), (1, 0), (2, 0)),
    *((3, 1), (4, 2), (3, 5), (4, 6)),
  ),
  center=0,
  left_right=tuple((v, v + 1) for v in range(1, 17, 2)),
  # The order of the PoseC3D limb configs: it is the order of the channels.
  limbs=(
    *((0, 5), (0, 6), (5, 7), (7, 9), (6, 8), (8, 10)),
    *((5, 11), (11, 13), (13, 15), (6, 12), (12, 14), (14, 16)),
    *((0, 1), (0, 2), (1, 3), (2, 4), (11, 12)),
  ),
)

_OPENPOSE_BONES = (
  *((1, 0), (2, 1), (3, 2), (4, 3), (5, 1), (6, 5), (7, 6)),
  *((8, 2), (9, 8), (10, 9), (11, 5), (12, 11), (13, 12)),
  *((14, 0), (15, 0), (16, 14), (17, 15)),
)

_OPENPOSE = Layout(
  name='openpose-18',
  joints=(
    *('nose', 'neck', 'right shoulder', 'right elbow', 'right wrist'),
    *('left shoulder', 'left elbow', 'left wrist'),
    *('right hip', 'right knee', 'right ankle'),
    *('left hip', 'left knee', 'left ankle'),
    *('right eye', 'left eye', 'right ear', 'left ear'),
  ),
  bones=_OPENPOSE_BONES,
  edges=(
    *((4, 3), (3, 2), (7, 6), (6, 5), (13, 12), (12, 11), (10, 9), (9, 8)),
    *((11, 5), (8, 2), (5, 1), (2, 1), (0, 1)),
    *((15, 0), (14, 0), (17, 15), (16, 14)),
  ),
  center=1,
  left_right=(
    *((5, 2), (6, 3), (7, 4), (11, 8), (12, 9), (13, 10)),
    *((15, 14), (17, 16)),
  ),
  limbs=_OPENPOSE_BONES,
)

_FINGERS = ('thumb', 'index', 'middle', 'ring', 'little')
_HANDMP_BONES = tuple(
  (4 * finger + k, 4 * finger + k - 1 if k > 1 else 0)
  for finger in range(len(_FINGERS))
  for k in (1, 2, 3, 4)
)

_HANDMP = Layout(
  name='handmp',
  joints=(
    'wrist',
    *(f'{finger} {k}' for finger in _FINGERS for k in (1, 2, 3, 4)),
  ),
  bones=_HANDMP_BONES,
  edges=_HANDMP_BONES,
  center=0,
  limbs=_HANDMP_BONES,
)

_UCLA_BONES = _one_based(
  *((1, 2), (2, 3), (4, 3), (5, 3), (6, 5), (7, 6), (8, 7)),
  *((9, 3), (10, 9), (11, 10), (12, 11)),
  *((13, 1), (14, 13), (15, 14), (16, 15)),
  *((17, 1), (18, 17), (19, 18), (20, 19)),
)

_UCLA = Layout(
  name='ucla',
  joints=(
    *('hip centre', 'spine', 'shoulder centre', 'head'),
    *('left shoulder', 'left elbow', 'left wrist', 'left hand'),
    *('right shoulder', 'right elbow', 'right wrist', 'right hand'),
    *('left hip', 'left knee', 'left ankle', 'left foot'),
    *('right hip', 'right knee', 'right ankle', 'right foot'),
  ),
  bones=_UCLA_BONES,
  edges=_UCLA_BONES,
  center=2,
  left_right=tuple((v, v + 4) for v in (4, 5, 6, 7, 12, 13, 14, 15)),
  limbs=_UCLA_BONES,
  origin=1,
  spine=(0, 1),
  shoulders=(8, 4),
)

LAYOUTS: Mapping[str, Layout] = types.MappingProxyType(
  {
    layout.name: layout
    for layout in (_NTURGBD, _COCO, _OPENPOSE, _HANDMP, _UCLA)
  }
)
