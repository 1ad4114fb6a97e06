"""ST-GCN, joint stream, on 2D skeletons with scores.

Paper: Yan et al., Spatial Temporal Graph Convolutional Networks for
Skeleton-Based Action Recognition, AAAI 2018.

Recipe       mmaction2 config                               NTU60 xsub top-1
published    stgcn_80e_ntu60_xsub_keypoint (0.x)            86.91
u100         stgcn_8xb16-joint-u100-80e_ntu60-xsub-keypoint-2d    88.95

Command: python -m skeljax.main --config=configs/stgcn_joint_2d.py
Without a data directory this trains on the demo motions.
"""

from ml_collections import config_dict

from configs import stgcn_joint_3d


def get_config(words: str = '') -> config_dict.ConfigDict:
  return stgcn_joint_3d.stgcn('stgcn_joint_2d', words, dims=2)
