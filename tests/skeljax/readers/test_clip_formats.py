"""Detection of clip formats, and what all formats have in common."""

import copy
import functools
import json
import os
import pathlib
import pickle
import tempfile

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import pytest

from skeljax import errors
from skeljax import skeletons
from skeljax.readers import clip_formats
from tests import items

FIXED_LAYOUT = ('mediapipe', 'ntu', 'kinetics_skeleton', 'ucla')
POINTS = [[10.0 + v, 100.0 + v] for v in range(17)]
FLAT = [number for x, y in POINTS for number in (x, y, 0.5)]
LANDMARKS = [
  {'x': 0.25 + v / 128, 'y': 0.5, 'z': 0.0, 'visibility': 0.5}
  for v in range(33)
]
OPENPOSE = {'pose_keypoints_2d': FLAT + [30, 30, 0.5]}
ULTRALYTICS = {
  'class': 0,
  'name': 'person',
  'confidence': 0.5,
  'box': {'x1': 1, 'y1': 1, 'x2': 2, 'y2': 2},
  'keypoints': {'x': [1.0 + v for v in range(17)], 'y': [100.0] * 17},
}
MMPOSE = {'keypoints': POINTS, 'keypoint_scores': [0.5] * 17}
KINETICS = {
  'data': [
    {
      'frame_index': 1,
      'skeleton': [{'pose': [0.5] * 36, 'score': [0.5] * 18}],
    }
  ],
  'label': 'walk',
  'label_index': 0,
}
UCLA = {
  'file_name': 'a01_s01_e00_v01',
  'skeletons': [[[0.1 * v, 0.2, 0.3 + v] for v in range(20)]] * 2,
  'label': 1,
}
NTU = '1\n1\n72057594037931101 0 1 1 1 1 0 0.02 -0.2 2\n25\n' + ''.join(
  f'{v}.5 1 3 0 0 0 0 0 0 0 0 2\n' for v in range(25)
)


def write(path, content):
  path.parent.mkdir(exist_ok=True)
  path.write_text(content if isinstance(content, str) else json.dumps(content))


# Form, what to write where, the path of the clip, layout, shape of keypoint.
CLIPS = [
  ('mmpose', [{'frame_id': 0, 'instances': [MMPOSE]}], 'a.json', 'coco', 17),
  ('mmpose', {'instance_info': [], 'meta_info': {}}, 'a.json', '', None),
  ('mmpose', [MMPOSE], 'a.json', 'coco', 17),
  ('mmpose', [MMPOSE], 'a/7.json', 'coco', 17),
  (
    'mmpose',
    {
      'images': [{'id': 1}],
      'annotations': [{'image_id': 1, 'keypoints': FLAT}],
    },
    'a.json',
    'coco',
    17,
  ),
  ('mmpose', [{'image_id': 1, 'keypoints': FLAT}], 'a.json', 'coco', 17),
  ('openpose', {'people': [OPENPOSE]}, 'a/7.json', 'openpose-18', 18),
  (
    'alphapose',
    [{'image_id': '1.jpg', 'keypoints': FLAT}],
    'a.json',
    'coco',
    17,
  ),
  (
    'alphapose',
    {'1.jpg': {'version': '', 'people': [OPENPOSE]}},
    'a.json',
    'openpose-18',
    18,
  ),
  ('ultralytics', [[ULTRALYTICS]], 'a.json', 'coco', 17),
  ('ultralytics', '[]\n' + json.dumps([ULTRALYTICS]), 'a.jsonl', 'coco', 17),
  ('ultralytics', [ULTRALYTICS], 'a/7.json', 'coco', 17),
  (
    'ultralytics',
    '0 0.5 0.5 0.1 0.1' + ' 0.5 0.5 0.9' * 17,
    'a/7.txt',
    'coco',
    17,
  ),
  ('mediapipe', [{'pose_landmarks': [LANDMARKS]}], 'a.json', 'mediapipe', 33),
  ('mediapipe', [LANDMARKS], 'a.json', 'mediapipe', 33),
  ('ntu', NTU, 'S001C001P001R001A001.skeleton', 'nturgb+d', 25),
  ('kinetics_skeleton', KINETICS, 'a.json', 'openpose-18', 18),
  ('ucla', UCLA, 'a01_s01_e00_v01.json', 'ucla', 20),
]


