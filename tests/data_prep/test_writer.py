"""Writing datasets: each clip is read once, and errors name it."""

import collections
import dataclasses
import functools
import weakref

from apache_beam.options import pipeline_options
import numpy as np
import pytest

from data_prep import options as options_lib
from data_prep import writer
from skeljax import errors
from skeljax import readers
from skeljax import skeletons
from skeljax.datasets import prepared

_LAYOUT = skeletons.get_layout('coco')


def _keypoint(row, num_persons=1):
  rng = np.random.default_rng(row)
  return rng.uniform(1, 9, (num_persons, 4 + row, 17, 2)).astype(np.float32)


def _read(row):
  return {'keypoint': _keypoint(row)}


def _dataset(read=_read, num_clips=40):
  clips = [
    readers.Clip(f'wäve/{i}.ü', i % 3, f'in/{i}', functools.partial(read, i))
    for i in range(num_clips)
  ]
  half = num_clips // 2
  return readers.RawDataset(
    clips=clips,
    splits={'train': range(half), 'val': range(half, num_clips)},
    source='in',
  )


@pytest.fixture
def write(tmp_path):
  """Writes a dataset in this process; the prepared one and its statistics."""

  def write_dataset(raw, **changes):
    options = options_lib.Options(
      source='clips', input='in', name='tiny', output='x', **changes
    )
    beam_options = pipeline_options.PipelineOptions(['--runner=FnApiRunner'])
    folder, counted = writer.Writer(
      options, raw, _LAYOUT, ('a', 'b', 'c'), tmp_path, beam_options
    ).write({'fingerprint': '', 'options': {}})
    return prepared.open_dataset(str(folder.parent), 'tiny'), counted

  return write_dataset


def _records(dataset):
  return [record for s in prepared.SPLITS for record in dataset.source(s)]


def test_records_are_the_clips_in_order(write):
  dataset, counted = write(_dataset())
  assert (dataset.spec.num_channels, dataset.spec.has_score) == (2, False)
  assert dataset.spec.keypoint_dtype == 'float32'
  assert not dataset.spec.has_img_shape
  records = _records(dataset)
  assert [record['id'] for record in records] == [
    f'wäve/{i}.ü' for i in range(40)
  ]
  for i, record in enumerate(records):
    assert record['label'] == i % 3
    assert record['position'] == i
    np.testing.assert_array_equal(record['keypoint'], _keypoint(i))
    assert record['box'].any()
  total = counted['train'] + counted['val']
  assert total.num_clips == 40
  assert total.labels == {0: 14, 1: 13, 2: 13}
  assert total.frames == {4 + i: 1 for i in range(40)}
  assert total.persons == {1: 40}


_ALIVE, _READS = [], collections.Counter()


def _tracked_read(row):
  _ALIVE[:] = [reference for reference in _ALIVE if reference() is not None]
  assert len(_ALIVE) <= 1
  keypoint = _keypoint(row)
  _ALIVE.append(weakref.ref(keypoint))
  _READS[row] += 1
  return {'keypoint': keypoint}


def test_clips_are_read_once_and_one_at_a_time(write):
  """Except for the few that determine the format and the number of shards."""
  _READS.clear()
  write(_dataset(_tracked_read))
  assert set(_READS) == set(range(40))
  # The first clip, and of both splits of twenty clips eight for the size.
  assert _READS.total() == 40 + 1 + 2 * 8


def test_number_of_shards_follows_the_size(write, monkeypatch):
  size = sum(_keypoint(i).nbytes for i in range(20))
  monkeypatch.setattr(writer, '_SHARD_BYTES', size // 4)
  dataset, _ = write(_dataset())
  assert len(dataset.shards['train']) == 5


def _crowded(row):
  return {'keypoint': _keypoint(row, num_persons=1 + row % 4)}


def test_dropped_persons_are_counted(write):
  dataset, counted = write(_dataset(_crowded, num_clips=8))
  found = [len(record['keypoint']) for record in _records(dataset)]
  assert found == [1, 2, 2, 2] * 2
  # Two clips with three and two with four persons.
  total = counted['train'] + counted['val']
  assert (total.num_cut, total.num_dropped) == (4, 6)
  assert total.persons == {1: 2, 2: 2, 3: 2, 4: 2}
  assert dataset.metadata['num_cut'] == 4


def test_all_persons_are_kept_with_zero(write):
  dataset, counted = write(_dataset(_crowded, num_clips=8), max_persons=0)
  assert dataset.spec.num_persons == 4
  assert dataset.metadata['num_cut'] == 0


def _first_and_last_empty(row):
  return {'keypoint': _keypoint(row) * (row not in (0, 5))}


def test_empty_clips_are_listed_first_or_last(write):
  raw = _dataset(_first_and_last_empty, num_clips=6)
  dataset, counted = write(raw, drop_empty=True)
  assert counted['train'].empty == ['wäve/0.ü']
  assert counted['val'].empty == ['wäve/5.ü']
  assert len(_records(dataset)) == 4


def _empty(row):
  return {'keypoint': np.zeros((0, 4, 17, 2), np.float32)}


def test_dataset_of_empty_clips_is_an_error(write):
  with pytest.raises(errors.UserError, match='all 6 clips are empty'):
    write(_dataset(_empty, num_clips=6), drop_empty=True)


def _fail(row):
  pytest.fail('read a clip')


@pytest.mark.parametrize(
  'changes, words',
  [
    (dict(label=None), "'label' is missing"),
    (dict(label=3), "'label' is 3"),
    (dict(id='caf\udce9'), 'is not UTF-8 text'),
  ],
)
def test_labels_and_ids_are_checked_before_clips_are_read(
  changes, words, write
):
  raw = _dataset(_fail)
  raw.clips[1] = dataclasses.replace(raw.clips[1], **changes)
  with pytest.raises(errors.UserError, match=words):
    write(raw)


def _changed(row, changed):
  return changed(row) if row == 23 else _read(row)


def _missing(row):
  raise FileNotFoundError(2, 'No such file or directory', f'in/{row}')


def _other_joints(row):
  return {'keypoint': np.ones((1, 2, 9, 2))}


def _not_finite(row):
  return {'keypoint': np.full((1, 2, 17, 2), np.nan)}


def _without_keypoint(row):
  return {}


def _with_scores(row):
  return {**_read(row), 'keypoint_score': np.ones((1, 27, 17), np.float32)}


@pytest.mark.parametrize(
  'changed, words',
  [
    (_missing, 'cannot be read: .*every worker needs access'),
    (_other_joints, '9 joints'),
    (_not_finite, 'NaN'),
    (_without_keypoint, "has no 'keypoint'"),
    (_with_scores, "2D with scores, the first clip .in/0, sample 'wäve/0.ü'"),
  ],
)
def test_invalid_clip_is_named(changed, words, write):
  read = functools.partial(_changed, changed=changed)
  with pytest.raises(errors.UserError, match=words) as caught:
    write(_dataset(read))
  assert "in/23, sample 'wäve/23.ü'" in str(caught.value)
