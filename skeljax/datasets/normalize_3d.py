"""The two published normalizations of 3D skeletons: center, spine, shoulders.

They differ in more than the version. 1.x moves one point to the origin, the
origin joint of the first frame in which the main person is visible, and drops
the frames without that person. 0.x moves the origin joint of the first person
to the origin in every frame, and fills missing frames at the end of a person by
looping. Both then rotate the spine of the first frame to +z and its shoulders
to +x; the second rotation slightly tilts the spine again.

The joints are those of the layout, for the 25 Kinect joints the published ones.
"""

import math

import numpy as np

from skeljax import errors
from skeljax import skeletons

_Z = (0, 0, 1)
_X = (1, 0, 0)
# Vectors and angles below this count as zero.
_TINY = 1e-6
# Coordinates below this count as missing (numpy.isclose to zero).
_MISSING = 1e-8


def normalize_mmaction1x(
  keypoint: np.ndarray, layout: skeletons.Layout
) -> np.ndarray:
  """Normalize a clip as PreNormalize3D of mmaction2 1.x does.

  The main person is the one visible in more frames, the first if equal; it
  becomes person 0, and frames without it are dropped. Float16 input is computed
  in float16 up to the angle of the spine, as published, which leaves the spine
  about 1e-5 off the axis.

  Args:
    keypoint: [M, T, V, 3] metres, M 1 or 2; missing joints are zero.
    layout: with origin, spine and shoulders.

  Returns:
    [M, T', V, 3] float64, T' <= T; missing joints are zero. A clip whose
    coordinates sum to zero, such as an empty one, is returned unchanged.

  Raises:
    UserError: three persons, two channels, or a layout without the joints.

  Source: PreNormalize3D of mmaction2 1.x. Deviation: the origin joint is that
  of the layout (there: joint 1 of 25 joints, otherwise the last joint).
  """
  origin, spine, shoulders = _joints(keypoint, layout)
  if len(keypoint) > 2:
    raise errors.UserError(
      f'mmaction1x normalization supports one or two persons, not'
      f' {len(keypoint)}: use --max_persons=2.'
    )
  if keypoint.sum() == 0:
    return keypoint.astype(np.float64)
  is_joint_visible = _any_channel(np.abs(keypoint) > _MISSING)
  is_visible = np.asarray(is_joint_visible.any(axis=2))  # [M, T]
  main = int(np.argmax(is_visible.sum(axis=1)))
  if not is_visible[main].any():
    return keypoint.astype(np.float64)
  keypoint = keypoint[:, is_visible[main]]
  if main:
    keypoint = keypoint[::-1]
  is_present = _any_channel(keypoint != 0)
  keypoint = keypoint - keypoint[0, 0, origin]
  keypoint[~is_present] = 0
  for (start, end), axis in ((spine, _Z), (shoulders, _X)):
    vector = keypoint[0, 0, end] - keypoint[0, 0, start]
    keypoint = _rotate(keypoint, _rotation(vector, axis))
  return keypoint


def normalize_mmaction0x(
  keypoint: np.ndarray, layout: skeletons.Layout
) -> np.ndarray:
  """Normalize a clip as mmaction2 0.x and 2s-AGCN do.

  A person whose first frame is empty is moved to the start; empty frames at the
  end are filled by repeating the frames before them. Empty frames in between
  stay.

  Args:
    keypoint: [M, T, V, 3] metres; missing joints are zero.
    layout: with origin, spine and shoulders.

  Returns:
    [M, T, V, 3] float32; missing joints are zero.

  Raises:
    UserError: two channels, or a layout without the joints.

  Source: pre_normalization of mmaction2 0.x and 2s-AGCN, also in float32. They
  fill up to 300 frames and cut afterwards, which gives the same frames. A
  frame, a person or a joint counts as missing if its coordinates sum to zero.
  """
  origin, spine, shoulders = _joints(keypoint, layout)
  keypoint = keypoint.astype(np.float32)
  if not keypoint.size or keypoint.sum() == 0:
    return keypoint
  for person in keypoint:
    _fill_missing_frames(person)
  has_person = [person.sum() != 0 for person in keypoint]
  is_present = _joint_sums(keypoint) != 0
  centered = keypoint - keypoint[:1, :, origin : origin + 1]
  centered[~is_present] = 0
  keypoint[has_person] = centered[has_person]
  for (start, end), axis in ((spine, _Z), (shoulders, _X)):
    vector = keypoint[0, 0, end] - keypoint[0, 0, start]
    rotated = _rotate(keypoint, _rotation(vector, axis))
    sums = _joint_sums(keypoint).sum(axis=2)
    has_frame = (sums != 0) & (sums.sum(axis=1, keepdims=True) != 0)
    keypoint[has_frame] = rotated[has_frame]
  return keypoint


