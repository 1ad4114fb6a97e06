"""Clips that are not what a checkpoint was trained with: each is told why."""

import json

import numpy as np
import pytest

from configs import stgcn_ctrgcn
from tests.skeljax.predict import toys


def test_another_layout_is_named(refusal, clip_2d):
  text = refusal(
    toys.graph_2d(),
    clip_2d(keypoint=toys.persons_2d(num_joints=18)),
    '--layout=openpose-18',
  )
  assert "18 joints of layout 'openpose-18'" in text
  assert "17 joints of 'coco'" in text
  text = refusal(
    toys.graph_2d(),
    clip_2d(keypoint=toys.persons_2d(num_joints=18)),
  )
  assert 'has 18 joints' in text and 'openpose-18' in text


def test_more_joints_may_be_cut_where_they_begin_alike(refusal, tmp_path):
  people = toys.persons_2d(num_joints=133)[0]
  content = {
    'meta_info': {},
    'instance_info': [
      {
        'frame_id': t,
        'instances': [
          {'keypoints': f.tolist(), 'keypoint_scores': [1.0] * len(f)}
        ],
      }
      for t, f in enumerate(people, 1)
    ],
  }
  path = tmp_path / 'whole_body.json'
  path.write_text(json.dumps(content))
  text = refusal(toys.graph_2d(), str(path), '--img_shape=240x320')
  assert 'has 133 joints' in text and '--layout=coco takes them' in text
  fitted = toys.fit(
    toys.graph_2d(), str(path), layout='coco', img_shape=(240, 320)
  )
  assert fitted.record['keypoint'].shape == (1, toys.FRAMES, 17, 2)


def _openpose_folder(path, num_joints=25, frames=3):
  path.mkdir(parents=True)
  joints = [100.0 + i for i in range(3 * num_joints)]
  joints[2::3] = [0.9] * num_joints
  people = [{'person_id': [-1], 'pose_keypoints_2d': joints}]
  for frame in range(frames):
    text = json.dumps({'version': 1.3, 'people': people})
    (path / f'x_{frame:012d}_keypoints.json').write_text(text)
  return str(path)


def test_other_joints_of_the_same_number_are_told(refusal, tmp_path):
  path = _openpose_folder(tmp_path / 'clip')
  text = refusal(toys.graph_3d(), path)
  assert f"{path} has the 25 joints of layout 'openpose-25'" in text
  assert "trained on the 25 joints of 'nturgb+d'" in text
  assert 'use a checkpoint that was trained on such clips' in text


def test_a_folder_of_clips_is_told_from_a_clip(refusal, tmp_path):
  _openpose_folder(tmp_path / 'clips' / 'one')
  text = refusal(toys.graph_2d(), str(tmp_path / 'clips'))
  assert f'name the clips: {tmp_path / "clips"}/*' in text
  (tmp_path / 'empty').mkdir()
  text = refusal(toys.graph_2d(), str(tmp_path / 'empty'))
  assert 'empty folder' in text and 'name the clips' not in text


def test_2d_is_told_from_3d(refusal, clip_2d, clip_3d):
  text = refusal(toys.graph_2d(layout='nturgb+d'), clip_3d())
  assert 'holds 3D keypoints' in text and '--third_channel=score' in text
  flat = clip_2d(keypoint=toys.persons_2d(num_joints=25))
  text = refusal(toys.graph_3d(), flat)
  assert 'holds 2D keypoints' in text and 'Depth cannot be added' in text


def test_missing_scores_are_told_and_others_left_out(refusal, clip_2d):
  bare = clip_2d('bare.npz', keypoint_score=None)
  assert "Put 'keypoint_score'" in refusal(toys.graph_2d(), bare)
  assert "Put 'keypoint_score'" in refusal(toys.volumes(), bare)
  fitted = toys.fit(toys.graph_2d(score_dtype=''), clip_2d())
  assert 'keypoint_score' not in fitted.record
  assert 'left out' in fitted.notes[0]
  # A PyTorch file of PoseC3D does not say whether there were scores.
  fitted = toys.fit(toys.volumes(is_assumed=True), bare)
  assert fitted.notes == ('no scores: every joint is drawn with score 1',)


