"""Progress of a preparation: a bar on a terminal, log lines otherwise."""

from collections.abc import Callable, Iterator
import contextlib
import sys
import threading
import time

from absl import logging
import tqdm

_SECONDS_PER_LINE = 10.0
_POLL_SECONDS = 0.5


class Progress:
  """Shows how many clips of a total are done."""

  def __init__(self, what: str, total: int):
    self.done = 0
    self._what, self._total = what, total
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
    """Show that `done` clips are finished."""
    step, self.done = done - self.done, done
    if self._bar is not None:
      self._bar.update(step)
    elif time.monotonic() - self._last_line > _SECONDS_PER_LINE:
      self._last_line = time.monotonic()
      logging.info('%s: %d of %d clips', self._what, done, self._total)


@contextlib.contextmanager
def watching(progress: Progress, count: Callable[[], int]) -> Iterator[None]:
  """Show `count()` from a thread while the body runs.

  Beam's runners report no progress, but the finished files can be counted.
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
