"""Prediction shows a network what training and evaluation show it.

The clips of an annotation file, predicted as they are, get the scores that
evaluation finds on the dataset that was prepared of the same file.
"""

import dataclasses
import json
import pickle

from absl import flags
import jax
from ml_collections import config_dict
import numpy as np
import pytest

from configs import agcn_joint
from configs import posec3d_ntu60_keypoint
from configs import stgcn_joint_2d
from configs import stgcn_joint_3d
from data_prep import options as options_lib
from data_prep import prepare
from data_prep import sources
from skeljax import pretrained
from skeljax import recipe
from skeljax import scoring
from skeljax import sharding
from skeljax.data import datasets
from skeljax.data.formats import clip_forms
from skeljax.predict import __main__ as predict
from skeljax.predict import checkpoint
from skeljax.predict import fitting
from skeljax.predict import mismatch
from skeljax.predict import own_clips
from skeljax.predict import ranking

NUM_TRAIN, NUM_VAL, NUM_CLASSES = 5, 6, 3


def write_clips(path, dims: int, num_joints: int) -> None:
  """Clips of one to three persons that move differently much."""
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
    # Joints, frames and persons may be missing.
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
  """prepared(dims, **options): annotation file, and its prepared dataset."""
  folder = tmp_path_factory.mktemp('predict')

  def function(dims, normalize='none', project='none'):
    path = folder / f'{dims}d.pkl'
    if not path.exists():
      write_clips(path, dims, {2: 17, 3: 25}[dims])
    name = f'd{dims}_{normalize}_{project}'
    if datasets.dataset_directory(str(folder), name) is None:
      options = options_lib.Options(
        source='pickle',
        inputs={'': str(path)},
        protocol='',
        layout={2: 'coco', 3: 'nturgb+d'}[dims],
        normalize=normalize,
        project=project,
        name=name,
        output=str(folder),
      )
      prepare.prepare(options, ['--runner=FnApiRunner'])
    return str(path), datasets.open_dataset(str(folder), name)

  return function


def narrow(config) -> config_dict.ConfigDict:
  """The configuration with two narrow stages and short clips."""
  config.model.base_channels = 4
  if config.model.name == 'slowonly':
    config.model.update(
      stage_blocks=(1, 1), inflate=(0, 1), spatial_strides=(2, 2),
      temporal_strides=(1, 1), dilations=(1, 1),
    )  # fmt: skip
    config.features.update(short_side=12, size=8, test_size=8)
  else:
    config.model.update(num_stages=2, inflate_stages=(2,), down_stages=(2,))
  config.data.update(clip_len=4, num_workers=0)
  config.eval.batch_size = 4
  return config


def untrained(config, facts, **fields) -> pretrained.Pretrained:
  """A checkpoint of random weights, as they are saved."""
  rng = np.random.default_rng(0)

  def fill(path, leaf):
    name = path[-1].key
    if leaf.ndim > 1:
      return rng.normal(0, leaf.shape[-2] ** -0.5, leaf.shape)
    return np.full(leaf.shape, {'scale': 1, 'var': 1}.get(name, 0.1))

  variables = jax.tree_util.tree_map_with_path(
    lambda path, leaf: fill(path, leaf).astype(leaf.dtype),
    recipe.abstract_variables(config, facts),
  )
  known = {
    'source': 'the run',
    'is_assumed': False,
    'meta': {},
  }
  facts = recipe.Facts.from_dict(
    json.loads(json.dumps(facts.to_dict())), source='the run'
  )
  return pretrained.Pretrained(
    config=config, facts=facts, variables=variables, **known | fields
  )


def expected_by(loaded, **changes) -> mismatch.Expected:
  takes_volumes = loaded.config.model.name == 'slowonly'
  known = {
    'source': loaded.source,
    'config': loaded.config,
    'facts': loaded.facts,
    'is_assumed': loaded.is_assumed,
    'max_persons': (
      loaded.facts.max_persons if takes_volumes else loaded.facts.num_persons
    ),
  }
  return mismatch.Expected(**known | changes)


