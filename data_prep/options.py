"""What a preparation is asked for, and the fingerprint of the request."""

from collections.abc import Mapping
import dataclasses
import hashlib
import json
import os
import re
from typing import Any

from absl import logging

from data_prep import input_hashes
from data_prep import shards
from data_prep import sources
from data_prep.demo import annotations as demo
from skeljax import errors
from skeljax import skeletons
from skeljax.datasets import class_names as class_names_lib
from skeljax.readers import compressed

# Part of every fingerprint. Raise it when the same input and options give other
# records than before, so that old datasets are not taken for new ones.
CODE_VERSION = 2

_NAME = re.compile(r'[A-Za-z]\w*')
# Persons of a clip that graph networks look at.
_MAX_PERSONS = 2


@dataclasses.dataclass(frozen=True)
class Options:
  """What the user asks for; see the flags of data_prep.main.

  Attributes:
    source: a key of sources.SOURCES.
    inputs: files by split, or by '' the file or folder that holds the splits;
      empty for the demo.
    protocol: which splits of the file: 'xview' for xview_train and xview_val.
    layout: a layout's name or layout file; '' for that of the source.
    normalize: a key of shards.NORMALIZERS.
    project: a key of shards.PROJECTIONS: 3D becomes 2D.
    name: the dataset's name.
    output: directory that holds prepared datasets.
    class_names: a list's name or a file with one name a line; '' takes the
      names in the annotation file.
    third_channel: whether a third channel is a 'coordinate' or a 'score'.
    skeletons: directory of the keypoints that compressed annotations leave
      out; '' when they hold them.
    valid_ratio: see compressed.Selection.
    box_threshold: see compressed.Selection; None is its default.
    max_persons: keep so many persons, those that move most, or, of compressed
      clips, those with the highest scores in each frame; 0 keeps all, None
      keeps 2, or 10 of compressed clips.
    drop_empty: leave out clips without a skeleton.
    num_shards: files a split; 0 chooses.
    overwrite: replace a dataset of this name.
    choices: what was said about this kind of source.
  """

  source: str
  inputs: Mapping[str, str]
  protocol: str
  layout: str
  normalize: str
  name: str
  output: str
  class_names: str = ''
  third_channel: str = 'auto'
  project: str = 'none'
  skeletons: str = ''
  valid_ratio: float = 0.0
  box_threshold: float | None = None
  max_persons: int | None = None
  drop_empty: bool = False
  num_shards: int = 0
  overwrite: bool = False
  choices: sources.Choices = sources.Choices()

  @property
  def num_kept(self) -> int:
    """How many persons of a whole clip to keep; 0 keeps all."""
    return _MAX_PERSONS if self.max_persons is None else self.max_persons

  @property
  def selection(self) -> compressed.Selection:
    """Which clips and skeletons of the compressed form count."""
    max_persons = compressed.DEFAULT_MAX_PERSONS
    if self.max_persons is not None:
      max_persons = self.max_persons or None
    box_threshold = compressed.DEFAULT_BOX_THRESHOLD
    if self.box_threshold is not None:
      box_threshold = self.box_threshold
    return compressed.Selection(self.valid_ratio, box_threshold, max_persons)


