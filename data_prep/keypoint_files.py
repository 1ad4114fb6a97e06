"""Keypoints of compressed annotations that are in other files (--skeletons).

mmaction2 has one pickle per clip, which a worker reads when it needs the clip.
pyskl has bundles of many clips; the clips of a shard are scattered over all of
them, so the bundles are unpacked first, one Beam task per bundle.
"""

import dataclasses
import functools
import io
import os
from typing import Any

from apache_beam.options import pipeline_options
from array_record.python import array_record_module
import numpy as np

from data_prep import jobs
from data_prep import shards
from skeljax import errors
from skeljax import readers
from skeljax.readers import compressed
from skeljax.readers import skeleton_files


@dataclasses.dataclass(frozen=True)
class _Bundle:
  """A bundle to unpack: `ids` are the clips in the order of the file `path`."""

  path: str
  bundle: str
  ids: tuple[str, ...]

  @property
  def num_clips(self) -> int:
    return len(self.ids)


class KeypointFiles:
  """Finds the keypoints of clips and unpacks the bundles among the files."""

  def __init__(self, directory: str, scratch: str):
    """Args: the files of the user, and the folder of unpacked bundles."""
    self._directory = directory
    self._scratch = scratch
    self._bundles: dict[str, dict[str, int]] = {}
    self._missing: dict[str, str] = {}

  def keypoints(self, clip: readers.Clip) -> readers.Clip:
    """Return a clip that reads the keypoints of `clip`, after `unpack`."""
    item = clip.read()
    if item.get('keypoint') is not None or item.get('frame_inds') is None:
      raise errors.UserError(
        f"{clip.where}: with --skeletons=DIR, expected 'frame_inds' and no"
        f" 'keypoint', found {', '.join(map(repr, item))}. Prepare clips with"
        ' keypoints as a dataset of their own.'
      )
    path = skeleton_files.skeleton_file(self._directory, clip.id, item)
    if path not in self._bundles and not os.path.isfile(path):
      self._missing[clip.id] = path
    if item.get('raw_file') is None:
      return skeleton_files.keypoints_of(self._directory, clip)
    rows = self._bundles.setdefault(path, {})
    row = rows.setdefault(clip.id, len(rows))
    read = functools.partial(_read_unpacked, self._unpacked(path), row)
    return readers.Clip(clip.id, clip.label, path, read)

  def unpack(self, options: pipeline_options.PipelineOptions) -> None:
    """Unpack all bundles, after all clips were looked up.

    Raises:
      UserError: files are missing or cannot be read.
    """
    if self._missing:
      first, *_ = self._missing.values()
      raise errors.UserError(
        f'--skeletons={self._directory}: the keypoints of'
        f' {len(self._missing):,} clips are missing:'
        f' {readers.first_few(list(self._missing))}. Expected the first in'
        f' {first}. Add the files, or remove the clips from the splits.'
      )
    tasks = [
      _Bundle(self._unpacked(path), path, tuple(ids))
      for path, ids in self._bundles.items()
    ]
    if tasks:
      jobs.run(
        _unpack_bundle,
        tasks,
        what='unpacking',
        options=options,
        results_path=os.path.join(self._scratch, 'bundles.results'),
      )

  def _unpacked(self, path: str) -> str:
    name = f'{os.path.basename(path)}.array_record'
    return os.path.join(self._scratch, name)


def _unpack_bundle(task: _Bundle) -> dict[str, Any]:
  return jobs.write_file(task.path, functools.partial(_unpack, task))


def _unpack(task: _Bundle, path: str) -> None:
  root = skeleton_files.load_skeletons(task.bundle)

  def arrays():
    for sample_id in task.ids:
      clip = skeleton_files.clip_of_bundle(root, sample_id, task.bundle)
      where = f'{task.bundle}, sample {sample_id!r}'
      data = io.BytesIO()
      np.save(data, compressed.clip_keypoint(clip, where), allow_pickle=False)
      yield data.getvalue()

  shards.write_records(path, arrays(), shards.SCRATCH_OPTIONS)


def _read_unpacked(path: str, row: int) -> readers.Item:
  reader = array_record_module.ArrayRecordReader(path, shards.READER_OPTIONS)
  try:
    data = reader.read([row])[0]
  finally:
    reader.close()
  return {'keypoint': np.load(io.BytesIO(data), allow_pickle=False)}
