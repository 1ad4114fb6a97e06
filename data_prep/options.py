"""Options of data_prep: one field per flag, used by `main` and `check`."""

from collections.abc import Mapping
import dataclasses
import hashlib
import json
import os
from typing import Any

from absl import logging

from data_prep import input_hashes
from data_prep.demo import annotations as demo
from skeljax import errors
from skeljax import option
from skeljax import readers
from skeljax import skeletons
from skeljax.datasets import class_names as class_names_lib
from skeljax.datasets import finish
from skeljax.readers import checks
from skeljax.readers import clip_formats
from skeljax.readers import compressed
from skeljax.readers import ntu_skeleton
from skeljax.readers import stgcn_npy
from skeljax.skeletons import layout as layout_lib

# Part of every fingerprint. Raise it when the same input and options give other
# records than before.
CODE_VERSION = 3

# Persons per clip that the published graph networks use.
_DEFAULT_MAX_PERSONS = 2


@dataclasses.dataclass(frozen=True)
class Source:
  """An input format.

  Attributes:
    input: what --input has to be.
    is_folder: whether --input is a folder; None if it may be a file as well.
    has_input: whether there is an --input at all.
    takes_splits: whether --input=train=A,val=B is allowed.
    layout: the skeleton layout, if all datasets of this format have the same.
  """

  input: str
  is_folder: bool | None = True
  has_input: bool = True
  takes_splits: bool = False
  layout: str = ''


SOURCES = {
  'pickle': Source(
    'an annotation file of mmaction2 or pyskl, or train=TRAIN.pkl,val=VAL.pkl',
    is_folder=False,
    takes_splits=True,
  ),
  'demo': Source(
    'not needed, the clips are generated', has_input=False, layout='nturgb+d'
  ),
  'ntu': Source(
    'the folder of .skeleton files of NTU RGB+D', layout='nturgb+d'
  ),
  'kinetics_skeleton': Source(
    'the folder with kinetics_train, kinetics_val and their label files',
    layout='openpose-18',
  ),
  'npy': Source(
    'a folder with the arrays and labels of ST-GCN, 2s-AGCN or BABEL, or'
    ' train=TRAIN.npy,val=VAL.npy',
    is_folder=None,
    takes_splits=True,
  ),
  'npz': Source(
    'the .npz file of CTR-GCN (x_train, y_train, ...) or the folder of its'
    ' arrays',
    is_folder=None,
  ),
  'ucla': Source(
    'the folder of JSON files of Northwestern-UCLA', layout='ucla'
  ),
  'clips': Source('a folder of clips'),
}

_ALL = tuple(SOURCES)
_READ = clip_formats.ReadOptions()


