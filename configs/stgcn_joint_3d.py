"""ST-GCN, joint stream, on 3D skeletons.

Paper: Yan et al., Spatial Temporal Graph Convolutional Networks for
Skeleton-Based Action Recognition, AAAI 2018.

Recipe       mmaction2 config                               NTU60 xsub top-1
published    stgcn_80e_ntu60_xsub_keypoint_3d (0.x)         84.61
u100         stgcn_8xb16-joint-u100-80e_ntu60-xsub-keypoint-3d    88.11
ucla         the NW-UCLA recipe; see benchmarks/nw_ucla.md

Command: python -m skeljax.main --config=configs/stgcn_joint_3d.py
Without a data directory this trains on the demo motions.
"""

from ml_collections import config_dict

from configs import gcn


def get_config(words: str = '') -> config_dict.ConfigDict:
  return stgcn('stgcn_joint_3d', words, dims=3)


def stgcn(name: str, words: str, dims: int) -> config_dict.ConfigDict:
  """ST-GCN for 2D (pixels and scores) or 3D (metres) skeletons."""
  config = gcn.base(name, words, stream='joint')
  # ST-GCN++ is adaptive=init, gcn_with_res=True, tcn_type=mstcn on a graph of
  # mode spatial.
  config.model.update(
    name='stgcn',
    adaptive='importance',  # importance, init, offset or none.
    conv_pos='pre',  # 1x1 convolution before (pre) or after (post) the graph.
    gcn_with_res=False,  # Residual around the graph unit.
    tcn_type='unit_tcn',  # unit_tcn or mstcn.
    data_bn='VC',  # VC, MVC (a part for each person) or none.
    weight_init='mmaction1x',  # mmaction1x or mmaction0x.
  )
  config.graph.mode = 'stgcn_spatial'
  config.data.dims = dims
  config.data.dataset = config.data.dataset or (
    '' if config.recipe == 'ucla' else f'ntu60_xsub_{dims}d'
  )
  if config.recipe == 'published':
    config.model.weight_init = 'mmaction0x'
    config.graph.edges = '0x'
    config.data.update(frames='loop', clip_len=300)
    # 2D: 16 clips on each of 2 GPUs. 3D: 32 on one.
    config.model.norm_group = 16 if dims == 2 else 32
    config.train.batch_size = 32
    config.optim.update(milestones=(10, 50), reference_batch=32)
    config.eval.update(average='score', every_epochs=5.0 if dims == 2 else 3.0)
    if dims == 2:
      config.features.normalize_2d = 'mmaction0x'
    else:
      config.data.normalize = 'mmaction0x'
  elif config.recipe == 'u100':
    gcn.u100(config)
  else:
    gcn.ucla(config)
  return gcn.finish(config, words)
