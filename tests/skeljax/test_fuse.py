"""Fusion by sample id, its errors, and the command."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest

from skeljax import errors
from skeljax import fuse
from skeljax import score_file

IDS = tuple(f'S{i:03d}' for i in range(8))
LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1])


def _scores(ids, seed, /, **fields):
  rows = [IDS.index(i) for i in ids]
  values = np.random.RandomState(seed).rand(len(IDS), 3).astype(np.float32)
  return score_file.ScoreSet(
    **{
      'ids': tuple(ids),
      'scores': values[rows],
      'labels': LABELS[rows],
      'class_names': ('sit', 'stand', 'wave'),
      'average': 'prob',
    }
    | fields
  )


def test_samples_are_joined_by_id_in_any_order():
  joint, bone = _scores(IDS, 0), _scores(IDS, 1)
  shuffled = _scores(IDS[::-1], 1)
  fused, aligned = fuse.fuse({'joint': joint, 'bone': shuffled}, [2.0, 0.5])
  expected = 2 * joint.scores + 0.5 * bone.scores
  np.testing.assert_allclose(fused.scores, expected, rtol=1e-6)
  np.testing.assert_array_equal(aligned['bone'].scores, bone.scores)
  assert fused.ids == IDS
  assert fused.meta['fused'][1]['weight'] == 0.5


def test_different_samples_are_an_error_with_counts_and_examples():
  sets = {'j.npz': _scores(IDS[:6], 0), 'b.npz': _scores(IDS[4:5], 1)}
  with pytest.raises(errors.UserError) as caught:
    fuse.fuse(sets, [1, 1])
  assert str(caught.value).startswith(
    'j.npz and b.npz contain different samples: 5 only in j.npz (S000, S001,'
    ' S002, ...). Evaluate both'
  )
  sets['b.npz'] = _scores(IDS[5:], 1)
  with pytest.raises(errors.UserError, match='and 2 only in b.npz'):
    fuse.fuse(sets, [1, 1])


def test_intersect_keeps_the_samples_in_every_file():
  sets = {
    'j.npz': _scores(IDS[:6], 0),
    'b.npz': _scores(IDS[4:], 1),
    'm.npz': _scores(IDS, 2),
  }
  fused, aligned = fuse.fuse(sets, [1, 1, 1], intersect=True)
  assert fused.ids == ('S004', 'S005')
  np.testing.assert_array_equal(fused.labels, LABELS[4:6])
  assert all(s.ids == fused.ids for s in aligned.values())
  sets['m.npz'] = _scores(IDS[:2], 2)
  with pytest.raises(errors.UserError, match='No sample is in all of'):
    fuse.fuse(sets, [1, 1, 1], intersect=True)


@pytest.mark.parametrize(
  'fields, words',
  [
    ({'class_names': ('sit', 'stand', 'fall')}, "class 2 is 'wave' and 'fall'"),
    (
      {'class_names': ('sit', 'stand', 'wave', 'x'), 'scores': np.ones((8, 4))},
      '3 and 4 classes',
    ),
    ({'average': 'score'}, r'j contains probabilities \(prob\), b logits'),
    (
      {'labels': LABELS[::-1]},
      r'labels for 6 samples \(S000: 0/1, S001: 1/0, ',
    ),
    ({'ids': IDS[:7] + IDS[:1]}, r'b: 1 sample ids occur more than once'),
  ],
)
def test_incompatible_files_are_an_error(fields, words):
  with pytest.raises(errors.UserError, match=words):
    fuse.fuse({'j': _scores(IDS, 0), 'b': _scores(IDS, 1, **fields)}, [1, 1])


@pytest.mark.parametrize(
  'weights, words',
  [
    ([1.0], '1 numbers for 2 score files'),
    ([1.0, float('nan')], 'expected finite'),
    ([0.0, 0.0], 'not all 0'),
  ],
)
def test_weights(weights, words):
  with pytest.raises(errors.UserError, match=words):
    fuse.fuse({'j': _scores(IDS, 0), 'b': _scores(IDS, 1)}, weights)


def test_the_table_is_in_percent():
  right = _scores(IDS, 0, scores=np.eye(3, dtype=np.float32)[LABELS])
  wrong = dataclasses.replace(right, scores=1 - right.scores)
  fused, aligned = fuse.fuse({'right': right, 'wrong': wrong}, [2, 1])
  assert fuse.table(fused, aligned, [2, 1]).splitlines() == [
    'scores  weight   top-1   top-5  mean class',
    'right        2  100.00  100.00      100.00',
    'wrong        1    0.00  100.00        0.00',
    'fused           100.00  100.00      100.00',
  ]


def _command(folder, *arguments):
  root = os.path.dirname(os.path.dirname(fuse.__file__))
  return subprocess.run(
    [sys.executable, '-m', 'skeljax.fuse', *arguments],
    cwd=folder,
    env=os.environ | {'PYTHONPATH': root},
    capture_output=True,
    text=True,
  )


def test_command(tmp_path):
  score_file.write(tmp_path / 'joint.npz', _scores(IDS, 0))
  score_file.write(tmp_path / 'bone.npz', _scores(IDS[::-1], 1))
  done = _command(
    tmp_path, 'joint.npz', 'bone.npz', '--weights=2,1', '--output=sum.npz'
  )
  assert done.returncode == 0, done.stderr
  assert [line.split()[0] for line in done.stdout.splitlines()] == [
    *('scores', 'joint.npz', 'bone.npz', 'fused', '8', 'wrote'),
  ]
  assert score_file.read(tmp_path / 'sum.npz').ids == IDS

  failed = _command(tmp_path, 'joint.npz', 'bone.npz', '--weights=1,one')
  assert failed.returncode == 2
  assert failed.stderr.startswith('error: --weights=1,one: expected numbers')
