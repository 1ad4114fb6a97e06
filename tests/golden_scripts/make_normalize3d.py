"""Print the numbers of GOLDEN in tests/skeljax/datasets/test_normalize_3d.py.

Run it in an environment with mmaction2 1.2.0 (and torch, mmengine and
mmcv-lite < 2.2), which the tests do not need:

    python tests/golden_scripts/make_normalize3d.py
"""

import sys
import types

import numpy as np

# The package on PyPI lacks one folder and predates NumPy 2.
np.Inf = np.inf
_DRN = 'mmaction.models.localizers.drn'
sys.modules[_DRN] = types.ModuleType(_DRN)
sys.modules[f'{_DRN}.drn'] = types.ModuleType(f'{_DRN}.drn')
sys.modules[f'{_DRN}.drn'].DRN = None

from mmaction.datasets import transforms  # noqa: E402

CASES = (
  (11, 1, 1, 'float16', ()),
  (12, 1, 7, 'float32', ((0, 0), (0, 3))),
  (13, 2, 9, 'float16', ((0, slice(0, 4)), (1, 8))),
  (14, 2, 9, 'float32', ((1, slice(None)), (0, 2))),
  (15, 2, 6, 'float16', ((0, slice(None)),)),
  (16, 2, 30, 'float32', ((0, 0), (1, 1))),
)


def example(seed, num_persons, num_frames, dtype, gaps):
  rng = np.random.RandomState(seed)
  keypoint = rng.randn(num_persons, num_frames, 25, 3)
  for person, frame in gaps:
    keypoint[person, frame] = 0
  return keypoint.astype(dtype)


if __name__ == '__main__':
  for case in CASES:
    clip = dict(keypoint=example(*case), total_frames=case[2])
    made = transforms.PreNormalize3D()(clip)['keypoint']
    totals = (made.shape[1], float(made.sum()), float(np.abs(made).sum()))
    print(case, totals, tuple(made[0, 0, 3].tolist()))
