"""Skeleton layouts as data: joints, bones, graph edges, flip pairs, limbs.

A published layout is an entry of published.py; a layout of your own is a small
JSON file (see `Layout.from_dict`). Prepared datasets and checkpoints store
their layout, so models and inputs depend on no joint count and no layout name.
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
from skeljax.skeletons import published

Pairs = published.Pairs

_PAIR_LISTS = ('bones', 'edges', 'left_right', 'limbs', 'edges_0x')
_PAIRS = ('spine', 'shoulders')
_JOINTS = ('center', 'origin')
_KEYS = ('name', 'joints', *_PAIR_LISTS, *_JOINTS, *_PAIRS)


@dataclasses.dataclass(frozen=True)
class Layout:
  """The joints of a skeleton and how they connect; hashable.

  Attributes:
    name: the value of --layout.
    joints: one name per joint, in the order of the keypoint arrays.
    bones: (joint, parent) pairs, at most one per joint; a joint without a pair,
      or paired with itself, is a root, whose bone is zero.
    edges: (child, parent) pairs of the graph, the parent nearer to the center.
      In the published layouts they differ from the bones.
    center: joint from which the distances of mode 'stgcn_spatial' are counted.
    left_right: (left, right) joints that a horizontal flip exchanges.
    limbs: joint pairs drawn in limb heatmaps.
    origin: joint that 3D normalization moves to the origin.
    spine: (lower, upper) joints that 3D normalization rotates to +z.
    shoulders: (right, left) joints that 3D normalization rotates to +x.
    edges_0x: the edges in mmaction2 0.x where they differ; otherwise ().

  Raises:
    UserError: the attributes contradict each other.
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
    _check(self)

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
    """Return the (child, parent) edges of mmaction2 '1x' or '0x'."""
    if version not in ('1x', '0x'):
      raise errors.UserError(
        f'The edges of layout {self.name!r} are {version!r}; they must be '
        "'1x' or '0x', the lists of mmaction2 1.x and 0.x."
      )
    return self.edges_0x or self.edges if version == '0x' else self.edges

  def to_dict(self) -> dict[str, Any]:
    """Return the content of a layout file; `from_dict` reads it."""

    def names(value):
      if isinstance(value, tuple):
        return [names(v) for v in value]
      return self.joints[value]

    result = {'name': self.name, 'joints': list(self.joints)}
    for key in (*_PAIR_LISTS, *_PAIRS, *_JOINTS):
      value = getattr(self, key)
      if value not in (None, ()) or key in ('bones', 'edges'):
        result[key] = names(value)
    return result

  @classmethod
  def from_dict(cls, d: Mapping[str, Any], source: str = 'layout') -> 'Layout':
    """Read the content of a layout file.

    Args:
      d: keys 'name', 'joints' (names), 'bones' ([[joint, parent], ...]) and
        'center'; optionally 'edges' ([[child, parent], ...]; default: the
        bones), 'edges_0x', 'left_right' ([[left, right], ...]), 'limbs'
        ([[a, b], ...]), 'origin', 'spine' ([lower, upper]) and 'shoulders'
        ([right, left]). A joint is a name or a 0-based index.
      source: what `d` was read from, for error messages.

    Raises:
      UserError: a key is missing, unknown or malformed, or the values
        contradict each other.
    """
    try:
      return cls(**_parse(d))
    except errors.UserError as error:
      raise errors.UserError(f'{source}: {error}') from None


