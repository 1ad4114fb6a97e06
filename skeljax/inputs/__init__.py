"""Inputs: from the batch that the host sends to the model input.

Pure functions over the whole batch that run inside the jitted step: `Joints`
for graph networks and `Heatmaps` for PoseC3D. Both work in two steps: `prepare`
handles all views of a clip together, and `render` makes the model input of some
views, so that evaluation of many views can run a few at a time.
"""

from collections.abc import Mapping
from typing import Any

from skeljax import errors
from skeljax.datasets.spec import DataSpec
from skeljax.inputs.batch import Batch
from skeljax.inputs.heatmaps import Heatmaps
from skeljax.inputs.joints import Joints

Input = Joints | Heatmaps
KINDS = {kind.kind: kind for kind in (Joints, Heatmaps)}

__all__ = ('KINDS', 'Batch', 'Heatmaps', 'Input', 'Joints', 'build')


def build(kind: str, fields: Mapping[str, Any], spec: DataSpec) -> Input:
  """Build an input from the fields of `config.input`.

  Args:
    kind: `input_kind` of the model.
    fields: of the config; lists become tuples.
    spec: the data.

  Raises:
    UserError: an unknown field or value, or data that the input cannot use.
  """
  cls = KINDS[kind]
  values: dict[str, Any] = {
    key: tuple(value) if isinstance(value, list | tuple) else value
    for key, value in fields.items()
  }
  unknown = sorted(set(values) - set(cls.__dataclass_fields__))
  if unknown:
    raise errors.UserError(
      f'--config.input.{unknown[0]}: the {kind} input has no such field.'
    )
  return cls(spec=spec, **values)
