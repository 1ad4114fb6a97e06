"""The published splits of NTU RGB+D, and the lists of samples to leave out."""

import pytest

from skeljax import errors
from skeljax.readers import ntu_splits

# Clips that remain of NTU RGB+D and NTU RGB+D 120 without the samples of the
# official lists, by subject, camera or setup, counted in the names that
# CTR-GCN distributes.
SUBJECTS_60 = (
  '2150 1074 1439 718 356 358 5730 5731 720 715 357 360 1080 359 4667 '
  '3939 4299 2508 4307 713 1079 358 356 358 3563 354 1776 1430 359 360 '
  '352 358 357 351 351 360 1440 360 718 358'
)
CAMERAS_60 = '18932 18847 18799'
SUBJECTS_120 = (
  '2150 1074 1439 718 356 1438 5730 9329 720 715 1077 360 1080 359 4667 '
  '3939 4299 2508 4307 713 1079 358 356 358 3563 354 1776 1430 359 360 '
  '352 358 357 351 351 360 1440 360 718 358 3593 1429 2872 2866 360 701 '
  '360 1427 1078 720 1422 360 360 359 1072 1079 1076 1078 1071 1080 1076 '
  '1078 1071 1077 1077 1080 2502 720 359 719 360 360 359 714 1078 720 360 '
  '360 356 717 720 701 360 358 1080 357 355 718 354 357 345 360 360 360 '
  '360 720 358 360 360 360 360 360 360 360 360 360'
)
SETUPS_120 = (
  '2872 3234 3234 1432 2866 3577 4288 4971 2510 3589 4662 3941 3947 3229 '
  '2854 2503 2869 2160 3224 2513 2144 2506 5032 2511 2517 5032 5384 3214 '
  '5343 6462 5731 3594'
)


@pytest.mark.parametrize(
  'protocol, field, counts, num_train, num_val',
  [
    ('ntu60_xsub', 'subject', SUBJECTS_60, 40_091, 16_487),
    ('ntu60_xview', 'camera', CAMERAS_60, 37_646, 18_932),
    ('ntu120_xsub', 'subject', SUBJECTS_120, 63_026, 50_919),
    ('ntu120_xset', 'setup', SETUPS_120, 54_468, 59_477),
  ],
)
def test_splits_have_the_published_sizes(
  protocol, field, counts, num_train, num_val
):
  counts = [int(count) for count in counts.split()]
  anybody = dict(setup=1, camera=1, subject=1, replication=1)
  action = 61 if protocol.startswith('ntu120') else 1
  names = [
    ntu_splits.Name(**anybody | {field: number}, action=action)
    for number, _ in enumerate(counts, start=1)
  ]
  splits = ntu_splits.splits(names)
  for split, size in (('train', num_train), ('val', num_val)):
    positions = splits[f'{protocol}_{split}']
    assert sum(counts[position] for position in positions) == size


def test_published_numbers_of_training_subjects():
  names = [ntu_splits.Name(1, 1, subject, 1, 61) for subject in range(1, 107)]
  splits = ntu_splits.splits(names)
  assert len(splits['ntu120_xsub_train']) == 53
  assert 'ntu60_xsub_train' not in splits
  first = [ntu_splits.Name(1, 1, subject, 1, 1) for subject in range(1, 41)]
  assert len(ntu_splits.splits(first)['ntu60_xsub_train']) == 20


def test_a_list_that_names_nothing_is_an_error(tmp_path):
  listing = tmp_path / 'missing.txt'
  with pytest.raises(errors.UserError, match='missing.txt cannot be read'):
    ntu_splits.load_exclude_list(listing)
  listing.write_text('<html>Not found</html>')
  with pytest.raises(errors.UserError, match='contains no name'):
    ntu_splits.load_exclude_list(listing)
