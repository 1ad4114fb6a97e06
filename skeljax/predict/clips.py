"""List the clips in the files that the user names."""

from collections.abc import Callable, Iterable, Mapping, Sequence
import dataclasses
import functools
import os
from typing import Any

import numpy as np

from skeljax import errors
from skeljax import readers
from skeljax.readers import annotation_pickle
from skeljax.readers import checks
from skeljax.readers import clip_formats
from skeljax.readers import compressed
from skeljax.readers.pose_tools import frames

Item = Mapping[str, Any]

# Annotation files; every other format has one clip per file or folder.
ANNOTATIONS = 'annotations'
FORMATS = ('auto', *clip_formats.FORMATS, ANNOTATIONS)


@dataclasses.dataclass(frozen=True)
class UserClip:
  """A clip to read.

  Attributes:
    file: path as given by the user.
    id: id in the annotation file, otherwise the file name.
    format: a name in FORMATS.
    layout: name of its skeleton layout; '' if the file does not specify it.
    dtype: dtype that data_prep would give all keypoints of the file; None for
      that of the clip.
    is_compressed: whether it lists its skeletons one by one, so that reading it
      selects the persons of each frame.
    read: returns the item for readers.check_clip. Call it once: an annotation
      file releases the clip.
    read_as: returns the item with the joints of another layout; None for
      annotations.
  """

  file: str
  id: str
  format: str
  layout: str
  dtype: str | None
  is_compressed: bool
  read: Callable[[], Item]
  read_as: Callable[[str], Item] | None = None

  @property
  def where(self) -> str:
    """File and sample for error messages."""
    if self.format == ANNOTATIONS:
      return f'{self.file}, sample {self.id!r}'
    return self.file


def list_clips(
  path: str,
  format: str,
  options: clip_formats.ReadOptions,
  *,
  max_persons: int = compressed.DEFAULT_MAX_PERSONS,
) -> list[UserClip]:
  """List the clips of a file, or of a folder with one file per frame.

  Args:
    path: file or folder.
    format: one of FORMATS.
    options: how to read a clip.
    max_persons: persons to keep per frame of compressed annotations; 0: all.

  Raises:
    UserError: there is no such file, or its format is unknown.
  """
  is_pickle = path.endswith(('.pkl', '.pickle')) and os.path.isfile(path)
  if format == ANNOTATIONS or format == 'auto' and is_pickle:
    return _annotated_clips(path, options, max_persons)
  if format == 'auto':
    format = _detect(path)

  def read(layout: str) -> Item:
    read_options = dataclasses.replace(options, layout=layout)
    return clip_formats.read_clip(path, format, read_options)

  return [
    UserClip(
      file=path,
      id=os.path.basename(os.path.normpath(path)),
      format=format,
      layout=options.layout or clip_formats.layout_of(path, format),
      dtype=None,
      is_compressed=False,
      read=functools.partial(read, options.layout),
      read_as=read,
    )
  ]


def _detect(path: str) -> str:
  try:
    return clip_formats.detect(path)
  except errors.UserError as error:
    if not os.path.isdir(path) or not os.listdir(path):
      raise
    raise errors.UserError(
      f'{error} To predict every clip in a folder, name its files:'
      f' {os.path.join(path, "*")}.'
    ) from error


def _annotated_clips(
  path: str, options: clip_formats.ReadOptions, max_persons: int
) -> list[UserClip]:
  dataset = annotation_pickle.read_dataset(path)
  selection = compressed.Selection(max_persons=max_persons or None)
  items = [clip.read() for clip in dataset.clips]
  dtype = _stored_dtype(items)
  are_compressed = [compressed.is_compressed(item) for item in items]
  del items

  def read(position: int) -> Item:
    clip = dataset.clips[position]
    item, where = clip.read(), clip.where
    dataset.release(position)
    if compressed.is_compressed(item) and 'keypoint' in item:
      item = compressed.decompress_item(item, selection, where)
    stored = checks.check_img_shape(item, where)
    img_shape = frames.agreed_img_shape(
      stored if all(stored) else None, options.img_shape, where
    )
    return item if img_shape is None else {**item, 'img_shape': img_shape}

  return [
    UserClip(
      file=path,
      id=sample_id,
      format=ANNOTATIONS,
      layout=options.layout,
      dtype=dtype,
      is_compressed=are_compressed[position],
      read=functools.partial(read, position),
    )
    for position, sample_id in enumerate(dataset.ids)
  ]


def _stored_dtype(items: Iterable[Item]) -> str | None:
  """The dtype that data_prep would give the keypoints of a file."""
  arrays = [
    np.zeros(0, np.float16)
    if compressed.is_compressed(item)
    else item.get('keypoint')
    for item in items
  ]
  arrays = [array for array in arrays if isinstance(array, np.ndarray)]
  return checks.stored_dtype(arrays) if arrays else None


def check_paths(paths: Sequence[str]) -> None:
  """Raise UserError if there are no paths, or one occurs twice."""
  if not paths:
    raise errors.UserError(
      'Name the files to predict, for example: python -m skeljax.predict'
      ' --checkpoint=runs/posec3d clip1.json clip2.json.'
    )
  repeated = readers.duplicates([os.path.normpath(p) for p in paths])
  if repeated:
    raise errors.UserError(f'{repeated[0]} is named more than once.')
