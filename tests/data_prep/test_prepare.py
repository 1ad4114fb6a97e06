"""The stored records, and that they are the same every time."""

import dataclasses
import hashlib
import json
import pathlib

import numpy as np
import pytest
import tensorflow_datasets as tfds

from skeljax import errors
from skeljax import skeletons
from skeljax.datasets import normalize_3d
from skeljax.datasets import prepared


def _hashes(directory) -> dict[str, str]:
  return {
    str(path.relative_to(directory)): hashlib.sha256(
      path.read_bytes()
    ).hexdigest()
    for path in sorted(pathlib.Path(directory).rglob('*'))
    if path.is_file()
  }


def _all_clips(dataset) -> dict[str, dict]:
  result = {}
  for split in prepared.SPLITS:
    source = dataset.source(split)
    result.update({source[i]['id']: source[i] for i in range(len(source))})
  return result


def test_records_equal_the_clips_in_file_order(
  make_items, write_pickle, make_options, run
):
  items = make_items(10)
  options = make_options(write_pickle(items), num_shards=3)
  run(options)
  dataset = prepared.open_dataset(options.output, 'tiny')
  assert dataset.num_clips == {'train': 7, 'val': 3}
  assert len(dataset.shards['train']) == len(dataset.shards['val']) == 3
  assert dataset.spec.class_names == ('sit', 'stand', 'wave')
  assert dataset.spec.layout == skeletons.get_layout('nturgb+d')
  assert (dataset.spec.num_channels, dataset.spec.has_score) == (3, False)
  assert (dataset.spec.num_persons, dataset.spec.max_frames) == (2, 5)
  assert (dataset.spec.normalize, dataset.spec.keypoint_dtype) == (
    'none',
    'float16',
  )
  for split, expected in (('train', items[:7]), ('val', items[7:])):
    source = dataset.source(split)
    assert len(source) == len(expected)
    for i, item in enumerate(expected):
      record = source[i]
      assert record['id'] == item['frame_dir']
      assert record['label'] == item['label']
      assert items[record['position']] is item
      assert record['total_frames'] == item['total_frames']
      assert record['keypoint'].dtype == np.float16
      np.testing.assert_array_equal(record['keypoint'], item['keypoint'])
      np.testing.assert_array_equal(record['box'], np.zeros(4))
      np.testing.assert_array_equal(record['img_shape'], [0, 0])


def test_bytes_depend_only_on_input_and_options(
  make_items, write_pickle, make_options, run, tmp_path
):
  path = write_pickle(make_items(10))
  outputs = [str(tmp_path / name) for name in 'ab']
  workers = ['--direct_num_workers=2', '--direct_running_mode=multi_threading']
  for output, beam_arguments in zip(outputs, ([], workers)):
    run(make_options(path, output=output, num_shards=3), *beam_arguments)
  first, second = map(_hashes, outputs)
  assert len(first) > 4
  assert first == second


def test_tfds_reads_the_result_without_skeljax(
  make_items, write_pickle, make_options, run
):
  items = make_items(6)
  options = make_options(write_pickle(items))
  run(options)
  builder = tfds.builder('tiny', data_dir=options.output)
  assert builder.info.features['label'].names == ['sit', 'stand', 'wave']
  record = builder.as_data_source('train')[1]
  assert record['id'] == b'clip01'
  np.testing.assert_array_equal(record['keypoint'], items[1]['keypoint'])


def test_2d_clips_keep_scores_image_size_and_box(
  make_item, write_pickle, make_options, run
):
  items = [
    make_item(
      f'clip{i}',
      i,
      (2, 4, 17, 2),
      img_shape=(1080, 1920),
      keypoint=np.full((2, 4, 17, 2), 500, np.float16),
      keypoint_score=np.ones((2, 4, 17), np.float32),
    )
    for i in range(3)
  ]
  points = items[0]['keypoint']
  points[0, 0, 0], points[0, 1, 3], points[1, 3, 5] = (3, 900), (800, 2), 5000
  items[0]['keypoint_score'][1, 3, 5] = 0  # The one at 5000 is missing.
  options = make_options(write_pickle(items), layout='coco')
  run(options)
  dataset = prepared.open_dataset(options.output, 'tiny')
  assert dataset.spec.has_score and dataset.spec.num_channels == 2
  record = dataset.source('train')[0]
  np.testing.assert_array_equal(record['keypoint'], points)
  assert record['keypoint_score'].dtype == np.float32
  np.testing.assert_array_equal(
    record['keypoint_score'], items[0]['keypoint_score']
  )
  np.testing.assert_array_equal(record['img_shape'], [1080, 1920])
  np.testing.assert_array_equal(record['box'], [3, 2, 800, 900])
  assert record['box'].dtype == np.float32


