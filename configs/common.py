"""What the configuration files share: sections, recipes, words.

A configuration is one file; what follows the colon are words in any order:

    --config=configs/agcn_bone.py:u100,bone_motion,my_dataset

    recipe   published (mmaction2 0.x, the default), u100 (mmaction2 1.x),
             ucla (the NW-UCLA recipe of CTR-GCN)
    stream   joint, bone, joint_motion, bone_motion
    demo     train on the procedural demo motions, whatever data.dir says
    help     print this and the fields, then exit
    other    the name of a prepared dataset in data.dir
"""

from collections.abc import Iterator
import sys
from typing import Any

from ml_collections import config_dict

RECIPES = ('published', 'u100', 'ucla')
STREAMS = ('joint', 'bone', 'joint_motion', 'bone_motion')
KNOWN_WORDS = RECIPES + STREAMS + ('demo', 'help')


def base(
  name: str, words: str, stream: str
) -> tuple[config_dict.ConfigDict, str]:
  """Every section with the published defaults of the GCN family.

  Args:
    name: of the configuration file, e.g. 'agcn_bone'.
    words: what followed the colon.
    stream: used unless a word names another.

  Returns:
    The unlocked config, and the recipe that the words ask for.
  """
  given = [w for w in words.split(',') if w]
  recipe = _only_one([w for w in given if w in RECIPES], 'recipe', 'published')
  config = config_dict.ConfigDict()
  config.name = name
  config.words = ','.join(w for w in given if w not in ('help', 'demo'))
  config.recipe = recipe
  config.use_demo = 'demo' in given
  config.dataset_word = _only_one(
    [w for w in given if w not in KNOWN_WORDS], 'dataset'
  )
  config.known_words = KNOWN_WORDS
  config.seed = 0
  config.deterministic = False  # GPU: bit-identical runs, somewhat slower.

  config.data = config_dict.create(
    dir='',  # Root of prepared datasets; $SKELJAX_DATA when empty.
    dataset=config.dataset_word,
    dims=3,  # Coordinates a joint must have: 2 (pixels) or 3 (metres).
    normalize='none',  # What data_prep must have done to 3D coordinates.
    # uniform, uniform_pyskl, loop, zero, random_crop or sorted_random.
    frames='uniform',
    clip_len=100,  # Frames the model sees.
    num_clips=1,  # Views of a clip in the final evaluation.
    whole_clip=False,  # Ship whole clips; frames are chosen on the device.
    max_frames=0,  # Padding of whole clips; 0: the dataset's longest clip.
    repeat=1,  # Passes over the clips that make one epoch.
    num_workers=0,  # Processes that read and batch; 0: a thread does.
  )
  config.features = config_dict.create(
    stream=_only_one([w for w in given if w in STREAMS], 'stream', stream),
    # none, mmaction0x, mmaction1x, pyskl_fix or pyskl_auto, 2D only.
    normalize_2d='none',
    normalize_2d_threshold=0.01,  # pyskl: lower scores are missing points.
    published_rounding=True,  # Round to float16 where published code does.
    centre_first_frame=False,  # Subtract the origin joint of frame 0.
    min_max=False,  # Scale each clip to [-1, 1] per axis.
    rotate=(),  # Largest angles in degrees about x, y, z; 2D: one angle.
    rotate_order='zyx',  # zyx: CTR-GCN; xyz: RandomRot of pyskl.
    scale=0.0,  # Factor 1 + U(-scale, scale) per axis.
    shift=0.0,  # Offset U(-shift, shift) per axis.
    flip=0.0,  # Probability of the left-right mirror.
  )
  _add_training_sections(config)
  return config, recipe


def _add_training_sections(config: config_dict.ConfigDict) -> None:
  config.model = config_dict.create(
    name='stgcn',
    base_channels=64,
    ch_ratio=2.0,  # Factor on the width at each of inflate_stages.
    num_stages=10,
    inflate_stages=(5, 8),  # Stages, counted from 1, that widen.
    down_stages=(5, 8),  # Stages that halve the number of frames.
    tcn_dropout=0.0,  # In the temporal units.
    dropout=0.0,  # Before the classifier.
    norm_group=0,  # Clips per BatchNorm group; 0: the global batch.
    dtype='float32',  # Of the computation: float32 or bfloat16.
    remat=False,  # Recompute activations: less memory, more time.
  )
  config.graph = config_dict.create(
    mode='spatial',  # spatial, stgcn_spatial, uniform, distance or binary.
    max_hop=1,  # Steps to the farthest neighbour; 1 for spatial and binary.
    dilation=1,  # Count every so many steps; 1 for spatial and binary.
    edges='1x',  # Edge list of mmaction2 1x or 0x, where they differ.
  )
  config.optim = config_dict.create(
    base_lr=0.1,
    momentum=0.9,
    nesterov=True,
    weight_decay=1e-4,  # On every parameter, as published.
    schedule='step',  # step, cosine or constant.
    milestones=(30, 40),  # Of schedule step: epochs where the rate drops.
    gamma=0.1,
    warmup_steps=0,
    warmup_epochs=0,
    clip_norm=0.0,  # Global gradient norm; 0: no clipping.
    label_smoothing=0.0,
    reference_batch=0,  # Batch that base_lr was published for.
    scale_lr=False,  # base_lr * batch / reference_batch.
  )
  config.loss = config_dict.create(
    name='cross_entropy',  # cross_entropy or cb_focal (BABEL).
    class_weight=(),  # Of the cross entropy, one a class; empty: all 1.
    samples_per_class=(),  # Of cb_focal: training clips of each class.
    beta=0.9999,  # Of cb_focal: how much rare classes weigh; 0: all alike.
    gamma=2.0,  # Of cb_focal: how little clear cases count; 0: all alike.
  )
  config.train = config_dict.create(
    batch_size=16,  # Clips a step over all devices.
    epochs=80.0,
    log_every_steps=50,
    init_from='',  # Workdir or .pth file whose weights to start from.
    init_step='last',  # Of that workdir: last, best or a step.
  )
  config.eval = config_dict.create(
    batch_size=64,
    every_epochs=3.0,  # Validation with one view a clip; 0: never.
    average='prob',  # Of the views: prob or score.
  )
  config.checkpoint = config_dict.create(
    every_epochs=1.0,
    keep=2,  # Latest checkpoints; the best one stays besides.
  )


