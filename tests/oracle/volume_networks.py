"""Random PoseC3D networks of mmaction2 with random weights."""

from collections.abc import Mapping
import dataclasses
from typing import Any

from mmaction import models as published
import networks
import numpy as np
import torch


@dataclasses.dataclass(frozen=True)
class Config:
  """A network and its input.

  Attributes:
    options: of skeljax's SlowOnly.
    shape: of the input, [B, T, H, W, C].
    seed: of weights and input.
  """

  options: Mapping[str, Any]
  shape: tuple[int, int, int, int, int]
  seed: int


class Network(torch.nn.Module):
  """Backbone and head under the names of mmaction2's recognizer."""

  def __init__(self, backbone: torch.nn.Module, cls_head: torch.nn.Module):
    super().__init__()
    self.backbone = backbone
    self.cls_head = cls_head

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Map [B, T, H, W, C] to logits."""
    return self.cls_head(self.backbone(x.permute(0, 4, 1, 2, 3)))


def draw(seed: int, index: int, channels: int = 17) -> Config:
  """Return configuration `index`; even ones have the published strides."""
  rng = np.random.default_rng([seed, index, 3])

  def choose(*values):
    return values[rng.integers(len(values))]

  def stages(*values):
    return tuple(int(choose(*values)) for _ in range(3))

  inflate = stages(0, 1)
  options = dict(
    base_channels=int(rng.integers(2, 5)),
    stage_blocks=stages(1, 1, 2),
    inflate=inflate,
    inflate_style=choose('3x1x1', '3x3x3') if any(inflate) else '3x1x1',
    conv1_kernel=choose((1, 7, 7), (3, 5, 5)),
  )
  if index % 2:
    options |= dict(
      spatial_strides=stages(1, 2),
      temporal_strides=stages(1, 2),
      dilations=stages(1, 2),
      conv1_stride=choose((1, 1), (1, 2)),
      pool1_stride=choose((1, 1), (1, 2)),
      with_pool1=choose(True, False),
      with_pool2=choose(True, False),
    )
  return Config(
    options, (2, 6, 12, 11, channels), seed=int(rng.integers(2**31))
  )


def make(config: Config, num_classes: int = networks.NUM_CLASSES) -> Network:
  """Return the network of mmaction2 1.x, random weights and statistics."""
  options = dict(config.options)
  for name in ('conv1_stride', 'pool1_stride'):
    frames, pixels = options.pop(name, (1, 1))
    options |= {f'{name}_t': frames, f'{name}_s': pixels}
  published_strides = dict(
    spatial_strides=(2, 2, 2), temporal_strides=(1, 1, 2), dilations=(1, 1, 1)
  )
  backbone = published.ResNet3dSlowOnly(
    depth=50,
    in_channels=config.shape[-1],
    num_stages=3,
    out_indices=(2,),
    **published_strides | options,
  )
  head = published.I3DHead(num_classes, 16 * options['base_channels'])
  network = Network(backbone, head)
  state = {
    name: torch.from_numpy(networks.fill(name, tensor.numpy(), config.seed))
    for name, tensor in network.state_dict().items()
  }
  network.load_state_dict(state)
  networks.settle(network, config.seed)
  return network.eval()


def random_input(config: Config) -> np.ndarray:
  rng = np.random.default_rng([config.seed, 5])
  return rng.random(config.shape, np.float32)
