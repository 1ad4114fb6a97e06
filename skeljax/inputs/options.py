"""What a model is to see of a batch, checked when it is written down."""

import dataclasses

from skeljax import errors
from skeljax import skeletons
from skeljax.inputs import augment
from skeljax.inputs import streams

NORMALIZE_2D = ('none', 'mmaction0x', 'mmaction1x', 'pyskl_fix', 'pyskl_auto')
# The score up to which a point is left out of the box that datasets hold.
BOX_THRESHOLD = 0.01
KEYPOINT_DTYPES = ('float16', 'float32', 'float64')


@dataclasses.dataclass(frozen=True)
class FeatureOptions:
  """What the model sees of a batch; hashable, static under jit.

  Attributes:
    layout: bones and mirror pairs.
    stream: 'joint', 'bone', 'joint_motion' or 'bone_motion'.
    num_channels: coordinates of a joint, 2 or 3.
    has_score: whether batches carry a score for each joint, which becomes the
      last channel.
    normalize_2d: 'mmaction1x' is PreNormalize2D: missing points become -1,
      padding 0. 'mmaction0x' is PoseNormalize: both become -0.5. 'pyskl_fix'
      and 'pyskl_auto' are PreNormalize2D of pyskl, by the size of the picture
      or by the clip's own box: points without score become 0, padding 0.
    normalize_2d_threshold: with pyskl's, the score up to which a point is
      missing; a dataset's boxes fit BOX_THRESHOLD only.
    published_rounding: with 'mmaction1x' and a float16 source, round to float16
      after each operation that is float16 there. Nothing else is rounded: the
      other published pipelines compute in float32.
    keypoint_dtype: of the source.
    rotate: training only; largest angles in degrees about x, y, z, or in 2D one
      angle; about the origin of the normalised coordinates.
    scale: training only; factor 1 + U(-scale, scale) per axis.
    shift: training only; offset U(-shift, shift) per axis.
    flip: training only; probability of the left-right mirror.
    centre_first_frame: subtract the layout's origin joint of the first person
      in the first frame of the clip.
    min_max: scale every clip to [-1, 1] per axis by its own extent.
    rotate_order: 'zyx' turns about z first, then y, then x, as CTR-GCN's
      NW-UCLA recipe does; 'xyz' is pyskl's RandomRot.

  Raises:
    UserError: a value is unknown or out of range, or two contradict.
  """

  layout: skeletons.Layout
  stream: str
  num_channels: int
  has_score: bool
  normalize_2d: str = 'none'
  normalize_2d_threshold: float = BOX_THRESHOLD
  published_rounding: bool = False
  keypoint_dtype: str = 'float32'
  rotate: tuple[float, ...] = ()
  scale: float = 0.0
  shift: float = 0.0
  flip: float = 0.0
  centre_first_frame: bool = False
  min_max: bool = False
  rotate_order: str = 'zyx'

  def __post_init__(self):
    _check_choices(self)
    _check_ranges(self)
    _check_combinations(self)

  @property
  def num_input_channels(self) -> int:
    """C as the model sees it."""
    return self.num_channels + int(self.has_score)

  @property
  def needs_whole_clip(self) -> bool:
    """Whether batches must hold whole clips; frames are chosen afterwards."""
    return self.centre_first_frame or self.min_max

  @property
  def needs_next(self) -> bool:
    """Whether batches must hold the successor of every frame."""
    return self.stream.endswith('motion') and not self.needs_whole_clip

  @property
  def needs_box(self) -> bool:
    """Whether batches must hold the box of every clip."""
    return self.normalize_2d == 'pyskl_auto'

  @property
  def drops_low_scores(self) -> bool:
    """Whether points with a low score count as missing and become zero."""
    return self.has_score and self.normalize_2d.startswith('pyskl')

  @property
  def is_random(self) -> bool:
    """Whether training draws a random view of each clip."""
    return bool(self.flip or self.scale or self.shift or any(self.rotate))

  @property
  def computes_in_half(self) -> bool:
    """Whether 2D coordinates are rounded to float16 as published."""
    return (
      self.published_rounding
      and self.normalize_2d == 'mmaction1x'
      and self.keypoint_dtype == 'float16'
    )


def _check_choices(options: FeatureOptions) -> None:
  for name, allowed in (
    ('stream', streams.STREAMS),
    ('num_channels', (2, 3)),
    ('normalize_2d', NORMALIZE_2D),
    ('keypoint_dtype', KEYPOINT_DTYPES),
    ('rotate_order', augment.ROTATE_ORDERS),
  ):
    value = getattr(options, name)
    if value not in allowed:
      raise errors.UserError(
        f'The feature option {name} is {value!r}; it must be one of '
        f'{", ".join(map(str, allowed))}.'
      )


def _check_ranges(options: FeatureOptions) -> None:
  num_angles = 3 if options.num_channels == 3 else 1
  if len(options.rotate) not in (0, num_angles):
    raise errors.UserError(
      f'The feature option rotate has {len(options.rotate)} angles; '
      f'{options.num_channels}D skeletons turn by {num_angles} (degrees about '
      'x, y, z in 3D; one angle in 2D), or give () for none.'
    )
  threshold = options.normalize_2d_threshold
  for name, values, low, high in (
    ('rotate', options.rotate, 0, 180),
    ('scale', (options.scale,), 0, 0.99),
    ('shift', (options.shift,), 0, float('inf')),
    ('flip', (options.flip,), 0, 1),
    ('normalize_2d_threshold', (threshold,), 0, float('inf')),
  ):
    for value in values:
      # Written so that NaN fails too.
      if not low <= value <= high:
        raise errors.UserError(
          f'The feature option {name} is {value}; it must lie between {low} '
          f'and {high}.'
        )


def _check_combinations(options: FeatureOptions) -> None:
  if options.normalize_2d != 'none' and options.num_channels != 2:
    raise errors.UserError(
      f'The feature option normalize_2d is {options.normalize_2d!r}, but the '
      f'skeletons are {options.num_channels}D: use none, and normalise 3D '
      'skeletons when they are prepared.'
    )
  threshold = options.normalize_2d_threshold
  if options.needs_box and options.has_score and threshold != BOX_THRESHOLD:
    raise errors.UserError(
      f'The feature option normalize_2d_threshold is {threshold}, but '
      'pyskl_auto normalises by the boxes in prepared datasets, which hold '
      f'points with a score above {BOX_THRESHOLD}: use {BOX_THRESHOLD}, or '
      'normalize_2d pyskl_fix. Without scores any threshold will do.'
    )
  if options.centre_first_frame and options.layout.origin is None:
    raise errors.UserError(
      'The feature option centre_first_frame subtracts the origin joint, but '
      f"layout {options.layout.name!r} names no 'origin'."
    )
  if options.needs_whole_clip and options.normalize_2d != 'none':
    raise errors.UserError(
      'The feature options centre_first_frame and min_max are normalisations '
      f'themselves: use them with normalize_2d none, not '
      f'{options.normalize_2d!r}.'
    )
