"""PoseC3D: what its configurations share.

Paper: Duan et al., Revisiting Skeleton-based Action Recognition, CVPR 2022.

How many GPUs mmaction2 0.x took for FineGYM and NTU RGB+D is not quite clear:
its table of results says "8 x 2", here 16, and a comment in its configurations
that the learning rate is for 8, as 1.0.0rc0 and 1.x have it (words rc0,
mmaction1x).
"""

from ml_collections import config_dict

from configs import common

WORDS = common.Words(
  recipes={
    'published': 'mmaction2 0.x, the default: 16 GPUs from chance',
    'rc0': 'mmaction2 1.0.0rc0: 8 GPUs throughout',
    'mmaction1x': 'mmaction2 1.x: 8 GPUs, ten passes make an epoch',
  },
  streams={
    'keypoint': 'a blob at every joint',
    'limb': 'a line along every limb',
    'keypoint_limb': 'the channels of both',
  },
  refused={
    'u100': 'the recipe of mmaction2 1.x for PoseC3D is mmaction1x.',
    '2d': 'PoseC3D takes 2D skeletons whatever the words: leave it out.',
    '3d': 'PoseC3D draws 2D skeletons (data_prep.main projects 3D ones).',
    **dict.fromkeys(
      ('ntu60', 'ntu120', 'xsub', 'xview', 'xset'),
      'PoseC3D has a configuration for each data set; any other prepared one'
      ' is named by its whole name, such as ntu60_xview_2d.',
    ),
    **dict.fromkeys(
      ('joint', 'bone', 'joint_motion', 'bone_motion'),
      'it is what graph networks see; PoseC3D sees heatmaps.',
    ),
  },
)
# Of what mmaction2 0.x had no configuration.
WORDS_1X = common.Words(
  recipes={'mmaction1x': 'mmaction2 1.x, the only one'},
  streams=WORDS.streams,
  refused={
    **dict.fromkeys(
      ('published', 'rc0'), 'only mmaction2 1.x has a configuration of this.'
    ),
    **WORDS.refused,
  },
)
# Of what mmaction2 0.x alone has one.
WORDS_0X = common.Words(
  recipes={'published': 'mmaction2 0.x, the only one: 16 GPUs from chance'},
  streams=WORDS.streams,
  refused={
    **dict.fromkeys(
      ('rc0', 'mmaction1x'),
      'only mmaction2 0.x has a configuration of this.',
    ),
    **WORDS.refused,
  },
)
# What UCF101 and HMDB51 are fine-tuned from.
KINETICS = (
  'a network trained on Kinetics-400, published as k400_posec3d-041f49c6.pth'
  ' (https://download.openmmlab.com/mmaction/skeleton/posec3d/'
  'k400_posec3d-041f49c6.pth)'
)


