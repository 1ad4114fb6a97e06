"""List the errors and notes about a surveyed dataset."""

import collections
from collections.abc import Iterator, Sequence
import dataclasses
import textwrap

from data_prep import options as options_lib
from data_prep import sources
from data_prep import survey as survey_lib
from skeljax import readers
from skeljax import skeletons
from skeljax.readers import checks
from skeljax.readers import compressed

# Assumed by published code if the image size is unknown.
_DEFAULT_IMAGE = '1920 x 1080'


@dataclasses.dataclass(frozen=True)
class Finding:
  """An error or a note, with the fix.

  Attributes:
    is_error: the dataset cannot be prepared, or training on it is pointless.
    text: what was found and how to fix it.
  """

  is_error: bool
  text: str

  def __str__(self) -> str:
    return textwrap.fill(
      self.text,
      width=80,
      initial_indent='  error  ' if self.is_error else '  note   ',
      subsequent_indent=' ' * 9,
      break_long_words=False,
      break_on_hyphens=False,
    )


def find(
  survey: survey_lib.Survey,
  options: options_lib.Options,
  layout: skeletons.Layout | None,
  class_names: Sequence[str],
) -> list[Finding]:
  """Return all findings, in the order in which they are best fixed."""
  return [
    *_faults(survey, options),
    *_splits(survey, options),
    *_overlaps(survey),
    *_layout(survey, options, layout),
    *_labels(survey, class_names),
    *_oddities(survey),
  ]


def _error(text: str) -> Finding:
  return Finding(True, text)


def _note(text: str) -> Finding:
  return Finding(False, text)


def _clips(count: int) -> str:
  return f'{count:,} clip{"" if count == 1 else "s"}'


def _faults(
  survey: survey_lib.Survey, options: options_lib.Options
) -> Iterator[Finding]:
  for kind, messages in survey.faults.items():
    used = [p for p in messages if p in survey.used]
    if used and kind == 'empty' and options.drop_empty:
      yield _note(f'{_clips(len(used))} without any person will be dropped.')
    elif used:
      first = 'The first' if len(used) > 1 else 'It'
      yield _error(
        f'{_clips(len(used))} cannot be used ({kind}). {first}:'
        f' {messages[used[0]]}'
      )
      if kind == 'empty':
        yield _note('--drop_empty drops clips without any person.')
    unused = len(messages) - len(used)
    if unused:
      yield _note(
        f'{_clips(unused)} outside of the splits cannot be used either ({kind}).'
      )


def _splits(
  survey: survey_lib.Survey, options: options_lib.Options
) -> Iterator[Finding]:
  dataset, some = survey.dataset, readers.first_few
  ids = [clip.id for clip in dataset.clips]
  if not dataset.splits:
    yield _note(
      'A plain list is one split. Check and prepare two of them together, as'
      ' train=TRAIN.pkl,val=VAL.pkl.'
    )
    duplicates = readers.duplicates(ids)
    if duplicates:
      yield _error(
        f'{len(duplicates):,} ids belong to several clips: {some(duplicates)}.'
        ' Every clip needs its own id.'
      )
    return
  if not survey.protocols:
    yield _error(
      f'No two of the splits {", ".join(survey.splits)} are a protocol: P_train'
      ' needs P_val or P_test, train1 needs test1. Rename them.'
    )
  for split in survey.splits:
    positions = dataset.splits[split]
    unknown = dataset.unknown_ids.get(split, ())
    if unknown:
      yield _error(
        f'Split {split} lists {len(unknown):,} ids without an annotation:'
        f' {some(unknown)}. Remove them from the split, or add the annotations.'
      )
    elif not len(positions):
      yield _error(f'Split {split} has no clips. Fill it or remove it.')
    elif options.drop_empty and not survey.statistics[split].num_clips:
      yield _error(f'Split {split} has only empty clips.')
    duplicates = readers.duplicates([ids[p] for p in positions])
    if duplicates:
      yield _error(
        f'Split {split} lists {len(duplicates):,} ids several times:'
        f' {some(duplicates)}. Every clip needs its own id.'
      )
  unused = [i for p, i in enumerate(ids) if p not in survey.used]
  if unused:
    yield _note(
      f'{_clips(len(unused))} in none of these splits, so not used:'
      f' {some(unused)}.'
    )


