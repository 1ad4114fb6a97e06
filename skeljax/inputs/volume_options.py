"""What PoseC3D is to see of a batch, checked when it is written down."""

from collections.abc import Sequence
import dataclasses

from skeljax import errors
from skeljax import skeletons

STREAMS = ('keypoint', 'limb', 'keypoint_limb')
RESIZES = ('short_side', 'stretch')
MIRRORS = ('1x', '0x')


@dataclasses.dataclass(frozen=True)
class VolumeOptions:
  """How keypoints become heatmap volumes; hashable, static under jit.

  Attributes:
    layout: joints, limbs and mirror pairs.
    has_score: whether batches carry a score for each joint; without, every
      joint of every person of the record has score 1, as published.
    stream: 'keypoint' draws a blob for each joint, 'limb' a line for each of
      the layout's limbs, 'keypoint_limb' both, joints first.
    sigma: of the blobs, in pixels of the volume.
    use_score: False draws every joint with score 1, whatever its score.
    min_score: joints, and limbs with an end, below this are not drawn; 1e-4 in
      mmaction2, 1e-3 in pyskl.
    scaling: of the volume against the sizes below.
    short_side: training only; what the short side is resized to before the
      random crop, in pixels.
    size: training only; height and width after the crop.
    test_size: height and width otherwise.
    resize: outside training, 'short_side' resizes the short side to test_size
      and cuts the centre out; 'stretch' resizes both sides (mmaction2's
      Kinetics-400, pyskl).
    compact_padding: the box around all keypoints grows by this fraction.
    compact_threshold: a box narrower or lower than this, in pixels, is not cut
      out.
    compact_hw_ratio: (least height / width, greatest height / width) of the
      box, which grows to meet them; () for none.
    allow_imgpad: whether the box may leave the picture.
    crop_area: training only; range of the random crop's area, as fractions.
    crop_aspect: training only; range of its width / height.
    flip: training only; probability of the left-right mirror.
    mirror: how mirrored test views are made: '1x' reverses the volume, so that
      column x becomes W - 1 - x; '0x' draws keypoints at W - x.

  Raises:
    UserError: a value is unknown or out of range, or two contradict.
  """

  layout: skeletons.Layout
  has_score: bool
  stream: str = 'keypoint'
  sigma: float = 0.6
  use_score: bool = True
  min_score: float = 1e-4
  scaling: float = 1.0
  short_side: int = 64
  size: int = 56
  test_size: int = 64
  resize: str = 'short_side'
  compact_padding: float = 0.25
  compact_threshold: float = 10.0
  compact_hw_ratio: tuple[float, ...] = (1.0, 1.0)
  allow_imgpad: bool = True
  crop_area: tuple[float, float] = (0.56, 1.0)
  crop_aspect: tuple[float, float] = (3 / 4, 4 / 3)
  flip: float = 0.5
  mirror: str = '1x'

  def __post_init__(self):
    _check_choices(self)
    _check_ranges(self)
    _check_pairs(self)
    _check_sizes(self)
    if self.draws_limbs and not self.layout.limbs:
      raise errors.UserError(
        f'--config.input.stream={self.stream}: layout {self.layout.name!r} '
        "has no limbs to draw. Name joint pairs as 'limbs' in its layout file, "
        'or give --config.input.stream=keypoint.'
      )

  @property
  def draws_keypoints(self) -> bool:
    return self.stream != 'limb'

  @property
  def draws_limbs(self) -> bool:
    return self.stream != 'keypoint'

  @property
  def num_channels(self) -> int:
    """C of the volume."""
    return (
      self.draws_keypoints * self.layout.num_joints
      + self.draws_limbs * len(self.layout.limbs)
    )

  def drawn_size(self, train: bool) -> int:
    """Height and width of the volume."""
    return round((self.size if train else self.test_size) * self.scaling)


def _check_choices(options: VolumeOptions) -> None:
  for name, allowed in (
    ('stream', STREAMS),
    ('resize', RESIZES),
    ('mirror', MIRRORS),
  ):
    value = getattr(options, name)
    if value not in allowed:
      raise errors.UserError(
        f'--config.input.{name}={value}: it must be one of '
        f'{", ".join(allowed)}.'
      )


def _check_ranges(options: VolumeOptions) -> None:
  for name in ('sigma', 'scaling'):
    value = getattr(options, name)
    # Written so that NaN fails too.
    if not 0 < value < float('inf'):
      raise errors.UserError(
        f'--config.input.{name}={value}: it must be a number greater than 0.'
      )
  for name, low, high in (
    ('min_score', 0, 1),
    ('compact_padding', 0, float('inf')),
    ('compact_threshold', 1, float('inf')),
    ('flip', 0, 1),
  ):
    value = getattr(options, name)
    if not low <= value <= high:
      raise errors.UserError(
        f'--config.input.{name}={value}: it must lie between {low} and {high}.'
      )


def _check_pairs(options: VolumeOptions) -> None:
  """Ranges of two values."""
  for name, high in (('crop_area', 1), ('crop_aspect', float('inf'))):
    pair = getattr(options, name)
    if not _is_range(pair, high):
      raise errors.UserError(
        f'--config.input.{name}={_listed(pair)}: it must be two numbers '
        f'above 0, the smaller first, none greater than {high}.'
      )
  pair = options.compact_hw_ratio
  if len(pair) and not _is_range(pair, float('inf')):
    raise errors.UserError(
      f'--config.input.compact_hw_ratio={_listed(pair)}: it must be two '
      'numbers above 0, the smaller first, or () to keep the box as it is.'
    )


def _listed(pair: Sequence[float]) -> str:
  """A pair as it is written on the command line, without spaces."""
  return f'({",".join(map(str, pair))})'


def _is_range(pair: Sequence[float], high: float) -> bool:
  return len(pair) == 2 and 0 < pair[0] <= pair[1] <= high


def _check_sizes(options: VolumeOptions) -> None:
  for name in ('short_side', 'size', 'test_size'):
    value = getattr(options, name)
    if value < 1 or value != int(value):
      raise errors.UserError(
        f'--config.input.{name}={value}: it must be a whole number of '
        'pixels, at least 1.'
      )
  for name in ('size', 'test_size'):
    scaled = getattr(options, name) * options.scaling
    if round(scaled) < 1 or abs(scaled - round(scaled)) > 1e-6:
      raise errors.UserError(
        f'--config.input.{name}={getattr(options, name)} and '
        f'--config.input.scaling={options.scaling} make heatmaps '
        f'{scaled:g} pixels wide: change one so that the product is a whole '
        'number of pixels.'
      )
