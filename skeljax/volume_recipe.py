"""What a configuration and a dataset make together where volumes are drawn.

The part of recipe.py that is about heatmaps.
"""

import math

from ml_collections import config_dict

from skeljax import errors
from skeljax import inputs
from skeljax import models
from skeljax import skeletons
from skeljax.datasets import prepared
from skeljax.models import slowonly


def uses_volumes(config: config_dict.ConfigDict) -> bool:
  """Whether the network takes volumes of heatmaps, not keypoints."""
  return not models.takes_graph(config.model.name)


def check_img_shape(dataset: prepared.PreparedDataset, source: str) -> None:
  """Raises UserError when heatmaps of a dataset's clips cannot be placed."""
  if not dataset.has_img_shape:
    raise errors.UserError(
      f'{dataset.directory} has clips without the size of their picture, and'
      f' {source} cannot place their heatmaps. Put img_shape (height, width) in'
      ' pixels into every annotation and prepare them again with --overwrite.'
    )


def volume_options(
  config: config_dict.ConfigDict,
  *,
  layout: skeletons.Layout,
  num_channels: int,
  has_score: bool,
) -> inputs.VolumeOptions:
  """What the network sees of a batch.

  Args:
    config: of a network that takes volumes.
    layout: of the skeletons.
    num_channels: coordinates of a joint.
    has_score: whether every joint has a confidence besides.

  Raises:
    UserError: nothing can be drawn of such skeletons, or with such settings.
  """
  if num_channels != 2:
    raise errors.UserError(
      f'{config.name} draws heatmaps of 2D skeletons, but these are'
      f' {num_channels}D. Project them when they are prepared'
      ' (--project=orthographic of data_prep.main), or train a graph network.'
    )
  if config.data.whole_clip:
    raise errors.UserError(
      'data.whole_clip is True, but heatmaps are drawn of chosen frames. Give'
      ' --config.data.whole_clip=False.'
    )
  fields = {
    key: tuple(value) if isinstance(value, list | tuple) else value
    for key, value in config.input.items()
  }
  return inputs.VolumeOptions(layout=layout, has_score=has_score, **fields)


def check_sizes(
  model: slowonly.SlowOnly, options: inputs.VolumeOptions
) -> None:
  """Raises UserError where strides do not divide the size of the volumes.

  The network takes such volumes too and rounds up, so published files may be
  evaluated with them. Nothing published is trained with them, so that in
  training they are taken for mistakes.

  Args:
    model: whose strides were checked already.
    options: of its input.
  """
  strides = [model.conv1_stride[1], *model.spatial_strides]
  if model.with_pool1:
    strides.append(model.pool1_stride[1])
  stride = math.prod(strides)
  for name, train in (('size', True), ('test_size', False)):
    pixels = options.drawn_size(train)
    if pixels % stride:
      raise errors.UserError(
        f'--config.input.{name}={getattr(options, name)} makes volumes of'
        f' {pixels} pixels, which the strides of the network, {stride} in all,'
        f' do not divide: choose a multiple of {stride} for the volumes, such'
        f' as {max(1, round(pixels / stride)) * stride}.'
      )


def data_notes(
  config: config_dict.ConfigDict, dataset: prepared.PreparedDataset
) -> list[str]:
  """Sentences on what the network would see of other data."""
  notes = []
  if uses_volumes(config) and not dataset.has_score:
    notes.append('no scores in the data: every joint is drawn with score 1')
  if uses_volumes(config) and dataset.num_cut:
    notes.append(
      f'{dataset.num_cut} clips show more than the {dataset.num_persons} persons'
      ' that were kept of them; heatmaps have room for all'
      ' (--max_persons=0 of data_prep.main)'
    )
  return notes
