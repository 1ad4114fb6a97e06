"""The checkpoint to predict with, and the clips that it accepts."""

import dataclasses
import functools

from absl import logging
from ml_collections import config_dict

from skeljax import errors
from skeljax import inputs
from skeljax import pretrained
from skeljax import run as run_lib
from skeljax import scoring
from skeljax.datasets import class_names as class_names_lib
from skeljax.datasets.spec import DataSpec
from skeljax.predict.options import Options
from skeljax.readers import compressed


@dataclasses.dataclass(frozen=True)
class Target:
  """A checkpoint, and the options for preparing clips for it.

  Attributes:
    loaded: weights, config and the DataSpec of the training data.
    options: flags of the command.
  """

  loaded: pretrained.Pretrained
  options: Options

  @property
  def source(self) -> str:
    """Name of the checkpoint in messages."""
    return self.loaded.source

  @property
  def spec(self) -> DataSpec:
    return self.loaded.spec

  @functools.cached_property
  def input(self) -> inputs.Input:
    return self.loaded.run.input

  @property
  def max_persons(self) -> int:
    """Persons to keep per clip; 0: all."""
    given = self.options.max_persons
    if self.loaded.input_kind == 'joints':
      return given or self.spec.num_persons
    return (self.spec.max_persons or 0) if given is None else given

  @property
  def max_persons_in_frame(self) -> int:
    """Persons to keep per frame of a compressed clip; 0: all."""
    published = compressed.DEFAULT_MAX_PERSONS
    if self.loaded.input_kind == 'joints':
      return min(self.max_persons, published)
    if self.options.max_persons is not None:
      return self.options.max_persons
    in_frame = self.spec.max_persons_in_frame
    return published if in_frame is None else in_frame

  @property
  def max_frames(self) -> int | None:
    """Largest number of frames of a clip; None: unlimited."""
    data = self.loaded.config.data
    return data.clip_len if data.frames == 'zero' else None

  @property
  def normalize_2d(self) -> str:
    return getattr(self.input, 'normalize_2d', 'none')

  @property
  def needs_img_shape(self) -> bool:
    """Whether the input depends on the image size."""
    by_image = self.normalize_2d not in ('none', 'pyskl_auto')
    return self.input.needs_img_shape or by_image

  @property
  def takes_pixels(self) -> bool:
    """Whether 2D coordinates must be pixels."""
    return self.input.needs_img_shape or self.normalize_2d != 'none'

  @property
  def ignores_units(self) -> bool:
    """Whether each clip is scaled, so that its unit does not matter."""
    min_max = getattr(self.input, 'min_max', False)
    return self.spec.project != 'none' or self.takes_pixels or min_max


def load(options: Options) -> Target:
  """Load the checkpoint and apply the options that override its config.

  Raises:
    UserError: there is no such checkpoint, or the options do not fit it.
  """
  loaded = pretrained.load(options.checkpoint, options.step)
  config = config_dict.ConfigDict(loaded.config.to_dict())
  spec = loaded.spec
  if options.num_clips:
    config.data.num_clips = options.num_clips
  if options.batch_size:
    config.eval.batch_size = options.batch_size
  if options.mirrored is not None:
    config.eval.mirrored = options.mirrored
  if loaded.is_assumed:
    spec = dataclasses.replace(spec, normalize=config.data.normalize)
  # Check the sampling before reading clips, which may take long.
  run = run_lib.Run(
    config, dataclasses.replace(spec, max_frames=max(spec.max_frames, 1))
  )
  scoring.check_views(run, config.data.num_clips, config.eval.mirrored)
  run.sampling(config.data.num_clips)
  max_persons = options.max_persons
  if loaded.input_kind == 'joints' and max_persons is not None:
    if not 0 < max_persons <= spec.num_persons:
      raise errors.UserError(
        f'--max_persons={max_persons}: {loaded.source} was trained with'
        f' {spec.num_persons} persons per clip, expected 1 to'
        f' {spec.num_persons}.'
      )
  if options.class_names:
    names = class_names_lib.load_class_names(options.class_names)
    if len(names) != spec.num_classes:
      raise errors.UserError(
        f'--class_names={options.class_names} has {len(names)} names, but'
        f' {loaded.source} has {spec.num_classes} classes.'
      )
    spec = dataclasses.replace(spec, class_names=names)
  elif not spec.has_class_names:
    logging.info(
      '%s has no class names: classes are numbered from 0. Name them with'
      ' --class_names=FILE or a known list: %s',
      loaded.source,
      ', '.join(class_names_lib.known_lists()),
    )
  return Target(dataclasses.replace(loaded, config=config, spec=spec), options)
