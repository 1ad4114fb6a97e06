"""Splits that data_prep makes: fair, reproducible, and free of leaks."""

import itertools

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

from data_prep import splits
from skeljax import errors

_RATIOS = st.floats(0.05, 0.6)
_LABELS = st.lists(st.integers(0, 4), min_size=2, max_size=60).map(
  lambda labels: {f'clip{i:02d}': label for i, label in enumerate(labels)}
)
_settings = hypothesis.settings(max_examples=30, deadline=None)


def _shuffled(mapping, seed):
  keys = list(mapping)
  np.random.default_rng(seed).shuffle(keys)
  return {key: mapping[key] for key in keys}


def _sizes(names, labels):
  return np.bincount([labels[name] for name in names], minlength=5)


@_settings
@hypothesis.given(_LABELS, _RATIOS, st.integers(0, 9))
def test_each_class_with_two_clips_is_on_both_sides(labels, ratio, seed):
  chosen = splits.by_label(labels, ratio, seed)

  all_clips, val = _sizes(labels, labels), _sizes(chosen, labels)
  assert (val[all_clips >= 2] >= 1).all()
  assert (val[all_clips >= 2] < all_clips[all_clips >= 2]).all()
  assert (val[all_clips < 2] == 0).all()


@_settings
@hypothesis.given(_LABELS, _RATIOS, st.integers(0, 9))
def test_a_class_gives_its_part_to_less_than_a_clip(labels, ratio, seed):
  chosen = splits.by_label(labels, ratio, seed)

  all_clips, val = _sizes(labels, labels), _sizes(chosen, labels)
  wanted = np.clip(all_clips * ratio, 1, np.maximum(all_clips - 1, 0))
  assert (np.abs(val - wanted)[all_clips >= 2] < 1 + 1e-9).all()


@_settings
@hypothesis.given(_LABELS, _RATIOS, st.integers(0, 9))
def test_the_order_of_the_clips_does_not_matter(labels, ratio, seed):
  subjects = {clip: f'anna{int(clip[4:]) % 5}' for clip in labels}
  shuffled = _shuffled(labels, seed)

  assert splits.by_label(shuffled, ratio, seed) == splits.by_label(
    labels, ratio, seed
  )
  if len(set(subjects.values())) > 1:
    assert splits.by_subject(
      shuffled, _shuffled(subjects, seed + 1), ratio, seed
    ) == splits.by_subject(labels, subjects, ratio, seed)


def test_by_label_the_ratio_holds_over_all_classes():
  # 3 x 7 clips at 0.2 are 4.2 clips; each class alone would give 1.4.
  labels = {f'{label}-{i}': label for label in range(3) for i in range(7)}

  chosen = splits.by_label(labels, 0.2, seed=0)

  assert len(chosen) == 4
  assert sorted(_sizes(chosen, labels)[:3]) == [1, 1, 2]


def test_another_seed_chooses_other_clips():
  labels = {f'clip{i}': i % 2 for i in range(40)}
  assert splits.by_label(labels, 0.2, 0) == splits.by_label(labels, 0.2, 0)
  assert splits.by_label(labels, 0.2, 0) != splits.by_label(labels, 0.2, 1)


@st.composite
def _people(draw):
  """Clips of one to six subjects."""
  count = draw(st.integers(2, 6))
  rows = draw(
    st.lists(
      st.tuples(st.integers(0, count - 1), st.integers(0, 3)),
      min_size=4,
      max_size=40,
    )
  )
  labels = {f'clip{i:02d}': label for i, (_, label) in enumerate(rows)}
  subjects = {f'clip{i:02d}': f'p{who}' for i, (who, _) in enumerate(rows)}
  hypothesis.assume(len(set(subjects.values())) > 1)
  return labels, subjects


@_settings
@hypothesis.given(_people(), _RATIOS, st.integers(0, 9))
def test_no_subject_is_on_both_sides(people, ratio, seed):
  labels, subjects = people
  chosen = splits.by_subject(labels, subjects, ratio, seed)

  val = {subjects[clip] for clip in chosen}
  train = {subjects[clip] for clip in set(labels) - chosen}
  assert val and train and not val & train


def _possible(labels, subjects):
  """Clips in validation and classes lost from training, of every split."""
  names = sorted(set(subjects.values()))
  for size in range(1, len(names)):
    for val in itertools.combinations(names, size):
      chosen = {clip for clip in labels if subjects[clip] in val}
      rest = {labels[clip] for clip in set(labels) - chosen}
      yield len(chosen), len(set(labels.values()) - rest)


@_settings
@hypothesis.given(_people(), _RATIOS)
def test_a_class_stays_in_training_wherever_it_can(people, ratio):
  labels, subjects = people
  chosen = splits.by_subject(labels, subjects, ratio, 0)

  kept = {labels[clip] for clip in set(labels) - chosen}
  lost = len(set(labels.values()) - kept)
  assert lost == min(lost for _, lost in _possible(labels, subjects))


@_settings
@hypothesis.given(_people(), _RATIOS)
def test_where_no_class_can_be_lost_the_nearest_subjects_are_found(
  people, ratio
):
  _, subjects = people
  labels = dict.fromkeys(subjects, 0)
  chosen = splits.by_subject(labels, subjects, ratio, 0)

  target = len(labels) * ratio
  best = min(abs(n - target) for n, _ in _possible(labels, subjects))
  assert abs(len(chosen) - target) == pytest.approx(best)


def test_who_alone_shows_a_class_is_trained_on():
  subjects = {f'clip{i}': 'abcde'[i % 5] for i in range(50)}
  labels = dict.fromkeys(subjects, 0)
  labels['clip0'] = 1  # Subject a; all are of the same size.

  for seed in range(8):
    chosen = splits.by_subject(labels, subjects, 0.2, seed)
    assert len(chosen) == 10
    assert 'clip0' not in chosen


def test_hundreds_of_subjects_are_quick_and_near():
  rng = np.random.default_rng(0)
  subjects = {f'clip{i}': f'p{rng.integers(400)}' for i in range(5000)}
  labels = {clip: int(rng.integers(60)) for clip in subjects}

  chosen = splits.by_subject(labels, subjects, 0.2, 0)

  assert len(chosen) == 1000
  assert {labels[clip] for clip in chosen} == set(range(60))


def test_one_subject_cannot_be_split():
  with pytest.raises(errors.UserError, match="one subject, 'anna'"):
    splits.by_subject({'a': 0, 'b': 1}, {'a': 'anna', 'b': 'anna'}, 0.2, 0)