def fitted(loaded, path, ids) -> list[dict]:
  """The records of some clips of an annotation file, as the command has it."""
  args = flags.FlagValues()
  predict.define_flags(args)
  args(['predict'])
  expected = checkpoint.expected(loaded, args)
  listed = own_clips.list_clips(
    path,
    'auto',
    clip_forms.ReadOptions(),
    max_persons=expected.max_persons_in_frame,
  )
  found = [fitting.fit(c, expected) for c in listed if c.id in ids]
  assert [f.clip.id for f in found] == list(ids)
  return [f.record for f in found]


def assert_same_records(found, dataset) -> None:
  """All that a network is shown of the clips is as it was prepared."""
  for own, stored in zip(found, dataset.source('val'), strict=True):
    for field in stored.keys() - {'label', 'position'}:
      assert np.asarray(own[field]).dtype == np.asarray(stored[field]).dtype
      np.testing.assert_array_equal(own[field], stored[field], field)


def evaluated(loaded, dataset) -> np.ndarray:
  mesh = sharding.make_mesh()
  evaluator = scoring.Evaluator(
    loaded.config,
    loaded.facts_for(dataset),
    dataset,
    mesh,
    num_clips=loaded.config.data.num_clips,
    mirrored=loaded.config.eval.mirrored,
  )
  return evaluator(
    jax.device_put(loaded.variables, sharding.replicated(mesh))
  ).scores


def graph_3d():
  """Bone motion of raw coordinates, in the type of the file."""
  config = narrow(agcn_joint.get_config('bone_motion'))
  config.data.normalize = 'none'
  config.data.frames = 'uniform'
  return config, 3, {}


def graph_3d_normalized():
  config = narrow(stgcn_joint_3d.get_config('u100'))
  config.data.num_clips = 2
  return config, 3, {'normalize': 'mmaction1x'}


def graph_3d_normalized_0x():
  config = narrow(stgcn_joint_3d.get_config('bone'))
  config.data.frames = 'loop'
  return config, 3, {'normalize': 'mmaction0x'}


def graph_2d_rounded():
  """Joint motion, rounded to float16 as published; scores a channel."""
  config = narrow(stgcn_joint_2d.get_config('u100,joint_motion'))
  config.data.num_clips = 2
  return config, 2, {}


def graph_2d_boxed():
  config = narrow(stgcn_joint_2d.get_config('u100'))
  config.data.num_clips = 1
  config.features.normalize_2d = 'pyskl_auto'
  return config, 2, {}


def whole_clips():
  config = narrow(agcn_joint.get_config('ucla'))
  config.features.rotate = ()
  return config, 3, {}


def volumes():
  config = narrow(posec3d_ntu60_keypoint.get_config('keypoint_limb'))
  config.data.num_clips = 2
  assert config.eval.mirrored
  return config, 2, {}


def volumes_of_projections():
  config = narrow(posec3d_ntu60_keypoint.get_config(''))
  config.data.num_clips = 1
  return config, 3, {'project': 'orthographic'}


def assumed_of_a_pytorch_file():
  """Neither types nor names of classes are known."""
  config = narrow(stgcn_joint_2d.get_config('u100,bone'))
  config.data.num_clips = 1
  return config, 2, {'is_assumed': True}


def checkpoint_and_clips(prepared, make):
  """An untrained checkpoint, a dataset, and its clips as they are predicted."""
  config, dims, options = make()
  is_assumed = options.pop('is_assumed', False)
  path, dataset = prepared(dims, **options)
  facts = recipe.facts_of(dataset, config)
  if is_assumed:
    facts = dataclasses.replace(
      facts,
      class_names=recipe.numbered_classes(NUM_CLASSES),
      keypoint_dtype='float32',
      score_dtype='',
      body_size=0.0,
    )
  loaded = untrained(config, facts, is_assumed=is_assumed)
  ids = [record['id'] for record in dataset.source('val')]
  return loaded, dataset, fitted(loaded, path, ids)


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
def test_clips_of_a_file_get_the_scores_of_the_prepared_dataset(prepared, make):
  loaded, dataset, found = checkpoint_and_clips(prepared, make)
  scores = evaluated(loaded, dataset)
  assert_same_records(found, dataset)
  np.testing.assert_array_equal(ranking.score_clips(loaded, found), scores)
  assert len(np.unique(scores.round(6), axis=0)) == NUM_VAL


