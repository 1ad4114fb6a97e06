"""Convert checkpoints and scores between skeljax and PyTorch.

    python -m skeljax.convert --checkpoint=stgcnpp.pth --output=runs/stgcnpp
    python -m skeljax.convert --checkpoint=runs/joint --output=joint.pth

A .pth file of ST-GCN, ST-GCN++, 2s-AGCN, AAGCN or PoseC3D by mmaction2 (1.x or
0.x), pyskl or the authors becomes a checkpoint for every command, and the other
way round. Network, width, layout and classes are inferred from the file;
assumptions are printed. Weights and BatchNorm statistics are equal bit for bit;
the optimizer state is not converted.

    python -m skeljax.convert --scores=result.pkl --data_dir=DIR \\
        --dataset=ntu60_xsub_3d --output=result.npz
    python -m skeljax.convert --scores=joint.npz --output=joint.pkl

A score dump of mmaction2, in the order of the annotation file, becomes a score
file for skeljax.fuse, and the other way round.
"""

from collections.abc import Sequence
import dataclasses
import os
import shutil

from absl import logging
import jax
from ml_collections import config_dict
import numpy as np

from skeljax import cli
from skeljax import errors
from skeljax import option
from skeljax import pretrained
from skeljax import run as run_lib
from skeljax import score_file
from skeljax import skeletons
from skeljax.convert import checkpoint
from skeljax.convert import family
from skeljax.convert import published_config
from skeljax.convert import score_dump
from skeljax.convert import torch_file
from skeljax.datasets import class_names
from skeljax.datasets import prepared
from skeljax.datasets import spec as spec_lib
from skeljax.training import checkpoints

_NO_OPTIMIZER = 'the optimizer state is not converted'


@dataclasses.dataclass(frozen=True)
class Options:
  """Options of the command."""

  checkpoint: str = option.field('', 'A .pth file, or a workdir.')
  scores: str = option.field('', 'A score file (.npz) or a dump (.pkl).')
  output: str = option.field(
    '', 'Folder for a .pth, .pth for a workdir; .npz or .pkl for scores.'
  )
  config: str = option.field(
    '',
    'Of a .pth: the config it was trained with, configs/FILE.py[:key=value,...]'
    ' or a config of mmaction2 or pyskl.',
  )
  layout: str = option.field('', 'Of a .pth: layout, a name or a .json file.')
  num_persons: int = option.field(0, 'Of a .pth: persons per clip.', minimum=0)
  class_names: str = option.field('', 'Of a .pth: ntu60, ... or a text file.')
  heatmap: str = option.field(
    '',
    'Channels of a .pth of PoseC3D.',
    choices=('', 'keypoint', 'limb', 'keypoint_limb'),
  )
  down_stages: str = option.field(
    '', 'Of a .pth: stages with temporal stride 2, for example 5,8, or none.'
  )
  weights: str = option.field(
    '', 'Of a .pth with two sets of weights.', choices=('', 'model', 'ema')
  )
  step: str = option.field('last', 'Of a workdir: last, best or a step.')
  naming: str = option.field(
    '',
    'Tensor names of the .pth to write; default: as it came, or mmaction1x.',
    choices=('', 'mmaction1x', 'pyskl', 'mmaction0x', 'original'),
  )
  data_dir: str = option.field('', 'Root of prepared datasets.')
  dataset: str = option.field('', 'Dataset of a dump (.pkl).')
  split: str = option.field('val', 'Split of a dump (.pkl).')

  def __post_init__(self):
    option.check(self, '--')
    if bool(self.checkpoint) == bool(self.scores):
      raise errors.UserError(
        'Give either --checkpoint (a .pth file or a workdir) or --scores (an'
        ' .npz or .pkl file).'
      )
    if not self.output:
      raise errors.UserError(
        '--output is missing: the file or folder to write.'
      )
    source = self.checkpoint or self.scores
    if os.path.realpath(source) == os.path.realpath(self.output):
      raise errors.UserError(f'--output={self.output} is the input itself.')
    stages = self.down_stages
    if stages not in ('', 'none') and not stages.replace(',', '').isdigit():
      raise errors.UserError(
        f'--down_stages={stages}: expected numbers such as 5,8, or none.'
      )

  def check_used(self, used: Sequence[str], conversion: str) -> None:
    """Raise UserError for options that have no effect."""
    useless = [
      f'--{field.name}'
      for field in dataclasses.fields(self)
      if field.name not in (*used, 'checkpoint', 'scores', 'output')
      and getattr(self, field.name) != field.default
    ]
    if useless:
      raise errors.UserError(
        f'{", ".join(useless)} has no effect on the conversion of {conversion}.'
        f' Its options: {", ".join(f"--{name}" for name in used)}.'
      )


def define_flags() -> None:
  """Define the flags of the command."""
  option.define_flags(Options)


def main(argv: Sequence[str]) -> int:
  """Convert one file or folder."""
  del argv
  options = option.from_flags(Options)
  if options.scores:
    options.check_used(('data_dir', 'dataset', 'split'), 'scores')
    notes = convert_scores(options)
  elif os.path.isdir(options.checkpoint):
    options.check_used(('step', 'naming'), 'a folder to .pth')
    notes = to_torch_file(
      options.checkpoint, options.output, options.step, options.naming
    )
  else:
    options.check_used(
      (
        'config', 'layout', 'num_persons', 'class_names', 'heatmap',
        'down_stages', 'weights',
      ),
      '.pth to a folder',
    )  # fmt: skip
    notes = to_workdir(options.checkpoint, options.output, overrides(options))
  for note in notes:
    logging.info('%s', note)
  print(f'written to {options.output}')
  return 0


