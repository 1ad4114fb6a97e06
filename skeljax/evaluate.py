"""Evaluate a checkpoint: score every clip of a split exactly once.

    python -m skeljax.evaluate --checkpoint=runs/agcn_bone-demo_3d_mmaction0x \\
        --output=bone.npz

The checkpoint contains its config and the DataSpec it was trained on.
"""

from collections.abc import Mapping, Sequence
import csv
import dataclasses
import os
from typing import Any

from absl import flags
from absl import logging
import jax
from ml_collections import config_dict
from ml_collections import config_flags

from skeljax import cli
from skeljax import errors
from skeljax import pretrained
from skeljax import run as run_lib
from skeljax import score_file
from skeljax import scoring
from skeljax.datasets import prepared
from skeljax.training import metric_writer
from skeljax.training import metrics
from skeljax.training import sharding
from skeljax.training import workdir as workdirs
from skeljax.visualize import confusion as confusion_figure


def write_scores(
  path: str,
  scores: scoring.Scores,
  dataset: prepared.PreparedDataset,
  split: str,
  meta: Mapping[str, Any],
) -> None:
  """Write a score file with sample ids, to fuse or compare."""
  source = dataset.source(split)
  ids = [source[int(i)]['id'] for i in scores.index]
  score_file.write(
    path,
    score_file.ScoreSet(
      ids=tuple(ids),
      scores=scores.scores,
      labels=scores.labels,
      class_names=dataset.spec.class_names,
      average=scores.average,
      meta=dict(meta),
    ),
  )


def write_figures(
  directory: str, scores: scoring.Scores, class_names: Sequence[str], title: str
) -> None:
  """Write per_class_accuracy.csv and, with matplotlib, confusion_matrix.png."""
  predictions = scores.scores.argmax(-1)
  confusion = metrics.confusion_matrix(
    predictions, scores.labels, len(class_names)
  )
  counts = confusion.sum(-1)
  path = os.path.join(directory, 'per_class_accuracy.csv')
  with open(path, 'w', encoding='utf-8', newline='') as f:
    writer = csv.writer(f)
    writer.writerow(('label', 'name', 'clips', 'correct', 'accuracy'))
    for label, name in enumerate(class_names):
      correct = int(confusion[label, label])
      accuracy = f'{correct / counts[label]:.4f}' if counts[label] else ''
      writer.writerow((label, name, int(counts[label]), correct, accuracy))
  try:
    confusion_figure.save(
      os.path.join(directory, 'confusion_matrix.png'),
      confusion,
      class_names,
      title=title,
    )
  except ModuleNotFoundError as error:
    logging.info(
      'no confusion_matrix.png: %s is not installed; pip install'
      " 'skeljax[plots]'",
      error.name,
    )


def _score_with_progress(
  evaluator: scoring.Evaluator, variables: Mapping[str, Any]
) -> scoring.Scores:
  with metric_writer.progress_bar(
    evaluator.num_steps, unit='batch', enabled=jax.process_index() == 0
  ) as bar:
    return evaluator(variables, bar.update)


def finish_run(
  workdir: str,
  run: run_lib.Run,
  dataset: prepared.PreparedDataset,
  variables: Mapping[str, Any],
  step: int,
  scores: scoring.Scores | None = None,
) -> dict[str, float]:
  """Run the final evaluation: write scores, results and figures to workdir.

  Args:
    workdir: of the run.
    run: config, spec and mesh.
    dataset: its validation split is evaluated.
    variables: the weights at `step`.
    step: the last step.
    scores: of these weights with all views, if already known.

  Returns:
    The metrics (Scores.summary).
  """
  config = run.config
  if scores is None:
    evaluator = scoring.Evaluator(
      run,
      dataset,
      num_clips=config.data.num_clips,
      mirrored=config.eval.mirrored,
    )
    scores = _score_with_progress(evaluator, variables)
  summary = scores.summary()
  if jax.process_index() == 0:
    meta = {'config': config.name, 'stream': str(run.input)}
    write_scores(
      os.path.join(workdir, 'scores_val.npz'), scores, dataset, 'val', meta
    )
    write_figures(
      workdir, scores, run.spec.class_names, f'{config.name}, step {step}'
    )
    workdirs.write_json(
      os.path.join(workdir, workdirs.RESULTS_FILE),
      {
        'step': step,
        'split': 'val',
        'num_clips': len(scores.labels),
        'views': _num_views(config),
        'average': config.eval.average,
        **summary,
      },
    )
  return summary


