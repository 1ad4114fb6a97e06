"""Read a folder of clips, written by a pose estimator, as a dataset.

The labels are in a CSV file (label_list), or the sub-folder of a clip is its
label. Without a split column the clips are split here: by subject if there is a
subject column, else by class.
"""

from collections.abc import Mapping, Sequence
import functools
import os

from absl import logging

from data_prep import label_list
from data_prep import options as options_lib
from data_prep import splits
from skeljax import errors
from skeljax import readers
from skeljax.readers import clip_formats

_VAL_RATIO = 0.2


def list_clips(folder: str, labels: str) -> list[label_list.Line]:
  """Return the clips of a folder with their labels, sorted by file.

  Args:
    folder: has the clips; without `labels`, one sub-folder per class.
    labels: the CSV file, or ''.

  Raises:
    UserError: there are no clips, or the CSV file has an error.
  """
  if labels:
    return label_list.read(labels, folder)
  lines = [
    label_list.Line(f'{name}/{clip}', name)
    for name in _visible(folder)
    if os.path.isdir(os.path.join(folder, name))
    for clip in _visible(os.path.join(folder, name))
  ]
  if not lines:
    raise errors.UserError(
      f'--input={folder} has no sub-folders with clips. Use one sub-folder per'
      ' class, or --labels=FILE.csv with the columns file and label.'
      f'{_suggest_list(folder)}'
    )
  return lines


def read_dataset(
  options: options_lib.Options, layout: str = ''
) -> readers.RawDataset:
  """Open the clips of --input; only the first is read, to detect its format.

  Returns:
    Splits 'train', 'val' and perhaps 'test'. The id of a clip is its path
    relative to the folder. The order of the CSV file does not matter.

  Raises:
    UserError: the CSV file has an error, or the first clip no known format.
  """
  folder, labels = options.input, options.labels
  lines = list_clips(folder, labels)
  _warn_unlisted(folder, lines)
  if not labels and _suggest_list(folder):
    logging.warning(
      'the labels are the names of the sub-folders.%s', _suggest_list(folder)
    )
  label_of, names = label_list.number_labels(
    lines, options.load_class_names(), labels or folder
  )
  _warn_similar_names(names)
  format = options.format
  if format == 'auto':
    format = _detect(os.path.join(folder, lines[0].file), bool(labels))
  clips = []
  for line in lines:
    path = os.path.join(folder, line.file)
    read = functools.partial(
      read_clip, path, format, options.read_options(layout)
    )
    clips.append(readers.Clip(line.file, label_of[line.file], path, read))
  return readers.RawDataset(
    clips=clips,
    splits=_split(lines, label_of, options),
    class_names=tuple(names),
    source=folder,
  )


def read_clip(
  path: str, format: str, options: clip_formats.ReadOptions
) -> readers.Item:
  """Read one clip.

  Raises:
    UserError: it cannot be read, perhaps because it has another format.
  """
  try:
    return clip_formats.read_clip(path, format, options)
  except errors.UserError as error:
    other = _other_format(path, format)
    if not other:
      raise
    raise readers.ClipError(
      'format',
      path,
      f'has the format {other}, expected {format} as for the other clips.'
      ' Prepare each format as a dataset, or remove this clip.',
    ) from error


def _detect(path: str, is_listed: bool) -> str:
  """The format of the first clip, which all clips must have."""
  try:
    format = clip_formats.detect(path)
  except errors.UserError as error:
    if is_listed:
      raise
    raise errors.UserError(
      f'{error} Without --labels every file in a sub-folder is read as a clip:'
      ' remove it if it is not a clip.'
    ) from error
  logging.info(
    'format of the clips: %s (%s)',
    format,
    clip_formats.FORMATS[format].description,
  )
  return format


def _other_format(path: str, format: str) -> str:
  """The format of a clip if it is not the expected one, else ''."""
  if not os.path.exists(path) or clip_formats.FORMATS[format].is_clip(path):
    return ''
  try:
    return clip_formats.detect(path)
  except errors.UserError:
    return ''