def _overlaps(survey: survey_lib.Survey) -> Iterator[Finding]:
  """Validation clips that are training clips, by id or by content."""
  dataset, digests = survey.dataset, survey.digests
  some = readers.first_few

  def clip_id(position):
    return dataset.clips[position].id

  for train, val in survey.protocols.values():
    train_ids = {clip_id(p) for p in dataset.splits[train]}
    both = [i for p in dataset.splits[val] if (i := clip_id(p)) in train_ids]
    if both:
      yield _error(
        f'{_clips(len(both))} of {val} also in {train}: {some(both)}. Remove'
        ' them from one of the splits.'
      )
    owners = {
      digests[p]: clip_id(p) for p in dataset.splits[train] if p in digests
    }
    same = [
      f'{clip_id(p)} (as {owners[digests[p]]})'
      for p in dataset.splits[val]
      if digests.get(p) in owners and clip_id(p) not in train_ids
    ]
    if same:
      yield _note(
        f'{_clips(len(same))} of {val} with exactly the keypoints of a clip of'
        f' {train}: {some(same)}. Validation accuracy is too high.'
      )
  for split in survey.splits:
    counted = collections.Counter(
      digests[p] for p in dataset.splits[split] if p in digests
    )
    copies = sum(n - 1 for n in counted.values())
    if copies:
      yield _note(
        f'{_clips(copies)} of {split} with the keypoints of another clip of it.'
      )


def _layout(
  survey: survey_lib.Survey,
  options: options_lib.Options,
  layout: skeletons.Layout | None,
) -> Iterator[Finding]:
  num_joints = survey.decoder.num_joints
  if layout is None and num_joints:
    yield _note(f'No --layout. {checks.layouts_with(num_joints)}')
  for name in ('normalize', 'project'):
    value = getattr(options, name)
    if value == 'none':
      continue
    if layout is None:
      yield _error(f'--{name}={value} needs a --layout.')
    elif name == 'normalize' and sources.missing_joints(layout):
      yield _error(
        f'--normalize={value}: layout {layout.name!r} does not define its origin,'
        ' spine and shoulders. Use --normalize=none or a layout file.'
      )
    if survey.decoder.num_channels == 2:
      yield _error(
        f'--{name}={value} is for 3D skeletons, and the dataset has 2D'
        f' keypoints. Use --{name}=none.'
      )


def _labels(
  survey: survey_lib.Survey, class_names: Sequence[str]
) -> Iterator[Finding]:
  def names(labels):
    return readers.first_few(
      [class_names[i] if i < len(class_names) else f'label {i}' for i in labels]
    )

  def classes(count):
    return f'{count:,} class{"" if count == 1 else "es"}'

  for train, val in survey.protocols.values():
    train_labels, val_labels = (
      set(survey.statistics[s].labels) for s in (train, val)
    )
    untrained = sorted(val_labels - train_labels)
    if untrained:
      yield _note(
        f'{classes(len(untrained))} of {val} without a clip in {train}:'
        f' {names(untrained)}.'
      )
    absent = sorted(set(range(len(class_names))) - train_labels - val_labels)
    if absent:
      yield _note(
        f'{classes(len(absent))} of the {len(class_names):,} named ones without'
        f' any clip in {train} and {val}: {names(absent)}.'
      )
  if not class_names:
    yield _note(
      'The classes have no names: set --class_names (ntu60, ntu120, gym99, or a'
      ' file with one name per line), else they are numbered.'
    )


def _oddities(survey: survey_lib.Survey) -> Iterator[Finding]:
  total = survey.total
  if len(total.dtypes) > 1:
    yield _note(
      f'Keypoints are {", ".join(sorted(total.dtypes))}; all will be stored as'
      f' {survey.decoder.keypoint_dtype}.'
    )
  short = total.frames[1]
  if short:
    yield _note(f'{_clips(short)} of a single frame, so without motion.')
  if total.num_cut:
    yield _note(
      f'{_clips(total.num_cut)} with more than {survey.decoder.options.num_kept}'
      ' persons: those with the most motion are kept (--max_persons).'
    )
  if total.num_crowded:
    yield _note(
      f'{_clips(total.num_crowded)} with more than'
      f' {compressed.DEFAULT_MAX_PERSONS} persons in a frame: those with the'
      ' highest scores are kept in each frame (--max_persons).'
    )
  if survey.num_listed:
    yield _note(
      f'{_clips(survey.num_listed)} with keypoints in other files, which'
      ' data_prep.main checks, with --skeletons=DIR.'
    )
  unknown = total.num_unknown_img_shape
  if survey.decoder.num_channels == 2 and unknown:
    yield _note(
      f'{_clips(unknown)} in pixels without img_shape: an image of'
      f' {_DEFAULT_IMAGE} is assumed, and PoseC3D cannot be trained.'
      ' --source=clips has --img_shape=HEIGHTxWIDTH.'
    )
