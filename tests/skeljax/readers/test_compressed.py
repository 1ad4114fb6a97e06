"""Skeletons listed one by one, and the files that hold them."""

import pickle

import numpy as np
import pytest

from skeljax import errors
from skeljax.readers import checks
from skeljax.readers import compressed
from skeljax.readers import skeleton_files
from tests import items

WHERE = "a.pkl, sample 'x'"


def draw_item(seed=0, num_skeletons=12, num_frames=5, num_joints=4, **fields):
  rng = np.random.default_rng(seed)
  frames = np.sort(rng.integers(0, num_frames, num_skeletons))
  return {
    'frame_dir': 'x',
    'label': 0,
    'total_frames': num_frames,
    'img_shape': (100, 200),
    'frame_inds': frames.astype(np.int16),
    'box_score': rng.uniform(0.3, 1, num_skeletons).astype(np.float16),
    'valid': {t: 3 for t in compressed.BOX_THRESHOLDS},
    'keypoint': rng.uniform(0.1, 1, (num_skeletons, num_joints, 3)).astype(
      np.float16
    ),
    **fields,
  }


def skeletons_of(values):
  """[S] -> [S, 1, 3], each skeleton one joint with x, y and score alike."""
  return np.repeat(np.array(values, np.float16), 3).reshape(-1, 1, 3)


def test_persons_of_a_frame_keep_their_order_and_empty_frames_vanish():
  pixels, score = compressed.decompress_pose(
    np.array([1, 1, 4, 9, 9, 9]),
    skeletons_of([0.1, 0.9, 0.2, 0.5, 0.3, 0.4]),
  )
  expected = np.array([[0.1, 0.2, 0.5], [0.9, 0, 0.3], [0, 0, 0.4]])
  np.testing.assert_array_equal(score[..., 0], expected.astype(np.float16))
  np.testing.assert_array_equal(pixels[..., 0, 0], score[..., 0])
  assert pixels.shape == (3, 3, 1, 2)
  assert pixels.dtype == score.dtype == np.float16


def test_a_cut_sorts_every_frame_by_score_and_the_first_of_equals_wins():
  keypoint = skeletons_of([0.1, 0.5, 0.5, 0.2, 0.7])
  keypoint[:, 0, 0] = 1, 2, 3, 4, 5
  pixels, score = compressed.decompress_pose(
    np.array([0, 0, 0, 6, 6]), keypoint, max_persons=2
  )
  assert pixels[:, :, 0, 0].tolist() == [[2, 5], [3, 4]]
  np.testing.assert_array_equal(
    score[..., 0], np.array([[0.5, 0.7], [0.5, 0.2]], np.float16)
  )


def test_as_many_persons_as_are_wanted_are_not_sorted():
  _, score = compressed.decompress_pose(
    np.array([0, 0]), skeletons_of([0.25, 0.5]), max_persons=2
  )
  assert score[:, 0, 0].tolist() == [0.25, 0.5]


def test_empty_places_never_win_over_persons():
  _, score = compressed.decompress_pose(
    np.array([0, 0, 1]), skeletons_of([0.1, 0.2, -0.5]), max_persons=1
  )
  assert score[0, :, 0].tolist() == [np.float16(0.2), -0.5]


def test_boxes_are_compared_in_the_dtype_of_their_scores():
  # float16 0.6 is 0.60009, and 0.6 is compared as float16, too.
  item = draw_item(box_score=np.array([0.6, 0.5996, 0.61] * 4, np.float16))
  selection = compressed.Selection(valid_ratio=0.5, box_threshold=0.6)
  _, mask = compressed.chosen_skeletons(item, selection, WHERE)
  assert mask.tolist() == [True, False, True] * 4


def test_everybody_is_there_when_nobody_is_cut():
  item = draw_item(num_skeletons=40)
  whole = compressed.decompress_item(
    item, compressed.Selection(max_persons=None), WHERE
  )
  assert np.count_nonzero(whole['keypoint_score']) == 40 * 4
  np.testing.assert_array_equal(
    np.sort(whole['keypoint'][whole['keypoint_score'] > 0], axis=None),
    np.sort(item['keypoint'][..., :2], axis=None),
  )


