"""PoseC3D as in mmaction2 1.x: 8 GPUs, ten passes per epoch.

Paper: Duan et al., Revisiting Skeleton-based Action Recognition, CVPR 2022.

mmaction2 config                                          top-1  GPUs x clips
slowonly_r50_8xb16-u48-240e_gym-keypoint                   93.5  8 x 16
slowonly_r50_8xb16-u48-240e_gym-limb                       93.6  8 x 16
slowonly_r50_8xb16-u48-240e_ntu60-xsub-keypoint            93.6  8 x 16
slowonly_r50_8xb16-u48-240e_ntu60-xsub-limb                93.5  8 x 16
slowonly_r50_8xb32-u48-240e_k400-keypoint                  47.4  8 x 32
slowonly_kinetics400-pretrained-r50_8xb16-u48-120e_
    ucf101-split1-keypoint                                 86.8  8 x 16
slowonly_kinetics400-pretrained-r50_8xb16-u48-120e_
    hmdb51-split1-keypoint                                 69.6  8 x 16
FineGYM: mean class accuracy. Keypoints and limbs of ntu60 fused: 94.0.

UCF101 and HMDB51 start from weights of Kinetics-400:
--config.train.init_from=k400_posec3d-041f49c6.pth. The annotations of
Kinetics-400 are compressed, one file per video; docs/data.md prepares them.
240,000 stands for its number of training clips.

Estimated compute: multiply-adds per clip x clips x passes x 6, and hours at a
sustained 10 TFLOP/s:
dataset=gym: 15.78 G x 20,484 x 240 x 6 = 465 PFLOP, 12.9 hours
dataset=ntu60_xsub_2d: 15.78 G x 40,091 x 240 x 6 = 911 PFLOP, 25.3 hours
dataset=k400: 14.62 G x 240,000 x 240 x 6 = 5,053 PFLOP, 140.4 hours
dataset=ucf101_split1: 10.74 G x 9,537 x 120 x 6 = 74 PFLOP, 2.0 hours
dataset=hmdb51_split1: 10.74 G x 3,570 x 120 x 6 = 28 PFLOP, 0.8 hours

Prepare the data once, then train:
python -m data_prep.main --source=pickle --input=ntu60_2d.pkl --protocol=xsub \\
    --layout=coco --max_persons=0 --class_names=ntu60 --name=ntu60_xsub_2d \\
    --output=DIR
python -m skeljax.main --config=configs/posec3d_mmaction1x.py \\
    --config.data.dir=DIR
For other rows give arguments, as in
--config=configs/posec3d_mmaction1x.py:heatmap=limb,dataset=gym.
Without a data directory this trains on the demo motions.
"""

from ml_collections import config_dict

from configs import common

_KINETICS = (
  'a network trained on Kinetics-400, published as k400_posec3d-041f49c6.pth'
  ' (https://download.openmmlab.com/mmaction/skeleton/posec3d/'
  'k400_posec3d-041f49c6.pth)'
)


def get_config(arg: str = '') -> config_dict.ConfigDict:
  args = common.parse_args(
    arg, get_config, heatmap='keypoint', dataset='ntu60_xsub_2d', demo=False
  )
  config = common.slowonly()
  config.name = 'posec3d_mmaction1x'
  config.data.update(
    dataset=args.dataset,
    demo=args.demo,
    dims=2,
    normalize='none',
    frames='uniform',
    clip_len=48,
    num_clips=10,
    repeat=10,
  )
  config.input.update(
    heatmap=args.heatmap,
    sigma=0.6,
    use_score=True,
    min_score=1e-4,
    scaling=1.0,
    short_side=64,
    size=56,
    test_size=64,
    resize='short_side',
    compact_padding=0.25,
    compact_threshold=10.0,
    compact_hw_ratio=(1.0, 1.0),
    allow_imgpad=True,
    crop_area=(0.56, 1.0),
    crop_aspect=(3 / 4, 4 / 3),
    flip=0.5,
    mirror='1x',
  )
  config.model.update(
    base_channels=32,
    stage_blocks=(4, 6, 3),
    inflate=(0, 1, 1),
    inflate_style='3x1x1',
    spatial_strides=(2, 2, 2),
    temporal_strides=(1, 1, 2),
    dilations=(1, 1, 1),
    conv1_kernel=(1, 7, 7),
    conv1_stride=(1, 1),
    pool1_stride=(1, 1),
    with_pool1=True,
    with_pool2=False,
    zero_init_residual=True,
    dropout=0.5,
    norm_group=16,  # Clips per GPU.
  )
  config.optim.update(
    base_lr=0.2,
    momentum=0.9,
    nesterov=False,
    weight_decay=3e-4,
    schedule='cosine',
    clip_norm=40.0,
    reference_batch=128,
  )
  config.loss.name = 'cross_entropy'
  config.train.update(batch_size=128, epochs=24.0)
  config.eval.update(
    batch_size=16,
    every_epochs=1.0,
    average='prob',
    mirrored=True,
    views_at_once=1,
  )
  config.checkpoint.every_epochs = 1.0
  if args.dataset in ('ucf101_split1', 'hmdb51_split1'):  # Fine-tuning.
    config.input.update(size=48, test_size=56)
    config.model.stage_blocks = (3, 4, 6)
    config.optim.update(
      base_lr=0.01,
      schedule='step',
      milestones=(9, 11),
      gamma=0.1,
    )
    config.train.update(epochs=12.0, pretrained=_KINETICS)
  elif args.dataset == 'k400':
    config.input.resize = 'stretch'
    config.model.update(stage_blocks=(3, 4, 6), norm_group=32)
    config.optim.update(base_lr=0.4, weight_decay=1e-4, reference_batch=256)
    config.train.batch_size = 256
  config.demo = common.heatmaps_demo()
  return config
