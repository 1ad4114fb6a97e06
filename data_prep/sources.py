"""Where annotations come from: one name, one kind of input, one reader each.

All but pickles are read lazily: opening a source lists its clips, and whoever
needs a clip reads it then.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import os
from typing import Any

from data_prep import own_data
from skeljax import errors
from skeljax import readers
from skeljax import skeletons
from skeljax.datasets import class_names as class_names_lib
from skeljax.readers import annotation_pickle
from skeljax.readers import checks
from skeljax.readers import clip_formats
from skeljax.readers import ctrgcn_npz
from skeljax.readers import kinetics_skeleton
from skeljax.readers import ntu_skeleton
from skeljax.readers import ntu_splits
from skeljax.readers import stgcn_npy
from skeljax.readers import ucla_json

Inputs = Mapping[str, str]

# So many clips are looked at for the skeleton.
_NUM_LOOKS = 16


@dataclasses.dataclass(frozen=True)
class Source:
  """A kind of input.

  Attributes:
    what: --input is, in words that follow 'expected'.
    is_folder: whether the input is a folder; None where it may be either.
    takes_splits: whether train=A,val=B is understood.
    layout: the skeleton, where it is always the same.
    choices: the fields of `Choices` that count.
  """

  what: str
  is_folder: bool | None = False
  takes_splits: bool = False
  layout: str = ''
  choices: tuple[str, ...] = ()


SOURCES = {
  'pickle': Source(
    'an annotation file of mmaction2 or pyskl, or train=TRAIN.pkl,val=VAL.pkl',
    takes_splits=True,
  ),
  'demo': Source('nothing: the clips are made', layout='nturgb+d'),
  'ntu': Source(
    'the folder with the .skeleton files of NTU RGB+D',
    is_folder=True,
    layout='nturgb+d',
    choices=('denoise', 'exclude'),
  ),
  'kinetics_skeleton': Source(
    'the folder with kinetics_train, kinetics_val and their label files',
    is_folder=True,
    layout='openpose-18',
  ),
  'npy': Source(
    'a folder with arrays and labels of ST-GCN, 2s-AGCN or BABEL, or'
    ' train=TRAIN.npy,val=VAL.npy',
    is_folder=None,
    takes_splits=True,
  ),
  'npz': Source(
    'the .npz file of CTR-GCN, with x_train, y_train and so on, or the folder'
    ' into which it was unpacked',
    is_folder=None,
  ),
  'ucla': Source(
    'the folder with the JSON files of Northwestern-UCLA',
    is_folder=True,
    layout='ucla',
  ),
  'clips': Source(
    'a folder of clips',
    is_folder=True,
    choices=(
      'labels',
      'form',
      'tracking',
      'coordinates',
      'img_shape',
      'denoise',
      'val_ratio',
      'seed',
    ),
  ),
}

# What the fields of `Choices` are where they are not given.
_READ = clip_formats.ReadOptions()
DEFAULTS = {
  'denoise': _READ.denoise,
  'exclude': '',
  'labels': '',
  'form': 'auto',
  'tracking': _READ.tracking,
  'coordinates': _READ.coordinates,
  'img_shape': '',
  'val_ratio': own_data.VAL_RATIO,
  'seed': 0,
}
# Files whose words count, wherever they lie.
FILES = ('exclude', 'labels')


@dataclasses.dataclass(frozen=True)
class Choices:
  """What concerns some sources only; None where nothing was said.

  Attributes:
    denoise: which persons of raw NTU clips to take; see ntu_skeleton.
    exclude: a file that lists clips to leave out.
    labels: a list of what the clips show; see label_lists.
    form: of the clips; a key of clip_formats.FORMATS or 'auto'.
    tracking: how persons are followed; see clip_formats.ReadOptions.
    coordinates: which ones to take; see clip_formats.ReadOptions.
    img_shape: 'HEIGHTxWIDTH' of the pictures.
    val_ratio: part of the clips to validate on where nothing says which.
    seed: of that choice.
  """

  denoise: str | None = None
  exclude: str | None = None
  labels: str | None = None
  form: str | None = None
  tracking: str | None = None
  coordinates: str | None = None
  img_shape: str | None = None
  val_ratio: float | None = None
  seed: int | None = None

  def value(self, name: str) -> Any:
    """What was said, or the default."""
    said = getattr(self, name)
    return DEFAULTS[name] if said is None else said

  def read_options(self, layout: str) -> clip_formats.ReadOptions:
    """How clips are read whose skeleton is to be `layout`; '' for any."""
    return clip_formats.ReadOptions(
      tracking=self.value('tracking'),
      coordinates=self.value('coordinates'),
      img_shape=checks.parse_img_shape(self.value('img_shape')),
      denoise=self.value('denoise'),
      # Only those by name can ask for a part of a tool's joints.
      layout=layout if layout in skeletons.LAYOUTS else '',
    )


def parse_input(source: str, text: str) -> dict[str, str]:
  """Files by split; by '' what holds the splits; none for the demo."""
  if source == 'demo':
    if text:
      raise errors.UserError(
        '--source=demo makes its clips: leave out --input.'
      )
    return {}
  if not text:
    raise errors.UserError(
      f'--input is missing: {SOURCES[source].what}. --help shows examples;'
      ' --source=demo needs no file.'
    )
  if not SOURCES[source].takes_splits:
    return {'': text}
  paths = readers.split_paths(text)
  return {'': paths} if isinstance(paths, str) else paths


def check(source: str, inputs: Inputs, choices: Choices) -> None:
  """Finds mistakes that can be seen without reading the clips.

  Raises:
    UserError: the source is not known, its input is not there, or a flag does
      not belong to it.
  """
  if source not in SOURCES:
    raise errors.UserError(
      f'--source={source} is not known; it is one of {", ".join(SOURCES)}.'
    )
  kind = SOURCES[source]
  for field in dataclasses.fields(choices):
    if getattr(choices, field.name) is None or field.name in kind.choices:
      continue
    owners = [n for n, other in SOURCES.items() if field.name in other.choices]
    raise errors.UserError(
      f'--{field.name} says nothing about --source={source}. Leave it out; it'
      f' belongs to --source={" and --source=".join(owners)}.'
    )
  for path in inputs.values():
    _check_path(path, kind)
  for name in FILES:
    path = choices.value(name)
    if path and not os.path.isfile(path):
      inside = [os.path.join(folder, path) for folder in inputs.values()]
      hint = ''.join(
        f' Did you mean --{name}={p}?' for p in inside if os.path.isfile(p)
      )
      raise errors.UserError(f'--{name}: there is no file {path}.{hint}')
  checks.parse_img_shape(choices.value('img_shape'))
  if source == 'clips':
    _check_own(choices)


def _check_path(path: str, kind: Source) -> None:
  is_there = os.path.exists(path)
  if kind.is_folder is None:
    if not is_there:
      raise errors.UserError(
        f'--input: there is neither a file nor a folder {path}. Expected'
        f' {kind.what}.'
      )
    return
  if kind.is_folder and not os.path.isdir(path):
    what = 'is a file' if is_there else 'is not there'
    raise errors.UserError(f'--input={path} {what}. Expected {kind.what}.')
  if not kind.is_folder and not os.path.isfile(path):
    found = f', only a folder: expected {kind.what}' if is_there else ''
    raise errors.UserError(f'--input: there is no file {path}{found}.')


def _check_own(choices: Choices) -> None:
  form = choices.value('form')
  if form != 'auto' and form not in clip_formats.FORMATS:
    raise errors.UserError(
      f'--form={form} is not known; it is auto or one of'
      f' {", ".join(clip_formats.FORMATS)}.'
    )
  if not 0 < choices.value('val_ratio') < 1:
    raise errors.UserError(
      f'--val_ratio={choices.val_ratio:g}: expected the part of the clips to'
      ' validate on, above 0 and below 1, as in 0.2.'
    )


def layout_of(source: str, inputs: Inputs, choices: Choices) -> str:
  """The skeleton of a source; '' where it must be said."""
  if source != 'clips':
    return SOURCES[source].layout
  lines = own_data.list_clips(inputs[''], choices.value('labels'))
  # A clip that shows nobody has no joints to tell it by.
  for line in lines[:_NUM_LOOKS]:
    path = os.path.join(inputs[''], line.file)
    layout = clip_formats.layout_of(path, choices.value('form'))
    if layout:
      return layout
  return ''


def layout_advice(source: str, inputs: Inputs, choices: Choices) -> str:
  """What the first clip says about a layout that has to be given, in words."""
  if source != 'clips':
    return ''
  line = own_data.list_clips(inputs[''], choices.value('labels'))[0]
  path = os.path.join(inputs[''], line.file)
  return ' ' + clip_formats.explain_no_layout(path, choices.value('form'))


def files_beside(source: str, path: str) -> list[str]:
  """Files that are read with an input file without being named."""
  return [stgcn_npy.label_path(path)] if source == 'npy' else []


def open_source(
  source: str,
  inputs: Inputs,
  choices: Choices,
  class_names: Sequence[str] = (),
  layout: str = '',
) -> readers.RawDataset:
  """The annotations of a source that was checked.

  Args:
    source: a key of SOURCES; the demo has been written as a pickle.
    inputs: see parse_input.
    choices: what was said about it.
    class_names: given by the user; () for those of the source.
    layout: the skeleton that is wanted; '' where any will do.

  Raises:
    UserError: something in the input is not as it should be.
  """
  whole = inputs.get('', inputs)
  if source in ('pickle', 'demo'):
    return annotation_pickle.read_dataset(whole)
  if source == 'ntu':
    path = choices.value('exclude')
    return ntu_skeleton.read_dataset(
      whole,
      denoise=choices.value('denoise'),
      exclude=ntu_splits.load_exclude_list(path) if path else (),
      class_names_60=class_names_lib.load_class_names('ntu60'),
    )
  if source == 'kinetics_skeleton':
    return kinetics_skeleton.read_dataset(whole)
  if source == 'npy':
    return stgcn_npy.read_dataset(whole)
  if source == 'npz':
    return ctrgcn_npz.read_dataset(whole)
  if source == 'ucla':
    return ucla_json.read_dataset(whole)
  return own_data.read_annotations(
    whole,
    labels=choices.value('labels'),
    form=choices.value('form'),
    options=choices.read_options(layout),
    class_names=class_names,
    val_ratio=choices.val_ratio,
    seed=choices.seed,
  )
