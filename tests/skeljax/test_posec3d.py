"""PoseC3D from a prepared dataset to scores, and refused settings."""

import dataclasses
import json
import pickle

import numpy as np
import pytest

from configs import posec3d_gym_limb
from configs import posec3d_ntu60_keypoint
from configs import posec3d_ucf101_keypoint
from data_prep import options
from data_prep import prepare
from skeljax import errors
from skeljax import run as run_lib
from skeljax import scoring
from skeljax import skeletons
from skeljax import train
from skeljax.datasets.spec import DataSpec

NUM_TRAIN, NUM_VAL, NUM_CLASSES = 16, 6, 2
SPEC = DataSpec(
  layout=skeletons.LAYOUTS['coco'],
  class_names=('a', 'b'),
  num_channels=2,
  score_dtype='float16',
  num_persons=2,
  normalize='none',
  keypoint_dtype='float16',
  max_frames=10,
)


def _annotations(with_score=True, img_shape=(120, 160)):
  """One or three persons whose joints swing along x or y."""
  rng = np.random.default_rng(0)
  pose = rng.uniform(30, 90, (17, 2))
  annotations, split = [], {'train': [], 'val': []}
  for i in range(NUM_TRAIN + NUM_VAL):
    label, frames = i % NUM_CLASSES, int(rng.integers(1, 12))
    persons = 1 + 2 * (i % 3 == 0)
    swing = np.zeros((frames, 1, 2))
    swing[:, 0, label] = 20 * np.sin(np.arange(frames))
    keypoint = pose + swing + rng.normal(0, 2, (persons, frames, 17, 2))
    annotation = dict(
      frame_dir=f'clip{i:03d}',
      label=label,
      total_frames=frames,
      keypoint=keypoint.astype(np.float16),
    )
    if with_score:
      annotation['keypoint_score'] = rng.uniform(
        0, 1, (persons, frames, 17)
      ).astype(np.float16)
    # The last clip may be the only one that does not say its size.
    if img_shape and (img_shape != 'most' or i):
      annotation['img_shape'] = (120, 160)
    annotations.append(annotation)
    split['train' if i < NUM_TRAIN else 'val'].append(f'clip{i:03d}')
  return dict(split=split, annotations=annotations)


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
  """Return prepared(name, **options), which returns the dataset root."""
  root = tmp_path_factory.mktemp('datasets')

  def function(name, max_persons=0, **what):
    path = root / f'{name}.pkl'
    path.write_bytes(pickle.dumps(_annotations(**what)))
    prepare.prepare(
      options.Options(
        source='pickle',
        input=str(path),
        layout='coco',
        name=name,
        output=str(root),
        max_persons=max_persons,
      ),
      ['--runner=FnApiRunner'],
    )
    return str(root)

  return function


def _config(root, dataset):
  """Return the published config with a network of two narrow blocks."""
  config = posec3d_ntu60_keypoint.get_config()
  config.data.update(dir=root, dataset=dataset, clip_len=4, num_clips=4)
  config.input.update(short_side=10, size=8, test_size=8)
  config.model.update(
    base_channels=4,
    stage_blocks=(1, 1),
    inflate=(0, 1),
    spatial_strides=(2, 2),
    temporal_strides=(1, 2),
    dilations=(1, 1),
    norm_group=4,
  )
  config.train.update(batch_size=8, epochs=3.0, log_every_steps=2)
  config.optim.update(base_lr=0.01, reference_batch=0)
  config.eval.update(batch_size=4, every_epochs=3.0)
  config.checkpoint.every_epochs = 3.0
  return config


@pytest.fixture(scope='module')
def run(prepared, tmp_path_factory):
  """Return config, workdir and result of a run of six steps."""
  config = _config(prepared('tiny_2d'), 'tiny_2d')
  workdir = tmp_path_factory.mktemp('posec3d')
  return config, workdir, train.train(config, str(workdir))


def test_run_scores_every_clip_with_flipped_views(run):
  config, workdir, result = run
  assert np.isfinite(result.summary['loss'])
  results = json.loads((workdir / 'results.json').read_text())
  assert results['num_clips'] == NUM_VAL
  assert results['views'] == 2 * config.data.num_clips
  lines = (workdir / 'metrics.jsonl').read_text().splitlines()
  losses = [json.loads(line)['loss'] for line in lines]
  assert np.isfinite(losses).all()


def test_scores_do_not_depend_on_the_views_at_once(run):
  config, _, result = run
  config = config.copy_and_resolve_references()
  dataset = run_lib.open_dataset(config)
  scores = []
  for at_once in (0, 1, 2):
    config.eval.views_at_once = at_once
    run_now = run_lib.Run(config, dataset.spec)
    evaluator = scoring.Evaluator(run_now, dataset, num_clips=4, mirrored=True)
    scores.append(evaluator(result.state.variables).scores)
  np.testing.assert_allclose(scores[1], scores[0], atol=1e-6)
  np.testing.assert_allclose(scores[2], scores[0], atol=1e-6)


def test_views_at_once_must_divide_the_views(run):
  config = run[0].copy_and_resolve_references()
  config.eval.views_at_once = 3
  dataset = run_lib.open_dataset(config)
  spec = dataset.spec
  with pytest.raises(errors.UserError, match='=3 does not divide the 4 views'):
    scoring.Evaluator(run_lib.Run(config, spec), dataset, num_clips=4)


def test_validation_with_one_view_accepts_a_divisor_of_the_final_views(run):
  config = run[0].copy_and_resolve_references()
  config.eval.views_at_once = 2
  views = run_lib.Run(config, SPEC)
  assert scoring.check_views(views, num_clips=1, mirrored=False) == 0
  assert scoring.check_views(views, num_clips=4, mirrored=True) == 2


