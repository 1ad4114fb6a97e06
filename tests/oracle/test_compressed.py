"""Compressed Kinetics-400 skeletons, compared with PoseDataset and DecompressPose.

The only arithmetic are sums that decide an order, so the results are identical.
"""

import pickle

from mmaction import datasets as published
from mmaction.datasets import transforms
import numpy as np
import pytest

from data_prep import options as options_lib
from data_prep import prepare
from skeljax.datasets import prepared
from skeljax.readers import compressed

NUM_CLIPS = 24
NUM_JOINTS = 17


def draw_skeletons(rng, num_skeletons, num_frames):
  """Random frames, boxes and keypoints, with ties among the scores."""
  keypoint = rng.uniform(0, 500, (num_skeletons, NUM_JOINTS, 3))
  keypoint[..., 2] = rng.uniform(0, 1, keypoint.shape[:2]).round(
    rng.integers(1, 4)
  )
  # Twins: equal scores at other positions.
  keypoint[1::4, :, 2] = keypoint[: len(keypoint[1::4]), :, 2]
  return dict(
    frame_inds=np.sort(rng.integers(0, num_frames, num_skeletons)).astype(
      np.int16
    ),
    box_score=rng.uniform(0.4, 1, num_skeletons).astype(np.float16),
    keypoint=keypoint.astype(rng.choice(['float16', 'float32'])),
  )


@pytest.mark.parametrize('max_persons', [1, 3, 10])
def test_decompressed_skeletons_are_equal(max_persons, oracle_seed):
  rng = np.random.default_rng(oracle_seed)
  num_cut = 0
  for number in range(40):
    num_frames = int(rng.integers(1, 15))
    clip = draw_skeletons(rng, int(rng.integers(1, 150)), num_frames)
    threshold = (None, *compressed.BOX_THRESHOLDS)[number % 6]
    item = dict(clip, total_frames=num_frames)
    if threshold is not None:
      item['anno_inds'] = item['box_score'] >= threshold
      if not item['anno_inds'].any():
        continue
    theirs = transforms.DecompressPose(True, max_persons).transform(item)
    selection = compressed.Selection(
      valid_ratio=float(threshold is not None),
      box_threshold=threshold or compressed.DEFAULT_BOX_THRESHOLD,
      max_persons=max_persons,
    )
    ours = compressed.decompress_item(clip, selection, 'clip')
    for field in ('keypoint', 'keypoint_score'):
      assert ours[field].dtype == theirs[field].dtype
      np.testing.assert_array_equal(ours[field], theirs[field])
    assert ours['total_frames'] == theirs['total_frames']
    num_cut += 'num_person' in theirs
  assert num_cut


def write_files(folder, seed):
  """Write compressed annotations, ann.pkl, and one keypoint pickle per clip."""
  rng = np.random.default_rng(seed)
  (folder / 'skeletons').mkdir()
  annotations = []
  for number in range(NUM_CLIPS):
    num_frames = int(rng.integers(8, 30))
    # From half empty to more persons than are kept.
    num_skeletons = int(num_frames * (0.5, 1, 2, 12)[number % 4])
    clip = draw_skeletons(rng, num_skeletons, num_frames)
    path = folder / 'skeletons' / f'clip{number}.pkl'
    path.write_bytes(pickle.dumps({'keypoint': clip.pop('keypoint')}))
    valid = {
      threshold: len(
        np.unique(clip['frame_inds'][clip['box_score'] >= threshold])
      )
      for threshold in compressed.BOX_THRESHOLDS
    }
    annotations.append(
      dict(
        clip,
        frame_dir=f'clip{number}',
        label=number % 4,
        img_shape=(320, 200 + number),
        original_shape=(320, 200 + number),
        total_frames=num_frames,
        valid=valid,
      )
    )
  ids = [item['frame_dir'] for item in annotations]
  split = {'train': ids[: NUM_CLIPS // 2], 'val': ids[NUM_CLIPS // 2 :]}
  path = folder / 'ann.pkl'
  path.write_bytes(pickle.dumps(dict(split=split, annotations=annotations)))
  return str(path), str(folder / 'skeletons')


@pytest.mark.parametrize(
  'valid_ratio, box_threshold',
  [(None, 0.5), (0.4, 0.5), (0.6, 0.7), (0.3, 0.9)],
)
def test_prepared_records_are_what_the_published_dataset_gives(
  valid_ratio, box_threshold, tmp_path, oracle_seed
):
  path, skeletons = write_files(tmp_path, oracle_seed)
  prepare.prepare(
    options_lib.Options(
      source='pickle',
      input=path,
      layout='coco',
      name='compressed',
      output=str(tmp_path / 'data'),
      skeletons=skeletons,
      valid_ratio=valid_ratio or 0.0,
      box_threshold=box_threshold if valid_ratio else None,
    ),
    ['--runner=FnApiRunner'],
  )
  ours = prepared.open_dataset(str(tmp_path / 'data'), 'compressed')
  for split in prepared.SPLITS:
    theirs = published.PoseDataset(
      path,
      [transforms.DecompressPose()],
      split=split,
      # Published configurations leave out training clips only.
      valid_ratio=valid_ratio if split == 'train' else None,
      box_thr=box_threshold,
      data_prefix=dict(skeleton=skeletons),
      serialize_data=False,
    )
    records = list(ours.source(split))
    assert len(records) == len(theirs)
    if valid_ratio and split == 'train':
      assert 0 < len(records) < NUM_CLIPS // 2
    for record, result in zip(records, theirs):
      assert record['id'] == result['frame_dir']
      assert record['label'] == result['label']
      assert record['total_frames'] == result['total_frames']
      assert tuple(record['img_shape']) == result['img_shape']
      for field in ('keypoint', 'keypoint_score'):
        assert record[field].dtype == result[field].dtype
        np.testing.assert_array_equal(record[field], result[field])
