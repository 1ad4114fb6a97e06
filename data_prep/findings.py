"""From a survey of annotations to what is wrong with them, in words."""

import collections
from collections.abc import Iterator, Sequence
import dataclasses
import textwrap

import numpy as np

from data_prep import survey as survey_lib
from skeljax import readers
from skeljax import skeletons
from skeljax.readers import checks
from skeljax.readers import compressed

# What published code assumes for pictures of unknown size.
_ASSUMED_PICTURE = '1920 x 1080'
_USUAL_PERSONS = 2


@dataclasses.dataclass(frozen=True)
class Finding:
  """Something that the user should know.

  Attributes:
    is_error: training would fail, or would succeed and mean nothing.
    text: what was found and how to mend it.
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
  *,
  layout: skeletons.Layout | None,
  class_names: Sequence[str],
  normalize: str,
) -> list[Finding]:
  """All findings, in the order in which they are best mended."""
  return [
    *_faults(survey),
    *_splits(survey),
    *_overlaps(survey),
    *_mixtures(survey),
    *_layout(survey, layout),
    *_normalization(survey, layout, normalize),
    *_labels(survey, class_names),
    *_oddities(survey),
  ]


def _error(text: str) -> Finding:
  return Finding(True, text)


def _note(text: str) -> Finding:
  return Finding(False, text)


def _clips(count: int) -> str:
  return f'{count:,} clip{"" if count == 1 else "s"}'


def _classes(count: int) -> str:
  return f'{count:,} class{"" if count == 1 else "es"}'


def _faults(survey: survey_lib.Survey) -> Iterator[Finding]:
  for kind, words in survey.faults.items():
    used = [p for p in words if survey.is_used[p]]
    if used:
      first = 'The first' if len(used) > 1 else 'It'
      yield _error(
        f'{_clips(len(used))} cannot be used ({kind}). {first}:'
        f' {words[used[0]]}'
      )
      if kind == 'empty':
        yield _note(
          'Clips that show nobody can be left out while preparing, with'
          ' --drop_empty.'
        )
    unused = len(words) - len(used)
    if unused:
      yield _note(
        f'{_clips(unused)} outside the splits cannot be used either ({kind}).'
      )


def _splits(survey: survey_lib.Survey) -> Iterator[Finding]:
  annotations = survey.annotations
  some = readers.first_few
  if not annotations.splits:
    yield _note(
      'A plain list is one split. Check and prepare two of them together, as'
      ' train=TRAIN.pkl,val=VAL.pkl.'
    )
    repeated = readers.duplicates(annotations.ids)
    if repeated:
      yield _error(
        f'{len(repeated):,} ids belong to several clips: {some(repeated)}.'
        ' Every clip needs an id of its own.'
      )
    return
  if not survey.protocols:
    yield _error(
      f'No two of the splits {", ".join(survey.splits)} make a protocol: P_train'
      ' needs P_val or P_test, or train1 needs test1. Rename them.'
    )
  for split in survey.splits:
    positions = survey.positions(split)
    unknown = annotations.unknown_ids.get(split, ())
    if unknown:
      yield _error(
        f'Split {split} lists {len(unknown):,} ids without an annotation:'
        f' {some(unknown)}. Take them out of the split, or add the annotations.'
      )
    elif not len(positions):
      yield _error(f'Split {split} has no clips. Fill it or remove it.')
    repeated = readers.duplicates([annotations.ids[p] for p in positions])
    if repeated:
      yield _error(
        f'Split {split} holds {len(repeated):,} ids several times:'
        f' {some(repeated)}. Every clip needs an id of its own.'
      )
  unused = np.flatnonzero(~survey.is_used)
  if len(unused):
    ids = [annotations.ids[p] for p in unused]
    yield _note(
      f'{_clips(len(unused))} in none of these splits, so not used: {some(ids)}.'
    )


def _overlaps(survey: survey_lib.Survey) -> Iterator[Finding]:
  """Validation clips that are training clips, by id and by content."""
  ids, some = survey.annotations.ids, readers.first_few
  for train, val in survey.protocols.values():
    train_ids = {ids[p] for p in survey.positions(train)}
    both = [ids[p] for p in survey.positions(val) if ids[p] in train_ids]
    if both:
      yield _error(
        f'{_clips(len(both))} of {val} also in {train}: {some(both)}. Accuracy'
        ' there would measure memory. Take them out of one of the splits.'
      )
    owner = {survey.digests[p]: ids[p] for p in survey.positions(train)}
    owner.pop(b'', None)
    same = [
      f'{ids[p]} (as {owner[survey.digests[p]]})'
      for p in survey.positions(val)
      if survey.digests[p] in owner and ids[p] not in train_ids
    ]
    if same:
      yield _note(
        f'{_clips(len(same))} of {val} with exactly the keypoints of a clip of'
        f' {train}: {some(same)}. Accuracy on {val} flatters the model.'
      )
  for split in survey.splits:
    counted = collections.Counter(
      survey.digests[p] for p in survey.positions(split)
    )
    counted.pop(b'', None)
    copies = sum(n - 1 for n in counted.values())
    if copies:
      yield _note(
        f'{_clips(copies)} of {split} repeating the keypoints of another clip'
        ' of it under another id.'
      )


def _mixtures(survey: survey_lib.Survey) -> Iterator[Finding]:
  good = np.array([digest != b'' for digest in survey.digests])
  good &= survey.is_used
  columns = (
    ('joints', survey.shapes[:, 2]),
    ('channels', survey.shapes[:, 3]),
    ('keypoint_score', np.where(survey.has_score, 'a', 'no')),
  )
  for what, values in columns:
    counted = collections.Counter(values[good].tolist())
    if len(counted) > 1:
      usual = max(counted, key=counted.get)
      other = np.flatnonzero(good & (values != usual))
      first = other[0]
      yield _error(
        f'{_clips(len(other))} unlike the rest: {survey.annotations.ids[first]!r}'
        f' has {values[first]} {what}, the usual clip {usual}. All clips of a'
        ' dataset must be alike: prepare them as two.'
      )
  narrow = list(_narrow_first(survey, good))
  yield from narrow
  dtypes = {d for d, is_good in zip(survey.dtypes, good) if is_good}
  if len(dtypes) > 1 and not narrow:
    yield _note(
      f'Keypoints come as {", ".join(sorted(dtypes))}; all will be stored as'
      ' float32.'
    )


def _narrow_first(
  survey: survey_lib.Survey, good: np.ndarray
) -> Iterator[Finding]:
  """Clips that would lose digits in the type of the first, which all get.

  A pickle is read whole before anything is stored, so that this concerns only
  what the workers read clip by clip.
  """
  if not survey.is_lazy:
    return
  fields = ('keypoint', survey.dtypes), ('keypoint_score', survey.score_dtypes)
  for field, dtypes in fields:
    for splits in survey.protocols.values():
      order = [int(p) for s in splits for p in survey.positions(s) if good[p]]
      if not order or dtypes[order[0]] != 'float16':
        continue
      wide = [p for p in order if dtypes[p] not in ('float16', '')]
      if wide:
        ids = survey.annotations.ids
        yield _error(
          f'{_clips(len(wide))} with a {field!r} of more digits than the first'
          f' clip, {ids[order[0]]!r}, which is float16: {ids[wide[0]]!r} is'
          f' {dtypes[wide[0]]}. Write all clips with one type.'
        )


def _layout(
  survey: survey_lib.Survey, layout: skeletons.Layout | None
) -> Iterator[Finding]:
  joints = np.unique(survey.shapes[survey.shapes[:, 2] >= 0, 2])
  if layout is None and len(joints) == 1:
    yield _note(f'No --layout given. {checks.layouts_with(int(joints[0]))}')


def _normalization(
  survey: survey_lib.Survey, layout: skeletons.Layout | None, normalize: str
) -> Iterator[Finding]:
  if normalize == 'none':
    return
  if layout is None:
    yield _error(f'--normalize={normalize} needs a --layout.')
  elif None in (layout.origin, layout.spine, layout.shoulders):
    yield _error(
      f'--normalize={normalize}: layout {layout.name!r} does not say which'
      ' joints are its origin, spine and shoulders. Use --normalize=none, or'
      ' add them to a layout file.'
    )
  if (survey.shapes[survey.is_used, 3] == 2).any():
    yield _error(
      f'--normalize={normalize} turns 3D skeletons, and there are 2D keypoints.'
      ' Use --normalize=none: they are normalised while training.'
    )


def _labels(
  survey: survey_lib.Survey, class_names: Sequence[str]
) -> Iterator[Finding]:
  def names(labels):
    return readers.first_few(
      [class_names[i] if i < len(class_names) else f'label {i}' for i in labels]
    )

  for train, val in survey.protocols.values():
    trained, asked = (
      set(survey.labels[survey.positions(s)].tolist()) for s in (train, val)
    )
    unseen = sorted(label for label in asked - trained if label >= 0)
    if unseen:
      yield _note(
        f'{_classes(len(unseen))} of {val} without a clip in {train}:'
        f' {names(unseen)}. What is not shown cannot be learned.'
      )
    absent = sorted(set(range(len(class_names))) - trained - asked)
    if absent:
      yield _note(
        f'{_classes(len(absent))} of the {len(class_names):,} named ones without'
        f' any clip in {train} and {val}: {names(absent)}.'
      )
  if not class_names:
    yield _note(
      'The classes have no names: give --class_names (ntu60, ntu120, gym99, or'
      ' a file with one name a line), else they are called by number.'
    )


def _oddities(survey: survey_lib.Survey) -> Iterator[Finding]:
  good = np.array([digest != b'' for digest in survey.digests])
  good &= survey.is_used
  short = int((survey.shapes[good, 1] == 1).sum())
  if short:
    yield _note(f'{_clips(short)} of a single frame: no motion in them.')
  num_persons = survey.shapes[:, 0]
  whole = good & ~survey.is_compressed
  crowds = int((num_persons[whole] > _USUAL_PERSONS).sum())
  if crowds:
    yield _note(
      f'{_clips(crowds)} with more than {_USUAL_PERSONS} persons: preparing'
      f' keeps the {_USUAL_PERSONS} that move most, unless --max_persons says'
      ' otherwise.'
    )
  compact = good & survey.is_compressed
  crowds = int((num_persons[compact] > compressed.DEFAULT_MAX_PERSONS).sum())
  if crowds:
    yield _note(
      f'{_clips(crowds)} with more than {compressed.DEFAULT_MAX_PERSONS} persons'
      f' in a frame: preparing keeps the {compressed.DEFAULT_MAX_PERSONS} of the'
      ' highest scores in each frame, unless --max_persons says otherwise.'
    )
  elsewhere = int((compact & (survey.shapes[:, 2] < 0)).sum())
  if elsewhere:
    yield _note(
      f'{_clips(elsewhere)} whose keypoints lie in other files, which this'
      ' command does not read: data_prep.main checks them, with'
      ' --skeletons=DIR.'
    )
  flat = good & (survey.shapes[:, 3] == 2)
  unknown = int((flat & ~survey.has_img_shape).sum())
  if unknown:
    yield _note(
      f'{_clips(unknown)} in pixels without img_shape: a picture of'
      f' {_ASSUMED_PICTURE} will be assumed, and PoseC3D cannot be trained.'
      ' --source=clips takes --img_shape=HEIGHTxWIDTH.'
    )
