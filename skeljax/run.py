"""The run: everything that follows from a config and a DataSpec.

train, evaluate and predict all start from a `Run`: the config says how to
train, the spec of a prepared dataset (or of a checkpoint) describes the data.
"""

import dataclasses
import functools
import os
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
from ml_collections import config_dict
import optax

import skeljax
from skeljax import errors
from skeljax import inputs
from skeljax import models
from skeljax.datasets import prepared
from skeljax.datasets import sampling
from skeljax.datasets.spec import DataSpec
from skeljax.skeletons import graph as graph_lib
from skeljax.training import losses
from skeljax.training import optim
from skeljax.training import sharding
from skeljax.training import train_state


@dataclasses.dataclass(frozen=True)
class Plan:
  """Optimizer and step counts of a training run.

  Attributes:
    optimizer: SGD as in PyTorch.
    schedule: completed steps -> learning rate of the next update.
    total_steps: number of optimizer updates.
    clips_per_epoch: E, training clips x repeat.
    note: a sentence on the linear scaling rule, or ''.
  """

  optimizer: optax.GradientTransformation
  schedule: optax.Schedule
  total_steps: int
  clips_per_epoch: int
  note: str


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
  """Config, DataSpec and mesh, with the objects built from them.

  Attributes:
    config: of configs/, or of a checkpoint.
    spec: of the data.
    mesh: devices, with the axis `data`.
  """

  config: config_dict.ConfigDict
  spec: DataSpec
  mesh: jax.sharding.Mesh = dataclasses.field(
    default_factory=sharding.make_mesh
  )

  @functools.cached_property
  def input(self) -> inputs.Input:
    """Turns a batch into the model input."""
    kind = models.input_kind(self.config.model.name)
    return inputs.build(kind, self.config.input, self.spec)

  @functools.cached_property
  def graph(self) -> graph_lib.Graph:
    """The graph that a new graph network starts from."""
    return graph_lib.Graph(layout=self.spec.layout, **self.config.graph)

  @functools.cached_property
  def model(self) -> nn.Module:
    """The network, for input of `input.shape(...)`."""
    options = dict(self.config.model)
    name, dtype = options.pop('name'), options.pop('dtype')
    if dtype not in ('float32', 'bfloat16', 'float64'):
      raise errors.UserError(
        f'--config.model.dtype={dtype}: expected float32 or bfloat16.'
      )
    if 'graph' in self.config:
      options['graph'] = self.graph
    return models.build_model(
      name,
      num_classes=self.spec.num_classes,
      dtype=None if dtype == 'float32' else jnp.dtype(dtype),
      **options,
    )

  @functools.cached_property
  def loss(self) -> losses.LossOptions:
    """The training loss."""
    fields: dict[str, Any] = {
      key: tuple(value) if isinstance(value, list | tuple) else value
      for key, value in self.config.loss.items()
    }
    loss = losses.LossOptions(
      label_smoothing=self.config.optim.label_smoothing, **fields
    )
    loss.check_classes(self.spec.class_names, 'the dataset')
    return loss

  def sampling(self, num_clips: int = 1) -> sampling.Sampling:
    """Return how frames are sampled; `num_clips` test views per clip."""
    whole_clip = self.input.needs_whole_clip
    return sampling.Sampling(
      frames=self.config.data.frames,
      clip_len=self.config.data.clip_len,
      num_clips=num_clips,
      whole_clip=whole_clip,
      max_frames=self.max_frames if whole_clip else 0,
    )

  @property
  def max_frames(self) -> int:
    """Number of frames to which whole clips are padded."""
    return self.config.data.max_frames or self.spec.max_frames

  def input_shape(self, num_clips: int = 1) -> tuple[int, ...]:
    """Return the shape of the model input in training."""
    return self.input.shape(num_clips, self.config.data.clip_len)

  def abstract_variables(self) -> dict[str, Any]:
    """Return shapes and dtypes of the collections that a checkpoint holds."""
    return jax.eval_shape(
      lambda: train_state.init_variables(self.model, self.input_shape(), seed=0)
    )

  def plan(self, num_train_clips: int) -> Plan:
    """Return optimizer, schedule and step counts for N training clips."""
    config, optim_config = self.config, self.config.optim
    clips_per_epoch = num_train_clips * config.data.repeat
    batch_size = config.train.batch_size
    total_steps = optim.total_steps(
      config.train.epochs, clips_per_epoch, batch_size
    )
    factor, note = optim.batch_scaling(
      batch_size, optim_config.reference_batch, optim_config.scale_lr
    )
    is_step = optim_config.schedule == 'step'
    schedule = optim.learning_rate(
      optim_config.schedule,
      base_lr=optim_config.base_lr * factor,
      total_steps=total_steps,
      clips_per_epoch=clips_per_epoch,
      batch_size=batch_size,
      milestones=tuple(optim_config.milestones) if is_step else (),
      gamma=optim_config.gamma,
      warmup_steps=optim_config.warmup_steps,
      warmup_epochs=optim_config.warmup_epochs,
    )
    optimizer = optim.make_optimizer(
      schedule,
      momentum=optim_config.momentum,
      nesterov=optim_config.nesterov,
      weight_decay=optim_config.weight_decay,
      clip_norm=optim_config.clip_norm,
    )
    return Plan(optimizer, schedule, total_steps, clips_per_epoch, note)

  def checkpoint_meta(self) -> dict[str, Any]:
    """Return what a checkpoint stores in addition to its variables."""
    return {
      'config': self.config.to_dict(),
      'spec': self.spec.to_dict(),
      'code_version': skeljax.__version__,
    }

  def validate(self) -> None:
    """Raise UserError for settings that cannot be trained with."""
    config = self.config
    sharding.check_batch_size(config.train.batch_size, 'train.batch_size')
    group = config.model.norm_group
    if group and config.train.batch_size % group:
      raise errors.UserError(
        f'--config.train.batch_size={config.train.batch_size} is not divisible'
        f' into BatchNorm groups of model.norm_group={group} clips. Choose a'
        f' multiple of {group}, or --config.model.norm_group=0 for statistics'
        ' over the whole batch.'
      )
    if config.train.log_every_steps < 1:
      raise errors.UserError(
        f'--config.train.log_every_steps={config.train.log_every_steps}:'
        ' expected at least 1.'
      )
    _ = self.loss
    # Checks the options of the network.
    self.abstract_variables()
    self.sampling()
    self.input.validate(self.model)


