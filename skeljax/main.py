"""Trains a model, evaluates it, and continues where it was stopped.

    python -m skeljax.main --config=configs/agcn_bone.py
    python -m skeljax.main --config=configs/agcn_bone.py:u100,joint \\
        --config.data.dir=DIR --workdir=runs/first

Words after the colon choose recipe (published, u100, ucla), stream (joint,
bone, joint_motion, bone_motion), 2d or 3d, benchmark and dataset; `:help`
explains those of a configuration and prints every field. Without a data
directory the demo motions are made and used. The same command continues a run
that was stopped, and says so when it is done.
"""

from collections.abc import Mapping, Sequence
import os
from typing import Any

from absl import flags
from absl import logging
from ml_collections import config_dict
from ml_collections import config_flags

from skeljax import cli
from skeljax import demo
from skeljax import errors

INTERRUPTED_STATUS = 143  # 128 + SIGTERM, as shells and schedulers expect.


def define_flags() -> None:
  """Flags of `python -m skeljax.main`."""
  config_flags.DEFINE_config_file(
    'config',
    None,
    'Configuration file, words after a colon: configs/agcn_bone.py:help',
    lock_config=True,
  )
  flags.DEFINE_string(
    'workdir', None, 'Run directory; runs/<config>-<words>-<dataset>.'
  )
  flags.DEFINE_enum(
    'distributed',
    'auto',
    ['auto', 'on', 'off'],
    'Join the processes of one job: auto when TPU, Slurm or Open MPI say so.',
  )


def main(argv: Sequence[str]) -> int:
  """Chooses the data, trains, evaluates; the exit status."""
  del argv
  config = flags.FLAGS.config
  if config is None:
    raise errors.UserError(
      '--config=FILE is missing, for example'
      ' --config=configs/agcn_bone.py; --help explains.'
    )
  if not isinstance(config, config_dict.ConfigDict):
    # ml_collections puts an object there that fails on first use.
    path = config_flags.get_config_filename(flags.FLAGS['config'])
    cli.load_config(path)
  overrides = config_flags.get_override_values(flags.FLAGS['config'])
  if config.deterministic:
    # Read when the first backend starts, which is later than here.
    os.environ['XLA_FLAGS'] = (
      os.environ.get('XLA_FLAGS', '') + ' --xla_gpu_deterministic_ops=true'
    )
  # Imported late: grain's worker processes import this module again.
  from skeljax import train
  from skeljax.training import sharding
  from skeljax.training import workdir as workdirs

  sharding.initialize_distributed(flags.FLAGS.distributed)
  choose_data(config, overrides)
  path = flags.FLAGS.workdir or workdirs.default_path(config)
  result = train.train(config, path)
  if result.interrupted:
    logging.info('the same command continues from there')
    return INTERRUPTED_STATUS
  _tell(config, path, result)
  return 0


def _tell(config: config_dict.ConfigDict, path: str, result: Any) -> None:
  import jax

  from skeljax import scoring

  if jax.process_index():
    return
  if result.was_done:
    print(f'{path} is done: all steps are trained and evaluated.')
  data = ' demo motions' if config.use_demo else f' {config.data.dataset}'
  print(
    f'{config.name} on the validation split of{data}:'
    f' {scoring.format_summary(result.summary)}'
  )
  print(f'weights, scores and pictures are in {path}')


def choose_data(
  config: config_dict.ConfigDict, overrides: Mapping[str, Any]
) -> None:
  """Settles data.dir, or turns to the demo motions and says so loudly.

  Args:
    config: changed in place.
    overrides: what the user set, {'section.field': value}.

  Raises:
    UserError: a dataset was named but no directory, or the demo was asked for
      on several processes.
  """
  root = config.data.dir or os.environ.get('SKELJAX_DATA', '')
  named = config.dataset_word or overrides.get('data.dataset', '')
  if root and not config.use_demo:
    config.data.dir = os.path.abspath(root)
    _check_dataset_word(config)
    return
  if named:
    raise errors.UserError(
      f'The dataset {named!r} was named, but no data directory. Give its root'
      ' with --config.data.dir=DIR or $SKELJAX_DATA. (Known words after the'
      f' colon: {", ".join(config.known_words)}; any other word is a dataset.)'
    )
  use_demo(config, overrides)


def _check_dataset_word(config: config_dict.ConfigDict) -> None:
  from skeljax.datasets import prepared

  if not config.dataset_word:
    return
  found = prepared.list_datasets(config.data.dir)
  if config.dataset_word not in found:
    raise errors.UserError(
      f'{config.dataset_word!r} after the colon is neither a known word'
      f' ({", ".join(config.known_words)}) nor a dataset in'
      f' {config.data.dir} ({", ".join(found) or "which holds none"}).'
    )


def use_demo(
  config: config_dict.ConfigDict, overrides: Mapping[str, Any]
) -> None:
  """Applies config.demo to every field the user left alone; makes the data."""
  import jax

  if jax.process_count() > 1:
    raise errors.UserError(
      'The demo motions are for a single process. Prepare a dataset and name'
      ' its root with --config.data.dir=DIR.'
    )
  config.use_demo = True
  for section, fields in config.demo.items():
    for field, value in fields.items():
      if f'{section}.{field}' not in overrides:
        config[section][field] = value
  config.data.dataset = f'{config.data.dataset}_{config.data.normalize}'
  logging.info(
    'DEMO: no data directory, so this trains on procedural demo motions (%s),'
    ' with a narrow model. For real data see --config.data.dir in README.md.',
    config.data.dataset,
  )
  config.data.dir = demo.build(
    config.data.dataset, config.data.dims, config.data.normalize
  )


if __name__ == '__main__':
  cli.run(main, define_flags)
