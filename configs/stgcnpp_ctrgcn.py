"""ST-GCN++ on NW-UCLA with the recipe of CTR-GCN.

Paper: Duan et al., PYSKL: Towards Good Practices for Skeleton Action
Recognition, ACM Multimedia 2022.
Recipe: Chen et al., Channel-wise Topology Refinement Graph Convolution for
Skeleton-Based Action Recognition, ICCV 2021.

This network has no published accuracy on NW-UCLA.

Prepare the data once, then train:
python -m data_prep.main --source=ucla --input=all_sqe --protocol=xview \\
    --name=nw_ucla --output=DIR
python -m skeljax.main --config=configs/stgcnpp_ctrgcn.py \\
    --config.data.dir=DIR
Without a data directory this trains on the demo motions.
"""

from ml_collections import config_dict

from configs import common


def get_config(arg: str = '') -> config_dict.ConfigDict:
  args = common.parse_args(
    arg, get_config, stream='joint', dataset='nw_ucla', demo=False
  )
  config = common.stgcn()
  config.name = 'stgcnpp_ctrgcn'
  config.data.update(
    dataset=args.dataset,
    demo=args.demo,
    dims=3,
    normalize='none',
    frames='sorted_random',
    clip_len=52,
    num_clips=1,
    repeat=5,
  )
  config.input.update(
    stream=args.stream,
    centre_first_frame=True,
    min_max=True,
    rotate=(60.0, 60.0, 0.0),
    rotate_order='zyx',
  )
  config.model.update(
    adaptive='init',
    conv_pos='pre',
    gcn_with_res=True,
    tcn_type='mstcn',
    data_bn='VC',
    weight_init='mmaction1x',
    base_channels=64,
    ch_ratio=2.0,
    num_stages=10,
    inflate_stages=(5, 8),
    down_stages=(5, 8),
    tcn_dropout=0.0,
    dropout=0.0,
    norm_group=0,  # The global batch.
  )
  config.graph.update(mode='spatial', max_hop=1, edges='1x')
  config.optim.update(
    base_lr=0.1,
    momentum=0.9,
    nesterov=True,
    weight_decay=1e-4,
    schedule='step',
    milestones=(50,),
    gamma=0.1,
    warmup_epochs=5,
    reference_batch=16,
  )
  config.loss.name = 'cross_entropy'
  config.train.update(batch_size=16, epochs=65.0)
  config.eval.update(every_epochs=1.0, average='prob')
  config.demo = common.joints_demo(config)
  return config
