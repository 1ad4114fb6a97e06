"""Reading a layout file, and the checks that every layout has to pass.

Apart from skeletons.py because it is about what users get wrong: each mistake
ends in one sentence that names the file, the key and the joint.
"""

from collections.abc import Mapping, Sequence
import difflib
import json
import pathlib
from typing import Any

from skeljax import errors

PAIR_LIST_KEYS = ('bones', 'edges', 'left_right', 'limbs', 'edges_0x')
PAIR_KEYS = ('spine', 'shoulders')
JOINT_KEYS = ('center', 'origin')
_REQUIRED_KEYS = ('name', 'joints', 'bones', 'center')
_ALL_KEYS = ('name', 'joints', *PAIR_LIST_KEYS, *JOINT_KEYS, *PAIR_KEYS)


def read_json(path: pathlib.Path) -> Any:
  """The content of a JSON file.

  Raises:
    UserError: the file cannot be read, is not JSON, or repeats a key.
  """
  try:
    text = path.read_text(encoding='utf-8')
    return json.loads(text, object_pairs_hook=_reject_repeated_keys)
  except OSError as error:
    raise errors.UserError(
      f'Layout file {path} cannot be read: {error.strerror}.'
    ) from None
  except ValueError as error:
    # json.JSONDecodeError and UnicodeDecodeError both say where.
    raise errors.UserError(
      f'Layout file {path} is not valid JSON: {error}.'
    ) from None


def parse_fields(content: Any, source: str) -> dict[str, Any]:
  """Arguments of `skeletons.Layout` from the content of a layout file.

  Joints become indices; bones serve as edges when there are none.

  Raises:
    UserError: a key is missing, unknown or of the wrong form.
  """
  if not isinstance(content, Mapping):
    _fail(source, f'an object with the keys {", ".join(_ALL_KEYS)} is expected')
  for key in content:
    if key not in _ALL_KEYS:
      _fail(source, f'unknown key {key!r}; the keys are {", ".join(_ALL_KEYS)}')
  for key in _REQUIRED_KEYS:
    if key not in content:
      _fail(source, f'the key {key!r} is missing')
  if not _is_list(content['joints']):
    _fail(source, "'joints' must be a list of joint names")
  joints = tuple(content['joints'])
  # The names come first: the other keys refer to them.
  _check_names(content['name'], joints, source)

  fields = {'name': content['name'], 'joints': joints}
  for key in PAIR_LIST_KEYS:
    if key in content:
      if not _is_list(content[key]):
        _fail(source, f'{key!r} must be a list of pairs of joints')
      fields[key] = tuple(
        _parse_pair(pair, joints, f'{key}[{i}]', source)
        for i, pair in enumerate(content[key])
      )
  for key in PAIR_KEYS:
    if content.get(key) is not None:
      fields[key] = _parse_pair(content[key], joints, key, source)
  for key in JOINT_KEYS:
    if content.get(key) is not None:
      fields[key] = _parse_joint(content[key], joints, key, source)
  if 'center' not in fields:
    _fail(source, "'center' must be a joint")
  fields.setdefault('edges', tuple(b for b in fields['bones'] if b[0] != b[1]))
  return fields


def check_layout(layout: Any) -> None:
  """Raises UserError for the first contradiction in a `skeletons.Layout`."""
  source = f'Layout {layout.name!r}'
  _check_names(layout.name, layout.joints, source)
  for key in JOINT_KEYS:
    if getattr(layout, key) is not None or key == 'center':
      _parse_joint(getattr(layout, key), layout.joints, key, source)
  for key in PAIR_LIST_KEYS:
    for i, pair in enumerate(getattr(layout, key)):
      a, b = _parse_pair(pair, layout.joints, f'{key}[{i}]', source)
      if a == b and key != 'bones':
        _fail(source, f'{key}[{i}] pairs {layout.joints[a]!r} with itself')
  for key in PAIR_KEYS:
    if getattr(layout, key) is not None:
      a, b = _parse_pair(getattr(layout, key), layout.joints, key, source)
      if a == b:
        _fail(source, f'{key!r} names {layout.joints[a]!r} twice')
  _check_bones(layout, source)
  for key in ('edges', 'edges_0x', 'limbs'):
    _check_no_repeated_pair(layout, key, source)
  if len(layout.joints) > 1 and not layout.edges:
    _fail(source, "'edges' is empty, so no joint would see another one")
  _check_mirror(layout, source)


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
  if not isinstance(value, int) or isinstance(value, bool):
    _fail(source, f'{where} must be a joint name or index, not {value!r}')
  if not 0 <= value < len(joints):
    _fail(
      source,
      f'{where} is joint {value}, but the {len(joints)} joints have the '
      f'indices 0 to {len(joints) - 1}',
    )
  return value


def _parse_pair(
  value: Any, joints: tuple[str, ...], where: str, source: str
) -> tuple[int, int]:
  if not _is_list(value) or len(value) != 2:
    _fail(source, f'{where} must be a pair of joints, not {value!r}')
  first, second = (_parse_joint(v, joints, where, source) for v in value)
  return first, second


def _check_names(name: Any, joints: tuple[Any, ...], source: str) -> None:
  if not isinstance(name, str) or not name.strip():
    _fail(source, f"'name' must be a non-empty string, not {name!r}")
  if not joints:
    _fail(source, "'joints' is empty")
  for i, joint in enumerate(joints):
    if not isinstance(joint, str) or not joint.strip():
      _fail(source, f'joints[{i}] must be a name, not {joint!r}')
    if joints.index(joint) < i:
      _fail(source, f'the joint name {joint!r} occurs twice')


def _check_bones(layout: Any, source: str) -> None:
  parent = {}
  for joint, other in layout.bones:
    if joint in parent:
      _fail(
        source,
        f'the joint {layout.joints[joint]!r} has two bones; '
        "'bones' holds at most one (joint, parent) pair for each joint",
      )
    parent[joint] = other
  for start in parent:
    path = [start]
    while parent.get(path[-1], path[-1]) != path[-1]:
      path.append(parent[path[-1]])
      if path[-1] in path[:-1]:
        names = ' -> '.join(layout.joints[v] for v in path)
        _fail(source, f"'bones' form a cycle: {names}")


def _check_no_repeated_pair(layout: Any, key: str, source: str) -> None:
  seen = set()
  for pair in getattr(layout, key):
    if frozenset(pair) in seen:
      a, b = (layout.joints[v] for v in pair)
      _fail(source, f'{key!r} joins {a!r} and {b!r} twice')
    seen.add(frozenset(pair))


def _check_mirror(layout: Any, source: str) -> None:
  seen = set()
  for joint in (v for pair in layout.left_right for v in pair):
    if joint in seen:
      _fail(
        source, f"the joint {layout.joints[joint]!r} is twice in 'left_right'"
      )
    seen.add(joint)
  limbs = {frozenset(limb) for limb in layout.limbs}
  for limb in layout.limbs:
    twin = [layout.flip_index[v] for v in limb]
    if frozenset(twin) not in limbs:
      a, b, c, d = (layout.joints[v] for v in (*limb, *twin))
      _fail(
        source,
        f"'limbs' has {a!r} to {b!r} but not its mirror image {c!r} to {d!r}",
      )
