"""A PyTorch file of PoseC3D in our terms: configuration and facts.

The weights do not say whose code made them, nor whether their channels are
joints or limbs. In this order: a configuration that the user gives; the
configuration text in the file; its meta, which tells the code base; the
published test pipeline. What was assumed is said.
"""

from collections.abc import Iterator, Mapping
import dataclasses
from typing import Any

from skeljax import errors
from skeljax import inputs
from skeljax import skeletons
from skeljax.convert import preprocessing
from skeljax.convert import published_config
from skeljax.convert import recognize_slowonly
from skeljax.convert import slowonly_config
from skeljax.convert import volume_config

# In a file's meta, who wrote it; the first that is found decides.
_WRITERS = (
  ('pyskl_version', 'pyskl'),
  ('mmaction_version', 'mmaction0x'),
  ('mmengine_version', 'mmaction1x'),
  ('mmcv_version', 'mmaction0x'),
)
# Of the published networks of these blocks, by their classes.
_UCF101_HMDB51 = ((3, 4, 6), (101, 51))
_KINETICS = ((3, 4, 6), (400,))
HEATMAPS = ('keypoint', 'limb', 'keypoint_limb')
# What was trained with, by what is tested with; a test pipeline says no more.
_TRAINING_SIZES = {64: 56, 56: 48}


@dataclasses.dataclass(frozen=True)
class Told:
  """What is known of a file.

  Attributes:
    naming: the code base, one of slowonly_names.NAMINGS.
    options: of models.build_model.
    sections: data, features and eval of a configuration.
    layout: of the skeletons.
    num_classes: logits per clip.
    is_stream_told: whether the stream is not assumed.
    notes: sentences on what was assumed.
  """

  naming: str
  options: Mapping[str, Any]
  sections: preprocessing.Sections
  layout: skeletons.Layout
  num_classes: int
  is_stream_told: bool
  notes: tuple[str, ...]


def tell(
  state_dict: recognize_slowonly.StateDict,
  meta: Mapping[str, Any],
  *,
  source: str,
  layout: skeletons.Layout | None = None,
  stream: str = '',
  options: Mapping[str, Any] | None = None,
  sections: preprocessing.Sections | None = None,
  pipeline: preprocessing.Pipeline | None = None,
) -> Told:
  """Tells a network and its input.

  Args:
    state_dict: of the file.
    meta: of the file.
    source: names the file in errors.
    layout: that the user gives, or None.
    stream: that the user gives, of HEATMAPS, or ''.
    options: of the network, of a configuration that the user gives, or None.
    sections: of a configuration of ours that the user gives, or None.
    pipeline: of a published configuration that the user gives, or None.

  Raises:
    UserError: a network or a pipeline that skeljax has not, or what is given
      contradicts the file.
  """
  text = published_config.parse(published_config.text_of(meta))
  if pipeline is None and sections is None:
    pipeline = published_config.test_pipeline(text)
  if options is None:
    options = slowonly_config.network_options(text)
  network = recognize_slowonly.recognize(state_dict, options, source=source)
  notes = list(network.notes)
  naming = volume_config.code_base(pipeline or []) or _writer(meta)
  if not naming:
    naming = 'mmaction1x'
    if sections is None:
      notes.append(
        'all code bases name PoseC3D alike and the file does not say which one'
        f' it is of: taken for {naming} (--config=FILE overrides)'
      )
  volumes = None
  if pipeline:
    volumes = volume_config.preprocessing(pipeline, naming)
  told_stream = _told_stream(stream, sections, volumes, source)
  layout, stream, channel_notes = _channels(
    network.num_channels, layout, told_stream, source
  )
  if volumes is not None:
    fitted = _fit(volumes, layout, network.num_channels, source)
    if fitted.limbs != layout.limbs:
      channel_notes.append(
        'its configuration draws other limbs, or in another order, than layout'
        f' {layout.name!r}: those of the configuration are used'
      )
    layout = fitted
  found, input_notes = _input(network, naming, stream, sections, volumes)
  return Told(
    naming=naming,
    options=network.options,
    sections=found,
    layout=layout,
    num_classes=network.num_classes,
    is_stream_told=bool(told_stream),
    notes=(*notes, *channel_notes, *input_notes),
  )


def _told_stream(
  stream: str,
  sections: preprocessing.Sections | None,
  volumes: volume_config.Volumes | None,
  source: str,
) -> str:
  """The stream that the user or a configuration says, '' if none does."""
  said = ''
  if sections is not None:
    said = sections['input']['heatmap']
  elif volumes is not None:
    said = volumes.features['heatmap']
  if stream and said and stream != said:
    raise errors.UserError(
      f'--stream={stream}: the configuration of {source} draws {said} heatmaps.'
      ' Leave the flag out, or give another --config=FILE.'
    )
  return stream or said


def _writer(meta: Mapping[str, Any]) -> str:
  """The code base that wrote a file, '' if its meta does not say."""
  for key, naming in _WRITERS:
    if key in meta:
      return naming
  return ''


def _count(layout: skeletons.Layout, stream: str) -> int:
  """Channels of a stream's volumes."""
  joints, limbs = layout.num_joints, len(layout.limbs)
  return {'keypoint': joints, 'limb': limbs, 'keypoint_limb': joints + limbs}[
    stream
  ]