def _num_views(config: config_dict.ConfigDict) -> int:
  return config.data.num_clips * (1 + config.eval.mirrored)


def define_flags() -> None:
  """Define the flags of `python -m skeljax.evaluate`."""
  flags.DEFINE_string(
    'checkpoint', None, 'Workdir of a run, or a PyTorch file (.pth).'
  )
  flags.DEFINE_string(
    'step', 'last', 'Checkpoint step: last, best or a number.'
  )
  flags.DEFINE_string('output', None, 'Score file to write, e.g. joint.npz.')
  flags.DEFINE_string('split', 'val', 'Split of the dataset: val or train.')
  flags.DEFINE_string(
    'data_dir', '', 'Root of prepared datasets. Default: as in training.'
  )
  flags.DEFINE_string(
    'dataset', '', 'Prepared dataset. Default: as in training.'
  )
  flags.DEFINE_integer(
    'num_clips', 0, 'Test views per clip (0: as in the config).'
  )
  flags.DEFINE_enum(
    'average', '', ['', 'prob', 'score'], 'What to average over the views.'
  )
  flags.DEFINE_bool(
    'mirrored',
    None,
    'PoseC3D: also score the flipped copy of each view. Default: as in the'
    ' config.',
  )
  flags.DEFINE_integer('batch_size', 0, 'Batch size (0: as in the config).')
  flags.DEFINE_enum(
    'distributed', 'auto', ['auto', 'on', 'off'], 'Join a multi-process job.'
  )
  config_flags.DEFINE_config_file(
    'config', None, 'Replaces the data and eval sections of the checkpoint.'
  )


def main(argv: Sequence[str]) -> int:
  """Evaluate a checkpoint, print its accuracy and write its scores."""
  del argv
  args = flags.FLAGS
  if not args.checkpoint:
    raise errors.UserError(
      '--checkpoint=WORKDIR_OR_PTH is missing, for example'
      ' --checkpoint=runs/agcn_bone-demo_3d_mmaction0x.'
    )
  if args.output and not args.output.endswith('.npz'):
    raise errors.UserError(
      f'--output={args.output}: score files end in .npz, for example'
      ' --output=joint.npz.'
    )
  sharding.initialize_distributed(args.distributed)
  loaded = pretrained.load(args.checkpoint, args.step)
  config = _config_of(loaded, args)
  loaded = dataclasses.replace(loaded, config=config)
  dataset = run_lib.open_dataset(config)
  run = run_lib.Run(config, loaded.spec_for(dataset))
  for note in run.input.notes(dataset.metadata.get('num_cut', 0)):
    logging.info('%s', note)
  evaluator = scoring.Evaluator(
    run,
    dataset,
    split=args.split,
    num_clips=config.data.num_clips,
    mirrored=config.eval.mirrored,
  )
  variables = jax.device_put(loaded.variables, sharding.replicated(run.mesh))
  scores = _score_with_progress(evaluator, variables)
  summary = scores.summary()
  if jax.process_index() == 0:
    print(
      f'{loaded.source} on {dataset.name} {args.split}'
      f' ({len(scores.labels)} clips, {_num_views(config)} views):'
      f' {scoring.format_summary(summary)}'
    )
    if args.output:
      meta = {'config': config.name, 'stream': str(run.input)}
      write_scores(args.output, scores, dataset, args.split, meta)
      print(f'scores written to {args.output}')
  return 0


def _config_of(loaded: pretrained.Pretrained, args) -> config_dict.ConfigDict:
  """Return the config of the checkpoint, with the values of the flags."""
  config = config_dict.ConfigDict(loaded.config.to_dict())
  if args.config is not None:
    loaded.check_input_kind(args.config, '--config')
    # A PyTorch file specifies neither its frames nor its stream.
    sections = ('data', 'eval') + ('input',) * loaded.is_assumed
    for section in sections:
      config[section] = args.config[section]
  if args.data_dir:
    config.data.dir = args.data_dir
  if args.dataset:
    config.data.dataset = args.dataset
  if args.num_clips:
    config.data.num_clips = args.num_clips
  if args.mirrored is not None:
    config.eval.mirrored = args.mirrored
  if args.average:
    config.eval.average = args.average
  if args.batch_size:
    config.eval.batch_size = args.batch_size
  return config


if __name__ == '__main__':
  cli.run(main, define_flags)
