"""Files that appear whole or not at all."""

from collections.abc import Iterator
import contextlib
import os
import tempfile

from skeljax import errors


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[str]:
  """Gives a temporary path beside `path`, which replaces it at the end.

  An exception inside leaves what was there before and no debris; a kill may
  leave a hidden temporary file, never half of `path`.

  Args:
    path: the file to write; its folder is made when it does not exist.

  Raises:
    UserError: nothing can be written there.
  """
  given, path = path, os.path.abspath(path)
  folder, name = os.path.split(path)
  try:
    if os.path.isdir(path):
      raise IsADirectoryError(f'{path} is a folder')
    os.makedirs(folder, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=f'.{name}.')
  except OSError as error:
    raise errors.UserError(
      f'{given} cannot be written: {error}. Name a file in a folder that you may'
      ' write to.'
    ) from error
  os.close(handle)
  try:
    yield temporary
    with open(temporary, 'rb') as written:
      os.fsync(written.fileno())
    # mkstemp makes files that only the owner reads; the umask says what the
    # user wants, and can only be read by setting it.
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(temporary, 0o666 & ~umask)
    os.replace(temporary, path)
  finally:
    if os.path.exists(temporary):
      os.unlink(temporary)
