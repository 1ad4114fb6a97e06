"""The one exception that means: the user can mend this."""


class UserError(ValueError):
  """Bad input or configuration; its text is one paragraph for the user.

  The text names the file, sample or field, says what was expected, and how to
  mend it. Commands print it without a traceback and exit with status 2
  (skeljax.cli); any other exception is a defect and keeps its traceback.
  """
