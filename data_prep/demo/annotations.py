"""Generate the demo: procedural motions as annotations of mmaction2.

A few hundred clips of everyday actions in front of a depth camera, made from
joint angles (actions.py) and bodies (body.py), to train a model without a
download. All actions except one are pairs of a motion and its reverse, so that a
model has to use the order of the frames.

Subjects and cameras of the validation split do not occur in training.
"""

from collections.abc import Mapping
import dataclasses
import math
from typing import Any

import numpy as np

from data_prep.demo import actions
from data_prep.demo import body as body_lib
from data_prep.demo import motion as motion_lib
from skeljax import errors

# Part of the fingerprint of a prepared demo. Raise it when a clip changes.
DEMO_VERSION = '1'

ACTIONS = tuple(actions.MOTIONS)
LAYOUTS = ('nturgb+d', 'coco')

# Clips per action; numbers of the subjects and cameras.
CLIPS = {'train': 46, 'val': 20}
SUBJECTS = {'train': range(1, 21), 'val': range(21, 31)}
CAMERAS = {'train': range(1, 9), 'val': range(9, 13)}

IMAGE_SHAPE = (1080, 1920)  # height, width, pixels
_FOCAL_LENGTH = 1060.0  # pixels, about that of Kinect's colour camera

_COCO = [
  body_lib.JOINTS.index(joint)
  for joint in (
    'nose l_eye r_eye l_ear r_ear l_shoulder r_shoulder l_elbow r_elbow '
    'l_wrist r_wrist l_hip r_hip l_knee r_knee l_ankle r_ankle'
  ).split()
]

# Joints that a depth camera loses: the ends of the limbs, never the trunk.
_LOSABLE = [
  body_lib.JOINTS.index(f'{side}_{joint}')
  for side in 'lr'
  for joint in 'elbow wrist hand tip thumb knee ankle foot'.split()
]


@dataclasses.dataclass(frozen=True)
class Camera:
  """Position and direction of a camera.

  Attributes:
    azimuth: degrees by which the scene is turned.
    height: metres above the floor.
    distance: metres to the centre of the scene.
    pitch: degrees downwards.
  """

  azimuth: float
  height: float
  distance: float
  pitch: float


@dataclasses.dataclass(frozen=True)
class Cast:
  """Subjects and cameras of a demo.

  Attributes:
    seed: seed of all random numbers.
    bodies: subject number -> body.
    cameras: camera number -> camera.
  """

  seed: int
  bodies: Mapping[int, body_lib.Body]
  cameras: Mapping[int, Camera]


def make_annotations(layout_name: str, seed: int = 0) -> dict[str, Any]:
  """Return the demo as the content of an annotation file of mmaction2.

  Args:
    layout_name: 'nturgb+d' (25 joints, metres in camera space) or 'coco' (17
      joints in pixels, with scores).
    seed: at least 0; the same seed gives the same clips.

  Returns:
    A dict with split (train and val -> clip ids), annotations, label_names.

  Raises:
    UserError: for another layout.
  """
  if layout_name not in LAYOUTS:
    raise errors.UserError(
      f'--layout={layout_name}: the demo has {", ".join(LAYOUTS)}.'
    )
  cast = draw_cast(seed)
  split, annotations = {}, []
  for split_name, count in CLIPS.items():
    clips = [
      _clip(cast, split_name, repetition, label, layout_name)
      for repetition in range(1, count + 1)
      for label in range(len(ACTIONS))
    ]
    split[split_name] = [clip['frame_dir'] for clip in clips]
    annotations += clips
  return dict(split=split, annotations=annotations, label_names=list(ACTIONS))


def draw_cast(seed: int) -> Cast:
  """Return the subjects and cameras; the splits share none of them."""
  rng = np.random.default_rng([1, seed])
  bodies = {
    number: body_lib.draw_body(rng)
    for numbers in SUBJECTS.values()
    for number in numbers
  }
  cameras = {}
  for numbers in CAMERAS.values():
    # The cameras of a split are in a half circle in front of the scene.
    for number, azimuth in zip(numbers, np.linspace(-55, 55, len(numbers))):
      height, distance = rng.uniform(0.9, 1.7), rng.uniform(2.7, 3.7)
      pitch = math.degrees(math.atan((height - 0.95) / distance))
      azimuth, pitch = azimuth + rng.normal(0, 5), pitch + rng.normal(0, 2)
      cameras[number] = Camera(azimuth, height, distance, pitch)
  return Cast(seed, bodies, cameras)


