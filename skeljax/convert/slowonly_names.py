"""Names of SlowOnly, the network of PoseC3D.

mmaction2 1.x, 0.x and pyskl call its tensors the same, so that the names do not
tell them apart. There a convolution and its BatchNorm are one module with two
parts: our `conv1` and `bn1` are `conv1.conv` and `conv1.bn`.
"""

import re

from skeljax.convert import naming

_BLOCK = re.compile(r'layer(\d+)_(\d+)')
_STEM = {'conv': 'backbone.conv1.conv', 'bn': 'backbone.conv1.bn'}
_UNITS = {
  **{f'conv{i}': f'conv{i}.conv' for i in (1, 2, 3)},
  **{f'bn{i}': f'conv{i}.bn' for i in (1, 2, 3)},
  'downsample': 'downsample.conv',
  'downsample_bn': 'downsample.bn',
}
HEAD = 'cls_head.fc_cls'
STEM_KERNEL = _STEM['conv'] + '.weight'


class SlowOnlyNaming:
  """The names of a file of PoseC3D; it keeps no graph.

  Attributes:
    head_is_conv: whether the classifier is a convolution.
    adjacency, unused_adjacency: names of a graph, '' as there is none.
  """

  head_is_conv = False
  adjacency = ''
  unused_adjacency = ''

  def tensor(self, path: tuple[str, ...]) -> str | None:
    """Their name of one of our arrays, ('layer1_0', 'bn1', 'scale').

    None where the code bases have no such tensor.
    """
    *modules, leaf = path
    module = self._module(tuple(modules))
    if module is None or leaf not in naming.LEAVES:
      return None
    return f'{module}.{naming.LEAVES[leaf]}'

  def adjacency_names(self, num_blocks: int) -> tuple[str, ...]:
    """Names of the fixed graph: none."""
    del num_blocks
    return ()

  def _module(self, modules: tuple[str, ...]) -> str | None:
    if modules == ('head', 'fc'):
      return HEAD
    if len(modules) != 2:
      return None
    if modules[0] == 'stem':
      return _STEM.get(modules[1])
    block, unit = _BLOCK.fullmatch(modules[0]), _UNITS.get(modules[1])
    if block is None or unit is None:
      return None
    return f'backbone.layer{block[1]}.{block[2]}.{unit}'


NAMINGS = dict.fromkeys(('mmaction1x', 'pyskl', 'mmaction0x'), SlowOnlyNaming())
