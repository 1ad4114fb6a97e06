"""PoseC3D fine-tuned on UCF101, keypoint heatmaps (mmaction2 1.0.0rc0).

Paper: Duan et al., Revisiting Skeleton-based Action Recognition, CVPR 2022.

mmaction2 config, UCF101 split 1              top-1  GPUs x clips
slowonly_kinetics400_pretrained_r50_u48_120e_8xb16_
    ucf101_split1_keypoint                   86.9  8 x 16

Training starts from weights of Kinetics-400, and on real data refuses to start
without: --config.train.init_from=k400_posec3d-041f49c6.pth.

Estimated compute: multiply-adds per clip x clips x passes x 6, and hours at a
sustained 10 TFLOP/s:
10.74 G x 9,537 x 120 x 6 = 74 PFLOP, 2.0 hours

Prepare the data once, then train:
python -m data_prep.main --source=pickle --input=ucf101_2d.pkl --protocol=1 \\
    --layout=coco --max_persons=0 --class_names=ucf101 --name=ucf101_split1 \\
    --output=DIR
python -m skeljax.main --config=configs/posec3d_ucf101_keypoint.py \\
    --config.data.dir=DIR --config.train.init_from=k400_posec3d-041f49c6.pth
Without a data directory this trains on the demo motions, from scratch.
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
    arg, get_config, heatmap='keypoint', dataset='ucf101_split1', demo=False
  )
  config = common.slowonly()
  config.name = 'posec3d_ucf101_keypoint'
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
    size=48,
    test_size=56,
    resize='short_side',
    compact_padding=0.25,
    compact_threshold=10.0,
    compact_hw_ratio=(1.0, 1.0),
    allow_imgpad=True,
    crop_area=(0.56, 1.0),
    crop_aspect=(3 / 4, 4 / 3),
    flip=0.5,
    mirror='0x',
  )
  config.model.update(
    base_channels=32,
    stage_blocks=(3, 4, 6),
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
    base_lr=0.01,
    momentum=0.9,
    nesterov=False,
    weight_decay=3e-4,
    schedule='step',
    milestones=(9, 11),
    gamma=0.1,
    clip_norm=40.0,
    reference_batch=128,
  )
  config.loss.name = 'cross_entropy'
  config.train.update(batch_size=128, epochs=12.0, pretrained=_KINETICS)
  config.eval.update(
    batch_size=16,
    every_epochs=1.0,
    average='prob',
    mirrored=True,
    views_at_once=1,
  )
  config.checkpoint.every_epochs = 1.0
  config.demo = common.heatmaps_demo()
  return config
