"""`python -m skeljax.predict`: what it says, writes, and refuses."""

import dataclasses
import json
import pickle

from absl import flags
import jax
from ml_collections import config_dict
import numpy as np
import pytest

from configs import posec3d_ntu60_keypoint
from configs import stgcn_joint_2d
from configs import stgcn_joint_3d
from skeljax import errors
from skeljax import fitting
from skeljax import mismatch
from skeljax import own_clips
from skeljax import predict
from skeljax import pretrained
from skeljax import recipe
from skeljax import skeletons
from skeljax.data.formats import clip_forms

FRAMES = 5
# A body in metres, about 0.5 from its middle.
BODY = np.random.default_rng(0).normal(0, 0.3, (25, 3))


def checkpoint(config, *, layout='coco', **changes) -> pretrained.Pretrained:
  """Of a narrow network whose weights are zero but for the last bias."""
  config.model.base_channels = 4
  if config.model.name != 'slowonly':
    config.model.update(num_stages=1, inflate_stages=(), down_stages=())
  config.data.update(clip_len=4, num_clips=1)
  dims = config.data.dims
  facts = recipe.Facts(
    layout=skeletons.get_layout(layout),
    class_names=('sit', 'stand', 'walk'),
    num_channels=dims,
    has_score=dims == 2,
    num_persons=2,
    normalize=config.data.normalize,
    keypoint_dtype='float32',
    max_frames=0,
    score_dtype='float32' if dims == 2 else '',
    body_size=60.0 if dims == 2 else 0.5,
  )
  is_assumed = changes.pop('is_assumed', False)
  facts = dataclasses.replace(facts, **changes)
  variables = jax.tree.map(
    lambda leaf: np.zeros(leaf.shape, leaf.dtype),
    recipe.abstract_variables(config, facts),
  )
  bias = variables['params']['head']['fc']['bias']
  bias[:] = np.log([0.2, 0.3, 0.5])
  return pretrained.Pretrained(
    source='runs/own step 7',
    config=config,
    facts=facts,
    variables=variables,
    is_assumed=is_assumed,
    meta={},
    notes=('taken for joints',) if is_assumed else (),
  )


def graph_2d(words='u100', **changes):
  return checkpoint(stgcn_joint_2d.get_config(words), **changes)


def graph_3d(words='', layout='nturgb+d', **changes):
  config = stgcn_joint_3d.get_config(words)
  return checkpoint(config, layout=layout, **changes)


def volumes(**changes):
  return checkpoint(posec3d_ntu60_keypoint.get_config(''), **changes)


def persons_2d(num_persons=1, num_joints=17, frames=FRAMES):
  """Standing still; [M, T, V, 2] pixels."""
  pose = np.random.default_rng(1).uniform(20, 220, (num_joints, 2))
  shift = 3 * np.arange(num_persons)[:, None, None, None]
  return (pose + shift + np.zeros((1, frames, 1, 1))).astype(np.float32)


def save(path, keypoint, **fields):
  if keypoint.shape[-1] == 2 and 'keypoint_score' not in fields:
    fields['keypoint_score'] = np.ones(keypoint.shape[:3], np.float32)
  fields = {k: v for k, v in fields.items() if v is not None}
  np.savez(path, keypoint=keypoint, **fields)
  return str(path)


@pytest.fixture
def clip_2d(tmp_path):
  """Saves a clip of coco joints in a picture of 240 x 320."""

  def make(name='clip.npz', keypoint=None, **fields):
    keypoint = persons_2d() if keypoint is None else keypoint
    fields.setdefault('img_shape', np.array([240, 320]))
    return save(tmp_path / name, keypoint, **fields)

  return make


@pytest.fixture
def clip_3d(tmp_path):
  """Saves a clip of 25 joints, in metres unless scaled."""

  def make(name='clip3d.npz', scale=1.0, num_joints=25):
    body = np.tile(BODY[:num_joints], (1, FRAMES, 1, 1))
    return save(tmp_path / name, (scale * body).astype(np.float32))

  return make


@pytest.fixture
def run(monkeypatch, capsys):
  """Runs the command on a checkpoint; its status and what it printed."""

  def command(loaded, *arguments):
    monkeypatch.setattr(pretrained, 'load', lambda path, step: loaded)
    values = flags.FlagValues()
    predict.define_flags(values)
    paths = values(['predict', '--checkpoint=runs/own', *arguments])[1:]
    status = predict.run(values, paths)
    out, err = capsys.readouterr()
    return status, out, err

  return command


@pytest.fixture
def refusal(run):
  """What the command says when it refuses; nothing may be computed."""

  def function(loaded, *arguments):
    with pytest.raises(errors.UserError) as error:
      run(loaded, *arguments)
    return str(error.value)

  return function


