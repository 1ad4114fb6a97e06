"""What `python -m skeljax.convert` does, one function a direction.

Each gives sentences to print. Nothing half-written stays behind.
"""

from collections.abc import Sequence
import os
import shutil
import tempfile

import jax
from ml_collections import config_dict
import numpy as np

from skeljax import cli
from skeljax import errors
from skeljax import models
from skeljax import pretrained
from skeljax import run as run_lib
from skeljax import score_file
from skeljax.convert import published_config
from skeljax.convert import published_model
from skeljax.convert import score_dump
from skeljax.convert import skeljax_to_torch
from skeljax.convert import slowonly_config
from skeljax.convert import torch_checkpoint
from skeljax.convert import torch_to_skeljax
from skeljax.convert import volume_files
from skeljax.datasets import prepared as datasets
from skeljax.datasets.spec import DataSpec
from skeljax.training import checkpoints

_OPTIMIZER = "the optimiser's state is not converted"


def read_configuration(path_and_words: str) -> torch_to_skeljax.Given:
  """What a configuration says of the input: of skeljax, mmaction2 or pyskl.

  Args:
    path_and_words: 'configs/agcn_bone.py', or a published file, which is
      parsed and never run; '' for none.
  """
  if not path_and_words:
    return torch_to_skeljax.Given()
  path = path_and_words.partition(':')[0]
  if not os.path.isfile(path):
    raise errors.UserError(f'--config={path}: no such file.')
  if 'def get_config(' not in published_config.read_text(path):
    values = published_config.read(path)
    pipeline = published_config.test_pipeline(values)
    return torch_to_skeljax.Given(
      pipeline=pipeline,
      takes_volumes=published_config.takes_volumes(pipeline),
      options=slowonly_config.network_options(values) or None,
    )
  config = cli.load_config(path_and_words)
  sections = ('data', 'input', 'eval')
  takes_volumes = models.input_kind(config.model.name) == 'heatmaps'
  return torch_to_skeljax.Given(
    sections={name: config[name].to_dict() for name in sections},
    takes_volumes=takes_volumes,
    options=slowonly_config.own_options(config) if takes_volumes else None,
  )


def to_workdir(
  path: str, output: str, given: torch_to_skeljax.Given
) -> Sequence[str]:
  """A .pth file becomes a folder with one checkpoint, at step 0."""
  if torch_checkpoint.is_torch_file(output):
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
  converted = torch_to_skeljax.load(path, given)
  output = os.path.abspath(output)
  os.makedirs(os.path.dirname(output), exist_ok=True)
  temporary = tempfile.mkdtemp(dir=os.path.dirname(output), prefix='.convert.')
  try:
    with checkpoints.Checkpoints(temporary) as saved:
      saved.save_variables(0, converted.variables, converted.meta)
    # mkdtemp makes folders that only the owner reads.
    os.chmod(temporary, 0o777 & ~_umask())
    if os.path.isdir(output):
      os.rmdir(output)
    os.rename(temporary, output)
  finally:
    shutil.rmtree(temporary, ignore_errors=True)
  config = config_dict.ConfigDict(converted.meta['config'])
  spec = DataSpec.from_dict(converted.meta['spec'], source=path)
  count = sum(
    np.size(a) for a in jax.tree.leaves(converted.variables['params'])
  )
  return (
    f'{path}: {describe(config, spec)}; names of {converted.naming},'
    f' {count:,} parameters',
    *converted.notes,
    _OPTIMIZER,
  )


