"""The split names of published annotation files, and what chooses them."""

import pickle

import numpy as np
import pytest

from skeljax import errors
from skeljax import readers
from skeljax.readers import annotation_pickle

# Data set -> its splits, and --protocol -> (training, validation).
PUBLISHED = {
  'ntu60': (
    ('xsub_train', 'xsub_val', 'xview_train', 'xview_val'),
    {
      'xsub': ('xsub_train', 'xsub_val'),
      'xview': ('xview_train', 'xview_val'),
    },
  ),
  'ntu120': (
    ('xsub_train', 'xsub_val', 'xset_train', 'xset_val'),
    {'xsub': ('xsub_train', 'xsub_val'), 'xset': ('xset_train', 'xset_val')},
  ),
  'gym': (('train', 'val'), {'': ('train', 'val')}),
  'kinetics400': (('train', 'val'), {'': ('train', 'val')}),
  'diving48': (('train', 'test'), {'': ('train', 'test')}),
  'ucf101 and hmdb51': (
    ('train1', 'train2', 'train3', 'test1', 'test2', 'test3'),
    {
      '1': ('train1', 'test1'),
      'split1': ('train1', 'test1'),
      'split2': ('train2', 'test2'),
      '3': ('train3', 'test3'),
    },
  ),
}
DATASETS = tuple(PUBLISHED)


def write(path, splits):
  """A clip in each split."""
  annotations = [
    dict(
      frame_dir=f'clip of {split}',
      label=0,
      total_frames=2,
      img_shape=(100, 200),
      original_shape=(100, 200),
      keypoint=np.ones((1, 2, 17, 2), np.float16),
      keypoint_score=np.ones((1, 2, 17), np.float16),
    )
    for split in splits
  ]
  content = dict(
    split={split: [f'clip of {split}'] for split in splits},
    annotations=annotations,
  )
  path.write_bytes(pickle.dumps(content))
  return annotation_pickle.read_dataset(path)


@pytest.mark.parametrize('dataset', DATASETS)
def test_published_splits_are_chosen_by_protocol(dataset, tmp_path):
  splits, protocols = PUBLISHED[dataset]
  found = write(tmp_path / 'a.pkl', splits)
  for protocol, pair in protocols.items():
    train, val = readers.protocol_splits(found, protocol)
    assert [found.ids[p] for p in (*train, *val)] == [
      f'clip of {split}' for split in pair
    ]


@pytest.mark.parametrize('dataset', DATASETS)
def test_no_protocol_will_do_where_there_is_only_one(dataset, tmp_path):
  splits, protocols = PUBLISHED[dataset]
  found = write(tmp_path / 'a.pkl', splits)
  if set(protocols) == {''}:
    assert readers.find_protocol(found, '') == splits
    return
  with pytest.raises(errors.UserError, match='Choose --protocol=') as caught:
    readers.find_protocol(found, '')
  named = [p for p in protocols if not p.startswith('split')]
  assert all(f'--protocol={p}' in str(caught.value) for p in named)
