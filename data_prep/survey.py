"""Decode every clip of a dataset once and record what is in it."""

import collections
from collections.abc import Mapping, Sequence
import dataclasses
import functools
import hashlib
from typing import Any

import numpy as np

from data_prep import options as options_lib
from data_prep import progress
from data_prep import rows as rows_lib
from data_prep import sources
from data_prep import statistics
from skeljax import errors
from skeljax import readers
from skeljax import skeletons
from skeljax.readers import compressed


class Survey:
  """Decodes every clip of a dataset once, as data_prep.main does.

  Attributes:
    dataset: its clips are released.
    splits: the splits that were checked, in file order.
    protocols: protocol -> its training and validation split.
    used: positions of the clips in these splits.
    decoder: fitted to the first valid clip.
    statistics: of the valid clips, per split.
    total: of the valid clips in all splits.
    digests: position -> hash of the keypoints, of the valid clips.
    faults: kind of error -> position -> message.
    num_listed: clips whose keypoints are in other files.
  """

  def __init__(
    self,
    dataset: readers.RawDataset,
    options: options_lib.Options,
    layout: skeletons.Layout | None,
    num_classes: int,
  ):
    """Decode all clips.

    Args:
      dataset: its clips are released.
      options: with the protocol; '' for all splits.
      layout: expected layout, or None for any.
      num_classes: labels have to be smaller; 0 if the number is unknown.

    Raises:
      UserError: the dataset does not have the protocol.
    """
    self.dataset = dataset
    self.splits = tuple(dataset.splits)
    if options.protocol:
      self.splits = readers.find_protocol(dataset, options.protocol)
    self.protocols = readers.protocols(self.splits)
    self.used = set(range(len(dataset.clips)))  # A plain list is a split.
    if dataset.splits:
      self.used = {p for split in self.splits for p in dataset.splits[split]}
    self.decoder = rows_lib.Decoder(options, layout, num_classes)
    self.statistics = {split: statistics.Statistics() for split in self.splits}
    self.total = statistics.Statistics()
    self.digests: dict[int, bytes] = {}
    self.faults: dict[str, dict[int, str]] = collections.defaultdict(dict)
    self.num_listed = 0
    self._fit()
    self._decode_all()

  def _fit(self) -> None:
    """Fit the decoder to the first valid clip, as data_prep.main does.

    Without --protocol, main may prepare any of them: the clips then have to fit
    the narrowest dtypes of their first clips.
    """
    dtypes = rows_lib.storage_dtypes(self.dataset, self.used)
    orders = [
      [p for split in names for p in self.dataset.splits[split]]
      for names in self.protocols.values()
    ]
    fitted = []
    for order in orders or [sorted(self.used)]:
      for position in order:
        try:
          row = self._row(position)
          fitted.append(self.decoder.fit(row, self.decoder.read(row), dtypes))
        except errors.UserError:
          continue
        break
    if not fitted:
      return
    options, layout = self.decoder.options, self.decoder.layout
    # The findings list what cannot be applied.
    is_2d = fitted[0].num_channels == 2
    if is_2d or sources.missing_joints(layout):
      options = dataclasses.replace(options, normalize='none')
    if is_2d:
      options = dataclasses.replace(options, project='none')
    self.decoder = dataclasses.replace(
      fitted[0],
      options=options,
      # 'float16' < 'float32'
      keypoint_dtype=min(f.keypoint_dtype for f in fitted),
      score_dtype=min(f.score_dtype for f in fitted),
    )

  def _decode_all(self) -> None:
    members = collections.defaultdict(list)
    for split in self.splits:
      for position in self.dataset.splits[split]:
        members[position].append(self.statistics[split])
    for position in self.used:
      members[position].append(self.total)
    # Clips outside of the splits are checked if that does not take time.
    wanted = sorted(self.used)
    if self.dataset.in_memory:
      wanted = list(range(len(self.dataset.clips)))
    with progress.Progress('checking', len(wanted)) as shown:
      for position in wanted:
        record = self._decode(position)
        if record is not None:
          for counted in members[position]:
            counted.add(record)
        self.dataset.release(position)
        shown.advance_to(shown.done + 1)

  def _decode(self, position: int) -> dict[str, Any] | None:
    """Return the record of a clip, or None if it has an error."""
    clip = self.dataset.clips[position]
    try:
      rows_lib.check_label(clip, self.decoder.num_classes)
      record = self.decoder.decode(self._row(position))
      digest = self._listed_digest(clip)
    except errors.UserError as error:
      kind = getattr(error, 'kind', '') or 'unreadable'
      self.faults[kind][position] = str(error)
      return None
    self.num_listed += bool(digest)
    self.digests[position] = digest or _digest(record['keypoint'])
    return record

  def _row(self, position: int) -> rows_lib.Row:
    """The row of a clip; with placeholders for keypoints in other files."""
    clip = self.dataset.clips[position]
    keypoints = None
    if self._is_listed(clip):
      layout = self.decoder.layout
      num_joints = layout.num_joints if layout else 1
      shape = (np.size(clip.read()['frame_inds']), num_joints, 3)
      read: Any = functools.partial(dict, keypoint=np.ones(shape, np.float16))
      keypoints = dataclasses.replace(clip, read=read)
    return rows_lib.make_row(
      self.dataset,
      position,
      self.decoder.options.selection(),
      keypoints,
    )

  def _listed_digest(self, clip: readers.Clip) -> bytes:
    """Hash of frames and boxes of a clip without keypoints; b'' for others."""
    if not self._is_listed(clip):
      return b''
    item = clip.read()
    # Two clips do not have the same frames and boxes by coincidence.
    frames = boxes = np.asarray(item['frame_inds'])
    if item.get('box_score') is not None:
      boxes = compressed.check_box_score(item, len(frames), clip.where)
    return _digest(np.stack([frames, boxes]))

  def _is_listed(self, clip: readers.Clip) -> bool:
    if not self.dataset.in_memory:
      return False
    item = clip.read()
    return compressed.is_compressed(item) and item.get('keypoint') is None


