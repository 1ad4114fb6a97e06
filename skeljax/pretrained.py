"""Load the weights of any checkpoint: a workdir or a PyTorch file."""

from collections.abc import Mapping
import dataclasses
import os
from typing import Any

from absl import logging
import jax
from ml_collections import config_dict
import numpy as np

from skeljax import errors
from skeljax import models
from skeljax import run as run_lib
from skeljax.convert import checkpoint
from skeljax.convert import torch_file
from skeljax.datasets import prepared
from skeljax.datasets.spec import DataSpec
from skeljax.training import checkpoints
from skeljax.training import sharding


@dataclasses.dataclass(frozen=True)
class Pretrained:
  """Weights, and the config and data they were trained with.

  Attributes:
    source: names the checkpoint in messages: path, and step of a run.
    config: of the run; for a PyTorch file only the sections that shape the
      network and its input.
    spec: of the training data.
    variables: the collections params, batch_stats and graph, NumPy arrays.
    is_assumed: whether they come from a PyTorch file, which does not specify
      the whole config and spec.
    meta: everything that is stored with the checkpoint.
    notes: sentences on what a PyTorch file does not specify.
  """

  source: str
  config: config_dict.ConfigDict
  spec: DataSpec
  variables: Mapping[str, Any]
  is_assumed: bool
  meta: Mapping[str, Any]
  notes: tuple[str, ...] = ()

  @property
  def run(self) -> run_lib.Run:
    """Model and input of this checkpoint."""
    return run_lib.Run(self.config, self.spec)

  @property
  def input_kind(self) -> str:
    return models.input_kind(self.config.model.name)

  def spec_for(self, dataset: prepared.PreparedDataset) -> DataSpec:
    """Return the spec to evaluate on a dataset.

    What a PyTorch file does not specify is taken from the dataset, and
    heatmaps take any number of persons.

    Raises:
      UserError: the model cannot read the clips of the dataset.
    """
    spec, data = self.spec, dataset.spec
    if self.is_assumed:
      spec = dataclasses.replace(
        spec,
        normalize=self.config.data.normalize,
        keypoint_dtype=data.keypoint_dtype,
        max_frames=data.max_frames,
      )
      if not spec.has_class_names and spec.num_classes == data.num_classes:
        spec = dataclasses.replace(spec, class_names=data.class_names)
    if self.input_kind == 'heatmaps':
      spec = dataclasses.replace(spec, num_persons=data.num_persons)
      if self.is_assumed:
        # Without scores every joint is drawn with score 1.
        spec = dataclasses.replace(spec, score_dtype=data.score_dtype)
    differences = data.differences(spec)
    if differences:
      raise errors.UserError(
        f'{dataset.directory} does not fit {self.source}:'
        + ''.join(f'\n  {d}' for d in differences)
        + '\nUse a dataset prepared like the training data.'
      )
    run_lib.check_img_shape(dataset, self.config)
    return spec

  def check_input_kind(self, config: config_dict.ConfigDict, what: str) -> None:
    """Raise UserError if a config is for another kind of input.

    Args:
      config: given in addition to the checkpoint.
      what: names it in the message, for example '--config'.
    """
    theirs = models.input_kind(config.model.name)
    if theirs != self.input_kind:
      raise errors.UserError(
        f'{self.source} contains {self.config.model.name}, which takes'
        f' {self.input_kind}, but {what} is {config.name}, whose model'
        f' {config.model.name} takes {theirs}. Use weights and a config of the'
        ' same network.'
      )


def load(path: str, step: str = 'last') -> Pretrained:
  """Read a checkpoint.

  Args:
    path: the workdir of a run, a folder written by `skeljax.convert`, or a
      PyTorch file.
    step: of a run: last, best or a number.

  Raises:
    UserError: no such checkpoint, or one that cannot be read.
  """
  if os.path.isdir(path):
    return _load_workdir(path, step)
  if not torch_file.is_torch_file(path):
    raise errors.UserError(
      f'--checkpoint={path} is neither the workdir of a run nor a PyTorch file'
      ' (.pth, .pt).'
    )
  if step != 'last':
    raise errors.UserError(
      f'{path} is a PyTorch file with one set of weights; step {step!r} needs'
      ' the workdir of a run.'
    )
  converted = checkpoint.load(path)
  for note in converted.notes:
    logging.info('%s: %s', path, note)
  if converted.meta['torch']['is_assumed']:
    logging.info(
      '%s: to override, convert it first (python -m skeljax.convert --help) and'
      ' use the folder',
      path,
    )
  return dataclasses.replace(
    _from_meta(path, converted.meta, converted.variables), notes=converted.notes
  )


def _load_workdir(path: str, step: str) -> Pretrained:
  if not os.path.isdir(os.path.join(path, checkpoints.FOLDER)):
    raise errors.UserError(
      f'--checkpoint={path} is not the workdir of a run: it has no'
      f' {checkpoints.FOLDER}/ folder.'
    )
  with checkpoints.Checkpoints(path, read_only=True) as saved:
    number = saved.find_step(step)
    meta = saved.read_meta(number)
    run = run_lib.Run(
      config_dict.ConfigDict(meta['config']),
      DataSpec.from_dict(meta['spec'], source=path),
    )
    variables = saved.restore_variables(
      number, run.abstract_variables(), sharding.replicated(run.mesh)
    )
  variables = jax.tree.map(np.asarray, variables)
  return _from_meta(f'{path} step {number}', meta, variables)


def _from_meta(
  source: str, meta: Mapping[str, Any], variables: Mapping[str, Any]
) -> Pretrained:
  return Pretrained(
    source=source,
    config=config_dict.ConfigDict(meta['config']),
    spec=DataSpec.from_dict(meta['spec'], source=source),
    variables=variables,
    is_assumed=meta.get('torch', {}).get('is_assumed', False),
    meta=meta,
  )