def fit(loaded, path, **options):
  """A clip as it is fitted, without a network."""
  takes_volumes = loaded.config.model.name == 'slowonly'
  expected = mismatch.Expected(
    source=loaded.source,
    config=loaded.config,
    facts=loaded.facts,
    is_assumed=loaded.is_assumed,
    max_persons=0 if takes_volumes else loaded.facts.num_persons,
  )
  read = clip_forms.ReadOptions(
    layout=options.pop('layout', ''), img_shape=options.pop('img_shape', None)
  )
  [clip] = own_clips.list_clips(path, 'auto', read)
  return fitting.fit(clip, expected, **options)


def test_text_and_json_say_the_same(run, clip_2d, tmp_path):
  one = clip_2d('wörk one.npz')
  two = clip_2d('two.npz', persons_2d(num_persons=3))
  output = tmp_path / 'out' / 'predictions.json'
  status, out, _ = run(
    graph_2d(), one, two, '--top=2', f'--output={output}', '--layout=coco'
  )
  assert status == 0
  assert out == (
    'runs/own step 7: stgcn_joint_2d, joint, 1 view a clip\n\n'
    f'{one}  (array, coco, 5 frames, 1 person)\n'
    '  1  walk    50.00 %\n'
    '  2  stand   30.00 %\n\n'
    f'{two}  (array, coco, 5 frames, 3 persons)\n'
    '  note: kept the 2 persons that move most, dropped 1\n'
    '  1  walk    50.00 %\n'
    '  2  stand   30.00 %\n'
    f'\npredictions written to {output}\n'
  )
  content = json.loads(output.read_text(encoding='utf-8'))
  assert content['format'] == 'skeljax-predictions-1'
  assert content['checkpoint'] == 'runs/own step 7'
  assert (content['stream'], content['views']) == ('joint', 1)
  assert content['failed'] == content['assumed'] == []
  first, second = content['clips']
  top = first.pop('top')
  assert first == {
    'file': one,
    'id': 'wörk one.npz',
    'form': 'array',
    'layout': 'coco',
    'frames': 5,
    'persons': 1,
    'img_shape': [240, 320],
    'notes': [],
    'per_person': [],
  }
  assert [(g['label'], g['name']) for g in top] == [(2, 'walk'), (1, 'stand')]
  assert top[0]['probability'] == pytest.approx(0.5)
  assert second['notes'] == ['kept the 2 persons that move most, dropped 1']


def test_each_person_is_scored_alone(run, clip_2d, tmp_path):
  keypoint = persons_2d(num_persons=3, frames=6)
  keypoint[1, :2] = 0
  keypoint[1, 5:] = 0
  keypoint[2] = 0
  output = tmp_path / 'alone.json'
  _, out, _ = run(
    graph_2d(), clip_2d(keypoint=keypoint), '--per_person', '--top=1',
    f'--output={output}',
  )  # fmt: skip
  assert '  person 1, frames 2 to 4\n    1  walk   50.00 %\n' in out
  [clip] = json.loads(output.read_text())['clips']
  spans = [
    (p['person'], p['first_frame'], p['last_frame']) for p in clip['per_person']
  ]
  assert spans == [(0, 0, 5), (1, 2, 4)]


def test_a_person_alone_is_a_clip_of_that_person(clip_2d):
  keypoint = persons_2d(num_persons=2, frames=6)
  keypoint[1, :2] = 0
  both = fit(graph_2d(), clip_2d(keypoint=keypoint), per_person=True)
  alone = fit(graph_2d(), clip_2d('alone.npz', keypoint[1:, 2:]))
  found = both.persons[1].record
  for field in ('keypoint', 'keypoint_score', 'box', 'total_frames'):
    np.testing.assert_array_equal(found[field], alone.record[field], field)


def test_an_annotation_file_needs_no_labels(run, tmp_path):
  items = [
    {
      'frame_dir': name,
      'total_frames': FRAMES,
      'img_shape': (240, 320),
      'keypoint': persons_2d(),
      'keypoint_score': np.ones((1, FRAMES, 17), np.float32),
    }
    for name in ('a', 'b')
  ]
  path = tmp_path / 'clips.pkl'
  path.write_bytes(pickle.dumps(items))
  _, out, _ = run(graph_2d(), str(path), '--top=1')
  assert f'{path}: a  (annotations, coco, 5 frames, 1 person)' in out
  assert f'{path}: b  (annotations' in out


