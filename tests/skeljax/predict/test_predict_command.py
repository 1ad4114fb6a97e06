"""`python -m skeljax.predict`: its output and error messages."""

import json
import pathlib
import pickle
import re

from absl import flags
from ml_collections import config_dict
import numpy as np
import pytest

from configs import stgcn_ctrgcn
from skeljax import errors
from skeljax.datasets import spec as spec_lib
from skeljax.predict import __main__ as predict
from skeljax.predict import report
from tests import recordings
from tests.skeljax.predict import toys

_GUIDE = pathlib.Path(__file__).parents[3] / 'docs' / 'predict.md'


def test_text_and_json_output(run, clip_2d, tmp_path):
  one = clip_2d('wörk one.npz')
  two = clip_2d('two.npz', toys.persons_2d(num_persons=3))
  output = tmp_path / 'out' / 'predictions.json'
  status, out, _ = run(
    toys.graph_2d(),
    one,
    two,
    '--top=2',
    f'--output={output}',
    '--layout=coco',
  )
  assert status == 0
  assert out == (
    'runs/own step 7: stgcn_mmaction1x, joint stream, 1 view per clip\n\n'
    f'{one}  (array, coco, 5 frames, 1 person)\n'
    '  1  walk    50.00 %\n'
    '  2  stand   30.00 %\n\n'
    f'{two}  (array, coco, 5 frames, 3 persons)\n'
    '  note: kept the 2 persons with the most motion, dropped 1\n'
    '  1  walk    50.00 %\n'
    '  2  stand   30.00 %\n'
    f'\npredictions written to {output}\n'
  )
  content = json.loads(output.read_text(encoding='utf-8'))
  assert content['format'] == 'skeljax-predictions-2'
  assert content['checkpoint'] == 'runs/own step 7'
  assert (content['stream'], content['views']) == ('joint stream', 1)
  assert content['failed'] == content['assumed'] == []
  first, second = content['clips']
  top = first.pop('top')
  assert first == {
    'file': one,
    'id': 'wörk one.npz',
    'format': 'array',
    'layout': 'coco',
    'frames': 5,
    'persons': 1,
    'img_shape': [240, 320],
    'notes': [],
    'per_person': [],
  }
  assert [(g['label'], g['name']) for g in top] == [(2, 'walk'), (1, 'stand')]
  assert top[0]['probability'] == pytest.approx(0.5)
  assert second['notes'] == [
    'kept the 2 persons with the most motion, dropped 1'
  ]


def test_guide_documents_the_fields_of_the_file(run, clip_2d, tmp_path):
  output = tmp_path / 'out.json'
  bad = str(tmp_path / 'missing.json')
  run(
    toys.graph_2d(), clip_2d(), bad, '--per_person', '--keep_going',
    f'--output={output}',
  )  # fmt: skip
  written = json.loads(output.read_text())
  guide = _GUIDE.read_text()
  [shown] = re.findall(r'```json\n(.*?)```', guide, re.DOTALL)
  shown = json.loads(shown)
  assert list(shown) == list(written)
  assert list(shown['clips'][0]) == list(written['clips'][0])
  assert shown['format'] == written['format']
  for fields in (
    written,
    written['clips'][0],
    written['clips'][0]['top'][0],
    written['clips'][0]['per_person'][0],
    written['failed'][0],
  ):
    for field in fields:
      assert f'`{field}`' in guide, field


def test_file_names_may_not_be_utf8(run, clip_2d, tmp_path):
  name = b'clip \xff.npz'.decode('utf-8', 'surrogateescape')
  output = tmp_path / 'out.json'
  loaded = toys.graph_2d()
  found = [toys.fit(loaded, clip_2d(name))]
  predictions = predict.predict(loaded, found, 1)
  predict.write_json(str(output), report.to_json(loaded, predictions, []))
  [clip] = json.loads(output.read_text())['clips']
  assert clip['id'] == name


