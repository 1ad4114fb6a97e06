"""Train and evaluate a model, or continue a stopped run.

    python -m skeljax.main --config=configs/agcn_bone.py
    python -m skeljax.main \\
        --config=configs/stgcn_mmaction1x.py:stream=bone,dims=2 \\
        --config.data.dir=DIR --workdir=runs/first

Config arguments (key=value pairs) choose stream, dataset and the
like; `:help` prints them and all fields. Without a data directory the demo
motions are prepared and used. The same command continues a stopped run.
"""

from collections.abc import Collection, Sequence
import os

from absl import flags
from absl import logging
from ml_collections import config_dict
from ml_collections import config_flags

from skeljax import cli
from skeljax import demo
from skeljax import errors

INTERRUPTED_STATUS = 143  # 128 + SIGTERM, as shells and schedulers expect.


def define_flags() -> None:
  """Define the flags of `python -m skeljax.main`."""
  config_flags.DEFINE_config_file(
    'config',
    None,
    'Config file with arguments: configs/agcn_bone.py:stream=joint; :help'
    ' lists them.',
    lock_config=True,
  )
  flags.DEFINE_string(
    'workdir', None, 'Run directory; runs/<config>-<stream>-<dataset>.'
  )
  flags.DEFINE_enum(
    'distributed',
    'auto',
    ['auto', 'on', 'off'],
    'Connect the processes of one job; auto: on TPU, Slurm and Open MPI.',
  )


def main(argv: Sequence[str]) -> int:
  """Choose the data, train and evaluate; return the exit status."""
  del argv
  flag = flags.FLAGS['config']
  config = flag.value
  if config is None:
    raise errors.UserError(
      '--config=FILE is missing, for example --config=configs/agcn_bone.py.'
    )
  config_file = config_flags.get_config_filename(flag)
  if not isinstance(config, config_dict.ConfigDict):
    # ml_collections stores a placeholder if the file cannot be opened.
    config = cli.load_config(config_file)
  user_fields = set(config_flags.get_override_values(flag))
  if 'dataset=' in config_file:
    user_fields.add('data.dataset')
  if config.deterministic:
    # Must be set before the first backend starts.
    os.environ['XLA_FLAGS'] = (
      os.environ.get('XLA_FLAGS', '') + ' --xla_gpu_deterministic_ops=true'
    )
  # Imported here because Grain's worker processes import this module again.
  import jax

  from skeljax import scoring
  from skeljax import train
  from skeljax.training import sharding
  from skeljax.training import workdir as workdirs

  sharding.initialize_distributed(flags.FLAGS.distributed)
  choose_data(config, user_fields)
  path = flags.FLAGS.workdir or workdirs.default_path(config)
  result = train.train(config, path)
  if result.interrupted:
    logging.info('the same command continues this run')
    return INTERRUPTED_STATUS
  if jax.process_index() == 0:
    if result.was_done:
      print(f'{path} is complete: all steps are trained and evaluated.')
    print(
      f'{config.name} on the validation split of {config.data.dataset}:'
      f' {scoring.format_summary(result.summary)}'
    )
    print(f'weights, scores and figures are in {path}')
  return 0


def choose_data(
  config: config_dict.ConfigDict, user_fields: Collection[str]
) -> None:
  """Set data.dir, or switch to the demo if no data directory is set.

  Args:
    config: changed in place.
    user_fields: the fields that the user set, such as 'train.epochs'.

  Raises:
    UserError: the user named a dataset but no data directory.
  """
  root = config.data.dir or os.environ.get('SKELJAX_DATA', '')
  if root and not config.data.demo:
    config.data.dir = os.path.abspath(root)
    return
  if 'data.dataset' in user_fields:
    raise errors.UserError(
      f'No data directory for the dataset {config.data.dataset!r}. Set it with'
      ' --config.data.dir=DIR or $SKELJAX_DATA, and leave out demo=True.'
    )
  use_demo(config, user_fields)


def use_demo(
  config: config_dict.ConfigDict, user_fields: Collection[str]
) -> None:
  """Apply config.demo to the fields that the user did not set; make the data.

  Raises:
    UserError: the job has several processes.
  """
  import jax

  if jax.process_count() > 1:
    raise errors.UserError(
      'The demo motions are for a single process. Prepare a dataset and set'
      ' --config.data.dir=DIR.'
    )
  config.data.demo = True
  for section, fields in config.demo.items():
    for field, value in fields.items():
      if f'{section}.{field}' not in user_fields:
        config[section][field] = value
  config.data.dataset = f'{config.data.dataset}_{config.data.normalize}'
  logging.info(
    'DEMO: no data directory, so this trains a narrow model on procedural demo'
    ' motions (%s). For real data set --config.data.dir, see README.md.',
    config.data.dataset,
  )
  config.data.dir = demo.build(
    config.data.dataset, config.data.dims, config.data.normalize
  )


if __name__ == '__main__':
  cli.run(main, define_flags)
