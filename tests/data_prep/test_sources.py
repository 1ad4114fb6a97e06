"""Every published input format becomes a dataset."""

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
def test_published_source_is_checked_and_prepared(
  source, make_options, run, tmp_path
):
  write, protocol, layout, num_channels, num_persons = PUBLISHED[source]
  (tmp_path / 'in').mkdir()
  path = write(tmp_path / 'in')
  # Not needed if the source has only one.
  given = '' if options_lib.SOURCES[source].layout else layout
  options = make_options(path, source=source, protocol=protocol, layout=given)
  text, num_errors = check.check(options)
  assert num_errors == 0, text
  run(options)

  dataset = prepared.open_dataset(options.output, 'tiny')
  assert dataset.spec.layout.name == layout
  assert dataset.spec.num_channels == num_channels
  assert dataset.spec.num_persons == num_persons
  assert dataset.num_clips['train'] == dataset.num_clips['val'] > 0
  raw = sources.open_dataset(options, layout)
  for split in prepared.SPLITS:
    clips = dataset.source(split)
    for i in range(len(clips)):
      record = clips[i]
      clip = raw.clips[record['position']]
      assert (record['id'], record['label']) == (clip.id, clip.label)
      np.testing.assert_array_equal(record['keypoint'], clip.read()['keypoint'])


def test_raw_clips_are_normalized(make_options, run, tmp_path):
  (tmp_path / 'in').mkdir()
  options = make_options(
    _write_ntu(tmp_path / 'in'),
    source='ntu',
    protocol='ntu60_xsub',
    normalize='mmaction0x',
    denoise='mmaction0x',
  )
  run(options)
  dataset = prepared.open_dataset(options.output, 'tiny')
  assert dataset.spec.keypoint_dtype == 'float32'
  keypoint = dataset.source('train')[0]['keypoint']
  spine = dataset.spec.layout.origin
  np.testing.assert_allclose(keypoint[0, :, spine], 0, atol=1e-6)


def test_labels_of_an_array_are_part_of_the_input(make_options, run, tmp_path):
  """The labels are next to the arrays and not named by --input."""
  (tmp_path / 'in').mkdir()
  folder = _write_npy(tmp_path / 'in')
  inputs = {s: str(folder / f'{s}_data.npy') for s in ('train', 'val')}
  options = make_options(
    '', source='npy', input=','.join(f'{s}={p}' for s, p in inputs.items())
  )
  run(options)
  (folder / 'val_label.pkl').write_bytes(pickle.dumps((['a', 'b'], [1, 0])))
  with pytest.raises(errors.UserError, match='different input'):
    run(options)


def test_options_of_compressed_clips_need_pickles(make_options, tmp_path):
  with pytest.raises(errors.UserError, match='not apply to --source=ucla'):
    make_options(tmp_path / 'in', source='ucla', valid_ratio=0.5)


def test_number_of_clips_per_shard_is_limited(
  make_options, run, tmp_path, monkeypatch
):
  from data_prep import writer

  monkeypatch.setattr(writer, '_SHARD_CLIPS', 2)
  for i in range(10):
    path = tmp_path / 'in' / 'sit' / f'{i}.npy'
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.full((1, 2, 25, 3), 1 + i, np.float16))
  options = make_options(tmp_path / 'in', source='clips', val_ratio=0.5)
  run(options)
  dataset = prepared.open_dataset(options.output, 'tiny')
  assert len(dataset.shards['train']) == 3
  source = dataset.source('train')
  positions = [source[i]['position'] for i in range(5)]
  assert positions == sorted(positions)


@pytest.mark.parametrize(
  'source, changes, words',
  [
    ('pickle', {'seed': 1}, '--seed does not apply to --source=pickle'),
    ('ntu', {'labels': 'x'}, 'only to --source=clips'),
    ('clips', {'exclude': 'x'}, 'only to --source=ntu'),
    ('clips', {'format': 'kinect'}, '--format=kinect: expected one of auto'),
    ('clips', {'val_ratio': 1.0}, 'more than 0 and less than 1'),
    ('clips', {'img_shape': '1080'}, 'img_shape=1080x1920'),
    ('clips', {'img_shape': '0x5'}, 'img_shape=1080x1920'),
    ('clips', {'labels': 'nowhere.csv'}, 'no file nowhere.csv'),
    ('clips', {'labels': 'labels.csv'}, 'Did you mean --labels='),
  ],
)
def test_invalid_options_are_explained(source, changes, words, tmp_path):
  (tmp_path / 'labels.csv').touch()
  with pytest.raises(errors.UserError) as caught:
    options_lib.Options(
      source=source, input=str(tmp_path), **changes
    ).check_input()
  assert words in str(caught.value)


@pytest.mark.parametrize(
  'source, name, words',
  [
    ('clips', 'labels.csv', 'is a file. Expected a folder of clips'),
    ('ntu', 'nowhere', 'no such folder. Expected the folder of .skeleton'),
    ('npy', 'nowhere', 'no such file or folder'),
    ('pickle', '.', 'is a folder. Expected an annotation file'),
  ],
)
def test_invalid_inputs_are_explained(source, name, words, tmp_path):
  (tmp_path / 'labels.csv').touch()
  with pytest.raises(errors.UserError) as caught:
    options_lib.Options(source=source, input=str(tmp_path / name)).check_input()
  assert words in str(caught.value)
