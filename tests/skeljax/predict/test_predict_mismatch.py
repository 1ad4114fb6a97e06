"""Clips that differ from the training data, and the errors about them."""

import json

import numpy as np
import pytest

from configs import stgcn_ctrgcn
from tests.skeljax.predict import toys


def test_other_layout(error_of, clip_2d):
  text = error_of(
    toys.graph_2d(),
    clip_2d(keypoint=toys.persons_2d(num_joints=18)),
    '--layout=openpose-18',
  )
  assert "18 joints of layout 'openpose-18'" in text
  assert "17 joints of layout 'coco'" in text
  text = error_of(
    toys.graph_2d(),
    clip_2d(keypoint=toys.persons_2d(num_joints=18)),
  )
  assert 'has 18 joints' in text and 'openpose-18' in text


def test_joints_can_be_cut_if_the_first_ones_match(error_of, tmp_path):
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
  text = error_of(toys.graph_2d(), str(path), '--img_shape=240x320')
  assert 'has 133 joints' in text and 'add --layout=coco' in text
  fitted = toys.fit(
    toys.graph_2d(), str(path), layout='coco', img_shape='240x320'
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


def test_other_layout_with_the_same_number_of_joints(error_of, tmp_path):
  path = _openpose_folder(tmp_path / 'clip')
  text = error_of(toys.graph_3d(), path)
  assert f"{path} has the 25 joints of layout 'openpose-25'" in text
  assert "trained on the 25 joints of layout 'nturgb+d'" in text
  assert 'use a checkpoint trained on such clips' in text


def test_folder_of_clips_is_not_a_clip(error_of, tmp_path):
  _openpose_folder(tmp_path / 'clips' / 'one')
  text = error_of(toys.graph_2d(), str(tmp_path / 'clips'))
  assert f'name its files: {tmp_path / "clips"}/*' in text
  (tmp_path / 'empty').mkdir()
  text = error_of(toys.graph_2d(), str(tmp_path / 'empty'))
  assert 'empty folder' in text and 'name its files' not in text


def test_2d_and_3d_are_distinguished(error_of, clip_2d, clip_3d):
  text = error_of(toys.graph_2d(layout='nturgb+d'), clip_3d())
  assert 'contains 3D keypoints' in text and '--third_channel=score' in text
  flat = clip_2d(keypoint=toys.persons_2d(num_joints=25))
  text = error_of(toys.graph_3d(), flat)
  assert 'contains 2D keypoints' in text and 'clips recorded in 3D' in text


def test_missing_scores_are_an_error_and_extra_scores_are_ignored(
  error_of, clip_2d
):
  bare = clip_2d('bare.npz', keypoint_score=None)
  assert "Add 'keypoint_score'" in error_of(toys.graph_2d(), bare)
  assert "Add 'keypoint_score'" in error_of(toys.volumes(), bare)
  fitted = toys.fit(toys.graph_2d(score_dtype=''), clip_2d())
  assert 'keypoint_score' not in fitted.record
  assert 'ignored the scores' in fitted.description['notes'][0]
  # A PyTorch file of PoseC3D does not specify whether there were scores.
  fitted = toys.fit(toys.volumes(is_assumed=True), bare)
  assert fitted.description['notes'] == [
    'no scores: every joint is drawn with score 1'
  ]


@pytest.mark.parametrize('make', [toys.graph_2d, toys.volumes])
def test_unknown_image_size(error_of, clip_2d, make):
  bare = clip_2d(img_shape=None)
  text = error_of(make(), bare)
  assert 'does not contain the image size' in text
  assert '--img_shape=HEIGHTxWIDTH' in text
  assert ('1080x1920' in text) == (make is toys.graph_2d)


def test_image_size_is_optional_without_2d_normalization(clip_2d):
  loaded = toys.graph_2d()
  loaded.config.input.normalize_2d = 'none'
  assert (
    toys.fit(loaded, clip_2d(img_shape=None)).description['img_shape'] is None
  )


def test_fractions_are_not_pixels(error_of, clip_2d):
  path = clip_2d(keypoint=toys.persons_2d() / (320, 240))
  for loaded in (toys.graph_2d(), toys.volumes()):
    text = error_of(loaded, path)
    assert 'fractions of the image size' in text and '--nocheck_units' in text
  # A model that was trained on fractions.
  loaded = toys.graph_2d(body_size=0.2)
  loaded.config.input.normalize_2d = 'none'
  toys.fit(loaded, path)
  text = error_of(loaded, clip_2d('pixels.npz'))
  assert 'in pixels and the training data in fractions' in text


def test_size_of_another_image(error_of, clip_2d):
  text = error_of(toys.graph_2d(), clip_2d(img_shape=np.array([24, 32])))
  assert '100% of its joints are outside the image of 24x32' in text


def test_joints_outside_the_image_may_have_low_scores(clip_2d):
  keypoint = toys.persons_2d()
  keypoint[:, :, 5:] += 300
  score = np.ones(keypoint.shape[:3], np.float32)
  score[:, :, 5:] = 0.2
  path = clip_2d(keypoint=keypoint, keypoint_score=score)
  assert toys.fit(toys.graph_2d(), path).description['persons'] == len(keypoint)


@pytest.mark.parametrize(
  'scale, parts',
  [
    (1000, ('about 1,000 times larger', 'in millimetres', 'divide by 1000')),
    (100, ('in centimetres and the training data in metres',)),
    (0.001, ('about 1,000 times smaller', 'multiply by 1000')),
    (1e7, ('about 10,000,000 times larger',)),
  ],
)
@pytest.mark.parametrize('body_size', [0.5, 0.0])
def test_other_unit(error_of, clip_3d, scale, parts, body_size):
  """Also for published files (body_size 0), which are in metres."""
  text = error_of(toys.graph_3d(body_size=body_size), clip_3d(scale=scale))
  for part in parts:
    assert part in text


def test_unit_is_checked_within_a_factor(clip_3d):
  loaded = toys.graph_3d()
  assert loaded.spec.normalize == 'mmaction0x'
  for scale in (0.4, 1, 3):
    toys.fit(loaded, clip_3d(scale=scale))  # A child, a giant.
  # Clips that are scaled to [-1, 1] may have any unit.
  whole = toys.graph_3d(stgcn_ctrgcn, layout='ucla', max_frames=toys.FRAMES)
  body = clip_3d(scale=1000, num_joints=20)
  assert toys.fit(whole, body).record['keypoint'].max() > 100


def test_clip_without_persons(error_of, clip_2d):
  text = error_of(toys.graph_2d(), clip_2d(keypoint=np.zeros((1, 3, 17, 2))))
  assert 'contains no person' in text


def test_clip_is_too_long(error_of, clip_3d):
  loaded = toys.graph_3d()
  loaded.config.data.update(frames='zero', clip_len=4)
  assert 'has 5 frames' in error_of(loaded, clip_3d())


def test_model_trained_on_projections_accepts_3d_and_2d(clip_2d, clip_3d):
  loaded = toys.volumes(layout='nturgb+d', project='orthographic')
  solid = toys.fit(loaded, clip_3d(scale=1000))
  assert solid.record['keypoint'].shape[-1] == 2
  assert tuple(solid.record['img_shape']) == (1080, 1920)
  flat = toys.fit(loaded, clip_2d(keypoint=toys.persons_2d(num_joints=25)))
  assert tuple(flat.record['img_shape']) == (240, 320)
