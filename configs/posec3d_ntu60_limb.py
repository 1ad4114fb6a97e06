"""PoseC3D on NTU RGB+D 60: limb heatmaps.

Paper: Duan et al., Revisiting Skeleton-based Action Recognition, CVPR 2022.

Recipe       mmaction2 config                               xsub top-1
published    slowonly_r50_u48_240e_ntu60_xsub_limb (0.x)    93.4
mmaction1x   slowonly_r50_8xb16-u48-240e_ntu60-xsub-limb    93.5

Fused with configs/posec3d_ntu60_keypoint.py by skeljax.fuse: 94.1 (0.x), 94.0.

Command: python -m skeljax.main --config=configs/posec3d_ntu60_limb.py
Without a data directory this trains on the demo motions.
"""

from ml_collections import config_dict

from configs import posec3d


def get_config(words: str = '') -> config_dict.ConfigDict:
  config = posec3d.posec3d(
    'posec3d_ntu60_limb', words, dataset='ntu60_xsub_2d', stream='limb'
  )
  return posec3d.finish(config, words)
