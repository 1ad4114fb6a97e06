"""One annotation: what is accepted, what is refused, and with which words."""

import pickle

import numpy as np
import pytest

from skeljax import errors
from skeljax import readers
from skeljax import skeletons
from skeljax.readers import checks
from tests import items

NTU = skeletons.get_layout('nturgb+d')
COCO = skeletons.get_layout('coco')


def item_3d(num_persons=1, num_frames=4, dtype=np.float16, **fields):
  rng = np.random.default_rng(0)
  keypoint = rng.normal(size=(num_persons, num_frames, 25, 3)).astype(dtype)
  return dict(
    frame_dir='S001', label=3, total_frames=num_frames, keypoint=keypoint
  ) | dict(fields)


def item_2d(**fields):
  rng = np.random.default_rng(0)
  return dict(
    frame_dir='S001',
    label=3,
    total_frames=4,
    keypoint=rng.uniform(0, 1000, (2, 4, 17, 2)).astype(np.float16),
    keypoint_score=rng.uniform(0, 1, (2, 4, 17)).astype(np.float16),
    img_shape=(1080, 1920),
  ) | dict(fields)


def check(item, layout=NTU, num_classes=60, **options):
  return items.check(
    item, layout=layout, num_classes=num_classes, path='ntu.pkl', **options
  )


def test_3d_clip():
  item = item_3d(2)
  record = check(item)
  assert record['id'] == 'S001'
  assert (record['label'], record['total_frames']) == (3, 4)
  np.testing.assert_array_equal(record['keypoint'], item['keypoint'])
  assert record['keypoint'].dtype == np.float16
  np.testing.assert_array_equal(record['img_shape'], [0, 0])
  assert record['img_shape'].dtype == np.int32
  assert 'keypoint_score' not in record


def test_2d_clip():
  item = item_2d(img_shape=np.array([480, 640]))
  record = check(item, COCO)
  assert record['keypoint'].shape == (2, 4, 17, 2)
  np.testing.assert_array_equal(
    record['keypoint_score'], item['keypoint_score']
  )
  np.testing.assert_array_equal(record['img_shape'], [480, 640])


def test_what_may_be_left_out():
  item = item_3d()
  del item['total_frames'], item['label']
  record = check(item, layout=None, num_classes=None, sample_id='mine')
  assert (record['id'], record['label'], record['total_frames']) == (
    'mine',
    -1,
    4,
  )


def test_a_clip_of_one_frame_is_fine():
  assert check(item_3d(num_frames=1))['total_frames'] == 1


@pytest.mark.parametrize(
  'source, asked, stored',
  [
    ('f2', None, 'float16'),
    ('f4', None, 'float32'),
    ('f8', None, 'float32'),
    ('i4', None, 'float32'),
    ('f2', 'float32', 'float32'),
    ('f4', 'float16', 'float16'),
  ],
)
def test_stored_types(source, asked, stored):
  keypoint = np.full((1, 4, 25, 3), 2, source)
  record = check(item_3d(keypoint=keypoint), dtype=asked)
  assert record['keypoint'].dtype == stored


def test_common_type_of_a_data_set():
  half, single = np.ones(1, 'f2'), np.ones(1, 'f4')
  assert checks.stored_dtype([half, half]) == 'float16'
  assert checks.stored_dtype([half, single]) == 'float32'
  assert checks.stored_dtype([np.ones(1, int)]) == 'float32'


def put(value, place=(0, 2, 7, 1), dtype=np.float32):
  keypoint = np.full((1, 4, 25, 3), 2, dtype)
  keypoint[place] = value
  return keypoint