@pytest.mark.parametrize('make', [toys.graph_2d, toys.volumes])
def test_an_unknown_picture_is_told(refusal, clip_2d, make):
  bare = clip_2d(img_shape=None)
  text = refusal(make(), bare)
  assert 'how large its picture is' in text
  assert '--img_shape=HEIGHTxWIDTH' in text
  assert ('1080x1920' in text) == (make is toys.graph_2d)


def test_a_network_without_a_picture_needs_none(clip_2d):
  loaded = toys.graph_2d()
  loaded.config.input.normalize_2d = 'none'
  assert toys.fit(loaded, clip_2d(img_shape=None)).img_shape == (0, 0)


def test_fractions_are_told_from_pixels(refusal, clip_2d):
  path = clip_2d(keypoint=toys.persons_2d() / (320, 240))
  for loaded in (toys.graph_2d(), toys.volumes()):
    text = refusal(loaded, path)
    assert 'fractions of a picture' in text and '--nocheck_units' in text
  # A network that was trained with fractions.
  loaded = toys.graph_2d(body_size=0.2)
  loaded.config.input.normalize_2d = 'none'
  toys.fit(loaded, path)
  text = refusal(loaded, clip_2d('pixels.npz'))
  assert 'in pixels and the training data in fractions' in text


def test_the_size_of_another_picture_is_told(refusal, clip_2d):
  text = refusal(toys.graph_2d(), clip_2d(img_shape=np.array([24, 32])))
  assert '100% of its joints lie outside the picture of 24x32' in text


def test_guesses_beyond_the_picture_are_no_mistake(clip_2d):
  keypoint = toys.persons_2d()
  keypoint[:, :, 5:] += 300
  score = np.ones(keypoint.shape[:3], np.float32)
  score[:, :, 5:] = 0.2
  path = clip_2d(keypoint=keypoint, keypoint_score=score)
  assert toys.fit(toys.graph_2d(), path).num_persons == len(keypoint)


@pytest.mark.parametrize(
  'scale, words',
  [
    (1000, ('about 1,000 times as large', 'in millimetres', 'divided by 1000')),
    (100, ('in centimetres and the training data in metres',)),
    (0.001, ('about 1,000 times as small', 'times 1000')),
    (1e7, ('about 10,000,000 times as large',)),
  ],
)
@pytest.mark.parametrize('body_size', [0.5, 0.0])
def test_another_unit_is_told(refusal, clip_3d, scale, words, body_size):
  """Also of published files, which are known to be in metres."""
  text = refusal(toys.graph_3d(body_size=body_size), clip_3d(scale=scale))
  for word in words:
    assert word in text


def test_units_need_not_be_those_of_the_training(clip_3d):
  loaded = toys.graph_3d()
  assert loaded.spec.normalize == 'mmaction0x'
  for scale in (0.4, 1, 3):
    toys.fit(loaded, clip_3d(scale=scale))  # A child, a giant.
  # Clips that are scaled by themselves have no unit.
  whole = toys.graph_3d(stgcn_ctrgcn, layout='ucla', max_frames=toys.FRAMES)
  body = clip_3d(scale=1000, num_joints=20)
  assert toys.fit(whole, body).record['keypoint'].max() > 100


def test_clip_without_persons_is_an_error(refusal, clip_2d):
  text = refusal(toys.graph_2d(), clip_2d(keypoint=np.zeros((1, 3, 17, 2))))
  assert 'contains no person' in text


def test_a_clip_may_be_too_long(refusal, clip_3d):
  loaded = toys.graph_3d()
  loaded.config.data.update(frames='zero', clip_len=4)
  assert 'has 5 frames' in refusal(loaded, clip_3d())


def test_projected_clips_may_come_in_3d_or_2d(clip_2d, clip_3d):
  loaded = toys.volumes(layout='nturgb+d', project='orthographic')
  solid = toys.fit(loaded, clip_3d(scale=1000))
  assert solid.record['keypoint'].shape[-1] == 2
  assert tuple(solid.record['img_shape']) == (1080, 1920)
  flat = toys.fit(loaded, clip_2d(keypoint=toys.persons_2d(num_joints=25)))
  assert tuple(flat.record['img_shape']) == (240, 320)
