"""Folders of .skeleton files; what pyskl and mmaction2 0.x make of the same."""

import errno
import os
import pathlib
import pickle

import numpy as np
import pytest

from skeljax import errors
from skeljax import readers
from skeljax import skeletons
from skeljax.datasets import normalize_3d
from skeljax.readers import checks
from skeljax.readers import ntu_skeleton
from skeljax.readers import ntu_splits
from tests import recordings

LAYOUT = skeletons.get_layout('nturgb+d')
NAMES = tuple(f'action {i}' for i in range(60))
GOLDEN = pathlib.Path(__file__).parent / 'golden' / 'ntu_persons.npz'
GOLDEN_SEED = 5


def test_coordinates_are_the_first_three_numbers_of_a_joint(tmp_path):
  frames = [
    [(7, recordings.pose(1))],
    [],
    [(7, recordings.pose(2)), (8, recordings.pose(100))],
  ]
  bodies = ntu_skeleton.read_bodies(
    str(recordings.write(tmp_path, frames=frames))
  )
  assert bodies.num_frames == 3
  assert bodies.frame.tolist() == [0, 2, 2]
  assert bodies.place.tolist() == [0, 0, 1]
  assert bodies.ids == (7, 7, 8)
  expected = np.stack(
    [recordings.pose(1), recordings.pose(2), recordings.pose(100)]
  )
  np.testing.assert_array_equal(bodies.joints, expected)


def test_numbers_of_bodies_are_told_apart_beyond_floats(tmp_path):
  number = recordings.FIRST_ID
  assert float(number) == float(number + 1)
  frames = [[(number, recordings.pose(0)), (number + 1, recordings.pose(1))]]
  bodies = ntu_skeleton.read_bodies(
    str(recordings.write(tmp_path, frames=frames))
  )
  assert bodies.ids == (number, number + 1)


def test_numbers_are_read_as_python_reads_them(tmp_path):
  rng = np.random.default_rng(0)
  values = rng.normal(size=75) * 10.0 ** rng.integers(-12, 12, 75)
  words = [
    format(value, rng.choice(['.17g', '.7g', '.3e', '.6f', 'E']))
    for value in values
  ]
  words[:6] = ['-0', '.5', '5.', '+1E-3', '1e-320', '0.1234567890123456789']
  lines = recordings.lines_of(recordings.still(1))
  for joint in range(25):
    lines[4 + joint] = '\t'.join(words[3 * joint : 3 * joint + 3])
  path = recordings.write(tmp_path, content='\n'.join(lines))
  joints = ntu_skeleton.read_bodies(str(path)).joints
  assert joints.ravel().tolist() == [float(word) for word in words]


@pytest.mark.parametrize('newline', ['\n', '\r\n'])
@pytest.mark.parametrize('end', ['', '\n', '\r\n\r\n  '])
def test_ends_of_lines_do_not_matter(newline, end, tmp_path):
  text = (
    recordings.text(recordings.still(2)).strip().replace('\r\n', newline) + end
  )
  bodies = ntu_skeleton.read_bodies(
    str(recordings.write(tmp_path, content=text))
  )
  assert bodies.joints.shape == (2, 25, 3)


def test_one_person_is_one_person_to_mmaction1x_and_two_to_0x(tmp_path):
  path = recordings.write(tmp_path, frames=recordings.still(3, value=0.5))
  item = ntu_skeleton.read_clip(path)
  assert item['keypoint'].dtype == np.float16
  np.testing.assert_array_equal(
    item['keypoint'], np.float16([[recordings.pose(0.5)] * 3])
  )
  item = ntu_skeleton.read_clip(path, 'mmaction0x')
  assert item['keypoint'].dtype == np.float32
  assert item['keypoint'].shape == (2, 3, 25, 3)
  assert not item['keypoint'][1].any()


def test_the_liveliest_two_of_four_are_kept_the_liveliest_first(tmp_path):
  """Energies by hand: all share the spread of a pose, plus that of moving."""
  frames = [
    [
      (b, recordings.pose(100 * b + t * speed))
      for b, speed in enumerate((1, 9, 0, 5))
    ]
    for t in range(4)
  ]
  for denoise in ('mmaction1x', 'mmaction0x'):
    keypoint = ntu_skeleton.read_clip(
      recordings.write(tmp_path, frames=frames), denoise
    )['keypoint']
    assert keypoint[:, 0, 0, 0].tolist() == [100, 300]
    assert keypoint[:, 3, 0, 0].tolist() == [127, 315]


def test_a_fifth_body_of_a_frame_is_not_looked_at(tmp_path):
  frames = [
    [(b, recordings.pose(b * t)) for b in range(1, 6)] for t in range(3)
  ]
  keypoint = ntu_skeleton.read_clip(recordings.write(tmp_path, frames=frames))[
    'keypoint'
  ]
  assert keypoint[:, 1, 0, 0].tolist() == [4, 3]