def describe(config: config_dict.ConfigDict, spec: DataSpec) -> str:
  """A network and its input in one sentence."""
  # Built, because a configuration leaves out what has its default.
  model, data = run_lib.Run(config, spec).model, config.data
  score = ' and score' if spec.has_score else ''
  skeleton = (
    f'layout {spec.layout.name!r} ({spec.layout.num_joints} joints,'
    f' {spec.num_channels}D{score})'
  )
  frames = f'{data.clip_len} frames ({data.frames}), {data.num_clips} views'
  if models.input_kind(config.model.name) == 'heatmaps':
    blocks = '-'.join(map(str, model.stage_blocks))
    mirrored = ' and their mirror images' if config.eval.mirrored else ''
    size = run_lib.Run(config, spec).input.side(train=False)
    return (
      f'{config.model.name} ({model.inflate_style}), {blocks} blocks from'
      f' {model.base_channels} channels, {spec.num_classes} classes;'
      f' {skeleton}; {config.input.heatmap} heatmaps of {size}x{size} pixels,'
      f' {frames}{mirrored}'
    )
  if config.model.name == 'agcn':
    kind = model.variant + (', attention' if model.attention else '')
  else:
    kind = f'{model.adaptive}, {model.tcn_type}'
  return (
    f'{config.model.name} ({kind}), {model.num_stages} stages from'
    f' {model.base_channels} channels, {spec.num_classes} classes; {skeleton},'
    f' graph {config.graph.mode!r}; {config.input.stream} stream,'
    f' {spec.num_persons} persons, {frames}'
  )


def to_torch_file(
  path: str, output: str, step: str, naming: str
) -> Sequence[str]:
  """A workdir's checkpoint becomes a .pth file."""
  if not torch_checkpoint.is_torch_file(output):
    raise errors.UserError(
      f'--checkpoint={path} is a folder, so --output={output} must be a PyTorch'
      ' file, for example model.pth.'
    )
  if os.path.isdir(output):
    raise errors.UserError(f'--output={output} is a folder; name a file.')
  loaded = pretrained.load(path, step)
  used = skeljax_to_torch.save(output, loaded.variables, loaded.meta, naming)
  said = [
    f'{loaded.source}: {describe(loaded.config, loaded.spec)}; names of {used}',
    _OPTIMIZER,
  ]
  if published_model.is_known(loaded.config, used):
    model = published_model.recognizer(loaded.config, loaded.spec, used)
    said.append(f'it is loaded there by model = {model}')
  if models.input_kind(loaded.config.model.name) == 'heatmaps':
    said += _other_tests(loaded.config, used)
  return said


def _other_tests(config: config_dict.ConfigDict, naming: str) -> Sequence[str]:
  """What a code base cannot do as a checkpoint of PoseC3D was tested.

  How the picture becomes square (input.resize) is not among it: each does
  both, as its configuration says.
  """
  ours = volume_files.test_of(naming)
  own = {name: config.input[name] for name in ('mirror', 'min_score')}
  own['frames'] = config.data.frames
  if not config.eval.mirrored:
    own['mirror'] = ours['mirror']
  return [
    f'it was tested with {name}={own[name]!r}, where {naming} has'
    f' {ours[name]!r}: the scores there differ a little'
    for name in own
    if own[name] != ours[name]
  ]


def convert_scores(
  path: str, output: str, data_dir: str, dataset: str, split: str
) -> Sequence[str]:
  """A dump of mmaction2 becomes a score file, or the other way round."""
  kinds = tuple(os.path.splitext(p)[1] for p in (path, output))
  if kinds == ('.npz', '.pkl'):
    scores = score_file.read(path)
    score_dump.write(output, scores)
    return (
      f'{len(scores.ids)} samples in the order of {path}; that of'
      ' skeljax.evaluate is the order of the annotation file, as in mmaction2',
    )
  if kinds != ('.pkl', '.npz'):
    raise errors.UserError(
      f'--scores={path} --output={output}: a dump .pkl becomes a score file'
      ' .npz, and a score file .npz a dump .pkl.'
    )
  root = data_dir or os.environ.get('SKELJAX_DATA', '')
  if not (root and dataset):
    raise errors.UserError(
      f'{path} holds scores without sample ids. Name the prepared dataset they'
      ' are of: --data_dir=DIR --dataset=NAME [--split=val].'
    )
  prepared = datasets.open_dataset(root, dataset)
  source = score_dump.source_of(prepared, split)
  scores = score_dump.read(path, source)
  score_file.write(output, scores)
  return (f'{len(scores.ids)} samples of {source.name}, joined by their order',)


def _umask() -> int:
  # It can only be read by setting it.
  umask = os.umask(0)
  os.umask(umask)
  return umask
