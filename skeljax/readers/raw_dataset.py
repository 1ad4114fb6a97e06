"""The interface of all readers: a dataset as a list of clips, each read lazily.

A reader module implements one of two functions, or both:

  read_dataset(source, **options) -> RawDataset   a file or folder of many clips
  read_clip(path, **options) -> Item              the file or folder of one clip

Both raise UserError for anything in the input that the user has to fix. Nothing
in a file is executed, and listing a dataset reads no clip (except where one
pickle holds all of them).
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
from typing import Any

# The content of a clip, not yet validated (see clips.check_clip):
#   'keypoint'        [M, T, V, C] array: pixels, or metres in 3D
#   'keypoint_score'  [M, T, V] array, if the source has scores
#   'img_shape'       (height, width) in pixels, if it is known
#   'total_frames'    T, optional
# and, for compressed annotations, the fields listed in readers/compressed.py.
Item = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Clip:
  """One clip of a raw dataset.

  Attributes:
    id: sample id.
    label: class index from 0 as the source gives it, not yet validated; None if
      unknown.
    path: file or folder that contains the clip, for error messages.
    read: returns the `Item`. Can be pickled and called in another process, so a
      clip can be sent to a Beam worker. Raises UserError if the file is damaged.
  """

  id: str
  label: Any
  path: str
  read: Callable[[], Item]

  @property
  def where(self) -> str:
    """File and sample for error messages."""
    return f'{self.path}, sample {self.id!r}'


@dataclasses.dataclass(frozen=True)
class RawDataset:
  """The clips, splits and class names of an annotation file or a folder.

  Attributes:
    clips: in file order.
    splits: split name -> increasing positions in `clips`.
    class_names: one name per class, or () if the source has none.
    unknown_ids: split name -> ids in the split that no clip has; only splits
      with such ids.
    source: the input path or paths, for error messages.
    in_memory: whether the clips are already in memory, so that reading one is
      free and `release` saves memory.
  """

  clips: list[Clip]
  splits: Mapping[str, Sequence[int]]
  class_names: tuple[str, ...] = ()
  unknown_ids: Mapping[str, tuple[str, ...]] = dataclasses.field(
    default_factory=dict
  )
  source: str = ''
  in_memory: bool = False

  def release(self, position: int) -> None:
    """Free the memory of a clip that is no longer needed; keep id and label."""
    self.clips[position] = dataclasses.replace(
      self.clips[position], read=_released
    )


def _released() -> Item:
  raise RuntimeError('clip was released')
