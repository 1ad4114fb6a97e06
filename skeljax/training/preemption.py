"""SIGTERM, which schedulers send before they take a machine away."""

import signal
import threading

import jax
from jax.experimental import multihost_utils


class StopSignal:
  """Context manager that records SIGTERM; poll `reached` after every step."""

  def __enter__(self) -> 'StopSignal':
    self._received = threading.Event()
    self._has_handler = (
      jax.process_count() == 1
      and threading.current_thread() is threading.main_thread()
    )
    if self._has_handler:
      self._previous = signal.signal(
        signal.SIGTERM, lambda *_: self._received.set()
      )
    return self

  def __exit__(self, *unused_exception) -> None:
    if self._has_handler:
      signal.signal(signal.SIGTERM, self._previous)

  def reached(self, step: int) -> bool:
    """Return True at the step at which all processes must save and stop."""
    if jax.process_count() > 1:
      # JAX's preemption service catches the signal and agrees on a step.
      return multihost_utils.reached_preemption_sync_point(step)
    return self._received.is_set()
