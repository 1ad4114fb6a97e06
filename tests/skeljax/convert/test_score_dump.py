"""Score dumps without torch; tests/oracle has the other tests."""

import pickle
import sys

import numpy as np
import pytest

from skeljax import errors
from skeljax import score_file
from skeljax.convert import score_dump
from skeljax.datasets import prepared


@pytest.fixture
def source(tiny_root):
  return score_dump.source_of(prepared.open_dataset(tiny_root, 'tiny'), 'val')


def test_source_is_the_split_in_annotation_order(source):
  # conftest.py writes 22 training clips, then nine.
  assert source.name == 'tiny, split val'
  assert source.ids == tuple(f'clip{i:03d}' for i in range(22, 31))
  assert source.labels == tuple(i % 3 for i in range(22, 31))
  assert len(source.class_names) == 3


def test_score_vectors_of_0x_get_ids_and_labels(source, tmp_path):
  scores = np.random.RandomState(0).randn(9, 3).astype(np.float32)
  path = tmp_path / 'result.pkl'
  path.write_bytes(pickle.dumps(list(scores)))
  score_set = score_dump.read(path, source)
  np.testing.assert_array_equal(score_set.scores, scores)
  np.testing.assert_array_equal(score_set.labels, source.labels)
  assert score_set.ids == source.ids and score_set.average == 'score'
  # It can be written as a score file.
  score_file.write(tmp_path / 'scores.npz', score_set)
  again = score_file.read(tmp_path / 'scores.npz')
  assert again.meta == {'dump': 'result.pkl'}


@pytest.mark.parametrize(
  'rows, average',
  [
    ([[0.2, 0.3, 0.5]] * 9, 'prob'),
    ([[0.2, 0.3, 0.5]] * 8 + [[0.2, 0.3, 0.6]], 'score'),
    ([[-0.2, 0.7, 0.5]] * 9, 'score'),
  ],
)
def test_probabilities_are_recognized(rows, average, source, tmp_path):
  path = tmp_path / 'result.pkl'
  path.write_bytes(pickle.dumps(list(np.float32(rows))))
  assert score_dump.read(path, source).average == average


def test_without_torch_the_error_names_the_package(
  source, tmp_path, monkeypatch
):
  monkeypatch.setitem(sys.modules, 'torch', None)
  score_set = score_file.ScoreSet(
    source.ids, np.ones((9, 3)), source.labels, source.class_names, 'score'
  )
  with pytest.raises(errors.UserError, match=r'skeljax\[torch\]'):
    score_dump.write(tmp_path / 'dump.pkl', score_set)
  assert not list(tmp_path.iterdir())
