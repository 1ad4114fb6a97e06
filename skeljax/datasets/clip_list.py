"""Clips in memory, as a dataset of one split."""

from collections.abc import Mapping, Sequence
import dataclasses

from skeljax.datasets import records
from skeljax.datasets.spec import DataSpec

SPLIT = 'clips'


@dataclasses.dataclass(frozen=True)
class ClipList:
  """A dataset of one split, `SPLIT`, for pipeline.eval_batches.

  Attributes:
    name: names the clips in errors.
    clips: records with the same layout, channels and dtypes.
    spec: of these clips.
  """

  name: str
  clips: Sequence[records.Record]
  spec: DataSpec

  @property
  def directory(self) -> str:
    return self.name

  @property
  def num_clips(self) -> Mapping[str, int]:
    return {SPLIT: len(self.clips)}

  def source(self, split: str) -> Sequence[records.Record]:
    del split  # There is only one.
    return self.clips
