"""Metrics of a run: JSON lines, log lines, TensorBoard, a progress bar.

`metrics.jsonl` in the workdir has one object per line: step, epoch, split and
the metrics. The other outputs show the same values.
"""

from collections.abc import Iterator, Mapping
import contextlib
import json
import logging as python_logging
import math
import numbers
import os
import sys
import time
from typing import Any, Self

from absl import logging
import tqdm

from skeljax import atomic_file
from skeljax import errors
from skeljax.training import metrics

FILE_NAME = 'metrics.jsonl'
EVENTS_FOLDER = 'tensorboard'
_FRACTIONS = ('top1', 'top5', 'mean_class')


class Meter:
  """Metrics of the training steps since the last log line.

  Attributes:
    data_seconds: time spent waiting for data; the caller adds to it.
    grad_norm: gradient norm of the last step.
  """

  def __init__(self):
    self.reset()

  def reset(self) -> None:
    """Start a new interval."""
    self._sums: dict[str, float] = {}
    self._started = time.monotonic()
    self.data_seconds = 0.0
    self.grad_norm = 0.0

  def add(self, sums: Mapping[str, Any]) -> None:
    """Add the sums that `train_step` returns."""
    sums = dict(sums)
    self.grad_norm = float(sums.pop('grad_norm'))
    for name, value in sums.items():
      self._sums[name] = self._sums.get(name, 0.0) + float(value)

  def values(self) -> dict[str, float]:
    """Return the means over the interval, and its throughput."""
    seconds = time.monotonic() - self._started
    return {
      **metrics.summarize(self._sums),
      'grad_norm': self.grad_norm,
      'clips_per_second': self._sums.get('count', 0.0) / max(seconds, 1e-9),
      'data_wait_seconds': self.data_seconds,
    }


class MetricWriter:
  """Context manager that writes the metrics of one run.

  Without `is_writer`, as on all processes except one, methods do nothing.

  Attributes:
    path: the metrics.jsonl of the run.
  """

  def __init__(
    self, workdir: str, is_writer: bool = True, after_step: float = math.inf
  ):
    """Create a writer.

    Args:
      workdir: directory of the run.
      is_writer: whether this process writes.
      after_step: the step that was restored; lines of later steps are removed.
    """
    self.path = os.path.join(workdir, FILE_NAME)
    self._is_writer = is_writer
    self._after_step = after_step
    self._bar = None

  def __enter__(self) -> Self:
    """Open the files.

    Raises:
      UserError: a line is not JSON and not an incomplete last line.
    """
    if self._is_writer:
      os.makedirs(os.path.dirname(self.path), exist_ok=True)
      self._remove_lines()
      self._file = open(self.path, 'a', encoding='utf-8')
      self._events = _open_events(
        os.path.join(os.path.dirname(self.path), EVENTS_FOLDER),
        self._after_step,
      )
    return self

  def __exit__(self, *exception) -> None:
    if self._is_writer:
      self._file.close()
      if self._events is not None:
        self._events.close()

  def write(
    self,
    *,
    step: int,
    split: str,
    values: Mapping[str, float],
    epoch: float | None = None,
  ) -> None:
    """Write and flush one line.

    Args:
      step: completed optimizer steps.
      split: 'train', 'val', ...
      values: scalars by name; accuracies as fractions. Non-finite values
        become null.
      epoch: completed epochs.
    """
    if not self._is_writer:
      return
    plain = {name: _plain(value) for name, value in values.items()}
    line: dict[str, Any] = {'step': int(step)}
    if epoch is not None:
      line['epoch'] = round(float(epoch), 4)
    line |= {'split': split} | plain
    self._file.write(json.dumps(line) + '\n')
    self._file.flush()
    for name, value in plain.items():
      if self._events is not None and value is not None:
        self._events.add_scalar(f'{split}/{name}', value, int(step))
    if self._bar is not None and split == 'train':
      self._bar.set_postfix_str(_format(plain), refresh=False)
    else:
      at = '' if epoch is None else f', epoch {epoch:.2f}'
      logging.info('%s at step %d%s: %s', split, step, at, _format(plain))

  @contextlib.contextmanager
  def progress_bar(self, total: int, start: int = 0) -> Iterator[tqdm.tqdm]:
    """Show a progress bar instead of the log lines of split 'train'.

    Without a terminal there are log lines and no bar.

    Args:
      total: steps of the run.
      start: steps that are already completed.
    """
    with progress_bar(total, start, enabled=self._is_writer) as bar:
      self._bar = None if bar.disable else bar
      try:
        yield bar
      finally:
        self._bar = None

  def _remove_lines(self) -> None:
    """Keep only the complete lines up to `after_step`."""
    if not os.path.exists(self.path):
      return
    with open(self.path, encoding='utf-8', errors='replace') as file:
      text = file.read()
    kept = ''.join(_lines_until(text, self._after_step, self.path))
    if kept != text:
      with (
        atomic_file.replacing(self.path) as temporary,
        open(temporary, 'w', encoding='utf-8') as file,
      ):
        file.write(kept)


