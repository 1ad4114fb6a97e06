"""Time steps of mmaction2 on PyTorch on request; the peer of steps.py.

Needs the packages of tests/oracle/requirements.txt and nothing of skeljax.
Reads a JSON object per line, {"train": bool}, makes that step and prints its
seconds, until the input ends.
"""

import contextlib
import importlib
import json
import logging
import sys
import time
import types

import torch

BACKBONES = {
  'stgcn': ('STGCN', {}),
  'stgcn++': (
    'STGCN',
    {'gcn_adaptive': 'init', 'gcn_with_res': True, 'tcn_type': 'mstcn'},
  ),
  '2s-agcn': ('AAGCN', {'gcn_attention': False}),
  'aagcn': ('AAGCN', {}),
}


def import_models() -> types.ModuleType:
  """Import mmaction.models; 1.2.0 lacks a folder that it imports."""
  for name in ('drn', 'drn.drn'):
    name = f'mmaction.models.localizers.{name}'
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].DRN = None
  # Registers the initializer that AAGCN names.
  importlib.import_module('mmaction.engine.model.weight_init')
  registry = importlib.import_module('mmengine.registry')
  registry.init_default_scope('mmaction')
  return importlib.import_module('mmaction.models')


def make_graph_network(models: types.ModuleType, settings: dict):
  """Return backbone and head of a graph network."""
  name, options = BACKBONES[settings['model']]
  layout = dict(
    num_node=settings['num_joints'],
    inward=[tuple(edge) for edge in settings['edges']],
    center=settings['center'],
  )
  backbone = getattr(models, name)(
    graph_cfg=dict(layout=layout, mode=settings['mode']),
    base_channels=settings['base_channels'],
    num_person=settings['persons'],
    **options,
  )
  channels = 4 * settings['base_channels']
  return backbone, models.GCNHead(settings['num_classes'], channels)


def make_slowonly(models: types.ModuleType, settings: dict):
  """Return backbone and head of PoseC3D."""
  base_channels = settings['base_channels'] // 2
  backbone = models.ResNet3dSlowOnly(
    depth=50,
    in_channels=settings['num_heatmaps'],
    base_channels=base_channels,
    num_stages=3,
    out_indices=(2,),
    stage_blocks=(4, 6, 3),
    conv1_stride_s=1,
    pool1_stride_s=1,
    inflate=(0, 1, 1),
    spatial_strides=(2, 2, 2),
    temporal_strides=(1, 1, 2),
    dilations=(1, 1, 1),
  )
  return backbone, models.I3DHead(settings['num_classes'], 16 * base_channels)


class Steps:
  """Training and inference steps of one network on one random batch."""

  def __init__(self, settings: dict):
    models = import_models()
    takes_heatmaps = settings['model'] == 'posec3d'
    make = make_slowonly if takes_heatmaps else make_graph_network
    backbone, head = make(models, settings)
    backbone.init_weights()
    head.init_weights()
    self._device = settings['device']
    network = torch.nn.Sequential(backbone, head).to(self._device)
    self._optimizer = torch.optim.SGD(
      network.parameters(),
      lr=0.01,
      momentum=0.9,
      nesterov=True,
      weight_decay=5e-4,
    )
    self._network = network
    self._forward = torch.compile(network) if settings['compile'] else network
    axes = ('batch', 'persons', 'frames', 'num_joints')
    if takes_heatmaps:
      axes = ('batch', 'num_heatmaps', 'frames', 'size', 'size')
    shape = [settings[axis] for axis in axes] + [3] * (not takes_heatmaps)
    self._x = torch.randn(*shape, device=self._device)
    self._labels = torch.randint(
      settings['num_classes'], (settings['batch'],), device=self._device
    )
    self._is_half = settings['precision'] == 'bfloat16'

  def _cast(self):
    if not self._is_half:
      return contextlib.nullcontext()
    return torch.autocast(self._device, torch.bfloat16)

  def train(self) -> None:
    self._network.train()
    self._optimizer.zero_grad()
    with self._cast():
      logits = self._forward(self._x)
    torch.nn.functional.cross_entropy(logits.float(), self._labels).backward()
    self._optimizer.step()

  def infer(self) -> None:
    self._network.eval()
    with torch.inference_mode(), self._cast():
      self._forward(self._x)

  def seconds(self, is_training: bool) -> float:
    """Make one step, wait for it and return its seconds."""
    start = time.perf_counter()
    (self.train if is_training else self.infer)()
    if self._device == 'cuda':
      torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
  """Make a step per line of the input."""
  settings = json.loads(sys.argv[1])
  logging.disable(logging.WARNING)  # init_weights logs every tensor.
  # Libraries print to stdout as well.
  answers, sys.stdout = sys.stdout, sys.stderr
  if settings['threads']:
    torch.set_num_threads(settings['threads'])
  allows_tf32 = settings['precision'] != 'float32'
  torch.backends.cuda.matmul.allow_tf32 = allows_tf32
  torch.backends.cudnn.allow_tf32 = allows_tf32
  # As users of mmaction2 set it for batches of one shape.
  torch.backends.cudnn.benchmark = True
  steps = Steps(settings)
  print(torch.__version__, file=answers, flush=True)
  for line in sys.stdin:
    print(steps.seconds(json.loads(line)['train']), file=answers, flush=True)


if __name__ == '__main__':
  main()