def _field(
  default: Any, help: str, sources: tuple[str, ...] = _ALL, **rules: Any
) -> Any:
  """Declare an option.

  Args:
    default: default value.
    help: help text of the flag.
    sources: the keys of SOURCES that use the option.
    **rules: see option.field, and 'is_file' for the path of a file whose
      content, not its name, is part of the fingerprint.
  """
  if sources != _ALL:
    help = f'{help} Only for --source={" or ".join(sources)}.'
  return option.field(default, help, sources=sources, **rules)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
  """What to prepare. `--help` of data_prep.main prints the help texts."""

  source: str = _field(
    'pickle',
    'Input format, which determines --input. '
    + ' '.join(f'{name}: {s.input}.' for name, s in SOURCES.items()),
    choices=_ALL,
  )
  input: str = _field('', 'File or folder to read, see --source.')
  protocol: str = _field(
    '',
    'Split protocol: xsub selects the splits xsub_train and xsub_val of the'
    ' input. Not needed if there is only one.',
  )
  layout: str = _field(
    '',
    f'Skeleton layout: {", ".join(skeletons.LAYOUTS)}, or a layout file (JSON).'
    ' Not needed if the source or the clip format implies it. The demo has'
    ' nturgb+d (default) and coco.',
  )
  class_names: str = _field(
    '',
    f'{", ".join(class_names_lib.known_lists())}, or a file with one name per'
    ' line. Default: the names in the input.',
  )
  third_channel: str = _field(
    'auto',
    'Meaning of a third keypoint channel; auto: coordinate, but an error if the'
    ' values look like scores.',
    choices=checks.THIRD_CHANNELS,
  )
  normalize: str = _field(
    'none',
    '3D normalization: mmaction1x (PreNormalize3D), mmaction0x (that of the 0.x'
    ' generator) or none. Must be the one that the config names.',
    choices=tuple(finish.NORMALIZERS),
  )
  project: str = _field(
    'none',
    'Convert 3D to 2D skeletons, for PoseC3D. orthographic: drop the depth and'
    ' fit each clip with one scale into an image of 1920 x 1080 pixels; missing'
    ' joints get score 0, all others 1.',
    choices=tuple(finish.PROJECTIONS),
  )
  max_persons: int | None = _field(
    None,
    'Persons to keep per clip, those with the most motion (default'
    f' {_DEFAULT_MAX_PERSONS}); for compressed clips, persons per frame, those'
    f' with the highest scores (default {compressed.DEFAULT_MAX_PERSONS}). 0:'
    ' all.',
    minimum=0,
  )
  drop_empty: bool = _field(False, 'Drop clips without any person.')
  skeletons: str = _field(
    '',
    'Directory of the keypoints that compressed annotations (Kinetics-400)'
    ' do not contain: ID.pkl per clip, or the bundles named by raw_file.',
    ('pickle',),
  )
  valid_ratio: float = _field(
    0.0,
    'Keep the compressed training clips that have a box with a score of at least'
    ' --box_threshold in at least this fraction of their frames, and only such'
    ' boxes. 0: all clips with all boxes, as published. Validation clips are'
    ' always kept.',
    ('pickle',),
    minimum=0,
    maximum=1,
  )
  box_threshold: float | None = _field(
    None,
    'Smallest box score if there is a --valid_ratio (default'
    f' {compressed.DEFAULT_BOX_THRESHOLD}).',
    ('pickle',),
    choices=compressed.BOX_THRESHOLDS,
  )
  denoise: str = _field(
    _READ.denoise,
    'How persons of raw NTU clips are selected: as in mmaction2 1.x, as in 0.x,'
    ' or as in pyskl, which made the files offered by mmaction2.',
    ('ntu', 'clips'),
    choices=tuple(ntu_skeleton.DENOISE),
  )
  exclude: str = _field(
    '',
    'Text file with one sample to leave out per line, for example the official'
    ' NTU_RGBD_samples_with_missing_skeletons.txt.',
    ('ntu',),
    is_file=True,
  )
  labels: str = _field(
    '',
    'CSV file with the columns file (relative to --input) and label, optionally'
    ' split (train, val or test) and subject. Without it, the sub-folder of a'
    ' clip is its label.',
    ('clips',),
    is_file=True,
  )
  format: str = _field(
    'auto',
    'Format of the clips; auto: detect it from the first clip.',
    ('clips',),
    choices=('auto', *clip_formats.FORMATS),
  )
  tracking: str = _field(
    _READ.tracking,
    'How to track persons if the clips have no ids: by joints (oks), by boxes'
    ' (iou), or by their order in the frame (none).',
    ('clips',),
    choices=('oks', 'iou', 'none'),
  )
  coordinates: str = _field(
    _READ.coordinates,
    'Coordinates of MediaPipe: pixels (image) or metres in 3D (world).',
    ('clips',),
    choices=('image', 'world'),
  )
  img_shape: str = _field(
    '',
    'HEIGHTxWIDTH of the images in pixels, if the clips do not contain it, for'
    ' example 1080x1920.',
    ('clips',),
  )
  val_ratio: float | None = _field(
    None,
    'Fraction of the clips to validate on without a split column (default'
    ' 0.2): whole subjects if there is a subject column, else a part of every'
    ' class.',
    ('clips',),
    above=0,
    below=1,
  )
  seed: int | None = _field(
    None,
    'Seed of the choice of validation clips without a split column'
    ' (default 0).',
    ('clips',),
  )
  num_shards: int = _field(
    0, 'Shards per split; 0: one per 64 MB and per 1000 clips.', minimum=0
  )
  name: str = _field('', 'Name of the prepared dataset.')
  output: str = _field('', 'Directory of prepared datasets.')
  overwrite: bool = _field(
    False, 'Replace a dataset of the same name when the new one is complete.'
  )

  def __post_init__(self):
    option.check(self, '--')
    for field in dataclasses.fields(self):
      sources = field.metadata['sources']
      if (
        self.source not in sources
        and getattr(self, field.name) != field.default
      ):
        raise errors.UserError(
          f'--{field.name} does not apply to --source={self.source}, only to'
          f' --source={" and --source=".join(sources)}. Remove it.'
        )
    checks.parse_img_shape(self.img_shape)
    if not SOURCES[self.source].has_input and self.input:
      raise errors.UserError(
        f'--source={self.source} generates its clips. Remove --input.'
      )
    if self.project != 'none' and self.normalize != 'none':
      raise errors.UserError(
        f'--project={self.project} and --normalize={self.normalize} exclude each'
        ' other: the projection needs the original view of the camera.'
      )
    if self.box_threshold is not None and not self.valid_ratio:
      raise errors.UserError(
        f'--box_threshold={self.box_threshold} needs a --valid_ratio above 0.'
      )
    if self.skeletons and (self.normalize, self.project) != ('none', 'none'):
      raise errors.UserError(
        '--skeletons is for 2D keypoints, --normalize and --project are for 3D.'
      )

  @property
  def inputs(self) -> dict[str, str]:
    """Input path per split; the key is '' if one input has all splits."""
    if not self.input:
      return {}
    if not SOURCES[self.source].takes_splits:
      return {'': self.input}
    paths = readers.split_paths(self.input)
    return {'': paths} if isinstance(paths, str) else paths

  @property
  def num_kept(self) -> int:
    """Persons to keep per clip that is not compressed; 0: all."""
    if self.max_persons is None:
      return _DEFAULT_MAX_PERSONS
    return self.max_persons

  def selection(self, split: str = 'train') -> compressed.Selection:
    """The skeletons of compressed clips to keep.

    --valid_ratio is for training clips only, as published: accuracies on other
    validation clips could not be compared.
    """
    max_persons: int | None = compressed.DEFAULT_MAX_PERSONS
    if self.max_persons is not None:
      max_persons = self.max_persons or None
    return compressed.Selection(
      self.valid_ratio if split == 'train' else 0.0,
      self.box_threshold or compressed.DEFAULT_BOX_THRESHOLD,
      max_persons,
    )

  def read_options(self, layout: str) -> clip_formats.ReadOptions:
    """How to read --source=clips with this layout; '' for any."""
    return clip_formats.ReadOptions(
      tracking=self.tracking,
      coordinates=self.coordinates,
      img_shape=checks.parse_img_shape(self.img_shape),
      denoise=self.denoise,
      # Only published layouts can select a part of the joints of a pose tool.
      layout=layout if layout in skeletons.LAYOUTS else '',
    )

  def load_class_names(self) -> tuple[str, ...]:
    """The names of --class_names; () if it is not set."""
    if not self.class_names:
      return ()
    return class_names_lib.load_class_names(self.class_names)

  def check_input(self) -> None:
    """Raise UserError unless the files and folders of the input exist."""
    source = SOURCES[self.source]
    if source.has_input and not self.input:
      raise errors.UserError(
        f'--input is missing: {source.input}. --source=demo needs no input.'
      )
    for path in self.inputs.values():
      _check_path(path, source)
    for field in dataclasses.fields(self):
      path = getattr(self, field.name)
      if field.metadata.get('is_file') and path and not os.path.isfile(path):
        inside = os.path.join(self.input, path)
        hint = (
          f' Did you mean --{field.name}={inside}?'
          if os.path.isfile(inside)
          else ''
        )
        raise errors.UserError(f'--{field.name}: no file {path}.{hint}')
    if self.skeletons and not os.path.isdir(self.skeletons):
      raise errors.UserError(
        f'--skeletons: no directory {self.skeletons}. Expected a pickle per'
        " clip, or the bundles that 'raw_file' names."
      )

  def describe(self, layout: layout_lib.Layout) -> dict[str, Any]:
    """Return all that determines the bytes of the dataset, as JSON values.

    Files count by their content, so that a moved file is the same input.
    """
    described = {
      field.name: getattr(self, field.name)
      for field in dataclasses.fields(self)
      if self.source in field.metadata['sources']
      and field.name not in ('name', 'output', 'overwrite')
    }
    for field in dataclasses.fields(self):
      if field.metadata.get('is_file') and described.get(field.name):
        described[field.name] = input_hashes.file_hash(described[field.name])
    described.update(
      code=CODE_VERSION,
      layout=layout.to_dict(),
      class_names=list(self.load_class_names()) or None,
      input={'demo': demo.DEMO_VERSION},
    )
    if self.inputs:
      logging.info('hashing %s', ', '.join(self.inputs.values()))
      described['input'] = {
        split or 'file': self._input_hash(path)
        for split, path in self.inputs.items()
      }
    if self.skeletons:
      described['skeletons'] = input_hashes.listing_hash(self.skeletons, '.pkl')
      if not described['skeletons']:
        raise errors.UserError(
          f'--skeletons={self.skeletons} contains no .pkl file. Expected the'
          ' keypoints that the annotations do not contain.'
        )
    return described

  def _input_hash(self, path: str) -> str:
    """Hash of the content of a file, or of the listing of a folder."""
    if not os.path.isdir(path):
      beside = [stgcn_npy.label_path(path)] if self.source == 'npy' else []
      return ' '.join(map(input_hashes.file_hash, [path, *beside]))
    # Files that count by their content and prepared datasets may be inside.
    left_out = [
      getattr(self, field.name)
      for field in dataclasses.fields(self)
      if field.metadata.get('is_file')
    ]
    left_out = [p for p in (os.path.expanduser(self.output), *left_out) if p]
    found = input_hashes.listing_hash(path, '', left_out)
    if not found:
      raise errors.UserError(f'--input={path} is empty. Expected clips.')
    return found


def fingerprint(described: Mapping[str, Any]) -> str:
  """Return the sha256 of what `Options.describe` returns."""
  text = json.dumps(described, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()


def differences(stored: Mapping[str, Any], described: Mapping[str, Any]) -> str:
  """List the options that differ, with their values if these are short."""
  parts = []
  for key in {**described, **stored}:
    if stored.get(key) == described.get(key):
      continue
    old, new = json.dumps(stored.get(key)), json.dumps(described.get(key))
    if max(len(old), len(new)) > 30:
      parts.append(f'different {key}')
    else:
      parts.append(f'{key} was {old}, is {new}')
  return ', '.join(parts) or 'different code'


def _check_path(path: str, source: Source) -> None:
  exists = os.path.exists(path)
  if source.is_folder is None and not exists:
    problem = 'no such file or folder'
  elif source.is_folder and not os.path.isdir(path):
    problem = 'is a file' if exists else 'no such folder'
  elif source.is_folder is False and not os.path.isfile(path):
    problem = 'is a folder' if exists else 'no such file'
  else:
    return
  raise errors.UserError(f'--input={path}: {problem}. Expected {source.input}.')
