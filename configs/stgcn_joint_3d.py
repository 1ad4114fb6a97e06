"""ST-GCN on 3D skeletons, joint stream.

Paper: Yan et al., Spatial Temporal Graph Convolutional Networks for
Skeleton-Based Action Recognition, AAAI 2018.

Words      mmaction2 config, NTU60 xsub                    top-1  GPUs x clips
published  stgcn_80e_ntu60_xsub_keypoint_3d (0.x)          84.61  1 x 32
u100       stgcn_8xb16-joint-u100-80e_ntu60-xsub-keypoint-3d  88.11  8 x 16
ucla       the NW-UCLA recipe; see benchmarks/nw_ucla.md

stgcn_8xb16-STREAM-u100-80e_DATA-xsub-keypoint-3d, top-1; two streams are fused
1:1, four (joint, joint_motion, bone, bone_motion) 2:1:2:1:
Words           joint   bone   joint_motion  bone_motion   two    four
u100,3d,ntu60   88.11   88.76      86.06        85.49     90.14  90.39
u100,3d,ntu120  82.15   84.28      78.93        80.02     85.68  86.19

Work, an estimate: multiply-adds a clip x clips x passes x 6 (two operations
each, forward and twice that back), and hours at a sustained 10 TFLOP/s:
published       17.14 G x 40,091 x 80 x 6 = 330 PFLOP, 9.2 hours
u100             5.71 G x 40,091 x 80 x 6 = 110 PFLOP, 3.1 hours
u100,ntu120      5.71 G x 63,026 x 80 x 6 = 173 PFLOP, 4.8 hours

Commands, the first once (u100: with --normalize=mmaction1x to another DIR;
ntu120: with ntu120_3d.pkl, --class_names=ntu120 and --name=ntu120_xsub_3d):
python -m data_prep.main --source=pickle --input=ntu60_3d.pkl --protocol=xsub \\
    --layout=nturgb+d --class_names=ntu60 --normalize=mmaction0x \\
    --name=ntu60_xsub_3d --output=DIR
python -m skeljax.main --config=configs/stgcn_joint_3d.py --config.data.dir=DIR
Other rows take their words, as in --config=configs/stgcn_joint_3d.py:u100,bone.
Without a data directory this trains on the demo motions.
"""

from ml_collections import config_dict

from configs import stgcn


def get_config(words: str = '') -> config_dict.ConfigDict:
  return stgcn.stgcn('stgcn_joint_3d', words, dims=3)
