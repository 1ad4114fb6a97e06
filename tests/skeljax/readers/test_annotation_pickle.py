"""Annotation files to items, splits and class names, and words for mistakes."""

import pickle

import numpy as np
import pytest

from skeljax import errors
from skeljax import readers
from skeljax.readers import annotation_pickle


def item(name, **fields):
  keypoint = np.ones((1, 2, 3, 2), np.float16)
  return dict(frame_dir=name, label=0, keypoint=keypoint) | fields


def write(path, value):
  path.write_bytes(pickle.dumps(value))
  return path


def read(tmp_path, value):
  return annotation_pickle.read_dataset(write(tmp_path / 'a.pkl', value))


def data_set(split, names='abcd', **fields):
  return dict(split=split, annotations=[item(n) for n in names]) | fields


def test_splits_keep_the_order_of_the_annotations(tmp_path):
  split = {'xsub_train': ['d', 'b', 'b'], 'xsub_val': ('c', 'a')}

  result = read(tmp_path, data_set(split))

  assert list(result.ids) == ['a', 'b', 'c', 'd']
  assert readers.protocol_splits(result, 'xsub') == ((1, 3), (0, 2))
  assert [c.read()['frame_dir'] for c in result.clips] == ['a', 'b', 'c', 'd']
  assert result.class_names == ()
  assert not result.unknown_ids
  assert result.clips[3].path == str(tmp_path / 'a.pkl')


def test_released_clips_stay_in_their_splits(tmp_path):
  result = read(tmp_path, data_set({'train': ['a'], 'val': ['b']}))
  result.release(0)
  assert result.ids[0] == 'a'
  assert readers.protocol_splits(result, '') == ((0,), (1,))


def test_class_names_of_the_file(tmp_path):
  names = np.array(['sit', 'stand'])
  result = read(tmp_path, data_set({'train': ['a']}, label_names=names))
  assert result.class_names == ('sit', 'stand')
  assert read(tmp_path, data_set({}, label_names=None)).class_names == ()


def test_filename_of_the_first_annotation_decides_about_ids(tmp_path):
  items = [item('x', filename='a'), item('y', filename='b')]
  value = dict(split={'train': ['b']}, annotations=items)
  assert read(tmp_path, value).splits['train'] == (1,)

  del items[0]['filename']
  value['split'] = {'train': ['y']}
  assert read(tmp_path, value).splits['train'] == (1,)


def test_sets_of_ids_are_splits_too(tmp_path):
  result = read(tmp_path, data_set({'train': {'c', 'a', 'q', 'p'}}))
  assert result.splits['train'] == (0, 2)
  assert result.unknown_ids == {'train': ('p', 'q')}


def test_one_plain_list_for_each_split(tmp_path):
  train = write(tmp_path / 'a.pkl', [item('a'), item('b')])
  val = write(tmp_path / 'b.pkl', [item('c', filename='x')])
  for source in (f'train={train},val={val}', {'train': train, 'val': val}):
    result = annotation_pickle.read_dataset(source)

    assert list(result.ids) == ['a', 'b', 'x']
    train_positions, val_positions = readers.protocol_splits(result, '')
    assert (list(train_positions), list(val_positions)) == ([0, 1], [2])
    assert [clip.path for clip in result.clips] == [str(train)] * 2 + [str(val)]
    assert result.source == f'{train} + {val}'


def test_a_path_with_an_equals_sign_is_a_path(tmp_path, monkeypatch):
  write(tmp_path / 'lr=0.1', data_set({'train': ['a']}))
  monkeypatch.chdir(tmp_path)
  assert annotation_pickle.read_dataset('lr=0.1').source == 'lr=0.1'


@pytest.mark.parametrize('text', ['train=a.pkl,b.pkl', 'train=a,train=b'])
def test_mistyped_list_of_files(text):
  with pytest.raises(errors.UserError, match=r'train=TRAIN.pkl,val=VAL.pkl'):
    readers.split_paths(text)


