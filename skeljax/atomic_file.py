"""Write files atomically."""

from collections.abc import Iterator
import contextlib
import os
import tempfile

from skeljax import errors


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[str]:
  """Yield a temporary path that replaces `path` when the block succeeds.

  If the block raises, `path` keeps its content and the temporary file is
  removed. A killed process may leave a hidden temporary file, never a partial
  `path`.

  Args:
    path: the file to write; its directory is created if it does not exist.

  Raises:
    UserError: `path` cannot be written.
  """
  target = os.path.abspath(path)
  folder, name = os.path.split(target)
  try:
    if os.path.isdir(target):
      raise IsADirectoryError(f'{target} is a directory')
    os.makedirs(folder, exist_ok=True)
    # The name keeps its extension: writers choose a format by it.
    handle, temporary = tempfile.mkstemp(
      dir=folder, prefix='.', suffix=f'.{name}'
    )
  except OSError as error:
    raise errors.UserError(
      f'{path} cannot be written: {error}. Choose a writable directory.'
    ) from error
  os.close(handle)
  try:
    yield temporary
    with open(temporary, 'rb') as written:
      os.fsync(written.fileno())
    # mkstemp creates files readable only by the owner. Apply the umask, which
    # can only be read by setting it.
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(temporary, 0o666 & ~umask)
    os.replace(temporary, target)
  finally:
    if os.path.exists(temporary):
      os.unlink(temporary)
