"""The fields of every config with neutral defaults, and the config arguments.

A config file starts from `stgcn()`, `agcn()` or `slowonly()`, which declare the
fields, and assigns every hyperparameter of its recipe.
"""

from collections.abc import Callable
import sys
import types
from typing import Any

from ml_collections import config_dict

from skeljax import errors

_CHOICES = {
  'stream': ('joint', 'bone', 'joint_motion', 'bone_motion'),
  'heatmap': ('keypoint', 'limb', 'keypoint_limb'),
  'dims': (2, 3),
  'demo': (False, True),
}
_MEANINGS = {
  'stream': 'model input of a graph network',
  'heatmap': 'model input of PoseC3D',
  'dims': 'coordinates per joint: 2 (pixels and scores) or 3 (metres)',
  'dataset': 'name of a prepared dataset in data.dir',
  'demo': 'train on the demo motions even if there is a data directory',
}


def parse_args(
  arg: str, get_config: Callable[[], config_dict.ConfigDict], **defaults: Any
) -> types.SimpleNamespace:
  """Parse the 'key=value,key=value' that follows the colon of --config.

  Args:
    arg: the text; 'help' prints the arguments and fields, then exits.
    get_config: the caller.
    **defaults: every key with its default.

  Returns:
    A namespace with the keys of `defaults`.

  Raises:
    UserError: unknown key, or a value that is not allowed.
  """
  if arg == 'help':
    _print_help(get_config(), defaults)
    sys.exit(0)
  values = dict(defaults)
  for item in filter(None, arg.replace(' ', '').split(',')):
    key, _, text = item.partition('=')
    allowed = {str(v): v for v in _CHOICES.get(key, [text])}
    if key not in defaults or not text or text not in allowed:
      raise errors.UserError(
        f'Config argument {item!r} is not allowed. Arguments:\n'
        + '\n'.join(_describe(defaults))
      )
    values[key] = allowed[text]
  return types.SimpleNamespace(**values)


def _describe(defaults: dict[str, Any]) -> list[str]:
  """One line per argument: default, allowed values, meaning."""
  lines = []
  for key, default in defaults.items():
    allowed = ', '.join(map(str, _CHOICES.get(key, ['any'])))
    lines.append(f'  {key}={default}  ({allowed}): {_MEANINGS[key]}')
  return lines


def _print_help(
  config: config_dict.ConfigDict, defaults: dict[str, Any]
) -> None:
  print(f'Arguments, as in --config=configs/{config.name}.py:key=value,...\n')
  print('\n'.join(_describe(defaults)))
  print('\nFields and their defaults:\n')
  for section, fields in config.items():
    if section in ('seed', 'deterministic'):
      print(f'  --config.{section}={fields!r}')
    elif section not in ('name', 'demo'):
      for field, value in fields.items():
        print(f'  --config.{section}.{field}={value!r}')


def stgcn() -> config_dict.ConfigDict:
  """The fields of ST-GCN and ST-GCN++."""
  config = joints()
  config.model = graph_network(
    name='stgcn',
    adaptive='importance',  # importance, init, offset or none.
    conv_pos='pre',  # 1x1 convolution before (pre) or after (post) the graph.
    gcn_with_res=False,  # Residual connection around the graph unit.
    tcn_type='unit_tcn',  # unit_tcn or mstcn.
    data_bn='VC',  # VC, MVC (separate statistics per person) or none.
    weight_init='mmaction1x',  # mmaction1x or mmaction0x.
  )
  return config.lock()


def agcn() -> config_dict.ConfigDict:
  """The fields of 2s-AGCN and AAGCN."""
  config = joints()
  config.model = graph_network(
    name='agcn',
    variant='tanh',  # softmax_0x, softmax_original or tanh.
    attention=False,  # AAGCN; variant tanh only.
    adaptive=True,  # False: fixed adjacency only; variant tanh only.
    data_bn='',  # VC, MVC or none; empty: the default of the variant.
  )
  return config.lock()


