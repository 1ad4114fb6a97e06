"""Read annotation pickles of mmaction2 and pyskl.

There are two formats: a dict with 'split' (split name -> list of ids),
'annotations' (a list of dicts, one per clip) and optionally 'label_names'; and,
older, the plain list of annotations, one file per split. The id of an annotation
is its 'filename' if the first annotation of the file has that key, otherwise its
'frame_dir'.
"""

from collections.abc import Mapping, Sequence
import functools
from typing import Any

import numpy as np

from skeljax import errors
from skeljax.readers import raw_dataset
from skeljax.readers import safe_pickle


def read_dataset(source: raw_dataset.Paths) -> raw_dataset.RawDataset:
  """Read the clips, splits and class names of annotation pickles.

  Args:
    source: one file; or, for plain lists, one file per split, as a mapping or
      as the text 'train=a.pkl,val=b.pkl'.

  Returns:
    Clips in memory, not yet validated (see checks.check_clip), without a second
    copy of the arrays.

  Raises:
    UserError: a file is missing, unreadable, or in neither format.
  """
  paths = raw_dataset.split_paths(source)
  if isinstance(paths, str):
    return _read_file(paths)
  clips: list[raw_dataset.Clip] = []
  splits = {}
  for name, path in paths.items():
    root = safe_pickle.load(path)
    if not isinstance(root, list):
      found = (
        'a whole dataset with splits: give it alone, as one file'
        if isinstance(root, dict) and 'split' in root
        else _describe(root)
      )
      raise errors.UserError(
        f'{path}, given as split {name!r}, contains {found}. Expected a plain'
        ' list of annotations.'
      )
    start = len(clips)
    clips += _clips(root, path)
    splits[name] = range(start, len(clips))
  return raw_dataset.RawDataset(
    clips, splits, source=' + '.join(paths.values()), in_memory=True
  )


def _read_file(path: str) -> raw_dataset.RawDataset:
  root = safe_pickle.load(path)
  if isinstance(root, list):
    root = {'annotations': root}
  if not isinstance(root, dict) or 'annotations' not in root:
    raise errors.UserError(
      f"{path} contains {_describe(root)}. Expected a dict with 'annotations' and"
      " 'split', or a list of annotations."
    )
  clips = _clips(root['annotations'], path)
  splits, unknown = _splits(root.get('split') or {}, clips, path)
  class_names = root.get('label_names')
  return raw_dataset.RawDataset(
    clips,
    splits,
    class_names=()
    if class_names is None
    else _strings(class_names, path, "'label_names'"),
    unknown_ids=unknown,
    source=path,
    in_memory=True,
  )


def _clips(items: Any, path: str) -> list[raw_dataset.Clip]:
  if not isinstance(items, list) or not items:
    raise errors.UserError(
      f"{path}: 'annotations' is {_describe(items)}. Expected a non-empty list"
      ' with one dict per clip.'
    )
  first = items[0]
  has_filename = isinstance(first, dict) and 'filename' in first
  key = 'filename' if has_filename else 'frame_dir'
  clips = []
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
        f'{path}: annotation {position}: its id {key!r} is {found}. Expected a'
        ' string that is unique.'
      )
    clips.append(
      raw_dataset.Clip(
        id=str(sample_id),
        label=item.get('label'),
        path=path,
        read=functools.partial(dict[str, Any], item),
      )
    )
  return clips


def _splits(
  split: Any, clips: Sequence[raw_dataset.Clip], path: str
) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[str, ...]]]:
  """Return the positions of each split's clips, and its ids without a clip."""
  if not isinstance(split, Mapping):
    raise errors.UserError(
      f"{path}: 'split' is {_describe(split)}. Expected a dict from split name to"
      ' a list of ids.'
    )
  known = {clip.id for clip in clips}
  splits, unknown = {}, {}
  for name, listed in split.items():
    wanted = dict.fromkeys(_strings(listed, path, f'split {name!r}'))
    splits[str(name)] = tuple(p for p, c in enumerate(clips) if c.id in wanted)
    missing = tuple(sample_id for sample_id in wanted if sample_id not in known)
    if missing:
      unknown[str(name)] = missing
  return splits, unknown


def _strings(values: Any, path: str, field: str) -> tuple[str, ...]:
  if isinstance(values, np.ndarray):
    values = values.tolist()
  if not isinstance(values, list | tuple | set | frozenset):
    raise errors.UserError(
      f'{path}: {field} is {_describe(values)}. Expected a list of strings.'
    )
  if isinstance(values, set | frozenset):  # Sorted: messages are deterministic.
    values = sorted(values, key=str)
  for value in values:
    if not isinstance(value, str):
      raise errors.UserError(
        f'{path}: {field} contains {value!r}. Expected strings.'
      )
  return tuple(str(v) for v in values)


def _describe(value: Any) -> str:
  """Describe a value for an error message."""
  if isinstance(value, dict):
    keys = raw_dataset.first_few([repr(k) for k in value], limit=5)
    return f'a dict with the keys {keys}' if value else 'an empty dict'
  if isinstance(value, np.ndarray):
    return f'an array of shape {value.shape}'
  if isinstance(value, list | tuple):
    return f'a {type(value).__name__} of {len(value)} elements'
  return f'{type(value).__name__} {str(value)[:40]!r}'
