"""Select the persons of a Kinect recording as the published datasets do.

The Kinect reports up to six bodies per frame, each with an id for as long as it
is tracked, and takes chairs for bodies. Two published selections are in use, with
different results: mmaction2's generator uses the position in the frame's list and
the motion energy; pyskl's uses the ids and drops bodies that are too short-lived
or too wide to be a person.
"""

import dataclasses

import numpy as np

# mmaction2: bodies read per frame, and persons kept.
_MAX_BODIES = 4
_MAX_PERSONS = 2

# pyskl: bodies of at most this many frames are noise if there are others.
_SHORT = 11
# A frame is invalid if the body is wider than this fraction of its height, ...
_WIDTH_OF_HEIGHT = 0.8
# ... and a body with at least this share of invalid frames is not a person.
_INVALID_SHARE = 0.69754
# A frame, or a joint, with a smaller sum of coordinates is empty.
_TINY = 1e-3


@dataclasses.dataclass(frozen=True, eq=False)
class Bodies:
  """The S bodies of a recording, one per frame in which it is tracked.

  Attributes:
    num_frames: frames of the recording, including those without a body.
    frame: [S] int, the frame of each body, non-decreasing.
    place: [S] int, its position in the list of its frame.
    ids: its Kinect id.
    joints: [S, V, 3] float64, metres.
  """

  num_frames: int
  frame: np.ndarray
  place: np.ndarray
  ids: tuple[int, ...]
  joints: np.ndarray


def mmaction_persons(bodies: Bodies) -> np.ndarray:
  """Keep the two list positions with the most motion energy, highest first.

  A person is a position in the frames' lists, so persons swap if the list does.

  Returns:
    [2, T, V, 3] float64; zero where there is no body.

  Source: read_xyz of mmaction2's and 2s-AGCN's generators. Of equal
  energies the later position comes first; there it depends on the processor.
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
  """Motion energy of a body [T, V, 3] over the frames in which it is present."""
  present = person[person.sum(-1).sum(-1) != 0]
  if not len(present):
    return 0.0
  # NOTE: one channel at a time, in this order: the last bit decides ties.
  return sum(present[:, :, c].std() for c in range(3))


def drop_absent(keypoint: np.ndarray) -> np.ndarray:
  """Keep the persons of [M, ...] whose coordinates do not sum to zero."""
  return keypoint[keypoint.sum(axis=tuple(range(1, keypoint.ndim))) != 0]


@dataclasses.dataclass(eq=False)
class _Track:
  """The body with one id: first frame, joints, motion."""

  start: int
  joints: np.ndarray  # [n, V, 3] float32
  motion: np.float32

  @property
  def stop(self) -> int:
    return self.start + len(self.joints)


def pyskl_persons(bodies: Bodies) -> np.ndarray:
  """Keep the bodies that look like persons, merged into at most two.

  Frames without a body are removed, and so are the gaps of a body: its frames
  are contiguous from its first.

  Returns:
    [M, T', V, 3] float32, M 1 or 2; M is 0 if no person is left, for which
    the published script fails.

  Source: ntu_preproc of pyskl. Width and height are compared in float64,
  as under NumPy 1.
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
  return _merge(tracks)


def _tracks(bodies: Bodies) -> list[_Track]:
  """Group the bodies by id, in order of appearance."""
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
  """Keep the bodies that are mostly higher than wide, by decreasing motion."""
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


def _merge(tracks: list[_Track]) -> np.ndarray:
  """Merge bodies that do not overlap in time into two persons."""
  num_frames = max(track.stop for track in tracks)
  keypoint = np.zeros(
    (_MAX_PERSONS, num_frames, *tracks[0].joints.shape[1:]), np.float32
  )
  # First and last frame of each person, including gaps.
  covered = [(tracks[0].start, tracks[0].stop), (0, 0)]
  keypoint[0, tracks[0].start : tracks[0].stop] = tracks[0].joints
  for track in tracks[1:]:
    for person, (start, stop) in enumerate(covered):
      if max(start, track.start) >= min(stop, track.stop):
        keypoint[person, track.start : track.stop] = track.joints
        covered[person] = min(start, track.start), max(stop, track.stop)
        break
  sums = [np.abs(frame).sum() for frame in keypoint.swapaxes(0, 1)]
  used = np.flatnonzero(~(np.array(sums) < _TINY))
  if not len(used):
    return keypoint[:0, :0]
  keypoint = keypoint[:, used[0] : used[-1] + 1]
  # Joint 1 is the spine, the origin of the normalisation.
  first, second = (np.abs(keypoint[m, 0, 1]).sum() for m in range(2))
  if first < _TINY < second:
    keypoint = keypoint[::-1]
  return keypoint