def posec3d(
  name: str,
  words: str,
  dataset: str,
  stream: str,
  family: common.Words = WORDS,
) -> config_dict.ConfigDict:
  """From chance, 48 frames of 56 x 56 pixels: FineGYM and NTU RGB+D.

  Args:
    name: of the configuration file.
    words: what followed the colon.
    dataset: used unless a word names another.
    stream: 'keypoint' or 'limb', unless a word names another.
    family: what may stand after the colon.
  """
  config = common.base(name, words, family, stream)
  config.data.update(
    dataset=config.data.dataset or dataset,
    dims=2,
    frames='uniform',
    clip_len=48,
    num_clips=10,
  )
  config.input = config_dict.create(
    heatmap=config.input.stream,  # keypoint, limb or keypoint_limb.
    sigma=0.6,  # Of a heatmap's Gaussian, in its pixels.
    use_score=True,  # Heatmaps are as high as joints are sure; False: 1.
    min_score=1e-4,  # Joints below this draw nothing; pyskl: 1e-3.
    scaling=1.0,  # Pixels of a heatmap per pixel of the cropped picture.
    short_side=64,  # Training: the picture from which crops are cut.
    size=56,  # Training: pixels, height and width.
    test_size=64,  # Evaluation: pixels, height and width.
    resize='short_side',  # Evaluation: short_side (then cut) or stretch.
    compact_padding=0.25,  # Room around the box of all skeletons, relative.
    compact_threshold=10.0,  # Smaller boxes are left as they are, in pixels.
    compact_hw_ratio=(1.0, 1.0),  # Least height / width and its inverse.
    allow_imgpad=True,  # The box may be larger than the picture.
    crop_area=(0.56, 1.0),  # Training: part of the picture in a random crop.
    crop_aspect=(3 / 4, 4 / 3),  # Training: its width / height.
    flip=0.5,  # Training: probability of the left-right mirror.
    mirror='0x',  # Mirrored views as in mmaction2 0x (joints) or 1x (pixels).
  )
  config.model = config_dict.create(
    name='slowonly',
    base_channels=32,
    stage_blocks=(4, 6, 3),
    inflate=(0, 1, 1),  # Stages whose kernels reach over frames.
    inflate_style='3x1x1',  # 3x1x1 or 3x3x3.
    spatial_strides=(2, 2, 2),
    temporal_strides=(1, 1, 2),
    dilations=(1, 1, 1),
    conv1_kernel=(1, 7, 7),  # Frames, rows, columns.
    conv1_stride=(1, 1),  # Frames, pixels.
    pool1_stride=(1, 1),
    with_pool1=True,
    with_pool2=False,
    zero_init_residual=True,
    dropout=0.5,  # Before the classifier.
    norm_group=16,  # Clips on each GPU share BatchNorm statistics.
    dtype='float32',  # Of the computation: float32 or bfloat16.
    remat=False,  # Recompute activations: less memory, more time.
  )
  config.optim.update(
    base_lr=0.2,
    nesterov=False,
    weight_decay=3e-4,
    schedule='cosine',
    milestones=(),
    clip_norm=40.0,
    reference_batch=256,
  )
  config.train.update(batch_size=256, epochs=240.0)  # 16 clips on 16 GPUs.
  config.eval.update(
    batch_size=16, every_epochs=10.0, mirrored=True, views_at_once=1
  )
  config.checkpoint.every_epochs = 10.0
  if config.recipe == 'mmaction1x':
    config.input.mirror = '1x'
    ten_passes(config, epochs=24.0)
  elif config.recipe == 'rc0':
    eight_gpus(config)
  return config


def eight_gpus(config: config_dict.ConfigDict) -> None:
  """16 clips on 8 GPUs, at the learning rate that 16 GPUs had."""
  config.optim.reference_batch = 128
  config.train.batch_size = 128


def ten_passes(config: config_dict.ConfigDict, epochs: float) -> None:
  """Eight GPUs; an epoch is ten passes, and each is evaluated."""
  eight_gpus(config)
  config.data.repeat = 10
  config.train.epochs = epochs
  config.eval.every_epochs = 1.0
  config.checkpoint.every_epochs = 1.0


def finetune(
  name: str, words: str, dataset: str, weight_decay: float
) -> config_dict.ConfigDict:
  """From Kinetics-400, 48 frames of 48 x 48 pixels: UCF101 and HMDB51.

  Args:
    name: of the configuration file.
    words: what followed the colon.
    dataset: used unless a word names another.
    weight_decay: of mmaction2 0.x; that of 1.0.0rc0 and 1.x is 3e-4.
  """
  config = posec3d(name, words, dataset, stream='keypoint')
  ten_passes(config, epochs=12.0)  # Whatever the recipe.
  config.input.update(size=48, test_size=56)
  config.model.stage_blocks = (3, 4, 6)
  config.optim.update(base_lr=0.01, schedule='step', milestones=(9, 11))
  if config.recipe == 'published':
    config.optim.weight_decay = weight_decay
  config.train.pretrained = KINETICS
  return config


def finish(
  config: config_dict.ConfigDict, words: str, family: common.Words = WORDS
) -> config_dict.ConfigDict:
  """Adds the demo preset; prints and exits when the word `help` was given."""
  return common.finish(config, words, family, demo_preset())


def demo_preset() -> config_dict.ConfigDict:
  """What the demo changes: narrower, smaller, shorter clips, fewer epochs.

  Classes and depth stay. Applied to every field that the user did not set,
  when there is no data directory.
  """
  return config_dict.create(
    # Few frames, far apart: from one to the next a joint moves by a pixel or
    # more, without which the order of the frames is learned late.
    data=dict(dataset='demo_2d', clip_len=8, num_clips=2, repeat=1),
    input=dict(short_side=28, size=24, test_size=24),
    model=dict(base_channels=8, norm_group=0, dropout=0.0),
    optim=dict(
      schedule='cosine',
      milestones=(),
      base_lr=0.1,
      warmup_steps=20,
      reference_batch=0,
    ),
    train=dict(batch_size=16, epochs=16.0, log_every_steps=20, pretrained=''),
    eval=dict(every_epochs=2.0, views_at_once=0),
    checkpoint=dict(every_epochs=2.0),
  )
