"""Which layout the joints of a clip have, and what is said where none is known."""

import json

import numpy as np
import pytest

from skeljax import errors
from skeljax.readers import clip_formats
from skeljax.readers.pose_tools import pose_format

POINTS = [[10.0 + v, 100.0 + v] for v in range(17)]
FLAT = [number for x, y in POINTS for number in (x, y, 0.5)]
MMPOSE = {'keypoints': POINTS, 'keypoint_scores': [0.5] * 17}
BODY_25 = {'pose_keypoints_2d': [10.0, 20.0, 0.5] * 25}
NTU = '1\n1\n7 0 1 1 1 1 0 0.02 -0.2 2\n25\n' + ''.join(
  f'{v}.5 1 3 0 0 0 0 0 0 0 0 2\n' for v in range(25)
)


def write(path, content):
  path.parent.mkdir(exist_ok=True)
  path.write_text(content if isinstance(content, str) else json.dumps(content))


def test_cutting_joints_is_in_the_log(tmp_path, monkeypatch):
  said = []
  # It is said once in a process, and other tests may have heard it.
  monkeypatch.setattr(
    pose_format.logging,
    'log_first_n',
    lambda level, text, n, *args: said.append(text % args),
  )
  many = [[*POINTS, *POINTS[:9]], [0.5] * 26]
  instance = dict(zip(('keypoints', 'keypoint_scores'), many))
  write(tmp_path / 'a.json', [{'frame_id': 0, 'instances': [instance]}])
  options = clip_formats.ReadOptions(layout='coco')
  clip_formats.read_clip(str(tmp_path / 'a.json'), options=options)
  assert said == [
    f'{tmp_path / "a.json"}: keeping the first 17 of 26 joints, those of layout'
    ' coco'
  ]


def test_explanation_if_the_layout_cannot_be_inferred(tmp_path):
  path = str(tmp_path / 'a.json')

  def message(num_joints):
    points = FLAT * 8
    result = {'image_id': '0.jpg', 'keypoints': points[: 3 * num_joints]}
    write(tmp_path / 'a.json', [result] if num_joints else '[]')
    return clip_formats.explain_no_layout(path, 'alphapose')

  assert 'has 136 joints' in message(136) and '--layout=coco keeps' in message(
    136
  )
  assert 'Layouts with 20 joints: ucla (--layout)' in message(20)
  assert 'No known layout has 5 joints: describe yours' in message(5)
  assert 'has no person' in message(0) and '--layout=NAME' in message(0)
  np.save(tmp_path / 'a.npy', np.ones((1, 2, 25, 3)))
  assert 'Layouts with 25 joints: nturgb+d, openpose-25' in (
    clip_formats.explain_no_layout(str(tmp_path / 'a.npy'))
  )


@pytest.mark.parametrize(
  'name, content, layout, wrong',
  [
    ('a/7.json', {'people': [BODY_25]}, 'openpose-25', 'nturgb+d'),
    ('a.skeleton', NTU, 'nturgb+d', 'openpose-25'),
  ],
)
def test_joints_are_not_taken_for_others_of_their_number(
  tmp_path, name, content, layout, wrong
):
  write(tmp_path / name, content)
  path = str(tmp_path / name.split('/')[0])

  def read(layout):
    options = clip_formats.ReadOptions(layout=layout)
    return clip_formats.read_clip(path, options=options)

  with pytest.raises(errors.UserError) as caught:
    read(wrong)
  message = str(caught.value)
  assert f'its 25 joints are those of layout {layout}, which {wrong}' in message
  assert path in message and f'--layout={layout}' in message
  # A layout of one's own may have the joints of any tool.
  for fitting in ('', layout, 'mine'):
    assert read(fitting)['keypoint'].shape[2] == 25


@pytest.mark.parametrize(
  'instance, meta, words',
  [
    (
      {'keypoints': [[1.0, 2.0, 3.0]] * 17},
      {},
      "the 17 of MMPose are Human3.6M's, not COCO's",
    ),
    (
      MMPOSE,
      {'keypoint_id2name': {str(v): f'paw_{v}' for v in range(17)}},
      'has 17 joints, paw_0, paw_1, paw_2, paw_3, ..., with the names of no known',
    ),
  ],
)
def test_17_joints_are_not_always_those_of_coco(
  tmp_path, instance, meta, words
):
  frame = {'frame_id': 0, 'instances': [instance]}
  write(tmp_path / 'a.json', {'meta_info': meta, 'instance_info': [frame]})
  path = str(tmp_path / 'a.json')
  assert clip_formats.layout_of(path) == ''
  message = clip_formats.explain_no_layout(path)
  assert words in message and '--layout=FILE.json' in message
  assert 'Layouts with 17 joints' not in message


def test_a_format_with_one_layout_needs_no_explanation(tmp_path):
  write(tmp_path / 'a.skeleton', NTU)
  path = str(tmp_path / 'a.skeleton')
  assert (
    clip_formats.explain_no_layout(path) == f'{path} has the layout nturgb+d.'
  )
