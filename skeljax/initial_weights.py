"""Start a run from given weights (`train.init_from`)."""

import dataclasses
from typing import Any

from absl import logging
from flax import linen as nn
from flax import traverse_util
import jax

from skeljax import errors
from skeljax.models import agcn
from skeljax.pretrained import Pretrained
from skeljax.run import Run
from skeljax.training import train_state

_HEAD = ('params', 'head', 'fc')


def initialize(
  state: train_state.TrainState, pretrained: Pretrained, run: Run
) -> train_state.TrainState:
  """Return a state with the given weights and a new optimizer state.

  The classifier stays newly initialized if the classes differ; everything else
  must match.

  Args:
    state: newly initialized, on the mesh.
    pretrained: the weights.
    run: the run that starts.

  Raises:
    UserError: another network or skeleton; the message lists all differences.
  """
  check(pretrained, run)
  new = traverse_util.flatten_dict(dict(state.variables))
  old = traverse_util.flatten_dict(dict(pretrained.variables))
  replaces_head = _replaces_head(pretrained, run)
  _log_head(pretrained, run)
  chosen = {
    path: array
    if path[:3] == _HEAD and replaces_head
    else jax.device_put(old[path], array.sharding)
    for path, array in new.items()
  }
  variables = traverse_util.unflatten_dict(chosen)
  return dataclasses.replace(
    state, **{name: variables.get(name, {}) for name in state.variables}
  )


def check(pretrained: Pretrained, run: Run) -> None:
  """Raise UserError if a run cannot start from the given weights."""
  pretrained.check_input_kind(run.config, 'the config')
  _check_same_network(pretrained, run)
  new = traverse_util.flatten_dict(run.abstract_variables())
  old = traverse_util.flatten_dict(dict(pretrained.variables))
  replaces_head = _replaces_head(pretrained, run)
  problems = [f'missing: {".".join(p)}' for p in new if p not in old]
  problems += [f'unknown: {".".join(p)}' for p in old if p not in new]
  for path in set(new) & set(old):
    is_kept = path[:3] != _HEAD or not replaces_head
    if is_kept and new[path].shape != old[path].shape:
      problems.append(
        f'{".".join(path)}: shape {list(old[path].shape)}, expected'
        f' {list(new[path].shape)}'
      )
  if problems:
    listed = '\n'.join(f'  {p}' for p in sorted(problems))
    raise errors.UserError(
      f'--config.train.init_from={pretrained.source} does not fit this network'
      f' (other channels, persons, graph or width):\n{listed}'
    )


def _replaces_head(pretrained: Pretrained, run: Run) -> bool:
  """Whether the classes differ; those of a PyTorch file have no names."""
  theirs, ours = pretrained.spec, run.spec
  if theirs.num_classes != ours.num_classes:
    return True
  return theirs.has_class_names and theirs.class_names != ours.class_names


def _log_head(pretrained: Pretrained, run: Run) -> None:
  theirs = pretrained.spec
  if theirs.num_classes != run.spec.num_classes:
    message = (
      f'{theirs.num_classes} classes, expected {run.spec.num_classes}: training'
      ' a new classifier'
    )
  elif _replaces_head(pretrained, run):
    message = (
      f'its {theirs.num_classes} classes have other names: training a new'
      ' classifier'
    )
  else:
    message = f'keeping the classifier of {theirs.num_classes} classes'
    if not theirs.has_class_names:
      message += ' (the file does not name them)'
  logging.info('%s: %s', pretrained.source, message)


# Fields that change the function of a network without changing its shapes.
_COMPARED_FIELDS = (
  'base_channels', 'ch_ratio', 'num_stages', 'inflate_stages', 'down_stages',
  'data_bn', 'adaptive', 'conv_pos', 'gcn_with_res', 'tcn_type', 'variant',
  'attention',
  'stage_blocks', 'inflate', 'inflate_style', 'spatial_strides',
  'temporal_strides', 'dilations', 'conv1_kernel', 'conv1_stride',
  'pool1_stride', 'with_pool1', 'with_pool2',
)  # fmt: skip


def _value(model: nn.Module, field: str) -> Any:
  """A field of a network; the input BatchNorm of AGCN may be implied."""
  value = getattr(model, field, None)
  if field == 'data_bn' and value == '':
    return agcn.VARIANTS[model.variant].data_bn
  return value


def _check_same_network(pretrained: Pretrained, run: Run) -> None:
  """Raise UserError if network or skeleton differ."""
  theirs, ours = pretrained.config.model, run.config.model
  other = pretrained.run
  differences = []
  if theirs.name != ours.name:
    differences.append(f'model.name is {theirs.name}, expected {ours.name}')
  else:
    for field in _COMPARED_FIELDS:
      there, here = _value(other.model, field), _value(run.model, field)
      if there != here:
        differences.append(f'model.{field} is {there!r}, expected {here!r}')
  layouts = pretrained.spec.layout, run.spec.layout
  described = [f'{x.name!r} ({x.num_joints} joints)' for x in layouts]
  if described[0] != described[1]:
    differences.append(f'layout is {described[0]}, expected {described[1]}')
  elif theirs.name == ours.name:
    differences += _different_channels(pretrained, other, run)
  if differences:
    listed = '\n'.join(f'  {d}' for d in differences)
    raise errors.UserError(
      f'--config.train.init_from={pretrained.source} contains another network'
      f' than this run trains:\n{listed}\nSet --config.model.FIELD=VALUE, or'
      ' choose another config.'
    )


def _different_channels(
  pretrained: Pretrained, other: Run, run: Run
) -> list[str]:
  """List differences in the meaning of heatmap channels of equal number."""
  theirs, ours = other.input, run.input
  if theirs.channels == ours.channels:
    return []
  is_known = pretrained.meta.get('torch', {}).get('is_stream_known', False)
  if str(theirs) != str(ours):
    if is_known or not pretrained.is_assumed:
      return [f'the input is {theirs}, expected {ours}']
    # Joints and limbs may be equally many, and a published file does not
    # specify which of them its channels are.
    logging.info(
      '%s: assumed to take %s, which the file does not specify',
      pretrained.source,
      ours,
    )
    theirs = dataclasses.replace(theirs, heatmap=run.config.input.heatmap)
  return [
    f'channel {i} is {there}, expected {here}'
    for i, (there, here) in enumerate(zip(theirs.channels, ours.channels))
    if there != here
  ]