@pytest.mark.parametrize(
  'form, content, name, layout, num_joints',
  CLIPS,
  ids=[f'{i}-{clip[0]}' for i, clip in enumerate(CLIPS)],
)
def test_every_form_is_told_from_the_others(
  tmp_path, form, content, name, layout, num_joints
):
  write(tmp_path / name, content)
  path = tmp_path / name.split('/')[0]
  assert clip_formats.detect(str(path)) == form
  assert clip_formats.layout_of(str(path)) == layout
  if num_joints is None:
    return
  options = clip_formats.ReadOptions(
    img_shape=None if form == 'kinetics_skeleton' else (480, 640)
  )
  item = clip_formats.read_clip(str(path), options=options)
  assert item['keypoint'].shape[2] == num_joints
  record = items.check(
    item,
    layout=skeletons.get_layout(layout),
    num_classes=None,
    path=str(path),
    sample_id='clip',
  )
  assert record['label'] == -1


def test_every_format_has_a_description_and_a_known_layout():
  assert (
    list(clip_formats.FORMATS)
    == (
      'mmpose openpose alphapose ultralytics mediapipe ntu kinetics_skeleton ucla'
      ' array'
    ).split()
  )
  for name, form in clip_formats.FORMATS.items():
    assert form.name == name and form.description
  for name in FIXED_LAYOUT:
    assert clip_formats.FORMATS[name].layout_of('') in skeletons.LAYOUTS


def test_the_docs_have_a_row_for_every_format():
  root = pathlib.Path(__file__).parents[3]
  guide = (root / 'docs/formats.md').read_text(encoding='utf-8')
  rows = [line for line in guide.splitlines() if line.startswith('| `')]
  assert [row.split('`')[1] for row in rows] == list(clip_formats.FORMATS)
  for row, form in zip(rows, clip_formats.FORMATS.values()):
    if form.name in FIXED_LAYOUT:
      assert form.layout_of('') in row


def test_reading_can_be_sent_to_another_process(tmp_path):
  write(tmp_path / 'a.json', [{'frame_id': 0, 'instances': [MMPOSE]}])
  options = clip_formats.ReadOptions(img_shape=(480, 640), tracking='iou')
  read = functools.partial(
    clip_formats.read_clip, format='mmpose', options=options
  )
  item = pickle.loads(pickle.dumps(read))(str(tmp_path / 'a.json'))
  assert item['img_shape'] == (480, 640)


def test_an_unknown_form_and_an_absent_file(tmp_path):
  path = str(tmp_path / 'none.json')
  for call in (
    clip_formats.detect,
    clip_formats.read_clip,
    clip_formats.layout_of,
  ):
    with pytest.raises(errors.UserError, match='There is no file or folder'):
      call(path)
  with pytest.raises(errors.UserError, match='There is no file or folder'):
    clip_formats.read_clip(path, 'mmpose')
  with pytest.raises(errors.UserError) as caught:
    clip_formats.read_clip(path, 'mmpos')
  assert '--format=mmpos: expected auto or one of mmpose' in str(caught.value)


@pytest.mark.parametrize(
  'name, content, seen',
  [
    ('a.json', '', 'it is empty'),
    ('a.json', '[]', "it starts with '[]'"),
    ('a.json', {'joints': 3, 'poses': []}, "the keys 'joints', 'poses'"),
    (
      'a.json',
      {'people': []},
      'a single frame of OpenPose; its clips are folders',
    ),
    (
      'a.json',
      [[{'name': 'person', 'confidence': 0.5, 'box': {'x1': 1}}]],
      'boxes of Ultralytics without keypoints',
    ),
    ('a.txt', 'walk', "it starts with 'walk'"),
    ('a/notes.txt', 'walk', 'a folder of 1 files, the first is notes.txt'),
    ('a/b.bvh', 'HIERARCHY', 'a folder of 1 files, the first is b.bvh'),
  ],
)
def test_unknown_formats_are_described(tmp_path, name, content, seen):
  write(tmp_path / name, content)
  with pytest.raises(errors.UserError) as caught:
    clip_formats.detect(str(tmp_path / name.split('/')[0]))
  message = str(caught.value)
  assert seen in message and 'has no known format' in message
  assert all(f'{form} (' in message for form in clip_formats.FORMATS)
  assert '--format=NAME' in message


