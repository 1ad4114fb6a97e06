"""PoseC3D on FineGYM: limb heatmaps.

Paper: Duan et al., Revisiting Skeleton-based Action Recognition, CVPR 2022.

Recipe       mmaction2 config                               mean class
published    slowonly_r50_u48_240e_gym_limb (0.x)           94.0
mmaction1x   slowonly_r50_8xb16-u48-240e_gym-limb           93.6

Fused with configs/posec3d_gym_keypoint.py by skeljax.fuse: 94.3 (0.x).

Command: python -m skeljax.main --config=configs/posec3d_gym_limb.py
Without a data directory this trains on the demo motions.
"""

from ml_collections import config_dict

from configs import posec3d


def get_config(words: str = '') -> config_dict.ConfigDict:
  config = posec3d.posec3d(
    'posec3d_gym_limb', words, dataset='gym', stream='limb'
  )
  return posec3d.finish(config, words)