def test_the_shape_is_known_before_the_keypoints():
  for seed in range(10):
    item = draw_item(seed, num_skeletons=20)
    selection = compressed.Selection(max_persons=5)
    frames, _ = compressed.chosen_skeletons(item, selection, WHERE)
    num_persons, num_frames, is_cut = compressed.decompressed_shape(frames, 5)
    whole = compressed.decompress_item(item, selection, WHERE)
    assert whole['keypoint'].shape[:2] == (num_persons, num_frames)
    assert is_cut == (np.bincount(item['frame_inds']).max() > 5)


def test_a_clip_without_a_box_above_the_threshold_is_empty():
  item = draw_item(box_score=np.full(12, 0.4, np.float16))
  selection = compressed.Selection(valid_ratio=0.5)
  whole = compressed.decompress_item(item, selection, WHERE)
  assert whole['keypoint'].shape == (0, 0, 4, 2)
  with pytest.raises(checks.ClipError) as caught:
    items.check(whole, layout=None, num_classes=1, path='a.pkl')
  assert caught.value.kind == 'empty'


def test_boxes_count_only_beside_a_valid_ratio():
  item = draw_item(box_score=np.full(12, 0.1, np.float16))
  item.pop('valid')
  selection = compressed.Selection(box_threshold=0.9)
  assert compressed.is_valid(item, selection, WHERE)
  frames, mask = compressed.chosen_skeletons(item, selection, WHERE)
  assert len(frames) == 12 and mask is None


@pytest.mark.parametrize('ratio, expected', [(0.6, True), (0.61, False)])
def test_a_clip_counts_from_the_valid_ratio_on(ratio, expected):
  item = draw_item(valid={0.7: 3, 0.5: 5})
  selection = compressed.Selection(ratio, 0.7)
  assert compressed.is_valid(item, selection, WHERE) == expected


def test_whole_clips_are_not_taken_for_compressed_ones():
  item = draw_item()
  assert compressed.is_compressed(item)
  assert compressed.is_compressed({**item, 'keypoint': None})
  assert not compressed.is_compressed({**item, 'keypoint': np.zeros((1,) * 4)})
  item.pop('frame_inds')
  assert not compressed.is_compressed(item)


@pytest.mark.parametrize(
  'fields, words',
  [
    (dict(frame_inds=[0] * 12), "'frame_inds' is a list"),
    (dict(frame_inds=np.zeros((12, 1), int)), 'shape \\(12, 1\\)'),
    (dict(frame_inds=np.zeros(12)), 'one integer per skeleton'),
    (dict(frame_inds=np.arange(12)[::-1]), 'is 10 at skeleton 1'),
    (dict(frame_inds=np.arange(12) - 1), 'is -1 at skeleton 0'),
    (
      dict(frame_inds=np.arange(11), box_score=np.ones(11)),
      'Expected .11, joints, 3.',
    ),
    (dict(keypoint=np.zeros((12, 4, 2))), 'shape \\(12, 4, 2\\)'),
    (dict(keypoint=np.zeros((12, 12))), 'shape \\(12, 12\\)'),
    (dict(keypoint='none'), "'keypoint' is a str"),
    (dict(box_score=None), "'box_score' is missing"),
    (dict(box_score=np.zeros(3)), 'one score per element'),
  ],
)
def test_parts_that_do_not_fit_are_explained(fields, words):
  selection = compressed.Selection(valid_ratio=0.1, box_threshold=0.5)
  item = draw_item(box_score=np.ones(12, np.float16)) | fields
  with pytest.raises(checks.ClipError, match=words) as caught:
    compressed.decompress_item(item, selection, WHERE)
  assert str(caught.value).startswith(WHERE)


