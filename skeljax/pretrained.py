"""Weights of any checkpoint: the workdir of a run, or a PyTorch file.

Whoever needs weights asks here and gets them with the configuration and the
facts that they were trained with.
"""

from collections.abc import Mapping
import dataclasses
import os
from typing import Any

from absl import logging
from flax import linen as nn
from flax import traverse_util
import jax
from ml_collections import config_dict
import numpy as np

from skeljax import checkpoints
from skeljax import errors
from skeljax import recipe
from skeljax import sharding
from skeljax import train_state
from skeljax.convert import torch_checkpoint
from skeljax.convert import torch_to_skeljax
from skeljax.data import datasets
from skeljax.models import agcn

_HEAD = ('params', 'head', 'fc')


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
  """

  source: str
  config: config_dict.ConfigDict
  facts: recipe.Facts
  variables: Mapping[str, Any]
  is_assumed: bool
  meta: Mapping[str, Any]

  def facts_for(self, dataset: datasets.PreparedDataset) -> recipe.Facts:
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
    if recipe.uses_volumes(self.config):
      # Heatmaps of any number of persons are one volume.
      facts = dataclasses.replace(facts, num_persons=dataset.num_persons)
      if self.is_assumed:
        # Without scores every joint is drawn as if it were certain.
        facts = dataclasses.replace(facts, has_score=dataset.has_score)
    recipe.check_same_data(dataset, facts, self.source)
    if recipe.uses_volumes(self.config):
      recipe.check_img_shape(dataset, self.source)
    return facts

  def check_takes(self, config: config_dict.ConfigDict, what: str) -> None:
    """Raises UserError where a configuration is for another kind of input.

    Args:
      config: given beside the checkpoint.
      what: names it in the message, as '--config'.
    """
    theirs, ours = recipe.uses_volumes(self.config), recipe.uses_volumes(config)
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
  return _of_meta(path, converted.meta, converted.variables)


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


def initialize(
  state: train_state.TrainState,
  pretrained: Pretrained,
  config: config_dict.ConfigDict,
  facts: recipe.Facts,
) -> train_state.TrainState:
  """A state that starts from given weights, with fresh optimiser state.

  The classifier is replaced by the state's own where the classes differ; all
  else must fit.

  Args:
    state: freshly made, on the mesh.
    pretrained: the weights.
    config: of this run.
    facts: of this run.

  Raises:
    UserError: another network or skeleton; everything that differs is listed.
  """
  check(pretrained, config, facts)
  new = traverse_util.flatten_dict(dict(state.variables))
  old = traverse_util.flatten_dict(dict(pretrained.variables))
  replaces_head = _replaces_head(pretrained.facts, facts)
  _log_head(pretrained, facts)
  chosen = {
    path: array
    if path[:3] == _HEAD and replaces_head
    else jax.device_put(old[path], array.sharding)
    for path, array in new.items()
  }
  variables = traverse_util.unflatten_dict(chosen)
  return state.replace(
    **{name: variables.get(name, {}) for name in state.variables}
  )


def check(
  pretrained: Pretrained,
  config: config_dict.ConfigDict,
  facts: recipe.Facts,
) -> None:
  """Raises UserError where a run cannot start from given weights.

  Args:
    pretrained: the weights.
    config: of this run.
    facts: of this run.
  """
  pretrained.check_takes(config, 'the configuration')
  _check_same_network(pretrained, config, facts)
  new = traverse_util.flatten_dict(recipe.abstract_variables(config, facts))
  old = traverse_util.flatten_dict(dict(pretrained.variables))
  replaces_head = _replaces_head(pretrained.facts, facts)
  problems = [f'missing: {".".join(p)}' for p in new if p not in old]
  problems += [f'unknown: {".".join(p)}' for p in old if p not in new]
  for path in set(new) & set(old):
    is_kept = path[:3] != _HEAD or not replaces_head
    if is_kept and new[path].shape != old[path].shape:
      problems.append(
        f'{".".join(path)}: {list(old[path].shape)} there, here'
        f' {list(new[path].shape)}'
      )
  if problems:
    listed = '\n'.join(f'  {p}' for p in sorted(problems))
    raise errors.UserError(
      f'train.init_from={pretrained.source} does not fit this network (other'
      f' channels, persons, graph or width):\n{listed}'
    )


def _replaces_head(theirs: recipe.Facts, ours: recipe.Facts) -> bool:
  """Whether the classes differ; those of a PyTorch file have no names."""
  if theirs.num_classes != ours.num_classes:
    return True
  return theirs.has_class_names and theirs.class_names != ours.class_names


def _log_head(pretrained: Pretrained, facts: recipe.Facts) -> None:
  theirs = pretrained.facts
  if theirs.num_classes != facts.num_classes:
    what = (
      f'{theirs.num_classes} classes there, {facts.num_classes} here: a new'
      ' classifier is trained'
    )
  elif _replaces_head(theirs, facts):
    what = (
      f'the {theirs.num_classes} classes have other names there: a new'
      ' classifier is trained'
    )
  else:
    what = f'the classifier of {theirs.num_classes} classes is kept'
    if not theirs.has_class_names:
      what += ' (the file does not name them)'
  logging.info('%s: %s', pretrained.source, what)


# What changes the function of a network, besides the shapes of its arrays.
_SHAPING = (
  'base_channels', 'ch_ratio', 'num_stages', 'inflate_stages', 'down_stages',
  'data_bn', 'adaptive', 'conv_pos', 'gcn_with_res', 'tcn_type', 'variant',
  'attention',
  'stage_blocks', 'inflate', 'inflate_style', 'spatial_strides',
  'temporal_strides', 'dilations', 'conv1_kernel', 'conv1_stride',
  'pool1_stride', 'with_pool1', 'with_pool2',
)  # fmt: skip


def _value(model: nn.Module, field: str) -> Any:
  """A field of a network; AGCN's normalisation of the input may be implied."""
  value = getattr(model, field, None)
  if field == 'data_bn' and value == '':
    return agcn.VARIANTS[model.variant].data_bn
  return value