def slowonly() -> config_dict.ConfigDict:
  """The fields of PoseC3D."""
  config = _base()
  config.input = config_dict.create(
    heatmap='keypoint',  # keypoint, limb or keypoint_limb (both as channels).
    sigma=0.6,  # Standard deviation of the Gaussian, in heatmap pixels.
    use_score=True,  # Scale each Gaussian by the score of its joint.
    min_score=1e-4,  # Joints below it are not drawn; pyskl: 1e-3.
    scaling=1.0,  # Heatmap pixels per pixel of the cropped image.
    short_side=64,  # Training: shorter side of the image before the crop.
    size=56,  # Training: height and width.
    test_size=64,  # Evaluation: height and width.
    resize='short_side',  # Evaluation: short_side (centre crop) or stretch.
    compact_padding=0.25,  # Padding of the box around all persons, relative.
    compact_threshold=10.0,  # Boxes smaller than this are not cropped, pixels.
    compact_hw_ratio=(1.0, 1.0),  # Minimum height / width and its inverse.
    allow_imgpad=True,  # The box may exceed the image.
    crop_area=(0.56, 1.0),  # Training: area of a random crop, relative.
    crop_aspect=(3 / 4, 4 / 3),  # Training: its width / height.
    flip=0.0,  # Training: probability of a left-right flip.
    mirror='1x',  # Flipped test views as in mmaction2 0x (joints), 1x (pixels).
  )
  config.model = config_dict.create(
    name='slowonly',
    base_channels=32,
    stage_blocks=(4, 6, 3),
    inflate=(0, 1, 1),  # Stages with temporal kernels.
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
    dropout=0.0,  # Before the classifier.
    norm_group=0,  # Clips per BatchNorm group; 0: the global batch.
    dtype='float32',  # Of the computation: float32 or bfloat16.
    remat=False,  # Recompute activations: less memory, more time.
  )
  return config.lock()


def _base() -> config_dict.ConfigDict:
  """The sections of every config."""
  config = config_dict.ConfigDict()
  config.name = ''  # Of the config file.
  config.seed = 0
  config.deterministic = False  # GPU: bit-identical runs, somewhat slower.
  config.data = config_dict.create(
    dir='',  # Root of prepared datasets; empty: $SKELJAX_DATA.
    dataset='',  # Name of a prepared dataset.
    demo=False,  # Train on the demo motions.
    dims=3,  # Coordinates per joint: 2 (pixels) or 3 (metres).
    max_persons=0,  # Persons per clip that the dataset may have; 0: any.
    normalize='none',  # 3D normalisation required of data_prep.
    # uniform, uniform_pyskl, loop, zero, random_crop or sorted_random.
    frames='uniform',
    clip_len=100,  # Frames per view.
    num_clips=1,  # Views per clip in the final evaluation.
    max_frames=0,  # Padding of whole clips; 0: the longest clip.
    repeat=1,  # Passes over the clips per epoch.
    num_workers=0,  # Processes that read and batch; 0: a thread.
  )
  config.optim = config_dict.create(
    base_lr=0.1,
    momentum=0.9,
    nesterov=False,
    weight_decay=0.0,  # On every parameter, as published.
    schedule='constant',  # step, cosine or constant.
    milestones=(),  # Of schedule step: epochs at which the rate drops.
    gamma=0.1,  # Of schedule step: factor of a drop.
    warmup_steps=0,
    warmup_epochs=0,
    clip_norm=0.0,  # Global gradient norm; 0: no clipping.
    label_smoothing=0.0,
    reference_batch=0,  # Batch size that base_lr was published for.
    scale_lr=False,  # Use base_lr * batch_size / reference_batch.
  )
  config.loss = config_dict.create(
    name='cross_entropy',  # cross_entropy or cb_focal (BABEL).
    class_weight=(),  # Of cross_entropy, one per class; empty: all 1.
    samples_per_class=(),  # Of cb_focal: training clips per class.
    beta=0.9999,  # Of cb_focal: weight of rare classes; 0: equal weights.
    gamma=2.0,  # Of cb_focal: focus on hard clips; 0: none.
  )
  config.train = config_dict.create(
    batch_size=16,  # Over all devices.
    epochs=1.0,
    log_every_steps=50,
    init_from='',  # Workdir or .pth file with initial weights.
    init_step='last',  # Step of that workdir: last, best or a number.
    pretrained='',  # Weights that the recipe requires; empty: none.
  )
  config.eval = config_dict.create(
    batch_size=64,
    every_epochs=1.0,  # Validation with one view per clip; 0: never.
    average='prob',  # Of the views: prob or score.
    mirrored=False,  # Heatmaps: add flipped views in the final evaluation.
    views_at_once=0,  # Views per clip in memory; 0: all.
  )
  config.checkpoint = config_dict.create(
    every_epochs=1.0,
    keep=2,  # Latest checkpoints, in addition to the best one.
  )
  config.demo = config_dict.ConfigDict()  # Fields that the demo changes.
  return config


