"""ST-GCN and ST-GCN++: what their configurations share.

Papers: Yan et al., Spatial Temporal Graph Convolutional Networks for
Skeleton-Based Action Recognition, AAAI 2018; Duan et al., PYSKL: Towards Good
Practices for Skeleton Action Recognition, ACM Multimedia 2022 (ST-GCN++).
"""

from ml_collections import config_dict

from configs import gcn

PLUS_PLUS_WORDS = gcn.words_1x(
  'mmaction2 0.x had no ST-GCN++. Its published recipe is u100, the default.'
)


def stgcn(name: str, words: str, dims: int) -> config_dict.ConfigDict:
  """ST-GCN for 2D (pixels and scores) or 3D (metres) skeletons.

  Args:
    name: of the configuration file.
    words: what followed the colon.
    dims: unless a word says otherwise.
  """
  config = gcn.base(name, words, stream='joint', dims=dims)
  use_stgcn(config)
  if config.recipe == 'published':
    mmaction0x(config)
    dims = config.data.dims
    config.data.clip_len = 300
    # 2D: 16 clips on each of 2 GPUs. 3D: 32 on one.
    config.model.norm_group = 16 if dims == 2 else 32
    config.train.batch_size = 32
    config.optim.update(milestones=(10, 50), reference_batch=32)
    config.eval.every_epochs = 5.0 if dims == 2 else 3.0
    if dims == 2:
      config.input.normalize_2d = 'mmaction0x'
    else:
      config.data.normalize = 'mmaction0x'
  elif config.recipe == 'u100':
    gcn.u100(config)
  else:
    gcn.ucla(config)
  return gcn.finish(config, words)


def plus_plus(name: str, words: str) -> config_dict.ConfigDict:
  """ST-GCN++, joint stream, 3D; words choose other data and streams."""
  config = gcn.base(name, words, stream='joint', family=PLUS_PLUS_WORDS)
  use_stgcn(config)
  config.model.update(adaptive='init', gcn_with_res=True, tcn_type='mstcn')
  config.graph.mode = 'spatial'
  if config.recipe == 'u100':
    gcn.u100(config)
  else:
    gcn.ucla(config)
  return gcn.finish(config, words, PLUS_PLUS_WORDS)


def use_stgcn(config: config_dict.ConfigDict) -> None:
  """The network of mmaction2 1.x, on the graph it was published with."""
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


def mmaction0x(config: config_dict.ConfigDict) -> None:
  """What every ST-GCN of mmaction2 0.x has: one view, all frames, looped."""
  config.model.weight_init = 'mmaction0x'
  config.graph.edges = '0x'
  config.data.frames = 'loop'
  config.eval.average = 'score'
