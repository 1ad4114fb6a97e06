"""One training step of mmaction2, timed on demand; for model_step.py.

Needs torch, mmengine, mmcv-lite<2.2, mmaction2 1.2, importlib_metadata, scipy,
einops and decord, and nothing of skeljax. Reads a line, makes a step, writes
its seconds; ends with its input.
"""

import importlib
import json
import logging
import sys
import time
import types

import torch


def import_models() -> types.ModuleType:
  """mmaction.models; the package of 1.2.0 lacks a folder that it imports."""
  for name in ('drn', 'drn.drn'):
    name = f'mmaction.models.localizers.{name}'
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].DRN = None
  # Registers the initializer that AAGCN names.
  importlib.import_module('mmaction.engine.model.weight_init')
  registry = importlib.import_module('mmengine.registry')
  registry.init_default_scope('mmaction')
  return importlib.import_module('mmaction.models')


def main() -> None:
  settings = json.loads(sys.argv[1])
  logging.disable(logging.WARNING)  # init_weights logs every tensor.
  torch.set_num_threads(settings['threads'])
  models = import_models()
  name, options = {
    'stgcn': ('STGCN', {}),
    'agcn': ('AAGCN', {'gcn_attention': False}),
  }[settings['model']]
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
  head = models.GCNHead(settings['num_classes'], 4 * settings['base_channels'])
  backbone.init_weights()
  head.init_weights()
  optimizer = torch.optim.SGD(
    [*backbone.parameters(), *head.parameters()],
    lr=0.01,
    momentum=0.9,
    nesterov=True,
    weight_decay=5e-4,
  )
  batch = settings['batch']
  shape = [settings[k] for k in ('persons', 'frames', 'num_joints')]
  x = torch.randn(batch, *shape, 3)
  labels = torch.randint(settings['num_classes'], (batch,))
  for _ in sys.stdin:
    start = time.perf_counter()
    optimizer.zero_grad()
    logits = head(backbone(x))
    torch.nn.functional.cross_entropy(logits, labels).backward()
    optimizer.step()
    print(time.perf_counter() - start, flush=True)


if __name__ == '__main__':
  main()
