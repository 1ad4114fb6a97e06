"""PoseC3D on FineGYM: keypoint heatmaps.

Paper: Duan et al., Revisiting Skeleton-based Action Recognition, CVPR 2022.

Words       mmaction2 config, FineGYM val              mean class  GPUs x clips
published   slowonly_r50_u48_240e_gym_keypoint (0.x)        93.7  16 x 16
rc0         slowonly_r50_u48_240e_8xb16_gym_keypoint        93.4  8 x 16
mmaction1x  slowonly_r50_8xb16-u48-240e_gym-keypoint        93.5  8 x 16

Work, an estimate: multiply-adds a clip x clips x passes x 6 (two operations
each, forward and twice that back), and hours at a sustained 10 TFLOP/s:
all words       15.78 G x 20,484 x 240 x 6 = 465 PFLOP, 12.9 hours

Commands, the first once:
python -m data_prep.main --source=pickle --input=gym_2d.pkl --layout=coco \\
    --max_persons=0 --class_names=gym99 --name=gym --output=DIR
python -m skeljax.main --config=configs/posec3d_gym_keypoint.py \\
    --config.data.dir=DIR
Without a data directory this trains on the demo motions.
"""

from ml_collections import config_dict

from configs import posec3d


def get_config(words: str = '') -> config_dict.ConfigDict:
  config = posec3d.posec3d(
    'posec3d_gym_keypoint', words, dataset='gym', stream='keypoint'
  )
  return posec3d.finish(config, words)