@pytest.mark.parametrize(
  'make',
  [graph_3d_normalized_0x, graph_2d_boxed, volumes_of_projections],
  ids=lambda make: make.__name__,
)
def test_clips_of_a_file_become_the_records_of_the_prepared_dataset(
  prepared, make
):
  loaded, dataset, found = checkpoint_and_clips(prepared, make)
  assert_same_records(found, dataset)
  assert loaded.facts.body_size > 0


def test_files_of_a_pose_tool_become_the_records_of_the_prepared_dataset(
  tmp_path,
):
  """Two persons without ids, who have to be told apart, in both ways alike."""
  rng = np.random.default_rng(0)
  names = [f'clip{i}.json' for i in range(4)]
  for name in names:
    pose, step = rng.uniform(20, 80, (2, 17, 2)), rng.uniform(-6, 6, (2, 1, 2))
    frames = []
    for t in range(9):
      people = [
        {
          'keypoints': (pose[m] + t * step[m]).tolist(),
          'keypoint_scores': rng.uniform(0.2, 1, 17).tolist(),
        }
        for m in rng.permutation(2)
      ]
      frames.append({'frame_id': t, 'instances': people})
    (tmp_path / name).write_text(json.dumps(frames))
  labels = tmp_path / 'labels.csv'
  labels.write_text(
    'file,label,split\n'
    + ''.join(
      f'{name},{"ab"[i % 2]},{("train", "val")[i > 1]}\n'
      for i, name in enumerate(names)
    )
  )
  options = options_lib.Options(
    source='clips',
    inputs={'': str(tmp_path)},
    protocol='',
    layout='',
    normalize='none',
    name='own',
    output=str(tmp_path / 'prepared'),
    choices=sources.Choices(labels=str(labels), img_shape='240x320'),
  )
  prepare.prepare(options, ['--runner=FnApiRunner'])
  dataset = datasets.open_dataset(str(tmp_path / 'prepared'), 'own')
  config = narrow(stgcn_joint_2d.get_config('u100'))
  loaded = untrained(config, recipe.facts_of(dataset, config))
  read = clip_forms.ReadOptions(img_shape=(240, 320))
  found = []
  for name in names[2:]:
    [clip] = own_clips.list_clips(str(tmp_path / name), 'auto', read)
    found.append(fitting.fit(clip, expected_by(loaded)).record)
  assert found[0]['keypoint'].shape == (2, 9, 17, 2)
  assert_same_records(found, dataset)


@pytest.mark.parametrize('told, kept', [(None, 10), (2, 2), (0, 12)])
def test_compressed_clips_are_filled_as_in_the_preparation(
  tmp_path, told, kept
):
  """Of more than ten in a frame the surest are kept, not two that move."""
  rng = np.random.default_rng(0)
  annotations = []
  for name, people in (('a', 1), ('b', 12), ('c', 3)):
    frame_inds = np.repeat(np.arange(4), people)
    keypoint = rng.uniform(10, 100, (len(frame_inds), 17, 3))
    keypoint[..., 2] = rng.uniform(0, 1, keypoint.shape[:2])
    annotations.append(
      {
        'frame_dir': name,
        'label': 0,
        'total_frames': 4,
        'img_shape': (120, 160),
        'frame_inds': frame_inds,
        'keypoint': keypoint.astype(np.float16),
      }
    )
  path = tmp_path / 'clips.pkl'
  split = {'train': ['a'], 'val': ['b', 'c']}
  path.write_bytes(pickle.dumps({'split': split, 'annotations': annotations}))
  options = options_lib.Options(
    source='pickle',
    inputs={'': str(path)},
    protocol='',
    layout='coco',
    normalize='none',
    name='crowds',
    output=str(tmp_path),
    max_persons=told,
  )
  prepare.prepare(options, ['--runner=FnApiRunner'])
  dataset = datasets.open_dataset(str(tmp_path), 'crowds')
  assert dataset.num_persons == kept
  config = narrow(posec3d_ntu60_keypoint.get_config(''))
  loaded = untrained(config, recipe.facts_of(dataset, config))
  assert_same_records(fitted(loaded, str(path), ['b', 'c']), dataset)
