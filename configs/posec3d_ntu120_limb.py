"""PoseC3D on NTU RGB+D 120: limb heatmaps.

Paper: Duan et al., Revisiting Skeleton-based Action Recognition, CVPR 2022.

Words       mmaction2 config, NTU120 xsub              top-1  GPUs x clips
published   slowonly_r50_u48_240e_ntu120_xsub_limb (0.x)  85.7  16 x 16

Fused with configs/posec3d_ntu120_keypoint.py by skeljax.fuse: 86.9.

There is no configuration of 1.0.0rc0 or 1.x. That of 0.x lists the classes from
60 on as twice as probable (class_prob), which nothing there reads unless
sample_by_class is set, and it is not: clips are drawn alike here as well.

Work, an estimate: multiply-adds a clip x clips x passes x 6 (two operations
each, forward and twice that back), and hours at a sustained 10 TFLOP/s:
published       15.78 G x 63,026 x 240 x 6 = 1,432 PFLOP, 39.8 hours

Commands, the first once:
python -m data_prep.main --source=pickle --input=ntu120_2d.pkl \\
    --protocol=xsub --layout=coco --max_persons=0 --class_names=ntu120 \\
    --name=ntu120_xsub_2d --output=DIR
python -m skeljax.main --config=configs/posec3d_ntu120_limb.py \\
    --config.data.dir=DIR
Without a data directory this trains on the demo motions.
"""

from ml_collections import config_dict

from configs import posec3d


def get_config(words: str = '') -> config_dict.ConfigDict:
  config = posec3d.posec3d(
    'posec3d_ntu120_limb',
    words,
    dataset='ntu120_xsub_2d',
    stream='limb',
    family=posec3d.WORDS_0X,
  )
  return posec3d.finish(config, words, posec3d.WORDS_0X)
