"""2s-AGCN, joint stream; on 3D skeletons unless the word 2d is given.

Paper: Shi et al., Two-Stream Adaptive Graph Convolutional Networks for
Skeleton-Based Action Recognition, CVPR 2019.

Words      mmaction2 config, NTU60 xsub                    top-1  GPUs x clips
published  2sagcn_80e_ntu60_xsub_keypoint_3d (0.x)         86.06  1 x 12
u100       2s-agcn_8xb16-joint-u100-80e_ntu60-xsub-keypoint-3d  88.26  8 x 16
u100,2d    2s-agcn_8xb16-joint-u100-80e_ntu60-xsub-keypoint-2d  88.60  8 x 16
ucla       AGCN (tanh) by the NW-UCLA recipe; see benchmarks/nw_ucla.md

2s-agcn_8xb16-STREAM-u100-80e_ntu60-xsub-keypoint-DIMS, top-1; two streams are
fused 1:1, four (joint, joint_motion, bone, bone_motion) 2:1:2:1:
Words           joint   bone   joint_motion  bone_motion   two    four
u100,2d,ntu60   88.60   91.59      88.02        88.82     91.95  92.34
u100,3d,ntu60   88.26   89.22      86.73        86.41     90.27  90.89

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
python -m skeljax.main --config=configs/agcn_joint.py --config.data.dir=DIR
Other rows take their words, as in --config=configs/agcn_joint.py:u100,2d.
Without a data directory this trains on the demo motions.
"""

from ml_collections import config_dict

from configs import common
from configs import gcn


def get_config(words: str = '') -> config_dict.ConfigDict:
  return agcn('agcn_joint', words, stream='joint')


def agcn(
  name: str, words: str, stream: str, num_gpus: int = 1
) -> config_dict.ConfigDict:
  """AGCN in the variant of each recipe: three published ones, never mixed.

  Args:
    name: of the configuration file.
    words: what followed the colon.
    stream: unless a word names another.
    num_gpus: that mmaction2 0.x used, with 12 clips on each.
  """
  config = gcn.base(name, words, stream)
  config.model.update(
    name='agcn',
    variant='',  # softmax_0x, softmax_original or tanh; see below.
    attention=False,  # AAGCN; tanh only.
    adaptive=True,  # False: the graph alone; tanh only.
    data_bn='',  # VC, MVC or none; empty: that of the variant.
  )
  if config.recipe == 'published':
    if config.data.dims != 3:
      raise common.error(
        f'{name}: mmaction2 0.x published 2s-AGCN for 3D skeletons alone. For'
        f' 2D ones take the recipe of mmaction2 1.x: {name}.py:u100,2d.'
      )
    # mmaction2 0.x: softmax attention over a fixed graph plus a learned one.
    config.model.variant = 'softmax_0x'
    config.graph.edges = '0x'
    config.data.update(normalize='mmaction0x', frames='loop', clip_len=300)
    config.model.norm_group = 12  # Clips on each GPU.
    config.train.batch_size = config.optim.reference_batch = 12 * num_gpus
    config.eval.average = 'score'
  elif config.recipe == 'u100':
    # mmaction2 1.x: AAGCN without its attention modules, A + alpha tanh(S).
    config.model.variant = 'tanh'
    gcn.u100(config)
  else:
    config.model.variant = 'tanh'
    gcn.ucla(config)
  return gcn.finish(config, words)