@pytest.mark.parametrize(
  'fields, words',
  [
    (dict(valid=None), "'valid' is missing"),
    (dict(valid={0.5: 3}), 'here 0.7'),
    (dict(valid=[3]), "'valid' is \\[3\\]"),
    (dict(valid={0.7: 'many'}), 'number of frames'),
    (dict(total_frames=0), "'total_frames' is 0"),
  ],
)
def test_a_ratio_that_cannot_be_taken_is_explained(fields, words):
  selection = compressed.Selection(valid_ratio=0.5, box_threshold=0.7)
  with pytest.raises(checks.ClipError, match=words) as caught:
    compressed.is_valid(draw_item(**fields), selection, WHERE)
  assert str(caught.value).startswith(WHERE)


@pytest.mark.parametrize(
  'values, words',
  [
    (dict(valid_ratio=1.5), '--valid_ratio=1.5'),
    (dict(valid_ratio=float('nan')), '--valid_ratio=nan'),
    (dict(box_threshold=0.55), '0.5, 0.6, 0.7, 0.8, 0.9'),
  ],
)
def test_selections_that_mean_nothing_are_explained(values, words):
  with pytest.raises(errors.UserError, match=words):
    compressed.Selection(**values)


def test_numbers_beyond_float16_are_found():
  item = draw_item(keypoint=np.full((12, 4, 3), 1e5, np.float32))
  whole = compressed.decompress_item(item, compressed.Selection(), WHERE)
  with pytest.raises(checks.ClipError, match='65504'):
    items.check(whole, layout=None, num_classes=1, path='a.pkl')


def test_a_clip_has_a_file_of_its_own_or_a_bundle():
  find = skeleton_files.skeleton_file
  assert find('d', 'abc', {}) == 'd/abc.pkl'
  assert find('d', 'abc', {'raw_file': 'data/k400/part3.pkl'}) == 'd/part3.pkl'


@pytest.mark.parametrize(
  'sample_id', ['../x', '/etc/x', 'a/../../x', 'a\\..\\x']
)
def test_ids_do_not_lead_out_of_the_directory(sample_id):
  with pytest.raises(errors.UserError, match='outside of the directory'):
    skeleton_files.skeleton_file('d', sample_id, {})


@pytest.mark.parametrize('raw_file', ['', 'a/', 7])
def test_a_bundle_needs_a_name(raw_file):
  with pytest.raises(errors.UserError, match="'raw_file' is"):
    skeleton_files.skeleton_file('d', 'x', {'raw_file': raw_file})


class Hostile:
  def __reduce__(self):
    return print, ('run',)


@pytest.mark.parametrize(
  'value, words',
  [
    (Hostile(), 'nothing was executed'),
    ([1, 2], 'contains a list'),
  ],
)
def test_files_of_skeletons_hold_a_dict_and_nothing_is_run(
  tmp_path, capsys, value, words
):
  path = tmp_path / 'x.pkl'
  path.write_bytes(pickle.dumps(value))
  with pytest.raises(errors.UserError, match=words):
    skeleton_files.load_skeletons(str(path))
  assert not capsys.readouterr().out


def test_missing_and_damaged_files_of_skeletons_are_named(tmp_path):
  path = str(tmp_path / 'x.pkl')
  with pytest.raises(errors.UserError, match='There is no file .*x.pkl'):
    skeleton_files.load_skeletons(path)
  whole = pickle.dumps({'keypoint': np.zeros((3, 4, 3))})
  (tmp_path / 'x.pkl').write_bytes(whole[:-30])
  with pytest.raises(errors.UserError, match='cut short'):
    skeleton_files.load_skeletons(path)


def test_a_clip_that_its_bundle_lacks_is_named():
  for root, words in (
    ({}, 'the clip is missing'),
    ({'x': 3}, 'the clip is a int'),
  ):
    with pytest.raises(errors.UserError, match=words):
      skeleton_files.clip_of_bundle(root, 'x', 'part.pkl')
  with pytest.raises(checks.ClipError, match="has no 'keypoint', only 'kp'"):
    compressed.clip_keypoint({'kp': 1}, WHERE)