def test_each_person_is_classified_alone(run, clip_2d, tmp_path):
  keypoint = toys.persons_2d(num_persons=3, frames=6)
  keypoint[1, :2] = 0
  keypoint[1, 5:] = 0
  keypoint[2] = 0
  output = tmp_path / 'alone.json'
  _, out, _ = run(
    toys.graph_2d(), clip_2d(keypoint=keypoint), '--per_person', '--top=1',
    f'--output={output}',
  )  # fmt: skip
  assert '  person 1, frames 2 to 4\n    1  walk   50.00 %\n' in out
  [clip] = json.loads(output.read_text())['clips']
  spans = [
    (p['person'], p['first_frame'], p['last_frame']) for p in clip['per_person']
  ]
  assert spans == [(0, 0, 5), (1, 2, 4)]


def test_person_alone_equals_a_clip_of_that_person(clip_2d):
  keypoint = toys.persons_2d(num_persons=2, frames=6)
  keypoint[1, :2] = 0
  both = toys.fit(toys.graph_2d(), clip_2d(keypoint=keypoint), per_person=True)
  alone = toys.fit(toys.graph_2d(), clip_2d('alone.npz', keypoint[1:, 2:]))
  _, found = both.persons[1]
  for field in ('keypoint', 'keypoint_score', 'box', 'total_frames'):
    np.testing.assert_array_equal(found[field], alone.record[field], field)


def test_annotation_file_without_labels(run, tmp_path):
  items = [
    {
      'frame_dir': name,
      'total_frames': toys.FRAMES,
      'img_shape': (240, 320),
      'keypoint': toys.persons_2d(),
      'keypoint_score': np.ones((1, toys.FRAMES, 17), np.float32),
    }
    for name in ('a', 'b')
  ]
  path = tmp_path / 'clips.pkl'
  path.write_bytes(pickle.dumps(items))
  _, out, _ = run(toys.graph_2d(), str(path), '--top=1')
  assert f'{path}: a  (annotations, coco, 5 frames, 1 person)' in out
  assert f'{path}: b  (annotations' in out


def test_invalid_file_stops_the_command_unless_keep_going(
  run, error_of, clip_2d, tmp_path
):
  good = clip_2d()
  bad = tmp_path / 'bad.npz'
  bad.write_bytes(b'PK\x03\x04')
  text = error_of(toys.graph_2d(), good, str(bad))
  assert str(bad) in text and '--keep_going' in text
  output = tmp_path / 'out.json'
  status, out, err = run(
    toys.graph_2d(),
    good,
    str(bad),
    '--keep_going',
    f'--output={output}',
  )
  assert status == 2
  assert good in out and 'bad.npz' in err
  content = json.loads(output.read_text())
  assert [c['file'] for c in content['clips']] == [good]
  assert [f['file'] for f in content['failed']] == [str(bad)]
  assert 'bad.npz' in content['failed'][0]['error']
  only_bad = error_of(toys.graph_2d(), str(bad), '--keep_going')
  assert 'bad.npz' in only_bad


def test_logits_are_converted_to_probabilities(run, clip_2d):
  loaded = toys.graph_2d()
  loaded.config.eval.average = 'score'
  _, out, _ = run(loaded, clip_2d(), '--top=1')
  assert '  1  walk   50.00 %' in out


def _skeleton_file(folder):
  frames = recordings.draw('one', 0)
  path = folder / 'S001C001P001R001A001.skeleton'
  path.write_text(recordings.text(frames))
  return path, toys.graph_3d(body_size=0.0)


def _openpose_folder(folder):
  path = folder / 'clip'
  path.mkdir()
  for t, pose in enumerate(toys.persons_2d(num_joints=18)[0]):
    flat = np.concatenate([pose, np.full((18, 1), 0.9)], axis=1).ravel()
    people = {'people': [{'pose_keypoints_2d': flat.tolist()}]}
    (path / f'clip_{t:012d}_keypoints.json').write_text(json.dumps(people))
  loaded = toys.graph_2d(layout='openpose-18')
  return path, loaded


