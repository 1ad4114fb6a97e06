"""3D skeletons as a camera far away would see them: pixels of a 2D clip.

It makes a 2D dataset of skeletons that were captured in 3D, for networks that
work on pictures, as PoseC3D does. Nothing published does this; it is ours.
"""

import numpy as np

# The picture that NTU RGB+D and most videos have, (height, width).
IMG_SHAPE = (1080, 1920)
# The clip fills at most so much of either side, in its middle: what is drawn
# around a joint, or cut with some padding, stays within the picture.
_FILL = 0.8


def orthographic(
  keypoint: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Pixels, scores and the size of the picture of a clip in 3D.

  x goes to the right as it is, y, which points up, goes down, and z, the
  depth, is left out. One scale and one shift serve the whole clip, all persons
  and frames: the largest that fit what is seen of it into four fifths of the
  picture, so that movements keep their shape and persons their distances. The
  unit of the source does not matter. Networks cut a box around the clip and
  resize it, so that a common scale for all clips would not survive anyway; it
  would let one stray joint of one clip decide about the others.

  Args:
    keypoint: [M, T, V, 3] of any float type; a joint that is zero in all three
      coordinates is absent.

  Returns:
    [M, T, V, 2] float32 pixels, zero for absent joints (float16 would round
    beyond 1024 to whole pixels); [M, T, V] float16 scores, 1 for a joint that
    is there and 0 for an absent one; [2] int32 (height, width).
  """
  height, width = IMG_SHAPE
  is_there = keypoint.any(axis=-1)
  flat = keypoint[..., :2].astype(np.float64) * (1, -1)
  seen = flat[is_there]
  pixels = np.zeros(flat.shape)
  if len(seen):
    low, high = seen.min(axis=0), seen.max(axis=0)
    extent = high - low
    # A side without extent fits at any scale; without both nothing is scaled.
    room = _FILL * np.array([width, height])
    fits = [r / e for r, e in zip(room, extent) if e > 0]
    scale = min(fits, default=1.0)
    shifted = (flat - (low + high) / 2) * scale + np.array([width, height]) / 2
    pixels = np.where(is_there[..., None], shifted, 0)
  return (
    pixels.astype(np.float32),
    is_there.astype(np.float16),
    np.array(IMG_SHAPE, np.int32),
  )