@pytest.mark.parametrize(
  'names, protocol, expected',
  [
    (['xsub_train', 'xsub_val'], 'xsub', ('xsub_train', 'xsub_val')),
    (['train', 'val', 'test'], '', ('train', 'val')),
    (['train', 'test'], '', ('train', 'test')),
    (['train2', 'test2', 'train1', 'test1'], '1', ('train1', 'test1')),
    (['train2', 'test2', 'train1', 'test1'], 'split2', ('train2', 'test2')),
    (['a_train', 'a_test', 'a_val'], 'a', ('a_train', 'a_val')),
    (['xset_val', 'xset_train'], '', ('xset_train', 'xset_val')),
  ],
)
def test_protocols(names, protocol, expected):
  annotations = readers.RawDataset(
    clips=[readers.Clip(name, 0, 'x.pkl', dict) for name in 'ab'],
    splits={name: (0,) if 'train' in name else (1,) for name in names},
    source='x.pkl',
  )
  assert readers.find_protocol(annotations, protocol) == expected
  assert readers.protocol_splits(annotations, protocol) == ((0,), (1,))


@pytest.mark.parametrize(
  'split, protocol, words',
  [
    (
      {n: ['a'] for n in ('xsub_train', 'xsub_val', 'train', 'val')},
      'xview',
      r"a.pkl has no protocol 'xview'. Choose --protocol=xsub or no --protocol"
      r' \(plain train and val\). Its splits are xsub_train, xsub_val, train,'
      r' val; protocol P needs P_train with P_val or P_test',
    ),
    (
      {n: ['a'] for n in ('x_train', 'x_val', 'y_train', 'y_val')},
      '',
      r'no plain protocol. Choose --protocol=x or --protocol=y',
    ),
    (
      {'training': ['a'], 'validation': ['b']},
      '',
      'No two of its splits form a protocol. Its splits are training,'
      ' validation',
    ),
    (
      {'train': ['a', 'z', 'y', 'x', 'w'], 'val': ['b']},
      '',
      "a.pkl: split 'train' lists 4 ids that no annotation has: z, y, x and 1"
      ' more. Remove them from the split, or add their annotations',
    ),
    ({'train': ['a'], 'val': []}, '', "split 'val' is empty"),
  ],
)
def test_splits_that_cannot_be_trained_on(tmp_path, split, protocol, words):
  annotations = read(tmp_path, data_set(split))
  with pytest.raises(errors.UserError, match=words):
    readers.protocol_splits(annotations, protocol)


def test_two_clips_of_one_id_in_a_split(tmp_path):
  value = data_set({'train': ['a'], 'val': ['b']}, names='abab')
  with pytest.raises(
    errors.UserError, match='the same id: a. Rename or remove'
  ):
    readers.protocol_splits(read(tmp_path, value), '')


def test_a_plain_list_alone_has_no_splits(tmp_path):
  annotations = read(tmp_path, [item('a')])
  with pytest.raises(errors.UserError, match='train=TRAIN.pkl,val=VAL.pkl'):
    readers.protocol_splits(annotations, '')


@pytest.mark.parametrize(
  'value, words',
  [
    ({}, "contains an empty dict. Expected a dict with 'annotations'"),
    ({'x': 1, 'y': 2}, "contains a dict with the keys 'x', 'y'. Expected"),
    ((['n'], [0]), 'contains a tuple of 2 elements'),
    (np.ones(3), r'contains an array of shape \(3,\)'),
    ('text', "contains str 'text'"),
    ([], "'annotations' is a list of 0 elements. Expected a non-empty list"),
    (
      dict(annotations={}, split={}),
      "'annotations' is an empty dict. Expected a non-empty list",
    ),
    ([np.ones(3)], 'annotation 0 is an array of shape'),
    ([item('a'), {'label': 1}], "annotation 1: its id 'frame_dir' is missing"),
    ([item(7)], "annotation 0: its id 'frame_dir' is 7. Expected a string"),
    (data_set(['a']), "'split' is a list of 1 elements. Expected a dict"),
    (
      data_set({'train': 'abc'}),
      "split 'train' is str 'abc'. Expected a list of strings",
    ),
    (data_set({'train': [1]}), "split 'train' contains 1. Expected strings"),
    (
      data_set({}, label_names=[1]),
      "'label_names' contains 1. Expected strings",
    ),
  ],
)
def test_files_of_another_form(tmp_path, value, words):
  with pytest.raises(errors.UserError, match=f'a.pkl.*{words}'):
    read(tmp_path, value)


def test_a_whole_data_set_is_not_one_split(tmp_path):
  path = write(tmp_path / 'a.pkl', data_set({'train': ['a']}))
  with pytest.raises(
    errors.UserError, match="given as split 'train', contains a whole dataset"
  ):
    annotation_pickle.read_dataset(f'train={path},val={path}')
