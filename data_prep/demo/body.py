"""A jointed human body: joint angles over time in, joint positions out.

World axes: y is up, and a person with heading 0 faces -z with the right hand at
+x. This is right-handed and equals the view of a Kinect in front of the person:
x towards the person's right, z away from the camera.

`forward_kinematics` computes positions relative to the pelvis; `plant` then moves
the pelvis so that the lower foot is on the floor and does not slide. A walk
therefore needs no path, and its reverse is a walk backwards.
"""

from collections.abc import Mapping
import dataclasses

import numpy as np

# The 25 Kinect joints in the order of NTU RGB+D, then five points of the face
# that only the 2D layout uses.
JOINTS = (
  'pelvis spine neck head '
  'l_shoulder l_elbow l_wrist l_hand r_shoulder r_elbow r_wrist r_hand '
  'l_hip l_knee l_ankle l_foot r_hip r_knee r_ankle r_foot '
  'chest l_tip l_thumb r_tip r_thumb '
  'nose l_eye r_eye l_ear r_ear'
).split()
KINECT_JOINTS = 25

# Pairs of joints at a fixed distance.
BONES = (
  'spine-pelvis chest-spine neck-chest head-neck nose-head l_eye-head '
  'r_eye-head l_ear-head r_ear-head l_shoulder-chest r_shoulder-chest '
  'l_elbow-l_shoulder r_elbow-r_shoulder l_wrist-l_elbow r_wrist-r_elbow '
  'l_hand-l_wrist r_hand-r_wrist l_tip-l_hand r_tip-r_hand l_thumb-l_hand '
  'r_thumb-r_hand l_hip-pelvis r_hip-pelvis l_knee-l_hip r_knee-r_hip '
  'l_ankle-l_knee r_ankle-r_knee l_foot-l_ankle r_foot-r_ankle'
).split()

# Joint angles, all zero for a person standing straight with hanging arms.
TRUNK = ('lean', 'bow', 'side', 'twist', 'nod', 'look')
ARM = ('lift', 'spread', 'turn', 'elbow', 'wrist')
LEG = ('thigh', 'straddle', 'knee', 'foot')
CHANNELS = TRUNK + tuple(f'{s}_{c}' for s in 'lr' for c in ARM + LEG)

# Segment lengths as fractions of the body height (Drillis and Contini 1966 for
# the limbs; the trunk is divided where Kinect puts its joints).
PROPORTIONS = dict(
  lower_spine=0.140,
  upper_spine=0.115,
  neck=0.045,
  head=0.085,
  shoulder=0.105,
  upper_arm=0.176,
  forearm=0.146,
  hand=0.045,
  finger=0.050,
  hip=0.047,
  thigh=0.245,
  shank=0.246,
  ankle=0.045,
  foot=0.080,
)


@dataclasses.dataclass(frozen=True)
class Body:
  """Segment lengths of one person.

  Attributes:
    height: metres.
    lengths: segment name (see PROPORTIONS) to metres.
  """

  height: float
  lengths: Mapping[str, float]


def draw_body(rng: np.random.Generator) -> Body:
  """Draw a person of 1.5 to 1.95 m with slightly varied proportions."""
  height = rng.uniform(1.50, 1.95)
  own = rng.normal(1, 0.035, len(PROPORTIONS)).clip(0.9, 1.1).tolist()
  lengths = {k: height * p * o for (k, p), o in zip(PROPORTIONS.items(), own)}
  return Body(height, lengths)


def rotation(axis: str, degrees: np.ndarray | float) -> np.ndarray:
  """Right-handed rotation matrices about an axis, [..., 3, 3]."""
  angle = np.deg2rad(np.asarray(degrees, np.float64))
  i, j = {'x': (1, 2), 'y': (2, 0), 'z': (0, 1)}[axis]
  out = np.zeros((*angle.shape, 3, 3))
  out[..., range(3), range(3)] = 1
  out[..., i, i] = out[..., j, j] = np.cos(angle)
  out[..., j, i] = np.sin(angle)
  out[..., i, j] = -np.sin(angle)
  return out


