"""Clips are read lazily, survive pickling, and can be released."""

import pickle

import numpy as np
import pytest

from skeljax import errors
from skeljax import skeletons
from skeljax.readers import annotation_pickle
from skeljax.readers import checks
from skeljax.readers import compressed
from skeljax.readers import skeleton_files

_KEYPOINT = np.ones((1, 2, 17, 2), np.float16)


def _dataset(tmp_path, items):
  path = tmp_path / 'a.pkl'
  path.write_bytes(pickle.dumps({'split': {}, 'annotations': items}))
  return annotation_pickle.read_dataset(path)


def test_a_clip_can_be_read_in_another_process(tmp_path):
  item = dict(frame_dir='x', label=3, keypoint=_KEYPOINT)
  dataset = _dataset(tmp_path, [item])
  clip = pickle.loads(pickle.dumps(dataset.clips[0]))
  assert (clip.id, clip.label, clip.path) == ('x', 3, str(tmp_path / 'a.pkl'))
  record = checks.check_clip(
    clip, layout=skeletons.get_layout('coco'), num_classes=4
  )
  assert (record['id'], record['label']) == ('x', 3)
  np.testing.assert_array_equal(record['keypoint'], _KEYPOINT)


def test_a_released_clip_keeps_its_id(tmp_path):
  dataset = _dataset(tmp_path, [dict(frame_dir='x', keypoint=_KEYPOINT)])
  assert dataset.in_memory
  dataset.release(0)
  assert dataset.clips[0].id == 'x'
  with pytest.raises(RuntimeError, match='released'):
    dataset.clips[0].read()


def test_keypoints_of_a_compressed_clip_may_be_in_another_file(tmp_path):
  frame_inds = np.array([0, 0, 2])
  keypoint = np.arange(1, 3 * 17 * 3 + 1, dtype=np.float16).reshape(3, 17, 3)
  item = dict(frame_dir='x', label=0, frame_inds=frame_inds)
  clip = _dataset(tmp_path, [item]).clips[0]
  for content in (dict(keypoint=keypoint, frame_inds=frame_inds), None):
    if content is None:
      content = dict(keypoint=keypoint, frame_inds=frame_inds + 1)
    (tmp_path / 'x.pkl').write_bytes(pickle.dumps(content))
    result = compressed.decompressed(
      clip,
      compressed.Selection(),
      skeleton_files.keypoints_of(str(tmp_path), clip),
    )
    assert result.path == str(tmp_path / 'x.pkl')
    if content['frame_inds'][0]:
      with pytest.raises(errors.UserError, match="x.pkl.*'x'.*'frame_inds'"):
        result.read()
    else:
      found = pickle.loads(pickle.dumps(result)).read()
      assert found['keypoint'].shape == (2, 2, 17, 2)
      np.testing.assert_array_equal(found['keypoint'][0, 1], keypoint[2, :, :2])
