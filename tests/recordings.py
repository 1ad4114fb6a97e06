"""Random NTU RGB+D recordings with the errors of a Kinect, as .skeleton text.

Used by the tests of the reader, by its comparison with mmaction2 and by the
script that reads the same files with pyskl and mmaction2 0.x. A recording is a
list of frames, and a frame a list of (body id, joints [25, 3]).
"""

import numpy as np

NUM_JOINTS = 25
NAME = 'S001C002P003R002A013'
# Larger than the integers that float64 represents exactly, as real ids are.
FIRST_ID = 72057594037931101


def _figure(random, num_frames, *, swing=0.1, is_wide=False, place=(0, 0, 3)):
  """Return a moving body [T, 25, 3], upright or wide."""
  body = random.uniform(-1, 1, (NUM_JOINTS, 3)) * [0.25, 0.9, 0.2]
  if is_wide:
    body = body[:, [1, 0, 2]]
  moves = random.normal(size=(num_frames, NUM_JOINTS, 3)) * swing
  return body + moves + place


def _frames(num_frames, *bodies):
  """Return the frames of bodies (number, first frame, joints [n, 25, 3])."""
  frames = [[] for _ in range(num_frames)]
  for number, start, joints in bodies:
    for t, pose in enumerate(joints):
      frames[start + t].append((FIRST_ID + number, pose))
  return frames


def _one(random):
  return _frames(14, (0, 0, _figure(random, 14)))


def _two(random):
  lively = _figure(random, 13, swing=0.3, place=(1, 0, 3))
  return _frames(13, (0, 0, _figure(random, 13)), (1, 0, lively))


def _crowd(random):
  """Return six bodies; the fifth moves most."""
  swings = (0.1, 0.3, 0.2, 0.15, 0.9, 0.05)
  return _frames(
    12,
    *((i, 0, _figure(random, 12, swing=s)) for i, s in enumerate(swings)),
  )


def _gaps(random):
  """Return frames without a body at the start, in the middle and at the end."""
  lively = _figure(random, 18, swing=0.3, place=(1, 0, 3))
  frames = _frames(18, (0, 0, _figure(random, 18)), (1, 0, lively))
  for t in (0, 1, 5, 17):
    frames[t] = []
  frames[7] = frames[7][1:]
  return frames


def _twins(random):
  """Return three identical bodies."""
  joints = _figure(random, 12)
  return _frames(12, *((i, 0, joints) for i in range(3)))


def _shadow(random):
  """Return a first body of zeros, and a second one."""
  zeros = np.zeros((12, NUM_JOINTS, 3))
  return _frames(12, (0, 0, zeros), (1, 0, _figure(random, 12)))


def _balanced(random):
  """Return a body whose coordinates sum to exactly zero, and another."""
  half = random.randint(-8, 8, (12, 12, 3)) / 8
  joints = np.concatenate([half, -half, np.zeros((12, 1, 3))], axis=1)
  return _frames(12, (0, 0, joints), (1, 0, _figure(random, 12)))


def _chair(random):
  """Return a wide body that moves more than the person."""
  chair = _figure(random, 14, swing=0.3, is_wide=True)
  return _frames(14, (0, 0, chair), (1, 0, _figure(random, 14, swing=0.05)))


def _bends(random):
  """Return two persons; the one with more motion is wide in some frames."""
  lively = _figure(random, 16, swing=0.3)
  lively[3:8] = lively[3:8][..., [1, 0, 2]] * 2
  return _frames(16, (0, 0, _figure(random, 16, swing=0.2)), (1, 0, lively))


def _passer_by(random):
  """Return a person and a body of eleven frames, too short for pyskl."""
  brief = _figure(random, 11, swing=0.5)
  return _frames(15, (0, 0, _figure(random, 15)), (1, 2, brief))


def _passers_by(random):
  """Return two bodies that are too short for pyskl."""
  return _frames(
    12, (0, 0, _figure(random, 8)), (1, 2, _figure(random, 10, swing=0.4))
  )


def _noise_first(random):
  """Return a short body, then two persons: pyskl removes the start."""
  return _frames(
    20,
    (0, 0, _figure(random, 5, swing=0.6)),
    (1, 5, _figure(random, 13)),
    (2, 7, _figure(random, 13, swing=0.3)),
  )


def _lost(random):
  """Return a person with two ids, and a second person."""
  return _frames(
    40,
    (0, 0, _figure(random, 13, swing=0.4)),
    (1, 13, _figure(random, 14, swing=0.3)),
    (2, 8, _figure(random, 20, swing=0.2)),
    (3, 27, _figure(random, 13, swing=0.1)),
  )


def _late(random):
  """Return two persons; the second one moves more."""
  return _frames(
    18,
    (0, 0, _figure(random, 18)),
    (1, 4, _figure(random, 14, swing=0.4)),
  )


def _swapping(random):
  """Return two bodies in changing order, and one id twice in a frame."""
  frames = _two(random)
  for t in range(0, 13, 3):
    frames[t] = frames[t][::-1]
  frames[4].append(frames[4][0])
  return frames


KINDS = {
  'one': _one,
  'two': _two,
  'crowd': _crowd,
  'gaps': _gaps,
  'twins': _twins,
  'shadow': _shadow,
  'balanced': _balanced,
  'chair': _chair,
  'bends': _bends,
  'passer_by': _passer_by,
  'passers_by': _passers_by,
  'noise_first': _noise_first,
  'lost': _lost,
  'late': _late,
  'swapping': _swapping,
}


def draw(kind, seed):
  """Return a recording of one of KINDS."""
  return KINDS[kind](np.random.RandomState(seed))


def text(frames, num_frames=None):
  """Return a recording as the text of a .skeleton file."""
  lines = [len(frames) if num_frames is None else num_frames]
  for bodies in frames:
    lines.append(len(bodies))
    for number, joints in bodies:
      lines += [f'{number} 0 1 1 1 1 0 0.02764709 0.05745083 2', len(joints)]
      lines += [
        f'{x:.7g} {y:.7g} {z:.7g} 277.4 191.8 1036.2 519.2 -0.2 0.05 0.97 -0.1 2'
        for x, y, z in joints
      ]
  return '\r\n'.join(map(str, lines)) + '\r\n'


def pose(value):
  """Return joints [25, 3]: joint j is at (value + j, 2, 3)."""
  joints = np.full((NUM_JOINTS, 3), (0.0, 2, 3))
  joints[:, 0] = value + np.arange(NUM_JOINTS)
  return joints


def still(num_frames, value=0):
  """Return a recording of a motionless person."""
  return [[(1, pose(value))] for _ in range(num_frames)]


def lines_of(frames):
  return text(frames).splitlines()


def write(folder, name=NAME, frames=None, content=None):
  """Write a .skeleton file; by default a motionless person, 3 frames."""
  if content is None:
    content = text(still(3) if frames is None else frames)
  path = folder / f'{name}.skeleton'
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(content, newline='')
  return path
