"""Entry point shared by all commands.

Each command calls `run(main, define_flags)` under `if __name__ == '__main__'`,
so that two commands can be imported into one process without defining a flag
twice. User errors are printed without a traceback and exit with status 2; any
other exception is a bug and keeps its traceback.
"""

from collections.abc import Callable, Sequence
import difflib
import logging as python_logging
import os
import re
import runpy
import sys
import textwrap

from absl import app
from absl import flags
from absl import logging
from ml_collections import config_dict

from skeljax import errors

USER_ERROR_STATUS = 2
_OUR_PACKAGES = ('skeljax', 'data_prep', '__main__')


def run(
  main: Callable[[Sequence[str]], int | None],
  define_flags: Callable[[], None] | None = None,
  flags_parser: Callable[[Sequence[str]], Sequence[str]] | None = None,
) -> None:
  """Run a command under absl and exit with its status.

  Args:
    main: takes argv without the parsed flags and returns the exit status (None
      means 0).
    define_flags: defines the absl flags of the command.
    flags_parser: takes argv and returns what is passed to main. The default
      accepts flags only; a command with positional arguments passes its own.
  """

  def guarded(argv):
    setup_logging()
    try:
      return main(argv) or 0
    except errors.UserError as error:
      return report(error)

  if define_flags is not None:
    define_flags()
  parser = flags_parser or _parse_flags_only
  try:
    try:
      app.run(guarded, flags_parser=lambda argv: parse_flags(argv, parser))
    finally:
      sys.stdout.flush()
  except BrokenPipeError:
    # The reader of our output, for example head, has exited. Redirect stdout,
    # because Python flushes it once more at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1)


def report(error: Exception | str) -> int:
  """Print an error to stderr, wrapped to the terminal; return the status."""
  logging.flush()
  width = os.get_terminal_size(2).columns if sys.stderr.isatty() else 100
  paragraphs = [
    textwrap.fill(
      p, max(width, 40), break_long_words=False, break_on_hyphens=False
    )
    for p in str(error).strip().split('\n')
  ]
  print('error: ' + '\n'.join(paragraphs), file=sys.stderr)
  return USER_ERROR_STATUS


def setup_logging() -> None:
  """Log to stderr: our own messages from INFO, libraries' from WARNING."""
  logging.set_verbosity(logging.INFO)
  handler = logging.get_absl_handler()
  handler.python_handler.stream = sys.stderr
  handler.setFormatter(
    python_logging.Formatter('%(asctime)s %(message)s', '%H:%M:%S')
  )
  handler.addFilter(_is_shown)


def _is_shown(record: python_logging.LogRecord) -> bool:
  folders = re.split(r'[\\/]', record.pathname)
  if any(name in folders for name in _OUR_PACKAGES):
    return True
  # Orbax warns about intended uses, such as opening a checkpoint read-only.
  is_orbax = 'orbax' in folders
  return record.levelno >= (
    python_logging.ERROR if is_orbax else python_logging.WARNING
  )


def parse_flags(
  argv: Sequence[str], parser: Callable[[Sequence[str]], Sequence[str]]
) -> Sequence[str]:
  """Parse argv; a wrong flag or config field exits with status 2."""
  try:
    return parser(list(argv))
  except errors.UserError as error:
    sys.exit(report(error))
  except flags.Error as error:
    user_error = _find_user_error(error)
    if user_error is None and 'Error whilst parsing config file' in str(error):
      raise  # A bug in a config file keeps its traceback.
    if user_error is not None:
      sys.exit(report(user_error))
    advice = '--help lists the flags.'
    if type(error).__name__ == 'FlagOrderError':
      advice = 'Put --config=FILE before --config.FIELD=VALUE.'
    sys.exit(report(f'{error}. {advice}'))
  except (AttributeError, KeyError) as error:
    # ml_collections raises these for an override of an unknown field.
    message = _unknown_field(argv, str(error))
    if message is None:
      raise
    sys.exit(report(message))


def _parse_flags_only(argv: Sequence[str]) -> Sequence[str]:
  rest = flags.FLAGS(argv)
  if len(rest) > 1:
    raise errors.UserError(
      f'Unexpected argument {", ".join(map(repr, rest[1:]))}: this command takes'
      ' only flags, as --name=value. --help lists them.'
    )
  return rest


def _find_user_error(error: BaseException | None) -> errors.UserError | None:
  """The innermost UserError, which ml_collections wraps in its own types."""
  found = None
  while error is not None:
    if isinstance(error, errors.UserError):
      found = error
    error = error.__cause__ or error.__context__
  return found


def _unknown_field(argv: Sequence[str], error: str) -> str | None:
  """The message for a --config.x.y that is not a field of the config."""
  key = re.search(r'\w+', error)
  config_path = wrong = None
  for argument in argv:
    name, _, value = argument.lstrip('-').partition('=')
    if name == 'config':
      config_path = value
    elif name.startswith('config.') and key and wrong is None:
      field = name.removeprefix('config.')
      wrong = field if key[0] in re.split(r'[.\[]', field) else None
  if wrong is None or config_path is None:
    return None
  # config.demo repeats fields of the other sections.
  known = [
    name
    for name in _field_names(load_config(config_path))
    if not name.startswith('demo.')
  ]
  near = difflib.get_close_matches(wrong, known, n=3, cutoff=0.5)
  hint = f'Its fields are {", ".join(known)}.'
  if near:
    hint = f'Did you mean {" or ".join(f"--config.{n}" for n in near)}?'
  return f'--config.{wrong}: {config_path} has no field {wrong!r}. {hint}'


def load_config(path_and_arguments: str) -> config_dict.ConfigDict:
  """Load `configs/x.py[:key=value,...]` as --config does.

  Raises:
    UserError: there is no such file.
  """
  path, _, arguments = path_and_arguments.partition(':')
  if not os.path.isfile(path):
    raise errors.UserError(
      f'--config={path}: no such file. Run from the clone of skeljax, for'
      ' example with --config=configs/agcn_bone.py.'
    )
  get_config = runpy.run_path(path)['get_config']
  return get_config(arguments) if arguments else get_config()


def _field_names(config: config_dict.ConfigDict, prefix: str = '') -> list[str]:
  names = []
  for key, value in config.items():
    if isinstance(value, config_dict.ConfigDict):
      names += _field_names(value, f'{prefix}{key}.')
    else:
      names.append(prefix + key)
  return names
