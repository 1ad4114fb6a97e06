"""Losses and their gradients against mmaction2."""

import jax
import jax.numpy as jnp
from mmaction import structures
from mmaction.models import heads
from mmaction.models import losses as published
import numpy as np
import pytest
import torch

from skeljax.training import losses

TOLERANCE = 1e-5
SHAPES = [(1, 5), (7, 13), (16, 60)]
NUM_DRAWN = 10
# A thousand to one, as in BABEL.
RARE, FREQUENT = 5, 5000


def draw(rng, shape):
  """Draw logits of any size, labels, class weights and class counts."""
  num_classes = shape[1]
  logits = rng.randn(*shape) * 10 ** rng.uniform(-3, 1.2)
  return (
    logits.astype(np.float32),
    rng.randint(num_classes, size=shape[0]),
    tuple(rng.uniform(0.1, 5, num_classes).tolist()),
    tuple(rng.randint(RARE, FREQUENT, num_classes).tolist()),
  )


def adversarial(shape, size):
  """Yield equal, correct, wrong and alternating logits, with labels."""
  batch, num_classes = shape
  labels = np.arange(batch) * 3 % num_classes
  is_label = np.eye(num_classes)[labels]
  alternating = np.where(np.arange(num_classes) % 2, 1.0, -1.0)
  for logits in (
    np.zeros(shape),
    is_label - 0.5,
    0.5 - is_label,
    np.tile(alternating, (batch, 1)),
    np.where(is_label, -1, 0.0),
  ):
    yield (logits * size).astype(np.float32), labels


def ours(options, logits, labels):
  """Return loss and gradient as in a training step."""

  def mean(logits):
    loss, weight = options(logits, jnp.asarray(labels))
    return losses.mean_loss(loss, jnp.ones(len(labels)), weight)

  loss, gradient = jax.value_and_grad(mean)(jnp.asarray(logits))
  return float(loss), np.asarray(gradient)


def by_head(head, logits, labels, dtype=torch.float32):
  """Return loss and gradient as in a training step of mmaction2."""
  scores = torch.tensor(logits, dtype=dtype, requires_grad=True)
  samples = [
    structures.ActionDataSample().set_gt_label(int(label)) for label in labels
  ]
  loss = head.loss_by_feat(scores, samples)['loss_cls']
  loss.backward()
  return loss.item(), scores.grad.numpy()


def check(actual, expected, message, record, kind):
  """Compare the losses, and the gradients relative to the largest entry."""
  difference = abs(actual[0] - expected[0]) / max(abs(expected[0]), 1e-6)
  largest = max(np.abs(expected[1]).max(), 1e-6)
  of_gradient = np.abs(actual[1] - expected[1]).max() / largest
  record('losses', kind, max(difference, of_gradient))
  assert np.isfinite(actual[1]).all(), message
  assert difference < TOLERANCE and of_gradient < TOLERANCE, (
    f'{message}: loss {actual[0]} against {expected[0]}, gradients differ by'
    f' {of_gradient} of the largest entry'
  )


@pytest.mark.parametrize('smoothing', [0.0, 0.1], ids=['hard', 'smoothed'])
@pytest.mark.parametrize('weighted', [False, True], ids=['plain', 'weighted'])
@pytest.mark.parametrize('shape', SHAPES, ids=str)
def test_cross_entropy_is_equal(
  shape, weighted, smoothing, oracle_seed, record_difference
):
  rng = np.random.RandomState(oracle_seed % 2**32)
  drawn = [draw(rng, shape) for _ in range(NUM_DRAWN)]
  for size in (1.0, 90.0, 1e4):
    for logits, labels in adversarial(shape, size):
      drawn.append((logits, labels, *draw(rng, shape)[2:]))
  for i, (logits, labels, class_weight, _) in enumerate(drawn):
    class_weight = class_weight if weighted else ()
    options = losses.LossOptions(
      class_weight=class_weight, label_smoothing=smoothing
    )
    head = heads.GCNHead(
      shape[1],
      8,
      label_smooth_eps=smoothing,
      loss_cls=dict(
        type='CrossEntropyLoss', class_weight=list(class_weight) or None
      ),
    )
    check(
      ours(options, logits, labels),
      by_head(head, logits, labels),
      f'seed {oracle_seed}, draw {i}, {options}, labels {labels}',
      record_difference,
      'cross entropy',
    )


@pytest.mark.parametrize('gamma', [2.0, 0.5, 0.0])
@pytest.mark.parametrize('shape', SHAPES, ids=str)
def test_class_balanced_focal_is_equal(
  shape, gamma, oracle_seed, record_difference
):
  rng = np.random.RandomState(oracle_seed % 2**32)
  drawn = [draw(rng, shape) for _ in range(NUM_DRAWN)]
  # mmaction2 overflows beyond 88 in float32 and beyond 709 in float64. Its
  # exponent is a difference of numbers gamma times as large as the logits, so
  # its float32 rounding error exceeds 1e-5 at logits of 80. Therefore compare
  # all logits with its float64, and those below 20 with its float32.
  for size in (1.0, 80.0, 600.0):
    for logits, labels in adversarial(shape, size):
      drawn.append((logits, labels, *draw(rng, shape)[2:]))
  for i, (logits, labels, _, samples) in enumerate(drawn):
    beta = float(rng.choice([0.9999, 0.99, 0.0]))
    options = losses.LossOptions(
      'cb_focal', samples_per_class=samples, beta=beta, gamma=gamma
    )
    head = heads.GCNHead(
      shape[1],
      8,
      loss_cls=dict(
        type='CBFocalLoss',
        samples_per_cls=list(samples),
        beta=beta,
        gamma=gamma,
      ),
    )
    message = f'seed {oracle_seed}, draw {i}, {options}, labels {labels}'
    check(
      ours(options, logits, labels),
      by_head(head, logits, labels, torch.float64),
      message,
      record_difference,
      'class-balanced focal',
    )
    if np.abs(logits).max() < 20:
      check(
        ours(options, logits, labels),
        by_head(head, logits, labels),
        message + ', float32',
        record_difference,
        'class-balanced focal',
      )


def test_published_focal_loss_overflows():
  """The deviation that losses.class_balanced_focal documents."""
  oracle = published.CBFocalLoss(samples_per_cls=[1, 1])
  for size, overflows in ((80.0, False), (100.0, True)):
    scores = torch.tensor([[-size, 0.0]], requires_grad=True)
    loss = oracle(scores, torch.tensor([0]))
    loss.backward()
    options = losses.LossOptions('cb_focal', samples_per_class=(1, 1))
    value, gradient = ours(
      options, scores.detach().numpy(), np.zeros(1, np.int64)
    )
    rest = 0.25 * np.log(2)
    assert value == pytest.approx(size + rest, rel=1e-6)
    assert gradient[0, 0] == pytest.approx(-1)
    assert loss.item() == pytest.approx(
      rest if overflows else size + rest, rel=1e-4
    )
    assert torch.isnan(scores.grad).any().item() == overflows


def test_class_weights_equal_the_published_ones():
  rng = np.random.RandomState(0)
  for num_classes in (2, 13, 120):
    samples = rng.randint(1, 7000, num_classes)
    oracle = published.CBFocalLoss(samples_per_cls=samples.tolist())
    loss = losses.class_balanced_focal(
      jnp.zeros((num_classes, num_classes)),
      jnp.arange(num_classes),
      samples_per_class=samples.tolist(),
      gamma=0.0,
    )
    np.testing.assert_allclose(
      loss / (num_classes * np.log(2)), oracle.weights, rtol=1e-6
    )
