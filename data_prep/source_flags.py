"""The flags that say what a source is like, for preparing and for checking."""

from typing import Any

from absl import flags

from data_prep import sources
from skeljax import skeletons
from skeljax.datasets import class_names
from skeljax.readers import checks
from skeljax.readers import clip_formats
from skeljax.readers import ntu_skeleton


def define() -> None:
  """Defines the flags, once in a process."""
  flags.DEFINE_enum(
    'source',
    'pickle',
    list(sources.SOURCES),
    'Where the clips come from, and what --input is then. '
    + ' '.join(f'{name}: {s.what}.' for name, s in sources.SOURCES.items()),
  )
  flags.DEFINE_string(
    'input', '', 'The file or folder that the --source asks for.'
  )
  flags.DEFINE_string(
    'layout',
    '',
    f'The skeleton: {", ".join(skeletons.LAYOUTS)}, or a layout file (JSON).'
    ' May be left out where the source, or the form of the clips, has always'
    ' the same; the demo knows nturgb+d (its default) and coco.',
  )
  flags.DEFINE_string(
    'class_names',
    '',
    f'{", ".join(class_names.known_lists())}, or a file with one name a line.'
    ' Default: the names that come with the clips.',
  )
  flags.DEFINE_enum(
    'third_channel',
    'auto',
    list(checks.THIRD_CHANNELS),
    'What a third channel of the keypoints is; auto asks where it is in doubt.',
  )
  _define_ntu()
  _define_clips()


def _define_ntu() -> None:
  flags.DEFINE_enum(
    'denoise',
    None,
    list(ntu_skeleton.DENOISE),
    'How the persons of raw NTU clips are chosen: as the generator of mmaction2'
    ' 1.x (default) or 0.x does, or as pyskl, whose files mmaction2 offers for'
    ' download.',
  )
  flags.DEFINE_string(
    'exclude',
    None,
    'For --source=ntu: a text file of samples to leave out, one a line, such as'
    ' the official list of missing skeletons, as in'
    ' --exclude=NTU_RGBD_samples_with_missing_skeletons.txt.',
  )


def _define_clips() -> None:
  flags.DEFINE_string(
    'labels',
    None,
    'For --source=clips: a CSV file with the columns file (relative to --input)'
    ' and label, and, if you like, split (train, val or test) and subject, as'
    ' in --labels=labels.csv. Without it, the name of the sub-folder that a'
    ' clip lies in is its label.',
  )
  flags.DEFINE_enum(
    'form',
    None,
    ['auto', *clip_formats.FORMATS],
    'For --source=clips: what wrote the clips, as in --form=openpose; auto'
    ' (default) looks at the first one.',
  )
  flags.DEFINE_enum(
    'tracking',
    None,
    ['oks', 'iou', 'none'],
    'For --source=clips: how persons are followed from frame to frame where'
    ' the clips hold no ids: by their joints (oks, default), by their boxes'
    ' (iou), or by their order in the frame, as in --tracking=none.',
  )
  flags.DEFINE_enum(
    'coordinates',
    None,
    ['image', 'world'],
    'For --source=clips from MediaPipe: pixels (default), or metres in 3D, as'
    ' in --coordinates=world.',
  )
  flags.DEFINE_string(
    'img_shape',
    None,
    'For --source=clips: height x width of the pictures, where the clips do not'
    ' say, as in --img_shape=1080x1920.',
  )
  flags.DEFINE_float(
    'val_ratio',
    None,
    'For --source=clips without a split column: part of the clips to validate'
    f' on (default {sources.DEFAULTS["val_ratio"]}), as in --val_ratio=0.3;'
    ' whole subjects where there is a subject column, else of every class.',
  )
  flags.DEFINE_integer(
    'seed',
    None,
    'For --source=clips without a split column: another number chooses other'
    ' clips to validate on, as in --seed=1 (default 0).',
  )


def choices(values: Any) -> sources.Choices:
  """What the flags say about the source."""
  return sources.Choices(
    denoise=values.denoise,
    exclude=values.exclude,
    labels=values.labels,
    form=values.form,
    tracking=values.tracking,
    coordinates=values.coordinates,
    img_shape=values.img_shape,
    val_ratio=values.val_ratio,
    seed=values.seed,
  )
