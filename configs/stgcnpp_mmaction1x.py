"""ST-GCN++ on NTU RGB+D as in mmaction2 1.x: 100 frames, 10 test views.

Paper: Duan et al., PYSKL: Towards Good Practices for Skeleton Action
Recognition, ACM Multimedia 2022.

stgcnpp_8xb16-STREAM-u100-80e_DATA-xsub-keypoint-DIMS, top-1, 8 x 16 clips.
Fused 1:1 (two) and 2:1:2:1 (four: joint, joint_motion, bone, bone_motion).
dims  dataset         joint  bone   joint_motion  bone_motion  two    four
2     ntu60_xsub_2d   89.29  92.30  87.30         88.76        92.61  92.77
3     ntu60_xsub_3d   89.14  90.21  86.67         87.45        91.39  91.87

pyskl publishes the same recipe for more benchmarks in 3D (joint, bone):
ntu120_xsub_3d 83.2, 85.6; ntu120_xset_3d 85.6, 87.5; ntu60_xview_3d 95.6, 95.5.

Estimated compute: multiply-adds per clip x clips x passes x 6, and hours at a
sustained 10 TFLOP/s:
dims=2,dataset=ntu60_xsub_2d: 1.95 G x 40,091 x 80 x 6 = 38 PFLOP, 1.0 hours
dims=3,dataset=ntu60_xsub_3d: 2.96 G x 40,091 x 80 x 6 = 57 PFLOP, 1.6 hours

Prepare the data once, then train:
python -m data_prep.main --source=pickle --input=ntu60_3d.pkl --protocol=xsub \\
    --layout=nturgb+d --class_names=ntu60 --normalize=mmaction1x \\
    --name=ntu60_xsub_3d --output=DIR
python -m skeljax.main --config=configs/stgcnpp_mmaction1x.py \\
    --config.data.dir=DIR
For other streams and data give arguments, as in
--config=configs/stgcnpp_mmaction1x.py:stream=bone,dims=2,dataset=ntu60_xsub_2d.
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
  config.name = 'stgcnpp_mmaction1x'
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
    norm_group=16,  # Clips per GPU.
  )
  config.graph.update(mode='spatial', max_hop=1, edges='1x')
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
