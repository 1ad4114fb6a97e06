"""Northwestern-UCLA in JSON files, as CTR-GCN distributes it."""

import json
import os
import pathlib
import pickle

import numpy as np
import pytest

from skeljax import errors
from skeljax import readers
from skeljax import skeletons
from skeljax.readers import annotation_pickle
from skeljax.readers import checks
from skeljax.readers import ucla_json
from tests import items

LAYOUT = skeletons.get_layout(ucla_json.LAYOUT)
NAME = 'a08_s02_e01_v03'
FRAME = [[j, 0.5, -j] for j in range(20)]


def write(folder, name=NAME, **fields):
  content = {'file_name': name, 'skeletons': [FRAME, FRAME], 'label': 7}
  path = pathlib.Path(folder) / f'{name}.json'
  path.write_text(json.dumps(content | fields), encoding='utf-8')
  return path


def test_a_clip_is_one_person(tmp_path):
  item = ucla_json.read_clip(write(tmp_path))
  assert item['keypoint'].dtype == np.float32
  np.testing.assert_array_equal(item['keypoint'], np.float32([[FRAME] * 2]))


def test_labels_and_splits_come_from_the_names(tmp_path):
  labels = {
    'a01_s01_e00_v01': 1,
    'a06_s10_e05_v02': 6,
    'a08_s02_e01_v03': 7,
    'a09_s01_e00_v03': 8,
    'a11_s01_e00_v01': 9,
    'a12_s01_e00_v02': 10,
  }
  for name, label in labels.items():
    write(tmp_path, name, label=label)
  (tmp_path / 'README').write_text('not a clip')
  found = pickle.loads(pickle.dumps(ucla_json.read_dataset(tmp_path)))
  assert found.ids == tuple(labels)
  assert [clip.label for clip in found.clips] == [0, 5, 6, 7, 8, 9]
  assert readers.protocol_splits(found, 'xview') == ((0, 1, 4, 5), (2, 3))
  assert len(found.class_names) == 10
  assert found.class_names[6] == 'donning'
  for clip in found.clips:
    readers.check_clip(clip, layout=LAYOUT, num_classes=10)


def test_names_give_the_labels_and_splits_of_the_annotation_file(tmp_path):
  folder = os.environ.get('SKELJAX_TEST_DATA', '')
  path = pathlib.Path(folder) / 'nw_ucla_3d.pkl'
  if not path.exists():
    pytest.skip('SKELJAX_TEST_DATA names no folder with nw_ucla_3d.pkl')
  known = annotation_pickle.read_dataset(path)
  for item in (clip.read() for clip in known.clips):
    write(tmp_path, item['frame_dir'], label=item['label'] + 1)
  found = ucla_json.read_dataset(tmp_path)
  assert found.class_names == known.class_names
  labels = {clip.id: clip.label for clip in known.clips}
  assert {clip.id: clip.label for clip in found.clips} == labels
  for split, positions in known.splits.items():
    ids = {found.ids[p] for p in found.splits[split]}
    assert ids == {known.ids[p] for p in positions}


@pytest.mark.parametrize('label', [6, 9, '6', 7.5, True, [7]])
def test_a_label_that_the_name_contradicts_is_an_error(label, tmp_path):
  write(tmp_path, label=label)
  found = ucla_json.read_dataset(tmp_path)
  with pytest.raises(checks.ClipError, match='file name means 7'):
    _ = found.clips[0].read()
  # One file alone needs no label.
  ucla_json.read_clip(tmp_path / f'{NAME}.json')


@pytest.mark.parametrize('label', [None, 7, '7', 8])
def test_the_name_decides_where_the_label_agrees_or_is_missing(label, tmp_path):
  """Class 7 of ten is action 8: both numbers name it."""
  write(tmp_path, label=label)
  assert ucla_json.read_dataset(tmp_path).clips[0].label == 6


