"""Keypoints that annotations leave to other files, read by Beam's workers.

They are most of the bytes, so the workers read them while they write the
shards; table_scratch.py writes the rows that say where each clip's are. Bundles
of clips are taken apart before, one task a bundle, because the clips of a shard
are scattered over all of them.
"""

from collections.abc import Mapping
import dataclasses
import io
import json
from typing import Any

from array_record.python import array_record_module
import numpy as np

from data_prep import jobs
from data_prep import shards
from skeljax import errors
from skeljax import readers
from skeljax import skeletons
from skeljax.readers import compressed
from skeljax.readers import skeleton_files

_READER_OPTIONS = 'readahead_buffer_size:0'


@dataclasses.dataclass(frozen=True)
class BundleTask:
  """A bundle to take apart.

  Attributes:
    path: the file to write, a record a clip.
    bundle: the file to read.
    ids: the clips that are wanted, in the order of the rows to write.
  """

  path: str
  bundle: str
  ids: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Table:
  """How a worker makes records of the rows of the scratch file.

  Attributes:
    layout: whose joints the keypoints must have.
    max_persons: persons kept in a frame; None keeps all.
    drop_empty: whether clips without a skeleton are left out.
    unpacked: bundle -> the file that holds what was in it.
  """

  layout: skeletons.Layout
  max_persons: int | None
  drop_empty: bool
  unpacked: Mapping[str, str]

  def open(self) -> 'TableReader':
    return TableReader(self)


def unpack_bundle(task: BundleTask) -> dict[str, Any]:
  """Writes the keypoints of the wanted clips of a bundle, a record a clip.

  Returns:
    As jobs.write_file.
  """
  return jobs.write_file(task.path, lambda path: _unpack(task, path))


def _unpack(task: BundleTask, path: str) -> dict[str, Any]:
  root = skeleton_files.load_skeletons(task.bundle)
  writer = array_record_module.ArrayRecordWriter(path, shards.SCRATCH_OPTIONS)
  try:
    for sample_id in task.ids:
      clip = skeleton_files.clip_of_bundle(root, sample_id, task.bundle)
      where = f'{task.bundle}, sample {sample_id!r}'
      data = io.BytesIO()
      np.save(data, compressed.clip_keypoint(clip, where), allow_pickle=False)
      writer.write(data.getvalue())
  finally:
    writer.close()
  shards.count_records(path, len(task.ids))
  return {'num_clips': len(task.ids)}


class TableReader:
  """Makes records of rows, in a worker; a context, as it opens files."""

  def __init__(self, table: Table):
    self._table = table
    self._readers = {}

  def __enter__(self) -> 'TableReader':
    return self

  def __exit__(self, *unused_error) -> None:
    for reader in self._readers.values():
      reader.close()

  def decode(self, data: bytes) -> dict[str, Any]:
    """The record of a row, without its box; only the id of one left out.

    Raises:
      UserError: the keypoints cannot be read or used.
    """
    row = json.loads(data)
    where = f'{row["file"]}, sample {row["id"]!r}'
    frame_inds = np.array(row['frame_inds'], np.int64)
    keypoint = compressed.clip_keypoint(
      self._clip(row, frame_inds, where), where
    )
    shape = keypoint.shape
    if len(shape) != 3 or shape[0] != len(frame_inds) or shape[2] != 3:
      raise readers.ClipError(
        'shape',
        where,
        f"'keypoint' has shape {shape}. Expected [{len(frame_inds)}, joints, 3]"
        " (x, y, score), one row per element of 'frame_inds'.",
      )
    if row['chosen'] is not None:
      frame_inds = frame_inds[row['chosen']]
      keypoint = keypoint[row['chosen']]
    pixels, score = compressed.decompress_pose(
      frame_inds, keypoint, self._table.max_persons
    )
    item = {
      'keypoint': pixels,
      'keypoint_score': score,
      'label': row['label'],
      'img_shape': row['img_shape'] if all(row['img_shape']) else None,
    }
    try:
      record = readers.check_clip(
        readers.Clip(row['id'], row['label'], row['file'], lambda: item),
        layout=self._table.layout,
        num_classes=0,
      )
    except readers.ClipError as error:
      if error.kind != 'empty' or not self._table.drop_empty:
        raise
      return {'id': row['id']}
    position = row['position']
    return {**record, 'position': position, 'box': np.zeros(4, np.float32)}

  def _clip(
    self, row: Mapping[str, Any], frame_inds: np.ndarray, where: str
  ) -> Mapping[str, Any]:
    """The dict with the clip's keypoints."""
    if row['row'] is not None:
      return {'keypoint': self._unpacked_keypoint(row['file'], row['row'])}
    clip = skeleton_files.load_skeletons(row['file'])
    told = clip.get('frame_inds')
    if told is not None and not np.array_equal(told, frame_inds):
      raise errors.UserError(
        f"{where}: its 'frame_inds' are not those of the annotations. The file"
        ' belongs to other annotations.'
      )
    return clip

  def _unpacked_keypoint(self, bundle: str, row: int) -> np.ndarray:
    reader = self._readers.get(bundle)
    if reader is None:
      reader = array_record_module.ArrayRecordReader(
        self._table.unpacked[bundle], _READER_OPTIONS
      )
      self._readers[bundle] = reader
    return np.load(io.BytesIO(reader.read([row])[0]), allow_pickle=False)
