"""Open the dataset that the options name, whatever its format."""

import functools
import os
from typing import Any

from data_prep import options as options_lib
from data_prep import own_clips
from data_prep.demo import annotations as demo
from skeljax import errors
from skeljax import readers
from skeljax import skeletons
from skeljax.datasets import class_names as class_names_lib
from skeljax.readers import annotation_pickle
from skeljax.readers import clip_formats
from skeljax.readers import ctrgcn_npz
from skeljax.readers import kinetics_skeleton
from skeljax.readers import ntu_skeleton
from skeljax.readers import ntu_splits
from skeljax.readers import stgcn_npy
from skeljax.readers import ucla_json

# Clips in which a layout is looked for: an empty one does not show it.
_CLIPS_READ = 16


def open_dataset(
  options: options_lib.Options, layout: str = ''
) -> readers.RawDataset:
  """Open a dataset; clips are read when they are needed, except in a pickle.

  Args:
    options: after `check_input`.
    layout: name of the expected layout; '' for any.

  Raises:
    UserError: something in the input has to be fixed.
  """
  path: Any = options.inputs.get('', options.inputs)
  if options.source == 'demo':
    return _demo(layout)
  if options.source == 'ntu':
    exclude = (
      ntu_splits.load_exclude_list(options.exclude) if options.exclude else ()
    )
    return ntu_skeleton.read_dataset(
      path,
      denoise=options.denoise,
      exclude=exclude,
      class_names_60=class_names_lib.load_class_names('ntu60'),
    )
  if options.source == 'clips':
    return own_clips.read_dataset(options, layout)
  read = {
    'pickle': annotation_pickle.read_dataset,
    'kinetics_skeleton': kinetics_skeleton.read_dataset,
    'npy': stgcn_npy.read_dataset,
    'npz': ctrgcn_npz.read_dataset,
    'ucla': ucla_json.read_dataset,
  }[options.source]
  return read(path)


def class_names(
  options: options_lib.Options, dataset: readers.RawDataset
) -> tuple[str, ...]:
  """Return the names of --class_names or of the dataset, or ().

  Raises:
    UserError: a name is not one line, or occurs twice.
  """
  names = options.load_class_names() or dataset.class_names
  duplicates = readers.duplicates(names)
  if duplicates:
    raise errors.UserError(
      f'{dataset.source}: the class name {duplicates[0]!r} occurs twice. Set'
      ' --class_names=FILE with one unique name per line.'
    )
  for label, name in enumerate(names):
    if not name.strip() or len(name.splitlines()) != 1:
      raise errors.UserError(
        f'{dataset.source}: the name of class {label} is {name!r}. Expected one'
        ' line of text; set --class_names=FILE with one name per line.'
      )
  return tuple(names)


def find_layout(options: options_lib.Options) -> skeletons.Layout | None:
  """The layout of --layout, or that of the source or of its first clips."""
  name = options.layout or options_lib.SOURCES[options.source].layout
  if not name and options.source == 'clips':
    name = next(filter(None, map(_clip_layout(options), _first(options))), '')
  return skeletons.get_layout(name) if name else None


def require_layout(options: options_lib.Options) -> skeletons.Layout:
  """The layout of `find_layout`, which --normalize has to support.

  Raises:
    UserError: --layout is needed, or has no joints for --normalize.
  """
  layout = find_layout(options)
  if layout is None:
    advice = ''
    if options.source == 'clips':
      path = os.path.join(options.input, _first(options)[0])
      advice = ' ' + clip_formats.explain_no_layout(path, options.format)
    raise errors.UserError(
      f'--layout is missing: {", ".join(skeletons.LAYOUTS)}, or a layout'
      f' file.{advice}'
    )
  missing = missing_joints(layout)
  if options.normalize != 'none' and missing:
    raise errors.UserError(
      f'--normalize={options.normalize} needs the origin, spine and shoulders of'
      f' the skeleton; layout {layout.name!r} has no {" and no ".join(missing)}.'
      ' Use --normalize=none or a layout file that defines them.'
    )
  return layout


def missing_joints(layout: skeletons.Layout | None) -> list[str]:
  """Return the fields that 3D normalization needs and that are not set."""
  return [
    part
    for part in ('origin', 'spine', 'shoulders')
    if getattr(layout, part, None) is None
  ]


def _first(options: options_lib.Options) -> list[str]:
  lines = own_clips.list_clips(options.input, options.labels)
  return [line.file for line in lines[:_CLIPS_READ]]


def _clip_layout(options: options_lib.Options):
  return lambda file: clip_formats.layout_of(
    os.path.join(options.input, file), options.format
  )


def _demo(layout: str) -> readers.RawDataset:
  content = demo.make_annotations(layout)
  items = content['annotations']
  positions = {item['frame_dir']: i for i, item in enumerate(items)}
  return readers.RawDataset(
    clips=[
      readers.Clip(
        item['frame_dir'], item['label'], 'demo', functools.partial(dict, item)
      )
      for item in items
    ],
    splits={
      name: [positions[i] for i in ids]
      for name, ids in content['split'].items()
    },
    class_names=tuple(content['label_names']),
    source='demo',
    in_memory=True,
  )
