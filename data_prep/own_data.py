"""A folder of one's own clips, in any form, as annotations with splits.

What a clip shows stands in a list (label_lists), or is the name of the
sub-folder that it lies in. Who has said nothing about splits gets one: whole
subjects where they are known, else a part of every class.
"""

from collections.abc import Mapping, Sequence
import functools
import os

from absl import logging

from data_prep import label_lists
from data_prep import splitting
from skeljax import errors
from skeljax import readers
from skeljax.readers import clip_formats

VAL_RATIO = 0.2


def list_clips(folder: str, labels: str) -> list[label_lists.Line]:
  """The clips of a folder with their labels, by file.

  Args:
    folder: holds the clips; without a list, one sub-folder for each class.
    labels: the list; '' where there is none.

  Raises:
    UserError: there is no clip, or the list has a mistake.
  """
  if labels:
    return label_lists.read(labels, folder)
  lines = [
    label_lists.Line(f'{name}/{clip}', name)
    for name in _visible(folder)
    if os.path.isdir(os.path.join(folder, name))
    for clip in _visible(os.path.join(folder, name))
  ]
  if not lines:
    raise errors.UserError(
      f'--input={folder} has no sub-folders with clips in them. Put the clips of'
      ' each class into a sub-folder of its name, or give a list of what they'
      ' show: --labels=FILE.csv with the columns file and label.'
      f'{_proposed_list(folder)}'
    )
  return lines


def read_annotations(
  folder: str,
  *,
  labels: str = '',
  form: str = 'auto',
  options: clip_formats.ReadOptions | None = None,
  class_names: Sequence[str] = (),
  val_ratio: float | None = None,
  seed: int | None = None,
) -> readers.RawDataset:
  """The clips of a folder; none is read but the first, to see its form.

  Args:
    folder: see list_clips.
    labels: see list_clips.
    form: a key of clip_formats.FORMATS; 'auto' takes that of the first clip.
    options: how clips are read.
    class_names: names in the order of the labels; () takes those of the list.
    val_ratio: part of the clips to validate on, where the list does not say
      it; None is VAL_RATIO.
    seed: of that split; None is 0.

  Returns:
    Splits 'train', 'val' and perhaps 'test'. The id of a clip is its file,
    relative to the folder. The same whatever the order of the list.

  Raises:
    UserError: the list has a mistake, or the first clip no known form.
  """
  lines = list_clips(folder, labels)
  _warn_of_unlisted(folder, lines)
  if not labels and _proposed_list(folder):
    logging.warning(
      'the labels are the names of the sub-folders.%s', _proposed_list(folder)
    )
  label_of, names = label_lists.number_labels(
    lines, class_names, labels or folder
  )
  _warn_of_like_names(names)
  if form == 'auto':
    form = _form(os.path.join(folder, lines[0].file), is_listed=bool(labels))
    logging.info(
      'the clips are of the form %s: %s',
      form,
      clip_formats.FORMATS[form].description,
    )
  options = options or clip_formats.ReadOptions()
  clips = []
  for line in lines:
    path = os.path.join(folder, line.file)
    read = functools.partial(read_clip, path, form=form, options=options)
    clips.append(readers.Clip(line.file, label_of[line.file], path, read))
  return readers.RawDataset(
    clips=clips,
    splits=_splits(lines, label_of, val_ratio, seed, labels),
    class_names=tuple(names),
    source=folder,
  )


def _form(path: str, is_listed: bool) -> str:
  """The form of the first clip, which all have."""
  try:
    return clip_formats.detect(path)
  except errors.UserError as error:
    if is_listed:
      raise
    raise errors.UserError(
      f'{error} If it is no clip, take it out: without --labels every file in a'
      ' sub-folder counts as one.'
    ) from error


def read_clip(
  path: str, form: str, options: clip_formats.ReadOptions
) -> readers.Item:
  """What is in one clip.

  Raises:
    UserError: it cannot be read, perhaps because it is of another form.
  """
  try:
    return clip_formats.read_clip(path, form, options)
  except errors.UserError as error:
    other = _other_form(path, form)
    if not other:
      raise
    raise readers.ClipError(
      'format',
      path,
      f'has the format {other}, expected {form} as for the other clips. Prepare'
      ' each format as a dataset, or remove this clip.',
    ) from error


def _other_form(path: str, form: str) -> str:
  """The form that a clip is of, if that is another one."""
  if not os.path.exists(path) or clip_formats.FORMATS[form].is_clip(path):
    return ''
  try:
    return clip_formats.detect(path)
  except errors.UserError:
    return ''