def overrides(options: Options) -> family.Overrides:
  """Return what the options specify about a .pth file."""
  stages = options.down_stages
  down_stages = tuple(map(int, filter(str.isdigit, stages.split(','))))
  names = options.class_names
  return family.Overrides(
    weights=options.weights,
    layout=skeletons.get_layout(options.layout) if options.layout else None,
    down_stages=down_stages if stages else None,
    num_persons=options.num_persons,
    class_names=class_names.load_class_names(names) if names else (),
    heatmap=options.heatmap,
    config=read_config(options.config) if options.config else None,
  )


def read_config(path_and_arguments: str):
  """Return a skeljax config, or the values of a published one.

  Args:
    path_and_arguments: 'configs/agcn_bone.py:dims=2', or a config file of
      mmaction2 or pyskl, which is parsed and never run.
  """
  path = path_and_arguments.partition(':')[0]
  if 'def get_config(' in published_config.read_text(path):
    return cli.load_config(path_and_arguments)
  return published_config.read(path)


def to_workdir(
  path: str, output: str, given: family.Overrides
) -> Sequence[str]:
  """Convert a .pth file to a folder with one checkpoint, at step 0.

  Returns:
    Sentences to print.
  """
  if torch_file.is_torch_file(output):
    raise errors.UserError(
      f'--checkpoint={path} is a PyTorch file, so --output={output} must be a'
      ' new folder.'
    )
  if os.path.exists(output) and (
    not os.path.isdir(output) or os.listdir(output)
  ):
    raise errors.UserError(
      f'--output={output} exists already. Name a new folder, or remove it.'
    )
  converted = checkpoint.load(path, given)
  output = os.path.abspath(output)
  temporary = f'{output}.{os.getpid()}.partial'
  os.makedirs(temporary)
  try:
    with checkpoints.Checkpoints(temporary) as saved:
      saved.save_variables(0, converted.variables, converted.meta)
    if os.path.isdir(output):
      os.rmdir(output)
    os.rename(temporary, output)
  finally:
    shutil.rmtree(temporary, ignore_errors=True)
  params = jax.tree.leaves(converted.variables['params'])
  return [
    f'{path}: {describe(converted.meta)}; names of'
    f' {converted.meta["torch"]["code_base"]},'
    f' {sum(np.size(array) for array in params):,} parameters',
    *converted.notes,
    _NO_OPTIMIZER,
  ]


def to_torch_file(
  path: str, output: str, step: str, naming: str
) -> Sequence[str]:
  """Convert a checkpoint of a workdir to a .pth file.

  Returns:
    Sentences to print.
  """
  if not torch_file.is_torch_file(output):
    raise errors.UserError(
      f'--checkpoint={path} is a folder, so --output={output} must be a PyTorch'
      ' file, for example model.pth.'
    )
  if os.path.isdir(output):
    raise errors.UserError(f'--output={output} is a folder; name a file.')
  loaded = pretrained.load(path, step)
  code_base, published = checkpoint.save(
    output, loaded.variables, loaded.meta, naming
  )
  notes = [
    f'{loaded.source}: {describe(loaded.meta)}; names of {code_base}',
    _NO_OPTIMIZER,
  ]
  if published:
    notes.append(f'to load it there: model = {published}')
  family = checkpoint.FAMILIES[loaded.config.model.name]
  return notes + family.test_differences(loaded.config, code_base)


def describe(meta) -> str:
  """Return the network and its input as one sentence."""
  config = config_dict.ConfigDict(meta['config'])
  spec = spec_lib.DataSpec.from_dict(meta['spec'], 'the checkpoint')
  run = run_lib.Run(config, spec)
  score = ' and score' if spec.has_score else ''
  flips = ' and their flips' if config.eval.mirrored else ''
  return (
    f'{checkpoint.FAMILIES[config.model.name].describe(run.model)},'
    f' {spec.num_classes} classes; layout {spec.layout.name!r}'
    f' ({spec.num_joints} joints, {spec.num_channels}D{score}),'
    f' {spec.num_persons} persons; {run.input}, {config.data.clip_len} frames'
    f' ({config.data.frames}), {config.data.num_clips} views{flips}'
  )


def convert_scores(options: Options) -> Sequence[str]:
  """Convert a dump of mmaction2 to a score file, or the other way round.

  Returns:
    Sentences to print.
  """
  path, output = options.scores, options.output
  extensions = tuple(os.path.splitext(p)[1] for p in (path, output))
  if extensions == ('.npz', '.pkl'):
    scores = score_file.read(path)
    score_dump.write(output, scores)
    return [
      f'{len(scores.ids)} samples in the order of {path}; skeljax.evaluate'
      ' writes the order of the annotation file, as mmaction2 does'
    ]
  if extensions != ('.pkl', '.npz'):
    raise errors.UserError(
      f'--scores={path} --output={output}: expected .pkl to .npz, or .npz to'
      ' .pkl.'
    )
  root = options.data_dir or os.environ.get('SKELJAX_DATA', '')
  if not (root and options.dataset):
    raise errors.UserError(
      f'{path} contains scores without sample ids. Name the prepared dataset:'
      ' --data_dir=DIR --dataset=NAME [--split=val].'
    )
  dataset = prepared.open_dataset(root, options.dataset)
  source = score_dump.source_of(dataset, options.split)
  scores = score_dump.read(path, source)
  score_file.write(output, scores)
  return [f'{len(scores.ids)} samples of {source.name}, matched by their order']


if __name__ == '__main__':
  cli.run(main, define_flags)
