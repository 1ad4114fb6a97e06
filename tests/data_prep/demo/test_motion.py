"""Bodies and motions of the demo are human."""

import numpy as np
import pytest

from data_prep.demo import actions
from data_prep.demo import body as body_lib
from data_prep.demo import motion as motion_lib

NAMES = tuple(actions.MOTIONS)
FORWARD = tuple(
  a.name for a, backwards in actions.MOTIONS.values() if not backwards
)


def perform(name, seed):
  rng = np.random.default_rng(seed)
  bodies = [body_lib.draw_body(rng) for _ in range(2)]
  return motion_lib.perform(name, bodies, rng), bodies


def joint(points, name):
  return points[..., body_lib.JOINTS.index(name), :]


def test_body_has_human_proportions():
  rng = np.random.default_rng(0)
  stand = np.array([[actions.STAND[c] for c in body_lib.CHANNELS]])
  for _ in range(20):
    body = body_lib.draw_body(rng)
    points = body_lib.plant(body_lib.forward_kinematics(stand, body), body)[0]
    assert 1.5 <= body.height <= 1.95
    # The joint of the head is its centre, about 7 % below the top.
    assert 0.88 < joint(points, 'head')[1] / body.height < 0.98
    assert 0.5 < joint(points, 'pelvis')[1] / body.height < 0.6
    hands = joint(points, 'l_hand'), joint(points, 'r_hand')
    assert all(0.36 < hand[1] / body.height < 0.5 for hand in hands)
    # Facing -z, the right hand is at +x.
    assert hands[0][0] < 0 < hands[1][0]


@pytest.mark.parametrize(
  'channel, degrees, name, axis, sign',
  [
    ('r_lift', 60, 'r_hand', 2, -1),
    ('r_spread', 60, 'r_hand', 0, 1),
    ('l_spread', 60, 'l_hand', 0, -1),
    ('r_elbow', 60, 'r_hand', 2, -1),
    ('r_thigh', 60, 'r_knee', 2, -1),
    ('r_knee', 60, 'r_ankle', 2, 1),
    ('l_straddle', 30, 'l_ankle', 0, -1),
    ('r_foot', 30, 'r_foot', 1, 1),
    ('lean', 30, 'head', 2, -1),
    ('bow', 30, 'head', 2, -1),
    ('side', 30, 'head', 0, -1),
    ('nod', 30, 'nose', 1, -1),
    ('look', 30, 'nose', 0, -1),
    ('twist', 30, 'r_shoulder', 2, -1),
  ],
)
def test_angles_move_joints_in_the_anatomical_direction(
  channel, degrees, name, axis, sign
):
  body = body_lib.draw_body(np.random.default_rng(0))
  angles = np.zeros((2, len(body_lib.CHANNELS)))
  angles[1, body_lib.CHANNELS.index(channel)] = degrees
  before, after = joint(body_lib.forward_kinematics(angles, body), name)
  assert sign * (after - before)[axis] > 0.02


@pytest.mark.parametrize('name', FORWARD)
def test_bones_keep_their_lengths_and_joints_human_speeds(name):
  for seed in range(4):
    points, _ = perform(name, seed)
    for bone in body_lib.BONES:
      ends = [joint(points, end) for end in bone.split('-')]
      length = np.linalg.norm(ends[0] - ends[1], axis=-1)
      np.testing.assert_allclose(
        length, length[:, :1].repeat(length.shape[1], 1)
      )
    speed = np.linalg.norm(np.diff(points, axis=1), axis=-1)
    assert speed.max() * motion_lib.FRAME_RATE < 9


@pytest.mark.parametrize('name', FORWARD)
def test_lower_foot_is_on_the_floor_and_does_not_slide(name):
  for seed in range(4):
    points, _ = perform(name, seed)
    soles, slides = [], []
    for side in 'lr':
      ankle, foot = (
        joint(points, f'{side}_ankle'),
        joint(points, f'{side}_foot'),
      )
      soles.append(np.minimum(ankle[..., 1] - 0.04, foot[..., 1]))
      slides.append(np.linalg.norm(np.diff(ankle, axis=1)[..., ::2], axis=-1))
    lowest = np.min(soles, axis=0)
    assert lowest.min() > -0.03 and lowest.max() < 0.09
    # Metres per frame; at least one foot stays, except for rolling.
    slide = np.min(slides, axis=0)
    assert slide.mean() < 0.005 and slide.max() < 0.06
    assert points[..., 1].min() > -0.05


