"""Build a dataset in a temporary directory and publish it with one rename.

All files are written to ROOT/.preparing-NAME, which is renamed to ROOT/NAME
when the dataset is complete. The next run removes what a killed one left.
"""

from collections.abc import Iterator
import contextlib
import errno
import fcntl
import os
import pathlib
import shutil

from absl import logging

from skeljax import errors

_DISK_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Workspace:
  """Temporary directory of a preparation; one process at a time holds it.

  Attributes:
    directory: ROOT/.preparing-NAME, at first empty except for the lock.
    target: ROOT/NAME, the place of the finished dataset.
  """

  def __init__(self, root: str, name: str):
    self._root = pathlib.Path(root).expanduser().absolute()
    self.directory = self._root / f'.preparing-{name}'
    self.target = self._root / name
    self._replaced = self.directory / 'replaced'
    self._lock = -1  # File descriptor.

  def __enter__(self) -> 'Workspace':
    try:
      self._root.mkdir(parents=True, exist_ok=True)
      self._take_lock()
    except OSError as error:
      raise errors.UserError(
        f'--output={self._root} is not writable: {error}.'
      ) from error
    self._restore()
    self._clean()
    return self

  def __exit__(self, *unused_error) -> None:
    self._restore()
    self._clean()
    (self.directory / 'lock').unlink()
    self.directory.rmdir()
    os.close(self._lock)

  def publish(self, built: pathlib.Path) -> None:
    """Rename the finished directory `built` to the target.

    An existing dataset is moved aside first. If the process dies between the
    two renames, the next run restores it.
    """
    if self.target.exists():
      os.rename(self.target, self._replaced)
    os.rename(built, self.target)

  def _take_lock(self) -> None:
    """Lock ROOT/.preparing-NAME/lock; a killed process releases it."""
    path = self.directory / 'lock'
    while True:
      self.directory.mkdir(exist_ok=True)
      try:
        self._lock = os.open(path, os.O_CREAT | os.O_RDWR)
      except FileNotFoundError:
        continue  # Another process finished and removed the directory.
      try:
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except BlockingIOError:
        logging.info(
          'waiting for another process that prepares %s', self.target
        )
        fcntl.flock(self._lock, fcntl.LOCK_EX)
      try:
        if os.path.samestat(os.fstat(self._lock), os.stat(path)):
          return
      except FileNotFoundError:
        pass
      os.close(self._lock)

  def _restore(self) -> None:
    """Restore a dataset that was moved aside and not replaced."""
    if self._replaced.exists() and not self.target.exists():
      os.rename(self._replaced, self.target)
      logging.warning('restored the earlier %s', self.target)

  def _clean(self) -> None:
    for entry in self.directory.iterdir():
      if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
      elif entry.name != 'lock':
        entry.unlink()


def disk_error(error: Exception) -> str | None:
  """Return the message if the error is that of a full disk, else None.

  ArrayRecord and Beam's workers raise a RuntimeError whose text contains the
  message of the operating system.
  """
  return next(
    (
      os.strerror(number)
      for number in _DISK_ERRNOS
      if getattr(error, 'errno', None) == number
      or os.strerror(number) in str(error)
    ),
    None,
  )


@contextlib.contextmanager
def full_disk_as_user_error(root: str) -> Iterator[None]:
  """Raise the errors of a full disk as a UserError."""
  try:
    yield
  except (OSError, RuntimeError) as error:
    message = disk_error(error)
    if message is None:
      raise
    raise errors.UserError(
      f'{message}: the disk or quota of {root} is full. Nothing was published'
      ' and all temporary files were removed. Preparing needs about twice the'
      ' size of the input, three times with 3D normalization.'
    ) from error
