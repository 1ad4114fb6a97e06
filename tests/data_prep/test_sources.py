"""Every source of skeletons, as published, becomes a data set."""

import json
import pickle

import numpy as np
import pytest

from data_prep import check
from data_prep import options as options_lib
from data_prep import sources
from skeljax import errors
from skeljax.datasets import prepared

_RNG = np.random.default_rng(0)


def _write_ntu(root):
  """Two persons in three frames; subject 1 trains and subject 3 validates."""
  for name in ('S001C001P001R001A001', 'S001C001P003R001A002'):
    lines = ['3']
    for _ in range(3):
      lines.append('2')
      for body in '12':
        lines += [f'{body} 0 1 1 1 1 0 0.1 0.1 2', '25']
        for joint in _RNG.normal(size=(25, 3)):
          lines.append(' '.join(f'{x:.6f}' for x in joint) + 9 * ' 0')
    (root / f'{name}.skeleton').write_text('\n'.join(lines) + '\n')
  return root


def _write_kinetics(root):
  for split in ('train', 'val'):
    listed = {}
    (root / f'kinetics_{split}').mkdir()
    for i in range(2):
      name = f'{split}_{i}'
      person = {'pose': [0.25] * 36, 'score': [0.5] * 18}
      frames = [{'frame_index': n, 'skeleton': [person]} for n in (1, 2)]
      content = {'data': frames, 'label': f'action {i}', 'label_index': i}
      path = root / f'kinetics_{split}' / f'{name}.json'
      path.write_text(json.dumps(content))
      listed[name] = {
        'has_skeleton': True,
        'label': f'action {i}',
        'label_index': i,
      }
    path = root / f'kinetics_{split}_label.json'
    path.write_text(json.dumps(listed))
  return root


def _write_npy(root):
  for split in ('train', 'val'):
    data = _RNG.normal(size=(2, 3, 4, 25, 1)).astype(np.float32)
    np.save(root / f'{split}_data.npy', data)
    names = [f'{split}_{i}.skeleton' for i in range(2)]
    path = root / f'{split}_label.pkl'
    path.write_bytes(pickle.dumps((names, [0, 1])))
  return root


def _write_npz(root):
  path = root / 'NTU60_CS.npz'
  x = _RNG.normal(size=(2, 4, 150)).astype(np.float32)
  np.savez(path, x_train=x, y_train=np.eye(2), x_test=-x, y_test=np.eye(2))
  return path


def _write_ucla(root):
  for view in (1, 3):
    name = f'a01_s01_e00_v{view:02d}'
    content = {
      'file_name': name,
      'label': 1,
      'skeletons': _RNG.normal(size=(3, 20, 3)).tolist(),
    }
    (root / f'{name}.json').write_text(json.dumps(content))
  return root


# Source -> how it is written, its protocol and layout, channels and persons.
PUBLISHED = {
  'ntu': (_write_ntu, 'ntu60_xsub', 'nturgb+d', 3, 2),
  'kinetics_skeleton': (_write_kinetics, '', 'openpose-18', 2, 1),
  'npy': (_write_npy, '', 'nturgb+d', 3, 1),
  'npz': (_write_npz, '', 'nturgb+d', 3, 2),
  'ucla': (_write_ucla, 'xview', 'ucla', 3, 1),
}


@pytest.mark.parametrize('source', PUBLISHED)
def test_a_published_source_is_checked_and_prepared(
  source, make_options, run, tmp_path
):
  write, protocol, layout, num_channels, num_persons = PUBLISHED[source]
  (tmp_path / 'in').mkdir()
  path = write(tmp_path / 'in')
  # Who has always the same layout need not be told.
  told = '' if sources.SOURCES[source].layout else layout
  text, num_errors = check.check(
    str(path), source=source, protocol=protocol, layout_name=told
  )
  assert num_errors == 0, text
  options = make_options(path, source=source, protocol=protocol, layout=told)
  run(options)

  dataset = prepared.open_dataset(options.output, 'tiny')
  assert dataset.spec.layout.name == layout
  assert dataset.spec.num_channels == num_channels
  assert dataset.spec.num_persons == num_persons
  assert dataset.num_clips['train'] == dataset.num_clips['val'] > 0
  annotations = sources.open_source(
    source, {'': str(path)}, sources.Choices(), (), layout
  )
  for split in prepared.SPLITS:
    clips = dataset.source(split)
    for i in range(len(clips)):
      record = clips[i]
      clip = annotations.clips[record['position']]
      item = clip.read()
      assert (record['id'], record['label']) == (clip.id, clip.label)
      np.testing.assert_array_equal(record['keypoint'], item['keypoint'])


