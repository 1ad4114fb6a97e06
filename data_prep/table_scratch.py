"""From a table of contents, whose keypoints lie elsewhere, to a scratch file.

One process reads the table and checks all that stands in it; the scratch file
then holds, for each clip, where its keypoints are and which of its skeletons
count. What remains to be done with them, tables.py does in Beam's workers.
"""

from collections.abc import Mapping, Sequence
import json
import os
from typing import Any

from array_record.python import array_record_module
import numpy as np

from data_prep import progress
from data_prep import scratch
from data_prep import shards
from data_prep import tables
from skeljax import errors
from skeljax import readers
from skeljax.readers import checks
from skeljax.readers import compressed
from skeljax.readers import skeleton_files


def write_scratch(
  annotations: readers.RawDataset,
  positions: Mapping[str, Sequence[int]],
  path: str,
  checks: scratch.Checks,
  directory: str,
) -> scratch.CheckedClips:
  """Checks the table and writes what the workers have to know of each clip.

  Args:
    annotations: emptied on the way, so that memory is freed.
    positions: indices of the annotations by split.
    path: the file to write; files beside it will hold what bundles held.
    checks: what to check.
    directory: holds the files with the keypoints.

  Raises:
    UserError: a clip cannot be used, or has no file.
  """
  reading = _Reading(annotations, checks, directory, path)
  scratch.drop_unused(annotations, positions)
  writer = array_record_module.ArrayRecordWriter(path, shards.SCRATCH_OPTIONS)
  rows, num_bytes, written = {}, {}, 0
  num_clips = sum(len(indices) for indices in positions.values())
  try:
    with progress.Progress('reading', num_clips) as shown:
      for split, indices in positions.items():
        first, num_bytes[split] = written, 0
        for position in indices:
          shown.advance_to(shown.done + 1)
          row, size = reading.take(position, checks.selection_of(split))
          if row is not None:
            writer.write(json.dumps(row).encode())
            num_bytes[split] += size
            written += 1
        rows[split] = range(first, written)
  finally:
    writer.close()
  reading.report()
  shards.count_records(path, written)
  scratch.check_splits(annotations, rows)
  bundles = reading.bundle_tasks()
  return scratch.CheckedClips(
    path=path,
    rows=rows,
    spec=shards.RecordSpec(
      checks.layout.num_joints, 2, 'float16', score_dtype='float16'
    ),
    num_persons=reading.num_persons,
    max_label=reading.max_label,
    has_img_shape=reading.has_img_shape,
    num_cut=reading.num_cut if checks.selection.keeps_fewer_persons else 0,
    num_bytes=num_bytes,
    table=tables.Table(
      layout=checks.layout,
      max_persons=checks.selection.max_persons,
      drop_empty=checks.drop_empty,
      unpacked={task.bundle: task.path for task in bundles},
    ),
    bundles=bundles,
  )


class _Reading:
  """Turns annotations into rows and remembers what they were like."""

  def __init__(
    self,
    annotations: readers.RawDataset,
    checks: scratch.Checks,
    directory: str,
    path: str,
  ):
    self._annotations = annotations
    self._checks = checks
    self._directory = directory
    self._path = path
    # Bundle -> id -> row in the file that will hold what is in it.
    self._bundles: dict[str, dict[str, int]] = {}
    self._missing: dict[str, str] = {}
    self._empty = []
    self.num_cut = self.num_persons = self.max_label = 0
    self.has_img_shape = True

  def take(
    self, position: int, selection: compressed.Selection
  ) -> tuple[dict[str, Any] | None, int]:
    """The row of a clip and the size of its record; no row for an empty one."""
    clip = self._annotations.clips[position]
    item, sample_id, where = clip.read(), clip.id, clip.where
    _check_listed(item, where)
    label = checks.check_label(clip.label, self._checks.num_classes, where)
    img_shape = checks.check_img_shape(item, where)
    frame_inds, mask = compressed.chosen_skeletons(item, selection, where)
    num_persons, num_frames, is_cut = compressed.decompressed_shape(
      frame_inds, selection.max_persons
    )
    if not num_frames:
      self._empty.append(sample_id)
      return None, 0
    self.num_cut += is_cut
    self.num_persons = max(self.num_persons, num_persons)
    self.max_label = max(self.max_label, label)
    self.has_img_shape &= all(img_shape)
    file, row = self._find(sample_id, item)
    size = 2 * num_persons * num_frames * self._checks.layout.num_joints * 3
    return {
      'id': sample_id,
      'position': position,
      'label': label,
      'img_shape': img_shape,
      'frame_inds': item['frame_inds'].tolist(),
      'chosen': None if mask is None else np.flatnonzero(mask).tolist(),
      'file': file,
      'row': row,
    }, size

  def _find(
    self, sample_id: str, item: Mapping[str, Any]
  ) -> tuple[str, int | None]:
    """The file with the clip's keypoints and, of a bundle, its row there."""
    file = skeleton_files.skeleton_file(self._directory, sample_id, item)
    is_known = file in self._bundles
    if not is_known and not os.path.isfile(file):
      self._missing[sample_id] = file
    if item.get('raw_file') is None:
      return file, None
    rows = self._bundles.setdefault(file, {})
    return file, rows.setdefault(sample_id, len(rows))

  def report(self) -> None:
    """Logs what was left out; raises UserError if it must not be."""
    if self._missing:
      ids = list(self._missing)
      raise errors.UserError(
        f'--skeletons={self._directory}: the keypoints of {len(ids):,} clips of'
        f' {self._annotations.source} are not there:'
        f' {readers.first_few(ids)}. The first should be in'
        f' {self._missing[ids[0]]}. Get the missing files, or take these clips'
        ' out of the splits.'
      )
    scratch.report_crowded(self.num_cut, self._checks.selection.max_persons)
    scratch.report_empty(
      self._annotations.source, self._empty, self._checks.drop_empty
    )

  def bundle_tasks(self) -> tuple[tables.BundleTask, ...]:
    return tuple(
      tables.BundleTask(_unpacked(self._path, bundle), bundle, tuple(ids))
      for bundle, ids in self._bundles.items()
    )


def _check_listed(item: Mapping[str, Any], where: str) -> None:
  """Raises UserError unless an item leaves its keypoints to another file."""
  if item.get('keypoint') is not None:
    raise errors.UserError(
      f"{where} has a 'keypoint' of its own, and --skeletons=DIR says that"
      ' keypoints lie in other files. Leave --skeletons out, or prepare such'
      ' clips as a dataset of their own.'
    )
  if item.get('frame_inds') is None:
    raise errors.UserError(
      f"{where} has no 'frame_inds', only {', '.join(map(repr, item))}. With"
      ' --skeletons=DIR every clip must say to which frame each of its'
      ' skeletons belongs.'
    )


def _unpacked(scratch_path: str, bundle: str) -> str:
  """Where the clips of a bundle are written, a record a clip."""
  return f'{scratch_path}.{os.path.basename(bundle)}.array_record'