@pytest.mark.parametrize(
  'field, value, message',
  [
    ('input.sigma', 0.0, 'sigma'),
    ('eval.views_at_once', 3, 'does not divide the 4 views'),
    ('eval.views_at_once', -1, 'does not divide the 4 views'),
    ('input.size', 10, 'size=10: volumes of 10 pixels'),
    ('model.spatial_strides', (2, 0, 2), 'spatial_strides'),
    ('model.conv1_stride', (1,), 'conv1_stride'),
  ],
)
def test_invalid_settings_are_refused_before_the_workdir_exists(
  run, tmp_path, field, value, message
):
  config = run[0].copy_and_resolve_references()
  config.update_from_flattened_dict({field: value})
  with pytest.raises(errors.UserError, match=message):
    train.train(config, str(tmp_path / 'run'))
  assert not (tmp_path / 'run').exists()


def test_run_of_other_settings_is_not_continued(run):
  config = run[0].copy_and_resolve_references()
  config.input.sigma = 0.7
  with pytest.raises(errors.UserError, match='sigma: 0.6 there, 0.7 here'):
    train.train(config, str(run[1]))


@pytest.mark.parametrize('img_shape', [None, 'most'])
def test_clip_without_image_size_is_refused(prepared, tmp_path, img_shape):
  name = f'no_size_{img_shape}'
  config = _config(prepared(name, img_shape=img_shape), name)
  with pytest.raises(errors.UserError, match='without an image size'):
    train.train(config, str(tmp_path / 'run'))
  assert not (tmp_path / 'run').exists()


def test_notes_report_missing_scores_and_removed_persons(run, prepared):
  config = run[0]
  complete = run_lib.open_dataset(config)
  assert complete.spec.num_persons == 3
  assert complete.metadata['num_cut'] == 0
  assert not run_lib.Run(config, complete.spec).input.notes(0)
  root = prepared('poor_2d', with_score=False, max_persons=2)
  poor = run_lib.open_dataset(_config(root, 'poor_2d'))
  scores, persons = run_lib.Run(config, poor.spec).input.notes(
    poor.metadata['num_cut']
  )
  assert 'drawn with score 1' in scores
  assert '8 clips have more than the 2 persons' in persons


def test_3d_skeletons_are_refused(tiny_root, tmp_path):
  config = _config(tiny_root, 'tiny')
  with pytest.raises(errors.UserError, match='3D skeletons.*needs 2D'):
    train.train(config, str(tmp_path / 'run'))
  spec = dataclasses.replace(SPEC, num_channels=3)
  with pytest.raises(errors.UserError, match='--project=orthographic'):
    _ = run_lib.Run(config, spec).input


def test_layout_without_limbs_is_refused_by_a_limb_config():
  layout = dataclasses.replace(SPEC.layout, limbs=())
  spec = dataclasses.replace(SPEC, layout=layout)
  _ = run_lib.Run(posec3d_ntu60_keypoint.get_config(), spec).input
  with pytest.raises(errors.UserError, match='limbs'):
    _ = run_lib.Run(posec3d_gym_limb.get_config(), spec).input


@pytest.mark.parametrize(
  'field, value, message',
  [
    ('sigma', 0.0, 'sigma'),
    ('sigma', -0.6, 'sigma'),
    ('scaling', 0.3, 'scaling'),
  ],
)
def test_settings_without_a_valid_volume_are_refused(field, value, message):
  config = posec3d_ntu60_keypoint.get_config()
  config.input[field] = value
  with pytest.raises(errors.UserError, match=message):
    _ = run_lib.Run(config, SPEC).input


@pytest.mark.parametrize(
  'changes, message',
  [
    ({'input.size': 57}, '=57: volumes of 57 pixels.*such as 56'),
    ({'input.test_size': 60}, '=60: volumes of 60 pixels'),
    ({'input.scaling': 0.5}, '=56: volumes of 28 pixels'),
    ({'model.conv1_stride': (1, 2)}, 'size=56.*total stride 16.*such as 64'),
    ({'model.pool1_stride': (1, 2)}, 'size=56.*total stride 16'),
  ],
)
def test_sizes_that_strides_do_not_divide_are_refused_for_training_only(
  changes, message
):
  config = posec3d_ntu60_keypoint.get_config()
  config.update_from_flattened_dict(changes)
  run = run_lib.Run(config, SPEC)
  with pytest.raises(errors.UserError, match=message):
    run.input.validate(run.model)


def test_disabled_pooling_has_no_stride():
  config = posec3d_ntu60_keypoint.get_config()
  config.model.update(pool1_stride=(1, 2), with_pool1=False)
  run = run_lib.Run(config, SPEC)
  run.input.validate(run.model)


def test_fine_tuning_recipe_names_its_published_weights(run, tmp_path):
  config = posec3d_ucf101_keypoint.get_config()
  config.data.update(dir=run[0].data.dir, dataset='tiny_2d')
  with pytest.raises(errors.UserError, match='k400_posec3d-041f49c6.pth'):
    train.train(config, str(tmp_path / 'run'))
  assert not (tmp_path / 'run').exists()


def test_graph_networks_have_no_flipped_views(tiny_config):
  dataset = run_lib.open_dataset(tiny_config)
  run = run_lib.Run(tiny_config, dataset.spec)
  with pytest.raises(errors.UserError, match='only heatmaps have flipped'):
    scoring.Evaluator(run, dataset, mirrored=True)
