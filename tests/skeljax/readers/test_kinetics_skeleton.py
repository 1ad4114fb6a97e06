"""Kinetics-skeleton: folders of OpenPose JSON, and what ST-GCN sees of them."""

import json
import pickle
import warnings

import numpy as np
import pytest

from skeljax import errors
from skeljax import readers
from skeljax import skeletons
from skeljax.readers import checks
from skeljax.readers import kinetics_skeleton
from tests import items

LAYOUT = skeletons.get_layout(kinetics_skeleton.LAYOUT)


def skeleton(x, y, score):
  """All 18 joints at the same place with the same score."""
  return {'pose': [x, y] * 18, 'score': [score] * 18}


def clip(*frames, label_index=0, first=0):
  """A clip of frames, each a list of skeletons."""
  return {
    'data': [
      {'frame_index': number, 'skeleton': list(people)}
      for number, people in enumerate(frames, first)
    ],
    'label': 'abseiling',
    'label_index': label_index,
  }


def write(path, content):
  text = content if isinstance(content, str) else json.dumps(content)
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(text, encoding='utf-8')
  return path


def read(tmp_path, content):
  return kinetics_skeleton.read_clip(write(tmp_path / 'a.json', content))


def test_positions_become_pixels_of_340_by_256(tmp_path):
  item = read(tmp_path, clip([skeleton(0.25, 0.5, 0.75)]))
  assert item['img_shape'] == (256, 340)
  assert item['keypoint'].shape == (1, 1, 18, 2)
  assert item['keypoint_score'].shape == (1, 1, 18)
  assert item['keypoint'][0, 0, 7].tolist() == [85, 128]
  assert item['keypoint_score'][0, 0, 7] == 0.75
  record = items.check(
    {**item, 'label': 3}, layout=LAYOUT, num_classes=400, path='a.json'
  )
  assert record['keypoint'].dtype == record['keypoint_score'].dtype == 'float32'


def test_positions_too_large_are_left_to_the_check(tmp_path):
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    item = read(tmp_path, clip([skeleton(1e300, 0.5, 0.75)]))
  with pytest.raises(checks.ClipError, match='infinity'):
    items.check(
      {**item, 'label': 3}, layout=LAYOUT, num_classes=400, path='a.json'
    )


def test_the_two_highest_scores_of_each_frame_are_kept(tmp_path):
  """Frame 0: places b, c; frame 1: a, b, as equal sums keep their order."""
  a, b, c = (
    skeleton(x, 0.5, s) for x, s in ((0.1, 0.2), (0.2, 0.6), (0.3, 0.4))
  )
  d = skeleton(0.4, 0.5, 0.6)
  item = read(tmp_path, clip([a, b, c], [d, b], [], [c]))
  x = item['keypoint'][..., 0, 0] / 340
  np.testing.assert_allclose(x, [[0.2, 0.4, 0, 0.3], [0.3, 0.2, 0, 0]])
  np.testing.assert_allclose(
    item['keypoint_score'][..., 0], [[0.6, 0.6, 0, 0.4], [0.4, 0.6, 0, 0]]
  )


def test_a_sixth_skeleton_of_a_frame_is_not_looked_at(tmp_path):
  people = [skeleton(0.1, 0.1, 0.1)] * 5 + [{'pose': 'damaged'}]
  item = read(tmp_path, clip(people))
  assert item['keypoint_score'].max() == np.float32(0.1)


def test_joints_without_a_score_are_at_zero(tmp_path):
  one = skeleton(0.5, 0.5, 0.5)
  one['score'] = [0] + [0.5] * 17
  keypoint = read(tmp_path, clip([one]))['keypoint']
  assert keypoint[0, 0, 0].tolist() == [0, 0]
  assert keypoint[0, 0, 1].tolist() == [170, 128]


def test_missing_frame_numbers_are_empty_frames(tmp_path):
  content = clip([skeleton(0.1, 0.1, 0.1)], first=2)
  content['data'].append(
    {'frame_index': 5, 'skeleton': [skeleton(0.2, 0.2, 0.2)]}
  )
  score = read(tmp_path, content)['keypoint_score'][0, :, 0]
  np.testing.assert_allclose(score, [0, 0, 0.1, 0, 0, 0.2])


def published_array(content, num_frames=300):
  """ST-GCN's array [3, T, V, 2], one joint after the other."""
  result = np.zeros((3, num_frames, 18, 2), np.float32)
  for frame in content['data']:
    people = sorted(
      frame['skeleton'][:5], key=lambda person: -sum(person['score'])
    )
    for m, person in enumerate(people[:2]):
      for v, score in enumerate(person['score']):
        result[2, frame['frame_index'], v, m] = score
        if score != 0:
          x, y = person['pose'][2 * v : 2 * v + 2]
          result[:2, frame['frame_index'], v, m] = x - 0.5, y - 0.5
  return result


