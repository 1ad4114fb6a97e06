"""What a configuration and a dataset make together: model, sampling, features.

A configuration says how to train, a prepared dataset (or a checkpoint) says on
what: `Facts`. Every command builds its parts from these two, here.
"""

from collections.abc import Mapping
import dataclasses
import os
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
from ml_collections import config_dict

import skeljax
from skeljax import errors
from skeljax import inputs
from skeljax import models
from skeljax import skeletons
from skeljax import volume_recipe
from skeljax.datasets import prepared
from skeljax.datasets import sampling
from skeljax.skeletons import graph
from skeljax.training import losses
from skeljax.training import train_state


@dataclasses.dataclass(frozen=True)
class Facts:
  """What a model must know of its data; a checkpoint carries it along.

  Attributes:
    layout: joints, bones, edges.
    class_names: index is the label.
    num_channels: coordinates of a joint, 2 or 3.
    has_score: whether every joint has a confidence besides.
    num_persons: M, persons of a clip; fewer are padded.
    normalize: 3D normalisation done by the preparation.
    keypoint_dtype: of the stored coordinates.
    max_frames: padding of whole clips.
    score_dtype: of the stored scores; '' when there are none, or when nobody
      knows.
    project: what made 2D of 3D clips in the preparation.
    body_size: of a skeleton in the unit of the data (records.body_size);
      0 when nobody knows.
    max_persons: persons of a clip that the preparation kept; 0: all of them,
      None: nobody knows.
    max_persons_in_frame: the same in each frame of compressed clips; None:
      nobody knows, or as published.
  """

  layout: skeletons.Layout
  class_names: tuple[str, ...]
  num_channels: int
  has_score: bool
  num_persons: int
  normalize: str
  keypoint_dtype: str
  max_frames: int
  # Checkpoints from before there was prediction lack these.
  score_dtype: str = ''
  project: str = 'none'
  body_size: float = 0.0
  max_persons: int | None = None
  max_persons_in_frame: int | None = None

  @property
  def num_classes(self) -> int:
    return len(self.class_names)

  @property
  def has_class_names(self) -> bool:
    """False where the classes are only numbered, as in a PyTorch file."""
    return self.class_names != numbered_classes(self.num_classes)

  def to_dict(self) -> dict[str, Any]:
    fields = {
      f.name: getattr(self, f.name)
      for f in dataclasses.fields(self)
      if f.name != 'layout'
    }
    return dict(
      fields,
      class_names=list(self.class_names),
      layout=self.layout.to_dict(),
    )

  @classmethod
  def from_dict(cls, fields: Mapping[str, Any], source: str) -> 'Facts':
    layout = skeletons.Layout.from_dict(fields['layout'], source=source)
    names = tuple(fields['class_names'])
    return cls(**dict(fields, layout=layout, class_names=names))


def numbered_classes(count: int) -> tuple[str, ...]:
  """Names for classes of which only the number is known."""
  return tuple(map(str, range(count)))


def open_dataset(config: config_dict.ConfigDict) -> prepared.PreparedDataset:
  """The dataset that data.dir (or $SKELJAX_DATA) and data.dataset name."""
  root = config.data.dir or os.environ.get('SKELJAX_DATA', '')
  if not root:
    raise errors.UserError(
      'No data directory: name the root of prepared datasets with'
      ' --config.data.dir=DIR or the environment variable SKELJAX_DATA.'
    )
  return prepared.open_dataset(root, config.data.dataset)


