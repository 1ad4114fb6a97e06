"""2s-AGCN, joint stream, on 3D skeletons.

Paper: Shi et al., Two-Stream Adaptive Graph Convolutional Networks for
Skeleton-Based Action Recognition, CVPR 2019.

Recipe       mmaction2 config                               NTU60 xsub top-1
published    2sagcn_80e_ntu60_xsub_keypoint_3d (0.x)        86.06
u100         2s-agcn_8xb16-joint-u100-80e_ntu60-xsub-keypoint-3d  88.26
ucla         AGCN (tanh) by the NW-UCLA recipe; see benchmarks/nw_ucla.md

Command: python -m skeljax.main --config=configs/agcn_joint.py
Without a data directory this trains on the demo motions.
"""

from ml_collections import config_dict

from configs import gcn


def get_config(words: str = '') -> config_dict.ConfigDict:
  return agcn('agcn_joint', words, stream='joint')


def agcn(name: str, words: str, stream: str) -> config_dict.ConfigDict:
  """AGCN in the variant of each recipe: three published ones, never mixed."""
  config = gcn.base(name, words, stream)
  config.model.update(
    name='agcn',
    variant='',  # softmax_0x, softmax_original or tanh; see below.
    attention=False,  # AAGCN; tanh only.
    adaptive=True,  # False: the graph alone; tanh only.
    data_bn='',  # VC, MVC or none; empty: that of the variant.
  )
  if config.recipe == 'published':
    # mmaction2 0.x: softmax attention over a fixed graph plus a learned one.
    config.model.variant = 'softmax_0x'
    config.graph.edges = '0x'
    config.data.update(
      dataset=config.data.dataset or 'ntu60_xsub_3d',
      normalize='mmaction0x',
      frames='loop',
      clip_len=300,
    )
    config.model.norm_group = 12  # Clips on each GPU.
    config.train.batch_size = 12
    config.optim.reference_batch = 12
    config.eval.average = 'score'
  elif config.recipe == 'u100':
    # mmaction2 1.x: AAGCN without its attention modules, A + alpha tanh(S).
    config.model.variant = 'tanh'
    config.data.dataset = config.data.dataset or 'ntu60_xsub_3d'
    gcn.u100(config)
  else:
    config.model.variant = 'tanh'
    gcn.ucla(config)
  return gcn.finish(config, words)
