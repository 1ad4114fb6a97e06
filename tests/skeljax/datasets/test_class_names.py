"""The included lists of class names, and custom lists."""

import pytest

from skeljax import errors
from skeljax.datasets import class_names


@pytest.mark.parametrize(
  'name, count, picked',
  [
    ('ntu60', 60, {0: 'drink water', 42: 'falling', 57: 'handshaking'}),
    ('ntu120', 120, {60: 'put on headphone', 102: 'yawn'}),
    ('gym99', 99, {16: '(FX) stag jump', 68: '(BB) round-off'}),
    ('ucf101', 101, {0: 'ApplyEyeMakeup', 100: 'YoYo'}),
    ('hmdb51', 51, {0: 'brush_hair', 50: 'wave'}),
    ('k400', 400, {0: 'abseiling', 399: 'zumba'}),
    (
      'diving48',
      48,
      {0: 'Back+15som+05Twis+FREE', 30: 'Forward+Dive+NoTwis+STR'},
    ),
    ('babel60', 60, {0: 'walk', 12: 'leg movements', 59: 'martial art'}),
    ('babel120', 120, {60: 'balance', 119: 'sudden movement'}),
  ],
)
def test_included_lists(name, count, picked):
  names = class_names.load_class_names(name)

  assert len(names) == len(set(names)) == count
  assert {i: names[i] for i in picked} == picked


@pytest.mark.parametrize(
  'small, large', [('ntu60', 'ntu120'), ('babel60', 'babel120')]
)
def test_small_list_is_the_beginning_of_the_large_one(small, large):
  names = class_names.load_class_names(small)
  assert class_names.load_class_names(large)[:60] == names


def test_custom_list(tmp_path):
  path = tmp_path / 'names.txt'
  path.write_text('\ufeffwave \r\nsit, slowly\r\nüben\r\n\r\n', 'utf-8')

  names = class_names.load_class_names(path)

  assert names == ('wave', 'sit, slowly', 'üben')


@pytest.mark.parametrize(
  'content, words',
  [
    (b'', 'is empty'),
    (b'wave\n\nsit\n', 'line 2 is empty'),
    (b'wave\nsit\nwave\n', r"lines 1 and 3 are both 'wave'"),
    (b'\xff\xfe\x00w', 'expected UTF-8'),
  ],
)
def test_errors_name_the_line(tmp_path, content, words):
  path = tmp_path / 'names.txt'
  path.write_bytes(content)
  with pytest.raises(errors.UserError, match=words):
    class_names.load_class_names(path)


def test_unknown_list_raises():
  with pytest.raises(
    errors.UserError, match='a text file .*, or one of .*gym99, hmdb51, k400'
  ):
    class_names.load_class_names('ntu61')
