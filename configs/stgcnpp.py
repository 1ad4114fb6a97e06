"""ST-GCN++, joint stream; on 3D skeletons unless the word 2d is given.

Paper: Duan et al., PYSKL: Towards Good Practices for Skeleton Action
Recognition, ACM Multimedia 2022.

Words   mmaction2 config, NTU60 xsub                       top-1  GPUs x clips
u100    stgcnpp_8xb16-joint-u100-80e_ntu60-xsub-keypoint-3d  89.14  8 x 16
u100,2d stgcnpp_8xb16-joint-u100-80e_ntu60-xsub-keypoint-2d  89.29  8 x 16
ucla    the NW-UCLA recipe with this network

stgcnpp_8xb16-STREAM-u100-80e_ntu60-xsub-keypoint-DIMS, top-1; two streams are
fused 1:1, four (joint, joint_motion, bone, bone_motion) 2:1:2:1:
Words           joint   bone   joint_motion  bone_motion   two    four
u100,2d,ntu60   89.29   92.30      87.30        88.76     92.61  92.77
u100,3d,ntu60   89.14   90.21      86.67        87.45     91.39  91.87

pyskl has the same recipe for more benchmarks (joint, bone; 3D): u100,ntu120
83.2, 85.6; u100,ntu120,xset 85.6, 87.5; u100,xview 95.6, 95.5.

Work, an estimate: multiply-adds a clip x clips x passes x 6 (two operations
each, forward and twice that back), and hours at a sustained 10 TFLOP/s:
u100             2.96 G x 40,091 x 80 x 6 = 57 PFLOP, 1.6 hours
u100,2d          1.95 G x 40,091 x 80 x 6 = 38 PFLOP, 1.0 hours

Commands, the first once (2d: with ntu60_2d.pkl, --layout=coco,
--name=ntu60_xsub_2d and no --normalize):
python -m data_prep.main --source=pickle --input=ntu60_3d.pkl --protocol=xsub \\
    --layout=nturgb+d --class_names=ntu60 --normalize=mmaction1x \\
    --name=ntu60_xsub_3d --output=DIR
python -m skeljax.main --config=configs/stgcnpp.py --config.data.dir=DIR
Other rows take their words, as in --config=configs/stgcnpp.py:bone,2d.
Without a data directory this trains on the demo motions.
"""

from ml_collections import config_dict

from configs import stgcn


def get_config(words: str = '') -> config_dict.ConfigDict:
  return stgcn.plus_plus('stgcnpp', words)
