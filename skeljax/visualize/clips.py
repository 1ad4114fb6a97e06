"""Find, read and check the clip to draw."""

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
from skeljax.readers import annotation_pickle
from skeljax.readers import compressed


@dataclasses.dataclass(frozen=True)
class Clip:
  """A clip to draw.

  Attributes:
    id: sample id.
    class_name: name of the label; 'class 7' if the names are unknown, '' if
      there is no label.
    layout: skeleton layout.
    keypoint: [M, T, V, C] float32, pixels if C is 2; a missing joint is zero.
    score: [M, T, V] float32, or None.
    img_shape: (height, width) in pixels; zeros if unknown.
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
    """The id without characters that file names cannot contain."""
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
  """Read a clip from an annotation file.

  Args:
    path: pickle, see annotation_pickle.read_dataset.
    layout: layout of its keypoints.
    wanted: id or number of the clip; the first by default.
    split: search in this split only.
    class_names: a known list or a text file; by default those of the file.
    third_channel: see readers.check_clip.

  Raises:
    UserError: the file, split or clip does not exist or is invalid.
  """
  dataset = annotation_pickle.read_dataset(path)
  clips, source = list(dataset.clips), dataset.source
  if split:
    if split not in dataset.splits:
      raise errors.UserError(
        f'{source} has no split {split!r}, only'
        f' {", ".join(dataset.splits) or "unsplit clips"}. Omit --split to'
        ' search all clips.'
      )
    clips = [clips[p] for p in dataset.splits[split]]
    source = f'{source}, split {split!r}'
  clip = clips[choose([c.id for c in clips], wanted, source)]
  item, where = clip.read(), clip.where
  if np.shape(item.get('keypoint'))[1:2] == (0,):
    raise errors.UserError(
      f"{where}: 'keypoint' has shape {np.shape(item['keypoint'])}, so no"
      ' frames. Choose another clip with --clip.'
    )
  if compressed.is_compressed(item) and 'keypoint' in item:
    clip = compressed.decompressed(clip, compressed.Selection())
  names = dataset.class_names
  if class_names:
    names = class_names_lib.load_class_names(class_names)
  record = readers.check_clip(
    clip,
    layout=layout,
    # Own recordings have no label, or -1.
    num_classes=None if clip.label in (None, -1) else len(names),
    third_channel=third_channel,
  )
  return _clip(record, layout, names)


def from_dataset(root: str, name: str, split: str, wanted: str = '') -> Clip:
  """Read a clip of a prepared dataset.

  Args:
    root: directory of the prepared datasets.
    name: name of the dataset.
    split: 'train' or 'val'.
    wanted: id or number of the clip; the first by default.

  Raises:
    UserError: the dataset, split or clip does not exist.
  """
  dataset = prepared.open_dataset(root, name)
  source = dataset.source(split)
  index = 0
  if wanted:  # Reading the ids reads the whole split.
    ids = [source[i]['id'] for i in range(len(source))]
    index = choose(ids, wanted, f'dataset {name!r}, split {split!r}')
  return _clip(source[index], dataset.spec.layout, dataset.spec.class_names)


def choose(ids: Sequence[str], wanted: str, source: str) -> int:
  """Return the index of the clip with an id, or of a number from 0.

  Args:
    ids: ids of all clips, in order.
    wanted: an id, or a number if no clip has it as its id; '' is 0.
    source: name of the collection, for errors.

  Raises:
    UserError: there is no such clip; lists similar ids.
  """
  ids, wanted = list(ids), wanted or '0'
  if not ids:
    raise errors.UserError(f'{source} has no clips.')
  if wanted in ids:
    if ids.count(wanted) > 1:
      logging.info(
        '%s: several clips have the id %r; drawing the first, choose another'
        ' one by its number',
        source,
        wanted,
      )
    return ids.index(wanted)
  if wanted.isdecimal() and int(wanted) < len(ids):
    return int(wanted)
  near = difflib.get_close_matches(wanted, ids, n=3)
  near = near or [i for i in ids if wanted.lower() in i.lower()][:3]
  hint = f'Its ids look like {", ".join(ids[:3])}.'
  if near and not wanted.isdecimal():
    hint = f'Did you mean {" or ".join(near)}?'
  raise errors.UserError(
    f'--clip={wanted}: {source} has no clip with this id. {hint} Numbers from 0'
    f' to {len(ids) - 1} are accepted too.'
  )


def _clip(
  record: records.Record, layout: skeletons.Layout, class_names: Sequence[str]
) -> Clip:
  label = record['label']
  class_name = '' if label < 0 else f'class {label}'
  if 0 <= label < len(class_names):
    class_name = class_names[label]
  score = record.get('keypoint_score')
  height, width = (int(side) for side in record['img_shape'])
  return Clip(
    id=record['id'],
    class_name=class_name,
    layout=layout,
    keypoint=np.asarray(record['keypoint'], np.float32),
    score=None if score is None else np.asarray(score, np.float32),
    img_shape=(height, width),
  )
