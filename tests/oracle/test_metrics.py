"""Accuracies, clip averages and stream fusion against mmaction2."""

import jax.numpy as jnp
from mmaction import evaluation
from mmaction import structures
from mmaction.evaluation import metrics as published
from mmaction.models import heads
import numpy as np
import pytest
import torch

from skeljax import fuse
from skeljax import score_file
from skeljax.training import metrics

NUM_DRAWN = 40


def draw_scores(rng):
  """Draw scores and labels, with ties and classes without samples."""
  num_classes = int(rng.choice([2, 3, 6, 10, 60]))
  count = int(rng.choice([1, 2, 7, 50]))
  scores = rng.randn(count, num_classes)
  if rng.rand() < 0.5:
    scores = np.round(scores)  # Ties, and classes that are never predicted.
  # Labels of a few classes only, or of one.
  present = rng.permutation(num_classes)[: rng.randint(1, num_classes + 1)]
  labels = rng.choice(present, count)
  dtype = rng.choice([np.float32, np.float64])
  return scores.astype(dtype), labels


def test_accuracies_are_equal(oracle_seed):
  rng = np.random.RandomState(oracle_seed % 2**32)
  for i in range(NUM_DRAWN):
    scores, labels = draw_scores(rng)
    expected = published.AccMetric().calculate(list(scores), list(labels))
    actual = metrics.accuracies(scores, labels)
    message = f'seed {oracle_seed}, draw {i}: {scores.shape}, labels {labels}'
    assert actual['top1'] == expected['top1'], message
    assert actual['top5'] == expected['top5'], message
    assert actual['mean_class'] == pytest.approx(
      expected['mean1'], rel=1e-12
    ), message
    for k in (2, 3, 100):
      (of_k,) = evaluation.top_k_accuracy(list(scores), list(labels), (k,))
      assert metrics.top_k_accuracy(scores, labels, k) == of_k, message


def test_confusion_matrices_are_equal(
  oracle_seed,
):
  rng = np.random.RandomState(oracle_seed % 2**32)
  for _ in range(NUM_DRAWN):
    scores, labels = draw_scores(rng)
    predictions = scores.argmax(1)
    ours = metrics.confusion_matrix(predictions, labels, scores.shape[1])
    # mmaction2 leaves out classes that do not occur.
    seen = np.union1d(predictions, labels)
    np.testing.assert_array_equal(
      ours[np.ix_(seen, seen)],
      evaluation.confusion_matrix(predictions, labels.astype(np.int64)),
    )
    assert ours.sum() == len(labels)
    by_class = evaluation.confusion_matrix(
      predictions, labels.astype(np.int64), normalize='true'
    )
    np.testing.assert_allclose(
      np.nan_to_num(metrics.per_class_accuracy(ours))[seen], np.diag(by_class)
    )


def make_samples(labels):
  return [
    structures.ActionDataSample().set_gt_label(int(label)) for label in labels
  ]


def test_accuracies_of_a_training_step_are_equal(oracle_seed):
  """Without ties, which torch and XLA may sort differently."""
  rng = np.random.RandomState(oracle_seed % 2**32)
  for num_classes in (3, 60):
    head = heads.GCNHead(num_classes, 8)
    for _ in range(10):
      logits = rng.randn(16, num_classes).astype(np.float32)
      labels = rng.randint(num_classes, size=16)
      expected = head.loss_by_feat(torch.tensor(logits), make_samples(labels))
      summary = metrics.summarize(
        metrics.step_sums(
          jnp.asarray(logits), jnp.asarray(labels), jnp.zeros(16), jnp.ones(16)
        )
      )
      assert summary['top1'] == pytest.approx(expected['top1_acc'].item())
      assert summary['top5'] == pytest.approx(expected['top5_acc'].item())


@pytest.mark.parametrize('average', ['prob', 'score'])
def test_averages_over_clips_are_equal(average, oracle_seed, record_difference):
  rng = np.random.RandomState(oracle_seed % 2**32)
  head = heads.GCNHead(13, 8, average_clips=average)
  for num_clips, size in ((1, 1.0), (10, 5.0), (10, 1e4), (20, 30.0)):
    logits = (rng.randn(6, num_clips, 13) * size).astype(np.float32)
    samples = head.predict_by_feat(
      torch.tensor(logits.reshape(-1, 13)), make_samples([0] * 6)
    )
    expected = np.stack([s.pred_score.numpy() for s in samples])
    averaged = np.asarray(metrics.average_clips(logits, average))
    difference = np.abs(averaged - expected).max() / np.abs(expected).max()
    record_difference('metrics', 'clip average', difference)
    assert difference < 1e-6, f'seed {oracle_seed}, {num_clips}, {size}'
    np.testing.assert_array_equal(
      averaged.argmax(1), [s.pred_label.item() for s in samples]
    )


def score_sets(scores, labels):
  ids = tuple(f'clip {i}' for i in range(len(labels)))
  names = tuple(f'class {i}' for i in range(scores[0].shape[1]))
  return {
    f'stream {i}': score_file.ScoreSet(ids, s, labels, names, 'prob')
    for i, s in enumerate(scores)
  }


@pytest.mark.parametrize(
  'weights', [(1, 1), (2, 1, 2, 1), (0.5, 0.3, 0.2)], ids=str
)
def test_fused_streams_are_equal(weights, oracle_seed, record_difference):
  rng = np.random.RandomState(oracle_seed % 2**32)
  labels = rng.randint(20, size=300)
  means = np.eye(20)[labels][:, None]
  scores = [
    np.asarray(metrics.average_clips(rng.randn(300, 5, 20) + means, 'prob'))
    for _ in weights
  ]
  # As in its tool report_accuracy.py.
  expected = evaluation.get_weighted_score(
    [list(s) for s in scores], list(weights)
  )
  top1, top5 = evaluation.top_k_accuracy(expected, list(labels), (1, 5))
  fused, _ = fuse.fuse(score_sets(scores, labels), weights)
  difference = np.abs(fused.scores - expected).max() / np.abs(expected).max()
  record_difference('metrics', 'fusion', difference)
  assert difference < 1e-6
  fused_accuracies = metrics.accuracies(fused.scores, fused.labels)
  assert (fused_accuracies['top1'], fused_accuracies['top5']) == (top1, top5)
  assert fused_accuracies['mean_class'] == pytest.approx(
    evaluation.mean_class_accuracy(expected, list(labels))
  )