def _digest(array: np.ndarray) -> bytes:
  hasher = hashlib.blake2b(str(array.shape).encode(), digest_size=16)
  hasher.update(np.ascontiguousarray(array).data)
  return hasher.digest()


def describe(
  found: Survey, layout: skeletons.Layout | None, class_names: Sequence[str]
) -> str:
  """Return a table of the properties of the valid clips."""
  total, decoder = found.total, found.decoder
  labels = sorted(total.labels)
  label_range = f', {labels[0]} to {labels[-1]}' if labels else ''
  names = f'{len(class_names):,} names' if class_names else 'no names'
  is_read = total.num_clips > found.num_listed
  joints = str(decoder.num_joints) if is_read else '-'
  if layout:
    joints += f' (layout {layout.name}: {layout.num_joints})'
  rows = [
    ('clips', f'{len(found.dataset.clips):,}'),
    ('classes', f'{len(labels):,} labels{label_range}; {names}'),
    ('persons', _counts(total.persons)),
    ('frames', f'{statistics.span(total.frames)} (min / median / max)'),
    ('joints', joints),
    ('channels', str(decoder.num_channels) if is_read else '-'),
    ('scores', 'yes' if decoder.score_dtype else 'none'),
    ('type', _counts(total.dtypes)),
  ]
  lines = [found.dataset.source]
  lines += [f'  {name:<10}{value}' for name, value in rows]
  if found.splits:
    width = max(12, *(len(split) + 2 for split in found.splits))
    lines.append(
      f'\n  {"split":<{width}}{"clips":>8}{"classes":>9}'
      f'{"frames min/median/max":>23}'
    )
    for split in found.splits:
      counted = found.statistics[split]
      lines.append(
        f'  {split:<{width}}{len(found.dataset.splits[split]):>8,}'
        f'{len(counted.labels):>9,}{statistics.span(counted.frames):>23}'
      )
  return '\n'.join(lines) + '\n'


def _counts(counts: Mapping[Any, int]) -> str:
  """The values that occur; with the number of clips if they differ."""
  if len(counts) == 1:
    return str(*counts)
  return (
    ', '.join(f'{v} ({n:,} clips)' for v, n in sorted(counts.items())) or '-'
  )
