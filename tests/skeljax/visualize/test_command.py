"""`python -m skeljax.visualize`: choice of the clip, and error messages."""

import os
import pathlib
import pickle
import subprocess
import sys

from absl import flags
import numpy as np
import pytest

from skeljax import demo
from skeljax import errors
from skeljax import option
from skeljax import skeletons
from skeljax.visualize import __main__ as command
from skeljax.visualize import clips

_REPOSITORY = pathlib.Path(__file__).resolve().parents[3]


@pytest.fixture(scope='module')
def annotations(tmp_path_factory):
  """A file with three 2D clips of coco joints, one of them without frames."""
  rng = np.random.default_rng(0)
  items = []
  for i, frames in enumerate((4, 6, 0)):
    items.append(
      dict(
        frame_dir=f'walk/{i}',
        label=i % 2,
        total_frames=frames,
        img_shape=(240, 320),
        keypoint=rng.uniform(20, 200, (1, frames, 17, 2)).astype(np.float16),
        keypoint_score=np.ones((1, frames, 17), np.float16),
      )
    )
  path = tmp_path_factory.mktemp('annotations') / 'walks.pkl'
  split = {'train': ['walk/0'], 'val': ['walk/1', 'walk/2']}
  content = dict(split=split, annotations=items, label_names=['walk', 'run'])
  path.write_bytes(pickle.dumps(content))
  return path


@pytest.fixture
def draw(annotations, tmp_path, monkeypatch):
  """Run the command on the annotation file and return the written paths."""
  monkeypatch.delenv('SKELJAX_DATA', raising=False)

  def run(*arguments, data=True):
    values = flags.FlagValues()
    option.define_flags(command.Options, flag_values=values)
    own = [f'--input={annotations}', '--layout=coco'] if data else []
    output = f'--output={tmp_path}/'
    values(['visualize', *own, output, '--size=32', *arguments])
    return command.draw(option.from_flags(command.Options, values))

  return run


def test_command_writes_both_files(annotations, tmp_path):
  done = subprocess.run(
    [
      sys.executable, '-m', 'skeljax.visualize', f'--input={annotations}',
      '--layout=coco', '--clip=walk/1', f'--output={tmp_path}/a/b.png',
      '--size=32', '--frames=2',
    ],
    cwd=_REPOSITORY,
    env=dict(os.environ, MPLBACKEND='TkAgg', DISPLAY=''),
    capture_output=True,
    text=True,
  )  # fmt: skip
  assert done.returncode == 0, done.stderr
  assert 'clip walk/1 (run): wrote' in done.stdout
  files = {path.name: path.read_bytes() for path in (tmp_path / 'a').iterdir()}
  assert sorted(files) == ['b.gif', 'b.png']
  assert files['b.png'].startswith(b'\x89PNG')
  assert files['b.gif'].startswith(b'GIF89a')


@pytest.fixture
def saved(monkeypatch):
  """Arguments of sheet.save."""
  from skeljax.visualize import animation
  from skeljax.visualize import sheet

  seen = {}

  def save(path, clip, volumes, **options):
    seen.update(path=path, clip=clip, volumes=volumes, **options)

  monkeypatch.setattr(sheet, 'save', save)
  monkeypatch.setattr(animation, 'save', lambda *args, **options: None)
  return seen


def test_clip_is_chosen_by_id_or_number_within_the_split(draw, saved, tmp_path):
  wanted = {
    (): 'walk/0',
    ('--clip=1',): 'walk/1',
    ('--clip=walk/1',): 'walk/1',
    ('--split=val', '--clip=0'): 'walk/1',
  }
  for arguments, name in wanted.items():
    draw('--stream=none', *arguments)
    assert saved['clip'].id == name
  assert saved['path'] == f'{tmp_path}/walk_1.png'
  assert saved['clip'].class_name == 'run'


def test_stream_selects_the_volumes(draw, saved):
  draw('--stream=limb')
  assert [v.stream for v in saved['volumes']] == ['limb']
  assert '32 × 32' in saved['note']


def test_demo_motion_is_drawn_without_data(
  draw, saved, monkeypatch, walk, body_3d
):
  built = []
  monkeypatch.setattr(demo, 'build', lambda *args: built.append(args) or 'root')
  monkeypatch.setattr(
    clips,
    'from_dataset',
    lambda root, name, split, wanted: body_3d if '3d' in name else walk,
  )
  draw('--stream=none', data=False)
  assert saved['clip'] is walk
  draw('--layout=nturgb+d', data=False)
  assert saved['clip'] is body_3d
  assert built == [('demo_2d_none', 2, 'none'), ('demo_3d_none', 3, 'none')]
  assert 'this clip is 3D' in saved['note'] and not saved['volumes']
  with pytest.raises(errors.UserError, match='coco .2D. and\\s+nturgb.d .3D.'):
    draw('--layout=ucla', data=False)


