"""PoseC3D on Kinetics-400: keypoint heatmaps; UCF101 and HMDB51 start from it.

Paper: Duan et al., Revisiting Skeleton-based Action Recognition, CVPR 2022.

Words       mmaction2 config                           top-1  GPUs x clips
mmaction1x  slowonly_r50_8xb32-u48-240e_k400-keypoint  47.4   8 x 32

There is no configuration of mmaction2 0.x. The annotations come compressed, a
table of contents and a file of skeletons for each video; docs/data.md says how
to prepare them.

Work, an estimate: multiply-adds a clip x clips x passes x 6 (two operations
each, forward and twice that back), and hours at a sustained 10 TFLOP/s:
mmaction1x      14.62 G x 240,000 x 240 x 6 = 5,053 PFLOP, 140.4 hours
(240,000 stands for the training clips that the annotations have.)

Commands, the first once:
python -m data_prep.main --source=pickle --input=k400_2d.pkl \\
    --skeletons=kpfiles --layout=coco --class_names=k400 --name=k400 \\
    --output=DIR
python -m skeljax.main --config=configs/posec3d_k400_keypoint.py \\
    --config.data.dir=DIR
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
  config.input.resize = 'stretch'
  config.model.update(stage_blocks=(3, 4, 6), norm_group=32)
  config.optim.update(base_lr=0.4, weight_decay=1e-4, reference_batch=256)
  config.train.batch_size = 256  # 32 clips on each of 8 GPUs.
  return posec3d.finish(config, words, posec3d.WORDS_1X)
