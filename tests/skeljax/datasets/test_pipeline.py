"""Batches are a pure function of (seed, step), for any number of workers."""

import dataclasses
import itertools
import pathlib
import subprocess
import sys
import types

from array_record.python import array_record_module
import numpy as np
import pytest

from skeljax import errors
from skeljax.datasets import collate
from skeljax.datasets import pipeline
from skeljax.datasets import prepared
from skeljax.datasets import records
from skeljax.datasets import sampling
from tests import specs

SPEC = specs.make('coco', score_dtype='float16', num_persons=2, max_frames=12)
UNIFORM = sampling.Sampling('uniform', 4)


def make_clip(position, num_persons, num_frames):
  rng = np.random.default_rng(position)
  shape = (num_persons, num_frames, 3)
  return {
    'id': f'clip{position}',
    'position': position,
    'label': position % 5,
    'keypoint': 1 + rng.random((*shape, 2), np.float32),
    'keypoint_score': rng.random(shape).astype(np.float16),
    'img_shape': np.array([1080, 1920 + position], np.int32),
    'total_frames': num_frames,
    'box': np.zeros(4, np.float32),
  }


def make_dataset(num_clips=10, source=None, **changes):
  """Return clips of 1 or 2 persons and 1 to 12 frames, positions reversed."""
  clips = [
    make_clip(position, 1 + position % 2, 1 + position % 12)
    for position in range(num_clips, 0, -1)
  ]
  source = clips if source is None else source
  attributes = dict(
    name='fake',
    spec=SPEC,
    num_clips={'train': len(source), 'val': len(source)},
    source=lambda split: source,
  )
  return types.SimpleNamespace(**(attributes | changes))


def train(dataset, options, num_batches, **settings):
  settings = dict(batch_size=4, seed=7, num_persons=2) | settings
  batches = pipeline.train_batches(dataset, options, **settings)
  result = list(itertools.islice(batches, num_batches))
  batches.close()
  return result


def evaluate(dataset, options, **settings):
  settings = dict(batch_size=4, num_persons=2) | settings
  batches = pipeline.eval_batches(dataset, options, **settings)
  result = list(batches)
  batches.close()
  return result


def assert_equal(actual, expected):
  assert len(actual) == len(expected)
  for one, two in zip(actual, expected):
    assert one.keys() == two.keys()
    for name in one:
      assert one[name].dtype == two[name].dtype, name
      np.testing.assert_array_equal(one[name], two[name], err_msg=name)


def join(parts):
  """Join the parts of several processes to global batches."""
  return [
    {name: np.concatenate([part[name] for part in step]) for name in step[0]}
    for step in zip(*parts, strict=True)
  ]


@pytest.mark.parametrize('frames', sampling.FRAMES)
def test_batches_have_the_clips_and_frames_of_their_indices(frames):
  dataset = make_dataset()
  options = sampling.Sampling(frames, 12)
  settings = dict(needs_next=True, num_persons=3)
  made = train(dataset, options, 3, **settings)
  made += evaluate(dataset, options, **settings)
  for batch in made:
    clips = [dataset.source('train')[i] for i in batch['index']]
    expected = collate.collate(clips, batch['frame_index'], options, **settings)
    expected |= {name: batch[name] for name in ('index', 'mask')}
    assert_equal([batch], [expected])
    assert batch['index'].dtype == np.int32
    assert batch['mask'].dtype == np.float32


def test_only_evaluation_batches_have_several_views():
  dataset = make_dataset()
  options = sampling.Sampling('uniform', 5, num_clips=10)
  for batch in evaluate(dataset, options):
    assert batch['keypoint'].shape == (4, 10, 2, 5, 3, 2)
    for row, number in enumerate(batch['total_frames']):
      np.testing.assert_array_equal(
        batch['frame_index'][row], sampling.eval_frames(options, int(number))
      )
  (batch,) = train(dataset, options, 1)
  assert batch['keypoint'].shape == (4, 1, 2, 5, 3, 2)


