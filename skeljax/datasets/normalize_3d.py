"""Both published normalisations of 3D skeletons: centre, spine, shoulders.

They differ in more than their names say. 1.x moves one point to the origin,
the origin joint of the first frame in which the main person is seen, and drops
the frames without that person. 0.x moves the first person's origin joint of
every frame to the origin, and fills a person's missing end with a loop. Both
then turn the first frame's spine to +z and its shoulders to +x, the second
turn tilting the spine a little again.

Which joints these are is the layout's; for the 25 Kinect joints they are the
published ones.
"""

import math

import numpy as np

from skeljax import errors
from skeljax import skeletons

_Z = (0, 0, 1)
_X = (1, 0, 0)
# Below this, a vector or an angle counts as none.
_TINY = 1e-6
# Below this, a coordinate counts as missing (numpy.isclose against zero).
_MISSING = 1e-8


def normalize_mmaction1x(
  keypoint: np.ndarray, layout: skeletons.Layout
) -> np.ndarray:
  """Skeletons around the main person's first origin joint, spine up.

  The main person is the one seen in more frames, the first where it is equal;
  it becomes person 0. Frames without it are dropped for everybody. Float16
  input is computed in float16 up to the angle of the spine, as published,
  which leaves the spine about 1e-5 off the axis.

  Args:
    keypoint: [M, T, V, 3] metres, M 1 or 2; missing joints are zero.
    layout: with origin, spine and shoulders.

  Returns:
    [M, T', V, 3] float64, T' <= T; missing joints stay zero. A clip whose
    coordinates sum to zero, such as an empty one, comes back as it is.

  Raises:
    UserError: three persons, two channels, or a layout without the joints.

  Source: PreNormalize3D of mmaction2 1.x. Deviation: the origin joint is the
  layout's (there: joint 1 of 25, else the last one).
  """
  origin, spine, shoulders = _joints(keypoint, layout)
  if len(keypoint) > 2:
    raise errors.UserError(
      f'mmaction1x normalisation is defined for one or two persons, not for'
      f' {len(keypoint)}. Keep two (--max_persons=2).'
    )
  if keypoint.sum() == 0:
    return keypoint.astype(np.float64)
  seen = _any_channel(np.abs(keypoint) > _MISSING).any(axis=2)  # [M, T]
  main = 1 if len(seen) == 2 and seen[1].sum() > seen[0].sum() else 0
  if not seen[main].any():
    return keypoint.astype(np.float64)
  keypoint = keypoint[:, seen[main]]
  if main:
    keypoint = keypoint[::-1]
  is_there = _any_channel(keypoint != 0)
  keypoint = keypoint - keypoint[0, 0, origin]
  keypoint[~is_there] = 0
  for (start, end), axis in ((spine, _Z), (shoulders, _X)):
    vector = keypoint[0, 0, end] - keypoint[0, 0, start]
    keypoint = _rotate(keypoint, _turn(vector, axis))
  return keypoint


def normalize_mmaction0x(
  keypoint: np.ndarray, layout: skeletons.Layout
) -> np.ndarray:
  """Skeletons around person 0's origin joint of the same frame, spine up.

  A person whose first frame is empty is moved to the start; empty frames at
  the end are filled by repeating the frames before them. Empty frames in
  between stay.

  Args:
    keypoint: [M, T, V, 3] metres; missing joints are zero.
    layout: with origin, spine and shoulders.

  Returns:
    [M, T, V, 3] float32; missing joints stay zero.

  Raises:
    UserError: two channels, or a layout without the joints.

  Source: pre_normalization of mmaction2 0.x and 2s-AGCN, in float32 like
  theirs. They fill up to 300 frames and cut afterwards; filling only the
  frames that remain is the same. A frame, a person or a joint counts as
  missing when its coordinates sum to zero.
  """
  origin, spine, shoulders = _joints(keypoint, layout)
  keypoint = keypoint.astype(np.float32)
  if not keypoint.size or keypoint.sum() == 0:
    return keypoint
  for person in keypoint:
    _close_gaps(person)
  present = [person.sum() != 0 for person in keypoint]
  is_there = _joint_sums(keypoint) != 0
  centred = keypoint - keypoint[:1, :, origin : origin + 1]
  centred[~is_there] = 0
  keypoint[present] = centred[present]
  for (start, end), axis in ((spine, _Z), (shoulders, _X)):
    vector = keypoint[0, 0, end] - keypoint[0, 0, start]
    turned = _rotate(keypoint, _turn(vector, axis))
    sums = _joint_sums(keypoint).sum(axis=2)
    moved = (sums != 0) & (sums.sum(axis=1, keepdims=True) != 0)
    keypoint[moved] = turned[moved]
  return keypoint


