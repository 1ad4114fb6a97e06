"""ST-GCN on NTU RGB+D as in mmaction2 1.x: 100 frames, 10 test views.

Paper: Yan et al., Spatial Temporal Graph Convolutional Networks for
Skeleton-Based Action Recognition, AAAI 2018.

stgcn_8xb16-STREAM-u100-80e_DATA-xsub-keypoint-DIMS, top-1, 8 x 16 clips.
Fused 1:1 (two) and 2:1:2:1 (four: joint, joint_motion, bone, bone_motion).
dims  dataset         joint  bone   joint_motion  bone_motion  two    four
2     ntu60_xsub_2d   88.95  91.69  86.90         87.86        92.12  92.34
3     ntu60_xsub_3d   88.11  88.76  86.06         85.49        90.14  90.39
2     ntu120_xsub_2d  83.19  83.36  78.87         79.55        84.84  85.23
3     ntu120_xsub_3d  82.15  84.28  78.93         80.02        85.68  86.19

Estimated compute: multiply-adds per clip x clips x passes x 6, and hours at a
sustained 10 TFLOP/s:
dims=2,dataset=ntu60_xsub_2d: 3.82 G x 40,091 x 80 x 6 = 74 PFLOP, 2.0 hours
dims=3,dataset=ntu60_xsub_3d: 5.71 G x 40,091 x 80 x 6 = 110 PFLOP, 3.1 hours
dims=2,dataset=ntu120_xsub_2d: 3.82 G x 63,026 x 80 x 6 = 116 PFLOP, 3.2 hours
dims=3,dataset=ntu120_xsub_3d: 5.71 G x 63,026 x 80 x 6 = 173 PFLOP, 4.8 hours

Prepare the data once, then train:
python -m data_prep.main --source=pickle --input=ntu60_3d.pkl --protocol=xsub \\
    --layout=nturgb+d --class_names=ntu60 --normalize=mmaction1x \\
    --name=ntu60_xsub_3d --output=DIR
python -m skeljax.main --config=configs/stgcn_mmaction1x.py \\
    --config.data.dir=DIR
For other streams and data give arguments, as in
--config=configs/stgcn_mmaction1x.py:stream=bone,dims=2,dataset=ntu60_xsub_2d.
2D data: ntu60_2d.pkl, --layout=coco and no --normalize; NTU RGB+D 120:
ntu120_3d.pkl, --class_names=ntu120; other benchmarks: --protocol=xview or xset.
Without a data directory this trains on the demo motions.
"""

from ml_collections import config_dict

from configs import common


def get_config(arg: str = '') -> config_dict.ConfigDict:
  args = common.parse_args(
    arg, get_config, stream='joint', dims=3, dataset='', demo=False
  )
  config = common.stgcn()
  config.name = 'stgcn_mmaction1x'
  config.data.update(
    dataset=args.dataset or f'ntu60_xsub_{args.dims}d',
    demo=args.demo,
    dims=args.dims,
    normalize='mmaction1x' if args.dims == 3 else 'none',
    frames='uniform',
    clip_len=100,
    num_clips=10,
    repeat=5,
  )
  config.input.update(
    stream=args.stream, normalize_2d='mmaction1x' if args.dims == 2 else 'none'
  )
  config.model.update(
    adaptive='importance',
    conv_pos='pre',
    gcn_with_res=False,
    tcn_type='unit_tcn',
    data_bn='VC',
    weight_init='mmaction1x',
    base_channels=64,
    ch_ratio=2.0,
    num_stages=10,
    inflate_stages=(5, 8),
    down_stages=(5, 8),
    tcn_dropout=0.0,
    dropout=0.0,
    norm_group=16,  # Clips per GPU.
  )
  config.graph.update(mode='stgcn_spatial', max_hop=1, edges='1x')
  config.optim.update(
    base_lr=0.1,
    momentum=0.9,
    nesterov=True,
    weight_decay=5e-4,
    schedule='cosine',
    reference_batch=128,
  )
  config.loss.name = 'cross_entropy'
  config.train.update(batch_size=128, epochs=16.0)
  config.eval.update(every_epochs=1.0, average='prob')
  config.demo = common.joints_demo(config)
  return config
