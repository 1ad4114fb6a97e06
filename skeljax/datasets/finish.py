"""The last step of every clip before a network sees it: 3D turned, 2D boxed.

Preparation does this once for a whole dataset, prediction for the clips of
somebody; both call this, so that a network is shown what it was trained with.
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
  """The record as it is stored: 3D normalised or projected, 2D with its box.

  Args:
    record: as formats.check_item makes it, with the persons that are kept.
    layout: of its skeletons.
    normalize: a key of NORMALIZERS; for 3D only, as is the next.
    project: a key of PROJECTIONS.

  Raises:
    UserError: the clip cannot be normalised, or not in the type it came in.
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
        f'Clip {record["id"]!r}: --normalize={normalize} leaves the range'
        f' of {record["keypoint"].dtype}, the type of its keypoints, in which'
        ' the published normalisation is computed. Store the keypoints as'
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
