"""Sheet and animation are valid files of the expected size."""

import sys

import numpy as np
import pytest

from skeljax.visualize import animation
from skeljax.visualize import sheet

Image = pytest.importorskip('PIL.Image')


def _size(path):
  with Image.open(path) as image:
    assert image.format == 'PNG'
    image.load()
    return image.size


def test_sheet_has_a_column_per_frame_and_a_row_per_volume(
  tmp_path, walk, volumes
):
  path = tmp_path / 'new' / 'x.png'

  def size(shown, num_frames):
    sheet.save(path, walk, shown, num_frames=num_frames, dpi=40)
    return np.array(_size(path)) / 40

  both = size(volumes, 5)
  fewer = size(volumes, 4)
  one, none = size(volumes[:1], 5), size([], 5)
  cell = both[0] - fewer[0]
  assert cell == pytest.approx(1.25, abs=0.1)
  assert both[1] - one[1] == pytest.approx(cell, abs=0.1)
  assert none[1] < one[1] - cell
  assert none[0] == both[0]
  assert [p.name for p in path.parent.iterdir()] == ['x.png']
  assert 'matplotlib.pyplot' not in sys.modules


def test_sheet_of_a_3d_clip_has_two_views(tmp_path, body_3d):
  sheet.save(tmp_path / 'x.png', body_3d, note='A note. ' * 40, dpi=40)
  width, height = _size(tmp_path / 'x.png')
  assert width > height > 2 * 1.18 * 40


def test_clip_of_one_frame_can_be_drawn(tmp_path, walk, volumes, change):
  one = change(
    walk, keypoint=walk.keypoint[:, :1], score=None, class_name='', id='x' * 200
  )
  volumes = [change(v, heat=v.heat[:1], channel=v.channel[:1]) for v in volumes]
  sheet.save(tmp_path / 'x.png', one, volumes, color='channel', dpi=40)
  animation.save(tmp_path / 'x.gif', one, volumes, color='channel')
  with Image.open(tmp_path / 'x.gif') as image:
    assert image.n_frames == 1


def test_animation_shows_every_frame_in_order_and_loops(
  tmp_path, walk, volumes
):
  path = tmp_path / 'x.gif'
  animation.save(path, walk, volumes, frame_rate=20)
  places = []
  with Image.open(path) as image:
    assert image.format == 'GIF'
    assert image.n_frames == walk.num_frames
    assert image.info['loop'] == 0
    assert image.info['duration'] == 50
    for frame in range(image.n_frames):
      image.seek(frame)
      pixels = np.asarray(image.convert('RGB'), int)
      # The second panel without its frame; the first skeleton is on the left.
      panel = pixels[82:262, 216:400].sum(-1)
      places.append((panel < 600).any(0).argmax())
  assert (np.diff(places) > 5).all()


def test_background_of_an_animation_is_constant(tmp_path, body_3d):
  animation.save(tmp_path / 'x.gif', body_3d)
  with Image.open(tmp_path / 'x.gif') as image:
    corners = set()
    for frame in range(image.n_frames):
      image.seek(frame)
      corners.add(image.convert('RGB').getpixel((2, 2)))
  assert corners == {(250, 250, 248)}


def test_failed_write_keeps_the_old_file(tmp_path, walk, volumes, monkeypatch):
  from matplotlib import figure

  path = tmp_path / 'x.png'
  path.write_text('old')

  def fail(self, file, **style):
    raise OSError('disk full')

  monkeypatch.setattr(figure.Figure, 'savefig', fail)
  with pytest.raises(OSError, match='disk full'):
    sheet.save(path, walk, volumes)
  assert path.read_text() == 'old'
  assert list(tmp_path.iterdir()) == [path]