def open_dataset(config: config_dict.ConfigDict) -> prepared.PreparedDataset:
  """Open the dataset named by data.dir (or $SKELJAX_DATA) and data.dataset."""
  root = config.data.dir or os.environ.get('SKELJAX_DATA', '')
  if not root:
    raise errors.UserError(
      'No data directory: set the root of prepared datasets with'
      ' --config.data.dir=DIR or the environment variable SKELJAX_DATA.'
    )
  return prepared.open_dataset(root, config.data.dataset)


def check_dataset(
  dataset: prepared.PreparedDataset, config: config_dict.ConfigDict
) -> None:
  """Raise UserError if a dataset is not what a config declares.

  2D or 3D, the normalization done by data_prep, the number of persons, and
  known image sizes for heatmaps.
  """
  spec, name = dataset.spec, config.name
  if spec.num_channels != config.data.dims:
    project = ''
    if spec.num_channels == 3:
      project = ', project it with --project=orthographic of data_prep.main'
    raise errors.UserError(
      f'{dataset.directory} contains {spec.num_channels}D skeletons, but'
      f' {name} needs {config.data.dims}D. Choose a {config.data.dims}D'
      f' dataset{project}, or use a config for {spec.num_channels}D skeletons.'
    )
  check_img_shape(dataset, config)
  if spec.normalize != config.data.normalize:
    raise errors.UserError(
      f'{dataset.directory} was prepared with --normalize={spec.normalize}, but'
      f' {name} needs --normalize={config.data.normalize}. Prepare it again:'
      ' python -m data_prep.main --source=pickle --input=FILE'
      f' --protocol=PROTOCOL --layout={spec.layout.name}'
      f' --normalize={config.data.normalize} --name=NAME --output=DIR; or accept'
      f' it with --config.data.normalize={spec.normalize}.'
    )
  max_persons = config.data.max_persons
  if max_persons and spec.num_persons > max_persons:
    raise errors.UserError(
      f'{dataset.directory} has clips of {spec.num_persons} persons, but {name}'
      f' was published for {max_persons}. Prepare it again with'
      f' --max_persons={max_persons}, which keeps the persons with the most'
      ' motion; or train on all with --config.data.max_persons=0.'
    )


def check_img_shape(
  dataset: prepared.PreparedDataset, config: config_dict.ConfigDict
) -> None:
  """Raise UserError if the input needs image sizes that the data lack."""
  kind = inputs.KINDS[models.input_kind(config.model.name)]
  if kind.needs_img_shape and not dataset.spec.has_img_shape:
    raise errors.UserError(
      f'{dataset.directory} has clips without an image size, which'
      f' {config.name} needs to draw heatmaps. Add img_shape (height, width in'
      ' pixels) to every annotation and prepare again with --overwrite.'
    )
