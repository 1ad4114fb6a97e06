"""PoseC3D on HMDB51, split 1, from Kinetics-400: keypoint heatmaps.

Paper: Duan et al., Revisiting Skeleton-based Action Recognition, CVPR 2022.

Words       mmaction2 config                           top-1  GPUs x clips
published   slowonly_kinetics400_pretrained_r50_u48_120e_
            hmdb51_split1_keypoint (0.x)              69.3  8 x 16
rc0         slowonly_kinetics400_pretrained_r50_u48_120e_8xb16_
            hmdb51_split1_keypoint                    69.2  8 x 16
mmaction1x  slowonly_kinetics400-pretrained-r50_8xb16-u48-120e_
            hmdb51-split1-keypoint                    69.6  8 x 16

--config.train.init_from=k400_posec3d-041f49c6.pth names the weights to start
from; on real data the run refuses to begin without.

Work, an estimate: multiply-adds a clip x clips x passes x 6 (two operations
each, forward and twice that back), and hours at a sustained 10 TFLOP/s:
all words       10.74 G x 3,570 x 120 x 6 = 28 PFLOP, 0.8 hours

Commands, the first once:
python -m data_prep.main --source=pickle --input=hmdb51_2d.pkl --protocol=1 \\
    --layout=coco --max_persons=0 --class_names=hmdb51 --name=hmdb51_split1 \\
    --output=DIR
python -m skeljax.main --config=configs/posec3d_hmdb51_keypoint.py \\
    --config.data.dir=DIR --config.train.init_from=k400_posec3d-041f49c6.pth
Without a data directory this trains on the demo motions, from chance.
"""

from ml_collections import config_dict

from configs import posec3d


def get_config(words: str = '') -> config_dict.ConfigDict:
  config = posec3d.finetune(
    'posec3d_hmdb51_keypoint', words, dataset='hmdb51_split1', weight_decay=1e-4
  )
  return posec3d.finish(config, words)