@pytest.mark.parametrize(
  'fields, kind, words',
  [
    (
      dict(keypoint=np.ones((4, 25, 3))),
      'shape',
      r"'keypoint' has shape \(4, 25, 3\). Expected \[persons, frames,"
      r' joints, channels\]; for one person use keypoint\[None\]',
    ),
    (
      dict(keypoint=np.ones((1, 4, 25, 5))),
      'channels',
      'so 5 channels. Expected',
    ),
    (
      dict(keypoint=np.ones((1, 4, 20, 3))),
      'joints',
      "has 20 joints and layout 'nturgb\\+d' has 25. Layouts with 20 joints:"
      ' ucla',
    ),
    (
      dict(keypoint=np.ones((1, 4, 34, 3))),
      'joints',
      'No known layout has 34 joints: describe yours in a file',
    ),
    (
      dict(keypoint=put(np.nan)),
      'NaN',
      "'keypoint' contains 1 NaN, first at person 0, frame 2, joint 7. Missing"
      ' joints must be zero: use numpy.nan_to_num',
    ),
    (
      dict(keypoint=put(np.inf, dtype=np.float16)),
      'overflow',
      'contains infinity, first at person 0, frame 2, joint 7. float16 ends at'
      ' 65504: larger values were lost when the file was written',
    ),
    (dict(keypoint=put(-np.inf)), 'infinity', 'Expected finite numbers'),
    (
      dict(keypoint=put(1e39, dtype=np.float64)),
      'overflow',
      r'reaches 1e\+39, beyond 3.40282e\+38, the largest float32',
    ),
    (
      dict(keypoint=np.zeros((2, 4, 25, 3))),
      'empty',
      r"'keypoint' of shape \(2, 4, 25, 3\) contains no person, only"
      ' zeros. Take the clip out of the splits',
    ),
    (
      dict(keypoint=np.zeros((1, 0, 25, 3)), total_frames=0),
      'empty',
      r'shape \(1, 0, 25, 3\)',
    ),
    (dict(keypoint=np.zeros((0, 4, 25, 3))), 'empty', 'contains no person'),
    (
      dict(keypoint=np.array([[1], [2, 3]], dtype=object)),
      'not numbers',
      'persons or frames of different lengths: fill the missing ones',
    ),
    (dict(keypoint=[[1.0]]), 'not an array', "'keypoint' is a list"),
    (dict(keypoint=np.array('x')), 'not numbers', 'dtype <U1'),
    (dict(label=60), 'label', 'is 60. Expected 0 to 59, as there are 60'),
    (dict(label=-1), 'label', 'is -1. Expected 0 to 59'),
    (dict(label='sit'), 'label', "'label' is 'sit'. Expected an integer"),
    (dict(label=True), 'label', 'is True. Expected an integer'),
    (dict(label=1.0), 'label', 'is 1.0. Expected an integer'),
    (dict(label=None), 'label', "'label' is missing"),
    (
      dict(total_frames=5),
      'total_frames',
      "'total_frames' is 5 and 'keypoint' has 4 frames. They must agree",
    ),
    (dict(total_frames='4'), 'total_frames', "is '4' and"),
    (dict(img_shape=(0, 640)), 'img_shape', r'Expected \(height, width\)'),
    (dict(img_shape=(480,)), 'img_shape', r'is \(480,\)'),
    (dict(img_shape=480), 'img_shape', 'is 480'),
  ],
)
def test_refused_clips(fields, kind, words):
  with pytest.raises(errors.UserError, match=words) as raised:
    check(item_3d(**fields))
  assert raised.value.kind == kind
  assert str(raised.value).startswith("ntu.pkl, sample 'S001': ")


@pytest.mark.parametrize(
  'fields, kind, words',
  [
    (
      dict(keypoint_score=np.ones((2, 4, 16))),
      'score shape',
      r"'keypoint_score' has shape \(2, 4, 16\). Expected \(2, 4, 17\)",
    ),
    (
      dict(keypoint_score=np.full((2, 4, 17), np.nan)),
      'NaN',
      "'keypoint_score' contains 136 NaN, first at person 0, frame 0, joint 0",
    ),
    (
      dict(keypoint=np.ones((2, 4, 17, 3))),
      'third channel',
      'Scores belong to 2D keypoints: remove the third channel',
    ),
  ],
)
def test_refused_scores(fields, kind, words):
  with pytest.raises(checks.ClipError, match=words) as raised:
    check(item_2d(**fields), COCO)
  assert raised.value.kind == kind


def test_float16_overflow_when_a_data_set_is_float16():
  item = item_3d(keypoint=put(70_000.0))
  assert check(item)['keypoint'].max() == 70_000
  with pytest.raises(
    checks.ClipError, match='reaches 70000, beyond 65504, the'
  ):
    check(item, dtype='float16')


def test_labels_without_a_known_number_of_classes():
  assert check(item_3d(label=np.int64(999)), num_classes=0)['label'] == 999
  with pytest.raises(checks.ClipError, match='is -2. Expected 0 or more'):
    check(item_3d(label=-2), num_classes=0)
  for label in (10**6, 2**70):
    with pytest.raises(checks.ClipError, match='and less than 1,000,000'):
      check(item_3d(label=label), num_classes=0)