def test_one_bad_file_stops_all_but_with_keep_going(
  run, refusal, clip_2d, tmp_path
):
  good = clip_2d()
  bad = tmp_path / 'bad.npz'
  bad.write_bytes(b'PK\x03\x04')
  text = refusal(graph_2d(), good, str(bad))
  assert str(bad) in text and '--keep_going' in text
  output = tmp_path / 'out.json'
  status, out, err = run(
    graph_2d(), good, str(bad), '--keep_going', f'--output={output}'
  )
  assert status == 2
  assert good in out and 'bad.npz' in err
  content = json.loads(output.read_text())
  assert [c['file'] for c in content['clips']] == [good]
  assert [f['file'] for f in content['failed']] == [str(bad)]
  assert 'bad.npz' in content['failed'][0]['error']
  only_bad = refusal(graph_2d(), str(bad), '--keep_going')
  assert 'bad.npz' in only_bad


def test_logits_become_probabilities(run, clip_2d):
  loaded = graph_2d()
  loaded.config.eval.average = 'score'
  _, out, _ = run(loaded, clip_2d(), '--top=1')
  assert '  1  walk   50.00 %' in out


@pytest.mark.parametrize(
  'arguments, words',
  [
    ((), 'Name the files'),
    (('a.npz', './a.npz'), 'a.npz is named more than once'),
    (('a.npz', '--output=a.csv'), '--output=a.csv'),
    (('a.npz', '--top=0'), '--top=0'),
    (('a.npz', '--img_shape=1080'), '--img_shape=1080x1920'),
    (('a.npz', '--layout=cocco'), "Did you mean 'coco'"),
    (('a.npz', '--max_persons=3'), 'trained with 2 persons'),
    (('a.npz', '--mirrored'), 'eval.mirrored is for volumes'),
    (('missing.npz',), 'There is no file or folder missing.npz'),
    (('a.npz', '--class_names=ntu60'), '60 names'),
  ],
)
def test_mistakes_in_the_command_are_told(refusal, arguments, words):
  assert words in refusal(graph_2d(), *arguments)


def test_class_names_are_given_to_numbered_classes(run, clip_2d, tmp_path):
  names = tmp_path / 'names.txt'
  names.write_text('lie\nrest\nrun\n')
  loaded = graph_2d(class_names=recipe.numbered_classes(3), is_assumed=True)
  output = tmp_path / 'out.json'
  _, out, _ = run(
    loaded, clip_2d(), f'--class_names={names}', f'--output={output}'
  )
  assert '  1  run    50.00 %' in out
  assert json.loads(output.read_text())['assumed'] == ['taken for joints']


def test_another_layout_is_named(refusal, clip_2d):
  text = refusal(
    graph_2d(),
    clip_2d(keypoint=persons_2d(num_joints=18)),
    '--layout=openpose-18',
  )
  assert "18 joints of layout 'openpose-18'" in text
  assert "17 joints of 'coco'" in text
  text = refusal(graph_2d(), clip_2d(keypoint=persons_2d(num_joints=18)))
  assert 'has 18 joints' in text and 'openpose-18' in text


def test_more_joints_may_be_cut_where_they_begin_alike(refusal, tmp_path):
  people = persons_2d(num_joints=133)[0]
  content = {
    'meta_info': {},
    'instance_info': [
      {
        'frame_id': t,
        'instances': [
          {'keypoints': f.tolist(), 'keypoint_scores': [1.0] * len(f)}
        ],
      }
      for t, f in enumerate(people, 1)
    ],
  }
  path = tmp_path / 'whole_body.json'
  path.write_text(json.dumps(content))
  text = refusal(graph_2d(), str(path), '--img_shape=240x320')
  assert 'has 133 joints' in text and '--layout=coco takes them' in text
  fitted = fit(graph_2d(), str(path), layout='coco', img_shape=(240, 320))
  assert fitted.record['keypoint'].shape == (1, FRAMES, 17, 2)


def test_2d_is_told_from_3d(refusal, clip_2d, clip_3d):
  text = refusal(graph_2d(layout='nturgb+d'), clip_3d())
  assert 'holds 3D keypoints' in text and '--third_channel=score' in text
  flat = clip_2d(keypoint=persons_2d(num_joints=25))
  text = refusal(graph_3d(), flat)
  assert 'holds 2D keypoints' in text and 'Depth cannot be added' in text


def test_missing_scores_are_told_and_others_left_out(refusal, clip_2d):
  bare = clip_2d('bare.npz', keypoint_score=None)
  assert "Put 'keypoint_score'" in refusal(graph_2d(), bare)
  assert "Put 'keypoint_score'" in refusal(volumes(), bare)
  fitted = fit(graph_2d(has_score=False, score_dtype=''), clip_2d())
  assert 'keypoint_score' not in fitted.record
  assert 'left out' in fitted.notes[0]
  # A PyTorch file of PoseC3D does not say whether there were scores.
  fitted = fit(volumes(is_assumed=True), bare)
  assert fitted.notes == ('no scores: every joint is drawn with score 1',)