@pytest.mark.parametrize('version', ['mmaction0x', 'mmaction1x'])
def test_normalized_clips_are_float32(
  version, make_item, write_pickle, make_options, run
):
  items = [make_item(f'clip{i}', i, (2, 4, 25, 3)) for i in range(3)]
  items[0]['keypoint'][0, 1] = 0  # The main person is absent in a frame.
  options = make_options(write_pickle(items), normalize=version)
  run(options)
  dataset = prepared.open_dataset(options.output, 'tiny')
  assert (dataset.spec.normalize, dataset.spec.keypoint_dtype) == (
    version,
    'float32',
  )
  normalize = getattr(normalize_3d, f'normalize_{version}')
  expected = normalize(
    items[0]['keypoint'], skeletons.get_layout('nturgb+d')
  ).astype(np.float32)
  record = dataset.source('train')[0]
  np.testing.assert_array_equal(record['keypoint'], expected)
  # Person 1 is seen in more frames than person 0, so no frame goes in 1.x.
  assert record['total_frames'] == expected.shape[1]
  assert dataset.spec.max_frames == 4


def test_frames_dropped_by_normalization_shorten_the_clip(
  make_item, write_pickle, make_options, run
):
  items = [make_item(f'clip{i}', i, (1, 4, 25, 3)) for i in range(3)]
  for item in items:
    item['keypoint'][0, 2] = 0
  options = make_options(write_pickle(items), normalize='mmaction1x')
  run(options)
  dataset = prepared.open_dataset(options.output, 'tiny')
  assert dataset.source('val')[0]['total_frames'] == 3
  assert dataset.spec.max_frames == 3


def test_two_persons_with_the_most_motion_are_kept(
  make_item, write_pickle, make_options, run
):
  items = [make_item(f'clip{i}', i, (3, 6, 25, 3)) for i in range(3)]
  items[0]['keypoint'][1] *= np.float16(0.1)
  original = items[0]['keypoint'].copy()
  path = write_pickle(items)
  options = make_options(path)
  run(options)
  dataset = prepared.open_dataset(options.output, 'tiny')
  assert dataset.spec.num_persons == 2
  kept = dataset.source('train')[0]['keypoint']
  assert {p.tobytes() for p in kept} == {p.tobytes() for p in original[[0, 2]]}

  run(dataclasses.replace(options, name='all', max_persons=0))
  dataset = prepared.open_dataset(options.output, 'all')
  assert dataset.spec.num_persons == 3
  np.testing.assert_array_equal(
    dataset.source('train')[0]['keypoint'], original
  )


def test_mixed_dtypes_are_stored_as_the_widest(
  make_items, write_pickle, make_options, run
):
  items = make_items(3)
  items[1]['keypoint'] = items[1]['keypoint'].astype(np.float64) + 1e-6
  options = make_options(write_pickle(items))
  run(options)
  dataset = prepared.open_dataset(options.output, 'tiny')
  assert dataset.spec.keypoint_dtype == 'float32'
  clips = _all_clips(dataset)
  for item in items:
    stored = clips[item['frame_dir']]['keypoint']
    np.testing.assert_array_equal(stored, item['keypoint'].astype(np.float32))


def test_one_frame_clips_are_clips(make_item, write_pickle, make_options, run):
  items = [make_item(f'clip{i}', i, (1, 1, 25, 3)) for i in range(3)]
  options = make_options(write_pickle(items))
  run(options)
  assert prepared.open_dataset(options.output, 'tiny').spec.max_frames == 1


def test_clips_outside_the_protocol_are_not_read(
  make_items, write_pickle, make_options, run
):
  items = make_items(6)
  items[2]['keypoint'] = None
  split = dict(
    xsub_train=['clip00', 'clip01'], xsub_val=['clip03'], xset_val=['clip02']
  )
  options = make_options(write_pickle(items, split=split), protocol='xsub')
  run(options)
  dataset = prepared.open_dataset(options.output, 'tiny')
  assert dataset.num_clips == {'train': 2, 'val': 1}