def _check_same_network(
  pretrained: Pretrained,
  config: config_dict.ConfigDict,
  facts: recipe.Facts,
) -> None:
  """Raises UserError where the networks or skeletons differ by what they are."""
  theirs, ours = dict(pretrained.config.model), dict(config.model)
  differences = []
  if theirs['name'] != ours['name']:
    differences.append(
      f'the network is {theirs["name"]} there and {ours["name"]} here'
    )
  else:
    model = recipe.build_model(config, facts)
    other = recipe.build_model(pretrained.config, pretrained.facts)
    for field in _SHAPING:
      here, there = (_value(m, field) for m in (model, other))
      if here != there:
        differences.append(
          f'model.{field} is {there!r} there and {here!r} here'
        )
  layout = pretrained.facts.layout
  if (layout.name, layout.num_joints) != (
    facts.layout.name,
    facts.layout.num_joints,
  ):
    differences.append(
      f'layout {layout.name!r} ({layout.num_joints} joints) there,'
      f' {facts.layout.name!r} ({facts.layout.num_joints}) here'
    )
  elif recipe.uses_volumes(config):
    differences += _different_channels(pretrained, config, facts)
  if differences:
    listed = '\n'.join(f'  {d}' for d in differences)
    raise errors.UserError(
      f'train.init_from={pretrained.source} holds another network than this'
      f' run trains:\n{listed}\nSet the fields with --config.model.FIELD=VALUE,'
      ' or choose another configuration.'
    )


def _different_channels(
  pretrained: Pretrained,
  config: config_dict.ConfigDict,
  facts: recipe.Facts,
) -> list[str]:
  """What differs in the meaning of channels of which there are as many.

  Joints and limbs may be: the file of a published network does not say which.
  """
  there, here = pretrained.config.features.stream, config.features.stream
  if there != here:
    told = pretrained.meta.get('torch', {}).get('is_stream_told', False)
    if told or not pretrained.is_assumed:
      return [f'features.stream is {there!r} there and {here!r} here']
    logging.info(
      '%s: taken for %s heatmaps, as the file does not say',
      pretrained.source,
      here,
    )
  limbs = pretrained.facts.layout.limbs, facts.layout.limbs
  if here == 'keypoint' or limbs[0] == limbs[1]:
    return []
  return [
    f'layout {facts.layout.name!r} draws the limbs {limbs[0]} there and'
    f' {limbs[1]} here'
  ]