def test_frames_depend_on_seed_pass_and_position():
  dataset = make_dataset()
  places = itertools.count()
  for batch in train(dataset, UNIFORM, 7):
    for row, number in enumerate(batch['index']):
      clip = dataset.source('train')[number]
      uniforms = sampling.clip_uniforms(
        7, [next(places) // 10], [clip['position']], UNIFORM.num_uniforms
      )
      frames = sampling.train_frames(
        UNIFORM, np.array([clip['total_frames']]), uniforms
      )
      np.testing.assert_array_equal(batch['frame_index'][row], frames)


def test_each_pass_has_each_clip_once_in_its_own_order():
  # Batches of four span passes over ten clips.
  made = train(make_dataset(), UNIFORM, 10)
  passes = np.concatenate([batch['index'] for batch in made]).reshape(4, 10)
  for order in passes:
    assert sorted(order) == list(range(10))
  assert len({tuple(order) for order in passes}) == 4


def test_batches_larger_than_the_dataset_span_several_passes():
  (batch,) = train(make_dataset(3), UNIFORM, 1, batch_size=8)
  index = batch['index']
  assert sorted(index[:3]) == sorted(index[3:6]) == [0, 1, 2]


def test_batches_differ_by_seed_and_step():
  dataset = make_dataset(40)
  made = train(dataset, UNIFORM, 10) + train(dataset, UNIFORM, 10, seed=8)
  assert len({tuple(batch['index']) for batch in made}) == 20


def test_iteration_starts_at_any_step():
  dataset = make_dataset()
  expected = train(dataset, UNIFORM, 6)
  for start in (1, 4):
    resumed = train(dataset, UNIFORM, 6 - start, start_step=start)
    assert_equal(resumed, expected[start:])


@pytest.mark.parametrize('count', [2, 4])
def test_processes_make_parts_of_the_same_batch(count):
  dataset = make_dataset()
  parts = [
    train(
      dataset,
      UNIFORM,
      4,
      start_step=2,
      process_index=index,
      process_count=count,
    )
    for index in range(count)
  ]
  assert_equal(join(parts), train(dataset, UNIFORM, 6)[2:])


@pytest.mark.parametrize('num_clips', [3, 11, 12])
@pytest.mark.parametrize('count', [1, 2, 3, 4])
def test_evaluation_has_each_clip_once(num_clips, count):
  dataset = make_dataset(num_clips)
  parts = [
    evaluate(
      dataset, UNIFORM, batch_size=12, process_index=i, process_count=count
    )
    for i in range(count)
  ]
  steps = pipeline.steps_per_eval(dataset, 'val', 12)
  assert [len(part) for part in parts] == [steps] * count
  made = join(parts)
  assert_equal(made, evaluate(dataset, UNIFORM, batch_size=12))
  index = np.concatenate([batch['index'] for batch in made])
  mask = np.concatenate([batch['mask'] for batch in made])
  assert index[mask == 1].tolist() == list(range(num_clips))
  assert np.all((mask == 0) | (mask == 1))
  # Padding rows are real clips.
  assert all(np.all(batch['keypoint'][:, :, 0] > 0) for batch in made)


@pytest.fixture(scope='module')
def clip_source(tmp_path_factory):
  """Write the clips of make_dataset to two shards."""
  clips = make_dataset().source('train')
  shards = []
  for number, part in enumerate((clips[:6], clips[6:])):
    path = str(tmp_path_factory.mktemp('shards') / f'{number}.array_record')
    writer = array_record_module.ArrayRecordWriter(path, 'group_size:1')
    for clip in part:
      writer.write(records.encode(clip, SPEC))
    writer.close()
    shards.append(prepared.Shard(path, len(part)))
  return prepared.ClipSource(shards, SPEC)


def test_worker_processes_make_the_same_batches(clip_source):
  memory = make_dataset()
  files = make_dataset(source=clip_source)
  expected = train(memory, UNIFORM, 5, start_step=3, needs_next=True)
  for num_workers in (0, 2):
    settings = dict(start_step=3, needs_next=True, num_workers=num_workers)
    assert_equal(train(files, UNIFORM, 5, **settings), expected)
  # Three batches, two of them by the same worker.
  assert_equal(
    evaluate(files, UNIFORM, num_workers=2), evaluate(memory, UNIFORM)
  )


SCRIPT = """
import sys
import types

from absl import flags

from skeljax import errors
from skeljax.datasets import pipeline, prepared, sampling
from tests import specs

if __name__ == '__main__':
  flags.FLAGS.mark_as_parsed()
  spec = specs.make('coco', score_dtype='', max_frames=12)
  shards = [prepared.Shard(path, count) for path, count in {shards}]
  source = prepared.ClipSource(shards, spec)
  dataset = types.SimpleNamespace(
    name='fake', spec=spec, source=lambda split: source
  )
  options = sampling.Sampling('uniform', 200)
  for num_workers in (0, 1):
    batches = pipeline.train_batches(
      dataset, options, batch_size=8, seed=0, num_persons=2,
      num_workers=num_workers,
    )
    for _ in range(3):
      next(batches)
    batches.close()
  dataset.spec = specs.make('coco', num_persons=1, max_frames=12)
  batches = pipeline.train_batches(
    dataset, options, batch_size=8, seed=0, num_persons=1, num_workers=1
  )
  try:
    next(batches)
  except errors.UserError as error:
    print(error)
  # Not closed explicitly.
  dataset.spec = spec
  forgotten = pipeline.train_batches(
    dataset, options, batch_size=8, seed=0, num_persons=2
  )
  next(forgotten)
  if 'jax' in sys.modules:
    # Grain imports jax; no backend may be initialized.
    from jax._src import xla_bridge
    assert not xla_bridge.backends_are_initialized()
"""


def test_iterators_close_quietly_and_start_no_jax_backend(
  clip_source, tmp_path
):
  script = tmp_path / 'script.py'
  shards = [(shard.path, shard.num_clips) for shard in clip_source._shards]
  script.write_text(SCRIPT.format(shards=shards))
  root = pathlib.Path(pipeline.__file__).parents[2]
  result = subprocess.run(
    [sys.executable, str(script)],
    capture_output=True,
    text=True,
    env={'PYTHONPATH': str(root), 'PATH': ''},
    timeout=600,
  )
  assert result.returncode == 0, result.stderr
  assert result.stderr == ''
  # The error of a worker reaches the user unchanged.
  assert 'has 2 persons: expected 1 to 1' in result.stdout


def test_closed_iterator_raises():
  with pipeline.train_batches(
    make_dataset(), UNIFORM, batch_size=4, seed=0, num_persons=2
  ) as batches:
    next(batches)
  batches.close()
  with pytest.raises(ValueError, match='closed'):
    next(batches)


def test_clips_that_do_not_fit_raise_before_training():
  dataset = make_dataset()
  with pytest.raises(
    errors.UserError, match="'clip9' has 2 persons: expected 1 to 1"
  ):
    train(dataset, UNIFORM, 0, num_persons=1)
  padded = sampling.Sampling('zero', 9)
  with pytest.raises(errors.UserError, match="'clip10' has 11 frames"):
    evaluate(dataset, padded)
  whole = sampling.Sampling('uniform', 4, whole_clip=True, max_frames=10)
  with pytest.raises(errors.UserError, match="'clip10'.*data.max_frames=10"):
    train(dataset, whole, 0)


def test_only_clips_of_the_split_must_fit():
  # The clip with three persons may be in the other split.
  dataset = make_dataset(
    spec=dataclasses.replace(SPEC, num_persons=3, max_frames=99)
  )
  assert len(train(dataset, sampling.Sampling('zero', 12), 2)) == 2


def test_damaged_clips_raise_when_they_are_read():
  dataset = make_dataset(source=[make_clip(0, 1, 5) | dict(total_frames=0)])
  with pytest.raises(errors.UserError, match="'clip0' has no frames"):
    train(dataset, UNIFORM, 1)
  with pytest.raises(errors.UserError, match="'clip0' has no frames"):
    evaluate(dataset, UNIFORM)


@pytest.mark.parametrize(
  'settings, words',
  [
    (dict(batch_size=6, process_count=4), 'batch_size=6: .*multiple of .* 4'),
    (dict(batch_size=0), 'batch_size=0'),
    (dict(num_workers=-1), 'num_workers=-1: expected at least 0'),
    (dict(seed=-1), 'seed=-1: expected at least 0'),
  ],
)
def test_invalid_settings_raise(settings, words):
  with pytest.raises(errors.UserError, match=words):
    train(make_dataset(), UNIFORM, 1, **settings)


def test_empty_split_raises():
  with pytest.raises(errors.UserError, match="'val' of dataset 'fake'"):
    evaluate(make_dataset(source=[]), UNIFORM)
