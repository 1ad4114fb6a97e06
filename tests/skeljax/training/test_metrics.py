"""Accuracies against values computed by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skeljax.training import metrics

# Labels 0 0 1 2, predictions 0 1 1 3: class 3 is predicted but has no sample,
# class 4 does not occur.
SCORES = np.array(
  [
    [5, 1, 2, 3, 4],
    [4, 5, 3, 2, 1],
    [1, 5, 2, 3, 4],
    [3, 4, 2, 5, 1],
  ],
  np.float32,
)
LABELS = np.array([0, 0, 1, 2])


@pytest.mark.parametrize(
  'k, expected', [(1, 0.5), (2, 0.75), (3, 0.75), (4, 1.0), (9, 1.0)]
)
def test_top_k(k, expected):
  assert metrics.top_k_accuracy(SCORES, LABELS, k) == expected


def test_mean_class_counts_predicted_but_absent_classes_as_zero():
  # Recalls: 1/2, 1, 0 and, for the absent class 3, 0.
  assert metrics.mean_class_accuracy(SCORES, LABELS) == pytest.approx(1.5 / 4)


def test_mean_class_ignores_classes_that_do_not_occur():
  assert metrics.mean_class_accuracy(np.eye(9)[:2], np.array([0, 1])) == 1.0


def test_confusion_matrix_and_recall_per_class():
  confusion = metrics.confusion_matrix(
    np.argmax(SCORES, axis=1), LABELS, num_classes=5
  )
  expected = np.zeros((5, 5), int)
  expected[0, 0] = expected[0, 1] = expected[1, 1] = expected[2, 3] = 1
  np.testing.assert_array_equal(confusion, expected)
  np.testing.assert_array_equal(
    metrics.per_class_accuracy(confusion), [0.5, 1, 0, np.nan, np.nan]
  )


def test_average_clips():
  logits = np.array([[[0.0, np.log(3)], [1000.0, 0.0]]], np.float32)
  prob = metrics.average_clips(logits, 'prob')
  np.testing.assert_allclose(prob, [[0.625, 0.375]], rtol=1e-6)
  score = metrics.average_clips(logits, 'score')
  np.testing.assert_allclose(score, [[500.0, np.log(3) / 2]], rtol=1e-6)
  with pytest.raises(ValueError, match="'prob' or 'score', not 'mean'"):
    metrics.average_clips(logits, 'mean')


def test_sums_add_up_to_the_whole_and_skip_padding():
  logits = np.random.RandomState(1).randn(12, 7).astype(np.float32)
  labels = np.arange(12) % 7
  loss = np.arange(12, dtype=np.float32)
  mask = np.ones(12, np.float32)
  mask[9:] = 0
  loss[9:] = np.nan
  step_sums = jax.jit(metrics.step_sums)
  parts = [
    step_sums(logits[s], labels[s], loss[s], mask[s])
    for s in (slice(0, 6), slice(6, 12))
  ]
  summary = metrics.summarize(jax.tree.map(lambda a, b: a + b, *parts))
  assert summary['loss'] == pytest.approx(4.0)
  for name, k in (('top1', 1), ('top5', 5)):
    expected = metrics.top_k_accuracy(logits[:9], labels[:9], k)
    assert summary[name] == pytest.approx(expected)


def test_top5_of_fewer_than_five_classes():
  sums = metrics.step_sums(
    jnp.eye(3), jnp.array([0, 1, 0]), jnp.zeros(3), jnp.ones(3)
  )
  assert metrics.summarize(sums)['top5'] == 1.0
  assert metrics.summarize(sums)['top1'] == pytest.approx(2 / 3)


def test_mean_of_no_samples_is_nan():
  sums = metrics.step_sums(
    jnp.eye(2), jnp.zeros(2, int), jnp.ones(2), jnp.zeros(2)
  )
  assert np.isnan(metrics.summarize(sums)['top1'])


def test_accuracies_names():
  assert metrics.accuracies(SCORES, LABELS) == {
    'top1': 0.5,
    'top5': 1.0,
    'mean_class': 0.375,
  }
