"""The interface of a clip format; clip_formats.py is the list of formats."""

from collections.abc import Callable
import dataclasses

from skeljax.readers import raw_dataset


@dataclasses.dataclass(frozen=True)
class ReadOptions:
  """How to read a clip, where its file allows a choice.

  Attributes:
    tracking: how persons without track ids are matched from frame to frame:
      'oks', 'iou' or 'none' (see skeljax.readers.tracking).
    coordinates: of MediaPipe: 'image' (pixels) or 'world' (metres).
    img_shape: (height, width) of the images, if the file does not contain it.
    denoise: how persons are selected in raw NTU files (see ntu_skeleton).
    layout: expected layout, '' for any. With 'coco', clips of 26, 133 or 136
      joints are cut to the first 17, which are those of COCO; joints are never
      removed otherwise. If the clip has another known layout with the same
      number of joints, reading fails.
  """

  tracking: str = 'oks'
  coordinates: str = 'image'
  img_shape: tuple[int, int] | None = None
  denoise: str = 'mmaction1x'
  layout: str = ''


@dataclasses.dataclass(frozen=True)
class ClipFormat:
  """A format with one clip per file or per folder, without label.

  Attributes:
    name: value of the flag --format.
    description: content of the file, for messages.
    is_clip: whether a path has this format, judging by its name and first
      bytes. Must not raise for files of other formats.
    read: reads a clip. Raises UserError if the file is damaged.
    layout_of: the layout of a clip, '' if it cannot be inferred.
    explain_no_layout: a sentence for that case: what to do.
  """

  name: str
  description: str
  is_clip: Callable[[str], bool]
  read: Callable[[str, ReadOptions], raw_dataset.Item]
  layout_of: Callable[[str], str]
  explain_no_layout: Callable[[str], str]