def test_two_plain_lists_are_one_dataset(
  make_items, write_pickle, make_options, run, tmp_path
):
  import pickle

  items = make_items(5)
  inputs = {}
  for split, part in (('train', items[:3]), ('val', items[3:])):
    inputs[split] = str(tmp_path / f'{split}.pkl')
    pathlib.Path(inputs[split]).write_bytes(pickle.dumps(part))
  options = make_options(
    '', input=','.join(f'{s}={p}' for s, p in inputs.items())
  )
  run(options)
  dataset = prepared.open_dataset(options.output, 'tiny')
  assert [dataset.source('val')[i]['id'] for i in range(2)] == [
    'clip03',
    'clip04',
  ]
  assert dataset.spec.class_names == ('class_0', 'class_1', 'class_2')


def test_dataset_contains_a_custom_layout(
  make_item, write_pickle, make_options, run, tmp_path
):
  layout = dict(
    name='stick', joints=['a', 'b', 'c'], bones=[[1, 0], [2, 1]], center=0
  )
  path = tmp_path / 'stick.json'
  path.write_text(json.dumps(layout))
  items = [make_item(f'clip{i}', i, (1, 2, 3, 2)) for i in range(3)]
  options = make_options(write_pickle(items), layout=str(path))
  run(options)
  path.unlink()
  dataset = prepared.open_dataset(options.output, 'tiny')
  assert dataset.spec.layout.joints == ('a', 'b', 'c')


@pytest.mark.parametrize('layout', ['nturgb+d', 'coco'])
def test_demo_is_prepared(layout, make_options, run, monkeypatch):
  from data_prep.demo import annotations as demo

  monkeypatch.setattr(demo, 'CLIPS', {'train': 2, 'val': 1})
  options = make_options('', source='demo', layout=layout)
  run(options)
  dataset = prepared.open_dataset(options.output, 'tiny')
  assert dataset.spec.class_names == demo.ACTIONS
  assert dataset.num_clips['train'] == 2 * len(demo.ACTIONS)
  assert dataset.spec.has_score == (layout == 'coco')


@pytest.mark.parametrize(
  'changes, words',
  [
    (dict(label=3), "'label' is 3"),
    (dict(label=-1), "'label' is -1"),
    (dict(keypoint=np.ones((2, 25, 3))), 'has shape (2, 25, 3)'),
    (dict(keypoint=np.full((1, 2, 25, 3), np.nan)), 'NaN'),
    (dict(keypoint=np.full((1, 2, 25, 3), np.inf, 'f2')), '65504'),
    (dict(keypoint=np.ones((1, 2, 20, 3))), '20 joints'),
    (dict(keypoint=np.ones((1, 2, 25, 2))), '25 joints in 2D without scores'),
    (dict(keypoint=np.zeros((1, 2, 25, 3))), '--drop_empty'),
  ],
)
def test_invalid_clip_is_named_and_nothing_is_published(
  changes, words, make_items, write_pickle, make_options, run, tmp_path
):
  items = make_items(6)
  items[1].update(changes)
  if 'keypoint' in changes:
    items[1]['total_frames'] = 2
  path = write_pickle(items)
  with pytest.raises(errors.UserError) as caught:
    run(make_options(path))
  assert words in str(caught.value)
  assert 'clip01' in str(caught.value)
  assert str(path) in str(caught.value)
  assert list((tmp_path / 'data').iterdir()) == []


def test_empty_clips_are_dropped_with_drop_empty(
  make_items, write_pickle, make_options, run
):
  items = make_items(6)
  items[1]['keypoint'][:] = 0
  options = make_options(write_pickle(items), drop_empty=True)
  run(options)
  dataset = prepared.open_dataset(options.output, 'tiny')
  assert dataset.num_clips == {'train': 3, 'val': 2}
  assert [dataset.source('train')[i]['position'] for i in range(3)] == [0, 2, 3]


def test_overflow_of_float16_in_normalization_is_an_error(
  make_items, write_pickle, make_options, run
):
  items = make_items(3)
  items[2]['keypoint'] = np.full((1, 1, 25, 3), 40000, np.float16)
  items[2]['keypoint'][0, 0, :5] *= -1
  items[2]['total_frames'] = 1
  options = make_options(write_pickle(items), normalize='mmaction1x')
  with pytest.raises(errors.UserError, match="'clip02'.*float16.*float32"):
    run(options)


def test_2d_clips_cannot_be_normalized_in_3d(
  make_item, write_pickle, make_options, run
):
  items = [make_item(f'clip{i}', i, (1, 2, 25, 2)) for i in range(3)]
  options = make_options(write_pickle(items), normalize='mmaction1x')
  with pytest.raises(errors.UserError, match='2D keypoints.*--normalize=none'):
    run(options)