def joints() -> config_dict.ConfigDict:
  """The sections of a model whose input is joints, without `model`."""
  config = _base()
  config.input = config_dict.create(
    stream='joint',  # joint, bone, joint_motion or bone_motion.
    # 2D only: none, mmaction0x, mmaction1x, pyskl_fix or pyskl_auto.
    normalize_2d='none',
    normalize_2d_threshold=0.01,  # pyskl: joints below this score are missing.
    published_rounding=True,  # Round to float16 where published code does.
    centre_first_frame=False,  # Subtract the origin joint of frame 0.
    min_max=False,  # Scale each clip to [-1, 1] per axis.
    rotate=(),  # Maximum degrees about x, y, z; 2D: one angle.
    rotate_order='zyx',  # zyx (CTR-GCN) or xyz (RandomRot of pyskl).
    scale=0.0,  # Random factor 1 + U(-scale, scale) per axis.
    shift=0.0,  # Random offset U(-shift, shift) per axis.
    flip=0.0,  # Probability of a left-right flip.
  )
  config.graph = config_dict.create(
    mode='spatial',  # spatial, stgcn_spatial, uniform, distance or binary.
    max_hop=1,  # Hops to the farthest neighbour; 1 for spatial and binary.
    dilation=1,  # Use every n-th hop; 1 for spatial and binary.
    edges='1x',  # Edge list of mmaction2 1x or 0x, where they differ.
  )
  return config


def graph_network(**fields: Any) -> config_dict.ConfigDict:
  """The section `model` of a graph network, with fields of its own."""
  return config_dict.create(
    **fields,
    base_channels=64,
    ch_ratio=2.0,  # Growth of the width at inflate_stages.
    num_stages=10,
    inflate_stages=(5, 8),  # Stages, counted from 1, that widen.
    down_stages=(5, 8),  # Stages that halve the number of frames.
    tcn_dropout=0.0,  # In the temporal units.
    dropout=0.0,  # Before the classifier.
    norm_group=0,  # Clips per BatchNorm group; 0: the global batch.
    dtype='float32',  # Of the computation: float32 or bfloat16.
    remat=False,  # Recompute activations: less memory, more time.
  )


def joints_demo(config: config_dict.ConfigDict) -> config_dict.ConfigDict:
  """Fields that the demo changes in a graph network: narrower and shorter."""
  demo = config_dict.create(
    data=dict(
      dataset=f'demo_{config.data.dims}d',
      # The first frames alone (loop) would miss half of an action.
      frames='sorted_random' if config.input.min_max else 'uniform',
      clip_len=24,
      num_clips=1,
      repeat=1,
      max_persons=0,
    ),
    model=dict(base_channels=16, norm_group=0),
    optim=dict(
      schedule='cosine',
      milestones=(),
      base_lr=0.05,
      warmup_epochs=0,
      warmup_steps=50,
      reference_batch=0,
    ),
    train=dict(batch_size=16, epochs=10.0, log_every_steps=20),
    eval=dict(every_epochs=2.0),
    checkpoint=dict(every_epochs=2.0),
  )
  if config.loss.samples_per_class:
    # Training clips of each of the 13 actions of the demo.
    demo.loss = dict(samples_per_class=(46,) * 13)
  return demo


def heatmaps_demo() -> config_dict.ConfigDict:
  """Fields that the demo changes in PoseC3D: narrower, smaller, shorter."""
  return config_dict.create(
    # Few frames, far apart: joints must move by a pixel between frames, or
    # training learns the order of the frames late.
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
