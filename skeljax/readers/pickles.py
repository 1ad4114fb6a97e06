"""Annotation pickles of mmaction2 and pyskl.

Two forms are in use. The newer one is a dict with 'split' (split name -> list
of ids) and 'annotations' (a list of dicts, one a clip), and optionally
'label_names'. The older one is the plain list of annotations, one file for
each split. An annotation is found by its 'filename' when the first annotation
of its file has that key, and by its 'frame_dir' otherwise.
"""

from collections.abc import Mapping, Sequence
import os
import re
from typing import Any

import numpy as np

from skeljax import errors
from skeljax.readers import annotations as annotations_lib
from skeljax.readers import safe_pickle

_SPLIT_FILE = re.compile(r'(\w+)=(.+)')

Paths = str | os.PathLike | Mapping[str, str | os.PathLike]


def split_paths(source: Paths) -> str | dict[str, str]:
  """One path as it is; 'train=a.pkl,val=b.pkl' as {'train': 'a.pkl', ...}.

  Raises:
    UserError: the parts of the list are not all NAME=FILE, or a name occurs
      twice.
  """
  if isinstance(source, Mapping):
    return {name: os.fspath(path) for name, path in source.items()}
  source = os.fspath(source)
  if os.path.exists(source) or not _SPLIT_FILE.fullmatch(source):
    return source
  result: dict[str, str] = {}
  for part in source.split(','):
    match = _SPLIT_FILE.fullmatch(part)
    if match is None or match[1] in result:
      raise errors.UserError(
        f'{source!r}: expected one file, or one file for each split as'
        f' train=TRAIN.pkl,val=VAL.pkl; {part!r} does not fit.'
      )
    result[match[1]] = match[2]
  return result


def read_annotations(source: Paths) -> annotations_lib.Annotations:
  """The clips, splits and class names of annotation pickles.

  Nothing in the files is run. The clips themselves are not looked at; see
  clips.check_item. No second copy of the arrays is made.

  Args:
    source: one file; or, for plain lists, one file for each split, as a
      mapping or as the text 'train=a.pkl,val=b.pkl'.

  Raises:
    UserError: a file is missing, unreadable, or not in one of the two forms.
  """
  paths = split_paths(source)
  if isinstance(paths, str):
    return _read_one(paths)
  return _read_lists(paths)


def _read_one(path: str) -> annotations_lib.Annotations:
  root = safe_pickle.load(path)
  if isinstance(root, list):
    items, split, label_names = root, {}, None
  elif isinstance(root, dict) and 'annotations' in root:
    items = root['annotations']
    split = root.get('split') or {}
    label_names = root.get('label_names')
  else:
    raise errors.UserError(
      f'{path} holds {_describe(root)}. Expected a dict with the keys'
      " 'annotations' and 'split', or a list of annotations."
    )
  ids = _ids(items, path)
  splits, unknown = _positions(split, ids, path)
  if label_names is None:
    label_names = ()
  return annotations_lib.Annotations(
    items=items,
    ids=ids,
    splits=splits,
    label_names=_names(label_names, path, "'label_names'"),
    unknown_ids=unknown,
    paths=(path,),
    starts=(0,),
  )


def _read_lists(paths: Mapping[str, str]) -> annotations_lib.Annotations:
  items: list[dict[str, Any]] = []
  ids: list[str] = []
  splits, starts = {}, []
  for name, path in paths.items():
    root = safe_pickle.load(path)
    if not isinstance(root, list):
      what = (
        'a whole data set with splits of its own: give it alone, as one file'
        if isinstance(root, dict) and 'split' in root
        else _describe(root)
      )
      raise errors.UserError(
        f'{path}, given as split {name!r}, holds {what}. A file for one split'
        ' holds a plain list of annotations.'
      )
    starts.append(len(items))
    ids += _ids(root, path)
    items += root
    splits[name] = range(starts[-1], len(items))
  return annotations_lib.Annotations(
    items=items,
    ids=ids,
    splits=splits,
    label_names=(),
    unknown_ids={},
    paths=tuple(paths.values()),
    starts=tuple(starts),
  )


def _ids(items: Any, path: str) -> list[str]:
  """The id of each item, after checking that the items are annotations."""
  if not isinstance(items, list) or not items:
    raise errors.UserError(
      f"{path}: 'annotations' must be a list of dicts, one a clip, and not"
      f' empty; it is {_describe(items)}.'
    )
  first = items[0]
  key = 'filename' if isinstance(first, dict) and 'filename' in first else None
  key = key or 'frame_dir'
  ids = []
  for position, item in enumerate(items):
    if not isinstance(item, dict):
      raise errors.UserError(
        f'{path}: annotation {position} is {_describe(item)}. Expected a dict'
        " with 'frame_dir', 'label' and 'keypoint'."
      )
    sample_id = item.get(key)
    if not isinstance(sample_id, str) or not sample_id:
      found = 'missing' if sample_id is None else repr(sample_id)
      raise errors.UserError(
        f'{path}: the id of annotation {position} ({key!r}) is {found}.'
        ' Expected a string, different for every clip.'
      )
    ids.append(str(sample_id))
  return ids


def _positions(
  split: Any, ids: Sequence[str], path: str
) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[str, ...]]]:
  """For each split the positions of its items, and the ids without an item."""
  if not isinstance(split, dict):
    raise errors.UserError(
      f"{path}: 'split' must be a dict from split name to a list of ids; it is"
      f' {_describe(split)}.'
    )
  known = set(ids)
  splits, unknown = {}, {}
  for name, listed in split.items():
    wanted = dict.fromkeys(_names(listed, path, f'split {name!r}'))
    missing = tuple(i for i in wanted if i not in known)
    splits[str(name)] = tuple(p for p, i in enumerate(ids) if i in wanted)
    if missing:
      unknown[str(name)] = missing
  return splits, unknown


def _names(values: Any, path: str, what: str) -> tuple[str, ...]:
  if isinstance(values, np.ndarray):
    values = values.tolist()
  if not isinstance(values, list | tuple | set | frozenset):
    raise errors.UserError(
      f'{path}: {what} must be a list of strings; it is {_describe(values)}.'
    )
  # A set has no order; sorting keeps what is reported the same in every run.
  if isinstance(values, set | frozenset):
    values = sorted(values, key=str)
  for value in values:
    if not isinstance(value, str):
      raise errors.UserError(
        f'{path}: {what} must be a list of strings; it holds {value!r}.'
      )
  return tuple(str(v) for v in values)


def _describe(value: Any) -> str:
  """What a value is, in few words, for an error."""
  if isinstance(value, dict):
    keys = annotations_lib.some([repr(k) for k in value], limit=5)
    return f'a dict with the keys {keys}' if value else 'an empty dict'
  if isinstance(value, np.ndarray):
    return f'an array of shape {value.shape}'
  if isinstance(value, list | tuple):
    return f'a {type(value).__name__} of {len(value)} elements'
  return f'{type(value).__name__} {str(value)[:40]!r}'
