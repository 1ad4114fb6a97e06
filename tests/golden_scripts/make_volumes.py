"""Make tests/skeljax/inputs/golden/heatmaps.npz with mmaction2.

Run it in an environment with mmaction2 1.2.0 (and torch, mmengine and
mmcv-lite < 2.2), which the tests do not need:

    python tests/golden_scripts/make_volumes.py

Contains two short clips of two persons in float16 with scores, and the outputs of
the published test pipeline of PoseC3D at 32 x 32 pixels: joint and limb heatmaps
of each view and of its flipped copy.
"""

import pathlib
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

OUTPUT = pathlib.Path(__file__).parents[1] / 'skeljax/inputs/golden'
NUM_FRAMES, SIZE = 3, 32
LEFT, RIGHT = (1, 3, 5, 7, 9, 11, 13, 15), (2, 4, 6, 8, 10, 12, 14, 16)
# As in the published limb configs.
LIMBS = {
  'skeletons': (
    ((0, 5), (0, 6), (5, 7), (7, 9), (6, 8), (8, 10), (5, 11), (11, 13))
    + ((13, 15), (6, 12), (12, 14), (14, 16), (0, 1), (0, 2), (1, 3))
    + ((2, 4), (11, 12))
  ),
  'left_limb': (0, 2, 3, 6, 7, 8, 12, 14),
  'right_limb': (1, 4, 5, 9, 10, 11, 13, 15),
}


def make_clip(seed, img_shape):
  """Return a clip with missing joints and a person who leaves."""
  random = np.random.RandomState(seed)
  height, width = img_shape
  shape = (2, NUM_FRAMES, 17)
  keypoint = (random.rand(*shape, 2) * 0.5 + 0.2) * [width, height]
  score = random.rand(*shape)
  is_missing = random.rand(*shape) < 0.1
  is_missing[1, 2:] = True
  keypoint[is_missing], score[is_missing] = 0, 0
  return {
    'keypoint': keypoint.astype(np.float16),
    'keypoint_score': score.astype(np.float16),
    'img_shape': img_shape,
    'total_frames': NUM_FRAMES,
  }


def published_volume(clip, stream):
  """Return [2, T, H, W, C]: the view and its flipped copy."""
  is_limb = stream == 'limb'
  results = dict(clip, keypoint=clip['keypoint'].copy())
  for step in (
    transforms.PoseDecode(),
    transforms.PoseCompact(hw_ratio=1.0, allow_imgpad=True),
    transforms.Resize(scale=(-1, SIZE)),
    transforms.CenterCrop(SIZE),
    transforms.GeneratePoseTarget(
      with_kp=not is_limb,
      with_limb=is_limb,
      double=True,
      left_kp=LEFT,
      right_kp=RIGHT,
      **LIMBS,
    ),
  ):
    results = step.transform(results)
  volume = results['imgs'].reshape(2, NUM_FRAMES, 17, SIZE, SIZE)
  return np.moveaxis(volume, 2, -1)


def main():
  """Write the file and print the sums."""
  arrays = {}
  for name, img_shape in (('hd', (1080, 1920)), ('odd', (481, 353))):
    clip = make_clip(len(name), img_shape)
    arrays[f'{name}/keypoint'] = clip['keypoint']
    arrays[f'{name}/score'] = clip['keypoint_score']
    arrays[f'{name}/img_shape'] = np.array(img_shape, np.int32)
    for stream in ('keypoint', 'limb'):
      volume = published_volume(clip, stream)
      arrays[f'{name}/volume/{stream}'] = volume
      print(f'{name} {stream}: sum {volume.astype(np.float64).sum():.5f}')
  OUTPUT.mkdir(exist_ok=True)
  np.savez_compressed(OUTPUT / 'heatmaps.npz', **arrays)
  print(f'wrote {OUTPUT / "heatmaps.npz"}')


if __name__ == '__main__':
  main()
