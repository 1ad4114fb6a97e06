"""Building a dataset beside its place, and publishing it in one rename.

Everything that a preparation writes lies in ROOT/.preparing-NAME until it is
whole; then the directory is renamed to ROOT/NAME. Whatever an earlier, killed
preparation left there is removed at the start of the next one.
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
_DISK_WORDS = tuple(os.strerror(n) for n in _DISK_ERRNOS)


class Workspace:
  """The temporary directory of one preparation, held by one process at a time.

  Attributes:
    directory: ROOT/.preparing-NAME, empty at the start but for the lock.
    target: ROOT/NAME, where `publish` puts the finished dataset.
  """

  def __init__(self, root: str, name: str):
    self._root = pathlib.Path(root).expanduser().absolute()
    self.directory = self._root / f'.preparing-{name}'
    self.target = self._root / name
    self._replaced = self.directory / 'replaced'
    self._lock = None

  def __enter__(self) -> 'Workspace':
    try:
      self._root.mkdir(parents=True, exist_ok=True)
      self._take_lock()
    except OSError as error:
      raise errors.UserError(
        f'--output={self._root} cannot be written to: {error}. Choose a'
        ' directory that you may write to.'
      ) from error
    self._restore()
    self._clean(keep_lock=True)
    return self

  def __exit__(self, *unused_error) -> None:
    self._restore()
    self._clean(keep_lock=False)
    os.close(self._lock)

  @staticmethod
  def is_left_over(root: str, name: str) -> bool:
    """Whether a preparation of this name is going on or was killed."""
    return Workspace(root, name).directory.exists()

  def publish(self, built: pathlib.Path) -> None:
    """Puts the finished directory `built` in its place, as one rename.

    A dataset that is there already is moved aside first and put back should
    the rename fail; should the process die between the two renames, the next
    preparation puts it back.
    """
    if self.target.exists():
      os.rename(self.target, self._replaced)
    os.rename(built, self.target)

  def _take_lock(self) -> None:
    """Holds ROOT/.preparing-NAME/lock, which the system frees at our death."""
    path = self.directory / 'lock'
    while True:
      self.directory.mkdir(exist_ok=True)
      try:
        self._lock = os.open(path, os.O_CREAT | os.O_RDWR)
      except FileNotFoundError:
        continue  # Another preparation has just ended and removed it all.
      try:
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except BlockingIOError:
        logging.info(
          'waiting for another process that is preparing %s', self.target
        )
        fcntl.flock(self._lock, fcntl.LOCK_EX)
      try:
        if os.path.samestat(os.fstat(self._lock), os.stat(path)):
          return
      except FileNotFoundError:
        pass
      os.close(self._lock)

  def _restore(self) -> None:
    """Puts back a dataset that was moved aside but never replaced."""
    if self._replaced.exists() and not self.target.exists():
      os.rename(self._replaced, self.target)
      logging.warning('put the earlier %s back in its place', self.target)

  def _clean(self, keep_lock: bool) -> None:
    for entry in self.directory.iterdir():
      if entry.name == 'lock':
        continue
      if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
      else:
        entry.unlink()
    if not keep_lock:
      (self.directory / 'lock').unlink()
      self.directory.rmdir()


def disk_words(error: Exception) -> str | None:
  """The system's words if an error is that of a full disk, else None.

  ArrayRecord and Beam's workers report a failed write as a RuntimeError with
  the system's words in it, hence the look at the text.
  """
  if getattr(error, 'errno', None) in _DISK_ERRNOS:
    return os.strerror(error.errno)
  return next((words for words in _DISK_WORDS if words in str(error)), None)


@contextlib.contextmanager
def full_disk_in_words(root: str) -> Iterator[None]:
  """Turns the errors of a full disk into a UserError; others pass unchanged."""
  try:
    yield
  except (OSError, RuntimeError) as error:
    words = disk_words(error)
    if words is None:
      raise
    raise errors.UserError(
      f'{words}: the disk or quota that holds {root} ran out while the dataset'
      ' was being written. Nothing was published and everything that was'
      ' written has been removed. Preparing needs room for about twice the'
      ' input file, three times with 3D normalisation.'
    ) from error
