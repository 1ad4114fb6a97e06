"""One wrapper for every command: what the user can mend becomes a paragraph.

Configuration and user errors are printed without a traceback and end with
status 2; any other exception is a defect and keeps its traceback. Each command
calls `run(main, define_flags)` under `if __name__ == '__main__'`, so that two
commands can be imported into one process without defining a flag twice.
"""

from collections.abc import Callable, Sequence
import difflib
import importlib.util
import logging as python_logging
import os
import re
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
  """Runs a command under absl and exits with its status.

  Args:
    main: takes argv without the parsed flags, returns the exit status (None
      means 0). UserError raised inside ends with status 2.
    define_flags: defines the command's absl flags.
    flags_parser: takes argv, returns what main gets; a command that takes
      arguments besides flags gives its own, absl's alone refuses them.
  """
  if define_flags is not None:
    define_flags()
  parser = flags_parser or flags.FLAGS
  try:
    try:
      app.run(
        lambda argv: _guarded(main, argv),
        flags_parser=lambda argv: parse_flags(argv, parser),
      )
    finally:
      sys.stdout.flush()
  except BrokenPipeError:
    # Whoever read our output, such as head, has seen enough. Python would
    # flush once more at exit, and complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1)


def _guarded(main: Callable[[Sequence[str]], int | None], argv) -> int:
  setup_logging()
  try:
    return main(argv) or 0
  except errors.UserError as error:
    return report(error)


def report(error: Exception) -> int:
  """Prints an error as one paragraph on stderr, returns the exit status."""
  logging.flush()
  width = 100 if not sys.stderr.isatty() else os.get_terminal_size(2).columns
  paragraphs = str(error).strip().split('\n')
  lines = [
    textwrap.fill(
      p, max(width, 40), break_long_words=False, break_on_hyphens=False
    )
    for p in paragraphs
  ]
  print('error: ' + '\n'.join(lines), file=sys.stderr)
  return USER_ERROR_STATUS


def setup_logging() -> None:
  """Logs our own lines at INFO to stderr, libraries only from WARNING up."""
  logging.set_verbosity(logging.INFO)
  handler = logging.get_absl_handler()
  handler.python_handler.stream = sys.stderr
  handler.setFormatter(
    python_logging.Formatter('%(asctime)s %(message)s', '%H:%M:%S')
  )
  handler.addFilter(_is_ours_or_serious)


def _is_ours_or_serious(record: python_logging.LogRecord) -> bool:
  folders = re.split(r'[\\/]', record.pathname)
  if any(name in folders for name in _OUR_PACKAGES):
    return True
  # Orbax warns of what is meant so, such as reading a checkpoint only.
  is_orbax = 'orbax' in folders
  return record.levelno >= (
    python_logging.ERROR if is_orbax else python_logging.WARNING
  )


def parse_flags(
  argv: Sequence[str], parser: Callable[[Sequence[str]], Sequence[str]]
) -> Sequence[str]:
  """Parses argv; a mistyped flag or field ends with a paragraph, status 2."""
  try:
    rest = parser(list(argv))
  except flags.Error as error:
    user_error = _find_user_error(error)
    if user_error is None and 'Error whilst parsing config file' in str(error):
      raise  # A config file that crashes is a defect: keep its traceback.
    sys.exit(report(user_error or _flag_error(error)))
  except (AttributeError, KeyError) as error:
    # This is how ml_collections says that an override names no field.
    field = re.search(r'\w+', str(error))  # Quoted, and quoted again.
    unknown = _unknown_field(argv, field.group()) if field else None
    if unknown is None:
      raise
    sys.exit(report(unknown))
  if len(rest) > 1 and parser is flags.FLAGS:
    unexpected = ', '.join(repr(a) for a in rest[1:])
    sys.exit(
      report(
        errors.UserError(
          f'Unexpected argument {unexpected}: this command takes flags'
          ' only, as --name=value. --help lists them.'
        )
      )
    )
  return rest


def _find_user_error(error: BaseException | None) -> errors.UserError | None:
  found = None
  while error is not None:
    if isinstance(error, errors.UserError):
      found = error  # The innermost: ml_collections wraps it in its own type.
    error = error.__cause__ or error.__context__
  return found


def _flag_error(error: flags.Error) -> errors.UserError:
  if type(error).__name__ == 'FlagOrderError':
    return errors.UserError(
      f'{error}. Put --config=FILE before the --config.x=y that change it.'
    )
  return errors.UserError(f'{error}. --help lists the flags.')


def _unknown_field(argv: Sequence[str], key: str) -> errors.UserError | None:
  """The paragraph for a --config.x.y that names no field, with a proposal."""
  overrides = [
    m.group(1)
    for m in (re.match(r'--?config\.([^=]+)', a) for a in argv)
    if m is not None
  ]
  wrong = [o for o in overrides if key in re.split(r'[.\[]', o)]
  config_path = next(
    (a.split('=', 1)[1] for a in argv if re.match(r'--?config=', a)), None
  )
  if not wrong or config_path is None:
    return None
  known = _field_names(load_config(config_path))
  # The demo preset repeats fields of the other sections.
  known = [name for name in known if not name.startswith('demo.')]
  near = difflib.get_close_matches(wrong[0], known, n=3, cutoff=0.5)
  proposal = (
    'Did you mean ' + ' or '.join(f'--config.{n}' for n in near) + '?'
    if near
    else f'Its fields are {", ".join(known)}.'
  )
  return errors.UserError(
    f'--config.{wrong[0]}: {config_path} has no field {wrong[0]!r}. {proposal}'
  )


def load_config(path_and_words: str) -> config_dict.ConfigDict:
  """The ConfigDict of `configs/x.py[:words]`, as --config would load it.

  Raises:
    UserError: there is no such file.
  """
  path, _, words = path_and_words.partition(':')
  if not os.path.isfile(path):
    raise errors.UserError(
      f'--config={path}: no such file. Run from the clone of skeljax, for'
      ' example with --config=configs/agcn_bone.py.'
    )
  spec = importlib.util.spec_from_file_location('_skeljax_config', path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module.get_config(words) if words else module.get_config()


def _field_names(config: config_dict.ConfigDict, prefix: str = '') -> list[str]:
  names = []
  for key, value in config.items():
    if isinstance(value, config_dict.ConfigDict):
      names += _field_names(value, f'{prefix}{key}.')
    else:
      names.append(prefix + key)
  return names