def check_options(options: Options) -> skeletons.Layout:
  """Finds mistakes that need no look at the data; returns the layout."""
  if not options.name:
    raise errors.UserError(
      '--name is missing: what you will call the dataset, for example'
      ' ntu60_xsub_3d.'
    )
  if not _NAME.fullmatch(options.name):
    raise errors.UserError(
      f'--name={options.name!r} cannot name a dataset: a letter, then letters,'
      ' digits and underscores, for example ntu60_xsub_3d.'
    )
  if not options.output:
    raise errors.UserError(
      '--output is missing: the directory that holds prepared datasets, the'
      ' same that --config.data.dir (or $SKELJAX_DATA) names later.'
    )
  if '://' in options.output:
    raise errors.UserError(
      f'--output={options.output} must be a local or mounted directory:'
      ' ArrayRecord writes and reads files. Mount the bucket, or copy the'
      ' dataset there afterwards.'
    )
  if options.normalize not in shards.NORMALIZERS:
    raise errors.UserError(
      f'--normalize={options.normalize} is not known; it is one of'
      f' {", ".join(shards.NORMALIZERS)}.'
    )
  if options.project not in shards.PROJECTIONS:
    raise errors.UserError(
      f'--project={options.project} is not known; it is one of'
      f' {", ".join(shards.PROJECTIONS)}.'
    )
  if options.project != 'none' and options.normalize != 'none':
    raise errors.UserError(
      f'--project={options.project} makes 2D clips of skeletons as the camera'
      f' saw them, and --normalize={options.normalize} turns 3D skeletons away'
      ' from it. Choose one: --normalize=none with --project, or no --project.'
    )
  _check_compressed(options)
  sources.check(options.source, options.inputs, options.choices)
  _check_place(options)
  layout = find_layout(
    options.layout, options.source, options.inputs, options.choices
  )
  missing = [
    part
    for part in ('origin', 'spine', 'shoulders')
    if getattr(layout, part) is None
  ]
  if options.normalize != 'none' and missing:
    raise errors.UserError(
      f'--normalize={options.normalize} needs to know the origin, spine and'
      f' shoulders of a skeleton, and layout {layout.name!r} names no'
      f' {" and no ".join(missing)}. Use --normalize=none, or a layout file'
      ' that names them.'
    )
  return layout


def _check_place(options: Options) -> None:
  """Raises UserError if prepared datasets would count as input."""
  output = os.path.realpath(os.path.expanduser(options.output))
  if output in map(os.path.realpath, options.inputs.values()):
    raise errors.UserError(
      f'--output={options.output} is the --input, of which prepared datasets'
      ' would become a part. Choose another directory, for example'
      f' {os.path.join(options.output, "prepared")}.'
    )
  if options.source != 'clips' or options.choices.value('labels'):
    return
  folder = os.path.realpath(options.inputs[''])
  if os.path.commonpath([folder, output]) == folder:
    raise errors.UserError(
      f'--output={options.output} lies in --input={options.inputs[""]}, where'
      ' every sub-folder is a class of clips. Choose a directory outside of it,'
      ' or say with --labels=FILE.csv which files are clips.'
    )


def find_layout(
  name: str,
  source: str,
  inputs: Mapping[str, str],
  choices: sources.Choices,
) -> skeletons.Layout:
  """The layout that was asked for, or else that of the source."""
  name = name or sources.layout_of(source, inputs, choices)
  if not name:
    raise errors.UserError(
      f'--layout is missing: {", ".join(skeletons.LAYOUTS)}, or a layout file.'
      + sources.layout_advice(source, inputs, choices)
    )
  return skeletons.get_layout(name)


def _check_compressed(options: Options) -> None:
  """Finds mistakes in what concerns the compressed form."""
  if options.box_threshold is not None and not options.valid_ratio:
    raise errors.UserError(
      f'--box_threshold={options.box_threshold} counts only beside a'
      ' --valid_ratio above 0, as published: without it no clip and no skeleton'
      ' is left out. Add --valid_ratio, or leave --box_threshold out.'
    )
  if options.valid_ratio and options.source != 'pickle':
    raise errors.UserError(
      f'--valid_ratio={options.valid_ratio:g} chooses among the compressed'
      f' clips of Kinetics-400, and --source={options.source} has none. Leave'
      ' it out.'
    )
  # Checks the values.
  _ = options.selection
  if not options.skeletons:
    return
  if options.source != 'pickle':
    raise errors.UserError(
      f'--source={options.source} brings its keypoints: leave --skeletons out.'
    )
  if options.normalize != 'none' or options.project != 'none':
    raise errors.UserError(
      '--skeletons belongs to 2D keypoints, and --normalize and --project to'
      ' 3D. Leave these two out.'
    )
  if not os.path.isdir(options.skeletons):
    raise errors.UserError(
      f'--skeletons: there is no directory {options.skeletons}. It should hold'
      ' the keypoints that the annotations leave out: a pickle a clip, or the'
      " bundles that 'raw_file' names."
    )


