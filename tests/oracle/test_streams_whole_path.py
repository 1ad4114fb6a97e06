"""One annotation file through data_prep and a recipe, and through mmaction2.

What the other files compare step by step: PoseDataset with the published
pipeline on one side, the commands' own parts on the other.
"""

import itertools
import pathlib
import pickle

import drawn_clips
from mmaction.datasets import PoseDataset
from mmaction.datasets import transforms
import numpy as np
import pytest

from data_prep import options as options_lib
from data_prep import prepare
from skeljax import cli
from skeljax import run as run_lib
from skeljax.datasets import pipeline
from skeljax.datasets import prepared as datasets
from tests import specs

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / 'configs'
# Config, layout, joints, channels, types, preparation.
KINDS = {
  '2d': (
    'stgcn_mmaction1x.py:dims=2',
    'coco',
    17,
    2,
    'float16',
    'float16',
    'none',
  ),
  '3d': (
    'agcn_mmaction1x.py:dims=3',
    'nturgb+d',
    25,
    3,
    'float16',
    '',
    'mmaction1x',
  ),
}
NUM_CLIPS = 18
BATCH = 4

model_input = specs.model_input


@pytest.fixture(scope='module', params=KINDS)
def prepared(request, oracle_seed, tmp_path_factory):
  """Return the case, the annotation file and the dataset root."""
  _, layout, joints, channels, *dtypes, normalize = KINDS[request.param]
  folder = tmp_path_factory.mktemp('whole_path')
  rng = np.random.RandomState(oracle_seed % 2**32)
  items = []
  while len(items) < NUM_CLIPS:
    item = drawn_clips.draw(rng, joints, channels, *dtypes)
    if item['keypoint'].any():  # data_prep refuses clips without a person.
      name = f'{len(items)}: {item["frame_dir"]}, seed {oracle_seed}'
      items.append(item | {'frame_dir': name, 'label': int(rng.randint(5))})
  names = [item['frame_dir'] for item in items]
  # The order of a split says nothing: a split is a set.
  split = {'xsub_train': names[7:][::-1], 'xsub_val': names[:7][::-1]}
  path = folder / 'clips.pkl'
  with open(path, 'wb') as f:
    pickle.dump({'split': split, 'annotations': items}, f)
  (folder / 'names.txt').write_text('a\nb\nc\nd\ne\n')
  options = options_lib.Options(
    source='pickle',
    input=str(path),
    protocol='xsub',
    layout=layout,
    normalize=normalize,
    name='drawn',
    output=str(folder),
    class_names=str(folder / 'names.txt'),
  )
  prepare.prepare(options, ['--runner=FnApiRunner'])
  return request.param, path, folder


def make_recipe(kind, folder, stream):
  """The recipe of mmaction2 1.x for a stream: config, dataset, features."""
  config = cli.load_config(
    f'{CONFIGS / KINDS[kind][0]},stream={stream},dataset=drawn'
  )
  config.data.dir = str(folder)
  dataset = datasets.open_dataset(str(folder), 'drawn')
  spec = dataset.spec
  return config, dataset, spec, run_lib.Run(config, spec).input


def published_start(kind, stream):
  """Return the first transforms of the published configs."""
  layout = KINDS[kind][1]
  return (
    dict(type='PreNormalize2D' if kind == '2d' else 'PreNormalize3D'),
    dict(type='GenSkeFeat', dataset=layout, feats=[drawn_clips.FEATS[stream]]),
  )


def assert_equal(ours, theirs, kind, clip):
  """Bit-equal in 2D; 3D is float64 in mmaction2 and float32 here."""
  if kind == '2d':
    np.testing.assert_array_equal(ours, theirs, clip['id'])
  else:
    # As in test_streams.py: up to four coordinates of half a unit each.
    scale = max(1.0, np.abs(clip['keypoint']).max())
    np.testing.assert_allclose(
      ours, theirs, rtol=0, atol=5e-7 * scale, err_msg=clip['id']
    )


@pytest.mark.parametrize('stream', ['joint', 'bone_motion'])
@pytest.mark.parametrize('num_clips', [1, 10])
def test_validation_and_test_pipelines_are_equal(prepared, num_clips, stream):
  kind, path, folder = prepared
  published = PoseDataset(
    ann_file=str(path),
    split='xsub_val',
    test_mode=True,
    pipeline=[
      *published_start(kind, stream),
      dict(
        type='UniformSampleFrames',
        clip_len=100,
        num_clips=num_clips,
        test_mode=True,
      ),
      dict(type='PoseDecode'),
      dict(type='FormatGCNInput', num_person=2),
      dict(type='PackActionInputs'),
    ],
  )
  config, dataset, spec, options = make_recipe(kind, folder, stream)
  assert config.data.num_clips == 10 and config.data.clip_len == 100
  batches = pipeline.eval_batches(
    dataset,
    run_lib.Run(config, spec).sampling(num_clips),
    batch_size=BATCH,
    num_persons=spec.num_persons,
    needs_next=options.needs_next,
  )
  seen = 0
  with batches:
    for batch in batches:
      x = np.asarray(model_input(batch, options, train=False))
      x = x.reshape(BATCH, num_clips, *x.shape[1:])
      for row in np.flatnonzero(batch['mask']):
        theirs = published[int(batch['index'][row])]
        clip = dataset.source('val')[int(batch['index'][row])]
        assert_equal(x[row], theirs['inputs'].numpy(), kind, clip)
        assert batch['label'][row] == theirs['data_samples'].gt_label.item()
        seen += 1
  assert seen == len(published) == 7


@pytest.mark.parametrize('stream', ['bone', 'joint_motion'])
def test_training_pipelines_are_equal_for_equal_frames(prepared, stream):
  kind, path, folder = prepared
  with open(path, 'rb') as f:
    items = {x['frame_dir']: x for x in pickle.load(f)['annotations']}
  config, dataset, spec, options = make_recipe(kind, folder, stream)
  source = dataset.source('train')
  batches = pipeline.train_batches(
    dataset,
    run_lib.Run(config, spec).sampling(),
    batch_size=BATCH,
    seed=1,
    num_persons=spec.num_persons,
    needs_next=options.needs_next,
  )
  start = [
    getattr(transforms, step.pop('type'))(**step)
    for step in map(dict, published_start(kind, stream))
  ]
  with batches:
    for batch in itertools.islice(batches, 3):
      x = np.asarray(model_input(batch, options, train=True))
      for row, index in enumerate(batch['index']):
        clip = source[int(index)]
        item = items[clip['id']]
        theirs = drawn_clips.published(
          item,
          *start,
          *drawn_clips.view_steps(batch['frame_index'][row], 2),
        )
        assert_equal(x[row], theirs[0], kind, clip)
        assert batch['label'][row] == item['label']
