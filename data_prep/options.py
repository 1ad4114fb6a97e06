"""What a preparation is asked for, and the fingerprint of the request."""

from collections.abc import Mapping
import dataclasses
import hashlib
import json
import os
import re
from typing import Any

from absl import logging

from data_prep import demo
from data_prep import shards
from skeljax import errors
from skeljax import skeletons
from skeljax.data import class_names as class_names_lib

# Part of every fingerprint. Raise it when the same input and options give other
# records than before, so that old datasets are not taken for new ones.
CODE_VERSION = 2

SOURCES = ('pickle', 'demo')
_NAME = re.compile(r'[A-Za-z]\w*')
_HASH_BLOCK = 1 << 20


@dataclasses.dataclass(frozen=True)
class Options:
  """What the user asks for; see the flags of data_prep.main.

  Attributes:
    source: 'pickle' or 'demo'.
    inputs: annotation files by split, or by '' for one file that holds the
      splits; empty for the demo.
    protocol: which splits of the file: 'xview' for xview_train and xview_val.
    layout: a layout's name or layout file.
    normalize: a key of shards.NORMALIZERS.
    project: a key of shards.PROJECTIONS: 3D becomes 2D.
    name: the dataset's name.
    output: directory that holds prepared datasets.
    class_names: a list's name or a file with one name a line; '' takes the
      names in the annotation file.
    third_channel: whether a third channel is a 'coordinate' or a 'score'.
    max_persons: keep so many persons, those that move most; 0 keeps all.
    drop_empty: leave out clips without a skeleton.
    num_shards: files a split; 0 chooses.
    overwrite: replace a dataset of this name.
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
  max_persons: int = 2
  drop_empty: bool = False
  num_shards: int = 0
  overwrite: bool = False


def check_options(options: Options) -> skeletons.Layout:
  """Finds mistakes that need no look at the data; returns the layout."""
  if options.source not in SOURCES:
    raise errors.UserError(
      f'--source={options.source} is not known; it is one of'
      f' {", ".join(SOURCES)}.'
    )
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
  for path in options.inputs.values():
    if not os.path.isfile(path):
      raise errors.UserError(f'--input: there is no file {path}.')
  if not options.layout:
    raise errors.UserError(
      f'--layout is missing: {", ".join(skeletons.LAYOUTS)}, or a layout file.'
    )
  layout = skeletons.get_layout(options.layout)
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
      split or 'file': _file_hash(path)
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
  return {
    **given,
    'source': options.source,
    'input': inputs,
    'protocol': options.protocol,
    'layout': layout.to_dict(),
    'normalize': options.normalize,
    'class_names': names,
    'third_channel': options.third_channel,
    'max_persons': options.max_persons,
    'drop_empty': options.drop_empty,
    'num_shards': options.num_shards,
    'code': CODE_VERSION,
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


def _file_hash(path: str) -> str:
  digest = hashlib.sha256()
  with open(path, 'rb') as file:
    while block := file.read(_HASH_BLOCK):
      digest.update(block)
  return digest.hexdigest()
