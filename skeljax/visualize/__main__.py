"""Draw the skeletons and PoseC3D heatmaps of a clip.

    python -m skeljax.visualize
    python -m skeljax.visualize --input=ntu60_2d.pkl --layout=coco \\
        --clip=S001C001P001R001A023 --output=figures/
    python -m skeljax.visualize --data_dir=DIR --dataset=ntu60_xsub_2d \\
        --split=val --clip=17 --color=channel --output=figures/wave

Writes a sheet (PNG: selected frames as skeletons and as heatmaps, and the
heatmaps over time) and an animation (GIF: every frame). The first command draws
a procedural demo motion; add --layout=nturgb+d for one in 3D.

Heatmaps are rendered as for PoseC3D in a test, except that the box is around
the persons of all frames. They need 2D keypoints: of a 3D clip only the
skeletons are drawn, from the front and from the side.
"""

from collections.abc import Sequence
import dataclasses
import importlib.util
import os
import typing

from absl import logging

from skeljax import cli
from skeljax import errors
from skeljax import option

if typing.TYPE_CHECKING:
  from skeljax.visualize import clips
  from skeljax.visualize import heatmaps


@dataclasses.dataclass(frozen=True)
class Options:
  """Flags of `python -m skeljax.visualize`."""

  input: str = option.field('', 'Annotation file (.pkl).')
  layout: str = option.field(
    '', 'Layout of --input: coco, nturgb+d, ... or a .json file.'
  )
  class_names: str = option.field(
    '', 'Class names of --input: ntu60, ... or a text file.'
  )
  third_channel: str = option.field(
    'auto',
    'What the third of three channels of --input is.',
    choices=('auto', 'coordinate', 'score'),
  )
  data_dir: str = option.field(
    '', 'Directory of prepared datasets; default: $SKELJAX_DATA.'
  )
  dataset: str = option.field('', 'Name of a prepared dataset.')
  split: str = option.field(
    '', 'Search in this split; default: val, or all clips of --input.'
  )
  clip: str = option.field('', 'Id or number of the clip; default: the first.')
  output: str = option.field(
    'figures/', 'Directory, or file path without .png and .gif.'
  )
  stream: str = option.field(
    'auto',
    'Heatmaps to draw below the skeletons; auto: keypoint_limb of 2D clips.',
    choices=('auto', 'keypoint_limb', 'keypoint', 'limb', 'none'),
  )
  color: str = option.field(
    'heat',
    'Color heatmaps by their value or by channel (joint or limb).',
    choices=('heat', 'channel'),
  )
  frames: int = option.field(8, 'Frames on the sheet.', minimum=1, maximum=24)
  sigma: float = option.field(
    0.6,
    'Standard deviation of the Gaussians in heatmap pixels.',
    above=0,
    maximum=1000,
  )
  size: int = option.field(64, 'Height and width of the heatmaps.', minimum=1)
  gif: bool = option.field(True, 'Write the animation.')
  # Viewers show a GIF no faster than 50 frames per second.
  fps: float = option.field(
    15.0, 'Frames per second of the animation.', minimum=0.1, maximum=50
  )

  def __post_init__(self):
    option.check(self, '--')
    if not self.output:
      raise errors.UserError(
        '--output is empty: give a directory, for example --output=figures/.'
      )
    if self.input and (self.dataset or self.data_dir):
      raise errors.UserError(
        'Give either --input (annotation file) or --data_dir and --dataset'
        ' (prepared dataset).'
      )
    for name in ('layout', 'class_names', 'third_channel'):
      if self.dataset and getattr(self, name) not in ('', 'auto'):
        raise errors.UserError(
          f'--{name} has no effect on a prepared dataset, which defines its own.'
          ' Omit it.'
        )


def define_flags() -> None:
  option.define_flags(Options)


def main(argv: Sequence[str]) -> int:
  """Draw one clip."""
  del argv
  draw(option.from_flags(Options))
  return 0


