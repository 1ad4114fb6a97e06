"""Make tests/skeljax/inputs/golden/features.npz with mmaction2.

Run it in an environment with mmaction2 1.2.0 (and torch, mmengine and
mmcv-lite < 2.2), which the tests do not need:

    python tests/golden_scripts/make_features.py

Contains inputs and the outputs of the published transforms: two 2D clips in
float16 with scores (one with an odd image size) and one 3D clip, all four
streams, zero-padded to more frames and persons.
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
STREAMS = {
  'joint': 'j',
  'bone': 'b',
  'joint_motion': 'jm',
  'bone_motion': 'bm',
}
NUM_FRAMES, PADDED_FRAMES, PADDED_PERSONS = 5, 7, 3


def published_input(results, layout, feat):
  """Return the model input [M, T, V, C] of the published pipeline."""
  results = dict(results, keypoint=results['keypoint'].copy())
  if layout == 'coco':
    results = transforms.PreNormalize2D().transform(results)
  for step in (
    transforms.GenSkeFeat(dataset=layout, feats=[feat]),
    transforms.PadTo(length=PADDED_FRAMES, mode='zero'),
    transforms.PoseDecode(),
    transforms.FormatGCNInput(num_person=PADDED_PERSONS),
  ):
    results = step.transform(dict(results, num_clips=1))
  return results['keypoint'][0].astype(np.float32)


def clip_2d(seed, img_shape):
  """Return a clip with missing joints, an absent person and tiny scores."""
  random = np.random.RandomState(seed)
  height, width = img_shape
  keypoint = random.rand(2, NUM_FRAMES, 17, 2) * [width, height]
  score = random.rand(2, NUM_FRAMES, 17)
  score[0, :, 3] *= 1e-5  # Subnormal in float16.
  # Small motions, where half precision has few digits.
  keypoint[0, 1:] = keypoint[0, :1] + random.randn(NUM_FRAMES - 1, 17, 2)
  is_missing = random.rand(2, NUM_FRAMES, 17) < 0.1
  is_missing[1, 3:] = True
  keypoint[is_missing], score[is_missing] = 0, 0
  return {
    'keypoint': keypoint.astype(np.float16),
    'keypoint_score': score.astype(np.float16),
    'img_shape': img_shape,
    'total_frames': NUM_FRAMES,
  }


def clip_3d():
  """Return the float16 clip of the reference sums, after PreNormalize3D."""
  keypoint = np.random.RandomState(3).randn(2, 12, 25, 3).astype(np.float16)
  keypoint[0, 2] = 0
  keypoint[1, 5:] = 0
  return transforms.PreNormalize3D().transform(
    {'keypoint': keypoint, 'total_frames': 12}
  )


def main():
  """Write the file and print the sums of the 3D clip."""
  arrays = {}
  for name, img_shape in (('hd', (1080, 1920)), ('odd', (481, 853))):
    clip = clip_2d(len(name), img_shape)
    arrays[f'{name}/keypoint'] = clip['keypoint']
    arrays[f'{name}/score'] = clip['keypoint_score']
    arrays[f'{name}/img_shape'] = np.array(img_shape, np.int32)
    for stream, feat in STREAMS.items():
      arrays[f'{name}/{stream}'] = published_input(clip, 'coco', feat)

  clip = clip_3d()
  arrays['3d/keypoint'] = clip['keypoint'].astype(np.float32)
  for stream, feat in STREAMS.items():
    results = transforms.GenSkeFeat(feats=[feat]).transform(dict(clip))
    arrays[f'3d/{stream}'] = results['keypoint'].astype(np.float32)
    total = arrays[f'3d/{stream}'].astype(np.float64)
    print(f'{stream}: sum {total.sum():.5f}, abs {np.abs(total).sum():.5f}')

  OUTPUT.mkdir(exist_ok=True)
  np.savez_compressed(OUTPUT / 'features.npz', **arrays)
  print(f'wrote {OUTPUT / "features.npz"}')


if __name__ == '__main__':
  main()
