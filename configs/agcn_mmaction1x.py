"""2s-AGCN on NTU RGB+D as in mmaction2 1.x: 100 frames, 10 test views.

Paper: Shi et al., Two-Stream Adaptive Graph Convolutional Networks for
Skeleton-Based Action Recognition, CVPR 2019.

2s-agcn_8xb16-STREAM-u100-80e_DATA-xsub-keypoint-DIMS, top-1, 8 x 16 clips.
Fused 1:1 (two) and 2:1:2:1 (four: joint, joint_motion, bone, bone_motion).
dims  dataset         joint  bone   joint_motion  bone_motion  two    four
2     ntu60_xsub_2d   88.60  91.59  88.02         88.82        91.95  92.34
3     ntu60_xsub_3d   88.26  89.22  86.73         86.41        90.27  90.89

Estimated compute: multiply-adds per clip x clips x passes x 6, and hours at a
sustained 10 TFLOP/s:
dims=2,dataset=ntu60_xsub_2d: 4.35 G x 40,091 x 80 x 6 = 84 PFLOP, 2.3 hours
dims=3,dataset=ntu60_xsub_3d: 6.49 G x 40,091 x 80 x 6 = 125 PFLOP, 3.5 hours

Prepare the data once, then train:
python -m data_prep.main --source=pickle --input=ntu60_3d.pkl --protocol=xsub \\
    --layout=nturgb+d --class_names=ntu60 --normalize=mmaction1x \\
    --name=ntu60_xsub_3d --output=DIR
python -m skeljax.main --config=configs/agcn_mmaction1x.py \\
    --config.data.dir=DIR
For other streams and data give arguments, as in
--config=configs/agcn_mmaction1x.py:stream=bone,dims=2,dataset=ntu60_xsub_2d.
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
  config = common.agcn()
  config.name = 'agcn_mmaction1x'
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
    variant='tanh',  # AAGCN without its attention modules.
    attention=False,
    adaptive=True,
    data_bn='MVC',
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
