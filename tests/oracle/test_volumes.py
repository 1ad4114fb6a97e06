"""PoseC3D's whole pipelines: from an annotation, or a file, to the volumes.

Ours against mmaction2's transforms in the order of the published
configurations, on annotations as odd as they come.
"""

import dataclasses
import functools
import itertools
import pickle

import drawn_clips
import drawn_poses
import jax
from mmaction.datasets import PoseDataset
from mmaction.datasets import transforms
import numpy as np
import pytest

from data_prep import options as options_lib
from data_prep import prepare
from skeljax.datasets import pipeline
from skeljax.datasets import prepared as datasets
from skeljax.datasets import sampling
from skeljax.inputs import geometry
from tests import specs

NUM_PERSONS = 3
VIEW = 16


@dataclasses.dataclass(frozen=True)
class Case:
  """One pipeline.

  Attributes:
    stream: 'keypoint' or 'limb'.
    options: other fields of Heatmaps.
    target: other options of GeneratePoseTarget.
    dtype: of the keypoints.
    score_dtype: of the scores; '' for none.
    train: whether it is the training pipeline.
    num_clips: views of a clip.
    mirrored: whether there are mirrored views too.
    number: of annotations.
  """

  stream: str
  options: dict = dataclasses.field(default_factory=dict)
  target: dict = dataclasses.field(default_factory=dict)
  dtype: str = 'float16'
  score_dtype: str = 'float16'
  train: bool = False
  num_clips: int = 1
  mirrored: bool = False
  number: int = 5


CASES = {
  'train keypoint': Case('keypoint', train=True, number=8),
  'train limb': Case('limb', train=True, dtype='float32', number=6),
  'train 48, no scores': Case(
    'keypoint', {'size': 48}, score_dtype='', train=True
  ),
  'val keypoint': Case('keypoint', dtype='float32', score_dtype='float32'),
  'val limb, scores unused': Case(
    'limb', {'use_score': False}, {'use_score': False}
  ),
  'val keypoint, half the size': Case(
    'keypoint', {'scaling': 0.5}, {'scaling': 0.5}, dtype='float32'
  ),
  'test 10 keypoint': Case(
    'keypoint', {'test_size': 56}, num_clips=10, mirrored=True, number=3
  ),
  'test limb, both sides': Case(
    'limb', {'resize': 'stretch'}, num_clips=2, mirrored=True, number=4
  ),
  'test 0.x keypoint': Case(
    'keypoint', {'mirror': '0x'}, num_clips=2, mirrored=True, number=4
  ),
  'test 0.x limb': Case(
    'limb', {'mirror': '0x', 'test_size': 48}, mirrored=True, number=3
  ),
}


def published_volumes(item, frame_index, case, options, draws):
  """Return [N, T, H, W, C] of one annotation from mmaction2."""
  if case.train:
    steps = drawn_poses.train_steps(case.stream, options.size, **case.target)
    with drawn_poses.Injected(*draws):
      return drawn_poses.volumes(item, frame_index, steps)
  steps = drawn_poses.test_steps(
    case.stream,
    options.test_size,
    is_stretched=options.resize == 'stretch',
    double=case.mirrored and options.mirror == '1x',
    **case.target,
  )
  volume = drawn_poses.volumes(item, frame_index, steps)
  if case.mirrored and options.mirror == '0x':
    # 0.x mirrors the keypoints and draws again.
    steps.insert(-1, drawn_poses.flip(1.0))
    other = drawn_poses.volumes(item, frame_index, steps)
    volume = np.stack([volume, other], axis=1)
    volume = volume.reshape(-1, *volume.shape[2:])
  return volume


@functools.partial(jax.jit, static_argnames=('options', 'train', 'mirrored'))
def our_volumes(batch, key, *, options, train, mirrored=False):
  """Return volumes, points and, in training, the random draws."""
  points = options.prepare(batch, rng=key, train=train)
  volume = options.render(points, train=train, mirrored=mirrored)
  crop = geometry.draw_crop(
    key, batch['index'], area=options.crop_area, aspect=options.crop_aspect
  )
  flip = geometry.draw_flip(key, batch['index'], options.flip)
  return volume, points, (*crop, flip)


