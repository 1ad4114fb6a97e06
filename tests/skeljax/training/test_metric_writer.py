"""metrics.jsonl of killed and resumed runs, log lines and progress bar."""

import io
import json
import logging as python_logging
import sys

import pytest

from skeljax import errors
from skeljax.training import metric_writer


def _lines(path):
  return [json.loads(line) for line in open(path, encoding='utf-8')]


@pytest.fixture
def no_tensorboard(monkeypatch):
  monkeypatch.setitem(sys.modules, 'tensorboardX', None)


def test_each_line_is_a_flushed_json_object(tmp_path, no_tensorboard):
  with metric_writer.MetricWriter(str(tmp_path / 'run')) as writer:
    writer.write(
      step=7, epoch=1 / 3, split='train', values={'loss': 0.5, 'clips': 32}
    )
    writer.write(step=7, split='val', values={'top1': float('nan')})
    assert _lines(writer.path) == [
      {'step': 7, 'epoch': 0.3333, 'split': 'train', 'loss': 0.5, 'clips': 32},
      {'step': 7, 'split': 'val', 'top1': None},
    ]


def test_lines_after_the_restored_step_are_removed(tmp_path, no_tensorboard):
  with metric_writer.MetricWriter(str(tmp_path)) as writer:
    for step in (10, 20, 30):
      writer.write(step=step, split='train', values={'loss': step})
  with open(writer.path, 'a', encoding='utf-8') as file:
    file.write('{"step": 40, "spl')  # Killed in the middle of a line.
  with metric_writer.MetricWriter(str(tmp_path), after_step=20) as writer:
    writer.write(step=25, split='train', values={'loss': 1})
  assert [line['step'] for line in _lines(writer.path)] == [10, 20, 25]
  assert [p.name for p in tmp_path.iterdir()] == ['metrics.jsonl']


def test_incomplete_last_line_is_dropped(tmp_path, no_tensorboard):
  path = tmp_path / metric_writer.FILE_NAME
  path.write_text('{"step": 1}\n{"st')
  with metric_writer.MetricWriter(str(tmp_path)) as writer:
    writer.write(step=2, split='train', values={})
  assert [line['step'] for line in _lines(path)] == [1, 2]


def test_other_invalid_lines_raise(tmp_path):
  path = tmp_path / metric_writer.FILE_NAME
  path.write_text('{"step": 1}\nmy notes\n{"step": 2}\n')
  with pytest.raises(errors.UserError, match='line 2: not a JSON object'):
    metric_writer.MetricWriter(str(tmp_path)).__enter__()
  assert 'my notes' in path.read_text()


def test_other_processes_write_nothing(tmp_path):
  with metric_writer.MetricWriter(str(tmp_path / 'run'), False) as writer:
    writer.write(step=1, split='train', values={'loss': 1.0})
    with writer.progress_bar(3) as bar:
      bar.update(1)
  assert not list(tmp_path.iterdir())


def test_log_line_has_percentages(tmp_path, no_tensorboard, caplog):
  with caplog.at_level('INFO'):
    with metric_writer.MetricWriter(str(tmp_path)) as writer:
      writer.write(
        step=5,
        epoch=2.5,
        split='val',
        values={'loss': 1.23456, 'top1': 0.9125, 'mean_class': float('inf')},
      )
  assert (
    'val at step 5, epoch 2.50: loss 1.235, top1 91.25 %,'
    ' mean_class not finite' in caplog.text
  )
  assert caplog.text.count('tensorboardX is not installed') == 1


def test_events_are_written_with_tensorboardx(tmp_path, caplog):
  pytest.importorskip('tensorboardX')
  with caplog.at_level('INFO'):
    with metric_writer.MetricWriter(str(tmp_path)) as writer:
      writer.write(step=5, split='val', values={'loss': 1.0})
  (events,) = (tmp_path / metric_writer.EVENTS_FOLDER).iterdir()
  assert b'val/loss' in events.read_bytes()
  assert 'TensorBoard events go to' in caplog.text


class _Terminal(io.StringIO):
  def isatty(self):
    return True


def test_log_lines_are_printed_above_the_bar(
  tmp_path, no_tensorboard, monkeypatch
):
  screen = _Terminal()
  monkeypatch.setattr(sys, 'stderr', screen)
  root = python_logging.getLogger()
  handler = python_logging.StreamHandler(screen)
  monkeypatch.setattr(root, 'handlers', [handler])
  logger = python_logging.getLogger('test_bar')
  logger.setLevel('INFO')

  with metric_writer.MetricWriter(str(tmp_path)) as writer:
    with writer.progress_bar(total=4, start=1) as bar:
      bar.update(1)
      writer.write(step=2, split='train', values={'loss': 0.5})
      bar.refresh()
      logger.info('another line')
      bar.update(1)

  assert root.handlers == [handler]
  text = screen.getvalue()
  assert '2/4' in text and 'loss 0.5' in text
  assert 'train at step' not in text  # The bar shows it.
  # The bar is cleared before the line and drawn again after it.
  before, after = text.split('another line\n')
  assert before.endswith(' \r')
  assert '2/4' in after


def test_without_a_terminal_there_is_no_bar(capsys):
  with metric_writer.progress_bar(3) as bar:
    bar.update(1)
  assert bar.disable
  assert capsys.readouterr().err == ''
