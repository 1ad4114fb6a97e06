"""PoseC3D on HMDB51, split 1, from Kinetics-400: keypoint heatmaps.

Paper: Duan et al., Revisiting Skeleton-based Action Recognition, CVPR 2022.

Recipe       mmaction2 config                               top-1
published    slowonly_kinetics400_pretrained_r50_u48_120e_
             hmdb51_split1_keypoint (0.x)  69.3
mmaction1x   slowonly_kinetics400-pretrained-r50_8xb16-u48-
             120e_hmdb51-split1-keypoint  69.6

--config.train.init_from=k400_posec3d-041f49c6.pth names the weights to start
from; on real data the run refuses to begin without.

Command: python -m skeljax.main --config=configs/posec3d_hmdb51_keypoint.py
Without a data directory this trains on the demo motions, from chance.
"""

from ml_collections import config_dict

from configs import posec3d


def get_config(words: str = '') -> config_dict.ConfigDict:
  config = posec3d.finetune(
    'posec3d_hmdb51_keypoint', words, dataset='hmdb51_split1', weight_decay=1e-4
  )
  return posec3d.finish(config, words)
