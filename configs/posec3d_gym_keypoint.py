"""PoseC3D on FineGYM: keypoint heatmaps.

Paper: Duan et al., Revisiting Skeleton-based Action Recognition, CVPR 2022.

Recipe       mmaction2 config                               mean class
published    slowonly_r50_u48_240e_gym_keypoint (0.x)       93.7
mmaction1x   slowonly_r50_8xb16-u48-240e_gym-keypoint       93.5

Command: python -m skeljax.main --config=configs/posec3d_gym_keypoint.py
Without a data directory this trains on the demo motions.
"""

from ml_collections import config_dict

from configs import posec3d


def get_config(words: str = '') -> config_dict.ConfigDict:
  config = posec3d.posec3d(
    'posec3d_gym_keypoint', words, dataset='gym', stream='keypoint'
  )
  return posec3d.finish(config, words)
