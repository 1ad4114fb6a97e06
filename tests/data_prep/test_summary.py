"""What the workers saw, added up and in words."""

from data_prep import summary


def _shard(**changes):
  return {
    'labels': [(0, 3), (2, 1)],
    'frames': [(5, 4)],
    'persons': [(1, 3), (2, 1)],
    'num_cut': 1,
    'num_dropped': 2,
    'has_img_shape': True,
    'empty': ['a'],
  } | changes


def test_shards_add_up():
  other = _shard(frames=[(2, 3), (9, 1)], has_img_shape=False, empty=['b'])
  total = summary.add_up([_shard(), other])
  assert total == summary.Summary(
    labels={0: 6, 2: 2},
    frames={2: 3, 5: 4, 9: 1},
    persons={1: 6, 2: 2},
    num_cut=2,
    num_dropped=4,
    has_img_shape=False,
    empty=('a', 'b'),
  )
  assert (total.num_clips, total.max_frames, total.num_persons) == (8, 9, 2)


def test_the_order_of_the_shards_does_not_matter():
  shards = [_shard(labels=[(i, 1)], empty=[]) for i in range(3)]
  assert summary.add_up(shards) == summary.add_up(shards[::-1])


def test_the_median_is_that_of_the_clips():
  assert summary.span({1: 1, 3: 2, 9: 1}) == '1 / 3 / 9'
  assert summary.span({1: 5, 100: 1}) == '1 / 1 / 100'
  assert summary.span({7: 1}) == '7 / 7 / 7'
  assert summary.span({}) == '-'


def test_the_report_counts_by_class_and_warns():
  train = summary.add_up([_shard(labels=[(0, 12), (1, 9)])])
  val = summary.add_up([_shard(labels=[(1, 2)], frames=[(5, 2)])])
  text = summary.describe(
    {'train': train, 'val': val}, ('go', 'sit down', 'wave'), 'coco'
  )
  words = ' '.join(text.split())
  assert 'layout coco, 3 classes' in words
  assert '0 go 12 0 1 sit down 9 2 2 wave 0 0 all 21 2' in words
  assert 'train: frames 5 / 5 / 5 (min / median / max)' in words
  assert 'warning: no clip to train on: wave.' in words
  assert 'warning: fewer than 10 clips to train on: sit down.' in words
  assert 'warning: no clip to validate on: go, wave.' in words


def test_of_very_many_classes_those_with_clips_are_shown():
  # What a list with one mistyped number asks for.
  names = [f'class_{i}' for i in range(100_000)]
  train = summary.add_up([_shard(labels=[(0, 12), (99_999, 12)])])
  text = summary.describe({'train': train, 'val': train}, names, 'coco')
  words = ' '.join(text.split())
  assert '0 class_0 12 12 99999 class_99999 12 12 (99,998 more' in words
  assert 'class_20 and 99,978 more. What is not shown' in words
  assert len(text) < 2000


def test_a_split_without_clips_is_called_so():
  train = summary.add_up([_shard()])
  val = summary.add_up([_shard(labels=[], frames=[], persons=[])])
  text = summary.describe({'train': train, 'val': val}, ('go',), 'coco')
  assert '\nval: no clip that can be used\n' in text


def test_a_report_of_no_clip_at_all_has_a_heading():
  none = summary.add_up([_shard(labels=[], frames=[], persons=[])])
  names = [f'class_{i}' for i in range(101)]
  text = summary.describe({'train': none, 'val': none}, names, 'coco')
  assert '(101 more without a clip)' in text
