"""Recordings that are damaged: which line is wrong, and nothing but that."""

import numpy as np
import pytest

from skeljax import skeletons
from skeljax.readers import checks
from skeljax.readers import ntu_skeleton
from tests import items
from tests import recordings

LAYOUT = skeletons.get_layout('nturgb+d')


def replaced(line, by, num_frames=2):
  """The text of a good file with one line, counted from 1, replaced."""
  lines = recordings.lines_of(recordings.still(num_frames))
  lines[line - 1] = by
  return '\n'.join(lines)


@pytest.mark.parametrize(
  'text, kind, words',
  [
    ('', 'file', 'is empty'),
    (' \n \n', 'file', 'is empty'),
    ('0\n', 'empty', '0 bodies in 0 frames'),
    ('2\n0\n0\n', 'empty', '0 bodies in 2 frames'),
    (replaced(1, 'frames'), 'skeleton file', "line 1 is 'frames'.*number of f"),
    (replaced(1, '-1'), 'skeleton file', "line 1 is '-1'"),
    (replaced(1, '1'), 'skeleton file', 'line 30 .*the end, after 1 frames'),
    (replaced(1, '3'), 'skeleton file', 'ends after line 57: it was cut short'),
    (replaced(1, '9' * 30), 'skeleton file', "line 1 is '9.*at most 100,000"),
    (replaced(2, 'one'), 'skeleton file', "line 2 is 'one'.*number of bodies"),
    (replaced(2, '1.0'), 'skeleton file', "line 2 is '1.0'"),
    (replaced(2, '-1'), 'skeleton file', "line 2 is '-1'"),
    (replaced(3, 'body 0 1'), 'skeleton file', "line 3 is 'body.*a body"),
    (replaced(3, ''), 'skeleton file', "line 3 is ''"),
    (replaced(4, '20'), 'skeleton file', "line 4 is '20'.*25, the number of j"),
    (replaced(5, '1 2'), 'skeleton file', "line 5 is '1 2'.*x, y and z first"),
    (replaced(9, ''), 'skeleton file', "line 9 is ''.*x, y and z first"),
    (replaced(9, '1 # 3'), 'skeleton file', "line 9 is '1 # 3'"),
    (replaced(9, '1_0 2 3'), 'skeleton file', 'line 5 .*x, y and z first'),
    (replaced(9, 'a' + ' 1' * 11), 'skeleton file', "line 9 is 'a 1 1.*x, y"),
    (
      '\n'.join(recordings.lines_of(recordings.still(2))[:-1]),
      'skeleton file',
      'ends after line 56',
    ),
    (
      recordings.text(recordings.still(2)).strip()[:-9],
      'skeleton file',
      'line 57 is .*12',
    ),
    ('1\n1\n1 2 3\n25\n' + '0.1\n' * 25, 'skeleton file', 'line 5 is .0.1'),
    ('\x00\x01PK', 'skeleton file', 'line 1 is'),
  ],
)
def test_damaged_files_say_which_line_is_wrong(text, kind, words, tmp_path):
  path = recordings.write(tmp_path, content=text)
  for denoise in ntu_skeleton.DENOISE:
    with pytest.raises(checks.ClipError, match=words) as caught:
      ntu_skeleton.read_clip(path, denoise)
    assert caught.value.kind == kind
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
  with pytest.raises(checks.ClipError, match='gone.skeleton: cannot be read'):
    ntu_skeleton.read_clip(tmp_path / 'gone.skeleton')


def test_negative_numbers_of_bodies_are_numbers(tmp_path):
  frames = [
    [
      (-1, recordings.pose(t)[:, [1, 0, 2]]),
      (-2, -recordings.pose(t)[:, [1, 0, 2]]),
    ]
    for t in range(12)
  ]
  path = recordings.write(tmp_path, frames=frames)
  for denoise in ntu_skeleton.DENOISE:
    assert len(ntu_skeleton.read_clip(path, denoise)['keypoint']) == 2


@pytest.mark.parametrize(
  'value, words',
  [('nan', 'contains 2 NaN'), ('1e30', 'larger values were lost')],
)
def test_numbers_that_cannot_be_kept_are_left_to_the_check(
  value, words, tmp_path
):
  text = recordings.text(recordings.still(2)).replace(
    ' 2 3 277.4', f' {value} 3 277.4'
  )
  lines = text.splitlines()
  good = recordings.lines_of(recordings.still(2))
  # In the first joint of both frames only.
  lines = [
    a if i in (4, 32) else b for i, (a, b) in enumerate(zip(lines, good))
  ]
  item = ntu_skeleton.read_clip(
    recordings.write(tmp_path, content='\n'.join(lines))
  )
  with pytest.raises(checks.ClipError, match=words):
    items.check(item, layout=LAYOUT, num_classes=None, path='x')


@pytest.mark.parametrize('kind', ['gaps', 'swapping'])
def test_any_damage_is_a_clip_or_an_error_that_names_the_file(kind, tmp_path):
  """Bytes changed, lost and doubled; nothing but a ClipError comes out."""
  rng = np.random.default_rng(0)
  whole = recordings.text(recordings.draw(kind, 0)).encode()
  path = tmp_path / f'{recordings.NAME}.skeleton'
  for _ in range(60):
    data = bytearray(
      whole[: rng.integers(len(whole))] if rng.random() < 0.3 else whole
    )
    for place in rng.integers(len(data) + 1, size=rng.integers(1, 4)):
      data[place : place + rng.integers(3)] = rng.choice(
        [b'', b'\x00', b'-', b'9' * 25, b'\n', b' ', b'nan', b'\xff', b'1e999']
      )
    path.write_bytes(data)
    for denoise in ntu_skeleton.DENOISE:
      try:
        keypoint = ntu_skeleton.read_clip(path, denoise)['keypoint']
      except checks.ClipError as error:
        assert str(path) in str(error)
      else:
        assert keypoint.ndim == 4 and keypoint.shape[2:] == (25, 3)