def describe(options: Options, layout: skeletons.Layout) -> dict[str, Any]:
  """All that decides about the bytes of a dataset, as plain JSON values.

  Neither names nor places of files are in it, so that a moved file is the same
  file.
  """
  if options.source == 'demo':
    inputs = {'demo': demo.DEMO_VERSION}
  else:
    logging.info('hashing %s', ', '.join(options.inputs.values()))
    inputs = {
      split or 'file': _input_hash(options, path)
      for split, path in options.inputs.items()
    }
  names = None
  if options.class_names:
    names = list(class_names_lib.load_class_names(options.class_names))
  # What is usually left out is described only where it is given, so that a
  # dataset keeps its fingerprint when there is one more option.
  given = {}
  if options.project != 'none':
    given['project'] = options.project
  if options.valid_ratio:
    given['valid_ratio'] = options.valid_ratio
    given['box_threshold'] = options.selection.box_threshold
  if options.skeletons:
    given['skeletons'] = _skeletons_hash(options.skeletons)
    given['max_persons'] = options.selection.max_persons or 0
  elif options.max_persons == _MAX_PERSONS:
    # Not the same for clips that turn out to be compressed.
    given['max_persons_as_told'] = True
  given.update(_described_choices(options))
  return {
    'source': options.source,
    'input': inputs,
    'protocol': options.protocol,
    'layout': layout.to_dict(),
    'normalize': options.normalize,
    'class_names': names,
    'third_channel': options.third_channel,
    'max_persons': options.num_kept,
    'drop_empty': options.drop_empty,
    'num_shards': options.num_shards,
    'code': CODE_VERSION,
    **given,
  }


def fingerprint(described: Mapping[str, Any]) -> str:
  """A name for what `describe` returns: sha256, 64 hexadecimal digits."""
  text = json.dumps(described, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()


def differences(stored: Mapping[str, Any], described: Mapping[str, Any]) -> str:
  """Which options differ, old and new where they are short."""

  def short(value):
    text = json.dumps(value)
    return text if len(text) <= 30 else None

  parts = []
  for key in {**described, **stored}:
    old, new = stored.get(key), described.get(key)
    if old == new:
      continue
    if short(old) is None or short(new) is None:
      parts.append(f'another {key}')
    else:
      parts.append(f'{key} {short(old)} then, {short(new)} now')
  return ', '.join(parts) or 'by other code'


def _described_choices(options: Options) -> dict[str, Any]:
  """What was chosen about the source; of files, what they hold."""
  result = {}
  for name in sources.SOURCES[options.source].choices:
    value = options.choices.value(name)
    if name in sources.FILES:
      value = input_hashes.file_hash(value) if value else ''
    result[name] = value
  return result


def _input_hash(options: Options, path: str) -> str:
  """What tells an input from others: files' bytes or a folder's listing."""
  if not os.path.isdir(path):
    hashes = [input_hashes.file_hash(path)]
    hashes += map(
      input_hashes.file_hash, sources.files_beside(options.source, path)
    )
    return ' '.join(hashes)
  # A list that lies beside the clips counts by what it holds, and datasets that
  # are prepared there do not count.
  lists = [options.choices.value(name) for name in sources.FILES]
  output = os.path.expanduser(options.output)
  left_out = [output, *(name for name in lists if name)]
  found = input_hashes.listing_hash(path, '', left_out)
  if not found:
    raise errors.UserError(f'--input={path} is empty. Expected clips in it.')
  return found


def _skeletons_hash(directory: str) -> str:
  found = input_hashes.listing_hash(directory, '.pkl')
  if not found:
    raise errors.UserError(
      f'--skeletons={directory} holds no .pkl file. It should hold the'
      ' keypoints that the annotations leave out.'
    )
  return found
