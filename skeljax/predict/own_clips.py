"""Clips of somebody's own, listed from the files that a user names.

A file is what a pose tool or a data set writes for one clip (see
skeljax.readers.clip_formats), or an annotation file with many clips, whose
labels are not needed.
"""

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

# The form of annotation files, beside those of single clips.
ANNOTATIONS = 'annotations'
FORMS = ('auto', *clip_formats.FORMATS, ANNOTATIONS)
_PICKLES = ('.pkl', '.pickle')


@dataclasses.dataclass(frozen=True)
class OwnClip:
  """One clip that is to be read.

  Attributes:
    file: as the user names it.
    id: of the clip in an annotation file; the file's name otherwise.
    form: its form, a name in clip_formats.FORMATS or ANNOTATIONS.
    layout: the name of its layout; '' where the file does not say.
    dtype: the type that keypoints of the whole file have; None for that of
      the clip alone.
    is_compressed: whether it lists its skeletons one by one; its persons are
      chosen in each frame then, when it is read.
    read: the item, as readers.check_clip takes it. An annotation file lets go of
      a clip that was read, so that it can be read once.
    read_with_layout: the item with the joints of a layout that is asked for;
      None where a file has its joints and no others.
  """

  file: str
  id: str
  form: str
  layout: str
  dtype: str | None
  is_compressed: bool
  read: Callable[[], Item]
  read_with_layout: Callable[[str], Item] | None = None

  @property
  def where(self) -> str:
    """File and clip, for the words of an error."""
    if self.form == ANNOTATIONS:
      return f'{self.file}, sample {self.id!r}'
    return self.file


def list_clips(
  path: str,
  form: str,
  options: clip_formats.ReadOptions,
  *,
  max_persons: int = compressed.DEFAULT_MAX_PERSONS,
) -> list[OwnClip]:
  """The clips of a file, or of a folder with one file a frame.

  Args:
    path: of the file.
    form: one of FORMS.
    options: how to read a clip; its layout is believed where there is one.
    max_persons: of compressed annotations, persons kept in a frame; 0: all of
      them.

  Raises:
    UserError: no such file, or one of an unknown form.
  """
  if form not in FORMS:
    raise errors.UserError(
      f'--form={form} is not known. Expected one of {", ".join(FORMS)}.'
    )
  if form == 'auto' and path.endswith(_PICKLES) and os.path.isfile(path):
    form = ANNOTATIONS
  if form == ANNOTATIONS:
    return _annotated(path, options, max_persons)
  if form == 'auto':
    form = _detect(path)

  def read(layout: str) -> Item:
    asked = dataclasses.replace(options, layout=layout)
    return clip_formats.read_clip(path, form, asked)

  return [
    OwnClip(
      file=path,
      id=os.path.basename(os.path.normpath(path)),
      form=form,
      layout=options.layout or clip_formats.layout_of(path, form),
      dtype=None,
      is_compressed=False,
      read=functools.partial(read, options.layout),
      read_with_layout=read,
    )
  ]


def _detect(path: str) -> str:
  try:
    return clip_formats.detect(path)
  except errors.UserError as error:
    if not os.path.isdir(path) or not os.listdir(path):
      raise
    raise errors.UserError(
      f'{error} If it is a folder of clips, name the clips:'
      f' {os.path.join(path, "*")}.'
    ) from error


def _annotated(
  path: str, options: clip_formats.ReadOptions, max_persons: int
) -> list[OwnClip]:
  dataset = annotation_pickle.read_dataset(path)
  selection = compressed.Selection(max_persons=max_persons or None)
  dtype = _stored_dtype(clip.read() for clip in dataset.clips)
  return [
    OwnClip(
      file=path,
      id=clip.id,
      form=ANNOTATIONS,
      layout=options.layout,
      dtype=dtype,
      is_compressed=compressed.is_compressed(clip.read()),
      read=functools.partial(
        _take, dataset, position, selection, options.img_shape
      ),
    )
    for position, clip in enumerate(dataset.clips)
  ]


def _take(
  dataset: readers.RawDataset,
  position: int,
  selection: compressed.Selection,
  img_shape: tuple[int, int] | None,
) -> Item:
  clip = dataset.clips[position]
  dataset.release(position)
  item, where = clip.read(), clip.where
  if compressed.is_compressed(item) and 'keypoint' in item:
    item = compressed.decompress_item(item, selection, where)
  known = checks.check_img_shape(item, where)
  shape = frames.agreed_img_shape(
    known if all(known) else None, img_shape, where
  )
  return item if shape is None else {**item, 'img_shape': shape}


def _stored_dtype(items: Iterable[Item]) -> str | None:
  """The type in which the preparation would store the keypoints of a file."""
  arrays = [
    np.zeros(0, np.float16)
    if compressed.is_compressed(item)
    else item.get('keypoint')
    for item in items
  ]
  arrays = [array for array in arrays if isinstance(array, np.ndarray)]
  return checks.stored_dtype(arrays) if arrays else None


def check_files(paths: Sequence[str]) -> None:
  """Raises UserError if no file is named, or one twice."""
  if not paths:
    raise errors.UserError(
      'Name the files to look at, for example: python -m skeljax.predict'
      ' --checkpoint=runs/posec3d clip1.json clip2.json.'
    )
  twice = readers.duplicates([os.path.normpath(path) for path in paths])
  if twice:
    raise errors.UserError(f'{twice[0]} is named more than once.')
