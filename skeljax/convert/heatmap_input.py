"""Infer the heatmap input of PoseC3D: channels, layout, pipeline.

The weights do not specify the code base, nor whether channels are joints or
limbs. Sources, in this order: a config given by the user; the config in a
training checkpoint; the meta of the file; the published test pipeline.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from skeljax import errors
from skeljax import skeletons
from skeljax.convert import family
from skeljax.convert import heatmap_pipeline
from skeljax.convert import published_config
from skeljax.convert import torch_file
from skeljax.datasets import spec as spec_lib

_HEATMAPS = ('keypoint', 'limb', 'keypoint_limb')
Sections = dict[str, dict[str, Any]]

# Keys of a file's meta and the code base that writes them; the first decides.
_WRITERS = {
  'pyskl_version': 'pyskl',
  'mmaction_version': 'mmaction0x',
  'mmengine_version': 'mmaction1x',
  'mmcv_version': 'mmaction0x',
}
# Blocks and classes of published networks with other sizes than the rest.
_UCF101_HMDB51 = (((3, 4, 6), 101), ((3, 4, 6), 51))
_KINETICS = ((3, 4, 6), 400)
# Training size by test size, as published; a test pipeline lacks the former.
_TRAINING_SIZES = {64: 56, 56: 48}


def infer(
  file: torch_file.TorchFile,
  overrides: family.Overrides,
  *,
  num_channels: int,
  num_classes: int,
  options: Mapping[str, Any],
) -> family.Recognized:
  """Infer the input of a PoseC3D file.

  Args:
    file: its meta is used; takes notes on what is assumed.
    overrides: what the user specifies.
    num_channels: channels of the network's input.
    num_classes: logits per clip.
    options: of the model.

  Raises:
    UserError: sources contradict each other, or are not supported.
  """
  own, translated = overrides.own_config, None
  pipeline = published_config.test_pipeline(overrides.published(file))
  code_base = find_code_base([] if own else pipeline, file.meta)
  if not code_base:
    code_base = 'mmaction1x'
    if not own:
      file.notes.append(
        'the code base cannot be inferred from the names: assumed mmaction1x'
        ' (--config=FILE overrides)'
      )
  heatmap = overrides.heatmap
  if own:
    heatmap = own.input.heatmap
  elif pipeline:
    translated = heatmap_pipeline.translate(pipeline, code_base)
    heatmap = translated.input['heatmap']
  if overrides.heatmap not in ('', heatmap):
    raise errors.UserError(
      f'--heatmap={overrides.heatmap}: the config of {file.path} has {heatmap}'
      ' heatmaps.'
    )
  layout, chosen = find_channels(file, num_channels, overrides.layout, heatmap)
  sections = _published(
    code_base, chosen, (options['stage_blocks'], num_classes)
  )
  if own:
    sections = {name: own[name].to_dict() for name in sections}
  elif translated:
    fitted = translated.fit(layout, num_channels, file.path)
    if fitted.limbs != layout.limbs:
      file.notes.append(
        f'used the limbs of its config; those of layout {layout.name!r} differ'
      )
    layout = fitted
    sections['data'] |= translated.data
    sections['input'] |= translated.input
    size = translated.input['test_size']
    if translated.input['scaling'] == 1:
      size = _TRAINING_SIZES.get(size, size)
    sections['input']['size'] = size
    sections['eval']['mirrored'] = translated.mirrored
    file.notes.append('input as in the published config')
  else:
    size = sections['input']['test_size']
    file.notes.append(
      'the file does not specify its input: assumed the test pipeline of'
      f' {code_base}, 10 clips of 48 frames and their flips, {size}x{size}'
      ' pixels (--config=FILE overrides)'
    )
  spec = spec_lib.DataSpec(
    layout=layout,
    class_names=family.choose_class_names(num_classes, overrides, file.path),
    num_channels=2,
    # The weights do not depend on it; published data have at most two.
    num_persons=overrides.num_persons or 2,
    # As mmaction2 publishes its annotations.
    keypoint_dtype='float16',
    score_dtype='float16',
  )
  config = family.make_config('slowonly', options, **sections)
  return family.Recognized(code_base, config, spec, bool(heatmap))


def find_code_base(
  pipeline: published_config.Pipeline, meta: Mapping[str, Any]
) -> str:
  """Return the code base of a file; '' if it cannot be inferred."""
  kinds = [transform['type'] for transform in pipeline]
  if 'PackActionInputs' in kinds:
    return 'mmaction1x'
  if 'Collect' in kinds:
    return 'mmaction0x' if heatmap_pipeline.flips_joints(pipeline) else 'pyskl'
  return next((v for key, v in _WRITERS.items() if key in meta), '')


def find_channels(
  file: torch_file.TorchFile,
  num_channels: int,
  layout: skeletons.Layout | None,
  heatmap: str,
) -> tuple[skeletons.Layout, str]:
  """Return the layout and `config.input.heatmap` with this many channels.

  Args:
    file: takes a note if they are assumed.
    num_channels: channels of the network's input.
    layout: None if it is not known.
    heatmap: '' if it is not known.

  Raises:
    UserError: no layout has as many joints or limbs.
  """
  found = list(_candidates(num_channels, layout, heatmap))
  if not found:
    known = skeletons.LAYOUTS.values() if layout is None else (layout,)
    listed = ', '.join(
      f'{c.name} ({c.num_joints} joints, {len(c.limbs)} limbs)' for c in known
    )
    raise errors.UserError(
      f'{file.path} takes {heatmap} heatmaps of {num_channels} channels, which'
      f' does not fit {listed}. Give the layout it was trained with:'
      ' --layout=FILE.json.'
    )
  unknown = ['heatmap'] * (not heatmap) + ['layout'] * (layout is None)
  if unknown and (layout is None or len(found) > 1):
    flags = ', '.join(f'--{name}' for name in unknown)
    file.notes.append(
      f'assumed that the {num_channels} channels are {found[0][1]} heatmaps of'
      f' layout {found[0][0].name!r}; the file does not specify its'
      f' {" and ".join(unknown)} ({flags} or --config=FILE overrides)'
    )
  return found[0]


def _candidates(
  num_channels: int, layout: skeletons.Layout | None, heatmap: str
) -> Iterator[tuple[skeletons.Layout, str]]:
  """Yield layouts and heatmaps of as many channels, the likelier first."""
  for kind in (heatmap,) if heatmap else _HEATMAPS:
    for known in skeletons.LAYOUTS.values() if layout is None else (layout,):
      joints, limbs = known.num_joints, len(known.limbs)
      counts = {'keypoint': joints, 'limb': limbs}
      if limbs:
        counts['keypoint_limb'] = joints + limbs
      if counts.get(kind) == num_channels:
        yield known, kind


def testing(code_base: str) -> dict[str, Any]:
  """Return the config fields by which the tests of a code base differ."""
  is_pyskl = code_base == 'pyskl'
  return {
    'frames': 'uniform_pyskl' if is_pyskl else 'uniform',
    'min_score': 1e-3 if is_pyskl else 1e-4,
    'mirror': '0x' if code_base == 'mmaction0x' else '1x',
  }


def _published(
  code_base: str, heatmap: str, network: tuple[tuple[int, ...], int]
) -> Sections:
  """Return data, input and eval of the published test pipeline.

  Args:
    code_base: whose pipeline.
    heatmap: as in config.input.heatmap.
    network: stage_blocks and number of classes.
  """
  test = testing(code_base)
  test_size = 56 if network in _UCF101_HMDB51 else 64
  stretches = code_base == 'pyskl' or network == _KINETICS
  return {
    'data': family.data_section(
      frames=test['frames'], clip_len=48, num_clips=10
    ),
    'input': family.input_section(
      'heatmaps',
      heatmap=heatmap,
      size=_TRAINING_SIZES[test_size],
      test_size=test_size,
      resize='stretch' if stretches else 'short_side',
      min_score=test['min_score'],
      mirror=test['mirror'],
    ),
    # Twenty volumes per clip: render one view at a time.
    'eval': family.eval_section(
      'prob', batch_size=16, mirrored=True, views_at_once=1
    ),
  }
