"""Statistics add up over shards, and the report about them."""

import collections

from data_prep import statistics


def _statistics(**changes):
  fields = {
    'labels': {0: 3, 2: 1},
    'frames': {5: 4},
    'persons': {1: 3, 2: 1},
    'dtypes': {'float16': 4},
    'num_persons': 2,
    'num_cut': 1,
    'num_dropped': 2,
    'empty': ['a'],
  } | changes
  return statistics.Statistics(
    **{
      name: collections.Counter(value) if isinstance(value, dict) else value
      for name, value in fields.items()
    }
  )


def _record(**changes):
  return {
    'label': 2,
    'keypoint': [0, 0],
    'total_frames': 7,
    'img_shape': (480, 640),
    'source_dtype': 'float16',
    'is_compressed': False,
    'num_dropped': 0,
  } | changes


def test_records_are_counted():
  counted = statistics.Statistics()
  counted.add(_record(), num_bytes=9)
  counted.add(_record(num_dropped=3, img_shape=(0, 0)), num_bytes=1)
  counted.add(_record(num_dropped=1, is_compressed=True))
  assert counted == _statistics(
    labels={2: 3},
    frames={7: 3},
    persons={2: 1, 5: 1, 3: 1},
    dtypes={'float16': 3},
    num_persons=2,
    num_cut=1,
    num_dropped=3,
    num_crowded=1,
    num_unknown_img_shape=1,
    num_bytes=10,
    empty=[],
  )


def test_shards_add_up():
  other = _statistics(
    frames={2: 3, 9: 1}, num_persons=1, num_unknown_img_shape=1, empty=['b']
  )
  total = statistics.merge([_statistics(), other])
  assert total == _statistics(
    labels={0: 6, 2: 2},
    frames={2: 3, 5: 4, 9: 1},
    persons={1: 6, 2: 2},
    dtypes={'float16': 8},
    num_persons=2,
    num_cut=2,
    num_dropped=4,
    num_unknown_img_shape=1,
    empty=['a', 'b'],
  )
  assert (total.num_clips, total.max_frames, total.num_persons) == (8, 9, 2)


def test_order_of_shards_does_not_matter():
  shards = [_statistics(labels={i: 1}, empty=[]) for i in range(3)]
  assert statistics.merge(shards) == statistics.merge(shards[::-1])


def test_span_has_the_median_of_the_clips():
  assert statistics.span({1: 1, 3: 2, 9: 1}) == '1 / 3 / 9'
  assert statistics.span({1: 5, 100: 1}) == '1 / 1 / 100'
  assert statistics.span({7: 1}) == '7 / 7 / 7'
  assert statistics.span({}) == '-'


def test_report_counts_per_class_and_warns():
  train = _statistics(labels={0: 12, 1: 9})
  val = _statistics(labels={1: 2}, frames={5: 2})
  text = statistics.report(
    {'train': train, 'val': val}, ('go', 'sit down', 'wave'), 'coco'
  )
  words = ' '.join(text.split())
  assert 'layout coco, 3 classes' in words
  assert '0 go 12 0 1 sit down 9 2 2 wave 0 0 all 21 2' in words
  assert 'train: frames 5 / 5 / 5 (min / median / max)' in words
  assert 'warning: no training clip: wave' in words
  assert 'warning: fewer than 10 training clips: sit down' in words
  assert 'warning: no validation clip: go, wave' in words


def test_report_of_many_classes_shows_those_with_clips():
  # A single mistyped label can ask for so many classes.
  names = [f'class_{i}' for i in range(100_000)]
  train = _statistics(labels={0: 12, 99_999: 12})
  text = statistics.report({'train': train, 'val': train}, names, 'coco')
  words = ' '.join(text.split())
  assert '0 class_0 12 12 99999 class_99999 12 12 (99,998 more' in words
  assert 'class_20 and 99,978 more' in words
  assert len(text) < 2000


def test_report_names_splits_without_usable_clips():
  empty = _statistics(labels={}, frames={}, persons={})
  text = statistics.report({'train': _statistics(), 'val': empty}, ('go',), '')
  assert '\nval: no usable clip\n' in text
  names = [f'class_{i}' for i in range(101)]
  text = statistics.report({'train': empty, 'val': empty}, names, 'coco')
  assert '(101 more without clips)' in text
