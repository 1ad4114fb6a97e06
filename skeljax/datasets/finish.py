"""The last step of preprocessing: 3D normalization, projection, 2D box.

Dataset preparation and prediction both call it, so that a network predicts from
clips like those it was trained with.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from skeljax import errors
from skeljax import skeletons
from skeljax.datasets import normalize_3d
from skeljax.datasets import project as project_lib
from skeljax.datasets import records

NORMALIZERS = {
  'none': None,
  'mmaction0x': normalize_3d.normalize_mmaction0x,
  'mmaction1x': normalize_3d.normalize_mmaction1x,
}

PROJECTIONS = {'none': None, 'orthographic': project_lib.orthographic}


def finish_record(
  record: Mapping[str, Any],
  *,
  layout: skeletons.Layout,
  normalize: str,
  project: str = 'none',
) -> dict[str, Any]:
  """Return the record as it is stored, normalized or projected, with its box.

  Args:
    record: one clip, with the fields of records.encode except box.
    layout: layout of its skeletons.
    normalize: a key of NORMALIZERS, for 3D clips.
    project: a key of PROJECTIONS, for 3D clips.

  Raises:
    UserError: the clip cannot be normalized, or overflows in its dtype.
  """
  result = dict(record)
  normalizer = NORMALIZERS[normalize]
  if normalizer is not None:
    try:
      with np.errstate(over='ignore', invalid='ignore'):
        keypoint = normalizer(record['keypoint'], layout)
    except errors.UserError as error:
      raise errors.UserError(f'Clip {record["id"]!r}: {error}') from error
    if not np.isfinite(keypoint).all():
      raise errors.UserError(
        f'Clip {record["id"]!r}: --normalize={normalize} overflows in'
        f' {record["keypoint"].dtype}, the dtype of its keypoints: store them as'
        ' float32, or in metres instead of millimetres.'
      )
    result['keypoint'] = keypoint
    result['total_frames'] = keypoint.shape[1]
  projection = PROJECTIONS[project]
  if projection is not None:
    pixels, score, img_shape = projection(record['keypoint'])
    result.update(keypoint=pixels, keypoint_score=score, img_shape=img_shape)
  if result['keypoint'].shape[-1] == 2:
    result['box'] = records.visible_box(
      result['keypoint'], result.get('keypoint_score')
    )
  return result
