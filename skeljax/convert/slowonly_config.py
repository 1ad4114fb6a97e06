"""What a configuration of PoseC3D says of its network and no tensor tells.

Arguments that a published one leaves out have the defaults of the published
class, which are not those of PoseC3D.
"""

from collections.abc import Mapping
from typing import Any

from ml_collections import config_dict

from skeljax import errors
from skeljax.models import slowonly

# Of ResNet3dSlowOnly, as long as its four stages.
_STAGE_DEFAULTS = {
  'spatial_strides': (1, 2, 2, 2),
  'temporal_strides': (1, 1, 1, 1),
  'dilations': (1, 1, 1, 1),
}


def network_options(config: Mapping[str, Any]) -> dict[str, Any]:
  """Options of SlowOnly that no tensor tells; {} where a config has none.

  Args:
    config: values of a published configuration.

  Raises:
    UserError: a value that is none.
  """
  model = config.get('model')
  backbone = model.get('backbone') if isinstance(model, Mapping) else None
  if not isinstance(backbone, Mapping):
    return {}
  if backbone.get('type') != 'ResNet3dSlowOnly':
    return {}

  def read(name, default, length=None):
    value = backbone.get(name, default)
    values = value if isinstance(value, (list, tuple)) else (value,)
    if (length is None) == isinstance(value, (list, tuple)) or not all(
      type(v) in (int, bool) and v >= 0 for v in values
    ):
      raise errors.UserError(
        'The configuration that the checkpoint was trained with says'
        f' {name}={value!r} of its backbone, where'
        f' {"a number" if length is None else "a number a stage"} was expected.'
        ' Give another one by --config=FILE of skeljax.convert.'
      )
    return value if length is None else tuple(values[:length])

  stages = read('num_stages', 4)

  def stride(name):
    # pyskl has one argument for both.
    if name in backbone:
      return read(name, (), length=2)
    return (read(f'{name}_t', 1), read(f'{name}_s', 2))

  options = {
    name: read(name, default, length=stages)
    for name, default in _STAGE_DEFAULTS.items()
  }
  for name in ('conv1_stride', 'pool1_stride'):
    options[name] = stride(name)
  options['with_pool1'] = bool(read('with_pool1', True))
  options['with_pool2'] = bool(read('with_pool2', False))
  for name, expected in (('style', 'pytorch'), ('advanced', False)):
    if backbone.get(name, expected) != expected:
      raise errors.UserError(
        'The configuration that the checkpoint was trained with says'
        f' {name}={backbone[name]!r} of its backbone; skeljax has SlowOnly with'
        f' {name}={expected!r}.'
      )
  return options


def own_options(config: config_dict.ConfigDict) -> dict[str, Any]:
  """The same of a configuration of ours; what it leaves out has its default."""
  names = (
    *_STAGE_DEFAULTS,
    'conv1_stride',
    'pool1_stride',
    'with_pool1',
    'with_pool2',
  )
  options = {}
  for name in names:
    value = config.model.get(name, getattr(slowonly.SlowOnly, name))
    options[name] = tuple(value) if isinstance(value, (list, tuple)) else value
  return options