def draw(options: Options) -> list[str]:
  """Write the figures and return their paths.

  Raises:
    UserError: the clip does not exist or cannot be drawn.
  """
  for module in ('matplotlib', 'PIL'):
    if importlib.util.find_spec(module) is None:
      raise errors.UserError(
        f"{module} is not installed: pip install 'skeljax[plots]' (from a"
        " clone: pip install '.[plots]')."
      )
  # Imported late: --help does not need JAX.
  from skeljax.visualize import animation
  from skeljax.visualize import sheet

  clip = _find_clip(options)
  volumes, note = _volumes(clip, options)
  stem = file_stem(options.output, clip.file_name)
  written = [f'{stem}.png']
  sheet.save(
    written[0],
    clip,
    volumes,
    num_frames=options.frames,
    color=options.color,
    note=note,
  )
  if options.gif:
    written.append(f'{stem}.gif')
    animation.save(
      written[1], clip, volumes, color=options.color, frame_rate=options.fps
    )
  name = f' ({clip.class_name})' if clip.class_name else ''
  print(f'clip {clip.id}{name}: wrote {" and ".join(written)}')
  return written


def file_stem(output: str, file_name: str) -> str:
  """Return the path of the files to write, without their extension."""
  if output.endswith(('/', os.sep)) or os.path.isdir(output):
    return os.path.join(output, file_name)
  stem, extension = os.path.splitext(output)
  return stem if extension in ('.png', '.gif') else output


def _find_clip(options: Options) -> 'clips.Clip':
  from skeljax import demo
  from skeljax import skeletons
  from skeljax.visualize import clips

  if options.input:
    if not options.layout:
      raise errors.UserError(
        f'--layout is missing: the layout of {options.input}, one of'
        f' {", ".join(skeletons.LAYOUTS)} or a layout file (.json).'
      )
    return clips.from_annotations(
      options.input,
      skeletons.get_layout(options.layout),
      options.clip,
      split=options.split,
      class_names=options.class_names,
      third_channel=options.third_channel,
    )
  split = options.split or 'val'
  if options.dataset or options.data_dir:
    from skeljax.datasets import prepared

    root = options.data_dir or os.environ.get('SKELJAX_DATA', '')
    if not root:
      raise errors.UserError(
        f'--dataset={options.dataset}: give its directory with --data_dir=DIR'
        ' or $SKELJAX_DATA.'
      )
    if not options.dataset:
      found = ', '.join(prepared.list_datasets(root)) or 'no dataset'
      raise errors.UserError(f'--dataset is missing: {root} contains {found}.')
    return clips.from_dataset(root, options.dataset, split, options.clip)

  layout = options.layout or 'coco'
  if layout not in ('coco', 'nturgb+d'):
    raise errors.UserError(
      f'--layout={layout}: the demo motions have the layouts coco (2D) and'
      ' nturgb+d (3D). Give --input or --dataset to draw others.'
    )
  dims = 2 if layout == 'coco' else 3
  logging.info('DEMO: no --input or --dataset, drawing a procedural motion')
  name = f'demo_{dims}d_none'
  root = demo.build(name, dims, 'none')
  return clips.from_dataset(root, name, split, options.clip)


def _volumes(
  clip: 'clips.Clip', options: Options
) -> tuple[list['heatmaps.Volume'], str]:
  """The heatmap volumes to draw, and the note at the bottom of the sheet."""
  if options.stream == 'none':
    return [], ''
  reason = ''
  if clip.dims == 3:
    reason = 'Heatmaps need 2D keypoints, and this clip is 3D.'
  elif 0 in clip.img_shape:
    reason = "Heatmaps need the image size, and 'img_shape' is missing."
  if reason:
    if options.stream != 'auto':
      raise errors.UserError(
        f'--stream={options.stream}, clip {clip.id!r}: {reason} Omit --stream'
        ' to draw the skeletons only.'
      )
    logging.info('skeletons only: %s', reason)
    return [], reason
  from skeljax.visualize import heatmaps

  streams = [options.stream]
  notes = [
    'Heatmaps as in a test, but of all frames, in one box:'
    f' {options.size} × {options.size} pixels, σ {options.sigma:g}; maximum over'
    ' the channels. Sums over time are relative to the largest.'
  ]
  if options.color == 'channel':
    notes.append(
      'One hue per left-right pair, left pale, right dark, blended with the'
      ' square root of the heat.'
    )
  if options.stream in ('auto', 'keypoint_limb'):
    streams = ['keypoint', 'limb'] if clip.layout.limbs else ['keypoint']
    if not clip.layout.limbs:
      notes.append(f'Layout {clip.layout.name} has no limbs to draw.')
  if clip.score is None:
    notes.append('No scores: every joint has score 1.')
  volumes = [
    heatmaps.compute(clip, stream, sigma=options.sigma, size=options.size)
    for stream in streams
  ]
  return volumes, ' '.join(notes)


if __name__ == '__main__':
  cli.run(main, define_flags)