def test_raw_clips_are_normalised_by_the_workers(make_options, run, tmp_path):
  (tmp_path / 'in').mkdir()
  options = make_options(
    _write_ntu(tmp_path / 'in'),
    source='ntu',
    protocol='ntu60_xsub',
    normalize='mmaction0x',
    choices=sources.Choices(denoise='mmaction0x'),
  )
  run(options)
  dataset = prepared.open_dataset(options.output, 'tiny')
  assert dataset.spec.keypoint_dtype == 'float32'
  keypoint = dataset.source('train')[0]['keypoint']
  spine = dataset.spec.layout.origin
  np.testing.assert_allclose(keypoint[0, :, spine], 0, atol=1e-6)


def test_what_the_labels_of_an_array_say_is_part_of_the_input(
  make_options, run, tmp_path
):
  """The labels lie beside the arrays and are not named by --input."""
  (tmp_path / 'in').mkdir()
  folder = _write_npy(tmp_path / 'in')
  inputs = {s: str(folder / f'{s}_data.npy') for s in ('train', 'val')}
  options = make_options('', source='npy', inputs=inputs)
  run(options)
  (folder / 'val_label.pkl').write_bytes(pickle.dumps((['a', 'b'], [1, 0])))
  with pytest.raises(errors.UserError, match='another input'):
    run(options)


def test_compressed_choices_belong_to_pickles(make_options, tmp_path):
  (tmp_path / 'in').mkdir()
  options = make_options(
    _write_ucla(tmp_path / 'in'), source='ucla', valid_ratio=0.5
  )
  with pytest.raises(errors.UserError, match='--source=ucla has none'):
    options_lib.check_options(options)


def test_many_clips_make_more_shards_to_share_the_work(
  make_options, run, tmp_path, monkeypatch
):
  from data_prep import prepare

  monkeypatch.setattr(prepare, '_SHARD_CLIPS', 2)
  for i in range(10):
    path = tmp_path / 'in' / 'sit' / f'{i}.npy'
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.full((1, 2, 25, 3), 1 + i, np.float16))
  options = make_options(
    tmp_path / 'in', source='clips', choices=sources.Choices(val_ratio=0.5)
  )
  run(options)
  dataset = prepared.open_dataset(options.output, 'tiny')
  assert len(dataset.shards['train']) == 3
  source = dataset.source('train')
  positions = [source[i]['position'] for i in range(5)]
  assert positions == sorted(positions)


@pytest.mark.parametrize(
  'source, choices, words',
  [
    ('pickle', {'seed': 1}, '--seed says nothing about --source=pickle'),
    ('ntu', {'labels': 'x'}, 'belongs to --source=clips'),
    ('clips', {'exclude': 'x'}, 'belongs to --source=ntu'),
    ('clips', {'form': 'kinect'}, '--form=kinect is not known'),
    ('clips', {'val_ratio': 1.0}, 'above 0 and below 1'),
    ('clips', {'img_shape': '1080'}, 'img_shape=1080x1920'),
    ('clips', {'img_shape': '0x5'}, 'img_shape=1080x1920'),
    ('clips', {'labels': 'nowhere.csv'}, 'there is no file nowhere.csv'),
    ('clips', {'labels': 'labels.csv'}, 'Did you mean --labels='),
  ],
)
def test_flags_that_cannot_work_are_explained(source, choices, words, tmp_path):
  (tmp_path / 'labels.csv').touch()
  with pytest.raises(errors.UserError) as caught:
    sources.check(source, {'': str(tmp_path)}, sources.Choices(**choices))
  assert words in str(caught.value)


@pytest.mark.parametrize(
  'source, name, words',
  [
    ('clips', 'labels.csv', 'is a file. Expected a folder of clips'),
    ('ntu', 'nowhere', 'is not there. Expected the folder with the .skeleton'),
    ('npy', 'nowhere', 'neither a file nor a folder'),
    ('pickle', '.', 'only a folder: expected an annotation file'),
  ],
)
def test_inputs_that_cannot_work_are_explained(source, name, words, tmp_path):
  (tmp_path / 'labels.csv').touch()
  with pytest.raises(errors.UserError) as caught:
    sources.check(source, {'': str(tmp_path / name)}, sources.Choices())
  assert words in str(caught.value)
