"""Running a function over many tasks with Beam; each task writes one file.

Beam distributes the tasks, which are small, and collects what is said about the
files, which is small too; the clips themselves never pass through a runner.
"""

from collections.abc import Callable, Mapping, Sequence
import json
import os
import pathlib
from typing import Any
import uuid

import apache_beam as beam
from apache_beam.options import pipeline_options

from data_prep import progress
from data_prep import workspace
from skeljax import errors


def run(
  function: Callable[[Any], Mapping[str, Any]],
  tasks: Sequence[Any],
  *,
  what: str,
  num_clips: Mapping[str, int],
  options: pipeline_options.PipelineOptions,
  results_path: str,
) -> dict[str, dict[str, Any]]:
  """Writes the files of all tasks; returns what `function` says, by path.

  Args:
    function: task -> what write_file returned for it, with its 'path'.
    tasks: what Beam sends to its workers.
    what: is being done, for the progress shown.
    num_clips: how many clips each path is to hold.
    options: Beam's.
    results_path: a file that all workers can write.

  Raises:
    UserError: a task found something that the user can mend.
  """
  with (
    progress.Progress(what, sum(num_clips.values())) as shown,
    progress.watching(
      shown,
      lambda: sum(n for p, n in num_clips.items() if os.path.exists(p)),
    ),
    beam.Pipeline(options=options) as pipeline,
  ):
    _ = (
      pipeline
      | 'Tasks' >> beam.Create(tasks)
      # Otherwise a runner does all tasks in the worker that made them.
      | 'Distribute' >> beam.Reshuffle()
      | 'Write' >> beam.Map(function)
      | 'Collect' >> beam.combiners.ToList()
      | 'Report' >> beam.Map(_write_json, path=results_path)
    )
  results = json.loads(pathlib.Path(results_path).read_text())
  for result in results:
    if 'disk' in result:
      raise OSError(result['disk'])
  mistakes = sorted(r['mistake'] for r in results if 'mistake' in r)
  if len(mistakes) > 1:
    raise errors.UserError(
      f'{mistakes[0]} {len(mistakes) - 1} more shards met a mistake;'
      ' python -m data_prep.check looks at every clip.'
    )
  if mistakes:
    raise errors.UserError(mistakes[0])
  return {result['path']: result for result in results}


def write_file(
  path: str, write: Callable[[str], dict[str, Any]]
) -> dict[str, Any]:
  """Lets `write` make a file under a temporary name and renames it.

  Writing it twice, as a Beam runner may, does no harm: the bytes are the same.

  Returns:
    What `write` returns, and 'path'; or, where the user can mend something,
    only the words, as 'mistake' or, for a full disk, as 'disk'. They come back
    as a value because runners turn an exception into a RuntimeError of many
    pages, or try again.
  """
  temporary = f'{path}.{uuid.uuid4().hex}.incomplete'
  try:
    result = write(temporary)
    os.replace(temporary, path)
  except errors.UserError as error:
    return {'mistake': str(error)}
  except (OSError, RuntimeError) as error:
    words = workspace.disk_words(error)
    if words is None:
      raise
    return {'disk': words}
  finally:
    if os.path.exists(temporary):
      os.remove(temporary)
  return {**result, 'path': path}


def _write_json(value: Any, path: str) -> None:
  pathlib.Path(path).write_text(json.dumps(value))
