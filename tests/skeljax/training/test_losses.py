"""Losses against numpy and published values, the mask, and the options."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skeljax import errors
from skeljax.training import losses

_RNG = np.random.RandomState(0)
LOGITS = _RNG.randn(6, 4).astype(np.float32) * 3
LABELS = np.array([0, 3, 1, 1, 2, 0])
WEIGHT = (0.5, 2.0, 1.0, 3.0)


def _log_softmax(logits):
  return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def test_cross_entropy_of_hard_labels_is_minus_log_softmax():
  expected = -_log_softmax(LOGITS)[np.arange(6), LABELS]
  loss, weight = losses.cross_entropy(jnp.asarray(LOGITS), jnp.asarray(LABELS))
  np.testing.assert_allclose(loss, expected, rtol=1e-5)
  np.testing.assert_array_equal(weight, np.ones(6))


def test_smoothed_cross_entropy_is_the_soft_label_loss():
  target = 0.9 * np.eye(4)[LABELS] + 0.1 / 4
  expected = -(target * _log_softmax(LOGITS)).sum(axis=1)
  loss, _ = losses.cross_entropy(
    jnp.asarray(LOGITS), jnp.asarray(LABELS), label_smoothing=0.1
  )
  np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_weighted_mean_divides_by_the_target_weights():
  target = 0.8 * np.eye(4)[LABELS] + 0.2 / 4
  weighted = target * np.asarray(WEIGHT)
  expected = -(weighted * _log_softmax(LOGITS)).sum() / weighted.sum()
  loss, weight = losses.cross_entropy(
    jnp.asarray(LOGITS),
    jnp.asarray(LABELS),
    label_smoothing=0.2,
    class_weight=WEIGHT,
  )
  mean = losses.mean_loss(loss, jnp.ones(6), weight)
  np.testing.assert_allclose(mean, expected, rtol=1e-5)


def test_padding_is_ignored_in_sum_and_divisor():
  mask = jnp.asarray([1.0, 1, 0, 1, 0, 0])
  per_sample = jnp.asarray([1.0, 2, jnp.inf, 6, jnp.nan, 9])
  assert losses.mean_loss(per_sample, mask) == 3.0
  assert losses.mean_loss(per_sample, jnp.zeros(6)) == 0.0


def test_loss_of_bfloat16_logits_is_float32():
  logits = jnp.asarray(LOGITS, jnp.bfloat16)
  loss, _ = losses.cross_entropy(logits, jnp.asarray(LABELS))
  assert loss.dtype == jnp.float32


def test_gradient_is_softmax_minus_onehot():
  labels = jnp.asarray(LABELS)

  def mean(logits):
    loss, _ = losses.cross_entropy(logits, labels)
    return losses.mean_loss(loss, jnp.ones(6))

  expected = (np.exp(_log_softmax(LOGITS)) - np.eye(4)[LABELS]) / 6
  gradient = jax.grad(mean)(jnp.asarray(LOGITS))
  np.testing.assert_allclose(gradient, expected, atol=1e-6)


# Training clips per class of BABEL-60, from the published configuration.
BABEL60 = tuple(
  int(n)
  for n in """518 1993 6260 508 208 3006 431 724 4527 2131 199 1255 487 302 136
  571 267 646 1180 405 731 842 1619 271 1198 1012 865 462 526 405 487 168 271
  609 503 167 415 421 283 2069 715 196 989 122 599 396 245 380 236 260 325 133
  206 191 394 145 277 268 172 146""".split()
)


def _focal(logits, labels, samples, beta=0.9999, gamma=2.0):
  """Return the class-balanced focal loss in float64."""
  weight = (1 - beta) / (1 - beta ** np.asarray(samples, np.float64))
  weight *= len(weight) / weight.sum()
  is_label = np.eye(len(samples), dtype=bool)[labels]
  margin = np.where(is_label, logits, -logits).astype(np.float64)
  minus_log_p = np.logaddexp(0, -margin)
  terms = (1 - np.exp(-minus_log_p)) ** gamma * minus_log_p
  return weight[labels] * terms.sum(-1)


def test_balanced_focal_has_the_published_value():
  assert len(BABEL60) == 60 and sum(BABEL60) == 45473
  logits = jnp.linspace(-2, 3, 120).reshape(2, 60)
  per_sample = losses.class_balanced_focal(
    logits, jnp.array([3, 41]), samples_per_class=BABEL60
  )
  assert per_sample.shape == (2,) and per_sample.dtype == jnp.float32
  loss = losses.mean_loss(per_sample, jnp.ones(2))
  assert float(loss) == pytest.approx(76.91005, rel=1e-6)


def test_balanced_focal_weights_rare_classes_more():
  # With equal logits, losses differ only by the weight of the class.
  labels = jnp.array([0, 1, 2, 3, 4])
  loss = losses.class_balanced_focal(
    jnp.zeros((5, 60)), labels, samples_per_class=BABEL60
  )
  published = [0.67018288, 0.18723049, 0.07271443, 0.68303676, 1.64349575]
  np.testing.assert_allclose(
    loss, np.array(published) * 60 * 0.25 * np.log(2), rtol=1e-6
  )
  unweighted = losses.class_balanced_focal(
    jnp.zeros((5, 60)), labels, samples_per_class=BABEL60, beta=0.0
  )
  np.testing.assert_allclose(unweighted, 60 * 0.25 * np.log(2), rtol=1e-6)


@pytest.mark.parametrize('gamma', [0.0, 0.5, 2.0])
def test_balanced_focal_equals_its_formula(gamma):
  samples = (3, 500, 20, 7)
  loss = losses.class_balanced_focal(
    jnp.asarray(LOGITS),
    jnp.asarray(LABELS),
    samples_per_class=samples,
    gamma=gamma,
  )
  expected = _focal(LOGITS, LABELS, samples, gamma=gamma)
  np.testing.assert_allclose(loss, expected, rtol=1e-5)


@pytest.mark.parametrize('size', [80.0, 100.0, 1e4])
def test_balanced_focal_of_huge_logits_equals_its_formula(size):
  """mmaction2 gives loss 0 and a NaN gradient for the first row."""
  logits = jnp.array([[-size, 0.0], [size, 0.0], [0.0, size], [0.0, -size]])
  labels = jnp.zeros(4, int)

  def total(logits):
    return losses.class_balanced_focal(
      logits, labels, samples_per_class=(1, 1)
    ).sum()

  rest = 0.25 * np.log(2)
  loss = losses.class_balanced_focal(logits, labels, samples_per_class=(1, 1))
  np.testing.assert_allclose(
    loss, [size + rest, rest, size + rest, rest], rtol=1e-6
  )
  gradient = np.asarray(jax.grad(total)(logits))
  np.testing.assert_allclose(
    [gradient[0, 0], gradient[1, 0], gradient[2, 1], gradient[3, 1]],
    [-1, 0, 1, 0],
    atol=1e-6,
  )
  assert np.isfinite(gradient).all()


def _mean_loss(options):
  """Return the mean loss of LOGITS."""
  loss, weight = options(jnp.asarray(LOGITS), jnp.asarray(LABELS))
  return losses.mean_loss(loss, jnp.ones(6), weight)


def test_options_select_the_loss():
  loss, _ = losses.cross_entropy(jnp.asarray(LOGITS), jnp.asarray(LABELS))
  plain = losses.mean_loss(loss, jnp.ones(6))
  assert _mean_loss(losses.LossOptions()) == plain

  target = 0.8 * np.eye(4)[LABELS] + 0.2 / 4
  weighted = target * np.asarray(WEIGHT)
  expected = -(weighted * _log_softmax(LOGITS)).sum() / weighted.sum()
  options = losses.LossOptions(label_smoothing=0.2, class_weight=WEIGHT)
  np.testing.assert_allclose(_mean_loss(options), expected, rtol=1e-5)

  options = losses.LossOptions('cb_focal', samples_per_class=(3, 500, 20, 7))
  expected = _focal(LOGITS, LABELS, options.samples_per_class).mean()
  np.testing.assert_allclose(_mean_loss(options), expected, rtol=1e-5)


def test_options_are_hashable():
  options = losses.LossOptions(class_weight=WEIGHT)
  assert hash(options) == hash(dataclasses.replace(options))


@pytest.mark.parametrize(
  'fields, words',
  [
    (
      {'name': 'focal'},
      'loss.name=focal: expected one of cross_entropy, cb_focal',
    ),
    ({'label_smoothing': 1.0}, 'optim.label_smoothing=1.0: .*less than 1'),
    ({'class_weight': (1.0, -1.0)}, 'expected a number at least 0'),
    ({'class_weight': (0.0, 0.0)}, 'expected finite numbers, not all 0'),
    ({'class_weight': (1.0, float('inf'))}, 'expected finite numbers'),
    ({'samples_per_class': (1, 2)}, 'no effect with loss.name=cross_entropy'),
    ({'name': 'cb_focal'}, 'needs loss.samples_per_class'),
    ({'name': 'cb_focal', 'samples_per_class': (3, 0)}, 'at least 1'),
    (
      {
        'name': 'cb_focal',
        'samples_per_class': (3, 1),
        'class_weight': (1.0, 1.0),
      },
      'loss.class_weight has no effect with loss.name=cb_focal',
    ),
    (
      {
        'name': 'cb_focal',
        'samples_per_class': (3, 1),
        'label_smoothing': 0.1,
      },
      'optim.label_smoothing has no effect',
    ),
    (
      {'name': 'cb_focal', 'samples_per_class': (3, 1), 'beta': 1.0},
      'loss.beta=1.0: .*less than 1',
    ),
  ],
)
def test_invalid_options_raise(fields, words):
  with pytest.raises(errors.UserError, match=words):
    losses.LossOptions(**fields)


def test_options_need_one_number_per_class():
  losses.LossOptions().check_classes(('a', 'b'), 'the dataset')
  options = losses.LossOptions(class_weight=WEIGHT)
  options.check_classes(('a', 'b', 'c', 'd'), 'the dataset')
  with pytest.raises(
    errors.UserError, match='4 numbers, but the dataset has 2'
  ):
    options.check_classes(('a', 'b'), 'the dataset')
  options = losses.LossOptions('cb_focal', samples_per_class=(3, 1))
  with pytest.raises(errors.UserError, match='loss.samples_per_class has 2'):
    options.check_classes(('a', 'b', 'c'), 'the dataset')
