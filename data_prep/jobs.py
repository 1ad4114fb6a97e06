"""Run a function over many tasks with Beam; each task writes one file.

Beam distributes the tasks and collects the results, which are small. The clips
never pass through a runner, whose shuffle would hold them in memory.
"""

from collections.abc import Callable, Sequence
import os
import pathlib
import pickle
from typing import Any
import uuid

import apache_beam as beam
from apache_beam.options import pipeline_options

from data_prep import progress
from data_prep import workspace
from skeljax import errors


def run(
  function: Callable[[Any], dict[str, Any]],
  tasks: Sequence[Any],
  *,
  what: str,
  options: pipeline_options.PipelineOptions,
  results_path: str,
) -> list[Any]:
  """Return the result of every task, in order.

  Args:
    function: calls write_file for a task and returns what it returns.
    tasks: with attributes `path`, the file to write, and `num_clips`.
    what: description for the progress display.
    options: options of Beam.
    results_path: a file that all workers can write to.

  Raises:
    UserError: a task found an error in the input.
  """
  with (
    progress.Progress(what, sum(task.num_clips for task in tasks)) as shown,
    progress.watching(
      shown, lambda: sum(t.num_clips for t in tasks if os.path.exists(t.path))
    ),
    beam.Pipeline(options=options) as pipeline,
  ):
    _ = (
      pipeline
      | 'Tasks' >> beam.Create(tasks)
      # Otherwise one worker would be given all tasks.
      | 'Distribute' >> beam.Reshuffle()
      | 'Write' >> beam.Map(function)
      | 'Collect' >> beam.combiners.ToList()
      | 'Report' >> beam.Map(_write_results, path=results_path)
    )
  results = pickle.loads(pathlib.Path(results_path).read_bytes())
  for result in results:
    if 'disk_error' in result:
      raise OSError(result['disk_error'])
  found = sorted(r['user_error'] for r in results if 'user_error' in r)
  if found:
    more = (
      f' {len(found) - 1} more shards failed; python -m data_prep.check lists'
      ' all errors.'
      if len(found) > 1
      else ''
    )
    raise errors.UserError(found[0] + more)
  by_path = {result['path']: result['value'] for result in results}
  return [by_path[task.path] for task in tasks]


def write_file(path: str, write: Callable[[str], Any]) -> dict[str, Any]:
  """Write a file under a temporary name with `write` and rename it.

  A Beam runner may run a task twice, which is safe: the bytes are the same.

  Returns:
    The path and the value of `write`; or 'user_error' or 'disk_error' with a
    message, because runners retry exceptions and wrap them into long traces.
  """
  temporary = f'{path}.{uuid.uuid4().hex}.incomplete'
  try:
    value = write(temporary)
    os.replace(temporary, path)
  except errors.UserError as error:
    return {'user_error': str(error)}
  except (OSError, RuntimeError) as error:
    message = workspace.disk_error(error)
    if message is None:
      raise
    return {'disk_error': message}
  finally:
    if os.path.exists(temporary):
      os.remove(temporary)
  return {'path': path, 'value': value}


def _write_results(value: Any, path: str) -> None:
  pathlib.Path(path).write_bytes(pickle.dumps(value))
