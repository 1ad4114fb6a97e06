"""Compressed annotations, with keypoints in other files."""

import dataclasses
import os
import pathlib
import pickle

import numpy as np
import pytest

from data_prep import options as options_lib
from skeljax import errors
from skeljax.datasets import prepared
from skeljax.readers import compressed

NUM_CLIPS, NUM_TRAIN = 9, 6


class Hostile:
  def __reduce__(self):
    return os.system, ('echo run',)


def _draw(number):
  """An annotation and its keypoints; every third is crowded."""
  rng = np.random.default_rng(number)
  num_frames = 2 + number
  num_skeletons = 40 if number % 3 == 0 else 5
  box_score = rng.uniform(0.3, 1, num_skeletons).astype(np.float16)
  frames = np.sort(rng.integers(0, num_frames, num_skeletons)).astype(np.int16)
  item = dict(
    frame_dir=f'clip{number}',
    label=number % 3,
    total_frames=num_frames,
    img_shape=(320, 570),
    frame_inds=frames,
    box_score=box_score,
    valid={
      t: len(set(frames[box_score >= t].tolist()))
      for t in compressed.BOX_THRESHOLDS
    },
  )
  keypoint = rng.uniform(1, 300, (num_skeletons, 17, 3))
  keypoint[..., 2] /= 300
  return item, keypoint.astype(np.float32 if number % 2 else np.float16)


class Files:
  """Annotations of nine clips, and their keypoints in three formats."""

  def __init__(self, tmp_path: pathlib.Path, write_pickle):
    self.folder = tmp_path / 'skeletons'
    self.items, self.keypoints = {}, {}
    for number in range(NUM_CLIPS):
      item, keypoint = _draw(number)
      self.items[item['frame_dir']] = item
      self.keypoints[item['frame_dir']] = keypoint
    self._write_pickle = write_pickle

  def own(self):
    """One pickle per clip."""
    self.folder.mkdir()
    for name, keypoint in self.keypoints.items():
      self.put(f'{name}.pkl', {'keypoint': keypoint})
    return self._write(self.items.values())

  def bundles(self):
    """Three bundles with the clips in turn."""
    self.folder.mkdir()
    raw_files = {name: f'part{i % 3}.pkl' for i, name in enumerate(self.items)}
    for bundle in set(raw_files.values()):
      names = [name for name, file in raw_files.items() if file == bundle]
      self.put(
        bundle, {n: {'keypoint': self.keypoints[n]} for n in names[::-1]}
      )
    return self._write(
      {**item, 'raw_file': f'data/k400/{raw_files[name]}'}
      for name, item in self.items.items()
    )

  def inline(self):
    """The keypoints in the annotations themselves."""
    return self._write(
      {**item, 'keypoint': self.keypoints[name]}
      for name, item in self.items.items()
    )

  def put(self, name, value):
    (self.folder / name).write_bytes(pickle.dumps(value))

  def _write(self, items):
    return self._write_pickle(list(items))


@pytest.fixture
def files(tmp_path, write_pickle):
  return Files(tmp_path, write_pickle)


@pytest.fixture
def make(make_options, files):
  """Options for compressed annotations and their keypoint files."""

  def function(path, **changes) -> options_lib.Options:
    changes = dict(layout='coco', skeletons=str(files.folder)) | changes
    return make_options(path, **changes)

  return function


def records_of(options):
  dataset = prepared.open_dataset(options.output, options.name)
  return dataset, [
    r for split in prepared.SPLITS for r in dataset.source(split)
  ]


def assert_decompressed(files, records, selection):
  """Each record equals the result of decompress_item."""
  for record in records:
    name = record['id']
    is_val = name in list(files.items)[NUM_TRAIN:]
    chosen = dataclasses.replace(
      selection, valid_ratio=0.0 if is_val else selection.valid_ratio
    )
    item = {**files.items[name], 'keypoint': files.keypoints[name]}
    expected = compressed.decompress_item(item, chosen, name)
    for field in ('keypoint', 'keypoint_score'):
      np.testing.assert_array_equal(record[field], expected[field])
      assert record[field].dtype == np.float16
    assert record['total_frames'] == expected['keypoint'].shape[1]
    assert record['label'] == item['label']
    assert record['position'] == list(files.items).index(name)
    assert record['img_shape'].tolist() == [320, 570]
    assert record['box'].any()


