"""Predict the action in your own clips.

    python -m skeljax.predict --checkpoint=runs/my_run clip1.json clip2.json

Clips are preprocessed as the training data of the checkpoint was. A clip is a
file, or a folder with one file per frame, in any format of docs/formats.md, or
an annotation file with many clips. See docs/predict.md.
"""

from collections.abc import Sequence
import json
from typing import Any

from absl import flags

from skeljax import atomic_file
from skeljax import cli
from skeljax import errors
from skeljax import option
from skeljax import pretrained
from skeljax.predict import checkpoint
from skeljax.predict import clips
from skeljax.predict import preprocess
from skeljax.predict import report
from skeljax.predict import scores
from skeljax.predict.options import Options
from skeljax.training import metric_writer


def define_flags() -> None:
  option.define_flags(Options)


def main(argv: Sequence[str]) -> int:
  """Predict the files in argv."""
  return run(option.from_flags(Options), argv[1:])


def run(options: Options, paths: Sequence[str]) -> int:
  """Predict the clips of the files, print and write the results.

  Returns:
    0, or 2 if some of the files have errors (--keep_going).

  Raises:
    UserError: a file has an error, or nothing was predicted.
  """
  clips.check_paths(paths)
  target = checkpoint.load(options)
  found, failures = read_clips(paths, target)
  if failures and not (options.keep_going and found):
    raise errors.UserError(report.errors_text(failures, options.keep_going))
  if not found:
    raise errors.UserError(f'{", ".join(paths)} contains no clips.')
  loaded = target.loaded
  predictions = predict(loaded, found, options.top)
  # Print first, in case the file cannot be written.
  print(report.title(loaded))
  print()
  print(report.to_text(predictions), end='', flush=True)
  if options.output:
    write_json(options.output, report.to_json(loaded, predictions, failures))
    print(f'\npredictions written to {options.output}')
  if failures:
    return cli.report(report.errors_text(failures, True))
  return 0


def read_clips(
  paths: Sequence[str], target: checkpoint.Target
) -> tuple[list[preprocess.Preprocessed], list[dict[str, str]]]:
  """Read and preprocess all clips of some files.

  Returns:
    The valid clips in file order, and the file and error of each other one.
  """
  options, found, failures = target.options, [], []
  with metric_writer.progress_bar(len(paths), unit='file') as bar:
    for path in paths:
      try:
        listed = clips.list_clips(
          path,
          options.format,
          options.read_options,
          max_persons=target.max_persons_in_frame,
        )
      except errors.UserError as error:
        failures.append({'file': path, 'error': str(error)})
        listed = []
      for clip in listed:
        try:
          found.append(preprocess.preprocess(clip, target))
        except errors.UserError as error:
          failures.append({'file': path, 'error': str(error)})
      bar.update()
  return found, failures


def predict(
  loaded: pretrained.Pretrained,
  found: Sequence[preprocess.Preprocessed],
  top: int,
) -> list[dict[str, Any]]:
  """Return the prediction of each clip, with its `top` classes."""
  records = [clip.record for clip in found]
  records += [record for clip in found for _, record in clip.persons]
  probabilities = scores.probabilities(
    scores.score_clips(loaded, records), loaded.config.eval.average
  )
  tops = iter(
    [scores.rank(p, loaded.spec.class_names, top) for p in probabilities]
  )
  predictions = [{**clip.description, 'top': next(tops)} for clip in found]
  for prediction, clip in zip(predictions, found):
    prediction['per_person'] = [
      {**description, 'top': next(tops)} for description, _ in clip.persons
    ]
  return predictions


def write_json(path: str, content: Any) -> None:
  """Write the --output file."""
  with (
    atomic_file.replacing(path) as temporary,
    # File names may not be valid UTF-8.
    open(temporary, 'w', encoding='utf-8', errors='backslashreplace') as file,
  ):
    json.dump(content, file, indent=2, ensure_ascii=False, allow_nan=False)
    file.write('\n')


if __name__ == '__main__':
  # The paths are positional arguments.
  cli.run(main, define_flags, flags_parser=lambda argv: flags.FLAGS(argv))
