"""Clips in memory, where otherwise a split of a prepared dataset is read."""

from collections.abc import Mapping, Sequence
import dataclasses

from skeljax.datasets import records

SPLIT = 'clips'


@dataclasses.dataclass(frozen=True)
class ClipList:
  """What pipeline.eval_batches asks of a dataset, of one split.

  Attributes:
    name: names the clips in errors.
    clips: records that are alike in layout, channels and types.
  """

  name: str
  clips: Sequence[records.Record]

  @property
  def directory(self) -> str:
    return self.name

  @property
  def num_clips(self) -> Mapping[str, int]:
    return {SPLIT: len(self.clips)}

  @property
  def num_persons(self) -> int:
    """The largest number of persons in a clip."""
    return max(len(clip['keypoint']) for clip in self.clips)

  @property
  def max_frames(self) -> int:
    """Frames of the longest clip."""
    return max(clip['total_frames'] for clip in self.clips)

  def source(self, split: str) -> Sequence[records.Record]:
    del split  # There is one.
    return self.clips