def forward_kinematics(angles: np.ndarray, body: Body) -> np.ndarray:
  """Joint positions relative to the pelvis, for heading 0.

  Args:
    angles: [T, len(CHANNELS)], degrees. lean and bow bend the lower and upper
      spine forwards, side leans and twist turns to the left, nod and look are
      the head's. lift raises an arm forwards, spread sideways, turn rotates
      the upper arm inwards, elbow and wrist flex. thigh swings forwards from
      the vertical whatever the trunk does, straddle sideways, knee flexes,
      foot raises the toes from the horizontal.
    body: the person.

  Returns:
    [T, len(JOINTS), 3], metres.
  """
  a = dict(zip(CHANNELS, angles.T))
  size = body.lengths
  at = {'pelvis': np.zeros((len(angles), 3))}

  def grow(joint, parent, frame, x, y, z):
    at[joint] = at[parent] + frame @ np.array([x, y, z])

  lower = rotation('y', a['twist'] / 2) @ rotation('z', a['side'])
  lower = lower @ rotation('x', -a['lean'])
  upper = lower @ rotation('y', a['twist'] / 2) @ rotation('x', -a['bow'])
  head = upper @ rotation('y', a['look']) @ rotation('x', -a['nod'])
  grow('spine', 'pelvis', lower, 0, size['lower_spine'], 0)
  grow('chest', 'spine', upper, 0, size['upper_spine'], 0)
  grow('neck', 'chest', upper, 0, size['neck'], 0)
  grow('head', 'neck', head, 0, size['head'], 0)
  face = size['head']
  grow('nose', 'head', head, 0, -0.10 * face, -0.75 * face)
  for side, s in (('l', -1), ('r', 1)):
    grow(f'{side}_eye', 'head', head, s * 0.22 * face, 0.12 * face, -face / 2)
    grow(f'{side}_ear', 'head', head, s * 0.5 * face, 0, 0.1 * face)

    arm = upper @ rotation('z', s * a[f'{side}_spread'])
    arm = arm @ rotation('x', a[f'{side}_lift'])
    arm = arm @ rotation('y', s * a[f'{side}_turn'])
    forearm = arm @ rotation('x', a[f'{side}_elbow'])
    hand = forearm @ rotation('x', a[f'{side}_wrist'])
    grow(f'{side}_shoulder', 'chest', upper, s * size['shoulder'], -0.02, 0)
    grow(f'{side}_elbow', f'{side}_shoulder', arm, 0, -size['upper_arm'], 0)
    grow(f'{side}_wrist', f'{side}_elbow', forearm, 0, -size['forearm'], 0)
    grow(f'{side}_hand', f'{side}_wrist', hand, 0, -size['hand'], 0)
    finger = size['finger']
    grow(f'{side}_tip', f'{side}_hand', hand, 0, -finger, 0)
    grow(f'{side}_thumb', f'{side}_hand', hand, 0, -finger / 4, -finger / 2)

    thigh = rotation('z', s * a[f'{side}_straddle'])
    thigh = thigh @ rotation('x', a[f'{side}_thigh'])
    shank = thigh @ rotation('x', -a[f'{side}_knee'])
    foot = rotation('x', a[f'{side}_foot'])
    grow(f'{side}_hip', 'pelvis', np.eye(3), s * size['hip'], -0.02, 0)
    grow(f'{side}_knee', f'{side}_hip', thigh, 0, -size['thigh'], 0)
    grow(f'{side}_ankle', f'{side}_knee', shank, 0, -size['shank'], 0)
    sole = size['ankle'] * 0.6
    grow(f'{side}_foot', f'{side}_ankle', foot, 0, -sole, -size['foot'])
  return np.stack([at[joint] for joint in JOINTS], axis=1)


def plant(points: np.ndarray, body: Body) -> np.ndarray:
  """Return the motion with the lower foot on the floor (y = 0), not sliding.

  Args:
    points: [T, V, 3], metres, relative to the pelvis, heading 0.
    body: has the height of the ankle above the sole.

  Returns:
    [T, V, 3], metres; the pelvis starts above x = z = 0.
  """
  index = [[JOINTS.index(f'{s}_{j}') for j in ('ankle', 'foot')] for s in 'lr']
  feet = points[:, index]  # [T, side, ankle or foot, 3]
  ankle = body.lengths['ankle']
  soles = (feet[..., 1] - np.array([ankle, ankle * 0.4])).min(-1)
  height = -soles.min(-1)

  # Both feet count if both are low; the weight changes over 1 cm.
  weight = np.exp(-(soles - soles.min(-1, keepdims=True)) / 0.01)
  weight /= weight.sum(-1, keepdims=True)
  weight = (weight[1:] + weight[:-1]) / 2
  step = -(weight[..., None] * np.diff(feet[:, :, 0], axis=0)).sum(1)
  path = np.concatenate([np.zeros((1, 3)), np.cumsum(step, axis=0)])
  path[:, 1] = height
  return points + path[:, None]