def test_pyskl_leaves_out_frames_without_a_body(tmp_path):
  frames = [[], *recordings.still(2), [], *recordings.still(1), []]
  path = recordings.write(tmp_path, frames=frames)
  assert ntu_skeleton.read_clip(path)['keypoint'].shape[1] == 6
  assert ntu_skeleton.read_clip(path, 'pyskl')['keypoint'].shape[1] == 3


@pytest.mark.parametrize('kind', recordings.KINDS)
def test_persons_are_those_of_pyskl_bit_by_bit(kind, tmp_path):
  golden = np.load(GOLDEN)[f'pyskl_{kind}']
  path = recordings.write(tmp_path, frames=recordings.draw(kind, GOLDEN_SEED))
  if not len(golden):
    with pytest.raises(
      checks.ClipError, match='none is a person with denoise=pys'
    ):
      ntu_skeleton.read_clip(path, 'pyskl')
    return
  keypoint = ntu_skeleton.read_clip(path, 'pyskl')['keypoint']
  assert keypoint.dtype == golden.dtype
  np.testing.assert_array_equal(keypoint, golden)


@pytest.mark.parametrize('kind', recordings.KINDS)
def test_raw_and_normalised_is_what_mmaction0x_generates(kind, tmp_path):
  golden = np.load(GOLDEN)[f'mmaction0x_{kind}']
  path = recordings.write(tmp_path, frames=recordings.draw(kind, GOLDEN_SEED))
  keypoint = normalize_3d.normalize_mmaction0x(
    ntu_skeleton.read_clip(path, 'mmaction0x')['keypoint'], LAYOUT
  )
  assert keypoint.dtype == golden.dtype
  np.testing.assert_allclose(keypoint, golden, rtol=0, atol=2e-6)


def test_the_recordings_meet_every_rule_of_pyskl():
  """Else the comparison with the golden file would claim little."""
  golden = {k: np.load(GOLDEN)[f'pyskl_{k}'] for k in recordings.KINDS}
  num_frames = {k: len(recordings.draw(k, GOLDEN_SEED)) for k in golden}
  assert len(golden['chair']) == 1  # Dropped, as it is wide.
  assert len(golden['passer_by']) == 1  # Dropped, as it is short.
  assert len(golden['passers_by']) == 0  # All are.
  assert golden['noise_first'].shape[1] == num_frames['noise_first'] - 5
  assert golden['gaps'].shape[1] == num_frames['gaps'] - 4
  # Swapped: the livelier person is not there yet.
  late = golden['late']
  assert late[0, 0].any() and not late[1, 0].any()
  # Put together of two numbers.
  assert golden['lost'][0, [0, 20]].any(axis=(1, 2)).all()


def test_splits_and_labels_come_from_the_names(tmp_path):
  # (name, trains by subject, by camera), the sub-folder decides nothing.
  clips = {
    'S001C001P001R001A001': (True, False),
    'S002C002P003R001A060': (False, True),
    'more/S017C003P038R002A011': (True, True),
    'more/S003C001P040R002A012': (False, False),
  }
  for name in clips:
    recordings.write(tmp_path, name)
  (tmp_path / 'README.txt').write_text('Not a recording.')
  (tmp_path / '._S001C001P001R001A001.skeleton').write_text('of macOS')
  (tmp_path / 'more' / 'round').symlink_to(tmp_path)
  found = ntu_skeleton.read_dataset(tmp_path, class_names_60=NAMES)
  ids = sorted(name[-20:] for name in clips)
  assert list(found.ids) == ids
  assert [clip.label for clip in found.clips] == [0, 59, 11, 10]
  assert found.class_names == NAMES
  assert readers.protocols(list(found.splits)) == {
    'ntu60_xsub': ('ntu60_xsub_train', 'ntu60_xsub_val'),
    'ntu60_xview': ('ntu60_xview_train', 'ntu60_xview_val'),
  }
  for name, (by_subject, by_camera) in clips.items():
    position = ids.index(name[-20:])
    for protocol, trains in (('xsub', by_subject), ('xview', by_camera)):
      for split, is_in in (('train', trains), ('val', not trains)):
        positions = found.splits[f'ntu60_{protocol}_{split}']
        assert (position in positions) == is_in