def _joints(
  keypoint: np.ndarray, layout: skeletons.Layout
) -> tuple[int, tuple[int, int], tuple[int, int]]:
  """The origin, and the (start, end) joints that point to +z and +x."""
  missing = [
    name
    for name in ('origin', 'spine', 'shoulders')
    if getattr(layout, name) is None
  ]
  if missing:
    raise errors.UserError(
      f'Layout {layout.name!r} does not say which joints are its'
      f' {", ".join(missing)}, so its skeletons cannot be normalised: prepare'
      ' them with --normalize=none, or add these to a layout file.'
    )
  if keypoint.ndim != 4 or keypoint.shape[2:] != (layout.num_joints, 3):
    raise errors.UserError(
      f'Keypoints of shape {keypoint.shape} cannot be normalised in 3D:'
      f' expected [persons, frames, {layout.num_joints}, 3]. 2D keypoints take'
      ' --normalize=none; they are normalised while training.'
    )
  right, left = layout.shoulders
  # The published vector is joint 8 less joint 4 of the Kinect: right - left.
  return layout.origin, layout.spine, (left, right)


def _turn(vector: np.ndarray, axis: tuple[int, int, int]) -> np.ndarray:
  """The rotation [3, 3] that brings `vector` to `axis`; float64.

  The unit vector is taken in the type of `vector`.
  """
  if np.abs(vector).sum() < _TINY:
    return np.eye(3)
  normal = _cross(vector.tolist(), axis)
  unit = vector / np.linalg.norm(vector)
  angle = math.acos(min(max(float(np.dot(unit, np.float64(axis))), -1.0), 1.0))
  if np.abs(normal).sum() < _TINY or angle < _TINY:
    return np.eye(3)
  normal = normal / math.sqrt(np.dot(normal, normal))
  # Rodrigues' formula: I + sin(angle) K + (1 - cos(angle)) K^2.
  x, y, z = normal
  k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
  return np.eye(3) + math.sin(angle) * k + (1 - math.cos(angle)) * (k @ k)


def _cross(a, b) -> np.ndarray:
  return np.array(
    [
      a[1] * b[2] - a[2] * b[1],
      a[2] * b[0] - a[0] * b[2],
      a[0] * b[1] - a[1] * b[0],
    ]
  )


def _rotate(keypoint: np.ndarray, rotation: np.ndarray) -> np.ndarray:
  # One product of matrices; on four axes numpy would make one a frame.
  return (keypoint.reshape(-1, 3) @ rotation.T).reshape(keypoint.shape)


def _any_channel(values: np.ndarray) -> np.ndarray:
  """[..., 3] bool -> [...]; several times as fast as .any(axis=-1)."""
  return values[..., 0] | values[..., 1] | values[..., 2]


def _joint_sums(keypoint: np.ndarray) -> np.ndarray:
  """[..., 3] -> [...]; several times as fast as .sum(axis=-1)."""
  return keypoint[..., 0] + keypoint[..., 1] + keypoint[..., 2]


def _close_gaps(person: np.ndarray) -> None:
  """Moves a late person to the start and loops it to the end, in place.

  Args:
    person: [T, V, 3].
  """
  if person.sum() == 0:
    return
  if person[0].sum() == 0:
    late = person[_joint_sums(person).sum(axis=1) != 0]
    person[:] = 0
    person[: len(late)] = late
  sums = _joint_sums(person).sum(axis=1)
  # The first empty frame behind which nothing follows.
  for t in np.flatnonzero(sums == 0):
    if t and person[t:].sum() == 0:
      person[t:] = person[np.arange(len(person) - t) % t]
      return
