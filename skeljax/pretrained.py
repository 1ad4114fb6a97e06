"""Weights of any checkpoint: the workdir of a run, or a PyTorch file.

Whoever needs weights asks here and gets them with the configuration and the
facts that they were trained with.
"""

from collections.abc import Mapping
import dataclasses
import os
from typing import Any

from absl import logging
import jax
from ml_collections import config_dict
import numpy as np

from skeljax import errors
from skeljax import recipe
from skeljax import volume_recipe
from skeljax.convert import torch_checkpoint
from skeljax.convert import torch_to_skeljax
from skeljax.datasets import prepared
from skeljax.training import checkpoints
from skeljax.training import sharding


@dataclasses.dataclass(frozen=True)
class Pretrained:
  """Weights and what must be known to use them.

  Attributes:
    source: names the checkpoint in messages: the path, and the step of a run.
    config: of the run; of a PyTorch file only the sections that shape the
      network and its input.
    facts: what the network knows of its data.
    variables: the collections params, batch_stats and graph, NumPy arrays.
    is_assumed: they come from a PyTorch file, which does not say all of the
      facts.
    meta: all that travels with the checkpoint.
    notes: sentences on what a PyTorch file left open.
  """

  source: str
  config: config_dict.ConfigDict
  facts: recipe.Facts
  variables: Mapping[str, Any]
  is_assumed: bool
  meta: Mapping[str, Any]
  notes: tuple[str, ...] = ()

  def facts_for(self, dataset: prepared.PreparedDataset) -> recipe.Facts:
    """The facts, with what a PyTorch file leaves open taken from a dataset.

    Raises:
      UserError: the network cannot read the dataset's clips.
    """
    facts = self.facts
    if self.is_assumed:
      facts = dataclasses.replace(
        facts,
        normalize=self.config.data.normalize,
        keypoint_dtype=dataset.keypoint_dtype,
        max_frames=self.config.data.max_frames or dataset.max_frames,
      )
      if not facts.has_class_names and facts.num_classes == dataset.num_classes:
        facts = dataclasses.replace(
          facts, class_names=tuple(dataset.class_names)
        )
    if volume_recipe.uses_volumes(self.config):
      # Heatmaps of any number of persons are one volume.
      facts = dataclasses.replace(facts, num_persons=dataset.num_persons)
      if self.is_assumed:
        # Without scores every joint is drawn as if it were certain.
        facts = dataclasses.replace(facts, has_score=dataset.has_score)
    recipe.check_same_data(dataset, facts, self.source)
    if volume_recipe.uses_volumes(self.config):
      volume_recipe.check_img_shape(dataset, self.source)
    return facts

  def check_takes(self, config: config_dict.ConfigDict, what: str) -> None:
    """Raises UserError where a configuration is for another kind of input.

    Args:
      config: given beside the checkpoint.
      what: names it in the message, as '--config'.
    """
    theirs, ours = (
      volume_recipe.uses_volumes(self.config),
      volume_recipe.uses_volumes(config),
    )
    if theirs == ours:
      return
    takes = {
      True: 'heatmaps, as configs/posec3d_*.py',
      False: 'keypoints, as configs/stgcn_*.py or configs/agcn_*.py',
    }
    raise errors.UserError(
      f'{self.source} holds {self.config.model.name}, which takes'
      f' {takes[theirs]}, but {what} is {config.name} of {config.model.name},'
      f' which takes {takes[ours]}. Give weights and configuration of the same'
      ' network.'
    )


def load(path: str, step: str = 'last') -> Pretrained:
  """Reads a checkpoint.

  Args:
    path: the workdir of a run, what `skeljax.convert` wrote, or a .pth file.
    step: of a run: last, best or a number.

  Raises:
    UserError: there is no such checkpoint, or none that skeljax can read.
  """
  if os.path.isdir(path):
    return _load_workdir(path, step)
  if not torch_checkpoint.is_torch_file(path):
    raise errors.UserError(
      f'--checkpoint={path} is neither the workdir of a run nor a PyTorch file'
      ' (.pth, .pt).'
    )
  if step != 'last':
    raise errors.UserError(
      f'{path} is a PyTorch file, which holds one set of weights: step {step!r}'
      ' is for the workdir of a run.'
    )
  converted = torch_to_skeljax.load(path)
  for note in converted.notes:
    logging.info('%s: %s', path, note)
  if converted.meta['torch']['is_assumed']:
    logging.info(
      '%s: to say otherwise, convert it first (python -m skeljax.convert'
      ' --help) and use the folder',
      path,
    )
  return dataclasses.replace(
    _of_meta(path, converted.meta, converted.variables), notes=converted.notes
  )


def _load_workdir(path: str, step: str) -> Pretrained:
  if not os.path.isdir(os.path.join(path, checkpoints.FOLDER)):
    raise errors.UserError(
      f'--checkpoint={path} is no workdir of a run: it has no'
      f' {checkpoints.FOLDER}/ folder.'
    )
  with checkpoints.Checkpoints(path, read_only=True) as saved:
    number = saved.find_step(step)
    meta = saved.read_meta(number)
    variables = saved.restore_variables(
      number,
      recipe.abstract_variables(
        config_dict.ConfigDict(meta['config']),
        recipe.Facts.from_dict(meta['facts'], source=path),
      ),
      sharding.replicated(sharding.make_mesh()),
    )
  variables = jax.tree.map(np.asarray, variables)
  return _of_meta(f'{path} step {number}', meta, variables)


def _of_meta(
  source: str, meta: Mapping[str, Any], variables: Mapping[str, Any]
) -> Pretrained:
  config = config_dict.ConfigDict(meta['config'])
  # Checkpoints from before there were heatmaps lack what is about them.
  for field, value in (('mirrored', False), ('views_at_once', 0)):
    if field not in config.eval:
      config.eval[field] = value
  return Pretrained(
    source=source,
    config=config,
    facts=recipe.Facts.from_dict(meta['facts'], source=source),
    variables=variables,
    is_assumed=meta.get('torch', {}).get('is_assumed', False),
    meta=meta,
  )