@pytest.mark.parametrize('name', NAMES)
def test_reverse_has_the_frames_in_reverse_order(name):
  action, backwards = actions.MOTIONS[name]
  if not action.reverse:
    assert not backwards
    return
  forward, _ = perform(action.name, 3)
  reverse, _ = perform(action.reverse, 3)
  np.testing.assert_array_equal(forward[:, ::-1], reverse)
  assert np.abs(forward - reverse).max() > 0.2


def test_at_least_three_pairs_are_reversals():
  assert sum(bool(a.reverse) for a, _ in actions.MOTIONS.values()) >= 2 * 3
  assert 'stand up' in NAMES and 'put down' in NAMES and 'leave' in NAMES


def test_flipped_angles_give_the_flipped_motion():
  rng = np.random.default_rng(5)
  body = body_lib.draw_body(rng)
  angles = rng.uniform(-40, 40, (3, len(body_lib.CHANNELS)))
  points = body_lib.forward_kinematics(angles, body)
  mirrored = body_lib.forward_kinematics(motion_lib._mirror(angles), body)
  other = {'l_': 'r_', 'r_': 'l_'}
  swap = [
    body_lib.JOINTS.index(other.get(j[:2], j[:2]) + j[2:])
    for j in body_lib.JOINTS
  ]
  np.testing.assert_allclose(mirrored, points[:, swap] * [-1, 1, 1], atol=1e-12)


def test_both_hands_wave():
  higher = []
  for seed in range(30):
    points, _ = perform('wave', seed)
    left, right = joint(points, 'l_hand'), joint(points, 'r_hand')
    higher.append(left[..., 1].max() > right[..., 1].max())
  assert 5 < sum(higher) < 25


def test_two_persons_meet():
  for seed in range(10):
    points, _ = perform('approach', seed)
    pelvis = joint(points, 'pelvis')[..., ::2]
    gap = np.linalg.norm(pelvis[0] - pelvis[1], axis=-1)
    assert 0.7 < gap[-1] < 1.35
    assert 1 < gap[0] - gap[-1] < 5
    # They face each other.
    nose = joint(points, 'nose') - joint(points, 'head')
    assert np.all(nose[0, :, 0] * nose[1, :, 0] < 0)


def test_taken_hands_touch():
  for seed in range(10):
    points, bodies = perform('take hands', seed)
    sides = [joint(points, f'{s}_hand') for s in 'lr']
    between = [np.linalg.norm(s[0] - s[1], axis=-1).min() for s in sides]
    assert min(between) < 0.06, (seed, between, [b.height for b in bodies])


def test_clip_lengths_are_in_range_and_onsets_vary():
  lengths, starts = set(), []
  for seed in range(60):
    points, _ = perform(NAMES[seed % len(NAMES)], seed)
    lengths.add(points.shape[1])
    starts.append(np.linalg.norm(np.diff(points[0, :3], axis=0), axis=-1).max())
  assert min(lengths) >= motion_lib.MIN_FRAMES
  assert max(lengths) <= motion_lib.MAX_FRAMES
  assert len(lengths) > 25
  assert np.ptp(starts) > 0.01


def test_interpolation_passes_keyframes_and_stays_between_them():
  times = np.array([0, 0.3, 0.5, 1])
  values = np.array([[0, 5], [10, 5], [10, -3], [40, 0]], float)
  at = np.linspace(-0.2, 1.2, 281)[:, None].repeat(2, axis=1)
  curve = motion_lib._interpolate(times, values, at)
  for moment, value in zip(times, values):
    row = np.abs(at[:, 0] - moment).argmin()
    np.testing.assert_allclose(curve[row], value, atol=1e-9)
  assert curve.min() >= -3 - 1e-9 and curve.max() <= 40 + 1e-9
  np.testing.assert_array_equal(curve[0], values[0])
  np.testing.assert_array_equal(curve[-1], values[-1])
  # Constant outside and smooth everywhere.
  assert np.abs(np.diff(curve, 2, axis=0)).max() < 0.6
