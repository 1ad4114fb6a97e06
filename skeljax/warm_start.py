"""A run that starts from given weights, and what these must have in common."""

from typing import Any

from absl import logging
from flax import linen as nn
from flax import traverse_util
import jax
from ml_collections import config_dict

from skeljax import errors
from skeljax import pretrained as pretrained_lib
from skeljax import recipe
from skeljax import volume_recipe
from skeljax.models import agcn
from skeljax.training import train_state

_HEAD = ('params', 'head', 'fc')


def initialize(
  state: train_state.TrainState,
  pretrained: pretrained_lib.Pretrained,
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
  pretrained: pretrained_lib.Pretrained,
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


def _log_head(
  pretrained: pretrained_lib.Pretrained, facts: recipe.Facts
) -> None:
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
  pretrained: pretrained_lib.Pretrained,
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
  elif volume_recipe.uses_volumes(config):
    differences += _different_channels(pretrained, config, facts)
  if differences:
    listed = '\n'.join(f'  {d}' for d in differences)
    raise errors.UserError(
      f'train.init_from={pretrained.source} holds another network than this'
      f' run trains:\n{listed}\nSet the fields with --config.model.FIELD=VALUE,'
      ' or choose another configuration.'
    )


def _different_channels(
  pretrained: pretrained_lib.Pretrained,
  config: config_dict.ConfigDict,
  facts: recipe.Facts,
) -> list[str]:
  """What differs in the meaning of channels of which there are as many.

  Joints and limbs may be: the file of a published network does not say which.
  """
  there, here = pretrained.config.input.stream, config.input.stream
  if there != here:
    told = pretrained.meta.get('torch', {}).get('is_stream_told', False)
    if told or not pretrained.is_assumed:
      return [f'input.stream is {there!r} there and {here!r} here']
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