def _candidates(
  num_channels: int, layout: skeletons.Layout | None, stream: str
) -> Iterator[tuple[skeletons.Layout, str]]:
  """Layouts and streams of as many channels, the likelier first."""
  layouts = skeletons.LAYOUTS.values() if layout is None else (layout,)
  for kind in (stream,) if stream else HEATMAPS:
    for candidate in layouts:
      is_whole = kind != 'keypoint_limb' or candidate.limbs
      if is_whole and _count(candidate, kind) == num_channels:
        yield candidate, kind


def _channels(
  num_channels: int, layout: skeletons.Layout | None, stream: str, source: str
) -> tuple[skeletons.Layout, str, list[str]]:
  """The layout and stream of the channels, and what was assumed."""
  found = list(_candidates(num_channels, layout, stream))
  if not found:
    known = skeletons.LAYOUTS.values() if layout is None else (layout,)
    listed = ', '.join(
      f'{c.name} ({c.num_joints} joints, {len(c.limbs)} limbs)' for c in known
    )
    what = f'{stream} heatmaps' if stream else 'heatmaps'
    mend = (
      'Describe its skeleton in a layout file and give --layout=FILE.json.'
      if layout is None
      else 'Give the layout and the stream that it was trained with.'
    )
    raise errors.UserError(
      f'{source} takes {what} of {num_channels} channels, one for each joint,'
      f' each limb or both, and no layout has as many: {listed}. {mend}'
    )
  chosen, kind = found[0]
  if len(found) == 1 and layout is not None or (stream and layout is not None):
    return chosen, kind, []
  assumed = 'layout' if stream else 'stream and layout'
  flags = '--layout' if stream else '--stream, --layout'
  if layout is not None:
    assumed, flags = 'stream', '--stream'
  return (
    chosen,
    kind,
    [
      f'the {num_channels} channels were taken for {kind} heatmaps of layout'
      f' {chosen.name!r}; the file does not say its {assumed} ({flags} or'
      ' --config=FILE overrides)'
    ],
  )


def _fit(
  volumes: volume_config.Volumes,
  layout: skeletons.Layout,
  num_channels: int,
  source: str,
) -> skeletons.Layout:
  fitted = volumes.fit(layout, source)
  if volumes.limbs and len(fitted.limbs) != num_channels:
    raise errors.UserError(
      f'{source} takes limb heatmaps of {num_channels} channels, but its'
      f' configuration draws {len(fitted.limbs)} limbs. Give the one that it'
      ' was trained with by --config=FILE of skeljax.convert.'
    )
  return fitted


def _input(
  network: recognize_slowonly.Network,
  naming: str,
  stream: str,
  sections: preprocessing.Sections | None,
  volumes: volume_config.Volumes | None,
) -> tuple[preprocessing.Sections, list[str]]:
  """Sections data, features and eval, and what was assumed."""
  found = _published(network, naming, stream)
  if sections is not None:
    return {name: dict(sections[name]) for name in found}, []
  if volumes is not None:
    found['data'].update(volumes.data)
    found['input'].update(volumes.features)
    size = found['input']['test_size']
    if found['input']['scaling'] == 1:
      size = _TRAINING_SIZES.get(size, size)
    found['input']['size'] = size
    found['eval']['mirrored'] = volumes.mirrored
    return found, ['input as in the configuration that it was trained with']
  size = found['input']['test_size']
  return found, [
    'the file does not say how its input was made: taken for the published test'
    f' pipeline of {naming}, {found["data"]["num_clips"]} clips of'
    f' {found["data"]["clip_len"]} frames and their mirror images,'
    f' {size}x{size} pixels (--config=FILE overrides)'
  ]


def test_of(naming: str) -> dict[str, Any]:
  """What a code base does to every clip that it tests, as our fields."""
  is_pyskl = naming == 'pyskl'
  return {
    'frames': 'uniform_pyskl' if is_pyskl else 'uniform',
    'min_score': 1e-3 if is_pyskl else 1e-4,
    'mirror': '0x' if naming == 'mmaction0x' else '1x',
  }


def _published(
  network: recognize_slowonly.Network, naming: str, stream: str
) -> preprocessing.Sections:
  """The published test pipeline of a code base."""
  test = test_of(naming)
  kind = (network.options['stage_blocks'], network.num_classes)
  test_size = 56 if _is_one_of(kind, _UCF101_HMDB51) else 64
  is_stretched = naming == 'pyskl' or _is_one_of(kind, _KINETICS)
  fields = {
    f.name: f.default
    for f in dataclasses.fields(inputs.Heatmaps)
    if f.name != 'spec'
  }
  fields |= {
    'heatmap': stream,
    'size': _TRAINING_SIZES[test_size],
    'test_size': test_size,
    'resize': 'stretch' if is_stretched else 'short_side',
    'min_score': test['min_score'],
    'mirror': test['mirror'],
  }
  return {
    'data': {
      **preprocessing.data_section(dims=2),
      'frames': test['frames'],
      'clip_len': 48,
      'num_clips': 10,
    },
    'input': fields,
    # Twenty volumes a clip: one view after the other.
    'eval': preprocessing.eval_section(
      'prob', batch_size=16, mirrored=True, views_at_once=1
    ),
  }


def _is_one_of(
  kind: tuple[tuple[int, ...], int],
  published: tuple[tuple[int, ...], tuple[int, ...]],
) -> bool:
  return kind[0] == published[0] and kind[1] in published[1]
