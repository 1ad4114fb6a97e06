"""Skeleton layouts as data: joints, bones, graph edges, mirror pairs, limbs.

Everything that depends on which joints a data set has is written here and, for
the published layouts, in the lists of layouts.py; networks and features name no
joint count and no layout. A layout of one's own comes from a small JSON file
(see `Layout.from_dict` for its keys) and then travels with the prepared data
set and with every checkpoint.
"""

from collections.abc import Mapping
import dataclasses
import difflib
import functools
import pathlib
import types
from typing import Any

from skeljax import errors
from skeljax.skeletons import layout_files
from skeljax.skeletons import published

Pairs = published.Pairs


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
  def flip_index(self) -> tuple[int, ...]:
    """Index permutation of the joints that exchanges left and right."""
    other = {}
    for left, right in self.left_right:
      other[left], other[right] = right, left
    return tuple(other.get(v, v) for v in range(self.num_joints))

  @functools.cached_property
  def limb_flip_index(self) -> tuple[int, ...]:
    """Index permutation of the limbs that exchanges left and right."""
    index = {frozenset(limb): i for i, limb in enumerate(self.limbs)}
    return tuple(
      index[frozenset(self.flip_index[v] for v in limb)] for limb in self.limbs
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


LAYOUTS: Mapping[str, Layout] = types.MappingProxyType(
  {fields['name']: Layout(**fields) for fields in published.PUBLISHED}
)
