"""What the configurations of graph networks share."""

from collections.abc import Mapping
import dataclasses

from ml_collections import config_dict

from configs import common

STREAMS = {
  'joint': 'where every joint is',
  'bone': 'the vector from its parent to every joint',
  'joint_motion': 'how every joint moves to the next frame',
  'bone_motion': 'how every bone changes to the next frame',
}
_NOT_MAPS = 'it draws heatmaps, which the configurations posec3d_*.py take.'
HEATMAP_WORDS = {
  'keypoint': _NOT_MAPS,
  'limb': _NOT_MAPS,
  'keypoint_limb': _NOT_MAPS,
  'mmaction1x': 'the recipe of mmaction2 1.x for graph networks is u100.',
}
# The data sets of mmaction2 by the words that name them.
DATA = {
  'ntu60': ('xsub', 'xview'),
  'ntu120': ('xsub', 'xset'),
}
WORDS = common.Words(
  recipes={
    'published': 'mmaction2 0.x, the default',
    'u100': 'mmaction2 1.x: 100 uniform frames, ten views',
    'ucla': 'the NW-UCLA recipe of CTR-GCN',
  },
  streams=STREAMS,
  groups={
    'coordinates': {
      '2d': 'pixels with scores, as pose estimators give',
      '3d': 'metres, as depth cameras give',
    },
    'data': {
      'ntu60': 'NTU RGB+D 60, the default',
      'ntu120': 'NTU RGB+D 120',
    },
    'benchmark': {
      'xsub': 'other subjects are tested, the default',
      'xview': 'another camera is tested, NTU RGB+D 60 alone',
      'xset': 'other setups are tested, NTU RGB+D 120 alone',
    },
  },
  refused=HEATMAP_WORDS,
)


def words_1x(reason: str) -> common.Words:
  """WORDS without the recipe `published`, for what mmaction2 0.x had not.

  Args:
    reason: a sentence for who asks for it.
  """
  recipes = {k: v for k, v in WORDS.recipes.items() if k != 'published'}
  recipes['u100'] += ', the default'
  return dataclasses.replace(
    WORDS, recipes=recipes, refused={'published': reason, **HEATMAP_WORDS}
  )


def base(
  name: str,
  words: str,
  stream: str,
  dims: int = 3,
  family: common.Words = WORDS,
) -> config_dict.ConfigDict:
  """Every section with the published defaults of the family.

  Args:
    name: of the configuration file, e.g. 'agcn_bone'.
    words: what followed the colon.
    stream: used unless a word names another.
    dims: coordinates of a joint, unless a word says otherwise.
    family: what may stand after the colon.

  Returns:
    The unlocked config; its field `recipe` is what the words ask for.

  Raises:
    UserError: words that contradict each other.
  """
  config = common.base(name, words, family, stream)
  chosen = common.choose(words, family)
  if chosen.get('coordinates'):
    dims = int(chosen['coordinates'].removesuffix('d'))
  config.data.dims = dims
  config.data.dataset = _dataset(config, chosen)
  config.input.update(
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
  return config


def _dataset(config: config_dict.ConfigDict, chosen: Mapping[str, str]) -> str:
  """The name of the dataset that the words stand for, e.g. ntu120_xset_3d."""
  given = [chosen[what] for what in ('data', 'benchmark') if chosen.get(what)]
  if config.dataset_word:
    if given:
      raise common.error(
        f'{config.name}: the word {config.dataset_word!r} names a prepared'
        f' dataset, and {" and ".join(given)} another. Leave one of them out.'
        f' (Known words: {", ".join(config.known_words)}.)'
      )
    return config.dataset_word
  if config.recipe == 'ucla':
    if given:
      raise common.error(
        f'{config.name}: the recipe ucla trains on NW-UCLA, which has no'
        f' {" and no ".join(given)}. Leave out one or the other.'
      )
    return 'nw_ucla'
  data = chosen.get('data') or 'ntu60'
  benchmark = chosen.get('benchmark') or 'xsub'
  if benchmark not in DATA[data]:
    others = [name for name, known in DATA.items() if benchmark in known]
    raise common.error(
      f'{data} has no benchmark {benchmark}: it is tested by'
      f' {" or ".join(DATA[data])}, and {benchmark} is of'
      f' {" and ".join(others)}. Write {others[0]},{benchmark}, or'
      f' {data} with {" or ".join(DATA[data])}.'
    )
  return f'{data}_{benchmark}_{config.data.dims}d'


def finish(
  config: config_dict.ConfigDict, words: str, family: common.Words = WORDS
) -> config_dict.ConfigDict:
  """Adds the demo preset; prints and exits when the word `help` was given."""
  return common.finish(config, words, family, demo_preset(config))


def u100(config: config_dict.ConfigDict) -> None:
  """mmaction2 1.x: 100 uniform frames, 16 epochs of five passes, cosine."""
  config.data.update(frames='uniform', clip_len=100, num_clips=10, repeat=5)
  if config.data.dims == 3:
    config.data.normalize = 'mmaction1x'
  else:
    config.input.normalize_2d = 'mmaction1x'
  config.graph.edges = '1x'
  config.model.norm_group = 16
  config.optim.update(schedule='cosine', weight_decay=5e-4, reference_batch=128)
  config.train.update(batch_size=128, epochs=16.0)
  config.eval.update(average='prob', every_epochs=1.0)


def ucla(config: config_dict.ConfigDict) -> None:
  """NW-UCLA as CTR-GCN trains on it: views rotated, clips scaled, 52 frames."""
  if config.data.dims != 3:
    raise common.error(
      f'{config.name}:{config.words}: the NW-UCLA recipe is for 3D skeletons.'
      ' Add the word 3d, or use configs/stgcn_joint_3d.py:ucla.'
    )
  config.data.update(
    normalize='none',
    frames='sorted_random',
    clip_len=52,
    num_clips=1,
    repeat=5,
  )
  config.input.update(
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
      frames='sorted_random' if config.input.min_max else 'uniform',
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
