"""Options of `python -m skeljax.predict`."""

import dataclasses
import functools

from skeljax import errors
from skeljax import option
from skeljax import skeletons
from skeljax.predict import clips
from skeljax.readers import checks
from skeljax.readers import clip_formats
from skeljax.readers import ntu_skeleton


@dataclasses.dataclass(frozen=True)
class Options:
  """Flags of the command; UserError if one is invalid."""

  checkpoint: str = option.field(
    '', 'Workdir of a run, converted folder or PyTorch file (.pth).'
  )
  step: str = option.field('last', 'Step of a run: last, best or a number.')
  top: int = option.field(5, 'Number of classes to list per clip.', minimum=1)
  per_person: bool = option.field(False, 'Also classify each person alone.')
  output: str = option.field('', 'JSON file to write.')
  class_names: str = option.field(
    '', 'Class names: a known list or a file with one name per line.'
  )
  format: str = option.field(
    'auto', 'Format of the files; auto: detect it.', choices=clips.FORMATS
  )
  layout: str = option.field(
    '', 'Skeleton layout of the files; default: that of the format.'
  )
  tracking: str = option.field(
    'oks',
    'How to match persons between frames if the files have no track ids.',
    choices=('oks', 'iou', 'none'),
  )
  coordinates: str = option.field(
    'image',
    'MediaPipe landmarks to use: image (pixels) or world (metres).',
    choices=('image', 'world'),
  )
  img_shape: str = option.field(
    '', 'Image size as HEIGHTxWIDTH, for files that do not contain it.'
  )
  denoise: str = option.field(
    ntu_skeleton.DENOISE[0],
    'Choice of persons in raw NTU files, as in data_prep.',
    choices=ntu_skeleton.DENOISE,
  )
  third_channel: str = option.field(
    'auto',
    'What the third of three channels of a keypoint is.',
    choices=checks.THIRD_CHANNELS,
  )
  max_persons: int | None = option.field(
    None,
    'Keep the N persons with the most motion; 0: all. Default: as for the'
    ' training data, all for a published PoseC3D.',
    minimum=0,
  )
  num_clips: int = option.field(
    0, 'Test views per clip; 0: as in the config.', minimum=0
  )
  mirrored: bool | None = option.field(
    None,
    'Also score the flipped copy of each view (PoseC3D); default: as in the'
    ' config.',
  )
  batch_size: int = option.field(
    0, 'Clips per step; 0: as in the config.', minimum=0
  )
  check_units: bool = option.field(
    True, 'Report clips in another unit than the training data as errors.'
  )
  keep_going: bool = option.field(
    False, 'Predict the valid clips even if others have errors.'
  )

  def __post_init__(self):
    option.check(self, '--')
    if not self.checkpoint:
      raise errors.UserError(
        '--checkpoint is missing, for example'
        ' --checkpoint=runs/agcn_bone-demo_3d_mmaction0x or --checkpoint=model.pth.'
      )
    if self.output and not self.output.endswith('.json'):
      raise errors.UserError(
        f'--output={self.output}: expected a .json file, for example'
        ' --output=predictions.json.'
      )
    if self.layout:
      skeletons.get_layout(self.layout)
    _ = self.read_options

  @functools.cached_property
  def read_options(self) -> clip_formats.ReadOptions:
    """How to read files of pose tools."""
    return clip_formats.ReadOptions(
      tracking=self.tracking,
      coordinates=self.coordinates,
      img_shape=checks.parse_img_shape(self.img_shape),
      denoise=self.denoise,
      layout=self.layout,
    )