def _split(
  lines: Sequence[label_list.Line],
  label_of: Mapping[str, int],
  options: options_lib.Options,
) -> dict[str, list[int]]:
  """Positions of the lines per split."""
  if lines[0].split:
    if (options.val_ratio, options.seed) != (None, None):
      raise errors.UserError(
        f'{options.labels} has a split column, so --val_ratio and --seed have no'
        ' effect. Remove them.'
      )
    _warn_shared_subjects(lines)
    return _listed_splits(lines, options.labels)
  if len(lines) < 2:
    raise errors.UserError(
      f'There is only one clip, {lines[0].file}: training and validation need'
      ' at least one each.'
    )
  val_ratio = _VAL_RATIO if options.val_ratio is None else options.val_ratio
  seed = options.seed or 0
  subjects = {line.file: line.subject for line in lines if line.subject}
  if subjects:
    chosen = splits.by_subject(label_of, subjects, val_ratio, seed)
  else:
    chosen = splits.by_label(label_of, val_ratio, seed)
  if not chosen:
    raise errors.UserError(
      'Every class has a single clip, so no clip is left for validation. Add'
      ' clips or a split column.'
    )
  return {
    'train': [i for i, line in enumerate(lines) if line.file not in chosen],
    'val': [i for i, line in enumerate(lines) if line.file in chosen],
  }


def _listed_splits(
  lines: Sequence[label_list.Line], labels: str
) -> dict[str, list[int]]:
  """The splits of the split column."""
  result: dict[str, list[int]] = {}
  for name in label_list.SPLITS:
    positions = [i for i, line in enumerate(lines) if line.split == name]
    if positions:
      result[name] = positions
  if 'train' not in result or len(result) < 2:
    raise errors.UserError(
      f'{labels}: the split column contains only {" and ".join(result)}.'
      ' Expected train, and val or test. Without the column the clips are split'
      ' automatically.'
    )
  if len(result) == 3:
    logging.warning(
      '%s has val and test: val is used for validation and the %d clips of test'
      ' are left out; to evaluate on them, prepare a dataset with test as val',
      labels,
      len(result['test']),
    )
  return result


def _warn_shared_subjects(lines: Sequence[label_list.Line]) -> None:
  subjects = {
    name: {line.subject for line in lines if line.split == name}
    for name in label_list.SPLITS
  }
  shared = sorted(
    subjects['train'] & (subjects['val'] | subjects['test']) - {''}
  )
  if shared:
    logging.warning(
      '%d subjects are in the training and in the validation split, so accuracy'
      ' on new subjects is not measured: %s',
      len(shared),
      readers.first_few(shared),
    )


def _warn_similar_names(names: Sequence[str]) -> None:
  first: dict[str, str] = {}
  for name in names:
    similar = first.setdefault(' '.join(name.casefold().split()), name)
    if similar != name:
      logging.warning(
        'labels %r and %r differ only in case or spaces and are two classes',
        similar,
        name,
      )


def _warn_unlisted(folder: str, lines: Sequence[label_list.Line]) -> None:
  """Log the clips next to listed ones that have no label."""
  listed = {line.file for line in lines}
  suffixes = {_suffix(folder, file) for file in listed}
  parents = {''}  # The folders that contain clips, which are not clips.
  for file in listed:
    parent = file.rpartition('/')[0]
    while parent not in parents:
      parents.add(parent)
      parent = parent.rpartition('/')[0]
  known = listed | parents
  unlisted = [
    file
    for parent in sorted(parents)
    for name in _visible(os.path.join(folder, parent))
    if (file := f'{parent}/{name}' if parent else name) not in known
    and _suffix(folder, file) in suffixes
  ]
  if unlisted:
    logging.warning(
      '%d clips of %s have no label and are left out: %s',
      len(unlisted),
      folder,
      readers.first_few(unlisted),
    )


def _suggest_list(folder: str) -> str:
  """A question about a CSV file in the folder, or ''."""
  lists = [name for name in _visible(folder) if name.lower().endswith('.csv')]
  if not lists:
    return ''
  return f' Did you mean --labels={os.path.join(folder, lists[0])}?'


def _suffix(folder: str, file: str) -> str:
  """The suffix of a file; '/' for a folder."""
  if os.path.isdir(os.path.join(folder, file)):
    return '/'
  return os.path.splitext(file)[1].lower()


def _visible(folder: str) -> list[str]:
  try:
    names = os.listdir(folder)
  except OSError as error:
    raise errors.UserError(f'{folder} cannot be read: {error}.') from error
  return sorted(name for name in names if not name.startswith('.'))