@contextlib.contextmanager
def progress_bar(
  total: int, start: int = 0, *, unit: str = 'step', enabled: bool = True
) -> Iterator[tqdm.tqdm]:
  """Show a tqdm bar on stderr if that is a terminal; log lines go above it.

  Args:
    total: number of units.
    start: units that are already done.
    unit: name of the unit.
    enabled: False on processes that do not print.
  """
  with tqdm.tqdm(
    total=total,
    initial=start,
    unit=unit,
    file=sys.stderr,
    dynamic_ncols=True,
    disable=None if enabled else True,  # None: disabled without a terminal.
  ) as bar:
    if bar.disable:
      yield bar
    else:
      with _logs_above_bars():
        yield bar


class _AboveBars(python_logging.Handler):
  """Logging handler that clears the bars while another handler prints."""

  def __init__(self, inner: python_logging.Handler):
    super().__init__(inner.level)
    self._inner = inner

  def handle(self, record: python_logging.LogRecord) -> bool:
    with tqdm.tqdm.external_write_mode(file=sys.stderr):
      return self._inner.handle(record)


@contextlib.contextmanager
def _logs_above_bars() -> Iterator[None]:
  # tqdm.contrib.logging replaces StreamHandlers only; absl's is not one.
  root = python_logging.getLogger()
  handlers = root.handlers[:]
  root.handlers[:] = [_AboveBars(handler) for handler in handlers]
  try:
    yield
  finally:
    root.handlers[:] = handlers


def _open_events(folder: str, after_step: float):
  """Return a TensorBoard writer; None if tensorboardX is not installed."""
  try:
    import tensorboardX
  except ImportError:
    logging.info(
      'no TensorBoard events: tensorboardX is not installed'
      " (pip install 'skeljax[tensorboard]')"
    )
    return None
  logging.info('TensorBoard events go to %s', folder)
  # purge_step hides what a killed run wrote after the restored step.
  purge_step = None if after_step == math.inf else int(after_step) + 1
  return tensorboardX.SummaryWriter(folder, purge_step=purge_step)


def _lines_until(text: str, last_step: float, path: str) -> Iterator[str]:
  lines = text.splitlines(keepends=True)
  for number, line in enumerate(lines, 1):
    is_whole = line.endswith('\n')
    try:
      step = json.loads(line)['step']
    except (ValueError, TypeError, KeyError) as error:
      if number == len(lines) and not is_whole:
        return  # An incomplete last line of a killed run.
      raise errors.UserError(
        f'{path}, line {number}: not a JSON object with a "step". Fix or delete'
        ' the line, or move the file away.'
      ) from error
    if step <= last_step:
      yield line if is_whole else line + '\n'


def _plain(value: Any) -> float | int | None:
  if isinstance(value, numbers.Integral):
    return int(value)
  number = float(value)
  return number if math.isfinite(number) else None


def _format(values: Mapping[str, float | None]) -> str:
  return ', '.join(_format_one(name, value) for name, value in values.items())


def _format_one(name: str, value: float | None) -> str:
  if value is None:
    return f'{name} not finite'
  if name in _FRACTIONS:
    return f'{name} {100 * value:.2f} %'
  return f'{name} {value:.4g}'
