"""Error messages and exit status of commands."""

import os
import subprocess
import sys
import textwrap

import pytest

from skeljax import cli
from skeljax import errors

_COMMAND = textwrap.dedent("""
  from absl import flags
  from ml_collections import config_flags
  from skeljax import cli, errors

  def define_flags():
    config_flags.DEFINE_config_file('config', None, 'h', lock_config=True)
    flags.DEFINE_string('mode', 'fine', 'h')

  def main(argv):
    if flags.FLAGS.mode == 'user':
      raise errors.UserError('file x: field y is 3, expected 4.')
    if flags.FLAGS.mode == 'bug':
      raise ValueError('a bug')
    print('done', flags.FLAGS.config.optim.base_lr)

  cli.run(main, define_flags)
""")


@pytest.fixture(scope='module')
def command(tmp_path_factory):
  folder = tmp_path_factory.mktemp('cli')
  (folder / 'command.py').write_text(_COMMAND)
  (folder / 'config.py').write_text(
    textwrap.dedent("""
      from ml_collections import config_dict
      from skeljax import errors

      def get_config(words=''):
        if words == 'user':
          raise errors.UserError('word user is unknown.')
        if words == 'bug':
          raise ValueError('the file is broken')
        return config_dict.create(optim=dict(base_lr=0.1, milestones=(3, 4)))
    """)
  )

  def run(*arguments, stdout=subprocess.PIPE):
    return subprocess.run(
      [sys.executable, str(folder / 'command.py'), *arguments],
      cwd=folder,
      env={'PYTHONPATH': str(cli.__file__).rsplit('skeljax', 1)[0]},
      stdout=stdout,
      stderr=subprocess.PIPE,
      text=True,
      check=False,
    )

  return run


@pytest.mark.parametrize(
  'arguments, message',
  [
    (
      ('--config=config.py', '--config.optim.base_rl=1'),
      "no field 'optim.base_rl'. Did you mean --config.optim.base_lr",
    ),
    (('--config=config.py', '--config.optim.base_lr=fast'), 'fast'),
    (('--config=config.py', '--mod=user'), "'mod'. Did you mean: mode"),
    (('--config.optim.base_lr=1', '--config=config.py'), 'Put --config=FILE'),
    (('--config=config.py:user',), 'word user is unknown'),
    (('--config=config.py', '--mode=user'), 'field y is 3, expected 4'),
    (('--config=config.py', 'stray'), "Unexpected argument 'stray'"),
  ],
)
def test_user_error_is_one_paragraph_and_status_2(command, arguments, message):
  done = command(*arguments)
  assert done.returncode == 2, done.stderr
  text = ' '.join(done.stderr.split())
  assert text.startswith('error: ')
  assert message in text
  assert 'Traceback' not in text


@pytest.mark.parametrize(
  'arguments', [('--config=config.py', '--mode=bug'),
                ('--config=config.py:bug',)]
)  # fmt: skip
def test_bug_keeps_its_traceback(command, arguments):
  done = command(*arguments)
  assert done.returncode not in (0, 2)
  assert 'Traceback' in done.stderr


def test_valid_command_line_passes_overrides_and_exits_0(command):
  done = command('--config=config.py', '--config.optim.base_lr=2')
  assert (done.returncode, done.stdout) == (0, 'done 2.0\n')


def test_closed_stdout_is_not_reported(command):
  reader, writer = os.pipe()
  os.close(reader)  # As head does.
  done = command('--config=config.py', stdout=writer)
  os.close(writer)
  assert (done.returncode, done.stderr) == (1, '')


def test_missing_config_file_is_named():
  with pytest.raises(errors.UserError, match='nowhere.py: no such file'):
    cli.load_config('nowhere.py')