def test_the_published_array_comes_back_exactly(tmp_path):
  """By the step that the module's docstring gives."""
  rng = np.random.default_rng(0)
  content = clip(
    *(
      [
        {
          # Three decimals as published; everything between 0 and 1 once.
          'pose': (rng.permutation(1001)[:36] / 1000).tolist(),
          'score': (rng.integers(0, 9, 18) * rng.integers(1, 9) / 64).tolist(),
        }
        for _ in range(rng.integers(0, 7))
      ]
      for _ in range(60)
    )
  )
  item = read(tmp_path, content)
  score = item['keypoint_score']
  positions = np.round(item['keypoint'] / (340, 256), 6) - 0.5
  positions[score == 0] = 0
  ours = np.zeros((3, 300, 18, 2), np.float32)
  for m in range(len(score)):
    ours[:2, : score.shape[1], :, m] = positions[m].transpose(2, 0, 1)
    ours[2, : score.shape[1], :, m] = score[m]
  np.testing.assert_array_equal(ours, published_array(content))


def test_every_coordinate_of_six_decimals_survives():
  x = np.arange(1_000_001) / 1e6
  for size in (340, 256):
    pixels = (x * size).astype(np.float32)
    np.testing.assert_array_equal(
      (np.round(pixels / np.float64(size), 6) - 0.5).astype(np.float32),
      (x - 0.5).astype(np.float32),
    )


def write_folder(folder, *, entries=None, splits=('train', 'val')):
  """Two clips per split, one of them without a person."""
  for split in splits:
    listed = {}
    for name, label, is_seen in ((f'-{split}0', 1, True), ('_ü', 0, False)):
      people = [skeleton(0.5, 0.5, 0.5)] if is_seen else []
      write(
        folder / f'kinetics_{split}' / f'{name}.json',
        clip(people, label_index=label),
      )
      listed[name] = {
        'has_skeleton': is_seen,
        'label': ('abseiling', 'zumba')[label],
        'label_index': label,
      }
    listed |= entries or {}
    write(folder / f'kinetics_{split}_label.json', listed)


def test_clips_without_a_person_are_left_out_of_both_splits(tmp_path):
  write_folder(tmp_path)
  found = pickle.loads(pickle.dumps(kinetics_skeleton.read_dataset(tmp_path)))
  assert found.ids == ('-train0', '-val0')
  assert readers.protocol_splits(found, '') == (range(0, 1), range(1, 2))
  assert found.class_names == ('abseiling', 'zumba')
  clip = found.clips[1]
  assert (clip.id, clip.label) == ('-val0', 1)
  readers.check_clip(clip, layout=LAYOUT, num_classes=2)


def test_clips_that_are_listed_and_not_there_are_reported(tmp_path):
  gone = {'has_skeleton': True, 'label': 'zumba', 'label_index': 1}
  hidden = {'has_skeleton': False, 'label': 'zumba', 'label_index': 1}
  write_folder(tmp_path, entries={'gone': gone, 'empty': hidden})
  found = kinetics_skeleton.read_dataset(tmp_path)
  assert found.unknown_ids == {'train': ('gone',), 'val': ('gone',)}
  with pytest.raises(errors.UserError, match='lists 1 ids .* has: gone'):
    readers.protocol_splits(found, '')


@pytest.mark.parametrize('label', [5, 10**15])
def test_classes_without_a_name_give_no_names(label, tmp_path):
  entry = {'has_skeleton': False, 'label': 'tap dancing', 'label_index': label}
  write_folder(tmp_path, entries={'x': entry})
  assert kinetics_skeleton.read_dataset(tmp_path).class_names == ()


@pytest.mark.parametrize(
  'entry',
  [
    None,
    {},
    {'label_index': 1},
    {'label_index': -1, 'has_skeleton': True},
    {'label_index': '1', 'has_skeleton': True},
    {'label_index': True, 'has_skeleton': True},
    {'label_index': 1, 'has_skeleton': 1},
  ],
)
def test_entries_of_the_list_that_do_not_fit_are_named(entry, tmp_path):
  write_folder(tmp_path, entries={'odd': entry})
  with pytest.raises(errors.UserError, match="label.json, clip 'odd': expec"):
    kinetics_skeleton.read_dataset(tmp_path)


def test_folders_that_do_not_fit_are_explained(tmp_path):
  with pytest.raises(errors.UserError, match='Expected kinetics_train and'):
    kinetics_skeleton.read_dataset(tmp_path)
  write_folder(tmp_path, splits=('val',))
  assert set(kinetics_skeleton.read_dataset(tmp_path).splits) == {'val'}
  write(tmp_path / 'kinetics_val' / 'more.json', clip([]))
  with pytest.raises(errors.UserError, match='more.json: .* has no entry'):
    kinetics_skeleton.read_dataset(tmp_path)
  write(tmp_path / 'kinetics_val_label.json', [])
  with pytest.raises(errors.UserError, match='lists no clips'):
    kinetics_skeleton.read_dataset(tmp_path)
  (tmp_path / 'kinetics_val_label.json').unlink()
  with pytest.raises(errors.UserError, match='val_label.json: cannot be read'):
    kinetics_skeleton.read_dataset(tmp_path)