def _joints(
  keypoint: np.ndarray, layout: skeletons.Layout
) -> tuple[int, tuple[int, int], tuple[int, int]]:
  """Return the origin, and the (start, end) joints of the +z and +x axes."""
  origin, spine, shoulders = layout.origin, layout.spine, layout.shoulders
  if origin is None or spine is None or shoulders is None:
    joints = {'origin': origin, 'spine': spine, 'shoulders': shoulders}
    missing = [name for name, joint in joints.items() if joint is None]
    raise errors.UserError(
      f'Layout {layout.name!r} does not define {", ".join(missing)}, which 3D'
      ' normalization needs: use --normalize=none, or a layout file with them.'
    )
  if keypoint.ndim != 4 or keypoint.shape[2:] != (layout.num_joints, 3):
    raise errors.UserError(
      f'Keypoints of shape {keypoint.shape}: 3D normalization needs [persons,'
      f' frames, {layout.num_joints}, 3]. For 2D keypoints, which are normalized'
      ' during training, use --normalize=none.'
    )
  right, left = shoulders
  # Published: joint 8 minus joint 4 of the Kinect, which is right - left.
  return origin, spine, (left, right)


def _rotation(vector: np.ndarray, axis: tuple[int, int, int]) -> np.ndarray:
  """Return the rotation [3, 3] of `vector` to `axis`, float64.

  The unit vector is computed in the dtype of `vector`.
  """
  if np.abs(vector).sum() < _TINY:
    return np.eye(3)
  normal = np.cross(vector.astype(np.float64), axis)
  unit = vector / np.linalg.norm(vector)
  angle = math.acos(
    np.clip(np.dot(unit, np.asarray(axis, np.float64)), -1.0, 1.0)
  )
  if np.abs(normal).sum() < _TINY or angle < _TINY:
    return np.eye(3)
  # Rodrigues' formula: I + sin(angle) K + (1 - cos(angle)) K^2.
  x, y, z = normal / np.linalg.norm(normal)
  k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
  return np.eye(3) + math.sin(angle) * k + (1 - math.cos(angle)) * (k @ k)


def _rotate(keypoint: np.ndarray, rotation: np.ndarray) -> np.ndarray:
  # One matrix product; with four axes numpy would compute one per frame.
  return (keypoint.reshape(-1, 3) @ rotation.T).reshape(keypoint.shape)


def _any_channel(values: np.ndarray) -> np.ndarray:
  """Return [..., 3].any(axis=-1), several times as fast."""
  return values[..., 0] | values[..., 1] | values[..., 2]


def _joint_sums(keypoint: np.ndarray) -> np.ndarray:
  """Return [..., 3].sum(axis=-1), several times as fast."""
  return keypoint[..., 0] + keypoint[..., 1] + keypoint[..., 2]


def _fill_missing_frames(person: np.ndarray) -> None:
  """Move a late person to the start and loop it to the end, in place.

  Args:
    person: [T, V, 3].
  """
  if person.sum() == 0:
    return
  if person[0].sum() == 0:
    frames = person[_joint_sums(person).sum(axis=1) != 0]
    person[:] = 0
    person[: len(frames)] = frames
  sums = _joint_sums(person).sum(axis=1)
  # Find the first empty frame after which all frames are empty.
  for t in np.flatnonzero(sums == 0):
    if t and person[t:].sum() == 0:
      person[t:] = person[np.arange(len(person) - t) % t]
      return
