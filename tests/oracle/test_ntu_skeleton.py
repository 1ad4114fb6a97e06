"""Raw NTU RGB+D and BABEL, compared with mmaction2's generators.

These are scripts outside of the package: gen_ntu_rgbd_raw.py runs on the same
.skeleton files; of babel2mma2.py, which converts on import, only the function is
run. Sums and standard deviations only decide an order, so the results are identical.
"""

import importlib.util
import pathlib
import pickle

import mmaction
import numpy as np
import pytest

from skeljax.readers import ntu_skeleton
from skeljax.readers import stgcn_npy
from tests import recordings

TOOLS = pathlib.Path(mmaction.__file__).parent / '.mim/tools/data/skeleton'
KINDS = tuple(recordings.KINDS)


@pytest.fixture(scope='module')
def generator():
  spec = importlib.util.spec_from_file_location(
    'gen_ntu_rgbd_raw', TOOLS / 'gen_ntu_rgbd_raw.py'
  )
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def write_folder(folder, seed, actions):
  """A recording of every kind, under names of all splits."""
  random = np.random.RandomState(seed)
  for number, kind in enumerate(KINDS * 2):
    action = actions[number % len(actions)]
    setup = random.randint(1, 33)
    subject = random.randint(1, 41 if max(actions) <= 60 else 107)
    name = f'S{setup:03}C{1 + number % 3:03}P{subject:03}'
    name += f'R{1 + number % 2:03}A{action:03}'
    frames = recordings.draw(kind, seed + number)
    (folder / f'{name}.skeleton').write_text(recordings.text(frames))


@pytest.mark.parametrize(
  'task, actions', [('ntu60', (1, 17, 60)), ('ntu120', (1, 60, 61, 120))]
)
def test_folders_are_what_the_published_script_makes_of_them(
  task, actions, generator, tmp_path, oracle_seed
):
  folder = tmp_path / 'skeletons'
  folder.mkdir()
  write_folder(folder, oracle_seed % 2**31, actions)
  names = sorted(path.stem for path in folder.iterdir())
  ignored = tmp_path / 'missing.txt'
  ignored.write_text('\n'.join(names[::7]))
  generator.gendata(str(folder), str(tmp_path), str(ignored), task)
  theirs = pickle.loads((tmp_path / f'{task}_3d.pkl').read_bytes())
  ours = ntu_skeleton.read_dataset(folder, exclude=names[::7])
  by_id = {item['frame_dir']: item for item in theirs['annotations']}
  assert set(ours.ids) == set(by_id)
  for clip in ours.clips:
    item, published = clip.read(), by_id[clip.id]
    assert clip.label == published['label']
    assert item['keypoint'].dtype == published['keypoint'].dtype
    np.testing.assert_array_equal(item['keypoint'], published['keypoint'])
    assert item['keypoint'].shape[1] == published['total_frames']
  for split, listed in theirs['split'].items():
    positions = ours.splits[f'{task}_{split}']
    assert listed and {ours.ids[p] for p in positions} == set(listed)


def test_raw_persons_are_those_of_the_published_reader(
  generator, tmp_path, oracle_seed
):
  """float64 until it is cut to float32; 0.x keeps both places of the list."""
  path = tmp_path / 'a.skeleton'
  for kind in KINDS:
    path.write_text(recordings.text(recordings.draw(kind, oracle_seed % 2**31)))
    theirs = generator.read_xyz(str(path)).astype(np.float32)
    ours = ntu_skeleton.read_clip(path, 'mmaction0x')['keypoint']
    assert len(ours) == 2
    np.testing.assert_array_equal(ours[: len(theirs)], theirs)
    assert not ours[len(theirs) :].any()


def test_persons_with_the_same_energy_are_the_same_persons(
  generator, tmp_path, oracle_seed
):
  """Their order is left to numpy, and differs between processors."""
  random = np.random.RandomState(oracle_seed % 2**31)
  joints = random.randint(1, 64, (12, 25, 3)) / 64
  # Mirrored and run backwards, bodies spread as much as before.
  frames = [
    [(1, joints[t]), (2, -joints[t]), (3, joints[t] * 0)] for t in range(12)
  ]
  path = tmp_path / 'a.skeleton'
  path.write_text(recordings.text(frames))
  theirs = generator.read_xyz(str(path)).astype(np.float16)
  ours = ntu_skeleton.read_clip(path)['keypoint']
  assert {person.tobytes() for person in ours} == {
    person.tobytes() for person in theirs
  }


def babel_function():
  """gen_babel of a script that reads files of a fixed name beside it."""
  source = (TOOLS / 'babel2mma2.py').read_text()
  start = source.index('def gen_babel')
  names = {'np': np}
  exec(source[start : source.index('\nx = np.load')], names)
  return names['gen_babel']


def test_babel_is_what_the_published_converter_makes_of_it(
  tmp_path, oracle_seed
):
  random = np.random.RandomState(oracle_seed % 2**31)
  count = 9
  x = random.normal(size=(count, 3, 150, 25, 1))
  x[3, :, 100:] = 0
  segments = [f'segment-{i}' for i in range(count)]
  ids = [random.randint(0, 9000, count).tolist() for _ in range(3)]
  y = (segments, (random.randint(0, 120, count).tolist(), *ids))
  np.save(tmp_path / 'train_ntu_sk_120.npy', x)
  (tmp_path / 'train_label_120.pkl').write_bytes(pickle.dumps(y))
  theirs = babel_function()(x, y)
  ours = stgcn_npy.read_dataset(tmp_path)
  assert ours.splits == {'babel120_train': range(count)}
  for clip, published in zip(ours.clips, theirs):
    item = clip.read()
    assert clip.id == published['frame_dir']
    assert clip.label == published['label']
    assert item['keypoint'].shape[1] == published['total_frames']
    assert item['keypoint'].dtype == published['keypoint'].dtype
    np.testing.assert_array_equal(item['keypoint'], published['keypoint'])
