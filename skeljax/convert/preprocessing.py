"""What the input of a PyTorch checkpoint has to look like.

The weights do not say which stream, frames and normalisation they were trained
on. In this order: what skeljax itself wrote into the file; a configuration
that the user gives; the configuration text that mmaction2 and pyskl put into
their training checkpoints; the published test pipeline of the code base.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

from skeljax import errors
from skeljax import inputs
from skeljax.convert import published_config
from skeljax.convert import recognize

Sections = dict[str, dict[str, Any]]
Pipeline = list[Mapping[str, Any]]
# All clips of BABEL have as many, so that its configurations choose none.
_BABEL_FRAMES = 150


@dataclasses.dataclass(frozen=True)
class Preprocessing:
  """Sections data, features and eval of a configuration, and the persons.

  Attributes:
    sections: name -> fields.
    num_persons: M, persons a clip is padded or cut to.
    notes: sentences on what was assumed.
  """

  sections: Sections
  num_persons: int
  notes: tuple[str, ...]


def find(
  architecture: recognize.Architecture,
  *,
  sections: Sections | None,
  pipeline: Pipeline,
  num_persons: int,
  source: str,
) -> Preprocessing:
  """The preprocessing of a checkpoint.

  Args:
    architecture: as recognised.
    sections: what the user gives, or None.
    pipeline: a test pipeline of mmaction2 or pyskl, given or of the file, or
      [].
    num_persons: M that the user gives, or 0.
    source: names the file in errors.

  Raises:
    UserError: the persons contradict those the weights were made for, or the
      pipeline is that of PoseC3D.
  """
  if published_config.takes_volumes(pipeline):
    raise errors.UserError(
      f'{source} holds a graph network, which takes keypoints, but its'
      ' configuration draws heatmaps, as for PoseC3D. Give the one that it was'
      ' trained with by --config=FILE of skeljax.convert.'
    )
  dims, notes = _dims(architecture, pipeline)
  found = _published(architecture, dims)
  if sections is not None:
    notes = []
    found = {name: dict(sections[name]) for name in found}
  elif pipeline:
    data, feature_fields = published_config.preprocessing(
      pipeline, is_pyskl=architecture.naming == 'pyskl'
    )
    # Of 0.x the 3D annotations were normalised before training, but BABEL's,
    # which are also the only ones that need no padding.
    is_prepared = architecture.naming == 'mmaction0x' and 'frames' in data
    data.setdefault(
      'normalize', 'mmaction0x' if is_prepared and dims == 3 else 'none'
    )
    feature_fields.setdefault('normalize_2d', 'none')
    found['data'].update(data)
    found['input'].update(feature_fields)
    notes.append('input as in the configuration that it was trained with')
    if 'frames' not in data:
      if architecture.naming == 'mmaction0x':
        found['data']['clip_len'] = _BABEL_FRAMES
      notes.append(
        'that configuration chooses frames in no way that skeljax knows: taken'
        f' for {found["data"]["clip_len"]} frames ({found["data"]["frames"]},'
        ' --config=FILE overrides)'
      )
  else:
    notes.append(
      'the file does not say how its input was made: taken for the'
      f' {found["input"]["stream"]} stream with the published test pipeline'
      f' of {architecture.naming} (--config=FILE overrides)'
    )
  said = 0 if sections is not None else published_config.num_persons(pipeline)
  persons = num_persons or architecture.num_persons or said
  if not persons:
    persons = 2
    notes.append(
      'the file does not say for how many persons: taken for 2, as published'
      ' (--num_persons overrides)'
    )
  if architecture.num_persons not in (None, persons):
    raise errors.UserError(
      f'{source} was made for {architecture.num_persons} persons, the input'
      f' normalisation has as many parts; --num_persons={persons} cannot be.'
    )
  return Preprocessing(found, persons, tuple(notes))


def pipeline_of(meta: Mapping[str, Any]) -> Pipeline:
  """The test pipeline in a file's meta; [] where there is none."""
  text = published_config.text_of(meta)
  return published_config.test_pipeline(published_config.parse(text))


def _dims(
  architecture: recognize.Architecture, pipeline: Pipeline
) -> tuple[int, list[str]]:
  """Coordinates of a joint, of 3 channels one may be a score; and notes."""
  if architecture.num_channels not in (2, 3):
    raise errors.UserError(
      f'The checkpoint takes {architecture.num_channels} channels a joint;'
      ' skeljax makes 2 (pixels) or 3 (metres, or pixels and score).'
    )
  if architecture.num_channels == 2:
    return 2, []
  kinds = {transform['type'] for transform in pipeline}
  if 'PreNormalize3D' in kinds:
    return 3, []
  if kinds & {'PreNormalize2D', 'PoseNormalize'}:
    return 2, []
  # Layouts without a spine are mostly filmed.
  layout = architecture.graph.layout
  dims, what = (3, 'x, y, z') if layout.spine else (2, 'pixels and a score')
  return dims, [
    f'the 3 channels were taken for {what}, as usual in layout'
    f' {layout.name!r}; the file does not say (--config=FILE overrides)'
  ]


def _published(architecture: recognize.Architecture, dims: int) -> Sections:
  """The test pipeline that every published checkpoint of a code base has."""
  data = data_section(dims)
  fields = {
    f.name: f.default
    for f in dataclasses.fields(inputs.Joints)
    if f.name != 'spec'
  }
  fields |= {'stream': 'joint', 'published_rounding': True}
  average = 'prob'
  naming = architecture.naming
  if naming in ('mmaction1x', 'pyskl'):
    data |= {'frames': 'uniform', 'clip_len': 100, 'num_clips': 10}
    if dims == 3:
      data['normalize'] = 'mmaction1x'
    else:
      fields['normalize_2d'] = 'mmaction1x'
    if naming == 'pyskl':
      data['frames'] = 'uniform_pyskl'
      if dims == 2:
        fields['normalize_2d'] = 'pyskl_fix'
  else:
    average = 'score'
    data |= {'frames': 'loop', 'clip_len': 300, 'num_clips': 1}
    if naming == 'original' and architecture.family == 'stgcn':
      data['frames'] = 'zero'
    elif dims == 3:
      data['normalize'] = 'mmaction0x'
    else:
      fields['normalize_2d'] = 'mmaction0x'
  return {
    'data': data,
    'input': fields,
    'eval': eval_section(average),
  }


def data_section(dims: int) -> dict[str, Any]:
  """The fields of `data` that no published pipeline says."""
  return {
    'dir': '', 'dataset': '', 'dims': dims, 'normalize': 'none',
    'max_frames': 0, 'repeat': 1, 'num_workers': 0,
  }  # fmt: skip


def eval_section(
  average: str,
  *,
  batch_size: int = 64,
  mirrored: bool = False,
  views_at_once: int = 0,
) -> dict[str, Any]:
  """The section `eval`."""
  return {
    'batch_size': batch_size, 'every_epochs': 0.0, 'average': average,
    'mirrored': mirrored, 'views_at_once': views_at_once,
  }  # fmt: skip