def test_a_file_of_two_formats_is_ambiguous(tmp_path):
  # COCO's annotations and MediaPipe's landmarks.
  content = {'images': [], 'annotations': [], 'pose_landmarks': []}
  write(tmp_path / 'a.json', content)
  with pytest.raises(errors.UserError) as caught:
    clip_formats.detect(str(tmp_path / 'a.json'))
  assert 'mmpose and mediapipe. Choose with --format=NAME' in str(caught.value)


def test_random_bytes_have_no_format(tmp_path):
  path = tmp_path / 'a.json'
  path.write_bytes(np.random.default_rng(0).bytes(1000))
  with pytest.raises(errors.UserError, match='has no known format'):
    clip_formats.detect(str(path))
  for form in clip_formats.FORMATS:
    with pytest.raises(errors.UserError):
      clip_formats.read_clip(str(path), form)


JUNK = (
  *(None, True, -1, 2, 3.5, 1e300, float('nan'), float('inf'), 10**400, 10**30),
  *('', 'x', '3', [], {}, [[]], [None], [{}], [1, 2], [[1, 2], [3]], {'x': 1}),
)


def with_junk(content, draw):
  """The content with one of its values, at any depth, replaced."""
  content = copy.deepcopy(content)
  place = content
  while True:
    keys = list(place) if isinstance(place, dict) else range(len(place))
    key = draw(st.sampled_from(list(keys)))
    inside = place[key]
    if not isinstance(inside, list | dict) or not inside or draw(st.booleans()):
      place[key] = draw(st.sampled_from(JUNK))
      return content
    place = inside


@settings(max_examples=200, deadline=None)
@given(
  clip=st.sampled_from([c for c in CLIPS if not isinstance(c[1], str)]),
  tracking=st.sampled_from(['oks', 'iou', 'none']),
  coordinates=st.sampled_from(['image', 'world']),
  data=st.data(),
)
def test_no_value_breaks_a_reader_down(clip, tracking, coordinates, data):
  form, content, name, _, _ = clip
  options = clip_formats.ReadOptions(
    tracking=tracking, coordinates=coordinates, img_shape=(480, 640)
  )
  with tempfile.TemporaryDirectory() as folder:
    write(pathlib.Path(folder, name), with_junk(content, data.draw))
    path = os.path.join(folder, name.split('/')[0])
    try:
      item = clip_formats.read_clip(path, form, options)
      items.check(
        item, layout=None, num_classes=None, path=path, sample_id='clip'
      )
    except errors.UserError as error:
      assert path in str(error)


@pytest.mark.parametrize('form', clip_formats.FORMATS)
@pytest.mark.parametrize('what', ['empty', 'deep', 'null', 'folder'])
def test_no_form_breaks_down_over_a_wrong_file(tmp_path, form, what):
  path = tmp_path / 'clip.json'
  if what == 'folder':
    path.mkdir()
  else:
    path.write_text({'empty': '', 'deep': '[' * 10**5, 'null': 'null'}[what])
  with pytest.raises(errors.UserError) as caught:
    clip_formats.read_clip(str(path), form)
  assert str(path) in str(caught.value)


@pytest.mark.parametrize(
  'ending, empty, content, name',
  [
    ('json', '[]', [MMPOSE], 'mmpose'),
    ('json', ' []\n', [ULTRALYTICS], 'ultralytics'),
    ('txt', '', '0 0.5 0.5 0.1 0.1' + ' 0.5 0.5 0.9' * 17, 'ultralytics'),
  ],
)
def test_a_folder_may_start_with_empty_frames(
  tmp_path, ending, empty, content, name
):
  for number, frame in enumerate((empty, empty, content)):
    write(tmp_path / 'a' / f'{number}.{ending}', frame)
  path = str(tmp_path / 'a')
  assert clip_formats.detect(path) == name
  options = clip_formats.ReadOptions(img_shape=(480, 640))
  keypoint = clip_formats.read_clip(path, options=options)['keypoint']
  assert keypoint.any(axis=(0, 2, 3)).tolist() == [False, False, True]
