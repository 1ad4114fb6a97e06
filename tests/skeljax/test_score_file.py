"""Score files: round trip, and errors for damaged ones."""

import dataclasses
import pickle

import numpy as np
import pytest

from skeljax import errors
from skeljax import score_file


@pytest.fixture
def score_set():
  return score_file.ScoreSet(
    ids=('a', 'b', 'ü'),
    scores=np.random.RandomState(0).rand(3, 2).astype(np.float32),
    labels=np.array([0, 1, 1]),
    class_names=('sit', 'stand up'),
    average='prob',
    meta={'stream': 'bone', 'step': 3},
  )


def test_round_trip(tmp_path, score_set):
  path = tmp_path / 'new' / 'bone.npz'
  score_file.write(path, score_set)
  again = score_file.read(path)
  for field in ('ids', 'class_names', 'average', 'meta'):
    assert getattr(again, field) == getattr(score_set, field)
  np.testing.assert_array_equal(again.scores, score_set.scores)
  np.testing.assert_array_equal(again.labels, score_set.labels)
  assert again.scores.dtype == np.float32
  assert [p.name for p in path.parent.iterdir()] == ['bone.npz']


def test_equal_scores_are_equal_bytes(tmp_path, score_set):
  score_file.write(tmp_path / 'a.npz', score_set)
  score_file.write(tmp_path / 'b.npz', score_set)
  assert (tmp_path / 'a.npz').read_bytes() == (tmp_path / 'b.npz').read_bytes()


def test_a_failed_write_keeps_the_old_file(tmp_path, score_set, monkeypatch):
  path = tmp_path / 'bone.npz'
  score_file.write(path, score_set)
  old = path.read_bytes()

  def full_disk(*args, **kwargs):
    raise OSError(28, 'No space left on device')

  monkeypatch.setattr(np, 'savez', full_disk)
  with pytest.raises(OSError, match='No space'):
    score_file.write(path, score_set)
  assert path.read_bytes() == old
  assert [p.name for p in tmp_path.iterdir()] == ['bone.npz']


@pytest.mark.parametrize('size', [0, 40, 300, -1])
def test_an_incomplete_file_is_an_error(tmp_path, score_set, size):
  path = tmp_path / 'bone.npz'
  score_file.write(path, score_set)
  path.write_bytes(path.read_bytes()[:size])
  with pytest.raises(errors.UserError, match='bone.npz: .*incomplete'):
    score_file.read(path)


def test_damaged_bytes(tmp_path, score_set):
  path = tmp_path / 'bone.npz'
  score_file.write(path, score_set)
  data = path.read_bytes()
  at = data.index(score_set.scores.tobytes())
  path.write_bytes(data[:at] + b'\x00\x01\x02' + data[at + 3 :])
  with pytest.raises(errors.UserError, match='damaged score file'):
    score_file.read(path)


def test_missing_file(tmp_path):
  with pytest.raises(errors.UserError, match='no such file'):
    score_file.read(tmp_path / 'none.npz')


def test_pickles_are_not_loaded(tmp_path):
  path = tmp_path / 'result.pkl'
  path.write_bytes(pickle.dumps([1]))
  with pytest.raises(errors.UserError, match='not a score file'):
    score_file.read(path)
  path = tmp_path / 'objects.npz'
  np.savez(path, format=np.array([{}], object))
  with pytest.raises(errors.UserError, match='damaged score file'):
    score_file.read(path)


def test_other_npz_files_and_missing_fields(tmp_path):
  path = tmp_path / 'x.npz'
  np.savez(path, a=1)
  with pytest.raises(errors.UserError, match='but not a score file'):
    score_file.read(path)
  np.savez(path, format='skeljax-scores-1')
  with pytest.raises(errors.UserError, match="missing or damaged \\('ids"):
    score_file.read(path)


@pytest.mark.parametrize(
  'change, words',
  [
    ({'average': 'mean'}, "average is 'mean'"),
    ({'ids': ('a', 'b')}, 'there are 2 ids and 2 class names'),
    ({'labels': np.array([0, 1, 2])}, "sample 'ü' has label 2"),
    ({'labels': np.array([0.0, 1, 1])}, 'labels are float64'),
    ({'scores': np.full((3, 2), np.nan)}, "sample 'a' has scores"),
    (
      {'ids': (), 'scores': np.ones((0, 2)), 'labels': np.ones(0, int)},
      'has no samples',
    ),
  ],
)
def test_contradictions_are_not_written(tmp_path, score_set, change, words):
  with pytest.raises(errors.UserError, match=words):
    score_file.write(
      tmp_path / 'bone.npz', dataclasses.replace(score_set, **change)
    )
  assert not list(tmp_path.iterdir())
