"""How far a preparation is: a bar on a terminal, a line now and then in a log."""

from collections.abc import Callable, Iterator
import contextlib
import sys
import threading
import time

from absl import logging
import tqdm

# In a log, one line in so many seconds.
_LINE_SECONDS = 10.0
_POLL_SECONDS = 0.5


class Progress:
  """Counts clips towards a total and shows the count.

  Attributes:
    done: clips so far.
  """

  def __init__(self, what: str, total: int):
    self.done = 0
    self._what = what
    self._total = total
    self._last_line = time.monotonic()
    self._bar = None
    if sys.stderr.isatty():
      self._bar = tqdm.tqdm(desc=what, total=total, unit=' clips')

  def __enter__(self) -> 'Progress':
    return self

  def __exit__(self, *unused_error) -> None:
    if self._bar is not None:
      self._bar.close()

  def advance_to(self, done: int) -> None:
    """Shows that `done` clips of the total are finished."""
    step, self.done = done - self.done, done
    if self._bar is not None:
      self._bar.update(step)
    elif time.monotonic() - self._last_line > _LINE_SECONDS:
      self._last_line = time.monotonic()
      logging.info('%s: %d of %d clips', self._what, done, self._total)


@contextlib.contextmanager
def watching(progress: Progress, count: Callable[[], int]) -> Iterator[None]:
  """Shows `count()` from a thread while the body runs, and once more after it.

  Beam's runners say nothing on their way; what they have finished can be seen
  on the disk, whichever runner it is.
  """
  stop = threading.Event()

  def watch():
    while not stop.wait(_POLL_SECONDS):
      progress.advance_to(count())

  thread = threading.Thread(target=watch, daemon=True)
  thread.start()
  try:
    yield
    progress.advance_to(count())
  finally:
    stop.set()
    thread.join()
