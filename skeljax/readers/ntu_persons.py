"""Which bodies of a Kinect recording are the persons of a clip, as published.

The Kinect sees up to six bodies in a frame, gives each a number for as long as
it follows it, and takes chairs for bodies. Two published choices are in use,
and they do not give the same clips: mmaction2's generator goes by the place in
a frame's list and by the energy of motion, pyskl's by the numbers, dropping
what is too short or too wide to be a person.
"""

import dataclasses

import numpy as np

# mmaction2 looks at so many places of a frame's list, and keeps so many.
_MAX_BODIES = 4
_MAX_PERSONS = 2

# pyskl: bodies of at most so many frames count as noise where there are others.
_SHORT = 11
# A frame in which a body is wider than so much of its height is invalid, ...
_WIDTH_OF_HEIGHT = 0.8
# ... and a body with such a share of invalid frames is no person.
_INVALID_SHARE = 0.69754
# A frame, or a joint, whose coordinates add up to less is empty.
_TINY = 1e-3


@dataclasses.dataclass(frozen=True, eq=False)
class Bodies:
  """What a recording holds: S bodies, in the order of the file.

  Attributes:
    num_frames: frames of the recording, those without a body included.
    frame: [S] int, the frame of each body, never falling.
    place: [S] int, its place in the list of its frame.
    ids: its number, for as long as the Kinect follows it.
    joints: [S, V, 3] float64, metres.
  """

  num_frames: int
  frame: np.ndarray
  place: np.ndarray
  ids: tuple[int, ...]
  joints: np.ndarray


def mmaction_persons(bodies: Bodies) -> np.ndarray:
  """The two places of the list with most energy, the most energetic first.

  A person is a place in the frames' lists, so two persons swap where the list
  does.

  Returns:
    [2, T, V, 3] float64; places where there is nobody are zero.

  Source: read_xyz of mmaction2's and 2s-AGCN's generators. Of places with the
  same energy the later one comes first; there, it depends on the processor.
  """
  keypoint = np.zeros(
    (_MAX_BODIES, bodies.num_frames, *bodies.joints.shape[1:])
  )
  is_taken = bodies.place < _MAX_BODIES
  keypoint[bodies.place[is_taken], bodies.frame[is_taken]] = bodies.joints[
    is_taken
  ]
  energy = np.array([_energy(person) for person in keypoint])
  return keypoint[energy.argsort(kind='stable')[::-1][:_MAX_PERSONS]]


def _energy(person: np.ndarray) -> float:
  """How much a body [T, V, 3] moves, over the frames in which it is seen."""
  seen = person[person.sum(-1).sum(-1) != 0]
  if not len(seen):
    return 0.0
  # NOTE: one channel at a time, in this order: the last bit decides ties.
  return seen[:, :, 0].std() + seen[:, :, 1].std() + seen[:, :, 2].std()


def drop_absent(keypoint: np.ndarray) -> np.ndarray:
  """The persons of [M, ...] whose coordinates do not add up to zero."""
  return keypoint[keypoint.sum(axis=tuple(range(1, keypoint.ndim))) != 0]


@dataclasses.dataclass(eq=False)
class _Track:
  """A body with one number: where it starts, its joints, how much it moves."""

  start: int
  joints: np.ndarray  # [n, V, 3] float32
  motion: np.float32

  @property
  def stop(self) -> int:
    return self.start + len(self.joints)


def pyskl_persons(bodies: Bodies) -> np.ndarray:
  """The bodies that look like persons, put together to at most two.

  Frames without a body do not count, and neither do the gaps of a body: its
  frames follow each other from where it appears.

  Returns:
    [M, T', V, 3] float32, M 1 or 2; M is 0 when nobody is left, where the
    published script stops with an error.

  Source: ntu_preproc of pyskl. The share of width and height is taken in
  float64, as it was under NumPy 1.
  """
  tracks = sorted(_tracks(bodies), key=lambda track: -track.motion)
  if len(tracks) > 1:
    tracks = [track for track in tracks if len(track.joints) > _SHORT]
  if len(tracks) > 1:
    tracks = _without_wide(tracks)
  if not tracks:
    return np.zeros((0, 0, *bodies.joints.shape[1:]), np.float32)
  if len(tracks) == 1:
    return tracks[0].joints[None]
  return _put_together(tracks)


def _tracks(bodies: Bodies) -> list[_Track]:
  """The bodies by their numbers, in the order in which they appear."""
  _, frame = np.unique(bodies.frame, return_inverse=True)
  joints = bodies.joints.astype(np.float32)
  rows: dict[int, list[int]] = {}
  for row, number in enumerate(bodies.ids):
    rows.setdefault(number, []).append(row)
  return [
    _Track(int(frame[of[0]]), joints[of], _motion(joints[of]))
    for of in rows.values()
  ]


def _motion(joints: np.ndarray) -> np.float32:
  """The variance of all joints in all frames, summed over x, y and z."""
  return joints.reshape(-1, joints.shape[-1]).var(axis=0).sum()


def _without_wide(tracks: list[_Track]) -> list[_Track]:
  """The bodies that are mostly higher than wide, the liveliest first."""
  kept = []
  for track in tracks:
    x, y = track.joints[..., 0], track.joints[..., 1]
    height = (y.max(axis=1) - y.min(axis=1)).astype(np.float64)
    is_valid = x.max(axis=1) - x.min(axis=1) <= _WIDTH_OF_HEIGHT * height
    if is_valid.all():
      kept.append(track)
    elif 1 - is_valid.sum() / len(is_valid) < _INVALID_SHARE:
      track.motion = min(track.motion, _motion(track.joints[is_valid]))
      kept.append(track)
  return sorted(kept, key=lambda track: -track.motion)


def _put_together(tracks: list[_Track]) -> np.ndarray:
  """Two persons made of bodies that do not overlap in time."""
  num_frames = max(track.stop for track in tracks)
  keypoint = np.zeros(
    (_MAX_PERSONS, num_frames, *tracks[0].joints.shape[1:]), np.float32
  )
  # What each person covers, gaps included.
  covered = [(tracks[0].start, tracks[0].stop), (0, 0)]
  keypoint[0, tracks[0].start : tracks[0].stop] = tracks[0].joints
  for track in tracks[1:]:
    for person, (start, stop) in enumerate(covered):
      if max(start, track.start) >= min(stop, track.stop):
        keypoint[person, track.start : track.stop] = track.joints
        covered[person] = min(start, track.start), max(stop, track.stop)
        break
  sums = [np.abs(frame).sum() for frame in keypoint.swapaxes(0, 1)]
  is_seen = np.flatnonzero(~(np.array(sums) < _TINY))
  if not len(is_seen):
    return keypoint[:0, :0]
  keypoint = keypoint[:, is_seen[0] : is_seen[-1] + 1]
  # Joint 1 is the spine, which normalisation takes for the origin.
  first, second = (np.abs(keypoint[m, 0, 1]).sum() for m in range(2))
  if first < _TINY < second:
    keypoint = keypoint[::-1]
  return keypoint
