"""PoseC3D on Kinetics-400: keypoint heatmaps; UCF101 and HMDB51 start from it.

Paper: Duan et al., Revisiting Skeleton-based Action Recognition, CVPR 2022.

Recipe       mmaction2 config                               top-1
mmaction1x   slowonly_r50_8xb32-u48-240e_k400-keypoint      47.4

There is no configuration of mmaction2 0.x. The annotations come compressed, a
table of contents and a file of skeletons for each video; docs/data.md says how
to prepare them.

Command: python -m skeljax.main --config=configs/posec3d_k400_keypoint.py
Without a data directory this trains on the demo motions.
"""

from ml_collections import config_dict

from configs import posec3d


def get_config(words: str = '') -> config_dict.ConfigDict:
  config = posec3d.posec3d(
    'posec3d_k400_keypoint',
    words,
    dataset='k400',
    stream='keypoint',
    family=posec3d.WORDS_1X,
  )
  config.features.resize = 'stretch'
  config.model.update(stage_blocks=(3, 4, 6), norm_group=32)
  config.optim.update(base_lr=0.4, weight_decay=1e-4, reference_batch=256)
  config.train.batch_size = 256  # 32 clips on each of 8 GPUs.
  return posec3d.finish(config, words, posec3d.WORDS_1X)
