"""Clips written in the format of a pose tool are read back unchanged."""

import json
import os
import pathlib
import tempfile

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np

from skeljax.readers import clip_formats

SHAPE = (480, 640)


def mmpose(folder, frames):
  content = [
    {
      'frame_id': number,
      'instances': [
        {
          'keypoints': points[:, :2].tolist(),
          'keypoint_scores': points[:, 2].tolist(),
          'track_id': track,
        }
        for track, points in persons
      ],
    }
    for number, persons in frames.items()
  ]
  return write(folder, 'clip.json', content)


def coco(folder, frames):
  numbers = list(frames)
  content = {
    'images': [
      {'id': 5 + i, 'file_name': f'{n}.jpg', 'height': 480, 'width': 640}
      for i, n in enumerate(numbers)
    ],
    'annotations': [
      {'image_id': 5 + i, 'keypoints': flat(points), 'track_id': track}
      for i, n in enumerate(numbers)
      for track, points in frames[n]
    ],
  }
  return write(folder, 'clip.json', content)


def openpose(folder, frames):
  for number, persons in frames.items():
    people = [
      {'person_id': [track], 'pose_keypoints_2d': flat(points)}
      for track, points in persons
    ]
    write(folder, f'a_{number:012d}_keypoints.json', {'people': people})
  return folder


def alphapose(folder, frames):
  content = [
    {'image_id': f'{number}.jpg', 'keypoints': flat(points), 'idx': track}
    for number, persons in frames.items()
    for track, points in persons
  ]
  return write(folder, 'clip.json', content)


def ultralytics(folder, frames):
  for number, persons in frames.items():
    summary = [
      {
        'class': 0,
        'confidence': 0.5,
        'box': {'x1': 0, 'y1': 0, 'x2': 1, 'y2': 1},
        'track_id': track,
        'keypoints': dict(zip(('x', 'y', 'visible'), points.T.tolist())),
      }
      for track, points in persons
    ]
    write(folder, f'a_{number}.json', summary)
  return folder


def write(folder, name, content):
  path = os.path.join(folder, name)
  pathlib.Path(path).write_text(json.dumps(content))
  return path


def flat(points):
  return points.ravel().tolist()


WRITERS = (mmpose, coco, openpose, alphapose, ultralytics)
FORMS = {writer: writer.__name__ for writer in WRITERS} | {coco: 'mmpose'}


@settings(max_examples=60, deadline=None)
@given(
  writer=st.sampled_from(WRITERS),
  seen=st.lists(st.sets(st.integers(1, 4)), min_size=1, max_size=5),
  first=st.integers(0, 12),
  seed=st.integers(0, 1000),
)
def test_every_form_gives_back_what_was_written(writer, seen, first, seed):
  # The first and last frame have a person: AlphaPose says nothing
  # of frames without anybody.
  seen[0].add(2)
  seen[-1].add(3)
  rng = np.random.default_rng(seed)
  keypoint = rng.uniform(3, 480, (5, len(seen), 17, 2)).astype(np.float32)
  # Persons of the same frame are numbered by decreasing score.
  surely = np.linspace(0.9, 0.1, 5)[:, None, None]
  score = (surely + rng.uniform(0, 0.1, keypoint.shape[:3])).astype(np.float32)
  score[1:, :, 3] = 0
  keypoint[1:, :, 3] = 0
  for t, tracks in enumerate(seen):
    absent = [m for m in range(5) if m not in tracks]
    keypoint[absent, t], score[absent, t] = 0, 0
  points = np.concatenate([keypoint, score[..., None]], -1).astype(np.float64)
  frames = {
    first + t: [(m, points[m, t]) for m in rng.permutation(sorted(tracks))]
    for t, tracks in enumerate(seen)
  }
  frames = {n: [(int(m), p) for m, p in frames[n]] for n in frames}
  with tempfile.TemporaryDirectory() as folder:
    path = writer(folder, frames)
    options = clip_formats.ReadOptions(img_shape=SHAPE)
    item = clip_formats.read_clip(path, FORMS[writer], options)
    assert clip_formats.layout_of(path, FORMS[writer]) in (
      ('', 'coco') if writer is openpose else ('coco',)
    )
  order = list(dict.fromkeys(m for tracks in seen for m in sorted(tracks)))
  expected = in_rows(points[order])
  np.testing.assert_array_equal(item['keypoint'], expected[..., :2])
  np.testing.assert_array_equal(item['keypoint_score'], expected[..., 2])
  assert item['total_frames'] == len(seen)
  assert item['img_shape'] == SHAPE


def in_rows(points):
  """Persons [M, T, V, 3] who follow each other in one row, as they are read."""
  rows = []
  for person in points:
    begin = person.any(axis=(1, 2)).argmax()
    for row in rows:
      if not row[begin:].any():
        row += person
        break
    else:
      rows.append(person.copy())
  return np.stack(rows)
