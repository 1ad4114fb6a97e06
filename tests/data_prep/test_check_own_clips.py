"""data_prep.check on a folder of clips."""

import numpy as np
import pytest

from data_prep import check
from data_prep import options as options_lib
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
  """Five clips per class, in a sub-folder named after it."""
  for label in ('go', 'stop'):
    (tmp_path / label).mkdir()
    for number in range(5):
      _write_clip(tmp_path / label / f'{number}.npz')
  return tmp_path


def _check(folder, layout='coco'):
  text, num_errors = check.check(
    options_lib.Options(source='clips', input=str(folder), layout=layout)
  )
  return ' '.join(text.split()), num_errors


def test_valid_clips_are_counted(folder):
  text, num_errors = _check(folder)
  assert num_errors == 0
  assert 'clips 10 classes 2 labels, 0 to 1; 2 names' in text
  assert 'train 8 2' in text and 'val 2 2' in text
  assert text.endswith('No errors (0 notes).')


def test_invalid_clips_are_named(folder):
  (folder / 'go' / '1.npz').write_bytes(b'PK')
  _write_clip(folder / 'stop' / '2.npz', joints=9)
  text, num_errors = _check(folder)
  assert num_errors == 2
  assert 'go/1.npz' in text and 'stop/2.npz' in text


def test_splits_without_usable_clips_are_reported(folder):
  text, num_errors = _check(folder, layout='ucla')
  assert num_errors == 1
  assert 'train: no usable clip val: no usable clip' in text


@pytest.mark.parametrize(
  'field, types',
  (
    ('keypoint', ('float16', 'float32')),
    ('keypoint_score', ('float32', 'float16')),
  ),
)
def test_higher_precision_than_the_first_clip_is_an_error(folder, field, types):
  """As in data_prep.main, which stores the dtype of the first clip."""
  for path in folder.glob('*/*.npz'):
    _write_clip(path, dtype=types[0], score_dtype=types[1])
  assert _check(folder)[1] == 0
  for path in folder.glob('stop/*.npz'):
    _write_clip(path)
  text, num_errors = _check(folder)
  assert num_errors == 1
  assert '5 clips cannot be used (dtype)' in text
  assert f"'{field}' is float32 and would lose precision" in text


def test_lower_precision_than_the_first_clip_is_accepted(folder):
  for path in folder.glob('stop/*.npz'):
    _write_clip(path, dtype='float16', score_dtype='float16')
  assert _check(folder)[1] == 0


def test_file_that_is_not_a_clip_is_an_error(folder):
  (folder / 'go' / '0 read me.txt').write_text('recorded in May')
  with pytest.raises(errors.UserError, match='Without --labels every file'):
    _check(folder)
