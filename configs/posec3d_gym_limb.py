"""PoseC3D on FineGYM, limb heatmaps, as in mmaction2 1.0.0rc0.

Paper: Duan et al., Revisiting Skeleton-based Action Recognition, CVPR 2022.

mmaction2 config, FineGYM val              mean class  GPUs x clips
slowonly_r50_u48_240e_8xb16_gym_limb                 93.7  8 x 16

Estimated compute: multiply-adds per clip x clips x passes x 6, and hours at a
sustained 10 TFLOP/s:
15.78 G x 20,484 x 240 x 6 = 465 PFLOP, 12.9 hours

Prepare the data once, then train:
python -m data_prep.main --source=pickle --input=gym_2d.pkl --layout=coco \\
    --max_persons=0 --class_names=gym99 --name=gym --output=DIR
python -m skeljax.main --config=configs/posec3d_gym_limb.py \\
    --config.data.dir=DIR
Fuse the scores with those of configs/posec3d_gym_keypoint.py: python -m
skeljax.fuse.
Without a data directory this trains on the demo motions.
"""

from ml_collections import config_dict

from configs import common


def get_config(arg: str = '') -> config_dict.ConfigDict:
  args = common.parse_args(
    arg, get_config, heatmap='limb', dataset='gym', demo=False
  )
  config = common.slowonly()
  config.name = 'posec3d_gym_limb'
  config.data.update(
    dataset=args.dataset,
    demo=args.demo,
    dims=2,
    normalize='none',
    frames='uniform',
    clip_len=48,
    num_clips=10,
    repeat=1,
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
    mirror='0x',
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
  config.train.update(batch_size=128, epochs=240.0)
  config.eval.update(
    batch_size=16,
    every_epochs=10.0,
    average='prob',
    mirrored=True,
    views_at_once=1,
  )
  config.checkpoint.every_epochs = 10.0
  config.demo = common.heatmaps_demo()
  return config
