"""Short ways to build a DataSpec in tests."""

import dataclasses
import functools

import jax

from skeljax import inputs
from skeljax import skeletons
from skeljax.datasets import spec as spec_lib


def make(layout='nturgb+d', num_classes=3, **changes) -> spec_lib.DataSpec:
  """Return a spec: 3D without scores, or 2D with scores for layout 'coco'.

  Args:
    layout: a Layout or the name of one.
    num_classes: classes 'class_0' and so on.
    **changes: other fields of the spec.
  """
  if isinstance(layout, str):
    layout = skeletons.get_layout(layout)
  is_2d = layout.name == 'coco'
  fields = dict(
    layout=layout,
    class_names=tuple(f'class_{i}' for i in range(num_classes)),
    num_channels=2 if is_2d else 3,
    num_persons=2,
    max_frames=20,
    keypoint_dtype='float32',
    score_dtype='float32' if is_2d else '',
  )
  return spec_lib.DataSpec(**(fields | changes))


def joints(layout='nturgb+d', has_score=None, **fields) -> inputs.Joints:
  """Return a joint input; fields of the spec and of the input may be mixed."""
  return inputs.Joints(*_split(inputs.Joints, layout, has_score, fields))


def heatmaps(layout='coco', has_score=True, **fields) -> inputs.Heatmaps:
  """Return a heatmap input; fields of the spec and of the input may be mixed."""
  return inputs.Heatmaps(*_split(inputs.Heatmaps, layout, has_score, fields))


def _split(cls, layout, has_score, fields):
  own = {f.name: f.default for f in dataclasses.fields(cls) if f.name != 'spec'}
  of_spec = {k: v for k, v in fields.items() if k not in own}
  if cls is inputs.Heatmaps:
    of_spec.setdefault('num_channels', 2)
  if has_score is not None:
    dtype = of_spec.get('keypoint_dtype', 'float32')
    of_spec['score_dtype'] = dtype if has_score else ''
  spec = make(layout, **of_spec)
  return spec, *({**own, **{k: fields[k] for k in own if k in fields}}).values()


@functools.partial(jax.jit, static_argnames=('options', 'train'))
def model_input(batch, options, *, rng=None, train):
  """Return the input of a batch, compiled; `options` is a Joints or Heatmaps."""
  return options(batch, rng=rng, train=train)
