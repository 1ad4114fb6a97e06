"""Draws a clip: its skeletons, its keypoint volume and its limb volume.

    python -m skeljax.visualize
    python -m skeljax.visualize --input=ntu60_2d.pkl --layout=coco \\
        --clip=S001C001P001R001A023 --output=figures/
    python -m skeljax.visualize --data_dir=DIR --dataset=ntu60_xsub_2d \\
        --split=val --clip=17 --color=channel --output=figures/wave

Writes a sheet (PNG: the same few frames as skeletons and as volumes, and the
volumes over time) and an animation (GIF: every frame, in a loop). The first
line draws one of the procedural demo motions; --layout=nturgb+d takes them in
3D. A clip is named by its id or by its number from 0; --output is a folder, or
the names of the files without their endings.

Volumes are drawn as for PoseC3D in a test: one box, --size pixels wide, Gaussians
of --sigma pixels, weighted with the scores. Here the box is around the persons
of all frames, there around those of the chosen frames. Volumes are made of 2D
keypoints, so a 3D clip is drawn as skeletons only, from the front and from the
side.
"""

from collections.abc import Sequence
import importlib.util
import os
import typing

from absl import flags
from absl import logging

from skeljax import cli
from skeljax import errors

if typing.TYPE_CHECKING:
  from skeljax.visualize import clips

_MOST_COLUMNS = 24


_STRINGS = (
  ('input', '', 'Annotation file (.pkl).'),
  ('layout', '', 'Its joints: coco, nturgb+d, ... or a .json file.'),
  ('class_names', '', 'Its classes: ntu60, ... or a text file.'),
  ('data_dir', '', 'Root of prepared datasets; $SKELJAX_DATA.'),
  ('dataset', '', 'Name of a prepared dataset.'),
  ('split', '', 'Search in this split; val, or all of an annotation file.'),
  ('clip', '', 'Id or number of the clip; the first.'),
  ('output', 'pictures/', 'Folder/, or the files without .png and .gif.'),
)
_ENUMS = (
  (
    'third_channel',
    ('auto', 'coordinate', 'score'),
    'What the third of three channels of --input is.',
  ),
  (
    'stream',
    ('keypoint_limb', 'keypoint', 'limb', 'none'),
    'Volumes to draw beside the skeletons.',
  ),
  (
    'color',
    ('heat', 'channel'),
    'Colour of a volume: how hot, or which joint or limb.',
  ),
)


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
  """Flags of `python -m skeljax.visualize`."""
  for name, default, text in _STRINGS:
    flags.DEFINE_string(name, default, text, values)
  for name, choices, text in _ENUMS:
    flags.DEFINE_enum(name, choices[0], choices, text, values)
  flags.DEFINE_integer('frames', 8, 'Columns of the sheet.', flag_values=values)
  flags.DEFINE_float(
    'sigma', 0.6, 'Of the Gaussians, heatmap pixels.', flag_values=values
  )
  flags.DEFINE_integer('size', 64, 'Sides of the heatmaps.', flag_values=values)
  flags.DEFINE_float(
    'fps', 15.0, 'Frames a second of the animation.', flag_values=values
  )
  flags.DEFINE_boolean('gif', True, 'Write the animation.', flag_values=values)


def main(argv: Sequence[str]) -> int:
  """Draws one clip."""
  del argv
  draw(flags.FLAGS)
  return 0


def draw(args: flags.FlagValues) -> list[str]:
  """Writes the pictures that the flags ask for; returns their paths.

  Raises:
    UserError: the flags contradict each other, or the clip cannot be drawn.
  """
  _check_flags(args)
  # Imported late: --help needs no JAX.
  from skeljax.visualize import animation
  from skeljax.visualize import sheet

  clip = _find_clip(args)
  drawn, note = _volumes(clip, args)
  stem = file_stem(args.output, clip.file_name)
  sheet.save(
    f'{stem}.png',
    clip,
    drawn,
    num_frames=args.frames,
    color=args.color,
    note=note,
  )
  written = [f'{stem}.png']
  if args.gif:
    animation.save(
      f'{stem}.gif', clip, drawn, color=args.color, frame_rate=args.fps
    )
    written.append(f'{stem}.gif')
  name = f' ({clip.class_name})' if clip.class_name else ''
  print(f'clip {clip.id}{name}: wrote {" and ".join(written)}')
  return written


def file_stem(output: str, file_name: str) -> str:
  """The path of the files to write, without their endings."""
  if output.endswith(('/', os.sep)) or os.path.isdir(output):
    return os.path.join(output, file_name)
  stem, ending = os.path.splitext(output)
  return stem if ending in ('.png', '.gif') else output


