"""Orthographic projection of 3D skeletons to 2D clips.

For training networks that take images, such as PoseC3D, on 3D captures. This is
not a published method.
"""

import numpy as np

# Image size of NTU RGB+D and most videos, (height, width).
IMG_SHAPE = (1080, 1920)
# Fraction of the image that a clip fills at most, centered, so that Gaussian
# heatmaps and padded crops stay inside.
_FILL = 0.8


def orthographic(
  keypoint: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Project a 3D clip to pixels.

  x points right, y points up, and z, the depth, is dropped. All persons and
  frames of the clip share one scale and offset, the largest scale at which the
  clip fits into _FILL of the image. The unit of the source does not matter. A
  scale shared by all clips would not be preserved anyway, because networks crop
  and resize each clip.

  Args:
    keypoint: [M, T, V, 3] of any float type; a joint that is zero in all three
      coordinates is missing.

  Returns:
    [M, T, V, 2] float32 pixels, zero for missing joints (float16 cannot
    represent fractions above 1024); [M, T, V] float16 scores, 1, or 0 for
    missing joints; [2] int32 (height, width).
  """
  size = np.array(IMG_SHAPE[::-1])
  is_present = np.asarray(keypoint.any(axis=-1))
  flat = keypoint[..., :2].astype(np.float64) * (1, -1)
  pixels = np.zeros(flat.shape)
  if is_present.any():
    low, high = flat[is_present].min(axis=0), flat[is_present].max(axis=0)
    # A side of extent 0 fits at any scale.
    scales = [s * _FILL / e for s, e in zip(size, high - low) if e > 0]
    scale = min(scales, default=1.0)
    shifted = (flat - (low + high) / 2) * scale + size / 2
    pixels = np.where(is_present[..., None], shifted, 0)
  return (
    pixels.astype(np.float32),
    is_present.astype(np.float16),
    np.array(IMG_SHAPE, np.int32),
  )
