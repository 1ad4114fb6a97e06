"""One pass over annotations: what the clips are like and which are faulty."""

import collections
from collections.abc import Mapping, Sequence
import dataclasses
import hashlib
from typing import Any

import numpy as np

from data_prep import progress
from data_prep import summary
from skeljax import errors
from skeljax import readers
from skeljax import skeletons
from skeljax.readers import checks
from skeljax.readers import compressed

_EVERYBODY = compressed.Selection(max_persons=None)


@dataclasses.dataclass(frozen=True)
class Survey:
  """What was seen of each clip; -1 and '' where the clip does not say.

  Attributes:
    annotations: emptied of their clips.
    splits: the splits that were looked at, in file order.
    protocols: protocol -> its training and validation split, of these splits.
    is_used: [n] whether a clip is in one of the splits.
    is_seen: [n] whether a clip was looked at.
    is_compressed: [n] whether a clip lists its skeletons one by one.
    shapes: [n, 4] persons, frames, joints, channels.
    dtypes: type of the keypoints.
    score_dtypes: type of the scores beside them.
    has_score: [n] whether there are scores beside the keypoints.
    has_img_shape: [n] whether the picture's size is known.
    labels: [n] labels, as far as they are whole numbers.
    digests: what tells keypoints apart; '' for faulty and empty clips.
    faults: kind of fault -> position -> words.
  """

  annotations: readers.RawDataset
  splits: tuple[str, ...]
  protocols: Mapping[str, tuple[str, str]]
  is_used: np.ndarray
  is_seen: np.ndarray
  is_compressed: np.ndarray
  shapes: np.ndarray
  dtypes: list[str]
  score_dtypes: list[str]
  has_score: np.ndarray
  has_img_shape: np.ndarray
  labels: np.ndarray
  digests: list[bytes]
  faults: Mapping[str, Mapping[int, str]]

  @property
  def is_lazy(self) -> bool:
    """Whether Beam's workers will read the clips, each by itself."""
    return not self.annotations.in_memory

  def positions(self, split: str) -> np.ndarray:
    return np.asarray(self.annotations.splits[split], np.int64)


def look(
  annotations: readers.RawDataset,
  *,
  layout: skeletons.Layout | None,
  num_classes: int,
  protocol: str,
  third_channel: str,
) -> Survey:
  """Looks at every clip once, and frees it.

  Args:
    annotations: emptied on the way.
    layout: whose joints the clips must have, or None.
    num_classes: labels must be below it; 0 when it is not known.
    protocol: whose splits count; '' for all.
    third_channel: see readers.check_clip.

  Raises:
    UserError: there is no such protocol.
  """
  splits = tuple(annotations.splits)
  if protocol:
    splits = readers.find_protocol(annotations, protocol)
  count = len(annotations.clips)
  result = Survey(
    annotations=annotations,
    splits=splits,
    protocols=readers.protocols(splits),
    # A plain list is a split that has no name yet.
    is_used=np.full(count, not annotations.splits),
    is_seen=np.zeros(count, bool),
    is_compressed=np.zeros(count, bool),
    shapes=np.full((count, 4), -1),
    dtypes=[''] * count,
    score_dtypes=[''] * count,
    has_score=np.zeros(count, bool),
    has_img_shape=np.zeros(count, bool),
    labels=np.full(count, -1),
    digests=[b''] * count,
    faults=collections.defaultdict(dict),
  )
  for split in splits:
    result.is_used[result.positions(split)] = True
  # Whoever asks about one protocol does not wait for the files of the others.
  result.is_seen[:] = result.is_used if result.is_lazy else True
  wanted = np.flatnonzero(result.is_seen)
  with progress.Progress('checking', len(wanted)) as shown:
    for position in wanted:
      _look_at_clip(result, int(position), layout, num_classes, third_channel)
      shown.advance_to(shown.done + 1)
  return result


def _look_at_clip(
  result: Survey,
  position: int,
  layout: skeletons.Layout | None,
  num_classes: int,
  third_channel: str,
) -> None:
  """Notes what a clip is like and what is wrong with it, and frees it."""
  annotations = result.annotations
  clip = annotations.clips[position]
  where = clip.where
  if result.is_lazy:
    _note(result, position, {'label': clip.label})
  try:
    item = {**clip.read(), 'label': clip.label}
    annotations.release(position)
    if compressed.is_compressed(item):
      result.is_compressed[position] = True
      if item.get('keypoint') is None:
        _look_at_entry(result, position, item, num_classes, where)
        return
      item = compressed.decompress_item(item, _EVERYBODY, where)
    _note(result, position, item)
    record = readers.check_clip(
      dataclasses.replace(clip, read=lambda: item),
      layout=layout,
      num_classes=num_classes,
      third_channel=third_channel,
    )
  except errors.UserError as error:
    # A reader's own words need no kind.
    kind = getattr(error, 'kind', '') or 'unreadable'
    result.faults[kind][position] = str(error)
  else:
    result.digests[position] = _digest(record['keypoint'])
    result.has_score[position] = 'keypoint_score' in record
    result.shapes[position, 3] = record['keypoint'].shape[3]


