"""Clips of one's own are checked before they are prepared."""

import numpy as np
import pytest

from data_prep import check
from skeljax import errors


def _write_clip(path, joints=17, dtype='float32', score_dtype='float32'):
  rng = np.random.default_rng(list(f'{path.parent.name} {path.name}'.encode()))
  keypoint = rng.uniform(1, 400, (1, 4, joints, 2)).astype(dtype)
  np.savez(
    path,
    keypoint=keypoint,
    keypoint_score=np.ones((1, 4, joints), score_dtype),
    img_shape=np.array([480, 640]),
  )


@pytest.fixture
def folder(tmp_path):
  """Five clips of either class, in a sub-folder of its name."""
  for label in ('go', 'stop'):
    (tmp_path / label).mkdir()
    for number in range(5):
      _write_clip(tmp_path / label / f'{number}.npz')
  return tmp_path


def _check(folder, layout='coco'):
  text, num_errors = check.check(
    str(folder), source='clips', layout_name=layout
  )
  return ' '.join(text.split()), num_errors


def test_sound_clips_are_counted(folder):
  text, num_errors = _check(folder)
  assert num_errors == 0
  assert 'clips 10 classes 2 labels, 0 to 1; 2 names' in text
  assert 'train 8 2' in text and 'val 2 2' in text
  assert text.endswith('Nothing is in the way of training (0 notes).')


def test_faulty_clips_are_named(folder):
  (folder / 'go' / '1.npz').write_bytes(b'PK')
  _write_clip(folder / 'stop' / '2.npz', joints=9)
  text, num_errors = _check(folder)
  assert num_errors == 2
  assert 'go/1.npz' in text and 'stop/2.npz' in text


def test_clips_of_which_none_can_be_used_leave_the_splits_empty(folder):
  text, num_errors = _check(folder, layout='ucla')
  assert num_errors == 1
  assert 'train: no clip that can be used val: no clip that can be' in text


@pytest.mark.parametrize(
  'field, types',
  (
    ('keypoint', ('float16', 'float32')),
    ('keypoint_score', ('float32', 'float16')),
  ),
)
def test_more_digits_than_in_the_first_clip_are_an_error(folder, field, types):
  """As in preparing, which stores all clips in the type of the first."""
  for path in folder.glob('*/*.npz'):
    _write_clip(path, dtype=types[0], score_dtype=types[1])
  assert _check(folder)[1] == 0
  for path in folder.glob('stop/*.npz'):
    _write_clip(path)
  text, num_errors = _check(folder)
  assert num_errors == 1
  assert f"5 clips with a '{field}' of more digits than the first" in text


def test_fewer_digits_than_in_the_first_clip_are_none(folder):
  for path in folder.glob('stop/*.npz'):
    _write_clip(path, dtype='float16', score_dtype='float16')
  assert _check(folder)[1] == 0


def test_a_file_beside_clips_is_told_from_a_clip(folder):
  (folder / 'go' / '0 read me.txt').write_text('recorded in May')
  with pytest.raises(errors.UserError, match='take it out: without --labels'):
    _check(folder)