@pytest.mark.parametrize(
  'name',
  ['a07_s01_e00_v01', 'a01_s01_e00_v04', 'a1_s1_e0_v1', 'geste_é', 'A01_S01'],
)
def test_names_that_do_not_fit_are_named(name, tmp_path):
  write(tmp_path)
  path = write(tmp_path, name)
  with pytest.raises(
    errors.UserError, match='is not the name of a Northw'
  ) as caught:
    ucla_json.read_dataset(tmp_path)
  assert str(path) in str(caught.value)
  assert ucla_json.read_clip(path)['keypoint'].shape == (1, 2, 20, 3)


def test_folders_without_clips_are_explained(tmp_path):
  with pytest.raises(
    errors.UserError, match='There is no folder .* with .json files'
  ):
    ucla_json.read_dataset(tmp_path)
  with pytest.raises(errors.UserError, match='There is no folder'):
    ucla_json.read_dataset(tmp_path / 'nowhere')


@pytest.mark.parametrize(
  'skeletons, words',
  [
    ([], 'it has no frames'),
    (None, 'not a list of frames with 20 joints'),
    (5, 'not a list of frames'),
    ([FRAME, FRAME[:19]], 'frame 1 has 19 joints'),
    ([FRAME[:19]], 'frame 0 has 19 joints'),
    ([[joint[:2] for joint in FRAME]], '3 numbers each'),
    ([FRAME, 'frame'], 'frame 1 has no list of joints'),
    ([FRAME[:19] + [['x', 0, 0]]], '3 numbers each'),
    ([FRAME[:19] + [[10**400, 0, 0]]], '3 numbers each'),
    ([FRAME[:19] + [[None, 0, 0]]], '3 numbers each'),
    ([[[True, False, True]] * 20], '3 numbers each'),
  ],
)
def test_joints_that_do_not_fit_are_explained(skeletons, words, tmp_path):
  path = write(tmp_path, skeletons=skeletons)
  with pytest.raises(checks.ClipError, match=words) as caught:
    ucla_json.read_clip(path)
  assert caught.value.kind == 'joints'
  assert str(path) in str(caught.value)


@pytest.mark.parametrize(
  'text, words',
  [
    ('', 'not valid JSON'),
    ('{"skeletons": [[[1, 2', 'cut short'),
    ('[]', "no 'skeletons'"),
    ('{"label": 1}', "no 'skeletons'"),
    ('[' * 100_000, 'nested too deeply'),
  ],
)
def test_damaged_files_are_named(text, words, tmp_path):
  path = write(tmp_path)
  path.write_text(text)
  with pytest.raises(checks.ClipError, match=words) as caught:
    ucla_json.read_clip(path)
  assert str(path) in str(caught.value)


def test_whatever_is_odd_in_a_joint_is_a_clip_or_a_clip_error(tmp_path):
  odd = (None, -1, 'x', [], {}, [[]], True, float('inf'), 10**400)
  for value in odd:
    for frames in (
      [value, FRAME],
      [[value, *FRAME[1:]], FRAME],
      [[[value, 0, 0], *FRAME[1:]], FRAME],
    ):
      path = write(tmp_path, skeletons=frames)
      try:
        item = ucla_json.read_clip(path)
      except checks.ClipError as error:
        assert str(path) in str(error)
      else:
        assert item['keypoint'].shape == (1, 2, 20, 3)


def test_numbers_that_cannot_be_kept_are_left_to_the_check(tmp_path):
  frame = [[1e300, 0, float('nan')], *FRAME[1:]]
  item = ucla_json.read_clip(write(tmp_path, skeletons=[frame]))
  with pytest.raises(checks.ClipError, match='NaN'):
    items.check(item, layout=LAYOUT, num_classes=None, path='x')


def test_is_clip_looks_at_the_beginning(tmp_path):
  path = write(tmp_path)
  assert ucla_json.is_clip(path)
  assert not ucla_json.is_clip(tmp_path / 'gone.json')
  path.write_text('{"data": [], "label_index": 1}')
  assert not ucla_json.is_clip(path)