def get_layout(name_or_json_path: str) -> Layout:
  """Return a published layout by name, or read a layout file.

  Raises:
    UserError: neither a published name nor a readable, valid layout file.
  """
  if name_or_json_path in LAYOUTS:
    return LAYOUTS[name_or_json_path]
  path = pathlib.Path(name_or_json_path)
  if path.suffix != '.json' and not path.is_file():
    near = difflib.get_close_matches(name_or_json_path, LAYOUTS, n=1)
    hint = f' Did you mean {near[0]!r}?' if near else ''
    raise errors.UserError(
      f'Unknown layout {name_or_json_path!r}: use one of {", ".join(LAYOUTS)}, '
      f'or the path of a JSON file.{hint}'
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
    # json.JSONDecodeError and UnicodeDecodeError give the position.
    raise errors.UserError(f'{source} is not valid JSON: {error}.') from None
  return Layout.from_dict(content, source)


def _reject_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
  content = {}
  for key, value in pairs:
    if key in content:
      raise ValueError(f'the key {key!r} occurs twice')
    content[key] = value
  return content


def _parse(content: Any) -> dict[str, Any]:
  """Return the arguments of Layout, with joints as indices."""
  keys = ', '.join(_KEYS)
  if not isinstance(content, Mapping):
    _fail(f'an object with the keys {keys} is expected')
  for key in content:
    if key not in _KEYS:
      _fail(f'unknown key {key!r}; the keys are {keys}')
  for key in ('name', 'joints', 'bones', 'center'):
    if key not in content:
      _fail(f'the key {key!r} is missing')
  if content['center'] is None:
    _fail("'center' must be a joint")
  if not _is_list(content['joints']):
    _fail("'joints' must be a list of joint names")
  joints = tuple(content['joints'])
  fields = {'name': content['name'], 'joints': joints}
  # The other keys refer to the names.
  _check_names(**fields)
  for key in _KEYS[2:]:
    value = content.get(key)
    if key in _PAIR_LISTS and key in content:
      if not _is_list(value):
        _fail(f'{key!r} must be a list of pairs of joints')
      fields[key] = tuple(
        _pair(pair, joints, f'{key}[{i}]') for i, pair in enumerate(value)
      )
    elif value is not None:
      fields[key] = (_pair if key in _PAIRS else _joint)(value, joints, key)
  fields.setdefault('edges', tuple(b for b in fields['bones'] if b[0] != b[1]))
  return fields


def _joint(value: Any, joints: tuple[str, ...], where: str) -> int:
  """Return the index of a joint that is a name or an index."""
  if isinstance(value, str):
    if value in joints:
      return joints.index(value)
    near = difflib.get_close_matches(value, joints, n=1)
    hint = f' (did you mean {near[0]!r}?)' if near else ''
    _fail(f"{where} names {value!r}, which is not in 'joints'{hint}")
  if not isinstance(value, int) or isinstance(value, bool):
    _fail(f'{where} must be a joint name or index, not {value!r}')
  if not 0 <= value < len(joints):
    _fail(
      f'{where} is joint {value}, but the {len(joints)} joints have the '
      f'indices 0 to {len(joints) - 1}'
    )
  return value


def _pair(value: Any, joints: tuple[str, ...], where: str) -> tuple[int, ...]:
  if not _is_list(value) or len(value) != 2:
    _fail(f'{where} must be a pair of joints, not {value!r}')
  return tuple(_joint(v, joints, where) for v in value)


def _check(layout: Layout) -> None:
  """Raise UserError for the first contradiction in a layout."""
  names = layout.joints
  _check_names(layout.name, names)
  for key in _JOINTS:
    if getattr(layout, key) is not None or key == 'center':
      _joint(getattr(layout, key), names, key)
  for key in _PAIRS:
    if getattr(layout, key) is not None:
      a, b = _pair(getattr(layout, key), names, key)
      if a == b:
        _fail(f'{key!r} names {names[a]!r} twice')
  for key in _PAIR_LISTS:
    seen = set()
    for i, pair in enumerate(getattr(layout, key)):
      a, b = _pair(pair, names, f'{key}[{i}]')
      if a == b and key != 'bones':
        _fail(f'{key}[{i}] pairs {names[a]!r} with itself')
      if frozenset(pair) in seen and key in ('edges', 'edges_0x', 'limbs'):
        _fail(f'{key!r} joins {names[a]!r} and {names[b]!r} twice')
      seen.add(frozenset(pair))
  _check_bones(layout)
  if len(names) > 1 and not layout.edges:
    _fail("'edges' is empty, so that no joint has a neighbour")
  _check_flip(layout)


def _check_names(name: Any, joints: tuple[Any, ...]) -> None:
  if not isinstance(name, str) or not name.strip():
    _fail(f"'name' must be a non-empty string, not {name!r}")
  if not joints:
    _fail("'joints' is empty")
  for i, joint in enumerate(joints):
    if not isinstance(joint, str) or not joint.strip():
      _fail(f'joints[{i}] must be a name, not {joint!r}')
    if joints.index(joint) < i:
      _fail(f'the joint name {joint!r} occurs twice')


def _check_bones(layout: Layout) -> None:
  parent = {}
  for joint, other in layout.bones:
    if joint in parent:
      _fail(
        f'the joint {layout.joints[joint]!r} has two bones; '
        "'bones' has at most one (joint, parent) pair per joint"
      )
    parent[joint] = other
  for start in parent:
    path = [start]
    while parent.get(path[-1], path[-1]) != path[-1]:
      path.append(parent[path[-1]])
      if path[-1] in path[:-1]:
        names = ' -> '.join(layout.joints[v] for v in path)
        _fail(f"'bones' form a cycle: {names}")


def _check_flip(layout: Layout) -> None:
  joints = [v for pair in layout.left_right for v in pair]
  for i, joint in enumerate(joints):
    if joint in joints[:i]:
      _fail(f"the joint {layout.joints[joint]!r} is twice in 'left_right'")
  limbs = {frozenset(limb) for limb in layout.limbs}
  for limb in layout.limbs:
    flipped = [layout.flip_index[v] for v in limb]
    if frozenset(flipped) not in limbs:
      a, b, c, d = (layout.joints[v] for v in (*limb, *flipped))
      _fail(
        f"'limbs' has {a!r} to {b!r} but not its flipped limb {c!r} to {d!r}"
      )


def _fail(mistake: str) -> None:
  raise errors.UserError(f'{mistake}.')


def _is_list(value: Any) -> bool:
  return isinstance(value, Sequence) and not isinstance(value, str)


LAYOUTS: Mapping[str, Layout] = types.MappingProxyType(
  {fields['name']: Layout(**fields) for fields in published.PUBLISHED}
)
