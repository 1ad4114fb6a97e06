"""2s-AGCN, bone stream; on 3D skeletons unless the word 2d is given.

Paper: Shi et al., Two-Stream Adaptive Graph Convolutional Networks for
Skeleton-Based Action Recognition, CVPR 2019.

Words      mmaction2 config, NTU60 xsub                    top-1  GPUs x clips
published  2sagcn_80e_ntu60_xsub_bone_3d (0.x)             86.89  2 x 12
u100       2s-agcn_8xb16-bone-u100-80e_ntu60-xsub-keypoint-3d  89.22  8 x 16
u100,2d    2s-agcn_8xb16-bone-u100-80e_ntu60-xsub-keypoint-2d  91.59  8 x 16
ucla       AGCN (tanh) by the NW-UCLA recipe; see benchmarks/nw_ucla.md

Fused with configs/agcn_joint.py by skeljax.fuse; all streams are tabled there.

Work, an estimate: multiply-adds a clip x clips x passes x 6 (two operations
each, forward and twice that back), and hours at a sustained 10 TFLOP/s:
published       19.48 G x 40,091 x 80 x 6 = 375 PFLOP, 10.4 hours
u100             6.49 G x 40,091 x 80 x 6 = 125 PFLOP, 3.5 hours
u100,2d          4.35 G x 40,091 x 80 x 6 = 84 PFLOP, 2.3 hours

Commands, the first once (u100: with --normalize=mmaction1x to another DIR; 2d:
with ntu60_2d.pkl, --layout=coco, --name=ntu60_xsub_2d and no --normalize):
python -m data_prep.main --source=pickle --input=ntu60_3d.pkl --protocol=xsub \\
    --layout=nturgb+d --class_names=ntu60 --normalize=mmaction0x \\
    --name=ntu60_xsub_3d --output=DIR
python -m skeljax.main --config=configs/agcn_bone.py --config.data.dir=DIR
Other rows take their words, as in --config=configs/agcn_bone.py:u100,2d.
Without a data directory this trains on the demo motions.
"""

from ml_collections import config_dict

from configs import agcn_joint


def get_config(words: str = '') -> config_dict.ConfigDict:
  return agcn_joint.agcn('agcn_bone', words, stream='bone', num_gpus=2)