@pytest.mark.parametrize('make', [graph_2d, volumes])
def test_an_unknown_picture_is_told(refusal, clip_2d, make):
  bare = clip_2d(img_shape=None)
  text = refusal(make(), bare)
  assert 'how large its picture is' in text
  assert '--img_shape=HEIGHTxWIDTH' in text
  assert ('1080x1920' in text) == (make is graph_2d)


def test_a_network_without_a_picture_needs_none(clip_2d):
  loaded = graph_2d()
  loaded.config.features.normalize_2d = 'none'
  assert fit(loaded, clip_2d(img_shape=None)).img_shape == (0, 0)


def test_fractions_are_told_from_pixels(refusal, clip_2d):
  path = clip_2d(keypoint=persons_2d() / (320, 240))
  for loaded in (graph_2d(), volumes()):
    text = refusal(loaded, path)
    assert 'fractions of a picture' in text and '--nocheck_units' in text
  # A network that was trained with fractions.
  loaded = graph_2d(body_size=0.2)
  loaded.config.features.normalize_2d = 'none'
  fit(loaded, path)
  text = refusal(loaded, clip_2d('pixels.npz'))
  assert 'in pixels and the training data in fractions' in text


def test_the_size_of_another_picture_is_told(refusal, clip_2d):
  text = refusal(graph_2d(), clip_2d(img_shape=np.array([24, 32])))
  assert '100% of its joints lie outside the picture of 24x32' in text


@pytest.mark.parametrize(
  'scale, words',
  [
    (1000, ('about 1,000 times as large', 'in millimetres', 'divided by 1000')),
    (100, ('in centimetres and the training data in metres',)),
    (0.001, ('about 1,000 times as small', 'times 1000')),
    (1e7, ('about 10,000,000 times as large',)),
  ],
)
@pytest.mark.parametrize('body_size', [0.5, 0.0])
def test_another_unit_is_told(refusal, clip_3d, scale, words, body_size):
  """Also of published files, which are known to be in metres."""
  text = refusal(graph_3d(body_size=body_size), clip_3d(scale=scale))
  for word in words:
    assert word in text


def test_units_need_not_be_those_of_the_training(clip_3d):
  loaded = graph_3d()
  assert loaded.facts.normalize == 'mmaction0x'
  for scale in (0.4, 1, 3):
    fit(loaded, clip_3d(scale=scale))  # A child, a giant.
  # Clips that are scaled by themselves have no unit.
  whole = graph_3d('ucla', layout='ucla', max_frames=FRAMES)
  body = clip_3d(scale=1000, num_joints=20)
  assert fit(whole, body).record['keypoint'].max() > 100


def test_nobody_is_told(refusal, clip_2d):
  text = refusal(graph_2d(), clip_2d(keypoint=np.zeros((1, 3, 17, 2))))
  assert 'nobody is seen' in text


def test_a_clip_may_be_too_long(refusal, clip_3d):
  loaded = graph_3d()
  loaded.config.data.update(frames='zero', clip_len=4)
  assert 'has 5 frames' in refusal(loaded, clip_3d())


def test_diverged_weights_are_told(refusal, clip_2d):
  loaded = graph_2d()
  loaded.variables['params']['head']['fc']['bias'][:] = np.nan
  assert 'diverged' in refusal(loaded, clip_2d())


def test_projected_clips_may_come_in_3d_or_2d(clip_2d, clip_3d):
  loaded = volumes(layout='nturgb+d', project='orthographic')
  solid = fit(loaded, clip_3d(scale=1000))
  assert solid.record['keypoint'].shape[-1] == 2
  assert tuple(solid.record['img_shape']) == (1080, 1920)
  flat = fit(loaded, clip_2d(keypoint=persons_2d(num_joints=25)))
  assert tuple(flat.record['img_shape']) == (240, 320)


def test_checkpoints_from_before_can_be_read():
  facts = graph_2d().facts.to_dict()
  for field in ('score_dtype', 'project', 'body_size'):
    del facts[field]
  read = recipe.Facts.from_dict(facts, source='old')
  assert (read.score_dtype, read.project, read.body_size) == ('', 'none', 0.0)


def test_configurations_are_left_as_they_are(run, clip_2d):
  loaded = graph_2d()
  before = config_dict.ConfigDict(loaded.config.to_dict())
  run(loaded, clip_2d(), '--num_clips=2', '--batch_size=4')
  assert loaded.config.to_dict() == before.to_dict()
