"""Parse command lines as the commands do and report those that are refused.

Reads [[module, argument, ...], ...] as JSON and writes a list of strings.
"""

import importlib
import json
import sys

from absl import flags

from data_prep import main as preparation
from skeljax import errors

refused = []
known = set(flags.FLAGS)
for name, *arguments in json.load(sys.stdin):
  command = importlib.import_module(name)
  if hasattr(command, '__path__'):
    command = importlib.import_module(f'{name}.__main__')
  command.define_flags()
  # ml_collections reads the overridden fields from there.
  sys.argv = [name, *arguments]
  try:
    rest = flags.FLAGS(sys.argv, known_only=command is preparation)
    if command is preparation:
      preparation.reject_unknown(rest[1:], list(flags.FLAGS))
  except (errors.UserError, flags.Error, AttributeError, KeyError) as error:
    refused.append(f'{name} {" ".join(arguments)}: {error}')
  # Other commands may define the same flags, with other config fields.
  for flag in set(flags.FLAGS) - known:
    delattr(flags.FLAGS, flag)
  flags.FLAGS.unparse_flags()
json.dump(refused, sys.stdout)