def _ucla_file(folder):
  body = np.tile(toys.BODY[:20], (toys.FRAMES, 1, 1))
  content = {
    'file_name': 'a01_s01_e00_v01',
    'skeletons': body.tolist(),
    'label': 1,
  }
  path = folder / 'a01_s01_e00_v01.json'
  path.write_text(json.dumps(content))
  return path, toys.graph_3d(stgcn_ctrgcn, layout='ucla', max_frames=3)


@pytest.mark.parametrize(
  'make, format',
  [
    (_skeleton_file, 'ntu'),
    (_openpose_folder, 'openpose'),
    (_ucla_file, 'ucla'),
  ],
)
def test_format_is_detected_and_longer_clips_are_accepted(
  run, tmp_path, make, format
):
  path, loaded = make(tmp_path)
  status, out, _ = run(loaded, str(path), '--img_shape=240x320', '--top=1')
  assert status == 0
  layout = loaded.spec.layout.name
  assert f'{path}  ({format}, {layout}, ' in out
  assert '  1  walk   50.00 %' in out


@pytest.mark.parametrize(
  'arguments, message',
  [
    ((), 'Name the files'),
    (('a.npz', './a.npz'), 'a.npz is named more than once'),
    (('a.npz', '--output=a.csv'), '--output=a.csv'),
    (('a.npz', '--top=0'), '--top=0'),
    (('a.npz', '--img_shape=1080'), '--img_shape=1080x1920'),
    (('a.npz', '--layout=cocco'), "Did you mean 'coco'"),
    (('a.npz', '--max_persons=3'), 'trained with 2 persons'),
    (('a.npz', '--mirrored'), 'only heatmaps have flipped test views'),
    (('missing.npz',), 'There is no file or folder missing.npz'),
    (('a.npz', '--class_names=ntu60'), '60 names'),
  ],
)
def test_error_messages(error_of, arguments, message):
  assert message in error_of(toys.graph_2d(), *arguments)


@pytest.mark.parametrize('place', ['folder.json', 'file/new.json'])
def test_predictions_are_printed_if_the_output_cannot_be_written(
  run, clip_2d, tmp_path, capsys, place
):
  (tmp_path / 'folder.json').mkdir()
  (tmp_path / 'file').write_text('mine')
  output = tmp_path / place
  with pytest.raises(errors.UserError, match=f'{place} cannot be written'):
    run(toys.graph_2d(), clip_2d(), f'--output={output}')
  assert '1  walk    50.00 %' in capsys.readouterr().out
  left = {path.name for path in tmp_path.iterdir()}
  assert left == {'folder.json', 'file', 'clip.npz'}
  assert (tmp_path / 'file').read_text() == 'mine'


def test_unknown_denoise_is_an_error(run, clip_2d):
  with pytest.raises(flags.IllegalFlagValueError, match='mmaction0x'):
    run(toys.graph_2d(), clip_2d(), '--denoise=mmaction')


def test_class_names_option_names_numbered_classes(run, clip_2d, tmp_path):
  names = tmp_path / 'names.txt'
  names.write_text('lie\nrest\nrun\n')
  loaded = toys.graph_2d(
    class_names=spec_lib.numbered_classes(3), is_assumed=True
  )
  output = tmp_path / 'out.json'
  _, out, _ = run(
    loaded, clip_2d(), f'--class_names={names}', f'--output={output}'
  )
  assert '  1  run    50.00 %' in out
  assert json.loads(output.read_text())['assumed'] == [
    'assumed the joint stream'
  ]


def test_diverged_weights_are_an_error(error_of, clip_2d):
  loaded = toys.graph_2d()
  loaded.variables['params']['head']['fc']['bias'][:] = np.nan
  assert 'diverged' in error_of(loaded, clip_2d())


def test_config_of_the_checkpoint_is_not_modified(run, clip_2d):
  loaded = toys.graph_2d()
  before = config_dict.ConfigDict(loaded.config.to_dict())
  run(loaded, clip_2d(), '--num_clips=2', '--batch_size=4')
  assert loaded.config.to_dict() == before.to_dict()
