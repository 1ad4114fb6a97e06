"""PoseC3D on NTU RGB+D 60: keypoint heatmaps.

Paper: Duan et al., Revisiting Skeleton-based Action Recognition, CVPR 2022.

Words       mmaction2 config, NTU60 xsub               top-1  GPUs x clips
published   slowonly_r50_u48_240e_ntu60_xsub_keypoint (0.x)  93.7  16 x 16
rc0         slowonly_r50_u48_240e_8xb16_ntu60_xsub_keypoint  93.6  8 x 16
mmaction1x  slowonly_r50_8xb16-u48-240e_ntu60-xsub-keypoint  93.6  8 x 16

Work, an estimate: multiply-adds a clip x clips x passes x 6 (two operations
each, forward and twice that back), and hours at a sustained 10 TFLOP/s:
all words       15.78 G x 40,091 x 240 x 6 = 911 PFLOP, 25.3 hours

Commands, the first once:
python -m data_prep.main --source=pickle --input=ntu60_2d.pkl --protocol=xsub \\
    --layout=coco --max_persons=0 --class_names=ntu60 --name=ntu60_xsub_2d \\
    --output=DIR
python -m skeljax.main --config=configs/posec3d_ntu60_keypoint.py \\
    --config.data.dir=DIR
Without a data directory this trains on the demo motions.
"""

from ml_collections import config_dict

from configs import posec3d


def get_config(words: str = '') -> config_dict.ConfigDict:
  config = posec3d.posec3d(
    'posec3d_ntu60_keypoint', words, dataset='ntu60_xsub_2d', stream='keypoint'
  )
  return posec3d.finish(config, words)