def _check_flags(args: flags.FlagValues) -> None:
  for module in ('matplotlib', 'PIL'):
    if importlib.util.find_spec(module) is None:
      raise errors.UserError(
        f'Pictures need the package {module}, which is not installed: pip'
        " install 'skeljax[pictures]'. (From the clone: pip install"
        " '.[pictures]'.)"
      )
  if args.input and (args.dataset or args.data_dir):
    raise errors.UserError(
      'Give either --input (an annotation file) or --data_dir and --dataset (a'
      ' prepared dataset); --help explains.'
    )
  if not 1 <= args.frames <= _MOST_COLUMNS:
    raise errors.UserError(
      f'--frames={args.frames}: a sheet has 1 to {_MOST_COLUMNS} columns. The'
      ' animation shows every frame.'
    )
  if not 0.1 <= args.fps <= 50:
    raise errors.UserError(
      f'--fps={args.fps:g}: expected 0.1 to 50 frames a second; viewers show a'
      ' GIF no faster.'
    )
  # Written so that NaN fails too.
  if not 0 < args.sigma < float('inf'):
    raise errors.UserError(
      f'--sigma={args.sigma:g}: the width of a Gaussian is a number of pixels'
      ' above 0.'
    )
  if args.size < 1:
    raise errors.UserError(
      f'--size={args.size}: a heatmap has at least 1 pixel, and 64 as published.'
    )
  if not args.output:
    raise errors.UserError(
      '--output is empty: name a folder, such as --output=pictures/, or the'
      ' files without .png and .gif.'
    )
  given = [
    f'--{name}'
    for name in ('layout', 'class_names', 'third_channel')
    if args[name].present
  ]
  if args.dataset and given:
    raise errors.UserError(
      f'{", ".join(given)} has no effect on a prepared dataset, which knows its'
      ' own layout, classes and channels. Leave it out.'
    )


def _find_clip(args: flags.FlagValues) -> 'clips.Clip':
  from skeljax import demo
  from skeljax import skeletons
  from skeljax.visualize import clips

  if args.input:
    if not args.layout:
      raise errors.UserError(
        f'--layout is missing: which joints {args.input} has. One of'
        f' {", ".join(skeletons.LAYOUTS)}, or a layout file of your own (.json).'
      )
    return clips.from_annotations(
      args.input,
      skeletons.get_layout(args.layout),
      args.clip,
      split=args.split,
      class_names=args.class_names,
      third_channel=args.third_channel,
    )
  split = args.split or 'val'
  if args.dataset or args.data_dir:
    from skeljax.datasets import prepared

    root = args.data_dir or os.environ.get('SKELJAX_DATA', '')
    if not root:
      raise errors.UserError(
        f'--dataset={args.dataset}: where is it? Give the root of the prepared'
        ' datasets with --data_dir=DIR or $SKELJAX_DATA.'
      )
    if not args.dataset:
      found = ', '.join(prepared.list_datasets(root)) or 'none'
      raise errors.UserError(
        f'--dataset is missing: the dataset to draw from. In {root} there is'
        f' {found}.'
      )
    return clips.from_dataset(root, args.dataset, split, args.clip)

  layout = args.layout or 'coco'
  if layout not in ('coco', 'nturgb+d'):
    raise errors.UserError(
      f'--layout={layout}: without --input and --dataset the demo motions are'
      ' drawn, which have the layouts coco (2D) and nturgb+d (3D).'
    )
  dims = 2 if layout == 'coco' else 3
  logging.info(
    'DEMO: neither --input nor --dataset, so this draws a procedural demo'
    ' motion'
  )
  name = f'demo_{dims}d_none'
  root = demo.build(name, dims, 'none')
  return clips.from_dataset(root, name, split, args.clip)


def _volumes(clip: 'clips.Clip', args: flags.FlagValues) -> tuple[list, str]:
  """The volumes to draw, and the line below the sheet that explains them."""
  streams = {
    'keypoint_limb': ['keypoint', 'limb'],
    'none': [],
  }.get(args.stream, [args.stream])
  if not streams:
    return [], ''
  reason = _why_no_volumes(clip)
  if reason:
    if args['stream'].present:
      raise errors.UserError(
        f'--stream={args.stream}, clip {clip.id!r}: {reason} Leave --stream out'
        ' to draw its skeletons.'
      )
    logging.info('skeletons only: %s', reason)
    return [], reason
  notes = []
  if 'limb' in streams and not clip.layout.limbs and args.stream != 'limb':
    notes.append(
      f'Layout {clip.layout.name} lists no limbs, so there is no limb volume.'
    )
    logging.info('%s', notes[0])
    streams.remove('limb')
  if clip.score is None:
    notes.append('No scores: every joint has score 1.')

  from skeljax.visualize import volumes

  drawn = [
    volumes.compute(clip, stream, sigma=args.sigma, size=args.size)
    for stream in streams
  ]
  return drawn, ' '.join([explain(args.sigma, args.size, args.color), *notes])


def _why_no_volumes(clip: 'clips.Clip') -> str:
  if clip.dims == 3:
    return (
      'Heatmap volumes are made of 2D keypoints in a picture, and these are 3D.'
    )
  if 0 in clip.img_shape:
    return (
      "Heatmap volumes need the size of the picture, and 'img_shape' is"
      ' missing.'
    )
  return ''


def explain(sigma: float, size: int, color: str) -> str:
  """What the volumes on a sheet show, for its last line."""
  text = (
    f'Volumes drawn as in a test, but of all frames, in one box: {size} × {size}'
    f' pixels, σ {sigma:g}; largest value over the channels.'
  )
  if color == 'channel':
    return text + (
      ' A pair of mirrored channels has one hue, left pale, right dark; ink is'
      ' the square root of heat, over time relative to the largest sum.'
    )
  return text + ' Over time 1 stands for the largest sum.'


if __name__ == '__main__':
  cli.run(main, define_flags)