def finish(
  config: config_dict.ConfigDict, words: str
) -> config_dict.ConfigDict:
  """Adds the demo preset; prints and exits when the word `help` was given."""
  config.demo = demo_preset(config)
  if 'help' in words.split(','):
    print(__doc__ + '\nFields and their values with these words:\n')
    for field, value in _fields(config):
      print(f'    --config.{field}={value!r}')
    sys.exit(0)
  return config


def _fields(config: config_dict.ConfigDict) -> Iterator[tuple[str, Any]]:
  """What a user may set, as ('section.field', value)."""
  yield 'seed', config.seed
  yield 'deterministic', config.deterministic
  for section, fields in config.items():
    if isinstance(fields, config_dict.ConfigDict) and section != 'demo':
      for field, value in fields.items():
        yield f'{section}.{field}', value


def u100(config: config_dict.ConfigDict) -> None:
  """mmaction2 1.x: 100 uniform frames, 16 epochs of five passes, cosine."""
  config.data.update(frames='uniform', clip_len=100, num_clips=10, repeat=5)
  if config.data.dims == 3:
    config.data.normalize = 'mmaction1x'
  else:
    config.features.normalize_2d = 'mmaction1x'
  config.graph.edges = '1x'
  config.model.norm_group = 16
  config.optim.update(schedule='cosine', weight_decay=5e-4, reference_batch=128)
  config.train.update(batch_size=128, epochs=16.0)
  config.eval.update(average='prob', every_epochs=1.0)


def ucla(config: config_dict.ConfigDict) -> None:
  """NW-UCLA as CTR-GCN trains on it: views rotated, clips scaled, 52 frames."""
  if config.data.dims != 3:
    from skeljax import errors

    raise errors.UserError(
      f'{config.name}:ucla: the NW-UCLA recipe is for 3D skeletons. Use'
      ' configs/stgcn_joint_3d.py:ucla.'
    )
  config.data.update(
    normalize='none',
    frames='sorted_random',
    clip_len=52,
    num_clips=1,
    whole_clip=True,
    repeat=5,
  )
  if not config.data.dataset:
    config.data.dataset = 'nw_ucla'
  config.features.update(
    normalize_2d='none',
    centre_first_frame=True,
    min_max=True,
    rotate=(60.0, 60.0, 0.0),
  )
  config.graph.edges = '1x'
  config.model.norm_group = 0
  config.optim.update(
    schedule='step',
    weight_decay=1e-4,
    milestones=(50,),
    warmup_epochs=5,
    reference_batch=16,
  )
  config.train.update(batch_size=16, epochs=65.0)
  config.eval.update(average='prob', every_epochs=1.0)


def demo_preset(config: config_dict.ConfigDict) -> config_dict.ConfigDict:
  """What the demo changes: narrower, shorter clips, fewer epochs.

  Classes and depth stay. Applied to every field that the user did not set,
  when there is no data directory.
  """
  return config_dict.create(
    data=dict(
      dataset='demo_3d' if config.data.dims == 3 else 'demo_2d',
      # The first frames alone (loop) would miss half of an action.
      frames='sorted_random' if config.data.whole_clip else 'uniform',
      clip_len=24,
      num_clips=1,
      repeat=1,
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


def _only_one(words: list[str], what: str, default: str = '') -> str:
  if len(words) > 1:
    # Imported here: a config file must load where only its fields are read.
    from skeljax import errors

    raise errors.UserError(
      f'After the colon stand {len(words)} words for the {what}:'
      f' {", ".join(words)}. Known words: {", ".join(KNOWN_WORDS)}; any other'
      ' word names a prepared dataset, and only one of each may stand there.'
    )
  return words[0] if words else default
