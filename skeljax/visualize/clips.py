"""The clip to draw: found by id or number, read and checked."""

from collections.abc import Sequence
import dataclasses
import difflib
import re

from absl import logging
import numpy as np

from skeljax import errors
from skeljax import readers
from skeljax import skeletons
from skeljax.datasets import class_names as class_names_lib
from skeljax.datasets import prepared
from skeljax.datasets import records
from skeljax.readers import compressed


@dataclasses.dataclass(frozen=True)
class Clip:
  """What the pictures are made from.

  Attributes:
    id: the sample id.
    class_name: of its label; 'class 7' where no names are known; '' without a
      label.
    layout: which joints these are.
    keypoint: [M, T, V, C] float32, C coordinates (2: pixels); a missing joint
      is all zeros.
    score: [M, T, V] float32, or None.
    img_shape: (height, width) in pixels; zeros when unknown.
  """

  id: str
  class_name: str
  layout: skeletons.Layout
  keypoint: np.ndarray
  score: np.ndarray | None
  img_shape: tuple[int, int]

  @property
  def num_persons(self) -> int:
    return self.keypoint.shape[0]

  @property
  def num_frames(self) -> int:
    return self.keypoint.shape[1]

  @property
  def dims(self) -> int:
    return self.keypoint.shape[3]

  @property
  def file_name(self) -> str:
    """The id without what a file name cannot hold."""
    return re.sub(r'[^\w.+=-]+', '_', self.id).strip('.') or 'clip'


def from_annotations(
  path: str,
  layout: skeletons.Layout,
  wanted: str = '',
  *,
  split: str = '',
  class_names: str = '',
  third_channel: str = 'auto',
) -> Clip:
  """A clip of an annotation file.

  Args:
    path: the pickle, as formats.read_annotations takes it.
    layout: whose joints the keypoints have.
    wanted: the id or the number of the clip; the first by default.
    split: count and search in this split only.
    class_names: a known list or a text file; the file's own by default.
    third_channel: what three channels mean, see formats.check_item.

  Raises:
    UserError: the file, the split or the clip is not there or not sound.
  """
  annotations = readers.read_annotations(path)
  positions = range(len(annotations.items))
  source = annotations.source
  if split:
    if split not in annotations.splits:
      raise errors.UserError(
        f'{source} has no split {split!r}; it has'
        f' {", ".join(annotations.splits) or "none"}. Without --split all clips'
        ' of the file are searched.'
      )
    positions = annotations.splits[split]
    source = f'{source}, split {split!r}'
  index = choose([annotations.ids[p] for p in positions], wanted, source)
  position = positions[index]
  item = annotations.items[position]
  if np.shape(item.get('keypoint'))[1:2] == (0,):
    raise errors.UserError(
      f'{annotations.path(position)}, sample {annotations.ids[position]!r}:'
      f" 'keypoint' has shape {np.shape(item['keypoint'])}, so no frames."
      ' There is nothing to draw; choose another one with --clip.'
    )
  if compressed.is_compressed(item) and 'keypoint' in item:
    item = compressed.decompress_item(
      item,
      compressed.Selection(),
      f'{annotations.path(position)}, sample {annotations.ids[position]!r}',
    )
  names = annotations.label_names
  if class_names:
    names = class_names_lib.load_class_names(class_names)
  record = readers.check_item(
    item,
    layout=layout,
    # Own recordings have no label, or -1: pictures need none.
    num_classes=None if item.get('label') in (None, -1) else len(names),
    path=annotations.path(position),
    sample_id=annotations.ids[position],
    third_channel=third_channel,
  )
  return _clip(record, layout, names)


def from_dataset(root: str, name: str, split: str, wanted: str = '') -> Clip:
  """A clip of a prepared dataset.

  Args:
    root: the directory that holds prepared datasets.
    name: of the dataset.
    split: 'train' or 'val'.
    wanted: the id or the number of the clip; the first by default.

  Raises:
    UserError: the dataset, the split or the clip is not there.
  """
  dataset = prepared.open_dataset(root, name)
  source = dataset.source(split)
  index = 0
  if wanted:  # The first clip needs no look at the ids of all others.
    ids = [source[i]['id'] for i in range(len(source))]
    index = choose(ids, wanted, f'dataset {name!r}, split {split!r}')
  return _clip(source[index], dataset.layout, dataset.class_names)


def choose(ids: Sequence[str], wanted: str, source: str) -> int:
  """The index of the clip with that id, or of that number from 0.

  Args:
    ids: of all clips, in order.
    wanted: an id, or a number where no clip has it for its id; '' is 0.
    source: where the clips are, for the error.

  Raises:
    UserError: there is no such clip; names those that look like it.
  """
  ids = list(ids)
  if not ids:
    raise errors.UserError(
      f'{source} holds no clips: there is nothing to draw.'
    )
  wanted = wanted or '0'
  if wanted in ids:
    count = ids.count(wanted)
    if count > 1:
      logging.info(
        '%s: %d clips have the id %r, and the first is drawn; choose another'
        ' one by its number',
        source,
        count,
        wanted,
      )
    return ids.index(wanted)
  if wanted.isdecimal():
    if int(wanted) < len(ids):
      return int(wanted)
    raise errors.UserError(
      f'--clip={wanted}: {source} has {len(ids):,} clips, numbered from 0 to'
      f' {len(ids) - 1}, and none has this id.'
    )
  near = difflib.get_close_matches(wanted, ids, n=3)
  near = near or [i for i in ids if wanted.lower() in i.lower()][:3]
  proposal = (
    f'Did you mean {" or ".join(near)}?'
    if near
    else f'Its ids look like {", ".join(ids[:3])}.'
  )
  raise errors.UserError(
    f'--clip={wanted}: no clip of {source} has this id. {proposal} A number'
    f' from 0 to {len(ids) - 1} is taken too.'
  )


def _clip(
  record: records.Record,
  layout: skeletons.Layout,
  class_names: Sequence[str],
) -> Clip:
  label = record['label']
  class_name = '' if label < 0 else f'class {label}'
  if 0 <= label < len(class_names):
    class_name = class_names[label]
  score = record.get('keypoint_score')
  return Clip(
    id=record['id'],
    class_name=class_name,
    layout=layout,
    keypoint=np.asarray(record['keypoint'], np.float32),
    score=None if score is None else np.asarray(score, np.float32),
    img_shape=tuple(int(side) for side in record['img_shape']),
  )
