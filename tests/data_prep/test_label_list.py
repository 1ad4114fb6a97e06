"""The CSV file that says what clips show, and the mistakes in it."""

import hypothesis
from hypothesis import strategies as st
import pytest

from data_prep import label_list
from skeljax import errors


@pytest.fixture
def folder(tmp_path):
  """A folder with four clips."""
  root = tmp_path / 'clips'
  for name in ('a.json', 'b.json', 'day 1/ü, c.json', 'day 1/d.json'):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
  return root


@pytest.fixture
def read(folder):
  """Reads a list that is given as text, or as bytes."""

  def read_text(text):
    path = folder / 'labels.csv'
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return label_list.read(str(path), str(folder))

  return read_text


def test_columns_come_in_any_order_and_lines_go_by_file(read):
  lines = read(
    'subject,label,file,split\nben,sit,b.json,val\n\nam,go,a.json,Train\n'
  )

  assert lines == [
    label_list.Line('a.json', 'go', 'train', 'am', number=4),
    label_list.Line('b.json', 'sit', 'val', 'ben', number=2),
  ]


@pytest.mark.parametrize(
  'text',
  [
    'file,label\n"day 1/ü, c.json",sit down\n',
    'file;label\nday 1/ü, c.json;sit down\n',
    'file\tlabel\r\nday 1/ü, c.json\tsit down\r\n',
    '\ufeffFile, Label \n"day 1/ü, c.json", sit down ,,\n',
    'file,label,\n"day 1/../day 1/ü, c.json",sit down,\n',
    'file;label\n"day 1\\ü, c.json";sit down\n',
  ],
)
def test_what_spreadsheets_write_is_understood(text, read):
  (line,) = read(text)
  assert (line.file, line.label) == ('day 1/ü, c.json', 'sit down')


def test_a_full_path_within_the_folder_will_do(read, folder):
  (line,) = read(f'file,label\n{folder}/a.json,go\n')
  assert line.file == 'a.json'


@pytest.mark.parametrize(
  'text, words',
  [
    ('', 'is empty'),
    ('file,label\n', 'only a header'),
    ('name,label\na.json,go\n', "line 1: no column 'file'"),
    ('a.json,go\nb.json,sit\n', "line 1: no column 'file'"),
    ('file,label,spilt\na.json,go,val\n', "unknown column 'spilt'"),
    ('file,label,label\na.json,go,go\n', "duplicate column 'label'"),
    ('file,label\na.json,go\nb.json\n', 'line 3: 1 fields'),
    ('file,label\na.json,go,on\n', 'line 2: 3 fields'),
    ('file,label\na.json,\n', 'line 2: the label is missing'),
    ('file,label\n,go\n', 'line 2: the file is missing'),
    ('file,label,subject\na.json,go,\n', 'line 2: the subject is missing'),
    ('file,label,split\na.json,go,valid\n', "line 2: split 'valid'"),
    (
      'file,label\na.json,go\n\nnone.json,go\n',
      'line 4: no file none',
    ),
    (
      'file,label\nday 1,go\nday 1/,sit\n',
      'line 3: day 1 is already in line 2',
    ),
    (
      'file,label\na.json,go\n./a.json,go\n',
      'line 3: a.json is already in line 2',
    ),
    ('file,label\n../x.json,go\n', 'line 2: ../x.json is outside'),
    ('file,label\n/etc/passwd,go\n', 'line 2: /etc/passwd is outside'),
    ('file,label\n.,go\n', 'line 2: . is outside'),
    ('file,label\n"a.json,go\n', 'every quotation mark has to be closed'),
    ('file,label\nü.json,go\n'.encode('latin-1'), 'not UTF-8 text'),
    ('file,label\n'.encode('utf-16'), 'not UTF-8 text'),
    (b'file,label\n\0,go\n', 'zero bytes'),
  ],
)
def test_a_mistake_is_named_with_its_line(text, words, read):
  with pytest.raises(errors.UserError) as caught:
    read(text)
  assert words in str(caught.value)
  assert 'labels.csv' in str(caught.value)


def _lines(*labels):
  return [
    label_list.Line(f'{i}.json', label, number=i + 2)
    for i, label in enumerate(labels)
  ]


def _number(labels, class_names=()):
  return label_list.number_labels(_lines(*labels), class_names, 'labels.csv')


def test_words_are_numbered_by_the_alphabet():
  label_of, names = _number(['wave', 'sit', '3', 'sit'])
  assert names == ('3', 'sit', 'wave')
  assert list(label_of.values()) == [2, 1, 0, 1]


def test_words_are_numbered_by_the_names_that_are_given():
  label_of, names = _number(['wave', 'sit'], ('sit', 'stand', 'wave'))
  assert names == ('sit', 'stand', 'wave')
  assert list(label_of.values()) == [2, 0]


def test_numbers_are_the_labels():
  assert _number(['2', '0', '07'])[0] == {'0.json': 2, '1.json': 0, '2.json': 7}
  assert _number(['2', '0'])[1] == ()


@pytest.mark.parametrize(
  'labels, class_names, words',
  [
    (['0', '-1'], (), 'line 3: label -1. Expected 0 to'),
    (['0', '3'], ('a', 'b', 'c'), '0 to 2, as there are 3 class names'),
    (['0', '1' + 9 * '0'], (), 'line 3: label 1000000000'),
    (['0', 5000 * '1'], (), 'line 3: label 11111111111111111111.'),
    (
      ['sit', 'jump'],
      ('sit', 'go'),
      "line 3: label 'jump' is not one of the 2",
    ),
  ],
)
def test_a_label_that_is_none_is_named(labels, class_names, words):
  with pytest.raises(errors.UserError) as caught:
    _number(labels, class_names)
  assert words in str(caught.value)


_FIELDS = st.sampled_from(
  ['file', 'label', 'a.json', 'b.json', 'go', ',', ';', '\t', '\n', '"', '\r']
)


@hypothesis.settings(
  max_examples=60,
  deadline=None,
  suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(
  st.binary(max_size=60)
  | st.text(max_size=60).map(str.encode)
  | st.lists(_FIELDS, max_size=20).map(''.join).map(str.encode)
  | st.text(max_size=30).map(lambda text: f'file,label\n{text},go'.encode())
)
def test_any_bytes_are_a_list_or_an_error_in_words(read, content):
  try:
    lines = read(content)
  except errors.UserError as error:
    assert 'labels.csv' in str(error)
  else:
    assert all(line.file and line.label for line in lines)
