"""PoseC3D on UCF101, split 1, from Kinetics-400: keypoint heatmaps.

Paper: Duan et al., Revisiting Skeleton-based Action Recognition, CVPR 2022.

Recipe       mmaction2 config                               top-1
published    slowonly_kinetics400_pretrained_r50_u48_120e_
             ucf101_split1_keypoint (0.x)  87.0
mmaction1x   slowonly_kinetics400-pretrained-r50_8xb16-u48-
             120e_ucf101-split1-keypoint  86.8

--config.train.init_from=k400_posec3d-041f49c6.pth names the weights to start
from; on real data the run refuses to begin without.

Command: python -m skeljax.main --config=configs/posec3d_ucf101_keypoint.py
Without a data directory this trains on the demo motions, from chance.
"""

from ml_collections import config_dict

from configs import posec3d


def get_config(words: str = '') -> config_dict.ConfigDict:
  config = posec3d.finetune(
    'posec3d_ucf101_keypoint', words, dataset='ucf101_split1', weight_decay=3e-4
  )
  return posec3d.finish(config, words)