def test_a_label_that_the_list_contradicts_is_an_error(tmp_path):
  write_folder(tmp_path)
  found = kinetics_skeleton.read_dataset(tmp_path)
  write(
    tmp_path / 'kinetics_train/-train0.json',
    clip([skeleton(0.5, 0.5, 0.5)], label_index=7),
  )
  with pytest.raises(checks.ClipError, match='7 here and 1 in the label file'):
    _ = found.clips[0].read()


def changed(**fields):
  """A clip of one skeleton, with other fields of its only frame."""
  content = clip([skeleton(0.5, 0.5, 0.5)])
  content['data'][0].update(fields)
  return content


def with_skeleton(**fields):
  return changed(skeleton=[skeleton(0.5, 0.5, 0.5) | fields])


@pytest.mark.parametrize(
  'content, kind, words',
  [
    ('{"data": [', 'JSON', 'may have been cut short'),
    ('[]', 'JSON', "no list 'data'"),
    ({'data': {}}, 'JSON', "no list 'data'"),
    (clip(), 'empty', 'no person in its 0 frames'),
    (clip([], []), 'empty', 'no person in its 2 frames'),
    (clip([skeleton(0.5, 0.5, 0)]), 'empty', 'no person'),
    ({'data': ['frame']}, 'frame numbers', "'frame_index' is None"),
    (changed(frame_index=-1), 'frame numbers', "'frame_index' is -1"),
    (changed(frame_index=1.5), 'frame numbers', "'frame_index' is 1.5"),
    (changed(frame_index=10**12), 'frame numbers', 'from 0 to 99,999'),
    (changed(skeleton=None), 'skeleton', "no list 'skeleton'"),
    (changed(skeleton=['x']), 'joints', "skeleton 0: 'pose' is missing"),
    (with_skeleton(pose=[0.5] * 34), 'joints', "'pose' is 34 elements"),
    (with_skeleton(pose=[0.5] * 35 + ['x']), 'joints', 'a list of 36 numbers'),
    (with_skeleton(pose=[[0.5]] * 35 + [[]]), 'joints', 'list of 36 numbers'),
    (with_skeleton(score=None), 'joints', "'score' is missing"),
    (with_skeleton(score=[True] * 18), 'joints', 'a list of 18 numbers'),
    (with_skeleton(score=[10**400] * 18), 'joints', 'a list of 18 numbers'),
  ],
)
def test_damaged_clips_say_what_is_wrong(content, kind, words, tmp_path):
  with pytest.raises(checks.ClipError, match=words) as caught:
    read(tmp_path, content)
  assert caught.value.kind == kind
  assert str(tmp_path / 'a.json') in str(caught.value)


ODD = (None, -1, 0.5, 'x', [], {}, [[]], True, float('inf'), 10**400)


def variants(tree):
  """The tree with each of its nodes replaced by something odd."""
  yield from ODD
  places = enumerate(tree) if isinstance(tree, list) else tree.items()
  for place, node in list(places):
    # Joints are all alike: the first two will do.
    if isinstance(tree, list) and place > 1:
      break
    for odd in variants(node) if isinstance(node, list | dict) else ODD:
      copy = tree.copy()
      copy[place] = odd
      yield copy


def test_whatever_is_odd_is_a_clip_or_a_clip_error(tmp_path):
  count = 0
  for content in variants(clip([skeleton(0.5, 0.5, 0.5)] * 2)):
    # As text: what is to be tested is the reader, not what it is given.
    path = write(tmp_path / 'a.json', json.dumps(content))
    try:
      item = kinetics_skeleton.read_clip(path)
    except checks.ClipError as error:
      assert str(path) in str(error)
      count += 1
    else:
      assert item['keypoint'].shape[2:] == (18, 2)
      assert item['keypoint_score'].shape == item['keypoint'].shape[:3]
  assert count > 50


def test_a_frame_that_occurs_twice_is_an_error(tmp_path):
  content = clip([skeleton(0.5, 0.5, 0.5)])
  content['data'] *= 2
  with pytest.raises(checks.ClipError, match='0 occurs more than once'):
    read(tmp_path, content)


def test_is_clip_looks_at_the_beginning(tmp_path):
  assert kinetics_skeleton.is_clip(write(tmp_path / 'a.json', clip([])))
  assert kinetics_skeleton.is_clip(write(tmp_path / 'b.json', clip()))
  for content in ('{}', '[]', '{"data": 1}', 'no JSON', ''):
    assert not kinetics_skeleton.is_clip(write(tmp_path / 'c.json', content))
  assert not kinetics_skeleton.is_clip(write(tmp_path / 'd.txt', clip([])))
  assert not kinetics_skeleton.is_clip(tmp_path / 'gone.json')
