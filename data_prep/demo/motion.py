"""Generate the motion of one or two bodies from the keyframes of an action."""

import math

import numpy as np

from data_prep.demo import actions
from data_prep.demo import body as body_lib

FRAME_RATE = 30  # frames per second, as Kinect
MIN_FRAMES, MAX_FRAMES = 30, 110


def perform(
  name: str, bodies: list[body_lib.Body], rng: np.random.Generator
) -> np.ndarray:
  """Return one performance of an action, in world coordinates.

  Pace, onset, handedness, amplitude and every angle vary with rng. The clip may
  start and end during the motion. The reverse of an action is the same clip, for
  the same rng, with reversed frames.

  Args:
    name: a key of actions.MOTIONS.
    bodies: two persons; a one-person action uses the first.
    rng: random number generator.

  Returns:
    [persons, T, len(body_lib.JOINTS), 3], metres, floor at y = 0, T between
    MIN_FRAMES and MAX_FRAMES.
  """
  action, backwards = actions.MOTIONS[name]
  bodies = bodies[: action.persons]
  moment = _timeline(action, rng)
  beats = _beats(action, moment, rng)  # The same for both persons.
  angles = [beats + _angles(action, moment, rng) for _ in bodies]
  meeting = np.abs(moment - action.meet).argmin()
  if action.persons == 2 and not action.gap:
    angles = _level_hands(angles, bodies, meeting)
  hand = 'r_hand'
  if rng.random() < 0.5:
    angles, hand = [_mirror(a) for a in angles], 'l_hand'
  people = [_move(a, b) for a, b in zip(angles, bodies)]
  if action.persons == 2:
    people = _face_each_other(action, people, meeting, hand, rng)
  out = np.stack(people)
  return out[:, ::-1] if backwards else out


def _move(angles: np.ndarray, body: body_lib.Body) -> np.ndarray:
  """[T, joints, 3] a person on the floor."""
  return body_lib.plant(body_lib.forward_kinematics(angles, body), body)


def _timeline(action: actions.Action, rng: np.random.Generator) -> np.ndarray:
  """[T] phase of the motion per frame: < 0 before it, > 1 after it."""
  frames = FRAME_RATE * rng.uniform(*action.seconds)
  before, after = rng.uniform(-0.12, 0.35, 2)
  frames = min(frames, MAX_FRAMES / (1 + before + after))
  length = max(round((1 + before + after) * frames), MIN_FRAMES)
  return np.arange(length) / frames - before


