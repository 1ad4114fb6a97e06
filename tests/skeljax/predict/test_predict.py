"""Predictions equal the evaluation of the prepared dataset.

The clips of an annotation file get the same scores from skeljax.predict as from
skeljax.evaluate on the dataset prepared from the same file.
"""

import dataclasses
import pickle

import jax
import numpy as np
import pytest

from configs import agcn_ctrgcn
from configs import agcn_joint
from configs import posec3d_ntu60_keypoint
from configs import stgcn_joint_3d
from configs import stgcn_mmaction1x
from data_prep import options as options_lib
from data_prep import prepare
from skeljax import run as run_lib
from skeljax import scoring
from skeljax.datasets import prepared as datasets
from skeljax.datasets import spec as spec_lib
from skeljax.predict import scores as scores_lib
from skeljax.training import sharding
from tests.skeljax.predict import own

NUM_TRAIN, NUM_VAL, NUM_CLASSES = 5, 6, 3


def write_clips(path, dims: int, num_joints: int) -> None:
  """Write clips of one to three persons with different amounts of motion."""
  rng = np.random.default_rng(dims)
  annotations, split = [], {'train': [], 'val': []}
  for i in range(NUM_TRAIN + NUM_VAL):
    persons, frames = 1 + i % 3, int(rng.integers(3, 14))
    low, high = ((-1, 1), (10, 100))[dims == 2]
    pose = rng.uniform(low, high, (persons, 1, num_joints, dims))
    swing = rng.uniform(0.1, 1, (persons, 1, 1, 1)) * rng.normal(
      0, (high - low) / 10, (persons, frames, num_joints, dims)
    )
    item = {
      'frame_dir': f'clip{i:02d}',
      'label': i % NUM_CLASSES,
      'total_frames': frames,
      'keypoint': (pose + swing).astype(np.float16),
    }
    # A missing joint, and a missing frame of a person.
    item['keypoint'][0, 0, 1] = 0
    item['keypoint'][-1, -1] = 0
    if dims == 2:
      score = rng.uniform(0, 1, (persons, frames, num_joints))
      item['keypoint_score'] = score.astype(np.float16)
      item['img_shape'] = (120, 160)
    annotations.append(item)
    split['train' if i < NUM_TRAIN else 'val'].append(item['frame_dir'])
  with open(path, 'wb') as file:
    pickle.dump({'split': split, 'annotations': annotations}, file)


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
  """prepared(dims, **options): annotation file and prepared dataset."""
  folder = tmp_path_factory.mktemp('predict')

  def function(dims, normalize='none', project='none'):
    path = folder / f'{dims}d.pkl'
    if not path.exists():
      write_clips(path, dims, {2: 17, 3: 25}[dims])
    name = f'd{dims}_{normalize}_{project}'
    if datasets.dataset_directory(str(folder), name) is None:
      options = options_lib.Options(
        source='pickle',
        input=str(path),
        layout={2: 'coco', 3: 'nturgb+d'}[dims],
        normalize=normalize,
        project=project,
        name=name,
        output=str(folder),
      )
      prepare.prepare(options, ['--runner=FnApiRunner'])
    return str(path), datasets.open_dataset(str(folder), name)

  return function


def evaluated(loaded, dataset) -> np.ndarray:
  run = run_lib.Run(loaded.config, loaded.spec_for(dataset))
  evaluator = scoring.Evaluator(
    run,
    dataset,
    num_clips=loaded.config.data.num_clips,
    mirrored=loaded.config.eval.mirrored,
  )
  return evaluator(
    jax.device_put(loaded.variables, sharding.replicated(run.mesh))
  ).scores


def graph_3d():
  """Bone motion of raw coordinates, in the dtype of the file."""
  config = own.narrow(agcn_joint.get_config('stream=bone_motion'))
  config.data.normalize = 'none'
  config.data.frames = 'uniform'
  return config, 3, {}


def graph_3d_normalized():
  config = own.narrow(stgcn_mmaction1x.get_config())
  config.data.num_clips = 2
  return config, 3, {'normalize': 'mmaction1x'}


def graph_3d_normalized_0x():
  config = own.narrow(stgcn_joint_3d.get_config('stream=bone'))
  config.data.frames = 'loop'
  return config, 3, {'normalize': 'mmaction0x'}


def graph_2d_rounded():
  """Joint motion, rounded to float16 as published, with a score channel."""
  config = own.narrow(stgcn_mmaction1x.get_config('stream=joint_motion,dims=2'))
  config.data.num_clips = 2
  return config, 2, {}


def graph_2d_boxed():
  config = own.narrow(stgcn_mmaction1x.get_config('dims=2'))
  config.data.num_clips = 1
  config.input.normalize_2d = 'pyskl_auto'
  return config, 2, {}


def whole_clips():
  config = own.narrow(agcn_ctrgcn.get_config())
  config.input.rotate = ()
  return config, 3, {}


def volumes():
  config = own.narrow(
    posec3d_ntu60_keypoint.get_config('heatmap=keypoint_limb')
  )
  config.data.num_clips = 2
  assert config.eval.mirrored
  return config, 2, {}


def volumes_of_projections():
  config = own.narrow(posec3d_ntu60_keypoint.get_config())
  config.data.num_clips = 1
  return config, 3, {'project': 'orthographic'}


def assumed_of_a_pytorch_file():
  """Dtypes and class names are unknown."""
  config = own.narrow(stgcn_mmaction1x.get_config('stream=bone,dims=2'))
  config.data.num_clips = 1
  return config, 2, {'is_assumed': True}


def checkpoint_and_clips(prepared, make):
  """An untrained checkpoint, a dataset, and its preprocessed clips."""
  config, dims, options = make()
  is_assumed = options.pop('is_assumed', False)
  path, dataset = prepared(dims, **options)
  spec = dataset.spec
  if is_assumed:
    spec = dataclasses.replace(
      spec,
      class_names=spec_lib.numbered_classes(NUM_CLASSES),
      keypoint_dtype='float32',
      score_dtype='float32' if spec.has_score else '',
      body_size=0.0,
    )
  loaded = own.untrained(config, spec, is_assumed=is_assumed)
  ids = [record['id'] for record in dataset.source('val')]
  return loaded, dataset, own.preprocessed(loaded, path, ids)


@pytest.mark.parametrize(
  'make',
  [
    graph_3d,
    graph_3d_normalized,
    graph_2d_rounded,
    whole_clips,
    volumes,
    assumed_of_a_pytorch_file,
  ],
  ids=lambda make: make.__name__,
)
def test_scores_equal_those_of_the_prepared_dataset(prepared, make):
  loaded, dataset, found = checkpoint_and_clips(prepared, make)
  scores = evaluated(loaded, dataset)
  own.assert_same_records(found, dataset)
  np.testing.assert_array_equal(scores_lib.score_clips(loaded, found), scores)
  assert len(np.unique(scores.round(6), axis=0)) == NUM_VAL


@pytest.mark.parametrize(
  'make',
  [graph_3d_normalized_0x, graph_2d_boxed, volumes_of_projections],
  ids=lambda make: make.__name__,
)
def test_records_equal_those_of_the_prepared_dataset(prepared, make):
  loaded, dataset, found = checkpoint_and_clips(prepared, make)
  own.assert_same_records(found, dataset)
  assert loaded.spec.body_size > 0
