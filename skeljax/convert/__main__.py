"""Carries checkpoints and scores between skeljax and PyTorch code.

    python -m skeljax.convert --checkpoint=stgcnpp.pth --output=runs/stgcnpp
    python -m skeljax.convert --checkpoint=runs/joint --output=joint.pth

A .pth file of ST-GCN, ST-GCN++, 2s-AGCN, AAGCN or PoseC3D by mmaction2 (1.x or
0.x), pyskl or the authors of the papers becomes a checkpoint that every command
takes, or a checkpoint becomes such a file. Network, width, layout and classes
are told from the file; what was assumed is printed. Weights and BatchNorm
statistics are carried bit for bit, the optimiser's state is not.

    python -m skeljax.convert --scores=result.pkl --data_dir=DIR \\
        --dataset=ntu60_xsub_3d --output=result.npz
    python -m skeljax.convert --scores=joint.npz --output=joint.pkl

Scores that mmaction2 dumped, in the order of the annotation file, become a
score file for skeljax.fuse, or the other way round.
"""

from collections.abc import Sequence
import dataclasses
import os

from absl import flags
from absl import logging

from skeljax import cli
from skeljax import errors


def define_flags() -> None:
  """Flags of `python -m skeljax.convert`."""
  flags.DEFINE_string('checkpoint', None, 'A .pth file, or a workdir.')
  flags.DEFINE_string(
    'output', None, 'Folder for a .pth, .pth for a workdir; .npz or .pkl.'
  )
  flags.DEFINE_string('step', 'last', 'Of a workdir: last, best or a step.')
  flags.DEFINE_enum(
    'naming',
    '',
    ['', 'mmaction1x', 'pyskl', 'mmaction0x', 'original'],
    'Whose names the .pth to write has; as it came, or mmaction1x.',
  )
  flags.DEFINE_string(
    'config',
    '',
    'How the input of a .pth was made: configs/FILE.py[:key=value,...], or the'
    ' configuration of mmaction2 or pyskl that it was trained with.',
  )
  flags.DEFINE_string('layout', '', 'Layout of a .pth, a name or a .json file.')
  flags.DEFINE_integer('num_persons', 0, 'Persons that a .pth was trained for.')
  flags.DEFINE_string(
    'class_names', '', 'Of a .pth: ntu60, ... or a text file.'
  )
  flags.DEFINE_enum(
    'stream',
    '',
    ['', 'keypoint', 'limb', 'keypoint_limb'],
    'What the channels of a .pth of PoseC3D are.',
  )
  flags.DEFINE_list('down_stages', None, 'Stages of a .pth with stride 2: 5,8.')
  flags.DEFINE_enum(
    'weights', '', ['', 'model', 'ema'], 'Which of two a .pth has.'
  )
  flags.DEFINE_string('scores', None, 'A score file (.npz) or a dump (.pkl).')
  flags.DEFINE_string('data_dir', '', 'Root of prepared datasets.')
  flags.DEFINE_string('dataset', '', 'Dataset that a dump (.pkl) is of.')
  flags.DEFINE_string('split', 'val', 'Split that a dump (.pkl) is of.')


# What each direction takes besides --output.
_FLAGS = {
  '.pth to a folder': (
    'checkpoint', 'config', 'layout', 'num_persons', 'class_names',
    'stream', 'down_stages', 'weights',
  ),
  'folder to .pth': ('checkpoint', 'step', 'naming'),
  'scores': ('scores', 'data_dir', 'dataset', 'split'),
}  # fmt: skip


def _check_flags(direction: str) -> None:
  """Raises UserError for a flag that would have no effect."""
  known = {name for names in _FLAGS.values() for name in names}
  useless = [
    f'--{name}'
    for name in sorted(known - set(_FLAGS[direction]))
    if flags.FLAGS[name].present
  ]
  if useless:
    raise errors.UserError(
      f'{", ".join(useless)} has no effect on the conversion of {direction};'
      f' that takes {", ".join(f"--{name}" for name in _FLAGS[direction])}.'
    )


def main(argv: Sequence[str]) -> int:
  """Converts one file or folder."""
  del argv
  args = flags.FLAGS
  if bool(args.checkpoint) == bool(args.scores):
    raise errors.UserError(
      'Give either --checkpoint (a .pth file or a workdir) or --scores (an .npz'
      ' or .pkl file); --help explains.'
    )
  if not args.output:
    raise errors.UserError('--output is missing: the file or folder to write.')
  # Imported late: --help needs no JAX.
  from skeljax.convert import commands

  source = args.checkpoint or args.scores
  if os.path.realpath(source) == os.path.realpath(args.output):
    raise errors.UserError(f'--output={args.output} is the input itself.')
  if args.scores:
    _check_flags('scores')
    said = commands.convert_scores(
      args.scores, args.output, args.data_dir, args.dataset, args.split
    )
  elif os.path.isdir(args.checkpoint):
    _check_flags('folder to .pth')
    said = commands.to_torch_file(
      args.checkpoint, args.output, args.step, args.naming
    )
  else:
    _check_flags('.pth to a folder')
    said = commands.to_workdir(args.checkpoint, args.output, _given(args))
  for line in said:
    logging.info('%s', line)
  print(f'written to {args.output}')
  return 0


def _given(args):
  from skeljax import skeletons
  from skeljax.convert import commands
  from skeljax.datasets import class_names

  stages = args.down_stages
  if stages is not None and not all(s.isdigit() for s in stages):
    raise errors.UserError(
      f'--down_stages={",".join(stages)}: expected numbers, such as 5,8.'
    )
  names = ()
  if args.class_names:
    names = class_names.load_class_names(args.class_names)
  return dataclasses.replace(
    commands.read_configuration(args.config),
    weights=args.weights,
    stream=args.stream,
    layout=skeletons.get_layout(args.layout) if args.layout else None,
    down_stages=None if stages is None else tuple(map(int, stages)),
    num_persons=args.num_persons,
    class_names=names,
  )


if __name__ == '__main__':
  cli.run(main, define_flags)