def facts_of(
  dataset: prepared.PreparedDataset, config: config_dict.ConfigDict
) -> Facts:
  """The facts of a prepared dataset, checked against what the config declares.

  Raises:
    UserError: 2D against 3D, prepared with another normalisation, or of more
      persons than the recipe is for.
  """
  if dataset.num_channels != config.data.dims:
    makes = ''
    if volume_recipe.uses_volumes(config):
      makes = ' (--project=orthographic of data_prep.main makes one of 3D)'
    raise errors.UserError(
      f'{dataset.directory} holds {dataset.num_channels}D skeletons, but'
      f' {config.name} is for {config.data.dims}D. Choose a dataset of'
      f' {config.data.dims}D skeletons{makes},'
      f' or a configuration for {dataset.num_channels}D ones.'
    )
  if volume_recipe.uses_volumes(config):
    volume_recipe.check_img_shape(dataset, config.name)
  if dataset.normalize != config.data.normalize:
    raise errors.UserError(
      f'{dataset.directory} was prepared with --normalize={dataset.normalize},'
      f' but {config.name} needs'
      f' --normalize={config.data.normalize}. Prepare it again: python -m'
      ' data_prep.main --source=pickle --input=FILE --protocol=PROTOCOL'
      f' --layout={dataset.layout.name}'
      f' --normalize={config.data.normalize} --name=NAME --output=DIR; or'
      f' accept it with --config.data.normalize={dataset.normalize}.'
    )
  check_persons(dataset, config)
  return Facts(
    layout=dataset.layout,
    class_names=tuple(dataset.class_names),
    num_channels=dataset.num_channels,
    has_score=dataset.has_score,
    num_persons=dataset.num_persons,
    normalize=dataset.normalize,
    keypoint_dtype=dataset.keypoint_dtype,
    max_frames=config.data.max_frames or dataset.max_frames,
    score_dtype=dataset.spec.score_dtype,
    project=dataset.project,
    body_size=dataset.body_size,
    max_persons=dataset.max_persons,
    max_persons_in_frame=dataset.max_persons_in_frame,
  )


def check_persons(
  dataset: prepared.PreparedDataset, config: config_dict.ConfigDict
) -> None:
  """Raises UserError when clips have more persons than the recipe is for."""
  # Configurations that were saved before the field existed take any number.
  max_persons = config.data.get('max_persons', 0)
  if max_persons and dataset.num_persons > max_persons:
    raise errors.UserError(
      f'{dataset.directory} has clips of {dataset.num_persons} persons, but'
      f' {config.name} was published for {max_persons}. Prepare it again with'
      f' --max_persons={max_persons}, which keeps whoever moves most; or train'
      ' on all with --config.data.max_persons=0.'
    )


def check_same_data(
  dataset: prepared.PreparedDataset, facts: Facts, source: str
) -> None:
  """Raises UserError when a checkpoint cannot read a dataset's clips."""
  pairs = (
    ('layout', dataset.layout.name, facts.layout.name),
    ('joints', dataset.layout.num_joints, facts.layout.num_joints),
    ('coordinates', dataset.num_channels, facts.num_channels),
    ('scores', dataset.has_score, facts.has_score),
    ('normalisation', dataset.normalize, facts.normalize),
    ('classes', len(dataset.class_names), facts.num_classes),
  )
  for what, found, expected in pairs:
    if found != expected:
      raise errors.UserError(
        f'{dataset.directory} does not fit {source}: {what} {found}, where the'
        f' checkpoint was trained with {expected}. Name a dataset that was'
        ' prepared in the same way.'
      )
  if dataset.num_persons > facts.num_persons:
    raise errors.UserError(
      f'{dataset.directory} has clips of {dataset.num_persons} persons, where'
      f' {source} was trained with {facts.num_persons}. Prepare it again with'
      f' --max_persons={facts.num_persons}.'
    )
  if tuple(dataset.class_names) != facts.class_names:
    index = next(
      i
      for i, names in enumerate(zip(dataset.class_names, facts.class_names))
      if names[0] != names[1]
    )
    raise errors.UserError(
      f'{dataset.directory} does not fit {source}: class {index} is'
      f' {dataset.class_names[index]!r} there, but'
      f' {facts.class_names[index]!r} in the checkpoint.'
    )


def checkpoint_meta(
  config: config_dict.ConfigDict, facts: Facts
) -> dict[str, Any]:
  """What makes a checkpoint speak for itself."""
  return {
    'config': config.to_dict(),
    'facts': facts.to_dict(),
    'stream': config.input.stream,
    'code_version': skeljax.__version__,
  }


def build_graph(config: config_dict.ConfigDict, facts: Facts) -> graph.Graph:
  """The graph that a new graph network starts from."""
  return graph.Graph(layout=facts.layout, **config.graph)


