"""Skeleton layouts as data: joints, bones, graph edges, mirror pairs, limbs.

Everything that depends on which joints a data set has is written here; no
other module may name a joint count or a layout. A layout of one's own comes
from a small JSON file (see `Layout.from_dict` for its keys) and then travels
with the prepared data set and with every checkpoint.

Sources: the published layouts and edge lists of mmaction2 0.x and 1.x, the
hand layout of pyskl, and the 20 joints of Northwestern-UCLA.
"""

from collections.abc import Mapping
import dataclasses
import difflib
import functools
import pathlib
import types
from typing import Any

from skeljax import errors
from skeljax import layout_files

Pairs = tuple[tuple[int, int], ...]


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
    layout_files.check_layout(self)

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
    for key in layout_files.PAIR_LIST_KEYS:
      if getattr(self, key) or key in ('bones', 'edges'):
        result[key] = name_pairs(getattr(self, key))
    for key in layout_files.PAIR_KEYS:
      if getattr(self, key) is not None:
        result[key] = [self.joints[v] for v in getattr(self, key)]
    for key in layout_files.JOINT_KEYS:
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
    fields = layout_files.parse_fields(d, source)
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
  content = layout_files.read_json(path)
  return Layout.from_dict(content, source=f'Layout file {path}')


def _pairs(text: str, first: int = 0) -> Pairs:
  """Joint pairs written as '1-0 2-0', counted from `first`."""
  pairs = (pair.split('-') for pair in text.split())
  return tuple((int(a) - first, int(b) - first) for a, b in pairs)


def _names(text: str) -> tuple[str, ...]:
  return tuple(name.strip() for name in text.split(','))


# Counted from 1, as published. The hands are where the two lists differ.
_NTU_BODY = _pairs(
  """1-2 2-21 3-21 4-3 5-21 6-5 7-6 8-7 9-21 10-9 11-10 12-11
  13-1 14-13 15-14 16-15 17-1 18-17 19-18 20-19""",
  first=1,
)
_NTU_HANDS_1X = _pairs('22-8 23-8 24-12 25-12', first=1)
_NTU_HANDS_0X = _pairs('22-23 23-8 24-25 25-12', first=1)

_NTURGBD = Layout(
  name='nturgb+d',
  joints=_names(
    """base of spine, middle of spine, neck, head,
    left shoulder, left elbow, left wrist, left hand,
    right shoulder, right elbow, right wrist, right hand,
    left hip, left knee, left ankle, left foot,
    right hip, right knee, right ankle, right foot, top of spine,
    left hand tip, left thumb, right hand tip, right thumb"""
  ),
  # NOTE: the bones follow the 0.x hand edges even where the graph is 1.x.
  bones=_NTU_BODY + _NTU_HANDS_0X,
  edges=_NTU_BODY + _NTU_HANDS_1X,
  edges_0x=_NTU_BODY + _NTU_HANDS_0X,
  center=20,
  left_right=_pairs('4-8 5-9 6-10 7-11 12-16 13-17 14-18 15-19 21-23 22-24'),
  limbs=_NTU_BODY + _NTU_HANDS_0X,
  origin=1,
  spine=(0, 1),
  shoulders=(8, 4),
)

_COCO = Layout(
  name='coco',
  joints=_names(
    """nose, left eye, right eye, left ear, right ear,
    left shoulder, right shoulder, left elbow, right elbow,
    left wrist, right wrist, left hip, right hip,
    left knee, right knee, left ankle, right ankle"""
  ),
  # NOTE: the hips hang from the nose here, from the shoulders in the graph.
  bones=_pairs(
    '1-0 2-0 3-1 4-2 5-0 6-0 7-5 8-6 9-7 10-8 11-0 12-0 13-11 14-12 15-13 16-14'
  ),
  edges=_pairs(
    '15-13 13-11 16-14 14-12 11-5 12-6 9-7 7-5 10-8 8-6 5-0 6-0 1-0 3-1 2-0 4-2'
  ),
  edges_0x=_pairs(
    """15-13 13-11 16-14 14-12 11-12 5-11 6-12 5-6 7-5 8-6 9-7 10-8
    1-2 1-0 2-0 3-1 4-2 3-5 4-6"""
  ),
  center=0,
  left_right=_pairs('1-2 3-4 5-6 7-8 9-10 11-12 13-14 15-16'),
  # The order of the PoseC3D limb configs: it is the order of the channels.
  limbs=_pairs(
    """0-5 0-6 5-7 7-9 6-8 8-10 5-11 11-13 13-15 6-12 12-14 14-16
    0-1 0-2 1-3 2-4 11-12"""
  ),
)

_OPENPOSE_BONES = _pairs(
  """1-0 2-1 3-2 4-3 5-1 6-5 7-6 8-2 9-8 10-9 11-5 12-11 13-12
  14-0 15-0 16-14 17-15"""
)

_OPENPOSE = Layout(
  name='openpose-18',
  joints=_names(
    """nose, neck, right shoulder, right elbow, right wrist,
    left shoulder, left elbow, left wrist, right hip, right knee, right ankle,
    left hip, left knee, left ankle, right eye, left eye, right ear, left ear"""
  ),
  bones=_OPENPOSE_BONES,
  edges=_pairs(
    """4-3 3-2 7-6 6-5 13-12 12-11 10-9 9-8 11-5 8-2 5-1 2-1 0-1
    15-0 14-0 17-15 16-14"""
  ),
  center=1,
  left_right=_pairs('5-2 6-3 7-4 11-8 12-9 13-10 15-14 17-16'),
  limbs=_OPENPOSE_BONES,
)

_HANDMP_BONES = _pairs(
  """1-0 2-1 3-2 4-3 5-0 6-5 7-6 8-7 9-0 10-9 11-10 12-11
  13-0 14-13 15-14 16-15 17-0 18-17 19-18 20-19"""
)

_HANDMP = Layout(
  name='handmp',
  joints=_names(
    """wrist, thumb 1, thumb 2, thumb 3, thumb 4,
    index 1, index 2, index 3, index 4, middle 1, middle 2, middle 3, middle 4,
    ring 1, ring 2, ring 3, ring 4, little 1, little 2, little 3, little 4"""
  ),
  bones=_HANDMP_BONES,
  edges=_HANDMP_BONES,
  center=0,
  limbs=_HANDMP_BONES,
)

_UCLA_BONES = _pairs(
  """1-2 2-3 4-3 5-3 6-5 7-6 8-7 9-3 10-9 11-10 12-11
  13-1 14-13 15-14 16-15 17-1 18-17 19-18 20-19""",
  first=1,
)

_UCLA = Layout(
  name='ucla',
  joints=_names(
    """hip centre, spine, shoulder centre, head,
    left shoulder, left elbow, left wrist, left hand,
    right shoulder, right elbow, right wrist, right hand,
    left hip, left knee, left ankle, left foot,
    right hip, right knee, right ankle, right foot"""
  ),
  bones=_UCLA_BONES,
  edges=_UCLA_BONES,
  center=2,
  left_right=_pairs('4-8 5-9 6-10 7-11 12-16 13-17 14-18 15-19'),
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
