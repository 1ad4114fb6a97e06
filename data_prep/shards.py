"""Write the shards of a dataset; this is the work of Beam's workers.

A worker reads rows of a scratch file, makes records of them and writes them to
one shard, so that no clip passes through a runner's shuffle.
"""

from collections.abc import Iterable, Iterator, Sequence
import dataclasses
import functools
import pickle
from typing import Any

from array_record.python import array_record_module

from data_prep import jobs
from data_prep import rows as rows_lib
from data_prep import statistics
from skeljax import readers
from skeljax.datasets import records
from skeljax.datasets.spec import DataSpec

# One record per group, for Grain's random access.
WRITER_OPTIONS = 'group_size:1'
# The scratch file is read once and removed.
SCRATCH_OPTIONS = 'group_size:1,uncompressed'
READER_OPTIONS = 'readahead_buffer_size:0'

_ROWS_PER_READ = 64


@dataclasses.dataclass(frozen=True)
class ShardTask:
  """A shard to write.

  Attributes:
    path: file to write.
    scratch: file with the pickled rows, readable by all workers.
    rows: range of rows of the scratch file.
    decoder: makes records of the rows.
    spec: how the records are encoded.
  """

  path: str
  scratch: str
  rows: range
  decoder: rows_lib.Decoder
  spec: DataSpec

  @property
  def num_clips(self) -> int:
    return len(self.rows)


def write_shard(task: ShardTask) -> dict[str, Any]:
  """Write a shard; return what jobs.write_file does, with the Statistics."""
  return jobs.write_file(task.path, functools.partial(_write_shard, task))


def _write_shard(task: ShardTask, path: str) -> statistics.Statistics:
  counted = statistics.Statistics()

  def encoded():
    for row in read_rows(task.scratch, task.rows):
      try:
        record = task.decoder.decode(row)
      except readers.ClipError as error:
        if error.kind != 'empty':
          raise
        counted.empty.append(row.clip.id)
        continue
      data = records.encode(record, task.spec)
      counted.add(record, len(data))
      yield data

  write_records(path, encoded(), WRITER_OPTIONS)
  return counted


def read_rows(scratch: str, indices: Sequence[int]) -> Iterator[rows_lib.Row]:
  """Yield rows of a scratch file."""
  reader = array_record_module.ArrayRecordReader(scratch, READER_OPTIONS)
  try:
    for start in range(0, len(indices), _ROWS_PER_READ):
      for data in reader.read(list(indices[start : start + _ROWS_PER_READ])):
        yield pickle.loads(data)
  finally:
    reader.close()


def write_records(path: str, encoded: Iterable[bytes], options: str) -> None:
  """Write an ArrayRecord file.

  Raises:
    OSError: the file is incomplete. NOTE: ArrayRecord reads a file that it
      could not finish as an empty one, so the records have to be counted.
  """
  writer = array_record_module.ArrayRecordWriter(path, options)
  count = 0
  try:
    for data in encoded:
      writer.write(data)
      count += 1
  finally:
    writer.close()
  reader = array_record_module.ArrayRecordReader(path, READER_OPTIONS)
  found = reader.num_records()
  reader.close()
  if found != count:
    raise OSError(f'{path}: wrote {count} records, {found} can be read')