def build_model(config: config_dict.ConfigDict, facts: Facts) -> nn.Module:
  """The network, for input of `input_shape`."""
  options = dict(config.model)
  name = options.pop('name')
  dtype = options.pop('dtype')
  if dtype not in ('float32', 'bfloat16', 'float64'):
    raise errors.UserError(
      f'--config.model.dtype={dtype}: expected float32 or bfloat16.'
    )
  return models.build_model(
    name,
    graph=build_graph(config, facts) if models.takes_graph(name) else None,
    num_classes=facts.num_classes,
    dtype=None if dtype == 'float32' else jnp.dtype(dtype),
    **options,
  )


def loss_options(
  config: config_dict.ConfigDict, facts: Facts
) -> losses.LossOptions:
  """The training loss; its settings are checked against the classes."""
  fields = {
    key: tuple(value) if isinstance(value, list | tuple) else value
    for key, value in config.loss.items()
  }
  options = losses.LossOptions(
    label_smoothing=config.optim.label_smoothing, **fields
  )
  options.check_classes(facts.class_names, 'the dataset')
  return options


def feature_options(
  config: config_dict.ConfigDict, facts: Facts
) -> inputs.Options:
  """What the network sees of a batch: streams of joints, or volumes."""
  if volume_recipe.uses_volumes(config):
    return volume_recipe.volume_options(
      config,
      layout=facts.layout,
      num_channels=facts.num_channels,
      has_score=facts.has_score,
    )
  fields = {
    key: tuple(value) if isinstance(value, list | tuple) else value
    for key, value in config.input.items()
  }
  options = inputs.FeatureOptions(
    layout=facts.layout,
    num_channels=facts.num_channels,
    has_score=facts.has_score,
    keypoint_dtype=facts.keypoint_dtype,
    **fields,
  )
  # NOTE: the device cannot tell a whole clip from chosen frames, so a mismatch
  # would train on wrong frames without a word.
  if options.needs_whole_clip != config.data.whole_clip:
    raise errors.UserError(
      f'data.whole_clip is {config.data.whole_clip}, but'
      ' input.centre_first_frame and input.min_max are'
      f' {options.centre_first_frame} and {options.min_max}: both work on whole'
      ' clips and nothing else does. Give'
      f' --config.data.whole_clip={options.needs_whole_clip}.'
    )
  return options


def check_training(config: config_dict.ConfigDict, facts: Facts) -> None:
  """Raises UserError for settings that cannot be trained with."""
  loss_options(config, facts)
  # Checks the options of the network, its strides among them.
  abstract_variables(config, facts)
  frame_sampling(config, facts)
  if volume_recipe.uses_volumes(config):
    volume_recipe.check_sizes(
      build_model(config, facts), feature_options(config, facts)
    )


def frame_sampling(
  config: config_dict.ConfigDict, facts: Facts, num_clips: int = 1
) -> sampling.Sampling:
  """How frames are chosen; `num_clips` views a clip when testing."""
  return sampling.Sampling(
    frames=config.data.frames,
    clip_len=config.data.clip_len,
    num_clips=num_clips,
    whole_clip=config.data.whole_clip,
    max_frames=facts.max_frames if config.data.whole_clip else 0,
  )


def needs_next(config: config_dict.ConfigDict) -> bool:
  """Whether batches must carry each frame's successor, for motion."""
  is_motion = config.input.stream.endswith('motion')
  return is_motion and not config.data.whole_clip


def input_shape(
  config: config_dict.ConfigDict, facts: Facts, batch_size: int
) -> tuple[int, int, int, int, int]:
  """[B, M, T, V, C] or [B, T, H, W, C] as the model sees it in training."""
  options = feature_options(config, facts)
  if isinstance(options, inputs.VolumeOptions):
    side = options.drawn_size(train=True)
    return (batch_size, config.data.clip_len, side, side, options.num_channels)
  return (
    batch_size,
    facts.num_persons,
    config.data.clip_len,
    facts.layout.num_joints,
    options.num_input_channels,
  )


def abstract_variables(
  config: config_dict.ConfigDict, facts: Facts
) -> dict[str, Any]:
  """Shapes and types of the collections that a checkpoint holds."""
  model = build_model(config, facts)
  shape = input_shape(config, facts, batch_size=1)
  return jax.eval_shape(
    lambda: train_state.init_variables(model, shape, seed=0)
  )