@pytest.mark.parametrize('form', ['own', 'bundles', 'inline'])
def test_every_format_gives_the_same_records(form, files, make, run):
  path = getattr(files, form)()
  changes = {'skeletons': ''} if form == 'inline' else {}
  options = make(path, num_shards=2, **changes)
  run(options)
  dataset, records = records_of(options)
  assert [r['id'] for r in records] == list(files.items)
  assert dataset.num_clips == {'train': 6, 'val': 3}
  assert_decompressed(files, records, compressed.Selection())
  assert (
    dataset.spec.num_persons == max(len(r['keypoint']) for r in records) == 10
  )
  assert dataset.spec.max_frames == max(r['total_frames'] for r in records)
  assert dataset.spec.has_img_shape and dataset.spec.has_score
  # Some clips have more than ten persons, as published.
  assert dataset.metadata['num_cut'] == 0
  left = set(os.listdir(options.output))
  assert left == {'tiny'}


@pytest.mark.parametrize('form', ['own', 'inline'])
def test_persons_and_boxes_are_limited(form, files, make, run):
  options = make(
    getattr(files, form)(),
    skeletons=str(files.folder) if form == 'own' else '',
    valid_ratio=0.1,
    box_threshold=0.8,
    max_persons=3,
  )
  run(options)
  dataset, records = records_of(options)
  selection = compressed.Selection(0.1, 0.8, 3)
  assert [r['id'] for r in records] == list(files.items)
  assert_decompressed(files, records, selection)
  assert dataset.spec.num_persons == 3
  # All boxes of validation clips count.
  thresholds = [0.8] * NUM_TRAIN + [0.0] * (NUM_CLIPS - NUM_TRAIN)
  chosen = [
    item['frame_inds'][item['box_score'] >= threshold]
    for item, threshold in zip(files.items.values(), thresholds)
  ]
  assert (
    dataset.metadata['num_cut']
    == sum(np.bincount(f).max() > 3 for f in chosen)
    > 0
  )


def test_all_persons_are_kept_with_zero(files, make, run):
  options = make(files.bundles(), max_persons=0)
  run(options)
  _, records = records_of(options)
  assert_decompressed(files, records, compressed.Selection(max_persons=None))
  assert len(records[0]['keypoint']) > 10


def test_training_clips_below_the_ratio_are_dropped(files, make, run):
  items = files.items.values()
  ratios = [i['valid'][0.9] / i['total_frames'] for i in items]
  ratio = sorted(ratios[:NUM_TRAIN])[3]
  options = make(files.own(), valid_ratio=ratio, box_threshold=0.9)
  run(options)
  _, records = records_of(options)
  expected = [
    name
    for number, (name, own) in enumerate(zip(files.items, ratios))
    if own >= ratio or number >= NUM_TRAIN
  ]
  assert [r['id'] for r in records] == expected


def test_empty_clips_are_dropped_with_drop_empty(files, make, run):
  files.keypoints['clip1'][:] = 0
  files.items['clip4'].update(
    frame_inds=np.zeros(0, np.int16), box_score=np.zeros(0, np.float16)
  )
  files.keypoints['clip4'] = files.keypoints['clip4'][:0]
  path = files.own()
  with pytest.raises(errors.UserError, match='clip4.*--drop_empty'):
    run(make(path))
  options = make(path, drop_empty=True)
  run(options)
  dataset, records = records_of(options)
  assert dataset.num_clips == {'train': 4, 'val': 3}
  assert {'clip1', 'clip4'}.isdisjoint(r['id'] for r in records)


def test_missing_keypoints_are_explained(files, make, run):
  with pytest.raises(errors.UserError, match='--skeletons=DIR'):
    run(make(files.own(), skeletons=''))


def _no_keypoint(files):
  files.put('clip3.pkl', {'kp': 1})


def _short(files):
  files.put('clip3.pkl', {'keypoint': files.keypoints['clip3'][:7]})


def _other_joints(files):
  files.put('clip3.pkl', {'keypoint': files.keypoints['clip3'][:, :12]})


def _other_frames(files):
  keypoint = files.keypoints['clip3']
  content = {'keypoint': keypoint, 'frame_inds': np.zeros(len(keypoint), int)}
  files.put('clip3.pkl', content)


