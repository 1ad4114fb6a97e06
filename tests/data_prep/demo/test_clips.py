"""Demo motions in the format of a pose estimator."""

import collections
import csv
import json

import numpy as np
import pytest

from data_prep.demo import annotations as demo
from data_prep.demo import clips
from skeljax import errors


@pytest.fixture(scope='module')
def annotations():
  return {
    a['frame_dir']: a for a in demo.make_annotations('coco')['annotations']
  }


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  path = tmp_path_factory.mktemp('clips')
  assert clips.write_clips(str(path), 2) == 2 * len(demo.ACTIONS)
  return path


def _rows(folder):
  with open(folder / clips.LABELS, encoding='utf-8', newline='') as f:
    return list(csv.DictReader(f))


def test_table_lists_every_file_once(folder):
  named = [row['file'] for row in _rows(folder)]
  assert sorted(named) == sorted(p.name for p in folder.glob('*.json'))


def test_every_action_has_the_requested_number_of_clips(folder):
  counts = collections.Counter(row['label'] for row in _rows(folder))
  assert counts == dict.fromkeys(demo.ACTIONS, 2)


def test_subject_is_the_one_in_the_name(folder):
  for row in _rows(folder):
    assert row['subject'] == row['file'][4:8]
    assert row['subject'][0] == 'P'


def test_files_contain_the_detected_persons(folder, annotations):
  for path in folder.glob('*.json'):
    clip = annotations[path.stem]
    frames = json.loads(path.read_text(encoding='utf-8'))
    assert [f['frame_id'] for f in frames] == list(range(clip['total_frames']))
    for index, frame in enumerate(frames):
      detected = clip['keypoint_score'][:, index].any(-1)
      found = np.reshape(
        [p['keypoints'] for p in frame['instances']], (-1, 17, 2)
      )
      # Half a unit of the last decimal place.
      np.testing.assert_allclose(
        found, clip['keypoint'][detected, index], rtol=0, atol=0.0501
      )
      for person in frame['instances']:
        (box,) = person['bbox']
        points = np.array(person['keypoints'])
        assert (points >= box[:2]).all() and (points <= box[2:]).all()


def test_same_seed_writes_the_same_bytes(folder, tmp_path):
  clips.write_clips(str(tmp_path), 2)
  for path in folder.iterdir():
    assert (tmp_path / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize('count', [0, 47])
def test_other_numbers_of_clips_are_an_error(tmp_path, count):
  with pytest.raises(errors.UserError, match='expected 1 to 46'):
    clips.write_clips(str(tmp_path), count)