def test_clip_of_a_prepared_dataset(draw, saved, tiny_root):
  draw(f'--data_dir={tiny_root}', '--dataset=tiny', data=False)
  first = saved['clip']
  assert first.dims == 3 and first.layout.name == 'nturgb+d'
  draw(
    f'--data_dir={tiny_root}',
    '--dataset=tiny',
    f'--clip={first.id}',
    data=False,
  )
  np.testing.assert_array_equal(saved['clip'].keypoint, first.keypoint)
  with pytest.raises(errors.UserError, match='contains tiny'):
    draw(f'--data_dir={tiny_root}', data=False)


@pytest.mark.parametrize(
  'arguments, message',
  [
    (['--clip=walk/7'], 'walks.pkl has no clip with this id. Did you mean'),
    (['--clip=jump'], 'Its ids look like walk/0'),
    (['--clip=3'], 'Numbers from 0 to 2 are accepted'),
    (['--clip=2'], "'keypoint' has shape .*, so no frames"),
    (['--split=test'], "no split 'test', only train, val"),
    (['--layout='], '--layout is missing'),
    (['--layout=nturgb+d'], "'keypoint' has 17 joints"),
    (['--dataset=x'], 'either --input'),
    (['--frames=0'], '--frames=0: expected a number at least 1 and at most 24'),
    (['--fps=100'], '--fps=100'),
    (['--sigma=0'], 'sigma'),
    (['--output='], '--output is empty'),
  ],
)
def test_error_messages(draw, arguments, message):
  with pytest.raises(errors.UserError, match=message):
    draw(*arguments)


@pytest.mark.parametrize(
  'arguments, message',
  [
    (['--dataset=x'], 'SKELJAX_DATA'),
    (['--dataset=x', '--layout=coco'], '--layout has no effect'),
    (['--dataset=x', '--third_channel=score'], '--third_channel has no effect'),
  ],
)
def test_error_messages_for_datasets(draw, arguments, message):
  with pytest.raises(errors.UserError, match=message):
    draw(*arguments, data=False)


def test_stream_of_a_3d_clip_is_an_error(draw, monkeypatch, body_3d):
  monkeypatch.setattr(clips, 'from_annotations', lambda *a, **k: body_3d)
  with pytest.raises(errors.UserError, match='2D keypoints.* Omit --stream'):
    draw('--stream=limb')


def test_note_explains_what_is_not_drawn(
  draw, saved, monkeypatch, walk, change
):
  clip = change(walk, img_shape=(0, 0))
  monkeypatch.setattr(clips, 'from_annotations', lambda *a, **k: clip)
  draw()
  assert "'img_shape' is missing" in saved['note']
  layout = change(walk.layout, name='bare', limbs=())
  clip = change(walk, layout=layout, score=None)
  draw()
  assert [v.stream for v in saved['volumes']] == ['keypoint']
  assert 'bare has no limbs' in saved['note']
  assert 'every joint has score 1' in saved['note']


@pytest.mark.parametrize('module', ['matplotlib', 'PIL'])
def test_missing_package_is_named(draw, monkeypatch, module):
  find = command.importlib.util.find_spec
  monkeypatch.setattr(
    command.importlib.util,
    'find_spec',
    lambda name: None if name == module else find(name),
  )
  with pytest.raises(errors.UserError, match=r'skeljax\[plots\]'):
    draw()


@pytest.mark.parametrize(
  'output, stem',
  [
    ('out/', 'out/id'),
    ('wave', 'wave'),
    ('a/wave.gif', 'a/wave'),
    ('x.y', 'x.y'),
  ],
)
def test_output_is_a_directory_or_a_file_path(output, stem):
  assert command.file_stem(output, 'id') == stem


def test_compressed_annotations(tmp_path):
  keypoint = np.random.default_rng(0).uniform(1, 99, (4, 17, 3))
  item = dict(
    frame_dir='walk',
    frame_inds=np.array([0, 0, 1, 3]),
    box_score=np.ones(4),
    valid={0.5: 3},
    keypoint=keypoint.astype(np.float16),
    label=-1,
    total_frames=4,
    img_shape=(100, 100),
  )
  path = tmp_path / 'compressed.pkl'
  path.write_bytes(pickle.dumps([item]))
  clip = clips.from_annotations(str(path), skeletons.get_layout('coco'))
  assert clip.keypoint.shape == (2, 3, 17, 2)  # Empty frames are dropped.
  assert clip.class_name == ''
  expected = item['keypoint'][1].astype(np.float32)
  np.testing.assert_array_equal(clip.keypoint[1, 0], expected[:, :2])
  np.testing.assert_array_equal(clip.score[1, 0], expected[:, 2])