def _splits(
  lines: Sequence[label_lists.Line],
  label_of: Mapping[str, int],
  val_ratio: float | None,
  seed: int | None,
  labels: str,
) -> dict[str, list[int]]:
  """Positions of the lines by split: those of the list, or made here."""
  if lines[0].split:
    if val_ratio is not None or seed is not None:
      raise errors.UserError(
        f'{labels} has a split column, which says what to validate on. Leave'
        ' --val_ratio and --seed out, or the column.'
      )
    _warn_of_shared_subjects(lines)
    return _told_splits(lines, labels)
  if len(lines) < 2:
    raise errors.UserError(
      f'There is only one clip, {lines[0].file}. Training needs one, and'
      ' validation another.'
    )
  val_ratio = VAL_RATIO if val_ratio is None else val_ratio
  seed = seed or 0
  if lines[0].subject:
    subjects = {line.file: line.subject for line in lines}
    chosen = splitting.by_subject(label_of, subjects, val_ratio, seed)
  else:
    chosen = splitting.by_label(label_of, val_ratio, seed)
  if not chosen:
    raise errors.UserError(
      'Every class has a single clip, so that none is left to validate on.'
      ' Record more clips, or give a split column.'
    )
  is_val = [line.file in chosen for line in lines]
  return {
    'train': [i for i, held_out in enumerate(is_val) if not held_out],
    'val': [i for i, held_out in enumerate(is_val) if held_out],
  }


def _told_splits(
  lines: Sequence[label_lists.Line], labels: str
) -> dict[str, list[int]]:
  """The splits that the list names."""
  splits: dict[str, list[int]] = {}
  for name in label_lists.SPLITS:
    positions = [i for i, line in enumerate(lines) if line.split == name]
    if positions:
      splits[name] = positions
  if 'train' not in splits or len(splits) < 2:
    raise errors.UserError(
      f'{labels}: the split column holds nothing but {" and ".join(splits)}.'
      ' Training needs train, and validation val or test. Leave the column out'
      ' for a split of its own making.'
    )
  if len(splits) == 3:
    logging.warning(
      '%s names val and test: val is what training validates on, and the %d'
      ' clips of test are left out. Prepare them as another data set, with test'
      ' in place of val, to evaluate on them.',
      labels,
      len(splits['test']),
    )
  return splits


def _warn_of_shared_subjects(lines: Sequence[label_lists.Line]) -> None:
  seen = {
    name: {line.subject for line in lines if line.split == name}
    for name in label_lists.SPLITS
  }
  both = sorted(seen['train'] & (seen['val'] | seen['test']) - {''})
  if both:
    logging.warning(
      '%d subjects are in the training and in the validation split, which'
      ' measures how well known people are recognised: %s',
      len(both),
      readers.first_few(both),
    )


def _warn_of_like_names(names: Sequence[str]) -> None:
  first: dict[str, str] = {}
  for name in names:
    like = first.setdefault(' '.join(name.casefold().split()), name)
    if like != name:
      logging.warning(
        'labels %r and %r differ in capitals or spaces only and are two classes;'
        ' give them one spelling if they are one',
        like,
        name,
      )


def _warn_of_unlisted(folder: str, lines: Sequence[label_lists.Line]) -> None:
  """Says which clips beside the listed ones have no label."""
  listed = {line.file for line in lines}
  kinds = {_kind(folder, file) for file in listed}
  # The folders on the way to the clips are no clips.
  above = {''}
  for file in listed:
    parent = file.rpartition('/')[0]
    while parent not in above:
      above.add(parent)
      parent = parent.rpartition('/')[0]
  beside = [
    f'{parent}/{name}' if parent else name
    for parent in sorted(above)
    for name in _visible(os.path.join(folder, parent))
  ]
  unlisted = [
    file
    for file in beside
    if file not in listed and file not in above and _kind(folder, file) in kinds
  ]
  if unlisted:
    logging.warning(
      '%d clips of %s have no label and are left out: %s',
      len(unlisted),
      folder,
      readers.first_few(unlisted),
    )


def _proposed_list(folder: str) -> str:
  """A question about a list that lies beside the clips, if there is one."""
  lists = [name for name in _visible(folder) if name.lower().endswith('.csv')]
  if not lists:
    return ''
  return f' Did you mean --labels={os.path.join(folder, lists[0])}?'


def _kind(folder: str, file: str) -> str:
  """The ending of a file; '/' for a folder."""
  if os.path.isdir(os.path.join(folder, file)):
    return '/'
  return os.path.splitext(file)[1].lower()


def _visible(folder: str) -> list[str]:
  try:
    names = os.listdir(folder)
  except OSError as error:
    raise errors.UserError(f'{folder} cannot be read: {error}.') from error
  return sorted(name for name in names if not name.startswith('.'))