def test_ntu120_joins_where_there_are_actions_beyond_60(tmp_path):
  for name in (
    'S001C001P001R001A001',
    'S018C001P103R001A061',  # trains by subject, not by setup
    'S032C003P106R002A120',  # the other way round
  ):
    recordings.write(tmp_path, name)
  found = ntu_skeleton.read_dataset(tmp_path, class_names_60=NAMES)
  splits = found.splits
  assert not found.class_names  # 60 or 120: it depends on the split.
  assert splits['ntu60_xsub_train'] == (0,)
  assert splits['ntu60_xview_val'] == (0,)
  assert splits['ntu120_xsub_train'] == (0, 1)
  assert splits['ntu120_xsub_val'] == (2,)
  assert splits['ntu120_xset_train'] == (1, 2)
  assert splits['ntu120_xset_val'] == (0,)


def test_excluded_recordings_are_left_out(tmp_path):
  kept, gone, also = (f'S00{n}C001P001R001A001' for n in (1, 2, 3))
  for name in (kept, gone, also):
    recordings.write(tmp_path, name)
  listing = tmp_path / 'missing.txt'
  listing.write_text(
    '\ufeffSamples with missing skeletons:\r\n'
    f'# the second\n  {gone}.skeleton  \n\n{also} # too\nS009C001P001R001A009\n',
    encoding='utf-8',
  )
  exclude = ntu_splits.load_exclude_list(listing)
  assert exclude == {gone, also, 'S009C001P001R001A009'}
  found = ntu_skeleton.read_dataset(tmp_path, exclude=exclude)
  assert found.ids == (kept,)
  found = ntu_skeleton.read_dataset(
    tmp_path, exclude=[f'{gone}.skeleton', f'{also}\n']
  )
  assert found.ids == (kept,)
  with pytest.raises(errors.UserError, match='contains all 3 recordings'):
    ntu_skeleton.read_dataset(tmp_path, exclude=[kept, gone, also])


def test_items_are_read_only_when_asked_for_and_travel_to_workers(tmp_path):
  recordings.write(tmp_path)
  recordings.write(tmp_path, 'S001C001P001R001A001', content='damaged')
  found = ntu_skeleton.read_dataset(tmp_path, denoise='mmaction0x')
  clip = pickle.loads(pickle.dumps(found)).clips[1]
  assert (clip.id, clip.label) == (recordings.NAME, 12)
  record = readers.check_clip(clip, layout=LAYOUT, num_classes=60)
  assert record['keypoint'].shape == (2, 3, 25, 3)


@pytest.mark.parametrize(
  'name',
  [
    'S001C001P001R001A000',
    'S001C001P001R001A121',
    'S033C001P001R001A001',
    'S001C004P001R001A001',
    'S001C001P001R001A01',
    's001c001p001r001a001',
    'S００１C001P001R001A001',
    'Übung-1',
  ],
)
def test_names_that_do_not_fit_are_named(name, tmp_path):
  recordings.write(tmp_path)
  recordings.write(tmp_path, name)
  with pytest.raises(errors.UserError) as caught:
    ntu_skeleton.read_dataset(tmp_path)
  assert str(tmp_path / f'{name}.skeleton') in str(caught.value)
  # One file of any name can be read.
  item = ntu_skeleton.read_clip(tmp_path / f'{name}.skeleton')
  assert item['keypoint'].shape == (1, 3, 25, 3)


def test_the_same_recording_in_two_folders_is_an_error(tmp_path):
  recordings.write(tmp_path / 'a')
  recordings.write(tmp_path / 'b')
  with pytest.raises(
    errors.UserError, match=f'contains {recordings.NAME} twice: .*a/.*b/'
  ):
    ntu_skeleton.read_dataset(tmp_path)


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
  recordings.write(tmp_path / 'a')
  recordings.write(tmp_path / 'b', 'S001C001P001R001A001')
  scandir = os.scandir

  def refuse(path):
    if str(path).endswith('b'):
      raise PermissionError(errno.EACCES, 'Permission denied', str(path))
    return scandir(path)

  monkeypatch.setattr(os, 'scandir', refuse)
  with pytest.raises(errors.UserError, match='/b cannot be read: Permission'):
    ntu_skeleton.read_dataset(tmp_path)


def test_folders_without_recordings_are_explained(tmp_path):
  with pytest.raises(errors.UserError, match='no .skeleton file. Unpack'):
    ntu_skeleton.read_dataset(tmp_path)
  with pytest.raises(errors.UserError, match='There is no folder'):
    ntu_skeleton.read_dataset(tmp_path / 'nowhere')
  with pytest.raises(errors.UserError, match='one of mmaction1x, mmaction0x'):
    ntu_skeleton.read_dataset(tmp_path, denoise='mine')


def test_is_clip_goes_by_the_ending(tmp_path):
  assert ntu_skeleton.is_clip(tmp_path / f'{recordings.NAME}.skeleton')
  assert not ntu_skeleton.is_clip(tmp_path / f'{recordings.NAME}.json')
