"""The exception for user errors."""


class UserError(ValueError):
  """Invalid input or configuration that the user can fix.

  The message names the file, sample or field, what was expected, and the fix.
  Commands print it without a traceback and exit with status 2 (skeljax.cli).
  """