def _not_finite(files):
  keypoint = files.keypoints['clip3'].copy()
  keypoint[3, 2, 0] = np.nan
  files.put('clip3.pkl', {'keypoint': keypoint})


def _hostile(files):
  files.put('clip3.pkl', {'keypoint': Hostile()})


def _missing(files):
  (files.folder / 'clip3.pkl').unlink()


@pytest.mark.parametrize(
  'damage, words',
  [
    (_no_keypoint, "has no 'keypoint', only 'kp'"),
    (_short, 'Expected [40, joints, 3]'),
    (_other_joints, "'keypoint' has 12 joints and layout 'coco' has 17"),
    (_other_frames, "'frame_inds' differ from those of the annotations"),
    (_not_finite, "'keypoint' contains 1 NaN"),
    (_hostile, 'nothing was executed'),
    (_missing, 'the keypoints of 1 clips are missing'),
  ],
)
def test_invalid_keypoint_files_are_named(damage, words, files, make, run):
  path = files.own()
  damage(files)
  with pytest.raises(errors.UserError) as caught:
    run(make(path))
  assert words in str(caught.value)
  assert 'clip3' in str(caught.value)
  assert prepared.list_datasets(make(path).output) == []


def test_bundle_without_a_clip_is_named(files, make, run):
  path = files.bundles()
  files.put('part1.pkl', {'other': {}})
  with pytest.raises(
    errors.UserError, match='part1.pkl.*clip1.*the clip is missing'
  ):
    run(make(path))


@pytest.mark.parametrize(
  'changes, words',
  [
    (dict(box_threshold=0.7), 'needs a --valid_ratio above 0'),
    (dict(valid_ratio=0.5, box_threshold=0.75), '0.5, 0.6, 0.7, 0.8, 0.9'),
    (dict(valid_ratio=2.0), '--valid_ratio=2.0'),
    (dict(skeletons='nowhere'), 'no directory nowhere'),
    (
      dict(source='demo', layout='coco'),
      '--skeletons does not apply to --source=demo',
    ),
    (dict(layout='ucla', project='orthographic'), 'is for 2D'),
  ],
)
def test_invalid_options_are_explained(changes, words, files, make, run):
  with pytest.raises(errors.UserError) as caught:
    run(make(files.own(), **changes))
  assert words in str(caught.value)


@pytest.mark.parametrize('given', [{}, {'box_threshold': 0.6}])
def test_flags_of_compressed_annotations_need_them(given, files, make, run):
  for item in files.items.values():
    item.pop('frame_inds')
  options = make(files.inline(), skeletons='', valid_ratio=0.5, **given)
  with pytest.raises(errors.UserError) as caught:
    run(options)
  message = str(caught.value)
  assert "sample 'clip0' is not compressed" in message
  assert (
    '--valid_ratio and --box_threshold, which are for compressed' in message
  )


def test_clips_with_and_without_keypoints_do_not_mix(files, make, run):
  files.items['clip2']['keypoint'] = files.keypoints['clip2']
  with pytest.raises(errors.UserError, match="clip2.*no 'keypoint'"):
    run(make(files.own()))
  files.items['clip2'].pop('keypoint')
  files.items['clip2'].pop('frame_inds')
  path = files.inline()
  with pytest.raises(
    errors.UserError, match='clip2.*Expected .persons, frames'
  ):
    run(make(path, skeletons=''))


def test_empty_directory_of_keypoints_is_explained(files, make, run):
  path = files.inline()
  files.folder.mkdir()
  with pytest.raises(errors.UserError, match='contains no .pkl file'):
    run(make(path))


def test_changed_keypoint_file_is_a_different_input(files, make, run):
  options = make(files.own())
  run(options)
  run(options)
  file = files.folder / 'clip0.pkl'
  os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
  with pytest.raises(errors.UserError, match='different skeletons'):
    run(options)


def test_default_number_of_persons_differs_from_two(files, make, run):
  options = make(files.inline(), skeletons='')
  run(options)
  assert records_of(options)[0].spec.num_persons == 10
  with pytest.raises(errors.UserError, match='max_persons'):
    run(make(files.inline(), skeletons='', max_persons=2))
