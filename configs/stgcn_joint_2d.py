"""ST-GCN, joint stream, on 2D skeletons of NTU RGB+D 60 (mmaction2 0.x).

Paper: Yan et al., Spatial Temporal Graph Convolutional Networks for
Skeleton-Based Action Recognition, AAAI 2018.

mmaction2 config, NTU60 xsub             top-1  GPUs x clips
stgcn_80e_ntu60_xsub_keypoint (0.x)      86.91  2 x 16

Estimated compute: multiply-adds per clip x clips x passes x 6, and hours at a
sustained 10 TFLOP/s:
11.46 G x 40,091 x 80 x 6 = 221 PFLOP, 6.1 hours

Prepare the data once, then train:
python -m data_prep.main --source=pickle --input=ntu60_2d.pkl --protocol=xsub \\
    --layout=coco --class_names=ntu60 --name=ntu60_xsub_2d --output=DIR
python -m skeljax.main --config=configs/stgcn_joint_2d.py \\
    --config.data.dir=DIR
Without a data directory this trains on the demo motions.
"""

from ml_collections import config_dict

from configs import common


def get_config(arg: str = '') -> config_dict.ConfigDict:
  args = common.parse_args(
    arg, get_config, stream='joint', dataset='ntu60_xsub_2d', demo=False
  )
  config = common.stgcn()
  config.name = 'stgcn_joint_2d'
  config.data.update(
    dataset=args.dataset,
    demo=args.demo,
    dims=2,
    normalize='none',
    frames='loop',
    clip_len=300,
    num_clips=1,
    repeat=1,
  )
  config.input.update(stream=args.stream, normalize_2d='mmaction0x')
  config.model.update(
    adaptive='importance',
    conv_pos='pre',
    gcn_with_res=False,
    tcn_type='unit_tcn',
    data_bn='VC',
    weight_init='mmaction0x',
    base_channels=64,
    ch_ratio=2.0,
    num_stages=10,
    inflate_stages=(5, 8),
    down_stages=(5, 8),
    tcn_dropout=0.0,
    dropout=0.0,
    norm_group=16,  # Clips per GPU.
  )
  config.graph.update(mode='stgcn_spatial', max_hop=1, edges='0x')
  config.optim.update(
    base_lr=0.1,
    momentum=0.9,
    nesterov=True,
    weight_decay=1e-4,
    schedule='step',
    milestones=(10, 50),
    gamma=0.1,
    reference_batch=32,
  )
  config.loss.name = 'cross_entropy'
  config.train.update(batch_size=32, epochs=80.0)
  config.eval.update(every_epochs=5.0, average='score')
  config.demo = common.joints_demo(config)
  return config
