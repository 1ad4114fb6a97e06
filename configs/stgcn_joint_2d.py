"""ST-GCN on 2D skeletons with scores, joint stream.

Paper: Yan et al., Spatial Temporal Graph Convolutional Networks for
Skeleton-Based Action Recognition, AAAI 2018.

Words      mmaction2 config, NTU60 xsub                    top-1  GPUs x clips
published  stgcn_80e_ntu60_xsub_keypoint (0.x)             86.91  2 x 16
u100       stgcn_8xb16-joint-u100-80e_ntu60-xsub-keypoint-2d  88.95  8 x 16

stgcn_8xb16-STREAM-u100-80e_DATA-xsub-keypoint-2d, top-1; two streams are fused
1:1, four (joint, joint_motion, bone, bone_motion) 2:1:2:1:
Words           joint   bone   joint_motion  bone_motion   two    four
u100,2d,ntu60   88.95   91.69      86.90        87.86     92.12  92.34
u100,2d,ntu120  83.19   83.36      78.87        79.55     84.84  85.23

Work, an estimate: multiply-adds a clip x clips x passes x 6 (two operations
each, forward and twice that back), and hours at a sustained 10 TFLOP/s:
published       11.46 G x 40,091 x 80 x 6 = 221 PFLOP, 6.1 hours
u100             3.82 G x 40,091 x 80 x 6 = 74 PFLOP, 2.0 hours
u100,ntu120      3.82 G x 63,026 x 80 x 6 = 116 PFLOP, 3.2 hours

Commands, the first once (ntu120: with ntu120_2d.pkl, --class_names=ntu120 and
--name=ntu120_xsub_2d):
python -m data_prep.main --source=pickle --input=ntu60_2d.pkl --protocol=xsub \\
    --layout=coco --class_names=ntu60 --name=ntu60_xsub_2d --output=DIR
python -m skeljax.main --config=configs/stgcn_joint_2d.py --config.data.dir=DIR
Other rows take their words, as in --config=configs/stgcn_joint_2d.py:u100,bone.
Without a data directory this trains on the demo motions.
"""

from ml_collections import config_dict

from configs import stgcn


def get_config(words: str = '') -> config_dict.ConfigDict:
  return stgcn.stgcn('stgcn_joint_2d', words, dims=2)