def compare(ours, theirs, points, case, options, where, decisions):
  """Both [N', T, H, W, C] of one clip; points [N, M, T, V, 3]."""
  scale = [options.scaling, options.scaling, 1]
  width = options.size if case.train else options.test_size
  worst = 0.0
  for n in range(len(ours)):
    view = points[n // 2 if case.mirrored else n] * scale
    if case.mirrored and n % 2:
      # What has its window's edge where: 1.x reverses the volume.
      ours_n, theirs_n = ours[n], theirs[n]
      if options.mirror == '1x':
        order = options.spec.layout.flip_index
        if case.stream == 'limb':
          order = options.spec.layout.limb_flip_index
        ours_n, theirs_n = (
          x[..., ::-1, :][..., list(order)] for x in (ours_n, theirs_n)
        )
      else:
        view = view[:, :, list(options.spec.layout.flip_index)]
        x = view[..., 0]
        view[..., 0] = np.where(x != 0, width * options.scaling - x, x)
    else:
      ours_n, theirs_n = ours[n], theirs[n]
    worst = max(
      worst,
      decisions.compare_volumes(
        ours_n, theirs_n, view, case.stream, options.sigma, f'{where}, view {n}'
      ),
    )
  return worst


@pytest.mark.parametrize('name', CASES)
def test_pipelines_are_equal(name, oracle_seed, record_difference):
  case = CASES[name]
  rng = np.random.RandomState([oracle_seed % 2**32, len(name)])
  options = specs.heatmaps(
    drawn_poses.COCO,
    has_score=bool(case.score_dtype),
    heatmap=case.stream,
    **case.options,
  )
  frames = sampling.Sampling('uniform', VIEW, case.num_clips)
  items, chosen = [], []
  # Kinds and lengths go round; every pipeline begins elsewhere.
  first = 5 * list(CASES).index(name)
  for number in range(first, first + case.number):
    items.append(drawn_poses.draw(rng, case.dtype, case.score_dtype, number))
    index = sampling.eval_frames(frames, items[-1]['total_frames'])
    if not case.train:
      # Test mode: their own sampling takes the same frames.
      sampler = transforms.UniformSampleFrames(
        clip_len=VIEW, num_clips=case.num_clips, test_mode=True
      )
      taken = sampler.transform(dict(items[-1]))['frame_inds']
      np.testing.assert_array_equal(taken, index.reshape(-1))
    chosen.append(index)
  records = [drawn_clips.record_of(x, drawn_poses.COCO) for x in items]
  batch = drawn_clips.batch_of(records, np.stack(chosen), frames, NUM_PERSONS)
  batch['index'] = np.arange(case.number)
  result = our_volumes(
    batch,
    jax.random.key(rng.randint(2**31)),
    options=options,
    train=case.train,
    mirrored=case.mirrored,
  )
  ours, points, draws = jax.tree.map(np.asarray, result)
  ours = ours.reshape(case.number, -1, *ours.shape[1:])

  decisions, worst = drawn_poses.Decisions(), 0.0
  for b, item in enumerate(items):
    where = f'{name}, seed {oracle_seed}, {item["frame_dir"]}'
    theirs = published_volumes(
      item, chosen[b], case, options, [x[b] for x in draws]
    )
    difference = compare(
      ours[b], theirs, points[b], case, options, where, decisions
    )
    worst = max(worst, difference)
  decisions.check(record_difference)
  record_difference('PoseC3D pipeline', name, worst)


@pytest.fixture(scope='module')
def prepared(oracle_seed, tmp_path_factory):
  """Return the annotation file, its items and the prepared dataset."""
  folder = tmp_path_factory.mktemp('poses')
  rng = np.random.RandomState(oracle_seed % 2**32)
  items = [drawn_poses.draw(rng, number=number) for number in range(9)]
  names = []
  for number, item in enumerate(items):
    item['label'] = number % 3
    item['frame_dir'] = f'{number}: {item["frame_dir"]}'
    names.append(item['frame_dir'])
  path = folder / 'poses.pkl'
  with open(path, 'wb') as f:
    split = {'xsub_train': names[:6], 'xsub_val': names[6:]}
    pickle.dump({'split': split, 'annotations': items}, f)
  (folder / 'names.txt').write_text('a\nb\nc\n')
  options = options_lib.Options(
    source='pickle',
    input=str(path),
    protocol='xsub',
    layout='coco',
    name='poses',
    output=str(folder),
    class_names=str(folder / 'names.txt'),
    max_persons=0,
  )
  prepare.prepare(options, ['--runner=FnApiRunner'])
  return path, items, datasets.open_dataset(str(folder), 'poses')


def test_whole_path_of_a_test_set_is_equal(prepared, record_difference):
  """Compare with PoseDataset and the published test pipeline."""
  path, _, dataset = prepared
  frames = sampling.Sampling('uniform', 48, 2)
  published = PoseDataset(
    ann_file=str(path),
    split='xsub_val',
    test_mode=True,
    pipeline=[
      dict(
        type='UniformSampleFrames', clip_len=48, num_clips=2, test_mode=True
      ),
      dict(type='PoseDecode'),
      dict(type='PoseCompact', hw_ratio=1.0, allow_imgpad=True),
      dict(type='Resize', scale=(-1, 64)),
      dict(type='CenterCrop', crop_size=64),
      dict(
        type='GeneratePoseTarget',
        double=True,
        left_kp=drawn_poses.LEFT_KP,
        right_kp=drawn_poses.RIGHT_KP,
      ),
      dict(type='FormatShape', input_format='NCTHW_Heatmap'),
      dict(type='PackActionInputs'),
    ],
  )
  case = Case('keypoint', num_clips=2, mirrored=True)
  options = specs.heatmaps(drawn_poses.COCO)
  decisions = drawn_poses.Decisions()
  seen = 0
  batches = pipeline.eval_batches(
    dataset, frames, batch_size=3, num_persons=NUM_PERSONS
  )
  with batches:
    for batch in batches:
      result = our_volumes(
        batch, jax.random.key(0), options=options, train=False, mirrored=True
      )
      ours, points, _ = jax.tree.map(np.asarray, result)
      ours = ours.reshape(3, 4, *ours.shape[1:])
      for row in np.flatnonzero(batch['mask']):
        theirs = published[int(batch['index'][row])]
        # [2 (mirrored), 2 (views), C, T, H, W].
        volume = theirs['inputs'].numpy().reshape(2, 2, 17, 48, 64, 64)
        volume = np.moveaxis(volume, 2, -1).swapaxes(0, 1)
        compare(
          ours[row],
          volume.reshape(ours[row].shape),
          points[row],
          case,
          options,
          f'clip {row}',
          decisions,
        )
        assert batch['label'][row] == theirs['data_samples'].gt_label.item()
        seen += 1
  assert seen == len(published) == 3
  decisions.check(record_difference)


def test_whole_path_of_training_is_equal_for_equal_draws(
  prepared, record_difference
):
  """Limbs, with our frames and draws injected into mmaction2."""
  _, items, dataset = prepared
  by_name = {item['frame_dir']: item for item in items}
  source = dataset.source('train')
  case = Case('limb', train=True)
  options = specs.heatmaps(drawn_poses.COCO, heatmap='limb')
  decisions = drawn_poses.Decisions()
  batches = pipeline.train_batches(
    dataset,
    sampling.Sampling('uniform', 48),
    batch_size=3,
    seed=1,
    num_persons=NUM_PERSONS,
  )
  with batches:
    for step, batch in enumerate(itertools.islice(batches, 2)):
      key = jax.random.fold_in(jax.random.key(7), step)
      result = our_volumes(batch, key, options=options, train=True)
      ours, points, draws = jax.tree.map(np.asarray, result)
      for row, index in enumerate(batch['index']):
        item = by_name[source[int(index)]['id']]
        theirs = published_volumes(
          item,
          batch['frame_index'][row],
          case,
          options,
          [x[row] for x in draws],
        )
        compare(
          ours[row : row + 1],
          theirs,
          points[row],
          case,
          options,
          f'seed 1, {item["frame_dir"]}',
          decisions,
        )
        assert batch['label'][row] == item['label']
  decisions.check(record_difference)
