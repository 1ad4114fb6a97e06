"""DataSpec: what a model must know about its data."""

from collections.abc import Mapping
import dataclasses
from typing import Any

from skeljax import skeletons


@dataclasses.dataclass(frozen=True)
class DataSpec:
  """Properties that all clips of a dataset share; hashable.

  The metadata of a prepared dataset and every checkpoint contain the whole
  spec.

  Attributes:
    layout: joints, bones and edges of the skeleton.
    class_names: one name per class, indexed by label.
    num_channels: coordinates per joint, 2 (pixels) or 3 (metres).
    num_persons: M, the largest number of persons in a clip; clips with fewer
      are padded.
    max_frames: number of frames of the longest clip.
    keypoint_dtype: dtype of the stored coordinates.
    score_dtype: dtype of the stored scores; '' without scores.
    normalize: 3D normalization applied by data_prep.
    project: projection from 3D to 2D applied by data_prep.
    has_img_shape: whether the image size of every clip is known.
    body_size: typical size of a skeleton in the unit of the coordinates
      (records.body_size); 0 if unknown.
    max_persons: persons that data_prep keeps per clip; 0: all, None: unknown.
    max_persons_in_frame: the same per frame of a compressed clip; None: the
      published default.
  """

  layout: skeletons.Layout
  class_names: tuple[str, ...]
  num_channels: int
  num_persons: int
  max_frames: int = 0
  keypoint_dtype: str = 'float32'
  score_dtype: str = ''
  normalize: str = 'none'
  project: str = 'none'
  has_img_shape: bool = True
  body_size: float = 0.0
  max_persons: int | None = None
  max_persons_in_frame: int | None = None

  @property
  def num_classes(self) -> int:
    return len(self.class_names)

  @property
  def num_joints(self) -> int:
    return self.layout.num_joints

  @property
  def has_score(self) -> bool:
    """Whether every joint has a confidence score."""
    return bool(self.score_dtype)

  @property
  def has_class_names(self) -> bool:
    """False if classes are only numbered, as in a PyTorch file."""
    return self.class_names != numbered_classes(self.num_classes)

  def to_dict(self) -> dict[str, Any]:
    """Return the fields as plain JSON values."""
    fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
    fields.update(
      layout=self.layout.to_dict(), class_names=list(self.class_names)
    )
    return fields

  @classmethod
  def from_dict(cls, fields: Mapping[str, Any], source: str) -> 'DataSpec':
    """Build the spec from `to_dict()`; `source` names the file in errors."""
    layout = skeletons.Layout.from_dict(fields['layout'], source=source)
    class_names = tuple(fields['class_names'])
    return cls(**dict(fields, layout=layout, class_names=class_names))

  def differences(self, trained: 'DataSpec') -> list[str]:
    """List what prevents a model trained on `trained` from reading this data.

    Returns:
      One phrase per difference, such as 'normalize is none, expected
      mmaction0x'; empty if the data fit.
    """
    pairs = [
      ('layout', self.layout.name, trained.layout.name),
      ('number of joints', self.num_joints, trained.num_joints),
      ('number of coordinates', self.num_channels, trained.num_channels),
      ('has_score', self.has_score, trained.has_score),
      ('normalize', self.normalize, trained.normalize),
      ('number of classes', self.num_classes, trained.num_classes),
    ]
    if self.num_classes == trained.num_classes:
      pairs += [
        (f'class {label}', repr(ours), repr(theirs))
        for label, (ours, theirs) in enumerate(
          zip(self.class_names, trained.class_names)
        )
      ]
    result = [f'{n} is {a}, expected {b}' for n, a, b in pairs if a != b]
    if self.num_persons > trained.num_persons:
      result.append(
        f'clips have up to {self.num_persons} persons, expected at most'
        f' {trained.num_persons} (--max_persons of data_prep.main)'
      )
    return result


def numbered_classes(count: int) -> tuple[str, ...]:
  """Return names for classes of which only the number is known."""
  return tuple(map(str, range(count)))