def _look_at_entry(
  result: Survey,
  position: int,
  item: Mapping[str, Any],
  num_classes: int,
  where: str,
) -> None:
  """Notes a clip whose keypoints lie in another file, as far as it says."""
  _note(result, position, item)
  result.has_score[position] = True
  checks.check_label(item.get('label'), num_classes, where)
  checks.check_img_shape(item, where)
  frames, _ = compressed.chosen_skeletons(item, _EVERYBODY, where)
  num_persons, num_frames, _ = compressed.decompressed_shape(frames, None)
  if not num_frames:
    raise readers.ClipError('empty', where, "'frame_inds' is empty.")
  result.shapes[position, :2] = num_persons, num_frames
  # The frames and boxes of two clips do not agree by chance.
  boxes = frames
  if item.get('box_score') is not None:
    boxes = compressed.check_box_score(item, len(frames), where)
  result.digests[position] = _digest(np.stack([frames, boxes]))


def _note(result: Survey, position: int, item: Mapping[str, Any]) -> None:
  """Remembers what the item says, right or wrong."""
  keypoint = item.get('keypoint')
  if isinstance(keypoint, np.ndarray):
    result.dtypes[position] = keypoint.dtype.name
    if keypoint.ndim == 4:
      result.shapes[position] = keypoint.shape
  score = item.get('keypoint_score')
  if isinstance(score, np.ndarray):
    result.score_dtypes[position] = score.dtype.name
  result.has_score[position] = score is not None
  result.has_img_shape[position] = item.get('img_shape') is not None
  label = item.get('label')
  if checks.is_integer(label) and abs(label) < checks.MAX_CLASSES:
    result.labels[position] = label


def _digest(keypoint: np.ndarray) -> bytes:
  hasher = hashlib.blake2b(str(keypoint.shape).encode(), digest_size=16)
  hasher.update(np.ascontiguousarray(keypoint).data)
  return hasher.digest()


def balance(survey: Survey) -> dict[str, summary.Summary]:
  """What the clips of each split that can be used add up to."""
  result = {}
  for split in survey.splits:
    positions = [p for p in survey.positions(split) if survey.digests[p]]

    def count(values, positions=positions):
      return dict(
        sorted(collections.Counter(values[positions].tolist()).items())
      )

    result[split] = summary.Summary(
      labels=count(survey.labels),
      frames=count(survey.shapes[:, 1]),
      persons=count(survey.shapes[:, 0]),
      num_cut=0,
      num_dropped=0,
      has_img_shape=bool(survey.has_img_shape[positions].all()),
      empty=(),
    )
  return result


def describe(
  survey: Survey, layout: skeletons.Layout | None, class_names: Sequence[str]
) -> str:
  """What the clips are like, as a small table."""
  shapes = survey.shapes[survey.shapes[:, 0] >= 0]
  known = shapes[shapes[:, 2] >= 0]
  is_seen = survey.is_seen
  rows = [
    ('clips', f'{len(survey.shapes):,}'),
    ('classes', _classes(survey, class_names)),
    ('persons', _counts(shapes[:, 0])),
    ('frames', _frames(shapes[:, 1])),
    ('joints', _counts(known[:, 2], layout)),
    ('channels', _counts(known[:, 3])),
    ('scores', _counts(survey.has_score[is_seen], words=('none', 'yes'))),
    ('type', _counts(np.array(survey.dtypes)[is_seen])),
  ]
  lines = [survey.annotations.source]
  lines += [f'  {name:<10}{value}' for name, value in rows]
  if survey.splits:
    width = max(12, *(len(split) + 2 for split in survey.splits))
    lines.append(
      f'\n  {"split":<{width}}{"clips":>8}{"classes":>9}'
      f'{"frames min/median/max":>23}'
    )
  for split in survey.splits:
    positions = survey.positions(split)
    frames = survey.shapes[positions, 1]
    num_classes = len(np.unique(survey.labels[positions]))
    lines.append(
      f'  {split:<{width}}{len(positions):>8,}{num_classes:>9,}'
      f'{_span(frames[frames >= 0]):>23}'
    )
  return '\n'.join(lines) + '\n'


def _classes(survey: Survey, class_names: Sequence[str]) -> str:
  labels = np.unique(survey.labels[survey.labels >= 0])
  span = f', {labels[0]} to {labels[-1]}' if len(labels) else ''
  names = f'{len(class_names):,} names' if class_names else 'no names'
  return f'{len(labels):,} labels{span}; {names}'


def _span(values: np.ndarray) -> str:
  if not len(values):
    return '-'
  return f'{values.min()} / {np.median(values):.0f} / {values.max()}'


def _frames(values: np.ndarray) -> str:
  return f'{_span(values)} (min / median / max)'


def _counts(
  values: Sequence[Any] | np.ndarray,
  layout: skeletons.Layout | None = None,
  words: Sequence[str] = (),
) -> str:
  """The values that occur; with how many clips each where they differ."""
  counted = sorted(collections.Counter(np.asarray(values).tolist()).items())
  named = [(words[int(v)] if words else str(v) or '?', n) for v, n in counted]
  if len(named) == 1:
    text = named[0][0]
  else:
    text = ', '.join(f'{name} ({n:,} clips)' for name, n in named) or '-'
  return (
    f'{text} (layout {layout.name}: {layout.num_joints})' if layout else text
  )
