"""Records are restored, as the same bytes in every process."""

import subprocess
import sys

import numpy as np
import pytest

from skeljax.datasets import records
from tests import specs

SPEC_3D = specs.make('nturgb+d', 2, keypoint_dtype='float16')
SPEC_2D = specs.make('coco', 2, score_dtype='float16')


def _record(spec, shape=(2, 3), seed=0, **changes):
  rng = np.random.default_rng(seed)
  record = {
    'id': 'S001C001P001R001A001',
    'position': 12,
    'label': 1,
    'keypoint': rng.normal(
      size=(*shape, spec.num_joints, spec.num_channels)
    ).astype(spec.keypoint_dtype),
    'img_shape': np.array([1080, 1920], np.int32),
    'total_frames': shape[1],
    'box': np.array([1, 2, 3, 4], np.float32),
  }
  if spec.has_score:
    record['keypoint_score'] = rng.random((*shape, spec.num_joints)).astype(
      spec.score_dtype
    )
  return {**record, **changes}


def _assert_equal(record, other):
  assert set(record) == set(other)
  for name, value in record.items():
    np.testing.assert_array_equal(value, other[name])
    if isinstance(value, np.ndarray):
      assert value.dtype == other[name].dtype


@pytest.mark.parametrize('spec', [SPEC_3D, SPEC_2D])
@pytest.mark.parametrize('shape', [(1, 1), (2, 7), (0, 3)])
def test_decode_inverts_encode(spec, shape):
  record = _record(spec, shape)
  _assert_equal(record, records.decode(records.encode(record, spec), spec))


def test_ids_are_unicode():
  record = _record(SPEC_3D, id='übung 起立')
  data = records.encode(record, SPEC_3D)
  assert records.decode(data, SPEC_3D)['id'] == 'übung 起立'


@pytest.mark.parametrize('spec', [SPEC_3D, SPEC_2D])
def test_tfds_reads_and_writes_the_same_record(spec):
  record = _record(spec)
  features = records.features(spec)
  read = features.deserialize_example_np(records.encode(record, spec))
  read['id'] = read['id'].decode()
  _assert_equal(record, read)
  written = features.serialize_example(record)
  _assert_equal(record, records.decode(written, spec))


def test_bytes_do_not_depend_on_the_process():
  code = (
    'import hashlib, numpy as np\n'
    'from skeljax.datasets import records\n'
    'from tests import specs\n'
    'spec = specs.make("coco")\n'
    'record = dict(id="a", position=1, label=2, total_frames=1,\n'
    '  keypoint=np.ones((1, 1, 2, 2)), keypoint_score=np.ones((1, 1, 2)),\n'
    '  img_shape=[3, 4], box=[0, 0, 1, 1])\n'
    'print(hashlib.sha256(records.encode(record, spec)).hexdigest())\n'
  )
  runs = {
    subprocess.run(
      [sys.executable, '-c', code], capture_output=True, text=True, check=True
    ).stdout
    for _ in range(2)
  }
  assert len(runs) == 1


def test_box_contains_all_visible_points():
  keypoint = np.zeros((2, 2, 3, 2), np.float16)
  keypoint[0, 0, 0], keypoint[1, 1, 2] = (100, 20), (7, 300)
  keypoint[1, 0, 1] = (2000, 2000)
  score = np.zeros((2, 2, 3), np.float16)
  score[0, 0, 0] = score[1, 1, 2] = 0.3
  box = records.visible_box(keypoint, score)
  assert box.dtype == np.float32
  np.testing.assert_array_equal(box, [7, 20, 100, 300])
  # Without scores, all points count, also zeros.
  np.testing.assert_array_equal(
    records.visible_box(keypoint, None), [0, 0, 2000, 2000]
  )


def test_box_ignores_scores_up_to_the_threshold():
  keypoint = np.array([10, 20, 30, 40], np.float32).reshape(1, 1, 2, 2)
  # The float16 nearest to 0.01 is larger than it, the next smaller one is not.
  above = np.float16(0.01)
  assert above > np.float32(0.01) > np.nextafter(above, np.float16(0))
  for score, low in ((above, 10), (np.nextafter(above, np.float16(0)), 30)):
    scores = np.array([[[score, 1]]], np.float16)
    assert records.visible_box(keypoint, scores)[0] == low
  scores = np.array([[[0.01, 1]]], np.float32)
  assert records.visible_box(keypoint, scores)[0] == 30


def test_box_without_visible_points_is_zero():
  box = records.visible_box(np.ones((1, 2, 3, 2)), np.zeros((1, 2, 3)))
  np.testing.assert_array_equal(box, np.zeros(4, np.float32))


def test_body_size_is_the_median_over_frames():
  keypoint = np.zeros((2, 3, 4, 2))
  # Corners of squares of sides 2, 6 and 8 around (10, 20): their distance from
  # the center is half the side times the square root of 2.
  corners = np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)])
  for person, frame, half in ((0, 0, 1), (0, 2, 3), (1, 1, 4)):
    keypoint[person, frame] = (10, 20) + half * corners
  assert records.body_size(keypoint) == pytest.approx(3 * np.sqrt(2))
  # One joint has no size, two have half their distance.
  keypoint[0, 2, 1:] = 0
  assert records.body_size(keypoint) == pytest.approx(2.5 * np.sqrt(2))
  keypoint[1, 1, 2:] = 0
  assert records.body_size(keypoint) == pytest.approx((np.sqrt(2) + 4) / 2)
  assert records.body_size(np.zeros((1, 2, 3, 3), np.float16)) == 0.0


def test_body_size_does_not_depend_on_the_pose():
  rng = np.random.default_rng(0)
  keypoint = rng.normal(size=(2, 5, 25, 3))
  rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
  size = records.body_size(keypoint)
  assert records.body_size(keypoint @ rotation + 7) == pytest.approx(size)
  assert records.body_size(1000 * keypoint) == pytest.approx(1000 * size)
