"""2s-AGCN, bone stream, on 3D skeletons.

Paper: Shi et al., Two-Stream Adaptive Graph Convolutional Networks for
Skeleton-Based Action Recognition, CVPR 2019.

Recipe       mmaction2 config                               NTU60 xsub top-1
published    2sagcn_80e_ntu60_xsub_bone_3d (0.x)            86.89
u100         2s-agcn_8xb16-bone-u100-80e_ntu60-xsub-keypoint-3d   89.22
ucla         AGCN (tanh) by the NW-UCLA recipe; see benchmarks/nw_ucla.md

Command: python -m skeljax.main --config=configs/agcn_bone.py
Without a data directory this trains on the demo motions.
"""

from ml_collections import config_dict

from configs import agcn_joint


def get_config(words: str = '') -> config_dict.ConfigDict:
  config = agcn_joint.agcn('agcn_bone', words, stream='bone')
  if config.recipe == 'published':
    config.train.batch_size = 24  # 12 clips on each of 2 GPUs.
    config.optim.reference_batch = 24
  return config