def _angles(
  action: actions.Action, moment: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
  """[T, channels] joint angles of one person."""
  times = np.array([t for t, _ in action.keyframes])
  poses = np.array(
    [[p[c] for c in body_lib.CHANNELS] for _, p in action.keyframes]
  )
  stand = np.array([actions.STAND[c] for c in body_lib.CHANNELS])
  channels = len(stand)

  # Both legs vary in the same way, or a foot would leave the floor.
  legs = np.array([c[2:] in body_lib.LEG for c in body_lib.CHANNELS])
  left = np.array([c[:2] == 'l_' for c in body_lib.CHANNELS])
  scale = rng.uniform(0.9, 1.1) + rng.normal(0, 0.06, poses.shape)
  scale[:, legs & left] = scale[:, legs & ~left]
  poses = stand + scale * (poses - stand)
  poses[:, ~legs] += rng.normal(0, 3, (~legs).sum())

  # Each joint starts with a small lag.
  lag = rng.normal(0, 0.015, channels)
  lag[legs & left] = lag[legs & ~left]
  angles = _interpolate(times, poses, moment[:, None] - lag)

  if action.steps[1]:
    angles += _walk(action, moment, rng)
  angles[:, ~legs] += _sway(len(moment), (~legs).sum(), rng)
  return angles


def _beats(
  action: actions.Action, moment: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
  """[T, channels] oscillations, which are added to the keyframes."""
  out = np.zeros((len(moment), len(body_lib.CHANNELS)))
  seconds = np.arange(len(moment)) / FRAME_RATE
  for beat in action.beats:
    fade = _ease((moment - beat.start) / 0.1)
    fade *= _ease((beat.stop - moment) / 0.1)
    phase = seconds * rng.uniform(*beat.hertz) + rng.random()
    swing = beat.degrees * rng.uniform(0.7, 1.3) * np.sin(2 * math.pi * phase)
    out[:, body_lib.CHANNELS.index(beat.channel)] += fade * swing
  return out


def _interpolate(
  times: np.ndarray, values: np.ndarray, at: np.ndarray
) -> np.ndarray:
  """Interpolate keyframes, constant before the first and after the last.

  Cubic Hermite pieces; the slope at an inner keyframe is the harmonic mean of
  its neighbours if they have the same sign, else zero (Fritsch and Butland 1984),
  so that a joint never moves beyond its keyframes.

  Args:
    times: [K], ascending.
    values: [K, C].
    at: [T, C], times per channel.

  Returns:
    [T, C].
  """
  gaps = np.diff(times)[:, None]
  slopes = np.diff(values, axis=0) / gaps
  before, after = slopes[:-1], slopes[1:]
  agree = before * after > 0
  total = np.where(agree, before + after, 1.0)
  inner = np.where(agree, 2 * before * after / total, 0.0)
  slope = np.pad(inner, ((1, 1), (0, 0)))

  at = at.clip(times[0], times[-1])
  piece = (np.searchsorted(times, at, side='right') - 1).clip(0, len(gaps) - 1)
  gap = gaps[piece, 0]
  u = (at - times[piece]) / gap
  c = np.arange(values.shape[1])
  rise = values[piece + 1, c] - values[piece, c]
  return (
    values[piece, c]
    + rise * u**2 * (3 - 2 * u)
    + gap * slope[piece, c] * u * (1 - u) ** 2
    - gap * slope[piece + 1, c] * u**2 * (1 - u)
  )


def _ease(u: np.ndarray) -> np.ndarray:
  """Smooth step: 0 below 0, 1 above 1."""
  u = u.clip(0, 1)
  return u * u * (3 - 2 * u)


def _walk(
  action: actions.Action, moment: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
  """[T, channels] angles of a few steps, which are added to those of standing.

  The curves follow the sagittal joint angles of normal gait (Winter 1991), with
  the heel strike at phase 0. Walking backwards is close to the reverse
  (Thorstensson 1986).
  """
  start, stop = action.walk
  u = ((moment - start) / (stop - start)).clip(0, 1)
  steps = rng.integers(action.steps[0], action.steps[1] + 1)
  strength = _ease(u / 0.2) * _ease((1 - u) / 0.2) * rng.uniform(0.8, 1.15)
  phase = rng.random() + steps / 2 * u

  out = np.zeros((len(moment), len(body_lib.CHANNELS)))
  for side, shift in (('l', 0.0), ('r', 0.5)):
    p = phase + shift
    swing = np.cos(2 * math.pi * p)
    knee = 12 * _pulse(p - 0.15, 0.07) + 58 * _pulse(p - 0.73, 0.09)
    foot = 12 * _pulse(p, 0.05) - 45 * _pulse(p - 0.6, 0.07)
    curves = dict(thigh=5 + 22 * swing, knee=knee, foot=foot, lift=-14 * swing)
    for name, curve in curves.items():
      out[:, body_lib.CHANNELS.index(f'{side}_{name}')] = strength * curve
  return out


def _pulse(phase: np.ndarray, width: float) -> np.ndarray:
  """Periodic Gaussian of this width with maximum 1 at whole phases."""
  return np.exp((np.cos(2 * math.pi * phase) - 1) / (2 * math.pi * width) ** 2)


def _sway(frames: int, channels: int, rng: np.random.Generator) -> np.ndarray:
  """[T, channels] degrees of body sway."""
  out, seconds = 0, np.arange(frames) / FRAME_RATE
  for hertz in (0.2, 0.5, 1.1):
    rate = hertz * rng.uniform(0.7, 1.4, channels)
    phase = seconds[:, None] * rate + rng.random(channels)
    out = out + rng.normal(0, 1.2, channels) * np.sin(2 * math.pi * phase)
  return out


def _mirror(angles: np.ndarray) -> np.ndarray:
  """Angles of the mirrored motion: swapped sides, negated turns."""
  swap = {'l_': 'r_', 'r_': 'l_'}
  names = [swap.get(c[:2], c[:2]) + c[2:] for c in body_lib.CHANNELS]
  sign = [-1 if c in ('side', 'twist', 'look') else 1 for c in names]
  return angles[:, [body_lib.CHANNELS.index(n) for n in names]] * sign


def _level_hands(
  angles: list[np.ndarray], bodies: list[body_lib.Body], meeting: int
) -> list[np.ndarray]:
  """Lift or lower the right hands to the same height where they meet."""
  hand, shoulder = map(body_lib.JOINTS.index, ('r_hand', 'r_shoulder'))
  lift = body_lib.CHANNELS.index('r_lift')
  for _ in range(2):  # Newton's method, accurate to millimetres.
    at = [_move(a[[meeting]], b)[0] for a, b in zip(angles, bodies)]
    height = np.mean([p[hand, 1] for p in at])
    corrected = []
    for own, points in zip(angles, at):
      reach = points[shoulder, 2] - points[hand, 2]
      error = np.rad2deg((height - points[hand, 1]) / reach)
      share = own[:, lift] / own[meeting, lift]
      own = own.copy()
      own[:, lift] += error * share
      corrected.append(own)
    angles = corrected
  return angles


def _face_each_other(
  action: actions.Action,
  people: list[np.ndarray],
  meeting: int,
  hand: str,
  rng: np.random.Generator,
) -> list[np.ndarray]:
  """Place both so that they are `gap` apart or touch hands when they meet."""
  apart = rng.uniform(*action.gap) if action.gap else 0
  anchor = body_lib.JOINTS.index('pelvis' if action.gap else hand)
  out = []
  for points, heading in zip(people, (-90, 90)):
    turned = points @ body_lib.rotation('y', heading + rng.normal(0, 4)).T
    turned -= turned[meeting, anchor] * [1, 0, 1]
    # The person with heading -90 faces +x and is at negative x.
    turned[..., 0] += math.copysign(apart / 2, heading)
    out.append(turned)
  return out
