"""Clips that workers read: once, one at a time, and with clear complaints."""

import collections
import dataclasses
import functools
import weakref

from array_record.python import array_record_module
import numpy as np
import pytest

from data_prep import clip_tables
from data_prep import scratch
from data_prep import shards
from skeljax import errors
from skeljax import readers
from skeljax import skeletons
from skeljax.datasets import records
from skeljax.readers import compressed

_LAYOUT = skeletons.get_layout('coco')


def _keypoint(row, num_persons=1):
  rng = np.random.default_rng(row)
  return rng.uniform(1, 9, (num_persons, 4 + row, 17, 2)).astype(np.float32)


def _read(file):
  return {'keypoint': _keypoint(file.row)}


@dataclasses.dataclass(frozen=True)
class _File:
  """Where a clip is: what the functions below read."""

  id: str
  path: str
  row: int


# Clips are pickled, so their functions are found by name.
_READ = {'read': None}


def _read_file(file):
  return _READ['read'](file)


def _annotations(read=_read, num_clips=40, **changes):
  _READ['read'] = read
  clips = []
  for i in range(num_clips):
    file = _File(f'wäve/{i}.ü', f'in/{i}', i)
    clip = readers.Clip(
      file.id, i % 3, file.path, functools.partial(_read_file, file)
    )
    clips.append(dataclasses.replace(clip, **changes))
  return readers.RawDataset(clips, splits={}, source='in')


@pytest.fixture
def write(tmp_path):
  """Lists the clips and writes them as one shard; its records and result."""

  def write_all(annotations, drop_empty=False, max_persons=2):
    count = len(annotations.ids)
    clips = clip_tables.write_scratch(
      annotations,
      {'train': range(count // 2), 'val': range(count // 2, count)},
      str(tmp_path / 'scratch'),
      scratch.Checks(
        layout=_LAYOUT,
        num_classes=3,
        third_channel='auto',
        max_persons=max_persons,
        selection=compressed.Selection(),
        drop_empty=drop_empty,
      ),
    )
    task = shards.ShardTask(
      path=str(tmp_path / 'shard'),
      scratch=clips.path,
      start=0,
      stop=count,
      layout=_LAYOUT,
      normalize='none',
      scratch_spec=clips.spec,
      spec=clips.spec,
      table=clips.table,
    )
    result = shards.write_shard(task)
    if 'mistake' in result:
      raise errors.UserError(result['mistake'])
    reader = array_record_module.ArrayRecordReader(task.path)
    found = [records.decode(data, clips.spec) for data in reader.read_all()]
    reader.close()
    return found, result, clips

  return write_all


def test_records_are_the_clips_in_order(write):
  found, result, clips = write(_annotations())
  assert clips.spec == shards.RecordSpec(17, 2, 'float32')
  assert [record['id'] for record in found] == [
    f'wäve/{i}.ü' for i in range(40)
  ]
  for i, record in enumerate(found):
    assert record['label'] == i % 3
    assert record['position'] == i
    np.testing.assert_array_equal(record['keypoint'], _keypoint(i))
    assert record['box'].any()
  assert result['num_clips'] == 40
  assert result['labels'] == [(0, 14), (1, 13), (2, 13)]
  assert result['frames'] == [(4 + i, 1) for i in range(40)]
  assert result['persons'] == [(1, 40)]
  assert not result['has_img_shape']


def test_memory_holds_one_clip_however_many_there_are(write):
  """And each is read once, but for the few that tell what clips are like."""
  alive, reads, most = [], collections.Counter(), 0

  def read(file):
    nonlocal most
    alive[:] = [reference for reference in alive if reference() is not None]
    most = max(most, len(alive))
    keypoint = _keypoint(file.row)
    alive.append(weakref.ref(keypoint))
    reads[file.id] += 1
    return {'keypoint': keypoint}

  write(_annotations(read))
  assert most <= 1
  assert set(reads) == {f'wäve/{i}.ü' for i in range(40)}
  # The first, and of both splits of twenty clips eight to tell the size.
  assert sum(reads.values()) == 40 + 1 + 2 * 8


def test_the_estimate_of_sizes_is_near(write):
  *_, clips = write(_annotations())
  sizes = {
    split: sum(_keypoint(i).nbytes for i in rows)
    for split, rows in clips.rows.items()
  }
  for split, size in sizes.items():
    assert clips.num_bytes[split] == pytest.approx(size, rel=0.1)


def test_persons_are_cut_and_counted(write):
  def read(file):
    return {'keypoint': _keypoint(file.row, num_persons=1 + file.row % 4)}

  found, result, _ = write(_annotations(read, num_clips=8))
  assert [len(record['keypoint']) for record in found] == [1, 2, 2, 2] * 2
  # Clips of three and of four persons, twice each.
  assert (result['num_cut'], result['num_dropped']) == (4, 6)
  found, result, _ = write(_annotations(read, num_clips=8), max_persons=0)
  assert result['persons'] == [(1, 2), (2, 2), (3, 2), (4, 2)]
  assert result['num_cut'] == 0


def test_empty_clips_come_back_by_name_first_or_last(write):
  def read(file):
    return {'keypoint': _keypoint(file.row) * (file.row not in (0, 5))}

  found, result, _ = write(_annotations(read, num_clips=6), drop_empty=True)
  assert result['empty'] == ['wäve/0.ü', 'wäve/5.ü']
  assert len(found) == 4


def test_if_nobody_is_seen_in_any_clip_there_is_nothing_to_learn(write):
  def read(file):
    return {'keypoint': np.zeros((0, 4, 17, 2), np.float32)}

  with pytest.raises(errors.UserError, match='None of the 6 clips shows'):
    write(_annotations(read, num_clips=6), drop_empty=True)


@pytest.mark.parametrize(
  'changes, words',
  [
    (dict(label=None), "'label' is missing"),
    (dict(label=3), "'label' is 3"),
    (dict(id='caf\udce9'), 'is not UTF-8 text'),
  ],
)
def test_what_the_list_says_is_checked_before_anything_is_read(
  changes, words, write
):
  with pytest.raises(errors.UserError, match=words):
    write(_annotations(**changes))


def _changed(file, changed):
  if file.row == 23:
    return changed(file)
  return _read(file)


def _missing(file):
  raise FileNotFoundError(2, 'No such file or directory', file.path)


@pytest.mark.parametrize(
  'changed, words',
  [
    (_missing, 'cannot be read: .*every worker must see it'),
    (lambda file: {'keypoint': np.ones((1, 2, 9, 2))}, '9 joints'),
    (lambda file: {'keypoint': np.full((1, 2, 17, 2), np.nan)}, 'NaN'),
    (lambda file: {}, "has no 'keypoint'"),
    (
      lambda file: {
        **_read(file),
        'keypoint_score': np.ones((1, 27, 17), np.float32),
      },
      "2D keypoints with scores, and the first clip, in/0, sample 'wäve/0.ü'",
    ),
  ],
)
def test_a_clip_that_cannot_be_used_is_named(changed, words, write):
  read = functools.partial(_changed, changed=changed)
  with pytest.raises(errors.UserError, match=words) as caught:
    write(_annotations(read))
  assert "in/23, sample 'wäve/23.ü'" in str(caught.value)