def _clip(
  cast: Cast, split_name: str, repetition: int, label: int, layout_name: str
) -> dict[str, Any]:
  """One annotation.

  A motion and its reverse are generated with the same subjects and camera, so a
  model that ignores the order of the frames gets at most one of them right,
  except by chance. Both layouts show the same scene.
  """
  motion = ACTIONS.index(actions.MOTIONS[ACTIONS[label]][0].name)
  key = [cast.seed, list(CLIPS).index(split_name), repetition, motion]
  rng = np.random.default_rng([2, *key])
  subjects = rng.choice(SUBJECTS[split_name], 2, replace=False)
  camera = rng.choice(CAMERAS[split_name])
  scene = motion_lib.perform(
    ACTIONS[label], [cast.bodies[s] for s in subjects], rng
  )
  points = _before_camera(scene, cast.cameras[camera], rng)
  if rng.random() < 0.5:
    points = points[::-1]  # [M, T, joints, 3]

  rng = np.random.default_rng([3, *key, label])
  kept, seen = _losses(points.shape[:3], rng)
  sense = _depth if layout_name == 'nturgb+d' else _image
  return dict(
    frame_dir=(
      f'C{camera:03d}P{subjects[0]:03d}R{repetition:03d}A{label + 1:03d}'
    ),
    label=label,
    total_frames=int(kept.sum()),
    **sense(points[:, kept], seen[:, kept], rng),
  )


def _before_camera(
  scene: np.ndarray, camera: Camera, rng: np.random.Generator
) -> np.ndarray:
  """The scene in camera axes: x is right in the mirrored image of Kinect."""
  middle = scene[:, :, 0].mean((0, 1)) * [1, 0, 1]
  turn = camera.azimuth + rng.normal(0, 8)
  points = (scene - middle) @ body_lib.rotation('y', turn).T
  # Two persons need a larger distance.
  depth = camera.distance + 0.8 * (len(scene) - 1) + rng.normal(0, 0.15)
  points += [rng.normal(0, 0.2), -camera.height, depth]
  return points @ body_lib.rotation('x', -camera.pitch).T


def _losses(
  shape: tuple[int, ...], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
  """Drop frames and joints at random.

  Returns:
    [T] frames that are kept, and [M, T, joints] joints that are detected.
  """
  persons, frames, _ = shape
  kept, seen = np.ones(frames, bool), np.ones(shape, bool)

  def some_frames(longest):  # Never the first one.
    start = rng.integers(1, frames)
    return slice(start, start + rng.integers(1, longest + 1))

  if rng.random() < 0.3:
    kept = rng.random(frames) > 0.06
  if rng.random() < 0.2:
    seen[:, some_frames(3)] = False
  if persons == 2 and rng.random() < 0.2:
    seen[1, some_frames(8)] = False
  if rng.random() < 0.4:
    for _ in range(rng.integers(1, 4)):
      seen[rng.integers(persons), some_frames(10), rng.choice(_LOSABLE)] = False
  return kept, seen


def _tremble(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
  """Noise of unit variance, [M, T, ...], correlated over two frames."""
  white = rng.standard_normal((shape[0], shape[1] + 1, *shape[2:]))
  return (white[:, 1:] + white[:, :-1]) / math.sqrt(2)


def _depth(
  points: np.ndarray, seen: np.ndarray, rng: np.random.Generator
) -> Mapping[str, Any]:
  """Output of Kinect: 25 joints in metres, zeros for lost ones."""
  points = points[:, :, : body_lib.KINECT_JOINTS]
  seen = seen[:, :, : body_lib.KINECT_JOINTS, None]
  metres = np.full((body_lib.KINECT_JOINTS, 1), 0.007)
  metres[[i for i in _LOSABLE if i < body_lib.KINECT_JOINTS]] = 0.012
  noise = metres * rng.uniform(0.6, 1.4) * _tremble(points.shape, rng)
  return dict(keypoint=((points + noise) * seen).astype(np.float16))


def _image(
  points: np.ndarray, seen: np.ndarray, rng: np.random.Generator
) -> Mapping[str, Any]:
  """Output of a pose estimator: 17 joints in pixels, with scores.

  A hidden joint has a wrong position and a low score. Only a person that was not
  detected is all zeros.
  """
  height, width = IMAGE_SHAPE
  depth = points[..., _COCO, 2:]
  # Kinect's x points left in an image that is not mirrored.
  pixels = np.array([width, height]) / 2
  pixels = pixels - _FOCAL_LENGTH * points[..., _COCO, :2] / depth
  detected = seen.any(-1)[..., None]
  seen = seen[..., _COCO]

  # Joints behind the pelvis are likely hidden, and the face from behind.
  hidden = np.clip((depth[..., 0] - points[..., :1, 2]) / 0.5, 0, 1)
  nose, head = body_lib.JOINTS.index('nose'), body_lib.JOINTS.index('head')
  away = points[..., nose, 2] > points[..., head, 2]
  hidden[..., :5] = np.where(away[..., None], 1.0, hidden[..., :5])
  score = 0.92 - 0.35 * hidden + 0.04 * _tremble(seen.shape, rng)
  score = np.where(
    seen, score.clip(0.3, 1), rng.uniform(0.02, 0.25, seen.shape)
  )
  spread = 4.0 + 5.0 * hidden + 40.0 * ~seen
  pixels = pixels + spread[..., None] * _tremble(pixels.shape, rng)
  return dict(
    keypoint=(pixels * detected[..., None]).astype(np.float16),
    keypoint_score=(score * detected).astype(np.float16),
    img_shape=IMAGE_SHAPE,
    original_shape=IMAGE_SHAPE,
  )
