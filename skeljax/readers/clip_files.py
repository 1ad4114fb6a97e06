"""Clips that lie in files of their own, read one by one when asked for.

The readers of folders and of large arrays return these as the items of their
`Annotations`, so that memory does not grow with the number of clips: listing
costs a name, a label and a place each, and whoever wants a clip, a Beam worker
among them, reads it then and there.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
from typing import Any

Item = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class ClipFile:
  """Where one clip lies.

  Attributes:
    id: the sample id.
    path: the file or folder that holds it.
    label: counted from 0; None when it is not known.
    row: which clip of the file, where a file holds several.
  """

  id: str
  path: str
  label: int | None = None
  row: int = 0


@dataclasses.dataclass(frozen=True)
class ClipFiles(Sequence[Item]):
  """Items of Annotations that are read when they are asked for.

  Attributes:
    files: one a clip, in order.
    read: what is in a clip's file, as an item without id and label: 'keypoint'
      [M, T, V, C], and 'keypoint_score' [M, T, V], 'img_shape' (height, width)
      where they are known. It can be pickled, for Beam's workers, and raises
      UserError, with the file in the words, where the user can mend it.
  """

  files: Sequence[ClipFile]
  read: Callable[[ClipFile], Item]

  def __len__(self) -> int:
    return len(self.files)

  def __getitem__(self, index: int) -> dict[str, Any]:
    file = self.files[index]
    item = {'frame_dir': file.id, **self.read(file)}
    if file.label is not None:
      item['label'] = file.label
    return item

  def __setitem__(self, index: int, value: None) -> None:
    """Does nothing: callers free items so, and no clip is held here."""