def with_third(third):
  item = item_2d()
  score = item.pop('keypoint_score')
  third = score if third is None else np.full_like(score, third)
  item['keypoint'] = np.concatenate([item['keypoint'], third[..., None]], -1)
  return item, third


def test_a_third_channel_that_looks_like_a_score_must_be_named():
  item, score = with_third(None)
  with pytest.raises(
    checks.ClipError,
    match='--third_channel=score or --third_channel=coordinate',
  ):
    check(item, COCO)

  record = check(item, COCO, third_channel='score', dtype='float32')
  assert record['keypoint'].shape == (2, 4, 17, 2)
  np.testing.assert_array_equal(record['keypoint_score'], score)
  assert record['keypoint_score'].dtype == np.float32

  record = check(item, COCO, third_channel='coordinate')
  np.testing.assert_array_equal(record['keypoint'], item['keypoint'])
  assert 'keypoint_score' not in record


@pytest.mark.parametrize('third', [0.0, -0.5, 3.0])
def test_a_third_channel_beyond_scores_is_a_coordinate(third):
  item, _ = with_third(third)
  assert check(item, COCO)['keypoint'].shape[-1] == 3


def test_metres_are_never_taken_for_scores():
  keypoint = np.full((1, 4, 25, 3), 0.5)
  assert check(item_3d(keypoint=keypoint))['keypoint'].shape[-1] == 3


def test_a_third_channel_that_repeats_the_score_is_dropped():
  item, score = with_third(None)
  record = check(item | {'keypoint_score': score}, COCO)
  assert record['keypoint'].shape[-1] == 2
  np.testing.assert_array_equal(record['keypoint_score'], score)


def test_unknown_meaning_of_the_third_channel():
  with pytest.raises(errors.UserError, match='auto, coordinate, score'):
    check(item_3d(), third_channel='depth')


def test_compressed_kinetics_is_told_apart():
  item = dict(frame_dir='k', label=1, frame_inds=np.arange(3), total_frames=3)
  with pytest.raises(checks.ClipError, match="no 'keypoint'.*Kinetics-400"):
    check(item)


def moving(*speeds):
  """Persons that move with these speeds; [M, 5, 3, 2]."""
  time = np.arange(1.0, 6)[None, :, None, None]
  joints = np.arange(6.0).reshape(1, 1, 3, 2)
  return np.asarray(speeds)[:, None, None, None] * (time + joints)


def test_persons_that_move_most_are_kept():
  keypoint = moving(1, 3, 0, 2)
  score = np.arange(4.0)[:, None, None] * np.ones((4, 5, 3))

  kept, kept_score, num_dropped = readers.select_persons(keypoint, score, 2)

  np.testing.assert_array_equal(kept, keypoint[[1, 3]])
  np.testing.assert_array_equal(kept_score, score[[1, 3]])
  assert num_dropped == 1  # The third person is not there at all.


def test_energy_is_that_of_the_frames_in_which_a_person_is_seen():
  # Seldom seen and calm: with its empty frames it would look lively.
  calm = np.zeros((5, 3, 3))
  calm[0] = 10
  lively = np.ones((5, 3, 3)) + np.arange(5)[:, None, None]
  # Published order of three persons of known energy: x, y and z add up.
  keypoint = np.stack([calm, lively, 2 * lively])

  kept, _, _ = readers.select_persons(keypoint, None, 2)

  np.testing.assert_array_equal(kept, keypoint[[2, 1]])


def test_enough_room_keeps_persons_as_they_are():
  keypoint = moving(1, 3)
  kept, score, num_dropped = readers.select_persons(keypoint, None, 2)
  assert kept is keypoint and score is None and num_dropped == 0


def test_half_precision_does_not_overflow_the_energy():
  keypoint = (moving(1, 2, 3) * 2000).astype(np.float16)
  kept, _, _ = readers.select_persons(keypoint, None, 1)
  np.testing.assert_array_equal(kept, keypoint[2:])


def test_errors_can_be_pickled_like_other_exceptions():
  error = checks.ClipError('NaN', 'a.pkl', 'contains NaN')
  again = pickle.loads(pickle.dumps(error))
  assert (str(again), again.kind) == ('a.pkl: contains NaN', 'NaN')
