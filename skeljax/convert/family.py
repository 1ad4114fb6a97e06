"""The interface of a model family to the conversion."""

import abc
from collections.abc import Collection, Mapping
import dataclasses
from typing import Any

from flax import linen as nn
from ml_collections import config_dict

from skeljax import errors
from skeljax import inputs
from skeljax import models
from skeljax import run as run_lib
from skeljax import skeletons
from skeljax.convert import published_config
from skeljax.convert import tensors
from skeljax.convert import torch_file
from skeljax.datasets import spec as spec_lib


@dataclasses.dataclass(frozen=True)
class Overrides:
  """What a user specifies about a PyTorch file; defaults leave it to the file.

  Attributes:
    weights: 'model' or 'ema', if the file contains both.
    layout: of the skeletons.
    down_stages: stages of a graph network with temporal stride 2.
    num_persons: M.
    class_names: one name per class.
    heatmap: channels of PoseC3D, as in `config.input.heatmap`.
    config: a skeljax config, or the parsed values of a published one.
  """

  weights: str = ''
  layout: skeletons.Layout | None = None
  down_stages: tuple[int, ...] | None = None
  num_persons: int = 0
  class_names: tuple[str, ...] = ()
  heatmap: str = ''
  config: config_dict.ConfigDict | dict[str, Any] | None = None

  @property
  def own_config(self) -> config_dict.ConfigDict | None:
    """The skeljax config, if that is what was given."""
    is_own = isinstance(self.config, config_dict.ConfigDict)
    return self.config if is_own else None

  def published(self, file: torch_file.TorchFile) -> Mapping[str, Any]:
    """Return the published config: the one given, or that of the file."""
    if isinstance(self.config, dict):
      return self.config
    return published_config.from_meta(file.meta)

  def check_input_kind(self, model: str, file: torch_file.TorchFile) -> None:
    """Raise UserError if a config is for the other kind of input."""
    kind = models.input_kind(model)
    if self.own_config is not None:
      found = models.input_kind(self.own_config.model.name)
    else:
      pipeline = published_config.test_pipeline(self.published(file))
      found = published_config.input_kind(pipeline) or kind
    if found != kind:
      which = '--config' if self.config is not None else 'its config'
      raise errors.UserError(
        f'{file.path} contains {model}, which takes {kind}, but {which} is for'
        f' {found}. Give the config it was trained with: --config=FILE.'
      )


NO_OVERRIDES = Overrides()


@dataclasses.dataclass(frozen=True)
class Recognized:
  """What was inferred about a PyTorch file.

  Attributes:
    code_base: of the tensor names, a key of `Family.namings`.
    config: the sections that shape the network and its input.
    spec: of the training data.
    is_stream_known: whether config.input.heatmap is not a guess.
  """

  code_base: str
  config: config_dict.ConfigDict
  spec: spec_lib.DataSpec
  is_stream_known: bool


class Family(abc.ABC):
  """A model family: tensor names, recognition, published configs.

  Attributes:
    model: name of the model, as in `config.model.name`.
    namings: tensor names by code base.
  """

  model: str
  namings: Mapping[str, tensors.Naming]

  @abc.abstractmethod
  def find_code_base(self, names: Collection[str]) -> str | None:
    """Return the code base that uses these tensor names.

    None if they are not of this family, '' if several code bases use them.
    """

  @abc.abstractmethod
  def recognize(
    self, file: torch_file.TorchFile, code_base: str, overrides: Overrides
  ) -> Recognized:
    """Infer the network and its input; add assumptions to `file.notes`.

    Raises:
      UserError: not a network that skeljax has, or the overrides contradict it.
    """

  @abc.abstractmethod
  def published_model(
    self, run: run_lib.Run, code_base: str
  ) -> dict[str, Any] | None:
    """Return the `model` of a published config that builds the network.

    None if the code base does not build networks from such configs.

    Raises:
      UserError: the code base cannot build it.
    """

  @abc.abstractmethod
  def describe(self, model: nn.Module) -> str:
    """Return variant and size of a network as one phrase."""

  def test_differences(
    self, config: config_dict.ConfigDict, code_base: str
  ) -> list[str]:
    """Return sentences on how a code base tests differently from a config."""
    del config, code_base
    return []

  def default_code_base(self, model: nn.Module) -> str:
    """Return the code base whose names are used unless one is chosen."""
    del model
    return 'mmaction1x'

  def get_naming(self, code_base: str) -> tensors.Naming:
    """Return the tensor names of a code base.

    Raises:
      UserError: the code base does not have this family.
    """
    if code_base not in self.namings:
      raise errors.UserError(
        f'--naming={code_base}: {self.model} exists as'
        f' {", ".join(self.namings)} only.'
      )
    return self.namings[code_base]


def make_config(
  model: str, options: Mapping[str, Any], **sections: Mapping[str, Any]
) -> config_dict.ConfigDict:
  """Return a config with the sections that shape a network and its input."""
  defaults = {'norm_group': 0, 'dtype': 'float32', 'remat': False}
  return config_dict.ConfigDict(
    {
      'name': model,
      'model': {'name': model, **defaults, **options},
      **{name: dict(fields) for name, fields in sections.items()},
    }
  )


def data_section(**fields: Any) -> dict[str, Any]:
  """Return config.data; fields without a value here do not matter in a test."""
  return {
    'dir': '', 'dataset': '', 'dims': 2, 'normalize': 'none', 'max_frames': 0,
    'repeat': 1, 'num_workers': 0, 'max_persons': 0, 'demo': False, **fields,
  }  # fmt: skip


def input_section(kind: str, **fields: Any) -> dict[str, Any]:
  """Return config.input with the defaults of an input kind."""
  declared = dataclasses.fields(inputs.KINDS[kind])
  defaults = {f.name: f.default for f in declared if f.name != 'spec'}
  return defaults | fields


def eval_section(average: str, **fields: Any) -> dict[str, Any]:
  """Return config.eval."""
  return {
    'batch_size': 64, 'every_epochs': 0.0, 'average': average,
    'mirrored': False, 'views_at_once': 0, **fields,
  }  # fmt: skip


def choose_class_names(
  count: int, overrides: Overrides, source: str
) -> tuple[str, ...]:
  """Return the given class names, or numbers."""
  names = overrides.class_names or spec_lib.numbered_classes(count)
  if len(names) != count:
    raise errors.UserError(
      f'{source} has {count} classes, but --class_names has {len(names)}.'
    )
  return tuple(names)
